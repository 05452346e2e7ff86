/* From bytes to logical lines: directives at the top, continuation, comments and blank lines in the
 * middle of an instruction, as BuildKit's parser has them. */
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/parse_impl.h"

int strake_parse_fail(const struct strake_parse *parse, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    strake_vfail(parse->err, STRAKE_EDOCKERFILE, fmt, args);
    va_end(args);
    strake_err_place(parse->err, parse->file, parse->line);
    return STRAKE_EDOCKERFILE;
}

int strake_lines_raw(struct strake_lines *lines, struct strake_parse *parse,
                     struct strake_span *line)
{
    struct strake_span rest = lines->rest;
    if (rest.len == 0)
        return 0;
    const char *newline = memchr(rest.at, '\n', rest.len);
    size_t len = newline != NULL ? (size_t)(newline - rest.at) : rest.len;
    lines->line++;
    if (len > STRAKE_LINE_MAX) {
        parse->line = lines->line;
        return strake_parse_fail(parse, "a line has more than %zu bytes", STRAKE_LINE_MAX);
    }
    if (newline != NULL)
        len++;
    *line = (struct strake_span){ rest.at, len };
    lines->rest = strake_span_skip(rest, len);
    if (lines->line == 1 && len >= 3 && memcmp(line->at, "\xEF\xBB\xBF", 3) == 0)
        *line = strake_span_skip(*line, 3);
    return 1;
}

struct strake_span strake_span_chomp(struct strake_span line)
{
    while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static bool is_comment(struct strake_span line)
{
    line = strake_span_trim_left(line);
    return line.len > 0 && line.at[0] == '#';
}

/* White space of Go's regular expressions. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f' || c == '\r' || c == '\n';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "name = value" behind the `#`; the value has one character at least. */
static bool split_directive(struct strake_span text, struct strake_span *name,
                            struct strake_span *value)
{
    size_t at = 0;
    while (at < text.len &&
           (is_letter(text.at[at]) || (at > 0 && text.at[at] >= '0' && text.at[at] <= '9')))
        at++;
    *name = (struct strake_span){ text.at, at };
    while (at < text.len && is_blank(text.at[at]))
        at++;
    if (name->len == 0 || at == text.len || text.at[at] != '=')
        return false;
    at++;
    while (at < text.len && is_blank(text.at[at]))
        at++;
    *value = strake_span_skip(text, at);
    while (value->len > 0 && is_blank(value->at[value->len - 1]))
        value->len--;
    /* Of nothing but white space the last one is the value: `# escape= ` is an error, not a
     * comment. */
    if (value->len == 0 && text.at[text.len - 1] != '=')
        *value = (struct strake_span){ text.at + text.len - 1, 1 };
    return value->len > 0;
}

static int obey_directive(struct strake_lines *lines, struct strake_parse *parse, size_t kind,
                          struct strake_span value)
{
    if (kind == 0) { /* syntax: the image, what follows it are its arguments */
        const char *space = memchr(value.at, ' ', value.len);
        size_t len = space != NULL ? (size_t)(space - value.at) : value.len;
        lines->syntax = strake_strndup(value.at, len);
        return lines->syntax != NULL ? 0 : strake_fail_nomem(parse->err);
    }
    if (kind == 1) {
        if (!strake_span_is(value, "\\") && !strake_span_is(value, "`"))
            return strake_parse_fail(parse, "'%.*s' is no escape character: it is \\ or `",
                                     (int)value.len, value.at);
        parse->escape = value.at[0];
    }
    if (kind == 2) { /* for the linter alone */
        lines->check = strake_strndup(value.at, value.len);
        return lines->check != NULL ? 0 : strake_fail_nomem(parse->err);
    }
    return 0;
}

static int read_directive(struct strake_lines *lines, struct strake_parse *parse,
                          struct strake_span line)
{
    static const char *const names[] = { "syntax", "escape", "check" };
    struct strake_span name;
    struct strake_span value;

    if (lines->directives_over)
        return 0;
    lines->directives_over = true; /* until this line turns out to be one */
    if (line.len == 0 || line.at[0] != '#' ||
        !split_directive(strake_span_trim_left(strake_span_skip(line, 1)), &name, &value))
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) != name.len || strncasecmp(names[i], name.at, name.len) != 0)
            continue;
        if (lines->seen[i])
            return strake_parse_fail(parse, "the directive '%s' stands there twice", names[i]);
        lines->seen[i] = true;
        lines->directives_over = false;
        return obey_directive(lines, parse, i, value);
    }
    return 0;
}

/* Cut the escape character that ends the line, with blanks behind it. One that is escaped itself
 * does not count. */
static bool cut_continuation(const struct strake_parse *parse, struct strake_span *line)
{
    size_t len = line->len;
    while (len > 0 && (line->at[len - 1] == ' ' || line->at[len - 1] == '\t'))
        len--;
    if (len == 0 || line->at[len - 1] != parse->escape)
        return false;
    if (len > 1 && line->at[len - 2] == parse->escape)
        return false;
    line->len = len - 1;
    return true;
}

/* What is doubled when it is full. */
static bool make_room(void **items, size_t count, size_t *cap, size_t size)
{
    const size_t wanted = *cap == 0 ? 8 : *cap * 2;
    void *grown;
    if (count < *cap)
        return true;
    grown = strake_reallocarray(*items, wanted, size);
    if (grown == NULL)
        return false;
    *items = grown;
    *cap = wanted;
    return true;
}

static int note_comment(struct strake_lines *lines, const struct strake_parse *parse,
                        struct strake_span line)
{
    struct strake_comment comment = { .line = lines->line };
    line = strake_span_trim(line);
    if (line.len == 0)
        return 0;
    if (!make_room((void **)&lines->comments, lines->comment_count, &lines->comment_cap,
                   sizeof(comment)))
        return strake_fail_nomem(parse->err);
    comment.text = strake_strndup(line.at, line.len);
    if (comment.text == NULL)
        return strake_fail_nomem(parse->err);
    lines->comments[lines->comment_count++] = comment;
    return 0;
}

/* The next bytes of the logical line stand at `column` of the line read last. */
static int note_piece(struct strake_lines *lines, const struct strake_parse *parse, size_t at,
                      size_t column)
{
    if (!make_room((void **)&lines->pieces, lines->piece_count, &lines->piece_cap,
                   sizeof(*lines->pieces)))
        return strake_fail_nomem(parse->err);
    lines->pieces[lines->piece_count++] =
        (struct strake_piece){ .at = at, .line = lines->line, .column = (int)column };
    return 0;
}

void strake_lines_dispose(struct strake_lines *lines)
{
    for (size_t i = 0; i < lines->comment_count; i++)
        strake_free(lines->comments[i].text);
    strake_free(lines->comments);
    strake_free(lines->pieces);
    strake_free(lines->syntax);
    strake_free(lines->check);
    *lines = (struct strake_lines){ 0 };
}

static int append(const struct strake_parse *parse, struct strake_buf *logical,
                  struct strake_span line)
{
    int rc = strake_buf_append(logical, line.at, line.len);
    return rc == STRAKE_ENOMEM ? strake_fail_nomem(parse->err) : rc;
}

/* The lines that continue the one in `logical`; the end of the file ends it too. */
static int read_continuation(struct strake_lines *lines, struct strake_parse *parse,
                             struct strake_buf *logical)
{
    bool more = true;
    while (more) {
        struct strake_span line;
        int rc = strake_lines_raw(lines, parse, &line);
        if (rc <= 0)
            return rc;
        line = strake_span_chomp(line);
        if (is_comment(line) || strake_span_trim_left(line).len == 0) {
            rc = is_comment(line) ? note_comment(lines, parse, line) : 0;
            if (rc < 0)
                return rc;
            continue;
        }
        more = cut_continuation(parse, &line);
        rc = note_piece(lines, parse, logical->len, 1);
        if (rc == 0)
            rc = append(parse, logical, line);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int strake_lines_next(struct strake_lines *lines, struct strake_parse *parse,
                      struct strake_buf *logical)
{
    struct strake_span line;
    size_t indent;
    bool more;

    for (;;) {
        int rc = strake_lines_raw(lines, parse, &line);
        if (rc <= 0)
            return rc;
        parse->line = lines->line;
        line = strake_span_chomp(line);
        indent = line.len;
        line = strake_span_trim_left(line);
        indent -= line.len;
        rc = read_directive(lines, parse, line);
        if (rc == 0 && is_comment(line))
            rc = note_comment(lines, parse, line);
        if (rc < 0)
            return rc;
        if (is_comment(line))
            continue;
        more = cut_continuation(parse, &line);
        if (more || line.len > 0)
            break;
    }
    strake_buf_clear(logical);
    lines->piece_count = 0;
    int rc = note_piece(lines, parse, 0, indent + 1);
    if (rc == 0)
        rc = append(parse, logical, line);
    if (rc == 0 && more)
        rc = read_continuation(lines, parse, logical);
    return rc < 0 ? rc : 1;
}
