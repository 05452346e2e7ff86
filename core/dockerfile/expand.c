/* The word lexer of BuildKit's shell package, its habits included: words are collected in one
 * buffer that a nested ${x:-…} empties, so that such a word loses what stood before it.
 * Here-documents are found by these words, so the habit decides what is one. */
#include "dockerfile/expand.h"

#include <string.h>

#define NEST_MAX 64
#define RESULT_MAX ((size_t)8 * 1024 * 1024) /* twice the largest Dockerfile */
#define WORDS_MAX 2000000
#define END 0xFFFFFFFFu /* behind the last character */

struct lexer {
    const struct strake_shell *shell;
    struct strake_span rest;
    struct strake_buf word; /* the word in the making, of the outermost level or a nested one */
    bool raw_escapes;
    int depth;
    struct strake_err *err;
};

/* Where the words of one level go. */
struct sink {
    struct strake_strings *words; /* NULL: they are not wanted */
    bool in_word;
};

static int lex_stop(struct lexer *lex, uint32_t stop, struct sink *sink, struct strake_buf *result);

static int syntax_error(struct lexer *lex, const char *problem)
{
    return strake_fail(lex->err, STRAKE_EDOCKERFILE, "%s", problem);
}

/* A failed append, described. */
static int append_failed(struct lexer *lex, int rc)
{
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(lex->err);
    return strake_fail(lex->err, STRAKE_ETOOBIG, "a text grows too long when it is expanded");
}

static uint32_t peek(const struct lexer *lex)
{
    size_t width;
    return lex->rest.len > 0 ? strake_rune(lex->rest, &width) : END;
}

static uint32_t next(struct lexer *lex)
{
    size_t width = 0;
    if (lex->rest.len == 0)
        return END;
    uint32_t rune = strake_rune(lex->rest, &width);
    lex->rest = strake_span_skip(lex->rest, width);
    return rune;
}

static int put(struct lexer *lex, struct strake_buf *out, uint32_t rune)
{
    int rc = strake_rune_put(out, rune);
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int puts_buf(struct lexer *lex, struct strake_buf *out, const struct strake_buf *text)
{
    int rc = strake_buf_append(out, strake_buf_text(text), text->len);
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int end_word(struct lexer *lex, struct sink *sink)
{
    int rc = 0;
    if (lex->word.len == 0)
        return 0;
    if (sink->words != NULL && sink->words->count == WORDS_MAX)
        return strake_fail(lex->err, STRAKE_ETOOBIG, "a text has too many words");
    if (sink->words != NULL)
        rc = strake_strings_add_len(sink->words, lex->word.data, lex->word.len);
    strake_buf_clear(&lex->word);
    sink->in_word = false;
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int sink_raw(struct lexer *lex, struct sink *sink, uint32_t rune)
{
    sink->in_word = true;
    return put(lex, &lex->word, rune);
}

static int sink_char(struct lexer *lex, struct sink *sink, uint32_t rune)
{
    if (!strake_rune_is_space(rune))
        return sink_raw(lex, sink, rune);
    return sink->in_word ? end_word(lex, sink) : 0;
}

/* A variable's value: white space in it ends words. */
static int sink_value(struct lexer *lex, struct sink *sink, const struct strake_buf *text)
{
    struct strake_span rest = { strake_buf_text(text), text->len };
    int rc = 0;
    while (rest.len > 0 && rc == 0) {
        size_t width;
        rc = sink_char(lex, sink, strake_rune(rest, &width));
        rest = strake_span_skip(rest, width);
    }
    return rc;
}

static int lex_single_quote(struct lexer *lex, struct strake_buf *out)
{
    uint32_t rune = next(lex);
    int rc = lex->shell->raw_quotes ? put(lex, out, rune) : 0;
    while (rc == 0) {
        rune = next(lex);
        if (rune == END)
            return syntax_error(lex, "a single quote is not closed");
        if (rune == '\'')
            return lex->shell->raw_quotes ? put(lex, out, rune) : 0;
        rc = put(lex, out, rune);
    }
    return rc;
}

/* A name; digits, or one special character, are names too. "" when there is none. */
static int lex_name(struct lexer *lex, struct strake_buf *name)
{
    static const char special[] = "@*#?-$!0";
    uint32_t rune = peek(lex);
    bool digits = rune >= '0' && rune <= '9';

    if (!digits && rune != END && rune != 0 && rune < 0x80 && strchr(special, (int)rune) != NULL)
        return put(lex, name, next(lex));
    for (; rune != END; rune = peek(lex)) {
        if (digits ? !(rune >= '0' && rune <= '9') : !strake_rune_is_name(rune))
            break;
        int rc = put(lex, name, next(lex));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ${name<op>word}, in the making. */
struct substitution {
    struct strake_buf name;
    struct strake_buf word;
    struct strake_buf second;   /* the replacement of ${x/word/second} */
    char op;                    /* 0: none that is known */
    struct strake_span written; /* the operator as it stands there, with its colon */
    bool null_is_unset;
    bool twice;        /* ${x//p/r} */
    const char *value; /* NULL: unset */
};

/* As it was written: for a variable that is kept. */
static int keep_written(struct lexer *lex, const struct substitution *sub, struct strake_buf *out)
{
    int rc;
    if (sub->op == '}')
        rc = strake_buf_printf(out, "${%s}", strake_buf_text(&sub->name));
    else if (sub->op == '/')
        rc = strake_buf_printf(out, "${%s/%s/%s}", strake_buf_text(&sub->name),
                               strake_buf_text(&sub->word), strake_buf_text(&sub->second));
    else
        rc = strake_buf_printf(out, "${%s%.*s%s}", strake_buf_text(&sub->name),
                               (int)sub->written.len, sub->written.at, strake_buf_text(&sub->word));
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int apply_required(struct lexer *lex, const struct substitution *sub, struct strake_buf *out)
{
    bool empty = sub->value != NULL && sub->null_is_unset && sub->value[0] == '\0';
    if (sub->value == NULL || empty)
        return strake_fail(lex->err, STRAKE_EDOCKERFILE, "%s: %s", strake_buf_text(&sub->name),
                           sub->word.len > 0 ? strake_buf_text(&sub->word)
                           : empty           ? "is not allowed to be empty"
                                             : "is not allowed to be unset");
    int rc = strake_buf_puts(out, sub->value);
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int apply_pattern(struct lexer *lex, const struct substitution *sub, struct strake_buf *out)
{
    const char *text = sub->value != NULL ? sub->value : "";
    if (sub->value == NULL && lex->shell->missed != NULL)
        *lex->shell->missed = true;
    struct strake_span value = { text, strlen(text) };
    struct strake_span pattern = { strake_buf_text(&sub->word), sub->word.len };

    if (sub->op == '/') {
        struct strake_span second = { strake_buf_text(&sub->second), sub->second.len };
        return strake_shell_replace(value, pattern, second, sub->twice, lex->shell->work, out,
                                    lex->err);
    }
    bool longest = pattern.len > 0 && pattern.at[0] == sub->op;
    if (longest)
        pattern = strake_span_skip(pattern, 1);
    return strake_shell_trim(value, pattern, sub->op == '%', longest, lex->shell->work, out,
                             lex->err);
}

/* The value, or nothing. */
static int put_value(struct lexer *lex, const char *value, struct strake_buf *out)
{
    if (value == NULL && lex->shell->missed != NULL)
        *lex->shell->missed = true;
    int rc = strake_buf_puts(out, value != NULL ? value : "");
    return rc < 0 ? append_failed(lex, rc) : 0;
}

static int apply(struct lexer *lex, struct substitution *sub, struct strake_buf *out)
{
    sub->value = lex->shell->get(lex->shell->ctx, strake_buf_text(&sub->name));
    if (sub->value == NULL && lex->shell->keep_unset)
        return keep_written(lex, sub, out);
    bool missing = sub->value == NULL || (sub->null_is_unset && sub->value[0] == '\0');
    switch (sub->op) {
    case '}':
        return put_value(lex, sub->value, out);
    case '-':
        return missing ? puts_buf(lex, out, &sub->word) : put_value(lex, sub->value, out);
    case '+':
        return missing ? 0 : puts_buf(lex, out, &sub->word);
    case '?':
        return apply_required(lex, sub, out);
    case '#':
    case '%':
    case '/':
        return apply_pattern(lex, sub, out);
    default:
        return syntax_error(lex, "an unknown operator stands in ${…}");
    }
}

/* The text up to `stop`, read as a level of its own. */
static int lex_nested(struct lexer *lex, uint32_t stop, bool raw_escapes, struct strake_buf *out)
{
    struct sink sink = { 0 };
    bool outer = lex->raw_escapes;
    if (++lex->depth > NEST_MAX)
        return strake_fail(lex->err, STRAKE_ETOOBIG, "${…} is nested too deeply");
    lex->raw_escapes = raw_escapes;
    int rc = lex_stop(lex, stop, &sink, out);
    lex->raw_escapes = outer;
    lex->depth--;
    return rc;
}

/* Behind "${name": the operator and its words. */
static int lex_operator(struct lexer *lex, struct substitution *sub)
{
    sub->written.at = lex->rest.at;
    uint32_t rune = next(lex);
    if (rune == '}') {
        sub->op = '}';
        return 0;
    }
    if (rune == '/') {
        sub->op = '/';
        sub->twice = peek(lex) == '/';
        if (sub->twice)
            next(lex);
        int rc = lex_nested(lex, '/', true, &sub->word);
        return rc < 0 ? rc : lex_nested(lex, '}', true, &sub->second);
    }
    if (rune == ':') {
        sub->null_is_unset = true;
        rune = next(lex);
    } else if (rune != '+' && rune != '-' && rune != '?' && rune != '#' && rune != '%') {
        return syntax_error(lex, "an unknown operator stands in ${…}");
    }
    bool pattern = rune == '#' || rune == '%';
    if (sub->null_is_unset && pattern)
        return syntax_error(lex, "an unknown operator stands in ${…}");
    sub->written.len = (size_t)(lex->rest.at - sub->written.at);
    /* Behind a colon anything may stand, as long as the variable is kept as written. */
    sub->op = rune == '-' || rune == '+' || rune == '?' || pattern ? (char)rune : '\0';
    return lex_nested(lex, '}', pattern, &sub->word);
}

static int lex_braces(struct lexer *lex, struct strake_buf *out)
{
    struct substitution sub = { .name = STRAKE_BUF(RESULT_MAX),
                                .word = STRAKE_BUF(RESULT_MAX),
                                .second = STRAKE_BUF(RESULT_MAX) };
    uint32_t rune = peek(lex);
    if (rune == END)
        return syntax_error(lex, "'${' is not closed");
    if (rune == '{' || rune == '}' || rune == ':')
        return syntax_error(lex, "'${' has no name behind it");
    int rc = lex_name(lex, &sub.name);
    if (rc == 0)
        rc = lex_operator(lex, &sub);
    if (rc == 0)
        rc = apply(lex, &sub, out);
    strake_buf_dispose(&sub.name);
    strake_buf_dispose(&sub.word);
    strake_buf_dispose(&sub.second);
    return rc;
}

static int lex_dollar(struct lexer *lex, struct strake_buf *out)
{
    struct strake_buf name = STRAKE_BUF(RESULT_MAX);
    next(lex);
    if (peek(lex) == '{') {
        next(lex);
        return lex_braces(lex, out);
    }
    int rc = lex_name(lex, &name);
    if (rc == 0) {
        const char *value = NULL;
        if (name.len > 0)
            value = lex->shell->get(lex->shell->ctx, name.data);
        if (name.len > 0 && (value != NULL || !lex->shell->keep_unset))
            rc = put_value(lex, value, out);
        else if ((rc = strake_buf_printf(out, "$%s", strake_buf_text(&name))) < 0)
            rc = append_failed(lex, rc);
    }
    strake_buf_dispose(&name);
    return rc;
}

static int lex_double_quote(struct lexer *lex, struct strake_buf *out)
{
    uint32_t rune = next(lex);
    int rc = lex->shell->raw_quotes ? put(lex, out, rune) : 0;
    while (rc == 0) {
        rune = peek(lex);
        if (rune == END)
            return syntax_error(lex, "a double quote is not closed");
        if (rune == '$') {
            rc = lex_dollar(lex, out);
            continue;
        }
        next(lex);
        if (rune == '"')
            return lex->shell->raw_quotes ? put(lex, out, rune) : 0;
        if (rune == (unsigned char)lex->shell->escape) {
            if (lex->raw_escapes)
                rc = put(lex, out, rune);
            uint32_t escaped = peek(lex);
            if (escaped == END)
                continue;
            if (escaped == '"' || escaped == '$' || escaped == rune)
                rune = next(lex);
        }
        if (rc == 0)
            rc = put(lex, out, rune);
    }
    return rc;
}

/* "<<" and the blanks behind it belong to one word with what follows them. */
static int lex_less(struct lexer *lex, struct strake_buf *out)
{
    int rc = put(lex, out, next(lex));
    if (rc < 0 || peek(lex) != '<')
        return rc;
    rc = put(lex, out, next(lex));
    for (uint32_t rune = peek(lex); rc == 0 && (rune == ' ' || rune == '\t' || rune == '\r');
         rune = peek(lex))
        rc = put(lex, out, next(lex));
    return rc;
}

/* What begins with `rune` and has a meaning: its text goes to `result` and to the words. */
static int lex_special(struct lexer *lex, uint32_t rune, struct sink *sink,
                       struct strake_buf *result)
{
    struct strake_buf text = STRAKE_BUF(RESULT_MAX);
    int rc;
    if (rune == '$')
        rc = lex_dollar(lex, &text);
    else if (rune == '<')
        rc = lex_less(lex, &text);
    else if (rune == '\'')
        rc = lex_single_quote(lex, &text);
    else
        rc = lex_double_quote(lex, &text);
    if (rc == 0)
        rc = puts_buf(lex, result, &text);
    if (rc == 0 && rune == '$') {
        rc = sink_value(lex, sink, &text);
    } else if (rc == 0) {
        sink->in_word = true;
        rc = puts_buf(lex, &lex->word, &text);
    }
    strake_buf_dispose(&text);
    return rc;
}

static int lex_plain(struct lexer *lex, struct sink *sink, struct strake_buf *result)
{
    uint32_t rune = next(lex);
    int rc = 0;
    if (rune == (unsigned char)lex->shell->escape) {
        if (lex->raw_escapes) {
            rc = sink_raw(lex, sink, rune);
            if (rc == 0)
                rc = put(lex, result, rune);
        }
        rune = next(lex);
        if (rc < 0 || rune == END)
            return rc;
        rc = sink_raw(lex, sink, rune);
    } else {
        rc = sink_char(lex, sink, rune);
    }
    return rc < 0 ? rc : put(lex, result, rune);
}

/* Read up to `stop` (END: to the end). */
static int lex_stop(struct lexer *lex, uint32_t stop, struct sink *sink, struct strake_buf *result)
{
    strake_buf_clear(&lex->word);
    for (uint32_t rune = peek(lex); rune != END; rune = peek(lex)) {
        if (rune == stop) {
            next(lex);
            return end_word(lex, sink);
        }
        int rc = rune == '$' || rune == '<' || rune == '\'' || rune == '"'
                     ? lex_special(lex, rune, sink, result)
                     : lex_plain(lex, sink, result);
        if (rc < 0)
            return rc;
    }
    return stop == END ? end_word(lex, sink) : syntax_error(lex, "'${' is not closed");
}

static int lex_all(const struct strake_shell *shell, struct strake_span text,
                   struct strake_strings *words, struct strake_buf *out, struct strake_err *err)
{
    struct lexer lex = { .shell = shell,
                         .rest = text,
                         .word = STRAKE_BUF(RESULT_MAX),
                         .raw_escapes = shell->raw_escapes,
                         .err = err };
    struct sink sink = { .words = words };
    if (text.len >= 3 && memcmp(text.at, "\xEF\xBB\xBF", 3) == 0)
        lex.rest = strake_span_skip(text, 3);
    int rc = lex_stop(&lex, END, &sink, out);
    strake_buf_dispose(&lex.word);
    return rc;
}

int strake_shell_words(const struct strake_shell *shell, struct strake_span text,
                       struct strake_strings *words, struct strake_err *err)
{
    struct strake_buf unused = STRAKE_BUF(RESULT_MAX);
    int rc = lex_all(shell, text, words, &unused, err);
    strake_buf_dispose(&unused);
    return rc;
}

int strake_shell_word(const struct strake_shell *shell, struct strake_span text,
                      struct strake_buf *out, struct strake_err *err)
{
    return lex_all(shell, text, NULL, out, err);
}
