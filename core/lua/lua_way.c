/* The primitives of scripts/way.lua: plans, as far as the main thread makes them. What waits for
 * builders and registries is in lua_way_build.c, lua_way_publish.c, lua_way_rollback.c,
 * lua_way_ledger.c and lua_way_copy.c. */
#include <string.h>

#include "build/inputs.h"
#include "dockerfile/dockerfile.h"
#include "lua/engine_impl.h"
#include "lua/lua_way.h"
#include "project/make.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

#define PLAN_TYPE "strake.plan"

struct strake_session *strake_way_session(lua_State *L)
{
    return strake_engine_session(strake_lua_engine(L));
}

json_t *strake_way_json(lua_State *L, int index)
{
    struct strake_err err = { 0 };
    json_t *value = NULL;

    if (strake_lua_to_json(L, lua_absindex(L, index), &value, &err) < 0)
        strake_lua_raise(L, &err);
    return value;
}

/* ---- the plan as a value ---- */

static int plan_gc(lua_State *L)
{
    struct strake_plan **plan = lua_touserdata(L, 1);

    strake_plan_free(*plan);
    *plan = NULL;
    return 0;
}

static struct strake_plan **push_plan(lua_State *L)
{
    struct strake_plan **plan = lua_newuserdatauv(L, sizeof(*plan), 0);

    *plan = NULL;
    if (luaL_newmetatable(L, PLAN_TYPE)) {
        lua_pushcfunction(L, plan_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return plan;
}

/* A plan that the command keeps lives in the session; the value then only points to it. */
struct strake_plan *strake_way_plan(lua_State *L, int index)
{
    struct strake_plan **plan = luaL_checkudata(L, index, PLAN_TYPE);

    return *plan ? *plan : strake_way_session(L)->plan;
}

int strake_way_push_kept(lua_State *L)
{
    push_plan(L);
    return 1;
}

static struct strake_plan_target *check_target(lua_State *L, struct strake_plan *plan, int index)
{
    lua_Integer at = luaL_checkinteger(L, index);

    luaL_argcheck(L, at >= 1 && (size_t)at <= plan->count, index, "no such target");
    return &plan->targets[at - 1];
}

/* plan(wish) -> plan. Raises. */
static int way_plan(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    struct strake_plan **plan = push_plan(L);
    json_t *json = strake_way_json(L, 1);
    struct strake_wish wish = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_wish_parse(json, &wish, &err);

    json_decref(json);
    if (rc == 0)
        rc = strake_plan_make(session->project, &wish, plan, &err);
    strake_wish_dispose(&wish);
    if (rc < 0)
        strake_lua_raise(L, &err);
    return 1;
}

/* plan_count(plan) -> number */
static int way_plan_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)strake_way_plan(L, 1)->count);
    return 1;
}

/* plan_view(plan, i) -> table: what a plan policy sees */
static int way_plan_view(lua_State *L)
{
    json_t *view = strake_plan_view(check_target(L, strake_way_plan(L, 1), 2));
    struct strake_err err = { 0 };

    if (!view) {
        strake_fail_nomem(&err);
        strake_lua_raise(L, &err);
    }
    strake_lua_push_json(L, view);
    json_decref(view);
    return 1;
}

/* plan_decided(plan, i, view, decisions): what policies changed is taken back, and kept in the
 * plan */
static int way_plan_decided(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    struct strake_plan_target *target = check_target(L, strake_way_plan(L, 1), 2);
    json_t *view = NULL, *decisions = NULL, *decision;
    struct strake_err err = { 0 };
    int rc = strake_lua_to_json(L, 3, &view, &err);
    size_t i;

    if (rc == 0)
        rc = strake_lua_to_json(L, 4, &decisions, &err);
    if (rc == 0)
        rc = strake_plan_apply(target, view, &err);

    json_array_foreach(decisions, i, decision) {
        if (json_array_append(target->policies, decision) < 0 && rc == 0)
            rc = strake_fail_nomem(&err);
        strake_bus_post(session->bus, STRAKE_EVENT_POLICY_DECISION, target->name,
                        json_copy(decision));
    }
    json_decref(view);
    json_decref(decisions);
    if (rc < 0)
        strake_lua_raise(L, &err);
    return 0;
}

/* plan_sources(plan, i) -> { path, text, stage, images, contexts } of a target's Dockerfile: `images`
 * are those that its stages need, arguments expanded. `text` is false where the context is somewhere
 * else, and the Dockerfile with it. */
static int way_plan_sources(lua_State *L)
{
    const struct strake_plan_target *target = check_target(L, strake_way_plan(L, 1), 2);
    struct strake_buf *text = strake_lua_new_buffer(L, STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    struct strake_strings images = { 0 };
    struct strake_err err = { 0 };
    const bool remote = strstr(target->context, "://") != NULL;
    json_t *view = json_object();
    int rc = view ? 0 : strake_fail_nomem(&err), stage;

    if (rc == 0 && !remote)
        rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, text, &err);
    if (rc == 0 && !remote)
        rc = strake_dockerfile_parse(strake_buf_text(text), text->len, target->dockerfile,
                                     &dockerfile, &err);
    if (rc == 0 && !remote) {
        stage = strake_dockerfile_stage(&dockerfile, target->stage);
        if (stage >= 0)
            rc = strake_dockerfile_bases(&dockerfile, stage, &target->args, &images, NULL, &err);
    }
    if (rc == 0 &&
        (strake_json_set_str(view, "context", target->context) < 0 ||
         strake_json_set_str(view, "path", target->dockerfile) < 0 ||
         strake_json_set_str(view, "stage", target->stage) < 0 ||
         strake_json_set_str(view, "syntax", remote ? "" : dockerfile.syntax) < 0 ||
         strake_json_set(view, "images", strake_json_strings(strake_strings_view(&images))) < 0 ||
         strake_json_set(view, "args", strake_json_pairs(strake_pairs_view(&target->args))) < 0 ||
         strake_json_set(view, "contexts",
                         strake_json_pairs(strake_pairs_view(&target->contexts))) < 0))
        rc = strake_fail_nomem(&err);
    strake_dockerfile_dispose(&dockerfile);
    strake_strings_dispose(&images);
    if (rc < 0) {
        json_decref(view);
        strake_lua_raise(L, &err);
    }
    strake_lua_push_json(L, view);
    json_decref(view);
    if (remote)
        lua_pushboolean(L, 0);
    else
        lua_pushlstring(L, strake_buf_text(text), text->len);
    lua_setfield(L, -2, "text");
    return 1;
}

/* plan_allow(plan, i, policy, pinned): what the target's build may fetch, as BuildKit's source policy */
static int way_plan_allow(lua_State *L)
{
    struct strake_plan_target *target = check_target(L, strake_way_plan(L, 1), 2);
    char *policy = strake_strdup(luaL_checkstring(L, 3));

    if (!policy)
        return luaL_error(L, "not enough memory");
    strake_free(target->source_policy);
    target->source_policy = policy;
    target->sources_pinned = lua_toboolean(L, 4);
    return 0;
}

/* plan_keep(plan): the command shows or saves it */
static int way_plan_keep(lua_State *L)
{
    struct strake_session *session = strake_way_session(L);
    struct strake_plan **plan = luaL_checkudata(L, 1, PLAN_TYPE);

    if (*plan) {
        strake_plan_free(session->plan);
        session->plan = *plan;
        *plan = NULL;
    }
    return 0;
}

static int push_strings(lua_State *L, const struct strake_strings *list)
{
    lua_createtable(L, (int)list->count, 0);
    for (size_t i = 0; i < list->count; i++) {
        lua_pushstring(L, list->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* target_name(value) -> the name of the target that the declaration stands for, or nil */
static int way_target_name(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, strake_lua_target_at(L, 1)); /* NULL: nil */
    return 1;
}

/* plan_tags(plan, name) -> list of tags */
static int way_plan_tags(lua_State *L)
{
    const struct strake_plan_target *target =
        strake_plan_find(strake_way_plan(L, 1), luaL_checkstring(L, 2));

    luaL_argcheck(L, target, 2, "no such target");
    return push_strings(L, &target->tags);
}

/* plan_refs(plan, name) -> list of references that its tags make */
static int way_plan_refs(lua_State *L)
{
    const struct strake_plan_target *target =
        strake_plan_find(strake_way_plan(L, 1), luaL_checkstring(L, 2));
    struct strake_strings refs = { 0 };
    struct strake_err err = { 0 };

    luaL_argcheck(L, target, 2, "no such target");
    if (strake_plan_refs(target, &refs) < 0) {
        strake_strings_dispose(&refs);
        strake_fail_nomem(&err);
        strake_lua_raise(L, &err);
    }
    push_strings(L, &refs);
    strake_strings_dispose(&refs);
    return 1;
}

/* say_builder(plan): which builder was found on this machine, and why */
static int way_say_builder(lua_State *L)
{
    const struct strake_plan *plan = strake_way_plan(L, 1);
    json_t *data = plan->why_builder ? json_object() : NULL;
    char *text = data ? strake_asprintf("building with %s", plan->why_builder) : NULL;

    if (text && strake_json_set_str(data, "level", "info") == 0 &&
        strake_json_set_str(data, "text", text) == 0) {
        strake_bus_post(strake_way_session(L)->bus, STRAKE_EVENT_LOG, NULL, data);
        data = NULL;
    }
    strake_free(text);
    json_decref(data);
    return 0;
}

/* has_policies(point) -> boolean */
static int way_has_policies(lua_State *L)
{
    const struct strake_project *project = strake_lua_project(L);
    int point = strake_point_parse(luaL_checkstring(L, 1));
    bool found = false;

    for (size_t i = 0; i < project->policy_count && !found; i++)
        found = (int)project->policies[i]->at == point;
    lua_pushboolean(L, found);
    return 1;
}

/* decided(target, platform or nil, decisions): each into the record */
static int way_decided(lua_State *L)
{
    const char *target = luaL_checkstring(L, 1), *platform = luaL_optstring(L, 2, NULL);
    json_t *decisions = strake_way_json(L, 3), *decision;
    size_t i;

    json_array_foreach(decisions, i, decision) {
        json_t *data = json_copy(decision);
        if (data && strake_json_set_str(data, "platform", platform) == 0)
            strake_bus_post(strake_way_session(L)->bus, STRAKE_EVENT_POLICY_DECISION, target, data);
        else
            json_decref(data);
    }
    json_decref(decisions);
    return 0;
}

/* event(type, target, data): image.published */
static int way_event(lua_State *L)
{
    const char *type = luaL_checkstring(L, 1), *target = luaL_checkstring(L, 2);
    json_t *data = strake_way_json(L, 3);

    for (int i = 0; i < STRAKE_EVENT_COUNT; i++) {
        if (strcmp(strake_event_name((enum strake_event_type)i), type) == 0) {
            strake_bus_post(strake_way_session(L)->bus, (enum strake_event_type)i, target, data);
            return 0;
        }
    }
    json_decref(data);
    return luaL_argerror(L, 1, "no such event");
}

/* ---- failures ---- */

/* raise { kind, message, hint, file, line, detail } */
static int way_raise(lua_State *L)
{
    json_t *json = strake_way_json(L, 1);
    struct strake_err err = { 0 };

    strake_err_parse(&err, json);
    json_decref(json);
    strake_lua_raise(L, &err);
}

int strake_way_push_error(lua_State *L, const struct strake_err *err)
{
    json_t *json = strake_err_json(err);

    if (!json)
        return luaL_error(L, "out of memory");
    strake_lua_push_json(L, json);
    json_decref(json);
    return 1;
}

/* error_table(error) -> { kind, message, … } of whatever was raised */
static int way_error_table(lua_State *L)
{
    const struct strake_err *raised = strake_lua_error_at(L, 1);
    struct strake_err err = { 0 };

    if (raised)
        return strake_way_push_error(L, raised);
    lua_settop(L, 1);
    strake_lua_describe(L, false, &err);
    strake_way_push_error(L, &err);
    strake_err_dispose(&err);
    return 1;
}

void strake_lua_open_way(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "plan", way_plan },
        { "plan_count", way_plan_count },
        { "plan_view", way_plan_view },
        { "plan_decided", way_plan_decided },
        { "plan_sources", way_plan_sources },
        { "plan_allow", way_plan_allow },
        { "plan_keep", way_plan_keep },
        { "target_name", way_target_name },
        { "plan_tags", way_plan_tags },
        { "plan_refs", way_plan_refs },
        { "say_builder", way_say_builder },
        { "has_policies", way_has_policies },
        { "decided", way_decided },
        { "event", way_event },
        { "raise", way_raise },
        { "error_table", way_error_table },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
    strake_way_open_build(L);
    strake_way_open_publish(L);
    strake_way_open_copy(L);
    strake_way_open_rollback(L);
    strake_way_open_ledger(L);
    strake_way_open_delete(L);
}
