/* Shell text as a list of commands. */
#include "dockerfile/sh.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "dockerfile/sh_impl.h"
#include "util/err.h"
#include "util/mem.h"

#define HEREDOCS_MAX 16

/* A here-document that was announced on this line. */
struct heredoc {
    char delimiter[64];
    bool strip_tabs;
};

/* One list: up to a parenthesis that closes it, or the end. */
struct list {
    struct strake_sh_reader *reader;
    enum strake_sh_op op; /* what stood before the command to come */
    int command;          /* index of the one being read, or -1 */
    bool negated;
    int groups; /* ( and { that this list has opened */
    int cases;  /* case … in that are open */
    struct heredoc heredocs[HEREDOCS_MAX];
    size_t heredoc_count;
};

static char peek(const struct strake_sh_reader *reader, size_t ahead)
{
    return reader->at + ahead < reader->end ? reader->text[reader->at + ahead] : '\0';
}

static bool is_in(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* ---- growing ---- */

static bool begin_command(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;
    struct strake_sh *out = reader->out;

    if (list->command >= 0)
        return true;
    if (out->count == reader->cap) {
        const size_t cap = reader->cap ? reader->cap * 2 : 8;
        struct strake_sh_command *grown = strake_reallocarray(out->commands, cap, sizeof(*grown));
        if (!grown) {
            reader->nomem = true;
            return false;
        }
        out->commands = grown;
        reader->cap = cap;
    }
    list->command = (int)out->count++;
    out->commands[list->command] = (struct strake_sh_command){
        .op = list->op,
        .negated = list->negated,
        .depth = reader->depth + list->groups,
        .within = reader->within,
        .at = reader->at,
    };
    return true;
}

/* A list that doubles at powers of two: `count` items are there. */
static void *grow(void *items, size_t count, size_t size)
{
    return count & (count - 1) ? items : strake_reallocarray(items, count ? count * 2 : 1, size);
}

static void end_command(struct list *list, enum strake_sh_op op)
{
    if (list->command >= 0 || op > STRAKE_SH_NEXT)
        list->op = op;
    else if (list->op == STRAKE_SH_FIRST && list->reader->out->count > 0)
        list->op = op; /* behind fi, done, } */
    list->command = -1;
    list->negated = false;
}

/* Where a list begins anew: behind `then`, `do`, `(`. */
static void begin_list(struct list *list)
{
    list->command = -1;
    list->negated = false;
    list->op = STRAKE_SH_FIRST;
}

/* ---- here-documents ---- */

static void announce_heredoc(struct list *list, const char *op, const struct strake_sh_word *word)
{
    struct heredoc *heredoc = &list->heredocs[list->heredoc_count];

    if (list->heredoc_count == HEREDOCS_MAX || strlen(word->text) >= sizeof(heredoc->delimiter))
        return;
    snprintf(heredoc->delimiter, sizeof(heredoc->delimiter), "%s", word->text);
    heredoc->strip_tabs = strstr(op, "<<-") != NULL;
    list->heredoc_count++;
}

static bool ends_heredoc(const struct heredoc *heredoc, const char *line, size_t len)
{
    while (heredoc->strip_tabs && len > 0 && *line == '\t') {
        line++;
        len--;
    }
    return strlen(heredoc->delimiter) == len && memcmp(line, heredoc->delimiter, len) == 0;
}

/* Behind a line's end: the texts that the line announced are no commands. */
static void skip_heredocs(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;

    for (size_t i = 0; i < list->heredoc_count; i++) {
        bool over = false;
        while (!over && reader->at < reader->end) {
            const char *line = reader->text + reader->at;
            const char *newline = memchr(line, '\n', reader->end - reader->at);
            const size_t len = newline ? (size_t)(newline - line) : reader->end - reader->at;
            over = ends_heredoc(&list->heredocs[i], line, len);
            reader->at += len + (newline != NULL);
        }
    }
    list->heredoc_count = 0;
}

/* ---- redirections ---- */

/* The length of a redirection's operator here, its descriptor with it; 0: there is none. */
static size_t redirect_length(const struct strake_sh_reader *reader)
{
    static const char *const ops[] = { "<<<", "<<-", "&>>", "<<", ">>", "<&", ">&",
                                       "<>",  ">|",  "&>",  "<",  ">",  NULL };
    size_t digits = 0;

    while (isdigit((unsigned char)peek(reader, digits)))
        digits++;
    for (const char *const *op = ops; *op; op++) {
        const size_t len = strlen(*op);
        if (reader->end - reader->at < digits + len ||
            memcmp(reader->text + reader->at + digits, *op, len) != 0)
            continue;
        if (digits > 0 && (*op)[0] == '&')
            continue;
        if (len == 1 && peek(reader, digits + 1) == '(')
            return 0; /* <(…) is a word */
        return digits + len;
    }
    return 0;
}

static void read_redirect(struct list *list, size_t len)
{
    struct strake_sh_reader *reader = list->reader;
    struct strake_sh_redirect redirect = {
        .op = strake_strndup(reader->text + reader->at, len),
    };
    const int within = reader->within;
    struct strake_sh_command *command;
    void *grown;

    if (!redirect.op || !begin_command(list)) {
        strake_free(redirect.op);
        reader->nomem = true;
        return;
    }
    reader->at += len;
    strake_sh_skip_blanks(reader);
    reader->within = list->command;
    if (!strake_sh_word_read(reader, &redirect.target)) {
        redirect.target.text = strake_strdup("");
        redirect.target.at = reader->at;
    }
    reader->within = within;
    command = &reader->out->commands[list->command];
    grown = grow(command->redirects, command->redirect_count, sizeof(redirect));
    if (!grown || !redirect.target.text) {
        reader->nomem = true;
        if (grown)
            command->redirects = grown;
        strake_free(redirect.op);
        strake_sh_word_dispose(&redirect.target);
        return;
    }
    command->redirects = grown;
    command->redirects[command->redirect_count++] = redirect;
    command->len = reader->at - command->at;
    if (strstr(redirect.op, "<<") && !strstr(redirect.op, "<<<"))
        announce_heredoc(list, redirect.op, &redirect.target);
}

/* ---- words ---- */

/* NAME=… or NAME+=… */
static bool is_assignment(const char *text)
{
    size_t len = 0;

    while (isalnum((unsigned char)text[len]) || text[len] == '_')
        len++;
    if (len == 0 || isdigit((unsigned char)text[0]))
        return false;
    return text[len] == '=' || (text[len] == '+' && text[len + 1] == '=');
}

static void add_word(struct list *list, struct strake_sh_word *word)
{
    struct strake_sh_reader *reader = list->reader;
    struct strake_sh_command *command = &reader->out->commands[list->command];
    void *grown = grow(command->words, command->count, sizeof(*word));

    if (!grown) {
        reader->nomem = true;
        strake_sh_word_dispose(word);
        return;
    }
    command->words = grown;
    if (command->assignments == command->count && is_assignment(word->text))
        command->assignments++;
    command->words[command->count++] = *word;
    command->len = word->at + word->len - command->at;
}

/* A pattern of `case`, up to its parenthesis; `esac` is left. */
static void skip_pattern(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;

    begin_list(list);
    for (;;) {
        while (isspace((unsigned char)peek(reader, 0)))
            reader->at++;
        if (peek(reader, 0) == '(')
            reader->at++;
        if (reader->end - reader->at >= 4 && memcmp(reader->text + reader->at, "esac", 4) == 0)
            return;
        if (reader->at >= reader->end)
            return;
        if (peek(reader, 0) == '#') { /* a comment between two branches */
            while (reader->at < reader->end && peek(reader, 0) != '\n')
                reader->at++;
            continue;
        }
        break;
    }
    while (reader->at < reader->end && peek(reader, 0) != ')') {
        const char quote = peek(reader, 0);
        reader->at++;
        if (quote == '\\' && reader->at < reader->end)
            reader->at++;
        if (quote != '\'' && quote != '"')
            continue;
        while (reader->at < reader->end && peek(reader, 0) != quote)
            reader->at++;
        if (reader->at < reader->end)
            reader->at++;
    }
    if (reader->at < reader->end)
        reader->at++;
}

/* A word that is no command's but the language's. @return false: it is an ordinary one */
static bool obey_reserved(struct list *list, const struct strake_sh_word *word)
{
    static const char *const openers[] = { "if",    "then", "elif", "else", "while",
                                           "until", "do",   "time", NULL };
    static const char *const closers[] = { "fi", "done", NULL };

    if (word->quoted || list->command >= 0)
        return false;
    if (is_in(word->text, openers)) {
        begin_list(list);
        return true;
    }
    if (strcmp(word->text, "!") == 0) {
        list->negated = true;
        return true;
    }
    if (strcmp(word->text, "{") == 0) {
        const enum strake_sh_op op = list->op;
        begin_list(list);
        list->op = op; /* a group stands where its first command does */
        list->groups++;
        return true;
    }
    if (strcmp(word->text, "}") == 0 && list->groups > 0) {
        list->groups--;
        return true;
    }
    if (strcmp(word->text, "esac") == 0 && list->cases > 0) {
        list->cases--;
        return true;
    }
    return is_in(word->text, closers);
}

/* Behind a word: `case W in`, `name()`. */
static void look_behind(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;
    struct strake_sh_command *command = &reader->out->commands[list->command];
    const struct strake_sh_word *last = &command->words[command->count - 1];

    if (command->count >= 3 && strcmp(command->words[0].text, "case") == 0 && !last->quoted &&
        strcmp(last->text, "in") == 0) {
        list->cases++;
        skip_pattern(list);
    } else if (command->count == 1 && command->redirect_count == 0 &&
               (size_t)list->command + 1 == reader->out->count && peek(reader, 0) == '(' &&
               peek(reader, 1) == ')') {
        /* A function's name is no command. */
        reader->at += 2;
        strake_sh_word_dispose(&command->words[0]);
        command->count = command->assignments = 0;
        command->len = 0;
        strake_free(command->words);
        command->words = NULL;
        reader->out->count--;
        begin_list(list);
    }
}

static void read_word(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;
    const bool began = list->command >= 0;
    const size_t begin = reader->at, before = reader->out->count;
    const int within = reader->within;
    struct strake_sh_word word = { 0 };
    bool read;

    /* Its place is taken first: commands in a word's substitution come behind it. */
    if (!begin_command(list))
        return;
    reader->within = list->command;
    read = strake_sh_word_read(reader, &word);
    reader->within = within;
    if (!read) { /* a character that belongs nowhere, such as a `)` too many */
        reader->at = begin + 1;
    } else if (!began) {
        list->command = -1;
        if (obey_reserved(list, &word)) {
            strake_sh_word_dispose(&word);
            read = false;
        } else {
            list->command = (int)before;
        }
    }
    if (read) {
        add_word(list, &word);
        if (!reader->nomem)
            look_behind(list);
    } else if (!began && reader->out->count == before + 1) {
        reader->out->count--;
        list->command = -1;
    }
}

/* ---- operators ---- */

static void read_line_end(struct list *list)
{
    list->reader->at++;
    end_command(list, STRAKE_SH_NEXT);
    skip_heredocs(list);
}

static void read_semicolon(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;
    const char next = peek(reader, 1);

    reader->at++;
    end_command(list, STRAKE_SH_NEXT);
    if (next != ';' && next != '&')
        return;
    reader->at++; /* ;; ;& ;;& end a branch of `case` */
    if (next == ';' && peek(reader, 0) == '&')
        reader->at++;
    if (list->cases > 0)
        skip_pattern(list);
}

/* @return false: none stands here */
static bool read_operator(struct list *list)
{
    struct strake_sh_reader *reader = list->reader;
    const char c = peek(reader, 0), next = peek(reader, 1);

    if (c == '\n') {
        read_line_end(list);
    } else if (c == ';') {
        read_semicolon(list);
    } else if (c == '&' && next == '&') {
        reader->at += 2;
        end_command(list, STRAKE_SH_AND);
    } else if (c == '|' && next == '|') {
        reader->at += 2;
        end_command(list, STRAKE_SH_OR);
    } else if (c == '|') {
        reader->at += next == '&' ? 2 : 1;
        end_command(list, STRAKE_SH_PIPE);
    } else if (c == '&') {
        reader->at++;
        end_command(list, STRAKE_SH_BACKGROUND);
    } else if (c == '(' && list->command < 0) {
        const enum strake_sh_op op = list->op;
        reader->at++;
        begin_list(list);
        list->op = op;
        list->groups++;
    } else if (c == ')' && list->groups > 0) {
        reader->at++;
        end_command(list, STRAKE_SH_NEXT);
        list->groups--;
    } else {
        return false;
    }
    return true;
}

void strake_sh_list(struct strake_sh_reader *reader, char close)
{
    struct list list = { .reader = reader, .command = -1 };

    while (reader->at < reader->end && !reader->nomem) {
        size_t len;
        strake_sh_skip_blanks(reader);
        if (reader->at >= reader->end)
            break;
        if (close && peek(reader, 0) == close && list.groups == 0)
            break;
        if (peek(reader, 0) == '#') { /* words are read whole: this one begins with it */
            while (reader->at < reader->end && peek(reader, 0) != '\n')
                reader->at++;
            continue;
        }
        len = redirect_length(reader);
        if (len > 0)
            read_redirect(&list, len);
        else if (!read_operator(&list))
            read_word(&list);
    }
}

/* ---- for others ---- */

int strake_sh_read(const char *text, size_t len, struct strake_sh *out)
{
    struct strake_sh_reader reader = {
        .text = text,
        .end = len,
        .out = out,
        .within = -1,
        .word = STRAKE_BUF(len + 1),
    };

    *out = (struct strake_sh){ 0 };
    strake_sh_list(&reader, '\0');
    strake_buf_dispose(&reader.word);
    if (!reader.nomem)
        return 0;
    strake_sh_dispose(out);
    return STRAKE_ENOMEM;
}

void strake_sh_dispose(struct strake_sh *shell)
{
    for (size_t i = 0; i < shell->count; i++) {
        struct strake_sh_command *command = &shell->commands[i];
        for (size_t k = 0; k < command->count; k++)
            strake_sh_word_dispose(&command->words[k]);
        for (size_t k = 0; k < command->redirect_count; k++) {
            strake_free(command->redirects[k].op);
            strake_sh_word_dispose(&command->redirects[k].target);
        }
        strake_free(command->words);
        strake_free(command->redirects);
    }
    strake_free(shell->commands);
    *shell = (struct strake_sh){ 0 };
}

const char *strake_sh_op_text(enum strake_sh_op op)
{
    static const char *const texts[] = { "", ";", "&&", "||", "|", "&" };

    return texts[op];
}
