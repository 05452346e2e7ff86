/* A table of the user's as one CSV record. */
#include <stdio.h>
#include <string.h>

#include "cache/cache.h"

/* Lua keys have `_` where BuildKit mostly has `-`: these have one there too. */
static const char *const underscored[] = { "url_v2", NULL };
/* Of s3 and azblob all keys do, but these, which every type knows. */
static const char *const hyphened[] = { "compression-level", "force-compression", "oci-mediatypes",
                                        "image-manifest",    "ignore-error",      NULL };
/* What only an export knows. */
static const char *const export_only[] = {
    "mode",
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "image-manifest",
    "ignore-error",
    "dest",
    NULL,
};
/* What is Strake's own. */
static const char *const ours[] = { "type", "required", "read-only", "main-branch", NULL };

static bool listed(const char *const *list, const char *word)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, word) == 0)
            return true;
    }
    return false;
}

static void replace(char *text, char from, char to)
{
    for (; *text != '\0'; text++) {
        if (*text == from)
            *text = to;
    }
}

#define KEY_MAX 64

/* The key with hyphens, by which all lists here know it. */
static void plain_key(const char *key, char out[static KEY_MAX])
{
    snprintf(out, KEY_MAX, "%s", key);
    if (!listed(underscored, out))
        replace(out, '_', '-');
}

/* As BuildKit's cache of that type has it. */
static void buildkit_key(const struct cache_ask *ask, char *key)
{
    bool of_objects = strcmp(ask->type, "s3") == 0 || strcmp(ask->type, "azblob") == 0;
    if (of_objects && !listed(hyphened, key))
        replace(key, '-', '_');
}

const char *cache_text(const struct cache_ask *ask, const char *key)
{
    const char *text = json_string_value(json_object_get(ask->table, key));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

bool cache_flag(const struct cache_ask *ask, const char *key)
{
    return json_is_true(json_object_get(ask->table, key));
}

void cache_record_begin(struct plug_text *record, const char *type)
{
    plug_csv_add(record, "type", type);
}

static int add_value(struct cache_ask *ask, const char *key, const json_t *value,
                     struct plug_text *record)
{
    char number[32];
    if (json_is_string(value)) {
        plug_csv_add(record, key, json_string_value(value));
    } else if (json_is_boolean(value)) {
        plug_csv_add(record, key, json_is_true(value) ? "true" : "false");
    } else if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        plug_csv_add(record, key, number);
    } else {
        return ask->host->fail(ask->err, STRAKE_ECONFIG,
                               "a value of `cache` is neither text, number nor boolean: %s", key);
    }
    return 0;
}

int cache_record_rest(struct cache_ask *ask, enum cache_side side, const char *const *but,
                      struct plug_text *record)
{
    const char *key;
    json_t *value;
    json_object_foreach(ask->table, key, value) {
        char name[KEY_MAX];
        plain_key(key, name);
        if (listed(ours, name) || listed(but, name) ||
            (side == CACHE_IMPORT && listed(export_only, name)))
            continue;
        buildkit_key(ask, name);
        int rc = add_value(ask, name, value, record);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void cache_record_export(struct cache_ask *ask, bool ours_to_name, struct plug_text *record)
{
    if (ours_to_name && json_object_get(ask->table, "mode") == NULL)
        plug_csv_add(record, "mode", "max");
    if (!cache_flag(ask, "required") && json_object_get(ask->table, "ignore_error") == NULL &&
        json_object_get(ask->table, "ignore-error") == NULL)
        plug_csv_add(record, "ignore-error", "true");
}

/* ---- keys that nobody knows ------------------------------------------------------------------ */

/* A key that is new to us may be known to BuildKit, which says nothing of one that it does not know:
 * only what looks like a slip is told. */
void cache_warn_of_slips(const struct cache_ask *ask)
{
    static const char *const known[] = { "type",
                                         "required",
                                         "read-only",
                                         "main-branch",
                                         "mode",
                                         "compression",
                                         "compression-level",
                                         "force-compression",
                                         "oci-mediatypes",
                                         "image-manifest",
                                         "ignore-error",
                                         "ref",
                                         "registry.insecure",
                                         "dest",
                                         "src",
                                         "tag",
                                         "digest",
                                         "scope",
                                         "timeout",
                                         "version",
                                         "url",
                                         "url_v2",
                                         "token",
                                         "repository",
                                         "ghtoken",
                                         "bucket",
                                         "region",
                                         "prefix",
                                         "manifests-prefix",
                                         "blobs-prefix",
                                         "name",
                                         "touch-refresh",
                                         "endpoint-url",
                                         "use-path-style",
                                         "upload-parallelism",
                                         "disable-accept-encoding",
                                         "retry-mode",
                                         "retry-max-attempts",
                                         "account-name",
                                         "account-url",
                                         "container",
                                         NULL };
    const char *key;
    json_t *value;
    json_object_foreach(ask->table, key, value) {
        char name[KEY_MAX];
        plain_key(key, name);
        const char *near = listed(known, name) ? NULL : cache_nearest(name, known, 2);
        if (near != NULL)
            ask->host->log(STRAKE_LOG_WARN,
                           "target %s: no cache has a key `%s`; did you mean `%s`?",
                           ask->request.target, key, near);
    }
}

/* ---- secrets --------------------------------------------------------------------------------- */

/* What to do instead. */
static const char *secret_hint(const char *type)
{
    if (strcmp(type, "s3") == 0)
        return "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role, to buildkitd: it asks "
               "its own environment";
    if (strcmp(type, "azblob") == 0)
        return "give BUILDKIT_AZURE_STORAGE_ACCOUNT_URL and an identity to buildkitd: it asks its "
               "own environment";
    if (strcmp(type, "gha") == 0)
        return "leave it out: ACTIONS_RUNTIME_TOKEN is read from the environment";
    return "a registry's credentials go into its `registry` block, or come from `strake login`";
}

int cache_check_keys(struct cache_ask *ask)
{
    const char *key;
    json_t *value;
    json_object_foreach(ask->table, key, value) {
        if (strlen(key) >= KEY_MAX)
            return ask->host->fail(ask->err, STRAKE_ECONFIG,
                                   "a key of `cache` is too long: %.40s…; no cache has one of %d "
                                   "characters or more",
                                   key, KEY_MAX);
    }
    return 0;
}

int cache_check_secrets(struct cache_ask *ask)
{
    static const char *const secrets[] = {
        "access-key-id", "secret-access-key", "session-token", "token", "ghtoken", "password", NULL
    };
    const char *key;
    json_t *value;
    json_object_foreach(ask->table, key, value) {
        char name[KEY_MAX];
        plain_key(key, name);
        if (!listed(secrets, name) && !json_is_object(value))
            continue;
        if (json_is_object(value) && json_object_get(value, "secret") == NULL)
            continue;
        ask->host->fail(ask->err, STRAKE_ECONFIG,
                        "`%s` may not be given here: it would stand in the command line and in the "
                        "plan",
                        key);
        ask->host->err_hint(ask->err, "%s", secret_hint(ask->type));
        return STRAKE_ECONFIG;
    }
    return 0;
}
