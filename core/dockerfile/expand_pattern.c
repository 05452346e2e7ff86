/* Patterns of ${x#p} and its kin: `*` any text, `?` one character, `\` an escape, no brackets. They
 * are matched by a set of positions, never by trying again: the cost is pattern times value. */
#include <string.h>

#include "dockerfile/expand.h"

#define PATTERN_MAX 256
#define VALUE_MAX 4096
#define ANY 0xFFFFFFFEu  /* ? */
#define MANY 0xFFFFFFFDu /* * */

struct pattern {
    uint32_t runes[PATTERN_MAX];
    size_t count;
};

struct text {
    uint32_t runes[VALUE_MAX];
    size_t count;
};

static int too_large(struct strake_err *err)
{
    return strake_fail(err, STRAKE_EDOCKERFILE,
                       "a pattern of ${…} is longer than %d characters, or its value than %d",
                       PATTERN_MAX, VALUE_MAX);
}

/* A pattern as it is written. */
struct written {
    uint32_t runes[2 * PATTERN_MAX]; /* each may be escaped */
    size_t count;
};

static int read_written(struct strake_span from, struct written *out, struct strake_err *err)
{
    out->count = 0;
    while (from.len > 0) {
        size_t width;
        if (out->count == 2 * PATTERN_MAX)
            return too_large(err);
        out->runes[out->count++] = strake_rune(from, &width);
        from = strake_span_skip(from, width);
    }
    return 0;
}

/* From back to front, escapes before what they escape. One at the very end escapes what comes to
 * stand behind it then: BuildKit has it so. */
static void reverse_written(struct written *pattern)
{
    const struct written from = *pattern;
    size_t to = from.count;
    for (size_t i = 0; i < from.count; i++) {
        if (from.runes[i] == '\\' && i + 1 < from.count) {
            pattern->runes[--to] = from.runes[i + 1];
            i++;
            pattern->runes[--to] = '\\';
        } else {
            pattern->runes[--to] = from.runes[i];
        }
    }
}

static int compile(const struct written *from, struct pattern *out, struct strake_err *err)
{
    out->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        uint32_t rune = from->runes[i];
        if (rune == '*') {
            rune = MANY;
        } else if (rune == '?') {
            rune = ANY;
        } else if (rune == '\\') {
            uint32_t escaped = i + 1 < from->count ? from->runes[i + 1] : 0;
            if (escaped == '}' || escaped == '/')
                continue; /* escaped for the sake of ${…}, no part of the pattern */
            if (escaped != '*' && escaped != '?' && escaped != '\\')
                return strake_fail(err, STRAKE_EDOCKERFILE,
                                   "a pattern of ${…} has a '\\' before what needs none");
            rune = escaped;
            i++;
        }
        if (out->count == PATTERN_MAX)
            return too_large(err);
        out->runes[out->count++] = rune;
    }
    return 0;
}

static int decode(struct strake_span from, struct text *out, struct strake_err *err)
{
    out->count = 0;
    while (from.len > 0) {
        size_t width;
        if (out->count == VALUE_MAX)
            return too_large(err);
        out->runes[out->count++] = strake_rune(from, &width);
        from = strake_span_skip(from, width);
    }
    return 0;
}

static void reverse(uint32_t *runes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t rune = runes[i];
        runes[i] = runes[count - 1 - i];
        runes[count - 1 - i] = rune;
    }
}

/* From each `*` that is reached, what stands behind it is reached too. */
static void spread(const struct pattern *pattern, bool *live)
{
    for (size_t i = 0; i < pattern->count; i++) {
        if (live[i] && pattern->runes[i] == MANY)
            live[i + 1] = true;
    }
}

/* How many characters from `from` on the pattern takes: the fewest or the most; -1: it does not
 * match there, -2: the work that was allowed is used up. */
static int64_t match(const struct pattern *pattern, const struct text *text, size_t from,
                     bool longest, size_t *work)
{
    bool live[PATTERN_MAX + 1] = { true };
    bool then[PATTERN_MAX + 1];
    int64_t found = -1;

    spread(pattern, live);
    for (size_t at = from;; at++) {
        if (live[pattern->count]) {
            found = (int64_t)(at - from);
            if (!longest)
                return found;
        }
        if (at == text->count)
            return found;
        if (*work < pattern->count + 1)
            return -2;
        *work -= pattern->count + 1;
        bool any = false;
        memset(then, 0, sizeof(then));
        for (size_t i = 0; i < pattern->count; i++) {
            uint32_t want = pattern->runes[i];
            if (!live[i])
                continue;
            if ((want == MANY || want == ANY) && text->runes[at] == '\n')
                continue;
            if (want == MANY)
                then[i] = any = true;
            else if (want == ANY || want == text->runes[at])
                then[i + 1] = any = true;
        }
        if (!any)
            return found;
        memcpy(live, then, sizeof(live));
        spread(pattern, live);
    }
}

static int put_runes(const uint32_t *runes, size_t count, struct strake_buf *out,
                     struct strake_err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = strake_rune_put(out, runes[i]);
        if (rc == STRAKE_ENOMEM)
            return strake_fail_nomem(err);
        if (rc < 0)
            return too_large(err);
    }
    return 0;
}

/* Enough for any pattern on any value once. */
#define WORK_DEFAULT ((size_t)(PATTERN_MAX + 1) * (VALUE_MAX + 1) * 16)

static int out_of_work(struct strake_err *err)
{
    return strake_fail(err, STRAKE_EDOCKERFILE, "the patterns of ${…} take too long to match");
}

int strake_shell_trim(struct strake_span value, struct strake_span pattern, bool suffix,
                      bool longest, size_t *work, struct strake_buf *out, struct strake_err *err)
{
    struct written written;
    struct pattern compiled;
    struct text text;
    size_t own_work = WORK_DEFAULT;
    int rc = read_written(pattern, &written, err);
    if (rc == 0)
        rc = decode(value, &text, err);
    if (rc < 0)
        return rc;
    if (suffix) { /* the shortest and the longest are told from the front */
        reverse_written(&written);
        reverse(text.runes, text.count);
    }
    rc = compile(&written, &compiled, err);
    if (rc < 0)
        return rc;
    int64_t taken = match(&compiled, &text, 0, longest, work != NULL ? work : &own_work);
    if (taken == -2)
        return out_of_work(err);
    size_t cut = taken > 0 ? (size_t)taken : 0;
    size_t left = text.count - cut;
    if (suffix)
        reverse(text.runes, text.count);
    return put_runes(suffix ? text.runes : text.runes + cut, left, out, err);
}

int strake_shell_replace(struct strake_span value, struct strake_span pattern,
                         struct strake_span replacement, bool all, size_t *work,
                         struct strake_buf *out, struct strake_err *err)
{
    struct written written;
    struct pattern compiled;
    struct text text;
    size_t own_work = WORK_DEFAULT;
    int rc = read_written(pattern, &written, err);
    if (rc == 0)
        rc = compile(&written, &compiled, err);
    if (rc == 0)
        rc = decode(value, &text, err);
    if (work == NULL)
        work = &own_work;

    bool done = false;
    size_t last_end = SIZE_MAX; /* an empty match right behind another one is none */
    for (size_t at = 0; rc == 0 && at <= text.count;) {
        int64_t taken = done ? -1 : match(&compiled, &text, at, true, work);
        if (taken == -2)
            return out_of_work(err);
        if (taken > 0 || (taken == 0 && at != last_end)) {
            rc = strake_buf_append(out, replacement.at, replacement.len);
            rc = rc == STRAKE_ENOMEM ? strake_fail_nomem(err) : rc < 0 ? too_large(err) : 0;
            done = !all;
            at += (size_t)taken;
            last_end = at;
        }
        if (taken <= 0) {
            if (rc == 0 && at < text.count)
                rc = put_runes(&text.runes[at], 1, out, err);
            at++;
        }
    }
    return rc;
}
