/* From JavaScript's regular expressions to PCRE2's: what only one of them knows, or reads otherwise. */
#include <ctype.h>
#include <string.h>

#include "util/jsregex.h"

struct translation {
    const char *pattern, *at;
    bool unicode, dot_all;
    bool named;      /* there are groups with names */
    int groups;      /* in the whole pattern */
    bool can_repeat; /* what stands before may have a quantifier */
    struct strake_buf *out;
    struct strake_err *err;
};

static int refuse(struct translation *t, const char *why)
{
    return strake_fail(t->err, STRAKE_ECONFIG, "'%s' is no regular expression: %s", t->pattern,
                       why);
}

static int put(struct translation *t, const char *text, size_t len)
{
    const int rc = strake_buf_append(t->out, text, len);

    return rc < 0 ? strake_fail_nomem(t->err) : 0;
}

static int puts_text(struct translation *t, const char *text)
{
    return put(t, text, strlen(text));
}

static int put_code(struct translation *t, unsigned code)
{
    return strake_buf_printf(t->out, "\\x{%x}", code) < 0 ? strake_fail_nomem(t->err) : 0;
}

/* One character as itself, whatever it means elsewhere. */
static int put_literal(struct translation *t, char c)
{
    const char text[2] = { '\\', c };
    const bool plain = isalnum((unsigned char)c) || (c & 0x80) || c == '_';

    return put(t, plain ? text + 1 : text, plain ? 1 : 2);
}

/* Groups are counted before: \2 is a reference only where there is a second one. */
static void count_groups(struct translation *t)
{
    bool in_class = false;

    for (const char *p = t->pattern; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (in_class) {
            in_class = *p != ']';
        } else if (*p == '[') {
            in_class = true;
        } else if (*p == '(' && p[1] != '?') {
            t->groups++;
        } else if (strncmp(p, "(?<", 3) == 0 && p[3] != '=' && p[3] != '!') {
            t->groups++;
            t->named = true;
        }
    }
}

/* ---- escapes ---- */

/* `digits` hexadecimal ones at `at`, or -1. */
static long hex(const char *at, int digits)
{
    long value = 0;

    for (int i = 0; i < digits; i++) {
        const unsigned char c = (unsigned char)at[i];
        if (!isxdigit(c))
            return -1;
        value = value * 16 + (isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    return value;
}

/* \uHHHH, a pair of surrogates, \u{H…} with the flag u. `at` is behind the u. */
static int take_unicode(struct translation *t, const char *at)
{
    long code = hex(at, 4), low;

    if (t->unicode && *at == '{') {
        const char *end = strchr(at, '}');
        const long len = end ? end - at - 1 : 0;
        if (len < 1 || len > 6 || (code = hex(at + 1, (int)len)) < 0 || code > 0x10ffff)
            return refuse(t, "\\u{…} names no character");
        t->at = end + 1;
        return put_code(t, (unsigned)code);
    }
    if (code < 0) {
        t->at = at;
        return t->unicode ? refuse(t, "\\u names no character") : put_literal(t, 'u');
    }
    t->at = at + 4;
    if (code >= 0xd800 && code < 0xdc00 && at[4] == '\\' && at[5] == 'u' &&
        (low = hex(at + 6, 4)) >= 0xdc00 && low < 0xe000) {
        t->at = at + 10;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xd800 && code < 0xe000) {
        return refuse(t, "half of a character (a lone surrogate) is not supported");
    }
    return put_code(t, (unsigned)code);
}

/* \1…: a reference where there is such a group, else a character in octal digits, else the digit. */
static int take_digits(struct translation *t, bool in_class)
{
    const char *p = t->at;
    unsigned code = 0;
    int number = 0;

    while (isdigit((unsigned char)*p) && number < 1000)
        number = number * 10 + (*p++ - '0');
    if (!in_class && *t->at != '0' && number <= t->groups) {
        t->at = p;
        return strake_buf_printf(t->out, "\\g{%d}", number) < 0 ? strake_fail_nomem(t->err) : 0;
    }
    if (t->unicode && !(t->at[0] == '0' && !isdigit((unsigned char)t->at[1])))
        return refuse(t, "a reference to a group that does not exist");
    if (*t->at >= '8')
        return put_literal(t, *t->at++);
    for (int i = 0; i < 3 && *t->at >= '0' && *t->at <= '7' && code < 040; i++)
        code = code * 8 + (unsigned)(*t->at++ - '0');
    return put_code(t, code);
}

/* \k<name>, where there are names at all. */
static int take_name(struct translation *t)
{
    const char *end = t->at[1] == '<' ? strchr(t->at, '>') : NULL;
    int rc;

    if (!t->named) {
        t->at++;
        return put_literal(t, 'k');
    }
    if (!end)
        return refuse(t, "\\k without a name");
    rc = puts_text(t, "\\");
    if (rc == 0)
        rc = put(t, t->at, (size_t)(end + 1 - t->at));
    t->at = end + 1;
    return rc;
}

/* \p{L} means something with the flag u only. */
static int take_property(struct translation *t)
{
    const char *end = t->unicode && t->at[1] == '{' ? strchr(t->at, '}') : NULL;
    int rc;

    if (!t->unicode)
        return put_literal(t, *t->at++);
    if (!end)
        return refuse(t, "\\p without a property");
    rc = puts_text(t, "\\");
    if (rc == 0)
        rc = put(t, t->at, (size_t)(end + 1 - t->at));
    t->at = end + 1;
    return rc;
}

/* All blanks of Unicode; PCRE2's own is of ASCII. */
static int take_space(struct translation *t, bool not, bool in_class)
{
    static const char blanks[] = "\\s\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
                                 "\\x{205f}\\x{3000}\\x{feff}";
    int rc;

    if (in_class)
        return puts_text(t, not ? "\\S" : blanks);
    rc = puts_text(t, not ? "[^" : "[");
    if (rc == 0)
        rc = puts_text(t, blanks);
    return rc < 0 ? rc : puts_text(t, "]");
}

/* t->at is behind the backslash. */
static int take_escape(struct translation *t, bool in_class)
{
    const char c = *t->at;
    char text[3] = { '\\', c, '\0' };
    long code;

    t->can_repeat = true;
    if (!c)
        return refuse(t, "it ends with a backslash");
    if (isdigit((unsigned char)c))
        return take_digits(t, in_class);
    switch (c) {
    case 'b':
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        t->at++;
        return puts_text(t, text);
    case 's':
    case 'S':
        t->at++;
        return take_space(t, c == 'S', in_class);
    case 'B':
        t->at++;
        return in_class ? put_literal(t, c) : puts_text(t, text);
    case 'v':
        t->at++;
        return put_code(t, 0x0b);
    case 'c':
        if (isalpha((unsigned char)t->at[1])) {
            t->at += 2;
            return put_code(t, (unsigned)t->at[-1] & 31);
        }
        return put_literal(t, '\\'); /* the c is one of its own */
    case 'x':
        code = hex(t->at + 1, 2);
        t->at += code < 0 ? 1 : 3;
        return code < 0 ? put_literal(t, 'x') : put_code(t, (unsigned)code);
    case 'u':
        return take_unicode(t, t->at + 1);
    case 'k':
        return in_class ? put_literal(t, *t->at++) : take_name(t);
    case 'p':
    case 'P':
        return take_property(t);
    default:
        t->at++;
        return put_literal(t, c);
    }
}

/* ---- classes ---- */

static bool is_set(const char *at)
{
    return at[0] == '\\' && at[1] && strchr("dDwWsS", at[1]);
}

/* [ … ]: inside, only `]`, `\` and the hyphen between two characters mean something. */
static int take_class(struct translation *t)
{
    bool after_set = false;
    int rc = puts_text(t, "[");

    t->at++;
    if (rc == 0 && *t->at == '^') {
        rc = puts_text(t, "^");
        t->at++;
    }
    while (rc == 0 && *t->at != ']') {
        const bool set = is_set(t->at);
        if (!*t->at)
            return refuse(t, "a class '[' does not end");
        if (*t->at == '\\') {
            t->at++;
            rc = take_escape(t, true);
        } else if (*t->at == '-') { /* beside \d and the like it is itself */
            rc = puts_text(t, after_set || is_set(t->at + 1) ? "\\-" : "-");
            t->at++;
        } else if (*t->at == '[') {
            rc = puts_text(t, "\\[");
            t->at++;
        } else {
            rc = put(t, t->at++, 1);
        }
        after_set = set;
    }
    if (rc == 0)
        rc = puts_text(t, "]");
    t->at += *t->at == ']';
    t->can_repeat = true;
    return rc;
}

/* ---- groups and quantifiers ---- */

/* (?: (?= (?! (?<= (?<! (?<name> (?i: and nothing else. */
static int take_group(struct translation *t)
{
    const char *p = t->at + 1, *end;

    t->can_repeat = false;
    if (*p != '?') {
        if (*p == '*')
            return refuse(t, "there is nothing to repeat");
        t->at++;
        return puts_text(t, "(");
    }
    p++;
    if (*p && strchr(":=!", *p)) {
        end = p + 1;
    } else if (p[0] == '<' && (p[1] == '=' || p[1] == '!')) {
        end = p + 2;
    } else if (p[0] == '<') {
        for (end = p + 1; isalnum((unsigned char)*end) || *end == '_'; end++)
            ;
        if (end == p + 1 || *end != '>' || isdigit((unsigned char)p[1]))
            return refuse(t, "a group has a name that cannot be used");
        end++;
    } else {
        end = p + strspn(p, "ims");
        if (*end == '-')
            end += 1 + strspn(end + 1, "ims");
        if (*end != ':' || end == p)
            return refuse(t, "JavaScript knows no such group");
        end++;
    }
    p = t->at;
    t->at = end;
    return put(t, p, (size_t)(end - p));
}

/* {2} {2,} {2,5}: @return behind it, or NULL: the brace is a character */
static const char *counted_end(const char *at)
{
    const char *p = at + 1;

    if (!isdigit((unsigned char)*p))
        return NULL;
    while (isdigit((unsigned char)*p))
        p++;
    if (*p == ',') {
        p++;
        while (isdigit((unsigned char)*p))
            p++;
    }
    return *p == '}' ? p + 1 : NULL;
}

static int take_quantifier(struct translation *t, const char *end)
{
    const char *from = t->at;

    if (!t->can_repeat)
        return refuse(t, "there is nothing to repeat");
    end += *end == '?';
    t->at = end;
    t->can_repeat = false; /* no a++ */
    return put(t, from, (size_t)(end - from));
}

static int take_brace(struct translation *t)
{
    const char *end = counted_end(t->at);

    if (end)
        return take_quantifier(t, end);
    if (t->unicode)
        return refuse(t, "a brace stands alone");
    t->can_repeat = true;
    t->at++;
    return puts_text(t, "\\{");
}

static int take_one(struct translation *t)
{
    const char c = *t->at;

    switch (c) {
    case '\\':
        t->at++;
        return take_escape(t, false);
    case '[':
        return take_class(t);
    case '(':
        return take_group(t);
    case '*':
    case '+':
    case '?':
        return take_quantifier(t, t->at + 1);
    case '{':
        return take_brace(t);
    case '}':
    case ']':
        t->at++;
        t->can_repeat = true;
        return t->unicode ? refuse(t, "a bracket stands alone") : put_literal(t, c);
    case '.':
        t->at++;
        t->can_repeat = true;
        return puts_text(t, t->dot_all ? "." : "[^\\n\\r\\x{2028}\\x{2029}]");
    case '^':
    case '$':
    case '|':
        t->can_repeat = false;
        t->at++;
        return put(t, &c, 1);
    default: /* `)` too: what is in the group may be repeated */
        t->can_repeat = true;
        t->at++;
        return put(t, &c, 1);
    }
}

int strake_jsregex_translate(const char *pattern, bool unicode, bool dot_all,
                             struct strake_buf *out, struct strake_err *err)
{
    struct translation t = { .pattern = pattern,
                             .at = pattern,
                             .unicode = unicode,
                             .dot_all = dot_all,
                             .out = out,
                             .err = err };
    int rc = 0;

    count_groups(&t);
    while (rc == 0 && *t.at)
        rc = take_one(&t);
    return rc;
}
