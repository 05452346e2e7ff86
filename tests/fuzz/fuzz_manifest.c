/* Any bytes as a manifest, a configuration, and a part of an index to be made. */
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void merge(const char *text, size_t size)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    struct strake_manifest merged;
    const char *type;
    char digest[STRAKE_DIGEST_TEXT];
    check(strake_digest_of(text, size, digest, &err) == 0);
    const struct strake_index_part part = {
        .data = text, .len = size, .media_type = "", .digest = digest, .platform = "linux/amd64"
    };
    if (strake_index_merge(&part, 1, &out, &type, &err) == 0) {
        check(strake_manifest_parse(strake_buf_text(&out), out.len, type, "it", &merged, &err) ==
              0);
        check(merged.index);
        strake_manifest_dispose(&merged);
    }
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct strake_manifest manifest;
    struct strake_config config;
    struct strake_err err = { 0 };
    if (strake_manifest_parse(text, size, "", "it", &manifest, &err) == 0) {
        for (size_t i = 0; i < manifest.count; i++)
            check(strake_digest_valid(manifest.items[i].digest) &&
                  manifest.items[i].size_bytes >= 0);
        check(manifest.index || strake_digest_valid(manifest.config.digest));
        strake_manifest_dispose(&manifest);
        merge(text, size);
    }
    if (strake_config_parse(text, size, "it", 2, &config, &err) == 0) {
        check(config.created_by[1] != NULL && config.created_by[2] == NULL);
        strake_config_dispose(&config);
    }
    strake_err_dispose(&err);
    return 0;
}
