/* Words of shell text: quotes, escapes and expansions. */
#include <string.h>

#include "dockerfile/sh_impl.h"
#include "util/mem.h"

/* The word that is being put together. */
struct building {
    bool quoted, expands;
};

static bool more(const struct strake_sh_reader *reader)
{
    return reader->at < reader->end;
}

static char peek(const struct strake_sh_reader *reader, size_t ahead)
{
    return reader->at + ahead < reader->end ? reader->text[reader->at + ahead] : '\0';
}

/* Take `count` characters into the word. */
static void take(struct strake_sh_reader *reader, size_t count)
{
    if (count > reader->end - reader->at)
        count = reader->end - reader->at;
    if (strake_buf_append(&reader->word, reader->text + reader->at, count) < 0)
        reader->nomem = true;
    reader->at += count;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';' || c == '&' || c == '|' ||
           c == '<' || c == '>' || c == '(' || c == ')';
}

void strake_sh_skip_blanks(struct strake_sh_reader *reader)
{
    while (more(reader)) {
        const char c = peek(reader, 0);
        if (c == '\\' && peek(reader, 1) == '\n')
            reader->at += 2;
        else if (c == ' ' || c == '\t' || c == '\r')
            reader->at++;
        else
            return;
    }
}

/* ---- expansions ---- */

/* Commands of a substitution: they are read by a reader of their own word, so that the text of this
 * one is not lost. */
static void read_commands(struct strake_sh_reader *reader, size_t end, char close)
{
    struct strake_sh_reader inner = *reader;

    inner.end = end;
    inner.word = STRAKE_BUF(reader->word.max);
    inner.nested++;
    inner.depth++;
    strake_sh_list(&inner, close);
    strake_buf_dispose(&inner.word);
    reader->at = inner.at;
    reader->cap = inner.cap;
    reader->nomem = reader->nomem || inner.nomem;
}

/* $(…) or <(…): `open` characters up to its parenthesis. */
static void read_substitution(struct strake_sh_reader *reader, size_t open)
{
    const size_t begin = reader->at;

    take(reader, open);
    if (reader->nested == STRAKE_SH_DEPTH_MAX)
        return; /* what is in it is read as words that follow */
    read_commands(reader, reader->end, ')');
    if (peek(reader, 0) == ')')
        reader->at++;
    if (strake_buf_append(&reader->word, reader->text + begin + open, reader->at - begin - open) <
        0)
        reader->nomem = true;
}

/* `…`: up to the next one that no backslash escapes. */
static void read_backticks(struct strake_sh_reader *reader)
{
    const size_t begin = reader->at;
    size_t end = begin + 1;

    while (end < reader->end && reader->text[end] != '`')
        end += reader->text[end] == '\\' && end + 1 < reader->end ? 2 : 1;
    if (reader->nested < STRAKE_SH_DEPTH_MAX) {
        reader->at++;
        read_commands(reader, end, '\0');
    }
    reader->at = begin;
    take(reader, end + 1 - begin);
}

/* $((…)): up to the parentheses that close it. */
static void read_arithmetic(struct strake_sh_reader *reader)
{
    size_t end = reader->at + 1;
    int open = 0;

    for (; end < reader->end; end++) {
        open += reader->text[end] == '(' ? 1 : reader->text[end] == ')' ? -1 : 0;
        if (open == 0)
            break;
    }
    take(reader, end + 1 - reader->at);
}

static void read_dollar(struct strake_sh_reader *reader, struct building *word);

/* ${…}, with what is nested in it; the quotes in it are kept, the reader has no value anyway. */
static void read_braces(struct strake_sh_reader *reader, struct building *word)
{
    take(reader, 2);
    while (more(reader)) {
        const char c = peek(reader, 0);
        if (c == '}') {
            take(reader, 1);
            return;
        }
        if (c == '\\')
            take(reader, 2);
        else if (c == '`')
            read_backticks(reader);
        else if (c == '$' && peek(reader, 1) != '{')
            read_dollar(reader, word);
        else
            take(reader, 1); /* a nested ${ ends with the same brace: close enough, and linear */
    }
}

/* At a '$'. */
static void read_dollar(struct strake_sh_reader *reader, struct building *word)
{
    const char next = peek(reader, 1);

    word->expands = true;
    if (next == '(' && peek(reader, 2) == '(')
        read_arithmetic(reader);
    else if (next == '(')
        read_substitution(reader, 2);
    else if (next == '{')
        read_braces(reader, word);
    else
        take(reader, 1);
}

/* ---- quotes ---- */

static void read_single_quotes(struct strake_sh_reader *reader)
{
    const char *from = reader->text + ++reader->at;
    const char *quote = memchr(from, '\'', reader->end - reader->at);

    take(reader, quote ? (size_t)(quote - from) : reader->end - reader->at);
    if (more(reader))
        reader->at++;
}

static void read_double_quotes(struct strake_sh_reader *reader, struct building *word)
{
    reader->at++;
    while (more(reader) && peek(reader, 0) != '"') {
        const char c = peek(reader, 0), next = peek(reader, 1);
        if (c == '\\' && next == '\n') {
            reader->at += 2;
        } else if (c == '\\' && next != '\0' && strchr("$`\"\\", next)) {
            reader->at++;
            take(reader, 1);
        } else if (c == '`') {
            word->expands = true;
            read_backticks(reader);
        } else if (c == '$') {
            read_dollar(reader, word);
        } else {
            take(reader, 1);
        }
    }
    if (more(reader))
        reader->at++;
}

/* ---- words ---- */

static void read_piece(struct strake_sh_reader *reader, struct building *word)
{
    const char c = peek(reader, 0);

    if (c == '\'' || c == '"') {
        word->quoted = true;
        if (c == '"')
            read_double_quotes(reader, word);
        else
            read_single_quotes(reader);
    } else if (c == '\\' && peek(reader, 1) == '\n') {
        reader->at += 2;
    } else if (c == '\\') {
        word->quoted = true;
        reader->at++;
        take(reader, 1);
    } else if (c == '`') {
        word->expands = true;
        read_backticks(reader);
    } else if (c == '$') {
        read_dollar(reader, word);
    } else {
        take(reader, 1);
    }
}

bool strake_sh_word_read(struct strake_sh_reader *reader, struct strake_sh_word *out)
{
    const size_t begin = reader->at;
    struct building word = { 0 };

    strake_buf_clear(&reader->word);
    if ((peek(reader, 0) == '<' || peek(reader, 0) == '>') && peek(reader, 1) == '(') {
        word.expands = true;
        read_substitution(reader, 2);
    }
    while (more(reader) && !ends_word(peek(reader, 0)) && !reader->nomem)
        read_piece(reader, &word);
    if (reader->at == begin)
        return false;
    *out = (struct strake_sh_word){
        .text = strake_strndup(strake_buf_text(&reader->word), reader->word.len),
        .at = begin,
        .len = reader->at - begin,
        .quoted = word.quoted,
        .expands = word.expands,
    };
    reader->nomem = reader->nomem || !out->text;
    return out->text != NULL;
}

void strake_sh_word_dispose(struct strake_sh_word *word)
{
    strake_free(word->text);
    *word = (struct strake_sh_word){ 0 };
}
