/* One pattern of .dockerignore. moby/patternmatcher turns it into a regular expression, and some of
 * what users rely on follows from that (`[?]`, `\d`, `|` beside a wildcard): so the same expression
 * is made here, and run on a matcher of our own that never tries again. */
#include <string.h>

#include "dockerfile/ignore_impl.h"
#include "dockerfile/regex.h"
#include "util/mem.h"

enum kind { EXACT, PREFIX, SUFFIX, REGEX };

struct strake_glob {
    enum kind kind;
    char *text; /* what is compared, of all but REGEX */
    size_t len;
    struct strake_regex *regex;
};

static int bad(struct strake_err *err, const char *problem)
{
    return strake_fail(err, STRAKE_EDOCKERFILE, "%s", problem);
}

/* One character of a class, perhaps escaped. @return false: there is none. */
static bool class_char(struct strake_span *rest, uint32_t *rune)
{
    size_t width;
    if (rest->len == 0 || rest->at[0] == '-' || rest->at[0] == ']')
        return false;
    if (rest->at[0] == '\\')
        *rest = strake_span_skip(*rest, 1);
    if (rest->len == 0)
        return false;
    *rune = strake_rune(*rest, &width);
    if (*rune == STRAKE_RUNE_BAD && width == 1)
        return false;
    *rest = strake_span_skip(*rest, width);
    return rest->len > 0;
}

/* Behind '[': up to and with ']'. *in: `want` is one of its characters. */
static bool check_class(struct strake_span *rest, uint32_t want, bool *in)
{
    bool negated = rest->len > 0 && rest->at[0] == '^';
    *in = false;
    if (negated)
        *rest = strake_span_skip(*rest, 1);
    for (size_t ranges = 0;; ranges++) {
        uint32_t low;
        if (rest->len > 0 && rest->at[0] == ']' && ranges > 0) {
            *rest = strake_span_skip(*rest, 1);
            *in = *in != negated;
            return true;
        }
        if (!class_char(rest, &low))
            return false;
        uint32_t high = low;
        if (rest->at[0] == '-') {
            *rest = strake_span_skip(*rest, 1);
            if (!class_char(rest, &high))
                return false;
        }
        *in = *in || (low <= want && want <= high);
    }
}

/* Does `chunk`, which has no star, match the start of `name`, "." or ""? *name is moved behind it
 * then. *valid: it is well-formed. */
static bool match_chunk(struct strake_span chunk, struct strake_span *name, bool *valid)
{
    struct strake_span text = *name;
    bool failed = false;
    *valid = false;
    while (chunk.len > 0) {
        char c = chunk.at[0];
        failed = failed || text.len == 0;
        chunk = strake_span_skip(chunk, 1);
        if (c == '[') {
            bool in;
            if (!check_class(&chunk, '.', &in))
                return false;
            failed = failed || !in;
        } else if (c != '?') {
            if (c == '\\' && chunk.len == 0)
                return false;
            if (c == '\\') {
                c = chunk.at[0];
                chunk = strake_span_skip(chunk, 1);
            }
            failed = failed || c != '.';
        }
        if (!failed)
            text = strake_span_skip(text, 1);
    }
    *valid = true;
    if (!failed)
        *name = text;
    return !failed;
}

/* The stars at the start of `rest`, and what stands before the next one. */
static bool next_chunk(struct strake_span *rest, struct strake_span *chunk)
{
    bool star = false;
    bool in_class = false;
    size_t len = 0;
    for (; rest->len > 0 && rest->at[0] == '*'; star = true)
        *rest = strake_span_skip(*rest, 1);
    for (; len < rest->len && (rest->at[len] != '*' || in_class); len++) {
        if (rest->at[len] == '\\' && len + 1 < rest->len)
            len++;
        else if (rest->at[len] == '[')
            in_class = true;
        else if (rest->at[len] == ']')
            in_class = false;
    }
    *chunk = (struct strake_span){ rest->at, len };
    *rest = strake_span_skip(*rest, len);
    return star;
}

/* Before anything else BuildKit asks Go's filepath.Match whether the pattern matches ".", only to
 * see its error: it looks no further than it must, so that what stands behind may be malformed. */
static int check_syntax(struct strake_span rest, struct strake_err *err)
{
    struct strake_span name = { ".", 1 };
    while (rest.len > 0) {
        struct strake_span chunk;
        bool valid;
        bool star = next_chunk(&rest, &chunk);
        if (star && chunk.len == 0)
            return 0;
        struct strake_span after = name;
        bool matches = match_chunk(chunk, &after, &valid);
        if (!valid)
            return bad(err, "'[' is not closed, a class is empty, or '\\' stands at the end");
        if (matches && (after.len == 0 || rest.len > 0)) {
            name = after;
            continue;
        }
        /* Behind a star it may match one character on: at the end of ".". */
        if (star && name.len > 0) {
            after = strake_span_skip(name, 1);
            if (match_chunk(chunk, &after, &valid)) {
                name = after;
                continue;
            }
        }
        return 0;
    }
    return 0;
}

/* The expression in the making. */
struct making {
    struct strake_span rest;
    struct strake_buf regex;
    enum kind kind;
    bool first; /* the first piece of the pattern */
};

static char peek(const struct making *making)
{
    return making->rest.len > 0 ? making->rest.at[0] : '\0';
}

static void skip(struct making *making)
{
    making->rest = strake_span_skip(making->rest, 1);
}

/* `**`, which matches any number of folders, none too. */
static int make_folders(struct making *making)
{
    int rc = 0;
    skip(making);
    if (peek(making) == '/')
        skip(making);
    if (making->rest.len > 0) {
        rc = strake_buf_puts(&making->regex, "(.*/)?");
        making->kind = REGEX;
    } else if (making->kind == EXACT) {
        making->kind = PREFIX;
    } else {
        rc = strake_buf_puts(&making->regex, ".*");
        making->kind = REGEX;
    }
    if (making->first)
        making->kind = SUFFIX;
    return rc;
}

static int make_piece(struct making *making)
{
    size_t width;
    uint32_t rune = strake_rune(making->rest, &width);
    making->rest = strake_span_skip(making->rest, width);

    if (rune == '*' && peek(making) == '*')
        return make_folders(making);
    if (rune == '*' || rune == '?') {
        making->kind = REGEX;
        return strake_buf_puts(&making->regex, rune == '*' ? "[^/]*" : "[^/]");
    }
    if (rune < 0x80 && rune != 0 && strchr(".+()$", (int)rune) != NULL)
        return strake_buf_printf(&making->regex, "\\%c", (char)rune);
    if (rune == '\\' && making->rest.len == 0)
        return strake_buf_putc(&making->regex, '\\'); /* it will escape the `$` behind it */
    if (rune == '\\') {
        making->kind = REGEX;
        rune = strake_rune(making->rest, &width);
        making->rest = strake_span_skip(making->rest, width);
        int rc = strake_buf_putc(&making->regex, '\\');
        return rc < 0 ? rc : strake_rune_put(&making->regex, rune);
    }
    if (rune == '[' || rune == ']')
        making->kind = REGEX;
    return strake_rune_put(&making->regex, rune);
}

static int make_regex(struct making *making, struct strake_err *err)
{
    int rc = strake_buf_putc(&making->regex, '^');
    for (; rc == 0 && making->rest.len > 0; making->first = false)
        rc = make_piece(making);
    if (rc == 0)
        rc = strake_buf_putc(&making->regex, '$');
    return rc == STRAKE_ENOMEM ? strake_fail_nomem(err) : rc < 0 ? bad(err, "it is too long") : 0;
}

int strake_glob_new(struct strake_span pattern, struct strake_glob **out, struct strake_err *err)
{
    struct making making = { .rest = pattern, .kind = EXACT, .first = true };
    *out = NULL;
    if (pattern.len > STRAKE_GLOB_MAX)
        return bad(err, "it is longer than a path can be");
    int rc = check_syntax(pattern, err);
    if (rc < 0)
        return rc;
    struct strake_glob *glob = strake_calloc(1, sizeof(*glob));
    if (glob == NULL)
        return strake_fail_nomem(err);

    rc = make_regex(&making, err);
    glob->kind = making.kind;
    if (rc == 0 && glob->kind == REGEX)
        rc = strake_regex_new((struct strake_span){ making.regex.data, making.regex.len },
                              &glob->regex, err);
    if (glob->kind == PREFIX)
        pattern.len -= 2; /* the `**` */
    if (glob->kind == SUFFIX)
        pattern = strake_span_skip(pattern, 2);
    if (rc == 0 && glob->kind != REGEX) {
        glob->text = strake_strndup(pattern.at, pattern.len);
        glob->len = pattern.len;
        rc = glob->text != NULL ? 0 : strake_fail_nomem(err);
    }
    strake_buf_dispose(&making.regex);
    if (rc < 0) {
        strake_glob_free(glob);
        return rc;
    }
    *out = glob;
    return 0;
}

bool strake_glob_matches(const struct strake_glob *glob, struct strake_span path)
{
    switch (glob->kind) {
    case EXACT:
        return path.len == glob->len && memcmp(path.at, glob->text, glob->len) == 0;
    case PREFIX:
        return path.len >= glob->len && memcmp(path.at, glob->text, glob->len) == 0;
    case SUFFIX:
        if (path.len >= glob->len &&
            memcmp(path.at + path.len - glob->len, glob->text, glob->len) == 0)
            return true;
        /* Two stars, a slash and foo match "foo" too. */
        return glob->len > 0 && glob->text[0] == '/' && path.len == glob->len - 1 &&
               memcmp(path.at, glob->text + 1, path.len) == 0;
    case REGEX:
        return strake_regex_matches(glob->regex, path);
    }
    return false;
}

void strake_glob_free(struct strake_glob *glob)
{
    if (glob == NULL)
        return;
    strake_free(glob->text);
    strake_regex_free(glob->regex);
    strake_free(glob);
}
