/* Any bytes as the header lines of an answer: what is kept is lines "name: value", within its
 * bound, and what is read from them stays within them. */
#include <stdlib.h>
#include <string.h>

#include "util/http_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_line(const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    check(colon != NULL && colon > line && colon + 1 < line + len && colon[1] == ' ');
    for (const char *c = line; c < line + len; c++) {
        check(*c != '\r' && *c != '\0');
        check(c >= colon || !(*c >= 'A' && *c <= 'Z'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_buf headers = { 0 };
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline != NULL ? (size_t)(newline + 1 - at) : (size_t)(end - at);
        int status = strake_http_status(at, len);
        check(status == 0 || (status >= 100 && status <= 999));
        check(strake_http_add_header(&headers, at, len) == 0 || size > STRAKE_HTTP_HEADERS_MAX / 2);
        at += len;
    }
    check(headers.len <= STRAKE_HTTP_HEADERS_MAX);
    const char *text = strake_buf_text(&headers);
    for (size_t pos = 0; pos < headers.len;) {
        const char *newline = memchr(text + pos, '\n', headers.len - pos);
        check(newline != NULL);
        check_line(text + pos, (size_t)(newline - text) - pos);
        pos = (size_t)(newline - text) + 1;
    }
    int64_t wait = strake_http_retry_after(&headers, 784111777000000);
    check(wait >= -1 && wait <= 315360000000);
    wait = strake_http_retry_words((const char *)data, size);
    check(wait >= -1 && wait <= 315360000000);
    size_t pos = 0, len = 0;
    const char *value;
    while ((value = strake_http_header(&headers, "link", &pos, &len)) != NULL)
        check(value >= text && value + len < text + headers.len);
    strake_buf_dispose(&headers);
    return 0;
}
