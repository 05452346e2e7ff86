/* Any bytes as a URL, and as the Location of a redirect: what is accepted has one form, which reads
 * back as itself, and shows no credentials. */
#include <stdlib.h>
#include <string.h>

#include "util/http_url.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_url(const struct strake_url *url)
{
    struct strake_buf text = { 0 }, again_text = { 0 }, shown = { 0 };
    struct strake_err err = { 0 };
    struct strake_url again;
    check(url->target[0] == '/' && url->port >= 1 && url->port <= 65535);
    check(strpbrk(url->host, "/?#@\\ \r\n\t") == NULL);
    check(strpbrk(url->target, "#\\ \r\n\t") == NULL);
    check(strake_url_text(url, &text) == 0 && strake_url_show(url, &shown) == 0);
    if (text.len <= STRAKE_URL_MAX && strake_url_parse(strake_buf_text(&text), &again, &err) == 0) {
        check(strake_url_text(&again, &again_text) == 0);
        check(strcmp(strake_buf_text(&text), strake_buf_text(&again_text)) == 0);
        check(strake_url_same_host(url, &again));
        check(strake_url_is_loopback(url) == strake_url_is_loopback(&again));
        strake_url_dispose(&again);
    } else {
        check(text.len > STRAKE_URL_MAX);
    }
    strake_err_dispose(&err);
    strake_buf_dispose(&text);
    strake_buf_dispose(&again_text);
    strake_buf_dispose(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_url url, base;
    struct strake_err err = { 0 };
    char *text = strake_strndup((const char *)data, size);
    if (text == NULL)
        return 0;
    if (strake_url_parse(text, &url, &err) == 0) {
        check_url(&url);
        strake_url_dispose(&url);
    }
    check(strake_url_parse("https://u:p@host.example:5000/v2/a/../b?c=d", &base, &err) == 0 ||
          err.code == STRAKE_EUSAGE);
    if (strake_url_resolve(&base, (const char *)data, size, &url, &err) == 0) {
        check_url(&url);
        strake_url_dispose(&url);
    }
    strake_url_dispose(&base);
    strake_err_dispose(&err);
    strake_free(text);
    return 0;
}
