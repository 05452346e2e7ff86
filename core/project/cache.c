/* From a target's `cache` value to the CSV records of BuildKit's --import-cache and --export-cache.
 */
#include <string.h>

#include "project/make.h"
#include "util/json.h"

/* A CSV field that holds a comma or a quote is quoted, its quotes doubled (RFC 4180). */
static int add_field(struct strake_buf *record, const char *key, const char *value)
{
    int rc = record->len ? strake_buf_putc(record, ',') : 0;

    if (rc < 0 || !strpbrk(value, ",\"\n"))
        return rc < 0 ? rc : strake_buf_printf(record, "%s=%s", key, value);
    rc = strake_buf_printf(record, "\"%s=", key);
    for (; rc == 0 && *value; value++) {
        if (*value == '"')
            rc = strake_buf_putc(record, '"');
        if (rc == 0)
            rc = strake_buf_putc(record, *value);
    }
    return rc < 0 ? rc : strake_buf_putc(record, '"');
}

/* Keys that only an export knows. */
static bool is_export_key(const char *key)
{
    static const char *const keys[] = { "mode",
                                        "compression",
                                        "compression-level",
                                        "force-compression",
                                        "oci-mediatypes",
                                        "image-manifest",
                                        "ignore-error",
                                        "dest",
                                        NULL };

    for (size_t i = 0; keys[i]; i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static int add_value(struct strake_buf *record, const char *key, const json_t *value)
{
    char number[32];

    if (json_is_string(value))
        return add_field(record, key, json_string_value(value));
    if (json_is_boolean(value))
        return add_field(record, key, json_is_true(value) ? "true" : "false");
    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        return add_field(record, key, number);
    }
    return STRAKE_ECONFIG;
}

/* Lua keys are written with `_` where BuildKit has `-`. */
static void buildkit_key(const char *key, char *out, size_t cap)
{
    snprintf(out, cap, "%s", key);
    for (; *out; out++) {
        if (*out == '_')
            *out = '-';
    }
}

/* An inline cache lies in the image itself: it is exported as inline and imported as registry. */
static int inline_records(const struct strake_plan_target *target, struct strake_strings *import,
                          struct strake_strings *export)
{
    int rc = strake_strings_add(export, "type=inline");

    for (size_t i = 0; rc == 0 && i < target->images.count && i < 1; i++) {
        for (size_t k = 0; rc == 0 && k < target->tags.count; k++) {
            char *record = strake_asprintf("type=registry,ref=%s:%s", target->images.items[i],
                                           target->tags.items[k]);
            rc = record ? strake_strings_take(import, record) : STRAKE_ENOMEM;
        }
    }
    return rc;
}

/* A local cache is read from the folder that it is written to. */
static const char *import_key(const char *type, const char *key)
{
    return strcmp(type, "local") == 0 && strcmp(key, "dest") == 0 ? "src" : key;
}

static int one_record(json_t *entry, const char *type, bool export, struct strake_strings *out)
{
    struct strake_buf record = STRAKE_BUF(65536);
    const char *key;
    json_t *value;
    int rc = add_field(&record, "type", type);

    json_object_foreach(entry, key, value) {
        char name[64];
        buildkit_key(key, name, sizeof(name));
        const char *used = export ? name : import_key(type, name);
        if (rc < 0 || strcmp(key, "type") == 0 || (export && strcmp(name, "src") == 0))
            continue;
        if (export || used != name || !is_export_key(name))
            rc = add_value(&record, used, value);
    }
    if (rc == 0)
        rc = strake_strings_add_len(out, strake_buf_text(&record), record.len);
    strake_buf_dispose(&record);
    return rc;
}

static int add_entry(json_t *entry, const struct strake_plan_target *target,
                     struct strake_strings *import, struct strake_strings *export,
                     struct strake_err *err)
{
    const char *type = strake_json_str(entry, "type");
    int rc;

    if (!type) {
        rc = strake_fail(err, STRAKE_ECONFIG, "target %s: `cache` has no type", target->name);
        strake_err_hint(err,
                        "for example cache = { type = \"registry\", ref = REPO .. \":cache\" }");
    } else if (strcmp(type, "inline") == 0) {
        rc = inline_records(target, import, export);
    } else {
        rc = one_record(entry, type, false, import);
        if (rc == 0)
            rc = one_record(entry, type, true, export);
    }
    if (rc == STRAKE_ECONFIG && !err->code)
        strake_fail(err, rc, "target %s: a value of `cache` is neither text, number nor boolean",
                    target->name);
    else if (rc == STRAKE_ENOMEM)
        strake_fail_nomem(err);
    else if (rc < 0 && !err->code)
        rc = strake_fail(err, STRAKE_ECONFIG, "target %s: `cache` is too large", target->name);
    if (rc < 0)
        strake_err_place(err, target->file, target->line);
    return rc;
}

int strake_cache_records(const json_t *cache, const struct strake_plan_target *target,
                         struct strake_strings *import, struct strake_strings *export,
                         struct strake_err *err)
{
    int rc = 0;
    json_t *entry;
    size_t i;

    if (json_is_object(cache) && json_object_size(cache))
        return add_entry((json_t *)cache, target, import, export, err);
    json_array_foreach(cache, i, entry) {
        if (rc == 0)
            rc = add_entry(entry, target, import, export, err);
    }
    return rc;
}
