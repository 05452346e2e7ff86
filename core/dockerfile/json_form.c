/* The JSON form of instructions, ["a","b"]: valid JSON or no JSON at all, as Go's decoder decides.
 * No tree is built: only the strings are kept, whatever else stands there is stepped over. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/parse_impl.h"
#include "util/mem.h"

#define DEPTH_MAX 10000 /* Go's own bound: deeper is no JSON */

struct reader {
    const char *at;
    const char *end;
};

static void skip_blank(struct reader *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool take_word(struct reader *in, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
        return false;
    in->at += len;
    return true;
}

static bool take_digits(struct reader *in)
{
    const char *from = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > from;
}

/* A number that Go can hold: 1e999 is none. */
static bool take_number(struct reader *in)
{
    const char *from = in->at;
    take(in, '-');
    if (!take(in, '0') && !take_digits(in))
        return false;
    if (take(in, '.') && !take_digits(in))
        return false;
    if (take(in, 'e') || take(in, 'E')) {
        if (!take(in, '+'))
            take(in, '-');
        if (!take_digits(in))
            return false;
    }
    /* strtod stops by itself: the text is followed by a bracket, a comma or white space. */
    return in->at < in->end && isfinite(strtod(from, NULL));
}

static bool take_hex4(struct reader *in, uint32_t *out)
{
    uint32_t value = 0;
    if (in->end - in->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A' + 10);
        else
            return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

/* Behind "\u": one character, of two halves where it has two; a half alone is STRAKE_RUNE_BAD. */
static bool take_unicode(struct reader *in, uint32_t *rune)
{
    if (!take_hex4(in, rune))
        return false;
    if (*rune < 0xD800 || *rune > 0xDFFF)
        return true;
    struct reader ahead = *in;
    uint32_t low;
    if (*rune <= 0xDBFF && take_word(&ahead, "\\u") && take_hex4(&ahead, &low) && low >= 0xDC00 &&
        low <= 0xDFFF) {
        *rune = 0x10000 + ((*rune - 0xD800) << 10) + (low - 0xDC00);
        *in = ahead;
    } else {
        *rune = STRAKE_RUNE_BAD;
    }
    return true;
}

static bool take_escape(struct reader *in, uint32_t *rune)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return false;
    char c = *in->at++;
    if (c == 'u')
        return take_unicode(in, rune);
    const char *found = memchr(names, c, sizeof(names) - 1);
    if (found == NULL)
        return false;
    *rune = (uint32_t)values[found - names];
    return true;
}

/* A string, from its opening quote on; its text is appended to `out` (NULL: nowhere). @return 1, 0
 * when it is no JSON, or a negative code. */
static int take_string(struct reader *in, struct strake_buf *out)
{
    if (!take(in, '"'))
        return 0;
    while (in->at < in->end) {
        struct strake_span rest = { in->at, (size_t)(in->end - in->at) };
        size_t width;
        uint32_t rune = strake_rune(rest, &width);
        if (rune < 0x20)
            return 0;
        in->at += width;
        if (rune == '"')
            return 1;
        if (rune == '\\' && !take_escape(in, &rune))
            return 0;
        if (rune == 0)
            return STRAKE_EDOCKERFILE; /* no argument of a program can have it */
        int rc = out != NULL ? strake_rune_put(out, rune) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A value that opens nothing. */
static bool take_scalar(struct reader *in)
{
    if (in->at < in->end && *in->at == '"')
        return take_string(in, NULL) == 1;
    return take_word(in, "true") || take_word(in, "false") || take_word(in, "null") ||
           take_number(in);
}

/* "key": of an object. */
static bool take_key(struct reader *in)
{
    skip_blank(in);
    if (take_string(in, NULL) != 1)
        return false;
    skip_blank(in);
    return take(in, ':');
}

/* Step over one value of any kind. A stack and no recursion: the depth is the writer's. */
static bool take_value(struct reader *in, char *open)
{
    size_t depth = 0;
    do {
        skip_blank(in);
        if (in->at < in->end && (*in->at == '[' || *in->at == '{')) {
            if (depth + 1 == DEPTH_MAX) /* the array around it counts too */
                return false;
            char bracket = *in->at++;
            open[depth++] = bracket == '[' ? ']' : '}';
            skip_blank(in);
            if (!take(in, open[depth - 1])) {
                if (bracket == '{' && !take_key(in))
                    return false;
                continue;
            }
            depth--;
        } else if (!take_scalar(in)) {
            return false;
        }
        /* Behind a value: what it closes, then a comma or the end. */
        for (skip_blank(in); depth > 0 && take(in, open[depth - 1]); skip_blank(in))
            depth--;
        if (depth > 0 && (!take(in, ',') || (open[depth - 1] == '}' && !take_key(in))))
            return false;
    } while (depth > 0);
    return true;
}

/* One element. @return 1, 0 when it is no JSON, or a negative code. */
static int take_element(struct reader *in, struct strake_buf *text, char *open, bool *all_strings,
                        struct strake_strings *items)
{
    skip_blank(in);
    if (in->at < in->end && *in->at == '"') {
        strake_buf_clear(text);
        int rc = take_string(in, text);
        if (rc == 1 && *all_strings)
            rc = strake_strings_add_len(items, strake_buf_text(text), text->len);
        else
            return rc;
        return rc < 0 ? rc : 1;
    }
    *all_strings = false;
    return take_value(in, open) ? 1 : 0;
}

static int read_array(struct reader *in, struct strake_buf *text, char *open, bool *all_strings,
                      struct strake_strings *items)
{
    if (!take(in, '['))
        return 0;
    skip_blank(in);
    if (!take(in, ']')) {
        do {
            int rc = take_element(in, text, open, all_strings, items);
            if (rc <= 0)
                return rc;
            skip_blank(in);
        } while (take(in, ','));
        if (!take(in, ']'))
            return 0;
    }
    skip_blank(in);
    return in->at == in->end ? 1 : 0;
}

int strake_json_form(const struct strake_parse *parse, struct strake_span text,
                     struct strake_strings *items)
{
    struct strake_buf string = { 0 };
    bool all_strings = true;
    text = strake_span_trim_left(text);
    if (text.len == 0 || text.at[0] != '[')
        return 0;
    char *open = strake_malloc(DEPTH_MAX);
    if (open == NULL)
        return strake_fail_nomem(parse->err);

    struct reader in = { text.at, text.at + text.len };
    int rc = read_array(&in, &string, open, &all_strings, items);
    if (rc == 1 && !all_strings)
        rc = strake_parse_fail(parse, "a JSON array has something else than strings in it");
    else if (rc == STRAKE_EDOCKERFILE)
        rc = strake_parse_fail(parse, "a JSON array has a NUL character in it");
    else if (rc == STRAKE_ENOMEM)
        rc = strake_fail_nomem(parse->err);
    strake_buf_dispose(&string);
    strake_free(open);
    if (rc <= 0)
        strake_strings_dispose(items);
    return rc;
}
