/* Any bytes as header lines of a registry: WWW-Authenticate and Link are read without going outside
 * them, and what is read can be used; any bytes as a URL and as base64. */
#include <stdlib.h>
#include <string.h>

#include "oci/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_url(const char *text)
{
    struct plug_url url;
    struct plug_url again;
    if (plug_url_split(text, &url) < 0)
        return;
    check(*url.host && *url.resource == '/' && url.port > 0);
    /* A path leads to the same host; one that begins with "//" names another. */
    char *written = plug_url_join(text, url.resource);
    if (url.resource[1] != '/') {
        check(written && plug_url_split(written, &again) == 0);
        check(plug_url_same_origin(&url, &again));
        plug_url_dispose(&again);
    }
    plug_url_dispose(&url);
    free(written);
}

static void read_base64(const char *text)
{
    struct plug_text plain = { 0 };
    struct plug_text coded = { 0 };
    if (plug_base64_decode(&plain, text)) {
        plug_base64_encode(&coded, plug_text_view(&plain), plain.len);
        check(coded.len >= strcspn(text, "="));
    }
    plug_text_dispose(&plain);
    plug_text_dispose(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines = plug_strndup((const char *)data, size);
    struct oci_challenge challenge;
    char *target;
    check(lines != NULL);
    check(oci_challenge_parse(lines, &challenge) == 0);
    /* Without a realm nothing of a Bearer challenge is kept. */
    check(challenge.realm || (!challenge.service && !challenge.scope && !challenge.error));
    if (challenge.realm)
        read_url(challenge.realm);
    oci_challenge_dispose(&challenge);

    check(oci_link_next(lines, &target) == 0);
    if (target) {
        char *url = plug_url_join("http://127.0.0.1:5000/v2/a/tags/list?n=1000", target);
        if (url)
            read_url(url);
        free(url);
    }
    free(target);
    read_url(lines);
    read_base64(lines);
    free(lines);
    return 0;
}
