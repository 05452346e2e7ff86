/* .dockerignore: its lines, and what becomes of a path. */
#include <string.h>

#include "dockerfile/ignore_impl.h"
#include "util/fs.h"
#include "util/mem.h"

#define IGNORE_FILE ".dockerignore"
#define IGNORE_MAX ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)65535)

struct pattern {
    char *text;     /* clean, without the `!` */
    bool exception; /* it had one */
    struct strake_glob *glob;
};

struct strake_ignore {
    struct pattern *patterns;
    size_t count;
    size_t cap;
    bool exceptions;       /* there is one */
    bool plain_exceptions; /* and none of them has a wildcard before its end */
};

static bool starts_with(struct strake_span text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.at, prefix, len) == 0;
}

/* Take the last component off the path that `out` holds, down to `root` bytes. */
static void drop_last(struct strake_buf *out, size_t root)
{
    size_t len = out->len;
    while (len > root && out->data[len - 1] != '/')
        len--;
    if (len > root)
        len--;
    out->len = len;
    out->data[len] = '\0';
}

static bool ends_in_parent(const struct strake_buf *out, size_t root)
{
    size_t len = out->len - root;
    const char *end = out->data + out->len;
    return len >= 2 && end[-1] == '.' && end[-2] == '.' && (len == 2 || end[-3] == '/');
}

/* The shortest path that says the same: Go's filepath.Clean, by text alone. Cleared first. */
static int clean(struct strake_span path, struct strake_buf *out)
{
    bool rooted = path.len > 0 && path.at[0] == '/';
    size_t root = rooted ? 1 : 0;
    strake_buf_clear(out);
    int rc = rooted ? strake_buf_putc(out, '/') : strake_buf_append(out, "", 0);
    while (rc == 0 && path.len > 0) {
        const char *slash = memchr(path.at, '/', path.len);
        struct strake_span part = { path.at, slash ? (size_t)(slash - path.at) : path.len };
        path = strake_span_skip(path, part.len + (slash != NULL ? 1 : 0));
        if (part.len == 0 || strake_span_is(part, "."))
            continue;
        if (strake_span_is(part, "..")) {
            if (out->len > root && !ends_in_parent(out, root)) {
                drop_last(out, root);
                continue;
            }
            if (rooted)
                continue; /* there is nothing above the root */
        }
        if (out->len > root)
            rc = strake_buf_putc(out, '/');
        if (rc == 0)
            rc = strake_buf_append(out, part.at, part.len);
    }
    return rc == 0 && out->len == 0 ? strake_buf_putc(out, '.') : rc;
}

/* "/foo" is "foo": all patterns are relative to the context. Twice clean, because the text with its
 * `!` is cleaned once more. */
static int normalise(struct strake_span line, struct strake_buf *out, struct strake_buf *scratch)
{
    bool exception = line.at[0] == '!';
    if (exception)
        line = strake_span_trim(strake_span_skip(line, 1));
    strake_buf_clear(scratch);
    int rc = exception ? strake_buf_putc(scratch, '!') : 0;
    if (rc == 0 && line.len > 0) {
        rc = clean(line, out);
        size_t from = out->len > 1 && out->data[0] == '/' ? 1 : 0;
        if (rc == 0)
            rc = strake_buf_append(scratch, out->data + from, out->len - from);
    }
    if (rc < 0)
        return rc;
    return clean(strake_span_trim((struct strake_span){ strake_buf_text(scratch), scratch->len }),
                 out);
}

/* The pattern without "/" and "**", or "*", at its end. */
static struct strake_span without_wild_end(const char *text)
{
    struct strake_span span = { text, strlen(text) };
    if (span.len >= 3 && strcmp(text + span.len - 3, "/**") == 0)
        span.len -= 3;
    if (span.len >= 2 && memcmp(span.at + span.len - 2, "/*", 2) == 0)
        span.len -= 2;
    return span;
}

static bool is_plain(const char *text)
{
    struct strake_span span = without_wild_end(text);
    for (size_t i = 0; i < span.len; i++) {
        if (strchr("*[]?^\\", span.at[i]) != NULL)
            return false;
    }
    return true;
}

static int add_pattern(struct strake_ignore *ignore, const char *text, struct strake_err *err)
{
    if (ignore->count == STRAKE_PATTERNS_MAX)
        return strake_fail(err, STRAKE_EDOCKERFILE, "there are more than %d patterns",
                           STRAKE_PATTERNS_MAX);
    if (ignore->count == ignore->cap) {
        size_t cap = ignore->cap == 0 ? 16 : ignore->cap * 2;
        struct pattern *grown = strake_reallocarray(ignore->patterns, cap, sizeof(*grown));
        if (grown == NULL)
            return strake_fail_nomem(err);
        ignore->patterns = grown;
        ignore->cap = cap;
    }
    struct pattern pattern = { .exception = text[0] == '!' };
    text += pattern.exception ? 1 : 0;
    if (*text == '\0')
        return strake_fail(err, STRAKE_EDOCKERFILE, "'!' excepts nothing");
    int rc = strake_glob_new((struct strake_span){ text, strlen(text) }, &pattern.glob, err);
    if (rc < 0) {
        strake_err_prefix(err, "the pattern '%s': ", text);
        return rc;
    }
    pattern.text = strake_strdup(text);
    if (pattern.text == NULL) {
        strake_glob_free(pattern.glob);
        return strake_fail_nomem(err);
    }
    ignore->patterns[ignore->count++] = pattern;
    if (pattern.exception) {
        ignore->exceptions = true;
        ignore->plain_exceptions = ignore->plain_exceptions && is_plain(text);
    }
    return 0;
}

static int add_line(struct strake_ignore *ignore, struct strake_span line, struct strake_err *err)
{
    struct strake_buf pattern = { 0 };
    struct strake_buf scratch = { 0 };
    if (starts_with(line, "#"))
        return 0;
    line = strake_span_trim(line);
    if (line.len == 0)
        return 0;
    int rc = normalise(line, &pattern, &scratch);
    rc = rc < 0 ? strake_fail_nomem(err) : add_pattern(ignore, strake_buf_text(&pattern), err);
    strake_buf_dispose(&pattern);
    strake_buf_dispose(&scratch);
    return rc;
}

static int add_lines(struct strake_ignore *ignore, struct strake_span text, struct strake_err *err)
{
    if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
        return strake_fail(err, STRAKE_EDOCKERFILE, "there is a NUL byte");
    for (int number = 1; text.len > 0; number++) {
        const char *newline = memchr(text.at, '\n', text.len);
        struct strake_span line = { text.at, newline ? (size_t)(newline - text.at) : text.len };
        text = strake_span_skip(text, line.len + (newline != NULL ? 1 : 0));
        if (line.len > LINE_MAX_BYTES)
            return strake_fail(err, STRAKE_EDOCKERFILE, "line %d has more than %zu bytes", number,
                               LINE_MAX_BYTES);
        if (number == 1 && starts_with(line, "\xEF\xBB\xBF"))
            line = strake_span_skip(line, 3);
        int rc = add_line(ignore, line, err);
        if (rc < 0) {
            strake_err_prefix(err, "line %d: ", number);
            return rc;
        }
    }
    return 0;
}

int strake_ignore_parse(const char *data, size_t len, struct strake_ignore **out,
                        struct strake_err *err)
{
    struct strake_ignore *ignore = strake_calloc(1, sizeof(*ignore));
    *out = NULL;
    if (ignore == NULL)
        return strake_fail_nomem(err);
    ignore->plain_exceptions = true;
    int rc = add_lines(ignore, (struct strake_span){ data, len }, err);
    if (rc < 0) {
        strake_ignore_free(ignore);
        return rc;
    }
    *out = ignore;
    return 0;
}

size_t strake_ignore_count(const struct strake_ignore *ignore)
{
    return ignore != NULL ? ignore->count : 0;
}

bool strake_ignore_step(const struct strake_ignore *ignore, struct strake_span path,
                        const bool *parent, bool *own)
{
    bool ignored = false;
    for (size_t i = 0; i < ignore->count; i++) {
        const struct pattern *pattern = &ignore->patterns[i];
        bool match = parent != NULL && parent[i];
        /* A pattern that could change nothing is not asked, and is then not known to match below
         * either: BuildKit's walk has it so, and what is sent depends on it. */
        if (!match && pattern->exception == ignored)
            match = strake_glob_matches(pattern->glob, path);
        own[i] = match;
        if (match)
            ignored = !pattern->exception;
    }
    return ignored;
}

bool strake_ignore_reaches(const struct strake_ignore *ignore, struct strake_span path)
{
    if (!ignore->exceptions)
        return false;
    if (!ignore->plain_exceptions)
        return true;
    for (size_t i = 0; i < ignore->count; i++) {
        if (!ignore->patterns[i].exception)
            continue;
        struct strake_span plain = without_wild_end(ignore->patterns[i].text);
        if (plain.len >= path.len && memcmp(plain.at, path.at, path.len) == 0 &&
            (plain.len == path.len || plain.at[path.len] == '/'))
            return true;
    }
    return false;
}

bool strake_ignore_matches(const struct strake_ignore *ignore, const char *path)
{
    bool states[STRAKE_PATTERNS_MAX];
    bool ignored = false;
    bool top = true;
    for (const char *end = path; ignore != NULL && ignore->count > 0; end++) {
        end += strcspn(end, "/");
        struct strake_span prefix = { path, (size_t)(end - path) };
        ignored = strake_ignore_step(ignore, prefix, top ? NULL : states, states);
        top = false;
        if (*end == '\0')
            break;
    }
    return ignored;
}

void strake_ignore_free(struct strake_ignore *ignore)
{
    if (ignore == NULL)
        return;
    for (size_t i = 0; i < ignore->count; i++) {
        strake_free(ignore->patterns[i].text);
        strake_glob_free(ignore->patterns[i].glob);
    }
    strake_free(ignore->patterns);
    strake_free(ignore);
}

/* Read and parse `path`, which it owns. STRAKE_ENOTFOUND: there is none. */
static int load(char *path, struct strake_ignore **out, struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(IGNORE_MAX);
    if (path == NULL)
        return strake_fail_nomem(err);
    int rc = strake_fs_read(path, IGNORE_MAX, &text, err);
    if (rc == 0) {
        rc = strake_ignore_parse(strake_buf_text(&text), text.len, out, err);
        if (rc < 0)
            strake_err_prefix(err, "%s: ", path);
    }
    strake_buf_dispose(&text);
    strake_free(path);
    return rc;
}

int strake_ignore_load(const char *context, const char *dockerfile, struct strake_ignore **out,
                       struct strake_err *err)
{
    int rc = STRAKE_ENOTFOUND;
    *out = NULL;
    if (*dockerfile != '\0')
        rc = load(strake_asprintf("%s" IGNORE_FILE, dockerfile), out, err);
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        rc = load(strake_fs_join(context, IGNORE_FILE), out, err);
    }
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        rc = 0;
    }
    return rc;
}
