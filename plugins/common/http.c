/* URLs and header lines (http.h). */
#include "common/http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_host_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/** Length of the host at `text` and where its name is: "[::1]" or "name". 0: none. */
static size_t scan_host(const char *text, const char **name, size_t *name_len)
{
    size_t len = 0;
    if (*text == '[') {
        len = strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (len == 0 || text[1 + len] != ']')
            return 0;
        *name = text + 1;
        *name_len = len;
        return len + 2;
    }
    while (is_host_char(text[len]))
        len++;
    *name = text;
    *name_len = len;
    return len;
}

static bool scan_port(const char **text, uint16_t *port)
{
    if (**text != ':')
        return true;
    unsigned value = 0;
    const char *c = *text + 1;
    for (; isdigit((unsigned char)*c) && value <= 65535; c++)
        value = value * 10 + (unsigned)(*c - '0');
    if (value == 0 || value > 65535)
        return false;
    *port = (uint16_t)value;
    *text = c;
    return true;
}

int plug_url_split(const char *text, struct plug_url *out)
{
    *out = (struct plug_url){ 0 };
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '\\')
            return STRAKE_EUSAGE;
    if (strncasecmp(text, "https://", 8) == 0)
        out->https = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return STRAKE_EUSAGE;
    text += out->https ? 8 : 7;
    out->port = out->https ? 443 : 80;

    const char *name;
    size_t name_len;
    size_t len = scan_host(text, &name, &name_len);
    text += len;
    if (len == 0 || !scan_port(&text, &out->port) || (*text && !strchr("/?#", *text)))
        return STRAKE_EUSAGE;
    size_t resource = strcspn(text, "#");
    out->host = plug_strndup(name, name_len);
    out->resource = plug_format("%s%.*s", *text == '/' ? "" : "/", (int)resource, text);
    if (!out->host || !out->resource) {
        plug_url_dispose(out);
        return STRAKE_ENOMEM;
    }
    for (char *c = out->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

void plug_url_dispose(struct plug_url *url)
{
    free(url->host);
    free(url->resource);
    *url = (struct plug_url){ 0 };
}

bool plug_url_same_origin(const struct plug_url *a, const struct plug_url *b)
{
    return a->https == b->https && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/** "https://host:port" as `url` says it; IPv6 gets its brackets back. */
static void add_origin(struct plug_text *text, const struct plug_url *url)
{
    bool ipv6 = strchr(url->host, ':') != NULL;
    plug_text_addf(text, "%s://%s%s%s", url->https ? "https" : "http", ipv6 ? "[" : "", url->host,
                   ipv6 ? "]" : "");
    if (url->port != (url->https ? 443 : 80))
        plug_text_addf(text, ":%u", (unsigned)url->port);
}

/** A scheme stands before the first of "/?#": "urn:x", "https://…". */
static bool has_scheme(const char *reference)
{
    size_t len = strcspn(reference, ":/?#");
    return len > 0 && reference[len] == ':' && isalpha((unsigned char)reference[0]);
}

char *plug_url_join(const char *base, const char *reference)
{
    struct plug_url from;
    struct plug_url to;
    struct plug_text text = { 0 };
    if (plug_url_split(base, &from) < 0)
        return NULL;
    if (strncmp(reference, "//", 2) == 0) {
        plug_text_addf(&text, "%s:%s", from.https ? "https" : "http", reference);
    } else if (has_scheme(reference)) {
        plug_text_add(&text, reference);
    } else {
        add_origin(&text, &from);
        size_t path = strcspn(from.resource, "?");
        if (*reference != '/' && *reference != '?') {
            while (path > 0 && from.resource[path - 1] != '/')
                path--;
        }
        if (*reference != '/')
            plug_text_add_len(&text, from.resource, path);
        plug_text_add(&text, reference);
    }
    plug_url_dispose(&from);
    /* Only what can be requested is given back. */
    if (text.failed || plug_url_split(plug_text_view(&text), &to) < 0) {
        plug_text_dispose(&text);
        return NULL;
    }
    plug_url_dispose(&to);
    return plug_text_take(&text);
}

void plug_url_escape(struct plug_text *text, const char *data)
{
    for (const char *c = data; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._~", *c))
            plug_text_add_len(text, c, 1);
        else
            plug_text_addf(text, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

const char *plug_header(const char *lines, const char *name, size_t *pos, size_t *len)
{
    size_t name_len = strlen(name);
    const char *line = lines + *pos;
    while (*line) {
        size_t line_len = strcspn(line, "\n");
        const char *next = line + line_len + (line[line_len] == '\n');
        *pos = (size_t)(next - lines);
        if (line_len > name_len && strncasecmp(line, name, name_len) == 0 &&
            line[name_len] == ':') {
            const char *value = line + name_len + 1;
            const char *end = line + line_len;
            while (value < end && (*value == ' ' || *value == '\t'))
                value++;
            while (end > value && strchr(" \t\r", end[-1]))
                end--;
            *len = (size_t)(end - value);
            return value;
        }
        line = next;
    }
    return NULL;
}

char *plug_header_copy(const char *lines, const char *name)
{
    size_t pos = 0;
    size_t len;
    const char *value = plug_header(lines, name, &pos, &len);
    return value ? plug_strndup(value, len) : NULL;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void plug_base64_encode(struct plug_text *text, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t block = (uint32_t)bytes[i] << 16;
        block |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0;
        block |= i + 2 < len ? bytes[i + 2] : 0;
        char out[4];
        for (size_t digit = 0; digit < 4; digit++)
            out[digit] = base64_digits[(block >> (18 - 6 * digit)) & 63];
        if (i + 2 >= len)
            out[3] = '=';
        if (i + 1 >= len)
            out[2] = '=';
        plug_text_add_len(text, out, sizeof(out));
    }
}

bool plug_base64_decode(struct plug_text *text, const char *data)
{
    uint32_t block = 0;
    unsigned bits = 0;
    size_t digits = 0;
    for (; *data && *data != '='; data++) {
        const char *digit = strchr(base64_digits, *data);
        if (!digit)
            return false;
        block = block << 6 | (uint32_t)(digit - base64_digits);
        bits += 6;
        digits++;
        if (bits >= 8) {
            bits -= 8;
            char byte = (char)(block >> bits & 0xff);
            plug_text_add_len(text, &byte, 1);
        }
    }
    size_t padding = strspn(data, "=");
    return data[padding] == '\0' && digits % 4 != 1 && padding < 3 &&
           (padding == 0 || (digits + padding) % 4 == 0);
}
