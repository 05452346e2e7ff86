/* target "NAME" { … }: its keys. */
#include <stdlib.h>
#include <string.h>

#include "image/platform.h"
#include "lua/schema.h"

static int take_context(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_target *)object)->context);
}

static int take_dockerfile(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_target *)object)->dockerfile);
}

static int take_stage(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_target *)object)->stage);
}

static int take_platforms(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    struct strake_strings written = { 0 };
    int rc = strake_take_texts(decl, key, index, &written);

    for (size_t i = 0; rc == 0 && i < written.count; i++) {
        char platform[STRAKE_PLATFORM_TEXT];
        rc = strake_platform_parse(written.items[i], platform, decl->err);
        if (rc < 0) {
            strake_err_prefix(decl->err, "target \"%s\": ", decl->name);
            strake_err_place(decl->err, decl->file, decl->line);
            rc = rc == STRAKE_EUSAGE ? strake_err_recode(decl->err, STRAKE_ECONFIG) : rc;
        } else if (!strake_strings_has(&target->platforms, platform) &&
                   strake_strings_add(&target->platforms, platform) < 0) {
            rc = strake_fail_nomem(decl->err);
        }
    }
    strake_strings_dispose(&written);
    return rc;
}

static int take_cache_from(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_texts(decl, key, index, &((struct strake_target *)object)->cache_from);
}

static int take_cache_to(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_texts(decl, key, index, &((struct strake_target *)object)->cache_to);
}

static int take_args(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_pairs(decl, key, index, &((struct strake_target *)object)->args);
}

static int take_labels(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_pairs(decl, key, index, &((struct strake_target *)object)->labels);
}

static int take_annotations(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_pairs(decl, key, index, &((struct strake_target *)object)->annotations);
}

/* NAME = "docker-image://…", a folder or a URL, or target "OTHER". */
static int add_context(struct strake_decl *decl, struct strake_pairs *contexts)
{
    lua_State *L = decl->L;
    const int index = lua_gettop(L);
    const char *other = strake_lua_target_at(L, index);
    char *value = NULL;
    int rc = 0;

    if (lua_type(L, -2) != LUA_TSTRING)
        return strake_decl_fail(decl, "contexts must be a table: NAME = target \"OTHER\"");
    if (other) {
        value = strake_asprintf("target:%s", other);
        rc = value ? 0 : strake_fail_nomem(decl->err);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        rc = strake_take_text(decl, "contexts", index, &value);
    } else {
        rc = strake_decl_expected(decl, "contexts", "a table of targets, folders, images and URLs",
                                  index);
    }
    if (rc == 0 && strake_pairs_set(contexts, lua_tostring(L, -2), value) < 0)
        rc = strake_fail_nomem(decl->err);
    strake_free(value);
    return rc;
}

static int take_contexts(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    lua_State *L = decl->L;
    int rc = 0;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a table: NAME = target \"OTHER\"", index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1))
        rc = add_context(decl, &target->contexts);
    strake_pairs_sort(&target->contexts);
    return rc;
}

/* after = { "base", target "other" } */
static int take_after(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    lua_State *L = decl->L;
    const char *other = strake_lua_target_at(L, index);
    lua_Integer count;
    int rc = 0;

    if (other)
        return strake_strings_add(&target->after, other) < 0 ? strake_fail_nomem(decl->err) : 0;
    if (!lua_istable(L, index))
        return strake_take_texts(decl, key, index, &target->after);
    count = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; rc == 0 && i <= count; i++) {
        lua_rawgeti(L, index, i);
        other = strake_lua_target_at(L, -1);
        if (!other && lua_type(L, -1) != LUA_TSTRING)
            rc = strake_decl_expected(decl, key, "a list of targets", lua_gettop(L));
        else if (strake_strings_add(&target->after, other ? other : lua_tostring(L, -1)) < 0)
            rc = strake_fail_nomem(decl->err);
        lua_pop(L, 1);
    }
    return rc;
}

static int take_builders(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_texts(decl, key, index, &((struct strake_target *)object)->builders);
}

/* One secret of the build: the value on top of the stack under the id below it. */
static int add_secret(struct strake_decl *decl, struct strake_target *target)
{
    lua_State *L = decl->L;
    const char *name = strake_lua_secret_at(L, -1);
    struct strake_target_secret *secrets, *secret;

    if (lua_type(L, -2) != LUA_TSTRING)
        return strake_decl_fail(decl, "secrets must be a table: ID = secret.env \"NAME\"");
    if (!name) {
        strake_decl_expected(decl, "secrets", "a table of secrets", lua_gettop(L));
        strake_err_hint(decl->err, "%s = secret.file \"PATH\", or secret.env \"NAME\"",
                        lua_tostring(L, -2));
        return STRAKE_ECONFIG;
    }
    secrets = strake_reallocarray(target->secrets, target->secret_count + 1, sizeof(*secrets));
    if (!secrets)
        return strake_fail_nomem(decl->err);
    target->secrets = secrets;
    secret = &secrets[target->secret_count++];
    *secret = (struct strake_target_secret){ .id = strake_strdup(lua_tostring(L, -2)),
                                             .name = strake_strdup(name) };
    return secret->id && secret->name ? 0 : strake_fail_nomem(decl->err);
}

static int compare_secrets(const void *a, const void *b)
{
    const struct strake_target_secret *left = a, *right = b;

    return strcmp(left->id, right->id);
}

static int take_secrets(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    lua_State *L = decl->L;
    int rc = 0;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a table: ID = secret.env \"NAME\"", index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1))
        rc = add_secret(decl, target);
    if (rc == 0 && target->secret_count > 1)
        qsort(target->secrets, target->secret_count, sizeof(*target->secrets), compare_secrets);
    return rc;
}

static int take_cache(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (lua_type(decl->L, index) != LUA_TSTRING && !lua_istable(decl->L, index))
        return strake_decl_expected(decl, key,
                                    "a type, such as \"auto\", or a table: { type = "
                                    "\"registry\", ref = … }",
                                    index);
    return strake_take_json(decl, key, index, &((struct strake_target *)object)->cache);
}

static int take_no_cache(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_bool(decl, key, index, &((struct strake_target *)object)->no_cache);
}

static int take_default(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_bool(decl, key, index, &((struct strake_target *)object)->is_default);
}

static int take_ledger(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;

    target->ledger_said = true;
    return strake_take_bool(decl, key, index, &target->ledger);
}

int strake_declare_target(struct strake_decl *decl, int index)
{
    static const struct strake_field fields[] = {
        { "context", take_context, false },
        { "dockerfile", take_dockerfile, false },
        { "stage", take_stage, false },
        { "platforms", take_platforms, false },
        { "image", strake_take_image, false },
        { "tags", strake_take_tags, false },
        { "refs", strake_take_refs, false },
        { "args", take_args, false },
        { "labels", take_labels, false },
        { "annotations", take_annotations, false },
        { "contexts", take_contexts, false },
        { "after", take_after, false },
        { "builders", take_builders, false },
        { "builder", take_builders, false },
        { "secrets", take_secrets, false },
        { "cache", take_cache, false },
        { "cache_from", take_cache_from, false },
        { "cache_to", take_cache_to, false },
        { "no_cache", take_no_cache, false },
        { "ssh", strake_take_extra, false },
        { "entitlements", strake_take_extra, false },
        { "add_hosts", strake_take_extra, false },
        { "ulimits", strake_take_extra, false },
        { "attestations", strake_take_extra, false },
        { "no_cache_stages", strake_take_extra, false },
        { "network", strake_take_extra, false },
        { "compression", strake_take_extra, false },
        { "compression_level", strake_take_extra, false },
        { "force_compression", strake_take_extra, false },
        { "source_date_epoch", strake_take_extra, false },
        { "rewrite_timestamp", strake_take_extra, false },
        { "pull", strake_take_extra, false },
        { "reproducible", strake_take_extra, false },
        { "shm_size", strake_take_extra, false },
        { "default", take_default, false },
        { "ledger", take_ledger, false },
        { NULL, NULL, false },
    };
    struct strake_target *target;
    int rc = strake_project_add_target(decl->engine->project, decl->name, decl->file, decl->line,
                                       &target, decl->err);

    if (rc == 0)
        rc = strake_schema_read(decl, index, fields, target);
    if (rc == 0)
        rc = strake_decl_split_refs(decl, target);
    if (rc < 0)
        return rc;
    if (!target->context)
        target->context = strake_strdup(".");
    if (!target->dockerfile)
        target->dockerfile = strake_strdup("");
    if (!target->stage)
        target->stage = strake_strdup("");
    if (!target->version)
        target->version = strake_strdup(target->tags.count ? target->tags.items[0] : "");
    return target->context && target->dockerfile && target->stage && target->version
               ? 0
               : strake_fail_nomem(decl->err);
}
