/* The pattern matcher: a backtracking walk over the pattern's items. */
#include "lua/match.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lua/budget.h"

/* ---- the budget ---- */

static bool stopped(struct strake_match *match)
{
    if (match->error)
        return true;
    if (--match->steps_left < 0)
        match->error = "the pattern takes too many steps: make it simpler, or the text shorter";
    else if ((match->steps_left & 1023) == 0 && match->tick && match->tick(match->ctx) < 0)
        match->error = "stopped";
    return match->error != NULL;
}

static const char *fail(struct strake_match *match, const char *error)
{
    if (!match->error)
        match->error = error;
    return NULL;
}

/* ---- single characters ---- */

/* Where the item that begins at `item` (a character, %x, [set] or .) ends. NULL: malformed. */
static const char *item_end(struct strake_match *match, const char *item)
{
    const char *p = item + 1;

    if (*item == '%')
        return p < match->pattern_end ? p + 1 : fail(match, "malformed pattern (ends with '%')");
    if (*item != '[')
        return p;
    if (p < match->pattern_end && *p == '^')
        p++;
    do { /* the first character belongs to the set, even when it is `]` */
        if (p >= match->pattern_end)
            return fail(match, "malformed pattern (missing ']')");
        p += *p == '%' ? 2 : 1;
    } while (p >= match->pattern_end || *p != ']');
    return p + 1;
}

static bool in_class(unsigned char c, unsigned char class)
{
    bool result;

    switch (tolower(class)) {
    case 'a':
        result = isalpha(c);
        break;
    case 'c':
        result = iscntrl(c);
        break;
    case 'd':
        result = isdigit(c);
        break;
    case 'g':
        result = isgraph(c);
        break;
    case 'l':
        result = islower(c);
        break;
    case 'p':
        result = ispunct(c);
        break;
    case 's':
        result = isspace(c);
        break;
    case 'u':
        result = isupper(c);
        break;
    case 'w':
        result = isalnum(c);
        break;
    case 'x':
        result = isxdigit(c);
        break;
    case 'z': /* of older Lua, still understood by 5.4 */
        result = c == 0;
        break;
    default:
        return class == c;
    }
    return isupper(class) ? !result : result;
}

/* `set` points at '[', `last` at its ']'. */
static bool in_set(unsigned char c, const char *set, const char *last)
{
    const char *p = set + 1;
    bool found = true;

    if (*p == '^') {
        found = false;
        p++;
    }
    while (p < last) {
        if (*p == '%') {
            if (in_class(c, (unsigned char)p[1]))
                return found;
            p += 2;
        } else if (p + 2 < last && p[1] == '-') {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return found;
            p += 3;
        } else if ((unsigned char)*p++ == c) {
            return found;
        }
    }
    return !found;
}

static bool single_matches(const struct strake_match *match, const char *at, const char *item,
                           const char *end)
{
    unsigned char c;

    if (at >= match->subject_end)
        return false;
    c = (unsigned char)*at;
    switch (*item) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)item[1]);
    case '[':
        return in_set(c, item, end - 1);
    default:
        return (unsigned char)*item == c;
    }
}

/* ---- items with a shape of their own ---- */

static const char *match_here(struct strake_match *match, const char *at, const char *pattern);

/* %bxy: text between balanced x and y. */
static const char *match_balance(struct strake_match *match, const char *at, const char *args)
{
    int open = 1;

    if (args + 1 >= match->pattern_end)
        return fail(match, "malformed pattern (missing arguments to '%b')");
    if (at >= match->subject_end || *at != args[0])
        return NULL;
    while (++at < match->subject_end) {
        if (stopped(match))
            return NULL;
        if (*at == args[1]) {
            if (--open == 0)
                return at + 1;
        } else if (*at == args[0]) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]: between a character outside and one inside of the set; NUL stands beyond both ends. */
static const char *match_frontier(struct strake_match *match, const char *at, const char *pattern)
{
    const char *end;
    unsigned char before, here;

    if (pattern >= match->pattern_end || *pattern != '[')
        return fail(match, "missing '[' after '%f' in pattern");
    end = item_end(match, pattern);
    if (!end)
        return NULL;
    before = at == match->subject ? 0 : (unsigned char)at[-1];
    here = at == match->subject_end ? 0 : (unsigned char)*at;
    if (in_set(before, pattern, end - 1) || !in_set(here, pattern, end - 1))
        return NULL;
    return match_here(match, at, end);
}

/* %1 … %9: the text of an earlier capture again. */
static const char *match_back_reference(struct strake_match *match, const char *at,
                                        const char *pattern)
{
    const int index = pattern[1] - '1';
    const struct strake_capture *capture = &match->captures[index >= 0 ? index : 0];

    if (index < 0 || index >= match->capture_count || capture->len == STRAKE_CAPTURE_OPEN)
        return fail(match, "invalid capture index in pattern");
    if (capture->len < 0 || match->subject_end - at < capture->len ||
        memcmp(at, capture->start, (size_t)capture->len) != 0)
        return NULL;
    return match_here(match, at + capture->len, pattern + 2);
}

static const char *open_capture(struct strake_match *match, const char *at, const char *pattern,
                                ptrdiff_t len)
{
    const char *end;

    if (match->capture_count == STRAKE_MATCH_CAPTURES)
        return fail(match, "too many captures");
    match->captures[match->capture_count++] = (struct strake_capture){ .start = at, .len = len };
    end = match_here(match, at, pattern);
    if (!end)
        match->capture_count--;
    return end;
}

static const char *close_capture(struct strake_match *match, const char *at, const char *pattern)
{
    struct strake_capture *capture;
    const char *end;
    int i = match->capture_count - 1;

    while (i >= 0 && match->captures[i].len != STRAKE_CAPTURE_OPEN)
        i--;
    if (i < 0)
        return fail(match, "invalid pattern capture");
    capture = &match->captures[i];
    capture->len = at - capture->start;
    end = match_here(match, at, pattern);
    if (!end)
        capture->len = STRAKE_CAPTURE_OPEN;
    return end;
}

/* ---- repetition ---- */

/* As many as possible, then fewer. */
static const char *match_longest(struct strake_match *match, const char *at, const char *item,
                                 const char *end)
{
    ptrdiff_t count = 0;

    while (single_matches(match, at + count, item, end)) {
        if (stopped(match))
            return NULL;
        count++;
    }
    for (; count >= 0; count--) {
        const char *result = match_here(match, at + count, end + 1);
        if (result || match->error)
            return result;
    }
    return NULL;
}

/* As few as possible, then more. */
static const char *match_shortest(struct strake_match *match, const char *at, const char *item,
                                  const char *end)
{
    for (;;) {
        const char *result = match_here(match, at, end + 1);
        if (result || match->error)
            return result;
        if (!single_matches(match, at, item, end))
            return NULL;
        at++;
    }
}

/* ---- the walk ---- */

/* An item and what may follow it. @return the end; or NULL with *next set: go on there at *at. */
static const char *match_item(struct strake_match *match, const char **at, const char *pattern,
                              const char **next)
{
    const char *end = item_end(match, pattern);
    const char suffix = end && end < match->pattern_end ? *end : '\0';
    const char *result;

    if (!end)
        return NULL;
    switch (suffix) {
    case '?':
        if (single_matches(match, *at, pattern, end)) {
            result = match_here(match, *at + 1, end + 1);
            if (result || match->error)
                return result;
        }
        *next = end + 1;
        return NULL;
    case '+':
        return single_matches(match, *at, pattern, end)
                   ? match_longest(match, *at + 1, pattern, end)
                   : NULL;
    case '*':
        return match_longest(match, *at, pattern, end);
    case '-':
        return match_shortest(match, *at, pattern, end);
    default:
        if (single_matches(match, *at, pattern, end)) {
            ++*at;
            *next = end;
        }
        return NULL;
    }
}

/* %b, %f, %1: @return true when the item is one of them, with its outcome in *result or *next. */
static bool match_escape(struct strake_match *match, const char **at, const char *pattern,
                         const char **result, const char **next)
{
    if (pattern + 1 >= match->pattern_end)
        return false;
    if (pattern[1] == 'b') {
        *at = match_balance(match, *at, pattern + 2);
        *next = *at ? pattern + 4 : NULL;
        return true;
    }
    if (pattern[1] == 'f') {
        *result = match_frontier(match, *at, pattern + 2);
        return true;
    }
    if (isdigit((unsigned char)pattern[1])) {
        *result = match_back_reference(match, *at, pattern);
        return true;
    }
    return false;
}

static const char *walk(struct strake_match *match, const char *at, const char *pattern)
{
    while (pattern < match->pattern_end) {
        const char *next = NULL, *result = NULL;
        if (stopped(match))
            return NULL;
        switch (*pattern) {
        case '(':
            if (pattern + 1 < match->pattern_end && pattern[1] == ')')
                return open_capture(match, at, pattern + 2, STRAKE_CAPTURE_POSITION);
            return open_capture(match, at, pattern + 1, STRAKE_CAPTURE_OPEN);
        case ')':
            return close_capture(match, at, pattern + 1);
        case '$':
            if (pattern + 1 == match->pattern_end)
                return at == match->subject_end ? at : NULL;
            result = match_item(match, &at, pattern, &next);
            break;
        case '%':
            if (!match_escape(match, &at, pattern, &result, &next))
                result = match_item(match, &at, pattern, &next);
            break;
        default:
            result = match_item(match, &at, pattern, &next);
            break;
        }
        if (result || !next)
            return result;
        pattern = next;
    }
    return at;
}

static const char *match_here(struct strake_match *match, const char *at, const char *pattern)
{
    const char *end;

    if (match->depth == STRAKE_LUA_MATCH_DEPTH)
        return fail(match, "pattern too complex");
    match->depth++;
    end = walk(match, at, pattern);
    match->depth--;
    return match->error ? NULL : end;
}

const char *strake_match_at(struct strake_match *match, const char *at, const char *pattern)
{
    match->depth = 0;
    match->capture_count = 0;
    return match_here(match, at, pattern);
}
