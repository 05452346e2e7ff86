/* Editing docker's config.json: what comes out is JSON, and the same but for one registry's entry. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "oci/config_edit.h"
#include "oci/credentials.h"

/* Without the entries of the registry, and without `auths` when it is empty or nothing. */
static void strip(json_t *root)
{
    json_t *auths = json_object_get(root, "auths");
    const char *key;
    json_t *entry;
    void *next;

    json_object_foreach_safe(auths, next, key, entry) {
        char *name = oci_credentials_normalise(key);
        if (name && strcasecmp(name, "b.io") == 0)
            json_object_del(auths, key);
        free(name);
    }
    if (json_object_size(auths) == 0)
        json_object_del(root, "auths");
}

static void check(const char *text, json_t *before, const struct strake_pair *fields)
{
    struct plug_text out;
    json_t *after;

    if (oci_config_edit(text, "b.io", fields, &out) < 0)
        return;
    after = out.len ? json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL)
                    : json_deep_copy(before);
    if (!json_is_object(after))
        abort();
    if (fields && strcmp(json_string_value(json_object_get(
                             json_object_get(json_object_get(after, "auths"), "b.io"), "auth")),
                         "eDp5") != 0)
        abort();
    strip(after);
    if (!json_equal(before, after))
        abort();
    json_decref(after);
    plug_text_dispose(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct strake_pair entry[] = { { "auth", "eDp5" }, { NULL, NULL } };
    char *text = plug_strndup((const char *)data, size);
    json_t *before = text ? json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, NULL) : NULL;

    if (json_is_object(before)) {
        strip(before);
        check(text, before, entry);
        check(text, before, NULL);
    }
    json_decref(before);
    free(text);
    return 0;
}
