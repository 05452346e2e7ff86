/* Any text as a reference, a tag and a platform: what is accepted is printed, and read back the
 * same. */
#include <stdlib.h>
#include <string.h>

#include "image/platform.h"
#include "image/reference.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_reference(const struct strake_reference *ref)
{
    struct strake_reference again;
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };
    check(ref->tag[0] == '\0' || strake_tag_valid(ref->tag));
    check(strake_reference_object(ref)[0] != '\0');
    check(strake_reference_print(ref, &text) == 0);
    check(strake_reference_parse(strake_buf_text(&text), &again, &err) == 0);
    check(again.store == ref->store && strcmp(again.host, ref->host) == 0);
    check(strcmp(again.repository, ref->repository) == 0);
    check(strcmp(again.tag, ref->tag) == 0 && strcmp(again.digest, ref->digest) == 0);
    strake_reference_dispose(&again);
    strake_buf_dispose(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_reference ref;
    struct strake_err err = { 0 };
    char platform[STRAKE_PLATFORM_TEXT];
    char again[STRAKE_PLATFORM_TEXT];
    char *text = strake_strndup((const char *)data, size);
    if (text == NULL)
        return 0;
    if (strake_reference_parse(text, &ref, &err) == 0) {
        check_reference(&ref);
        strake_reference_dispose(&ref);
    } else {
        check(err.message != NULL);
    }
    if (strake_platform_parse(text, platform, &err) == 0) {
        check(strake_platform_parse(platform, again, &err) == 0);
        check(strcmp(platform, again) == 0);
    }
    strake_platform_make(text, text, text, platform);
    check(strlen(platform) < sizeof(platform));
    strake_host_is_loopback(text);
    strake_err_dispose(&err);
    strake_free(text);
    return 0;
}
