/* Reading, merging and writing of what a target asks of its builder. */
#include "build/extras.h"

#include <stdio.h>
#include <string.h>

#include "util/json.h"
#include "util/size.h"

const char *const strake_extras_keys[] = { "ssh",
                                           "entitlements",
                                           "add_hosts",
                                           "ulimits",
                                           "attestations",
                                           "no_cache_stages",
                                           "network",
                                           "compression",
                                           "compression_level",
                                           "force_compression",
                                           "source_date_epoch",
                                           "rewrite_timestamp",
                                           "pull",
                                           "reproducible",
                                           "shm_size",
                                           NULL };

void strake_extras_dispose(struct strake_build_extras *extras)
{
    strake_strings_dispose(&extras->ssh);
    strake_strings_dispose(&extras->entitlements);
    strake_pairs_dispose(&extras->add_hosts);
    strake_pairs_dispose(&extras->ulimits);
    strake_pairs_dispose(&extras->attestations);
    strake_strings_dispose(&extras->no_cache_stages);
    strake_free(extras->network);
    strake_free(extras->compression);
    strake_free(extras->source_date_epoch);
    *extras = (struct strake_build_extras){ 0 };
}

/* ---- reading ---- */

static int expected(const char *key, const char *what, struct strake_err *err)
{
    return strake_fail(err, STRAKE_ECONFIG, "%s must be %s", key, what);
}

/* These words reach a command line: nothing that ends a line or a text. */
static bool is_line(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && *text && strlen(text) == json_string_length(value) && !strpbrk(text, "\r\n");
}

static int set_text(char **to, const char *text, struct strake_err *err)
{
    char *copy = strake_strdup(text);

    if (!copy)
        return strake_fail_nomem(err);
    strake_free(*to);
    *to = copy;
    return 0;
}

static int add_once(struct strake_strings *list, const char *text, struct strake_err *err)
{
    if (strake_strings_has(list, text))
        return 0;
    return strake_strings_add(list, text) < 0 ? strake_fail_nomem(err) : 0;
}

/* A text stands for a list of one; Lua's empty table for an empty list. */
static int read_list(const char *key, const json_t *value, struct strake_strings *list,
                     struct strake_err *err)
{
    const json_t *item;
    size_t i;
    int rc = 0;

    if (is_line(value))
        return add_once(list, json_string_value(value), err);
    if (!json_is_array(value) && !(json_is_object(value) && json_object_size(value) == 0))
        return expected(key, "a text or a list of texts", err);
    json_array_foreach(value, i, item) {
        if (rc == 0)
            rc = is_line(item) ? add_once(list, json_string_value(item), err)
                               : expected(key, "a list of texts without newlines", err);
    }
    return rc;
}

static int read_map(const char *key, const json_t *value, const char *what,
                    struct strake_pairs *pairs, struct strake_err *err)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value) && json_array_size(value) > 0)
        return expected(key, what, err);
    if (!json_is_object(value) && !json_is_array(value))
        return expected(key, what, err);
    json_object_foreach((json_t *)value, name, item) {
        char number[32];
        const char *text = number;
        if (json_is_integer(item))
            snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(item));
        else if (is_line(item))
            text = json_string_value(item);
        else
            return expected(key, what, err);
        if (!*name || strpbrk(name, "=\r\n"))
            return expected(key, what, err);
        if (strake_pairs_set(pairs, name, text) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int read_attestations(const char *key, const json_t *value, struct strake_pairs *pairs,
                             struct strake_err *err)
{
    static const char what[] = "a table of provenance and sbom, such as { provenance = "
                               "\"mode=max\", sbom = true }";
    const char *name;
    json_t *item;

    if (!json_is_object(value) && !(json_is_array(value) && json_array_size(value) == 0))
        return expected(key, what, err);
    json_object_foreach((json_t *)value, name, item) {
        const char *options = json_is_true(item)    ? ""
                              : json_is_false(item) ? "disabled"
                                                    : json_string_value(item);
        if ((strcmp(name, "provenance") != 0 && strcmp(name, "sbom") != 0) || !options ||
            strpbrk(options, "\r\n"))
            return expected(key, what, err);
        if (strake_pairs_set(pairs, name, options) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int read_choice(const char *key, const json_t *value, const char *const *known,
                       const char *what, char **to, struct strake_err *err)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && known[i]; i++) {
        if (strcmp(known[i], text) == 0)
            return set_text(to, text, err);
    }
    return expected(key, what, err);
}

static int read_bool(const char *key, const json_t *value, bool *to, struct strake_err *err)
{
    if (!json_is_boolean(value))
        return expected(key, "true or false", err);
    *to = json_is_true(value);
    return 0;
}

static int read_level(const char *key, const json_t *value, int *to, struct strake_err *err)
{
    json_int_t level = json_is_integer(value) ? json_integer_value(value) : 0;

    if (level < 1 || level > 22)
        return expected(key, "a number from 1 to 22", err);
    *to = (int)level;
    return 0;
}

static int read_epoch(const char *key, const json_t *value, char **to, struct strake_err *err)
{
    static const char what[] = "seconds since 1970, such as 1735689600";
    const char *text = json_string_value(value);
    char number[32];

    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (!text || !*text || strlen(text) > 12 || text[strspn(text, "0123456789")])
        return expected(key, what, err);
    return set_text(to, text, err);
}

static int read_size(const char *key, const json_t *value, int64_t *to, struct strake_err *err)
{
    const char *text = json_string_value(value);
    int64_t bytes = json_is_integer(value) ? (int64_t)json_integer_value(value) : 0;

    if ((text && strake_size_parse(text, &bytes) < 0) || bytes <= 0)
        return expected(key, "a size, such as \"64m\"", err);
    *to = bytes;
    return 0;
}

static int read_reproducible(struct strake_build_extras *extras, const char *key,
                             const json_t *value, struct strake_err *err)
{
    bool reproducible = false;
    int rc = read_bool(key, value, &reproducible, err);

    if (rc < 0 || !reproducible)
        return rc;
    extras->rewrite_timestamp = true;
    return extras->source_date_epoch ? 0 : set_text(&extras->source_date_epoch, "0", err);
}

int strake_extras_set(struct strake_build_extras *extras, const char *key, const json_t *value,
                      struct strake_err *err)
{
    static const char *const networks[] = { "default", "none", "host", NULL };
    static const char *const compressions[] = { "gzip", "zstd", "estargz", "uncompressed", NULL };

    if (strcmp(key, "ssh") == 0)
        return json_is_true(value) ? add_once(&extras->ssh, "default", err)
                                   : read_list(key, value, &extras->ssh, err);
    if (strcmp(key, "entitlements") == 0)
        return read_list(key, value, &extras->entitlements, err);
    if (strcmp(key, "no_cache_stages") == 0)
        return read_list(key, value, &extras->no_cache_stages, err);
    if (strcmp(key, "add_hosts") == 0)
        return read_map(key, value, "a table of names and addresses", &extras->add_hosts, err);
    if (strcmp(key, "ulimits") == 0)
        return read_map(key, value, "a table such as { nofile = \"1024:2048\" }", &extras->ulimits,
                        err);
    if (strcmp(key, "attestations") == 0)
        return read_attestations(key, value, &extras->attestations, err);
    if (strcmp(key, "network") == 0)
        return read_choice(key, value, networks, "default, none or host", &extras->network, err);
    if (strcmp(key, "compression") == 0)
        return read_choice(key, value, compressions, "gzip, zstd, estargz or uncompressed",
                           &extras->compression, err);
    if (strcmp(key, "compression_level") == 0)
        return read_level(key, value, &extras->compression_level, err);
    if (strcmp(key, "force_compression") == 0)
        return read_bool(key, value, &extras->force_compression, err);
    if (strcmp(key, "source_date_epoch") == 0)
        return read_epoch(key, value, &extras->source_date_epoch, err);
    if (strcmp(key, "rewrite_timestamp") == 0)
        return read_bool(key, value, &extras->rewrite_timestamp, err);
    if (strcmp(key, "pull") == 0)
        return read_bool(key, value, &extras->pull, err);
    if (strcmp(key, "reproducible") == 0)
        return read_reproducible(extras, key, value, err);
    if (strcmp(key, "shm_size") == 0)
        return read_size(key, value, &extras->shm_size_bytes, err);
    return STRAKE_ENOTFOUND;
}

int strake_extras_read(struct strake_build_extras *extras, const json_t *object,
                       struct strake_err *err)
{
    const char *key;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)object, key, value) {
        if (rc == 0)
            rc = strake_extras_set(extras, key, value, err);
        if (rc == STRAKE_ENOTFOUND)
            rc = strake_fail(err, STRAKE_ECONFIG, "there is no build option '%s'", key);
    }
    return rc;
}

/* ---- writing ---- */

static int write_list(json_t *doc, const char *key, const struct strake_strings *list)
{
    return list->count ? strake_json_set(doc, key, strake_json_strings(strake_strings_view(list)))
                       : 0;
}

static int write_pairs(json_t *doc, const char *key, const struct strake_pairs *pairs)
{
    return pairs->count ? strake_json_set(doc, key, strake_json_pairs(strake_pairs_view(pairs)))
                        : 0;
}

json_t *strake_extras_json(const struct strake_build_extras *extras)
{
    json_t *doc = json_object();

    if (!doc || write_list(doc, "ssh", &extras->ssh) < 0 ||
        write_list(doc, "entitlements", &extras->entitlements) < 0 ||
        write_pairs(doc, "add_hosts", &extras->add_hosts) < 0 ||
        write_pairs(doc, "ulimits", &extras->ulimits) < 0 ||
        write_pairs(doc, "attestations", &extras->attestations) < 0 ||
        write_list(doc, "no_cache_stages", &extras->no_cache_stages) < 0 ||
        strake_json_set_str(doc, "network", extras->network) < 0 ||
        strake_json_set_str(doc, "compression", extras->compression) < 0 ||
        (extras->compression_level &&
         strake_json_set_int(doc, "compression_level", extras->compression_level) < 0) ||
        (extras->force_compression && strake_json_set_bool(doc, "force_compression", true) < 0) ||
        strake_json_set_str(doc, "source_date_epoch", extras->source_date_epoch) < 0 ||
        (extras->rewrite_timestamp && strake_json_set_bool(doc, "rewrite_timestamp", true) < 0) ||
        (extras->pull && strake_json_set_bool(doc, "pull", true) < 0) ||
        (extras->shm_size_bytes &&
         strake_json_set_int(doc, "shm_size", extras->shm_size_bytes) < 0)) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

/* ---- merging ---- */

static int merge_list(struct strake_strings *to, const struct strake_strings *from)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        if (!strake_strings_has(to, from->items[i]))
            rc = strake_strings_add(to, from->items[i]);
    }
    return rc;
}

static int merge_text(char **to, const char *from)
{
    char *copy;

    if (!from)
        return 0;
    copy = strake_strdup(from);
    if (!copy)
        return STRAKE_ENOMEM;
    strake_free(*to);
    *to = copy;
    return 0;
}

int strake_extras_merge(struct strake_build_extras *to, const struct strake_build_extras *from)
{
    if (merge_list(&to->ssh, &from->ssh) < 0 ||
        merge_list(&to->entitlements, &from->entitlements) < 0 ||
        strake_pairs_copy(&to->add_hosts, &from->add_hosts) < 0 ||
        strake_pairs_copy(&to->ulimits, &from->ulimits) < 0 ||
        strake_pairs_copy(&to->attestations, &from->attestations) < 0 ||
        merge_list(&to->no_cache_stages, &from->no_cache_stages) < 0 ||
        merge_text(&to->network, from->network) < 0 ||
        merge_text(&to->compression, from->compression) < 0 ||
        merge_text(&to->source_date_epoch, from->source_date_epoch) < 0)
        return STRAKE_ENOMEM;
    to->shm_size_bytes = from->shm_size_bytes ? from->shm_size_bytes : to->shm_size_bytes;
    to->compression_level =
        from->compression_level ? from->compression_level : to->compression_level;
    to->force_compression = to->force_compression || from->force_compression;
    to->rewrite_timestamp = to->rewrite_timestamp || from->rewrite_timestamp;
    to->pull = to->pull || from->pull;
    return 0;
}
