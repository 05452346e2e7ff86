/* Header lines: taken in strictly, looked up, checked before they go out. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "util/http_impl.h"

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static size_t token_length(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && is_token_char(text[i]))
        i++;
    return i;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Value bytes: everything but controls; bytes over 0x7F are let through as they are. */
static bool is_value(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

int strake_http_status(const char *line, size_t len)
{
    if (len < 5 || memcmp(line, "HTTP/", 5) != 0)
        return 0;
    size_t i = 5;
    while (i < len && line[i] != ' ')
        i++;
    if (i + 4 > len || !isdigit((unsigned char)line[i + 1]) ||
        !isdigit((unsigned char)line[i + 2]) || !isdigit((unsigned char)line[i + 3]))
        return 0;
    int status = (line[i + 1] - '0') * 100 + (line[i + 2] - '0') * 10 + (line[i + 3] - '0');
    return status >= 100 ? status : 0;
}

static int append_line(struct strake_buf *headers, const char *name, size_t name_len,
                       const char *value, size_t value_len)
{
    char *at = strake_buf_reserve(headers, name_len + 2 + value_len + 1);
    if (at == NULL)
        return headers->len + name_len + value_len + 3 > STRAKE_HTTP_HEADERS_MAX ? STRAKE_ETOOBIG
                                                                                 : STRAKE_ENOMEM;
    for (size_t i = 0; i < name_len; i++)
        at[i] = (char)tolower((unsigned char)name[i]);
    memcpy(at + name_len, ": ", 2);
    memcpy(at + name_len + 2, value, value_len);
    at[name_len + 2 + value_len] = '\n';
    strake_buf_grew(headers, name_len + 2 + value_len + 1);
    return 0;
}

/* A continuation line (obsolete, but sent): one blank in place of the line end. */
static int join_line(struct strake_buf *headers, const char *value, size_t value_len)
{
    if (headers->len == 0)
        return 0;
    char *at = strake_buf_reserve(headers, value_len + 1);
    if (at == NULL)
        return headers->len + value_len + 1 > STRAKE_HTTP_HEADERS_MAX ? STRAKE_ETOOBIG
                                                                      : STRAKE_ENOMEM;
    at[-1] = ' ';
    memcpy(at, value, value_len);
    at[value_len] = '\n';
    strake_buf_grew(headers, value_len + 1);
    return 0;
}

int strake_http_add_header(struct strake_buf *headers, const char *line, size_t len)
{
    headers->max = STRAKE_HTTP_HEADERS_MAX;
    if (strake_http_status(line, len) != 0) {
        strake_buf_clear(headers);
        return 0;
    }
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || is_blank(line[len - 1])))
        len--;
    bool continues = len > 0 && is_blank(line[0]);
    size_t name_len = continues ? 0 : token_length(line, len);
    if (!continues && (name_len == 0 || name_len == len || line[name_len] != ':'))
        return 0;
    size_t start = continues ? 0 : name_len + 1;
    while (start < len && is_blank(line[start]))
        start++;
    if (!is_value(line + start, len - start))
        return 0;
    return continues ? join_line(headers, line + start, len - start)
                     : append_line(headers, line, name_len, line + start, len - start);
}

const char *strake_http_header(const struct strake_buf *headers, const char *name, size_t *pos,
                               size_t *len)
{
    size_t name_len = strlen(name);
    const char *text = strake_buf_text(headers);
    while (*pos < headers->len) {
        const char *line = text + *pos;
        const char *end = memchr(line, '\n', headers->len - *pos);
        size_t line_len = end != NULL ? (size_t)(end - line) : headers->len - *pos;
        *pos += line_len + (end != NULL);
        if (line_len >= name_len + 2 && memcmp(line, name, name_len) == 0 &&
            memcmp(line + name_len, ": ", 2) == 0) {
            *len = line_len - name_len - 2;
            return line + name_len + 2;
        }
    }
    return NULL;
}

int strake_http_check_headers(const struct strake_http_request *request, struct strake_err *err)
{
    const char *method = request->method;
    if (method[0] == '\0' || token_length(method, strlen(method)) != strlen(method))
        return strake_fail(err, STRAKE_EUSAGE, "not an HTTP method");
    for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
        const struct strake_pair *header = request->headers[i];
        size_t len = strlen(header->name);
        if (len == 0 || token_length(header->name, len) != len)
            return strake_fail(err, STRAKE_EUSAGE, "header %zu has a name that is none", i + 1);
        if (!is_value(header->value, strlen(header->value)))
            return strake_fail(err, STRAKE_EUSAGE,
                               "the value of header %s holds a control character", header->name);
    }
    return 0;
}

bool strake_http_is_harmless(const char *name)
{
    static const char *const harmless[] = { "accept",   "accept-language", "content-type",
                                            "if-match", "if-none-match",   "if-range",
                                            "range",    "user-agent" };
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (strcasecmp(harmless[i], name) == 0)
            return true;
    }
    return false;
}
