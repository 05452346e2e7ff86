/* Words of an instruction. BuildKit splits in three ways, each with habits of its own: flags byte
 * by byte, ENV and its kin character by character, the rest on blanks. */
#include <string.h>

#include "dockerfile/parse_impl.h"

/* [\t\v\f\r ] */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

size_t strake_words_until_blank(struct strake_span text, size_t *blank)
{
    size_t len = 0;
    while (len < text.len && !is_blank(text.at[len]))
        len++;
    size_t end = len;
    while (end < text.len && is_blank(text.at[end]))
        end++;
    *blank = end - len;
    return len;
}

static int no_room(const struct strake_parse *parse, int rc)
{
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(parse->err);
    return rc;
}

enum phase { IN_SPACES, IN_WORD, IN_QUOTE };

/* A word in the making. `quoted`: it had quotes, so that it counts even when it is empty. */
struct word {
    const struct strake_parse *parse;
    struct strake_buf text;
    struct strake_strings *out;
    enum phase phase;
    char quote;
    bool quoted;
};

static int finish(struct word *word)
{
    int rc = 0;
    if (word->quoted || word->text.len > 0)
        rc = strake_strings_add_len(word->out, strake_buf_text(&word->text), word->text.len);
    strake_buf_clear(&word->text);
    word->quoted = false;
    return rc;
}

static bool is_lone_dashes(const struct word *word)
{
    return word->text.len == 2 && memcmp(word->text.data, "--", 2) == 0;
}

/* Step over one byte of a flag that is no white space; *at is moved to its last byte. Bytes count
 * as Latin-1 characters here, in BuildKit too. */
static int flag_byte(struct word *word, struct strake_span line, size_t *at)
{
    unsigned char c = (unsigned char)line.at[*at];
    if (word->phase == IN_WORD && (c == '\'' || c == '"')) {
        word->quote = (char)c;
        word->quoted = true;
        word->phase = IN_QUOTE;
        return 0;
    }
    if (word->phase == IN_QUOTE && c == (unsigned char)word->quote) {
        word->phase = IN_WORD;
        return 0;
    }
    if (c == (unsigned char)word->parse->escape) {
        if (*at + 1 == line.len) {
            word->phase = IN_WORD;
            return 0; /* an escape at the end is dropped */
        }
        c = (unsigned char)line.at[++*at];
    }
    return strake_rune_put(&word->text, c);
}

/* Take the words that begin with `--` off the front of `line`; *rest is what stands behind them. */
static int take_flags(struct word *word, struct strake_span line, struct strake_span *rest)
{
    int rc = 0;
    *rest = (struct strake_span){ line.at + line.len, 0 };
    for (size_t at = 0; at < line.len && rc == 0; at++) {
        bool space = strake_rune_is_space((unsigned char)line.at[at]);
        if (word->phase == IN_SPACES) {
            if (space)
                continue;
            if (line.at[at] != '-' || at + 1 == line.len || line.at[at + 1] != '-') {
                *rest = strake_span_skip(line, at);
                return 0;
            }
            word->phase = IN_WORD;
        }
        if (word->phase == IN_WORD && space) {
            word->phase = IN_SPACES;
            if (is_lone_dashes(word)) {
                *rest = strake_span_skip(line, at);
                return 0;
            }
            rc = finish(word);
            continue;
        }
        rc = flag_byte(word, line, &at);
    }
    if (rc == 0 && word->phase != IN_SPACES && !is_lone_dashes(word))
        rc = finish(word);
    return rc;
}

int strake_words_command(const struct strake_parse *parse, struct strake_span line,
                         struct strake_span *keyword, struct strake_strings *flags,
                         struct strake_span *args)
{
    struct word word = { .parse = parse, .out = flags };
    size_t blank;

    line = strake_span_trim(line);
    size_t len = strake_words_until_blank(line, &blank);
    *keyword = (struct strake_span){ line.at, len };
    int rc = take_flags(&word, strake_span_skip(line, len + blank), args);
    *args = strake_span_trim(*args);
    strake_buf_dispose(&word.text);
    return no_room(parse, rc);
}

/* Put the character at *at into the word, with the one that it escapes. */
static int quoted_char(struct word *word, struct strake_span text, size_t *at, uint32_t rune,
                       size_t width)
{
    bool escapes = rune == (unsigned char)word->parse->escape;
    if (word->phase == IN_WORD) {
        if (rune == '\'' || rune == '"') {
            word->quote = (char)rune;
            word->quoted = true;
            word->phase = IN_QUOTE;
        }
    } else {
        if (rune == (unsigned char)word->quote)
            word->phase = IN_WORD;
        escapes = escapes && word->quote != '\'';
    }
    if (escapes && *at + width == text.len) {
        word->phase = IN_WORD;
        *at += width;
        return 0; /* an escape at the end is dropped */
    }
    int rc = strake_rune_put(&word->text, rune);
    *at += width;
    if (rc == 0 && escapes) {
        rune = strake_rune(strake_span_skip(text, *at), &width);
        rc = strake_rune_put(&word->text, rune);
        *at += width;
    }
    return rc;
}

int strake_words_quoted(const struct strake_parse *parse, struct strake_span text,
                        struct strake_strings *words)
{
    struct word word = { .parse = parse, .out = words };
    int rc = 0;

    for (size_t at = 0; at < text.len && rc == 0;) {
        size_t width;
        uint32_t rune = strake_rune(strake_span_skip(text, at), &width);
        if (word.phase != IN_QUOTE && strake_rune_is_space(rune)) {
            if (word.phase == IN_WORD)
                rc = finish(&word);
            word.phase = IN_SPACES;
            at += width;
            continue;
        }
        if (word.phase == IN_SPACES)
            word.phase = IN_WORD;
        rc = quoted_char(&word, text, &at, rune, width);
    }
    if (rc == 0 && word.phase != IN_SPACES)
        rc = finish(&word);
    strake_buf_dispose(&word.text);
    return no_room(parse, rc);
}

int strake_words_blank(const struct strake_parse *parse, struct strake_span text,
                       struct strake_strings *words)
{
    while (text.len > 0) {
        size_t blank;
        size_t len = strake_words_until_blank(text, &blank);
        int rc = strake_strings_add_len(words, text.at, len);
        if (rc < 0)
            return no_room(parse, rc);
        text = strake_span_skip(text, len + blank);
        if (blank > 0 && text.len == 0) /* a split has an empty piece behind the last blank */
            return no_room(parse, strake_strings_add_len(words, "", 0));
    }
    return 0;
}
