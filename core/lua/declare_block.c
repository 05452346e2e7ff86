/* builder, registry, notifier, scanner, workflow, deployer: what the core takes itself of their
 * tables; the rest goes to the plugin, which refuses what it does not know. And policies and flows.
 */
#include <stdio.h>
#include <string.h>

#include "build/mirror.h"
#include "build/store.h"
#include "lua/schema.h"
#include "util/event.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/suggest.h"
#include "util/time.h"

/* ---- blocks ---- */

static bool is_event(const char *name)
{
    if (strcmp(name, "run.*") == 0)
        return true;
    for (int i = 0; i < STRAKE_EVENT_COUNT; i++) {
        if (strcmp(strake_event_name((enum strake_event_type)i), name) == 0)
            return true;
    }
    return false;
}

static int unknown_event(struct strake_decl *decl, const char *name)
{
    const char *known[STRAKE_EVENT_COUNT + 2];
    const char *near;
    int count = 0;

    for (; count < STRAKE_EVENT_COUNT; count++)
        known[count] = strake_event_name((enum strake_event_type)count);
    known[count++] = "run.*";
    known[count] = NULL;
    near = strake_suggest(name, known);
    if (near)
        return strake_decl_fail(decl, "on: unknown event '%s'; did you mean '%s'?", name, near);
    return strake_decl_fail(decl, "on: unknown event '%s'", name);
}

static int take_on(struct strake_decl *decl, struct strake_block *block, int index)
{
    int rc = strake_take_texts(decl, "on", index, &block->on);

    for (size_t i = 0; rc == 0 && i < block->on.count; i++) {
        if (!is_event(block->on.items[i]))
            rc = unknown_event(decl, block->on.items[i]);
    }
    return rc;
}

/* slots = 2: targets that a builder takes at once; the pool's, not the plugin's. */
static int take_slots(struct strake_decl *decl, struct strake_block *block)
{
    const json_t *value = json_object_get(block->options, "slots");
    json_int_t slots = json_is_integer(value) ? json_integer_value(value) : 0;

    if (!value)
        return 0;
    if (slots < 1 || slots > 1000)
        return strake_decl_fail(decl, "slots must be a number from 1 to 1000");
    block->slots = (int)slots;
    json_object_del(block->options, "slots");
    return 0;
}

/* ledger = true: the core's, which writes and reads it by whatever plugin. */
static int take_ledger(struct strake_decl *decl, struct strake_block *block)
{
    const json_t *value = json_object_get(block->options, "ledger");

    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return strake_decl_fail(decl, "ledger must be true or false");
    block->ledger = json_is_true(value);
    json_object_del(block->options, "ledger");
    return 0;
}

/* mirrors = { "mirror.lan:5000" }: the stores'. */
static int check_mirrors(struct strake_decl *decl, const struct strake_block *block)
{
    const json_t *mirrors = json_object_get(block->options, "mirrors");
    int rc = 0;

    if (mirrors && (!json_is_array(mirrors) || json_array_size(mirrors) > STRAKE_MIRRORS_MAX))
        return strake_decl_fail(decl, "mirrors must be a list of hosts, of %d at most",
                                STRAKE_MIRRORS_MAX);
    for (size_t i = 0; rc == 0 && i < json_array_size(mirrors); i++) {
        const char *name = json_string_value(json_array_get(mirrors, i));
        char *host = NULL, *prefix = NULL;
        rc = strake_mirror_parse(name ? name : "", &host, &prefix, decl->err);
        if (rc == 0 && strcmp(host, block->name) == 0 && !prefix[0])
            rc = strake_decl_fail(decl, "%s cannot be its own mirror", host);
        else if (rc == STRAKE_ECONFIG) {
            strake_err_prefix(decl->err, "%s \"%s\": ", decl->kind, decl->name);
            strake_err_place(decl->err, decl->file, decl->line);
        }
        strake_free(host);
        strake_free(prefix);
    }
    return rc;
}

/* timeout = "2s" is timeout_ms = 2000 for the plugin. */
static int take_duration(struct strake_decl *decl, json_t *options, const char *key)
{
    const json_t *value = json_object_get(options, key);
    char name[32];
    int64_t ms;

    if (!value)
        return 0;
    if (!json_is_string(value) || strake_duration_parse(json_string_value(value), &ms) < 0)
        return strake_decl_fail(decl, "%s must be a duration: \"300ms\", \"2s\", \"5m\"", key);
    snprintf(name, sizeof(name), "%s_ms", key);
    if (strake_json_set_int(options, name, ms) < 0)
        return strake_fail_nomem(decl->err);
    json_object_del(options, key);
    return 0;
}

/* A certificate's file is named from the project's folder, not from where the program runs. */
static int resolve_file(struct strake_decl *decl, json_t *options, const char *key)
{
    const char *path = strake_json_str(options, key);
    const char *dir =
        decl->engine->layer_root ? decl->engine->layer_root : decl->engine->project_dir;
    char *absolute;
    int rc;

    if (!path || path[0] == '/')
        return 0;
    absolute = strake_fs_join(dir, path);
    rc = absolute && strake_json_set_str(options, key, absolute) == 0
             ? 0
             : strake_fail_nomem(decl->err);
    strake_free(absolute);
    return rc;
}

static int take_type(struct strake_decl *decl, struct strake_block *block, int index)
{
    if (!lua_isnil(decl->L, index))
        return strake_take_text(decl, "type", index, &block->type);
    if (block->kind != STRAKE_BLOCK_REGISTRY) {
        strake_decl_fail(decl, "type is missing");
        strake_err_hint(decl->err, "`strake plugin list` shows the plugins that are installed");
        return STRAKE_ECONFIG;
    }
    block->type = strake_strdup(strake_registry_plugin(decl->name));
    return block->type ? 0 : strake_fail_nomem(decl->err);
}

int strake_declare_block(struct strake_decl *decl, enum strake_block_kind kind, int index)
{
    static const char *const files[] = { "ca", "cert", "key" };
    lua_State *L = decl->L;
    struct strake_block *block;
    int rc = strake_project_add_block(decl->engine->project, kind, decl->name, decl->file,
                                      decl->line, &block, decl->err);

    if (rc == 0)
        rc = strake_take_json(decl, "the declaration", index, &block->options);
    if (rc == 0 && !json_is_object(block->options))
        rc = strake_decl_fail(decl, "a value without a key; write KEY = VALUE");
    if (rc < 0)
        return rc;
    lua_getfield(L, index, "type");
    rc = take_type(decl, block, lua_gettop(L));
    if (rc == 0 && kind == STRAKE_BLOCK_NOTIFIER && lua_getfield(L, index, "on") != LUA_TNIL) {
        rc = take_on(decl, block, lua_gettop(L));
        json_object_del(block->options, "on");
    }
    json_object_del(block->options, "type");
    if (rc == 0 && kind == STRAKE_BLOCK_BUILDER)
        rc = take_slots(decl, block);
    if (rc == 0 && kind == STRAKE_BLOCK_REGISTRY)
        rc = take_ledger(decl, block);
    if (rc == 0 && kind == STRAKE_BLOCK_REGISTRY)
        rc = check_mirrors(decl, block);
    if (rc == 0)
        rc = take_duration(decl, block->options, "timeout");
    if (rc == 0 && kind == STRAKE_BLOCK_BUILDER)
        rc = take_duration(decl, block->options, "liveness");
    for (size_t i = 0; rc == 0 && i < sizeof(files) / sizeof(files[0]); i++)
        rc = resolve_file(decl, block->options, files[i]);
    return rc;
}

/* ---- policies ---- */

struct policy_reading {
    enum strake_point at;
    int check; /* reference */
};

static int take_at(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct policy_reading *reading = object;
    const char *known[STRAKE_POINT_COUNT + 1];
    const char *name, *near;
    int point;

    if (lua_type(decl->L, index) != LUA_TSTRING)
        return strake_decl_expected(decl, key, "the name of a point, such as \"publish\"", index);
    name = lua_tostring(decl->L, index);
    point = strake_point_parse(name);
    if (point >= 0) {
        reading->at = (enum strake_point)point;
        return 0;
    }
    for (int i = 0; i < STRAKE_POINT_COUNT; i++)
        known[i] = strake_point_name((enum strake_point)i);
    known[STRAKE_POINT_COUNT] = NULL;
    near = strake_suggest(name, known);
    if (near)
        return strake_decl_fail(decl, "at: unknown point '%s'; did you mean '%s'?", name, near);
    strake_decl_fail(decl, "at: unknown point '%s'", name);
    strake_err_hint(decl->err, "the points are dockerfile, plan, source, image, publish, retag, "
                               "delete and deploy");
    return STRAKE_ECONFIG;
}

static int take_check(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (!lua_isfunction(decl->L, index))
        return strake_decl_expected(decl, key, "a function", index);
    lua_pushvalue(decl->L, index);
    ((struct policy_reading *)object)->check = luaL_ref(decl->L, LUA_REGISTRYINDEX);
    return 0;
}

int strake_declare_policy(struct strake_decl *decl, int index)
{
    static const struct strake_field fields[] = {
        { "at", take_at, true },
        { "check", take_check, true },
        { NULL, NULL, false },
    };
    struct policy_reading reading = { .check = LUA_NOREF };
    struct strake_policy *policy;
    int rc = strake_schema_read(decl, index, fields, &reading);

    if (rc == 0)
        rc = strake_project_add_policy(decl->engine->project, decl->name, reading.at,
                                       decl->engine->layer, decl->file, decl->line, &policy,
                                       decl->err);
    if (rc == 0)
        policy->lua_ref = reading.check;
    return rc;
}

/* ---- flows ---- */

static int take_summary(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_flow *)object)->summary);
}

static int take_run(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (!lua_isfunction(decl->L, index))
        return strake_decl_expected(decl, key, "a function", index);
    lua_pushvalue(decl->L, index);
    ((struct strake_flow *)object)->lua_ref = luaL_ref(decl->L, LUA_REGISTRYINDEX);
    return 0;
}

static int take_arg_pattern(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_flow_arg *)object)->pattern);
}

static int take_arg_default(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_flow_arg *)object)->fallback);
}

static int take_arg_summary(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_text(decl, key, index, &((struct strake_flow_arg *)object)->summary);
}

/* { "version", pattern = "^v%d", default = "v0", summary = "…" }, or just "version". */
static int take_arg(struct strake_decl *decl, struct strake_flow_arg *arg)
{
    static const struct strake_field fields[] = {
        { "pattern", take_arg_pattern, false },
        { "default", take_arg_default, false },
        { "summary", take_arg_summary, false },
        { NULL, NULL, false },
    };
    lua_State *L = decl->L;
    const int value = lua_gettop(L);
    int copy, rc;

    if (lua_type(L, value) == LUA_TSTRING)
        return strake_take_text(decl, "args", value, &arg->name);
    if (!lua_istable(L, value))
        return strake_decl_expected(decl, "args", "a list of { \"NAME\", pattern = … }", value);
    if (lua_rawgeti(L, value, 1) != LUA_TSTRING)
        return strake_decl_fail(decl, "args: each of them begins with its name: { \"version\" }");
    rc = strake_take_text(decl, "args", lua_gettop(L), &arg->name);
    lua_newtable(L); /* the named keys alone, so that one schema reads them */
    copy = lua_gettop(L);
    for (lua_pushnil(L); rc == 0 && lua_next(L, value); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1)
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, copy);
    }
    return rc < 0 ? rc : strake_schema_read(decl, copy, fields, arg);
}

static int take_args(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_flow *flow = object;
    lua_State *L = decl->L;
    size_t count;
    int rc = 0;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a list of arguments", index);
    count = (size_t)lua_rawlen(L, index);
    flow->args = strake_calloc(count ? count : 1, sizeof(*flow->args));
    if (!flow->args)
        return strake_fail_nomem(decl->err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const int top = lua_gettop(L);
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        flow->arg_count++;
        rc = take_arg(decl, &flow->args[i]);
        lua_settop(L, top);
        for (size_t k = 0; rc == 0 && k < i; k++) {
            if (strcmp(flow->args[k].name, flow->args[i].name) == 0)
                rc = strake_decl_fail(decl, "args: '%s' is named twice", flow->args[k].name);
            else if (flow->args[k].fallback && !flow->args[i].fallback)
                rc = strake_decl_fail(decl,
                                      "args: '%s' has no default, but stands behind '%s', "
                                      "which has one",
                                      flow->args[i].name, flow->args[k].name);
        }
    }
    return rc;
}

int strake_declare_flow(struct strake_decl *decl, int index)
{
    static const struct strake_field fields[] = {
        { "summary", take_summary, false },
        { "args", take_args, false },
        { "run", take_run, true },
        { NULL, NULL, false },
    };
    struct strake_flow *flow;
    int rc = strake_project_add_flow(decl->engine->project, decl->name, decl->file, decl->line,
                                     &flow, decl->err);

    if (rc == 0)
        rc = strake_schema_read(decl, index, fields, flow);
    if (rc == 0 && !flow->summary) {
        flow->summary = strake_strdup("");
        rc = flow->summary ? 0 : strake_fail_nomem(decl->err);
    }
    return rc;
}
