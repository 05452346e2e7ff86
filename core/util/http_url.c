/* URLs: taken apart, put together, resolved, and shown without what is secret in them. */
#include "util/http_url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "util/mem.h"

/* Query parameters whose values tell what was asked and open nothing. */
static const char *const plain_parameters[] = { "artifactType", "digest", "from",   "last",
                                                "mount",        "n",      "ns",     "page",
                                                "per_page",     "scope",  "service" };

void strake_url_dispose(struct strake_url *url)
{
    if (url == NULL)
        return;
    strake_free(url->userinfo);
    strake_free(url->host);
    strake_free(url->target);
    *url = (struct strake_url){ 0 };
}

static int refuse(struct strake_err *err, const char *why)
{
    return strake_fail(err, STRAKE_EUSAGE, "not a usable URL: %s", why);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

/* Length of "scheme" before a ':', or 0: a reference without one. */
static size_t scheme_length(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && (is_alnum(text[i]) || (i > 0 && strchr("+-.", text[i]) != NULL)))
        i++;
    return i > 0 && i < len && text[i] == ':' && !is_digit(text[0]) ? i : 0;
}

/* ---- host and port -------------------------------------------------------------------------- */

static bool is_name(const char *host, size_t len)
{
    if (len == 0 || len > 253 || host[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(host[i]) && host[i] != '-' && host[i] != '.' && host[i] != '_')
            return false;
        if (host[i] == '.' && (i == 0 || host[i - 1] == '.'))
            return false;
    }
    return true;
}

static bool is_ipv6(const char *host, size_t len)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    if (len < 2 || len - 2 >= sizeof(address) || host[len - 1] != ']')
        return false;
    memcpy(address, host + 1, len - 2);
    address[len - 2] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* ":443" or "" or ":". @return the port, or -1. */
static int parse_port(const char *text, size_t len, int fallback)
{
    if (len == 0)
        return fallback;
    if (text[0] != ':' || len > 6)
        return -1;
    int port = 0;
    for (size_t i = 1; i < len; i++) {
        if (!is_digit(text[i]))
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    if (len == 1)
        return fallback;
    return port >= 1 && port <= 65535 ? port : -1;
}

static int parse_authority(const char *text, size_t len, struct strake_url *url,
                           struct strake_err *err)
{
    const char *at = memrchr(text, '@', len);
    if (at != NULL) {
        url->userinfo = strake_strndup(text, (size_t)(at - text));
        if (url->userinfo == NULL)
            return strake_fail_nomem(err);
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    size_t host_len = 0;
    bool bracketed = len > 0 && text[0] == '[';
    while (host_len < len && text[host_len] != (bracketed ? ']' : ':'))
        host_len++;
    host_len += bracketed && host_len < len;
    if (bracketed ? !is_ipv6(text, host_len) : !is_name(text, host_len))
        return refuse(err, "its host is no name and no address");
    url->port = parse_port(text + host_len, len - host_len, url->https ? 443 : 80);
    if (url->port < 0)
        return refuse(err, "its port is no number from 1 to 65535");
    url->host = strake_strndup(text, host_len);
    if (url->host == NULL)
        return strake_fail_nomem(err);
    for (char *c = url->host; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

/* ---- path and query ------------------------------------------------------------------------- */

static int append_encoded(struct strake_buf *out, const char *text, size_t len)
{
    int rc = 0;
    for (size_t i = 0; i < len && rc == 0; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7F || strchr("\"<>^`{|}", c) != NULL)
            rc = strake_buf_printf(out, "%%%02X", (unsigned)c);
        else
            rc = strake_buf_putc(out, (char)c);
    }
    return rc;
}

/* Take the last segment away again, but nothing before `start`. */
static void drop_segment(struct strake_buf *out, size_t start)
{
    while (out->len > start && out->data[out->len - 1] != '/')
        out->len--;
    out->len -= out->len > start;
}

static bool is_dots(const char *segment, size_t len)
{
    return (len == 1 || len == 2) && memcmp(segment, "..", len) == 0;
}

/* RFC 3986, 5.2.4: append the path without its "." and ".." segments. */
static int append_path(struct strake_buf *out, const char *path, size_t len)
{
    size_t start = out->len;
    int rc = 0;
    while (len > 0 && rc == 0) {
        size_t slash = path[0] == '/';
        size_t end = slash;
        while (end < len && path[end] != '/')
            end++;
        bool dots = is_dots(path + slash, end - slash);
        if (dots && end - slash == 2)
            drop_segment(out, start);
        if (!dots || end == len)
            rc = strake_buf_putc(out, '/');
        if (!dots && rc == 0)
            rc = append_encoded(out, path + slash, end - slash);
        path += end;
        len -= end;
    }
    if (rc == 0 && out->len == start)
        rc = strake_buf_putc(out, '/');
    return rc;
}

/* Path and query in the form that is sent. */
static int set_target(struct strake_url *url, const char *path, size_t path_len, const char *query,
                      size_t query_len, struct strake_err *err)
{
    struct strake_buf out = STRAKE_BUF(4 * STRAKE_URL_MAX);
    int rc = append_path(&out, path, path_len);
    if (rc == 0 && query != NULL)
        rc = strake_buf_putc(&out, '?');
    if (rc == 0 && query != NULL)
        rc = append_encoded(&out, query, query_len);
    if (rc == 0) {
        url->target = strake_buf_take(&out);
        rc = url->target != NULL ? 0 : STRAKE_ENOMEM;
    }
    strake_buf_dispose(&out);
    if (rc == STRAKE_ETOOBIG)
        return refuse(err, "it is too long");
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

/* Where the parts of a reference are: path, query; both end before a fragment. */
struct parts {
    const char *path;
    size_t path_len;
    const char *query; /* NULL: none */
    size_t query_len;
};

static struct parts split(const char *text, size_t len)
{
    const char *hash = memchr(text, '#', len);
    if (hash != NULL)
        len = (size_t)(hash - text);
    const char *mark = memchr(text, '?', len);
    if (mark == NULL)
        return (struct parts){ .path = text, .path_len = len };
    size_t path_len = (size_t)(mark - text);
    return (struct parts){
        .path = text, .path_len = path_len, .query = mark + 1, .query_len = len - path_len - 1
    };
}

static int check_bytes(const char *text, size_t len, struct strake_err *err)
{
    if (len > STRAKE_URL_MAX)
        return refuse(err, "it is too long");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7F || c == '\\')
            return refuse(err, "it holds a control character or a backslash");
    }
    return 0;
}

/* What follows "scheme:": "//authority/path?query". */
static int parse_rest(bool https, const char *text, size_t len, struct strake_url *url,
                      struct strake_err *err)
{
    if (len < 2 || memcmp(text, "//", 2) != 0)
        return refuse(err, "it has no host");
    text += 2;
    len -= 2;
    size_t authority = 0;
    while (authority < len && strchr("/?#", text[authority]) == NULL)
        authority++;
    url->https = https;
    int rc = parse_authority(text, authority, url, err);
    if (rc < 0)
        return rc;
    struct parts parts = split(text + authority, len - authority);
    return set_target(url, parts.path, parts.path_len, parts.query, parts.query_len, err);
}

static int parse_absolute(const char *text, size_t len, struct strake_url *url,
                          struct strake_err *err)
{
    size_t scheme = scheme_length(text, len);
    bool https = scheme == 5 && strncasecmp(text, "https", 5) == 0;
    if (!https && !(scheme == 4 && strncasecmp(text, "http", 4) == 0))
        return refuse(err, "it does not begin with http:// or https://");
    return parse_rest(https, text + scheme + 1, len - scheme - 1, url, err);
}

int strake_url_parse(const char *text, struct strake_url *url, struct strake_err *err)
{
    *url = (struct strake_url){ 0 };
    size_t len = strlen(text);
    int rc = check_bytes(text, len, err);
    if (rc == 0)
        rc = parse_absolute(text, len, url, err);
    if (rc < 0)
        strake_url_dispose(url);
    return rc;
}

/* ---- references ----------------------------------------------------------------------------- */

static int copy_authority(const struct strake_url *base, struct strake_url *url,
                          struct strake_err *err)
{
    url->https = base->https;
    url->port = base->port;
    url->host = strake_strdup(base->host);
    url->userinfo = strake_strdup(base->userinfo);
    if (url->host == NULL || (base->userinfo != NULL && url->userinfo == NULL))
        return strake_fail_nomem(err);
    return 0;
}

static int resolve_relative(const struct strake_url *base, const char *text, size_t len,
                            struct strake_url *url, struct strake_err *err)
{
    int rc = copy_authority(base, url, err);
    if (rc < 0)
        return rc;
    struct parts own = split(text, len);
    if (own.path_len > 0 && own.path[0] == '/')
        return set_target(url, own.path, own.path_len, own.query, own.query_len, err);

    struct parts inherited = split(base->target, strlen(base->target));
    if (own.path_len == 0) {
        if (own.query == NULL) {
            own.query = inherited.query;
            own.query_len = inherited.query_len;
        }
        return set_target(url, inherited.path, inherited.path_len, own.query, own.query_len, err);
    }
    const char *slash = memrchr(inherited.path, '/', inherited.path_len);
    size_t folder = slash != NULL ? (size_t)(slash + 1 - inherited.path) : 0;
    struct strake_buf path = STRAKE_BUF(4 * STRAKE_URL_MAX);
    rc = strake_buf_append(&path, inherited.path, folder);
    if (rc == 0)
        rc = strake_buf_append(&path, own.path, own.path_len);
    if (rc == 0)
        rc = set_target(url, strake_buf_text(&path), path.len, own.query, own.query_len, err);
    else
        rc = rc == STRAKE_ETOOBIG ? refuse(err, "it is too long") : strake_fail_nomem(err);
    strake_buf_dispose(&path);
    return rc;
}

int strake_url_resolve(const struct strake_url *base, const char *reference, size_t len,
                       struct strake_url *url, struct strake_err *err)
{
    *url = (struct strake_url){ 0 };
    int rc = check_bytes(reference, len, err);
    if (rc < 0)
        return rc;
    if (scheme_length(reference, len) > 0)
        rc = parse_absolute(reference, len, url, err);
    else if (len >= 2 && memcmp(reference, "//", 2) == 0)
        rc = parse_rest(base->https, reference, len, url, err);
    else
        rc = resolve_relative(base, reference, len, url, err);
    if (rc < 0)
        strake_url_dispose(url);
    return rc;
}

/* ---- put together --------------------------------------------------------------------------- */

static int append_origin(const struct strake_url *url, bool credentials, struct strake_buf *out)
{
    int rc = strake_buf_puts(out, url->https ? "https://" : "http://");
    if (rc == 0 && credentials && url->userinfo != NULL)
        rc = strake_buf_printf(out, "%s@", url->userinfo);
    if (rc == 0)
        rc = strake_buf_puts(out, url->host);
    if (rc == 0 && url->port != (url->https ? 443 : 80))
        rc = strake_buf_printf(out, ":%d", url->port);
    return rc;
}

int strake_url_text(const struct strake_url *url, struct strake_buf *out)
{
    int rc = append_origin(url, true, out);
    return rc == 0 ? strake_buf_puts(out, url->target) : rc;
}

static bool is_plain_parameter(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(plain_parameters) / sizeof(plain_parameters[0]); i++) {
        if (strlen(plain_parameters[i]) == len && memcmp(plain_parameters[i], name, len) == 0)
            return true;
    }
    return false;
}

int strake_url_show(const struct strake_url *url, struct strake_buf *out)
{
    int rc = append_origin(url, false, out);
    struct parts parts = split(url->target, strlen(url->target));
    if (rc == 0)
        rc = strake_buf_append(out, parts.path, parts.path_len);
    const char *at = parts.query;
    for (char before = '?'; at != NULL && rc == 0; before = '&') {
        size_t len = strcspn(at, "&");
        size_t name = strcspn(at, "=&");
        rc = strake_buf_putc(out, before);
        if (rc == 0 && (name == len || is_plain_parameter(at, name)))
            rc = strake_buf_append(out, at, len);
        else if (rc == 0)
            rc = strake_buf_printf(out, "%.*s=[hidden]", (int)name, at);
        at = at[len] == '&' ? at + len + 1 : NULL;
    }
    return rc;
}

bool strake_url_is_loopback(const struct strake_url *url)
{
    struct in_addr v4;
    if (strcmp(url->host, "localhost") == 0 || strcmp(url->host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, url->host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

bool strake_url_same_host(const struct strake_url *a, const struct strake_url *b)
{
    bool usual_a = a->port == (a->https ? 443 : 80);
    bool usual_b = b->port == (b->https ? 443 : 80);
    return strcmp(a->host, b->host) == 0 && (a->port == b->port || (usual_a && usual_b));
}
