/* What a command or a flow asks for, read from the JSON that crosses from Lua. */
#include <string.h>

#include "project/make.h"
#include "util/json.h"

void strake_wish_dispose(struct strake_wish *wish)
{
    strake_strings_dispose(&wish->names);
    strake_strings_dispose(&wish->refs);
    strake_strings_dispose(&wish->tags);
    strake_strings_dispose(&wish->platforms);
    strake_strings_dispose(&wish->cache_from);
    strake_strings_dispose(&wish->cache_to);
    strake_pairs_dispose(&wish->args);
    strake_pairs_dispose(&wish->labels);
    strake_pairs_dispose(&wish->contexts);
    strake_pairs_dispose(&wish->annotations);
    strake_extras_dispose(&wish->extras);
    for (size_t i = 0; i < wish->secret_count; i++) {
        strake_free(wish->secrets[i].id);
        strake_free(wish->secrets[i].file);
        strake_free(wish->secrets[i].name);
    }
    strake_free(wish->secrets);
    strake_free(wish->dockerfile);
    strake_free(wish->stage);
    strake_free(wish->builder);
    strake_free(wish->cwd);
    *wish = (struct strake_wish){ 0 };
}

static int wrong(const char *key, const char *expected, struct strake_err *err)
{
    return strake_fail(err, STRAKE_EUSAGE, "%s must be %s", key, expected);
}

static int take_text(const json_t *value, const char *key, char **out, struct strake_err *err)
{
    if (!json_is_string(value))
        return wrong(key, "a text", err);
    *out = strake_strdup(json_string_value(value));
    return *out ? 0 : strake_fail_nomem(err);
}

/* A single text stands for a list of one. */
static int take_strings(const json_t *value, const char *key, struct strake_strings *out,
                        struct strake_err *err)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value))
        return strake_strings_add(out, json_string_value(value)) < 0 ? strake_fail_nomem(err) : 0;
    if (json_is_object(value) && json_object_size(value) == 0)
        return 0; /* Lua's empty table */
    if (!json_is_array(value))
        return wrong(key, "a list of texts", err);
    json_array_foreach(value, i, item) {
        if (!json_is_string(item))
            return wrong(key, "a list of texts", err);
        if (strake_strings_add(out, json_string_value(item)) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int take_pairs(json_t *value, const char *key, struct strake_pairs *out,
                      struct strake_err *err)
{
    const char *name;
    json_t *item;

    if (json_is_array(value) && json_array_size(value) == 0)
        return 0;
    if (!json_is_object(value))
        return wrong(key, "a table of names and texts", err);
    json_object_foreach(value, name, item) {
        if (!json_is_string(item))
            return wrong(key, "a table of names and texts", err);
        if (strake_pairs_set(out, name, json_string_value(item)) < 0)
            return strake_fail_nomem(err);
    }
    return 0;
}

static int take_secret(const json_t *item, struct strake_wish *out, struct strake_err *err)
{
    struct strake_plan_secret *secret = &out->secrets[out->secret_count++];
    const char *file = strake_json_str(item, "file"), *name = strake_json_str(item, "secret");
    int rc = take_text(json_object_get(item, "id"), "secrets", &secret->id, err);

    if (rc == 0 && file)
        rc = take_text(json_object_get(item, "file"), "secrets", &secret->file, err);
    if (rc == 0 && name)
        rc = take_text(json_object_get(item, "secret"), "secrets", &secret->name, err);
    return rc;
}

static int take_secrets(const json_t *value, struct strake_wish *out, struct strake_err *err)
{
    const json_t *item;
    size_t i;
    int rc = 0;

    if (json_array_size(value) == 0)
        return 0;
    out->secrets = strake_calloc(json_array_size(value), sizeof(*out->secrets));
    if (!out->secrets)
        return strake_fail_nomem(err);
    json_array_foreach(value, i, item) {
        rc = rc < 0 ? rc : take_secret(item, out, err);
    }
    return rc;
}

/* Keys that hold one kind of value each. */
static int take_field(const char *key, json_t *value, struct strake_wish *out,
                      struct strake_err *err)
{
    const struct {
        const char *key;
        char **text;
        struct strake_strings *strings;
        struct strake_pairs *pairs;
    } fields[] = {
        { "names", NULL, &out->names, NULL },
        { "refs", NULL, &out->refs, NULL },
        { "tags", NULL, &out->tags, NULL },
        { "platforms", NULL, &out->platforms, NULL },
        { "cache_from", NULL, &out->cache_from, NULL },
        { "cache_to", NULL, &out->cache_to, NULL },
        { "args", NULL, NULL, &out->args },
        { "labels", NULL, NULL, &out->labels },
        { "contexts", NULL, NULL, &out->contexts },
        { "annotations", NULL, NULL, &out->annotations },
        { "dockerfile", &out->dockerfile, NULL, NULL },
        { "stage", &out->stage, NULL, NULL },
        { "builder", &out->builder, NULL, NULL },
        { "cwd", &out->cwd, NULL, NULL },
    };
    int rc;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].key, key) != 0)
            continue;
        if (fields[i].text)
            return take_text(value, key, fields[i].text, err);
        return fields[i].strings ? take_strings(value, key, fields[i].strings, err)
                                 : take_pairs(value, key, fields[i].pairs, err);
    }
    if (strcmp(key, "secrets") == 0)
        return take_secrets(value, out, err);
    if (strcmp(key, "all") == 0) {
        out->all = json_is_true(value);
        return 0;
    }
    if (strcmp(key, "no_cache") == 0) {
        out->no_cache = json_is_true(value);
        return 0;
    }
    rc = strake_extras_set(&out->extras, key, value, err);
    if (rc == STRAKE_ENOTFOUND)
        rc = strake_fail(err, STRAKE_EUSAGE, "build has no option '%s'", key);
    return rc == STRAKE_ECONFIG ? strake_err_recode(err, STRAKE_EUSAGE) : rc;
}

int strake_wish_parse(const json_t *json, struct strake_wish *out, struct strake_err *err)
{
    const char *key;
    json_t *value;
    int rc = 0;

    json_object_foreach((json_t *)json, key, value) {
        if (rc == 0)
            rc = take_field(key, value, out, err);
    }
    out->set_tags = json_object_get(json, "tags") != NULL;
    return rc;
}
