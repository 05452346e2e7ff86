/* The caches of a target when some of its platforms are built together. */
#include <string.h>

#include "build/plan.h"

#define KEY_MAX 40 /* a tag has 128 bytes, and holds more than this */

/* Names are told apart by so much of a digest. */
#define DIGITS 8

char *strake_plan_cache_key(const struct strake_strings *platforms)
{
    struct strake_buf key = STRAKE_BUF(65536);
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err ignored = { 0 };
    char *made = NULL;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < platforms->count; i++)
        rc = strake_buf_printf(&key, "%s%s", i ? "_" : "", platforms->items[i]);
    for (size_t i = 0; rc == 0 && i < key.len; i++) {
        if (key.data[i] == '/')
            key.data[i] = '-';
    }
    if (rc == 0 && key.len <= KEY_MAX)
        made = strake_strdup(strake_buf_text(&key));
    else if (rc == 0 && strake_digest_of(key.data, key.len, digest, &ignored) == 0)
        made = strake_asprintf("%zu-platforms-%.*s", platforms->count, DIGITS,
                               strchr(digest, ':') + 1);
    strake_err_dispose(&ignored);
    strake_buf_dispose(&key);
    return made;
}

int strake_plan_cache_expand(const char *record, const struct strake_strings *platforms,
                             struct strake_strings *list)
{
    static const char placeholder[] = STRAKE_CACHE_PLATFORM;
    char *key = strake_plan_cache_key(platforms);
    struct strake_buf text = { 0 };
    int rc = key ? 0 : STRAKE_ENOMEM;

    while (rc == 0 && *record) {
        const char *at = strstr(record, placeholder);
        const size_t len = at ? (size_t)(at - record) : strlen(record);
        rc = strake_buf_append(&text, record, len);
        if (rc == 0 && at)
            rc = strake_buf_puts(&text, key);
        record += len + (at ? sizeof(placeholder) - 1 : 0);
    }
    if (rc == 0 && !strake_strings_has(list, strake_buf_text(&text)))
        rc = strake_strings_add(list, strake_buf_text(&text));
    strake_buf_dispose(&text);
    strake_free(key);
    return rc;
}

/* Are these all of the target's? Then nothing of it is a part. */
static bool are_all(const struct strake_plan_target *target, const struct strake_strings *platforms)
{
    for (size_t i = 0; i < target->platforms.count; i++) {
        if (!strake_strings_has(platforms, target->platforms.items[i]))
            return false;
    }
    return true;
}

static int add_all(const struct strake_strings *from, struct strake_strings *to)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        if (!strake_strings_has(to, from->items[i]))
            rc = strake_strings_add(to, from->items[i]);
    }
    return rc;
}

int strake_plan_cache(const struct strake_plan_target *target,
                      const struct strake_strings *platforms, struct strake_strings *import,
                      struct strake_strings *export)
{
    const struct strake_strings *part_import = &target->cache_part_import;
    const struct strake_strings *part_export = &target->cache_part_export;
    int rc = 0;

    if (are_all(target, platforms) || (part_import->count == 0 && part_export->count == 0)) {
        rc = add_all(&target->cache_import, import);
        return rc < 0 ? rc : add_all(&target->cache_export, export);
    }
    for (size_t i = 0; rc == 0 && i < part_import->count; i++)
        rc = strake_plan_cache_expand(part_import->items[i], platforms, import);
    for (size_t i = 0; rc == 0 && i < part_export->count; i++)
        rc = strake_plan_cache_expand(part_export->items[i], platforms, export);
    for (size_t i = 0; rc == 0 && platforms->count > 1 && i < platforms->count; i++) {
        struct strake_strings one = { .items = &platforms->items[i], .count = 1 };
        for (size_t k = 0; rc == 0 && k < part_import->count; k++)
            rc = strake_plan_cache_expand(part_import->items[k], &one, import);
    }
    return rc;
}

/* The next field of a record without its quotes; *at moves behind it. False: there is none left. */
static bool next_field(const char **at, struct strake_buf *field)
{
    const bool quoted = **at == '"';

    strake_buf_clear(field);
    if (!**at)
        return false;
    for (*at += quoted; **at && (quoted || **at != ','); ++*at) {
        if (quoted && **at == '"' && *++*at != '"')
            break; /* the one that ends it */
        if (strake_buf_putc(field, **at) < 0)
            return false;
    }
    *at += **at == ',';
    return true;
}

char *strake_plan_cache_field(const char *record, const char *key)
{
    const size_t len = strlen(key);
    struct strake_buf field = { 0 };
    char *value = NULL;

    while (!value && next_field(&record, &field)) {
        const char *text = strake_buf_text(&field);
        if (strncmp(text, key, len) == 0 && text[len] == '=')
            value = strake_strdup(text + len + 1);
    }
    strake_buf_dispose(&field);
    return value;
}
