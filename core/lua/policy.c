/* Policies: asking all of a point in order, deny and warn, and what a plan policy may change. */
#include <string.h>

#include "lua/engine_impl.h"
#include "util/json.h"

/* What a policy may change of its subject. */
static const char *const of_plans[] = { "tags",  "labels",  "args", "platforms",
                                        "cache", "options", NULL };
static const char *const of_sources[] = { "ref", NULL };

static const char *const *changeable_at(enum strake_point point)
{
    return point == STRAKE_POINT_PLAN ? of_plans : point == STRAKE_POINT_SOURCE ? of_sources : NULL;
}

/* ---- copies ---- */

/* Push a copy of the plain value at `index`, tables and all. A policy gets one of its own, so that
 * it can neither change what the next one sees nor keep a hand on it. */
static void push_copy(lua_State *L, int index, int depth)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    if (!lua_istable(L, index) || depth > STRAKE_LUA_JSON_DEPTH) {
        lua_pushvalue(L, index);
        return;
    }
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        push_copy(L, -2, depth + 1);
        lua_rawset(L, -5);
    }
}

/* Compare two plain tables key by key. @return 0 with a bit of *changes for each changeable key, or
 * STRAKE_ECONFIG: what it left cannot be read, or it changed something else. */
static int compare(const char *const *changeable, const json_t *before, json_t *after,
                   unsigned *changes, struct strake_err *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(after))
        return strake_fail(err, STRAKE_ECONFIG, "it has emptied what it was asked about");
    *changes = 0;
    for (unsigned i = 0; changeable[i]; i++) {
        const json_t *old = json_object_get(before, changeable[i]);
        const json_t *new = json_object_get(after, changeable[i]);
        if (old != new && (!old || !new || !json_equal(old, new)))
            *changes |= 1u << i;
    }
    json_object_foreach(after, key, value) {
        const json_t *old = json_object_get(before, key);
        bool allowed = false;
        for (unsigned i = 0; changeable[i]; i++)
            allowed = allowed || strcmp(changeable[i], key) == 0;
        if (!allowed && !(old && json_equal(old, value)))
            return strake_fail(err, STRAKE_ECONFIG, "a policy may not change `%s`", key);
    }
    return 0;
}

/* What did the policy change? subject at 2, the policy's copy at 5. */
static int find_changes(lua_State *L, enum strake_point at, unsigned *changes,
                        struct strake_err *err)
{
    json_t *before = NULL, *after = NULL;
    int rc = strake_lua_to_json(L, 2, &before, err);

    if (rc == 0)
        rc = strake_lua_to_json(L, 5, &after, err);
    if (rc == 0)
        rc = compare(changeable_at(at), before, after, changes, err);
    json_decref(before);
    json_decref(after);
    return rc;
}

/* ---- decisions ---- */

/* A decision becomes data: bytes that are no UTF-8 become U+FFFD. */
static void set_text(lua_State *L, const char *key, const char *text)
{
    size_t left = text ? strlen(text) : 0;
    luaL_Buffer clean;

    if (left == 0)
        return;
    luaL_buffinit(L, &clean);
    while (left > 0) {
        const size_t n = strake_json_utf8_length(text, left);
        luaL_addlstring(&clean, n ? text : "\xef\xbf\xbd", n ? n : 3);
        text += n ? n : 1;
        left -= n ? n : 1;
    }
    luaL_pushresult(&clean);
    lua_setfield(L, -2, key);
}

static void set_place(lua_State *L, const char *file, int line)
{
    set_text(L, "file", file);
    lua_pushinteger(L, line);
    lua_setfield(L, -2, "line");
}

/* Append the decision on top to the list at `list`; pops it. */
static void append(lua_State *L, int list)
{
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* Push {name, at, action, message, file, line}. */
static void push_decision(lua_State *L, const struct strake_policy *policy, const char *action,
                          const char *message, const char *file, int line)
{
    lua_createtable(L, 0, 8);
    set_text(L, "name", policy->name);
    set_text(L, "at", strake_point_name(policy->at));
    set_text(L, "action", action);
    set_text(L, "message", message);
    if (file)
        set_place(L, file, line);
    else
        set_place(L, policy->place.file, policy->place.line);
}

/* A policy that did not do its work denies. */
static void append_failure(lua_State *L, const struct strake_policy *policy,
                           const struct strake_err *err)
{
    push_decision(L, policy, "deny", strake_err_message(err), err->file, err->line);
    set_text(L, "fix", err->hint);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "error");
    append(L, 3);
}

/* Keep the changes: copies, so that the policy has no hand on them. */
static void keep_changes(lua_State *L, const struct strake_policy *policy, unsigned changes)
{
    const char *const *changeable = changeable_at(policy->at);
    char message[128] = "";

    for (unsigned i = 0; changeable[i]; i++) {
        if (!(changes & 1u << i))
            continue;
        lua_getfield(L, 5, changeable[i]);
        push_copy(L, -1, 0);
        lua_setfield(L, 2, changeable[i]);
        lua_pop(L, 1);
        snprintf(message + strlen(message), sizeof(message) - strlen(message), "%s%s",
                 message[0] ? ", " : "", changeable[i]);
    }
    push_decision(L, policy, "change", message, NULL, 0);
    append(L, 3);
}

/* Append what the policy itself said to the decisions at 3. @return true when it denied */
static bool append_said(lua_State *L, struct strake_task *task, const struct strake_policy *policy)
{
    const int top = lua_gettop(L);
    lua_Integer count;
    bool denied = false;

    strake_task_push(L, task);
    lua_getiuservalue(L, -1, 2);
    count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, top + 2, i);
        set_text(L, "name", policy->name);
        set_text(L, "at", strake_point_name(policy->at));
        lua_getfield(L, -1, "action");
        denied = denied || strcmp(lua_tostring(L, -1), "deny") == 0;
        lua_pop(L, 1);
        if (lua_getfield(L, -1, "file") == LUA_TNIL) {
            lua_pop(L, 1);
            set_place(L, policy->place.file, policy->place.line);
        } else {
            lua_pop(L, 1);
        }
        append(L, 3);
    }
    lua_settop(L, top);
    return denied;
}

/* The policy has ended: point 1, subject 2, decisions 3, its task 4, its copy of the subject 5. */
static void conclude(lua_State *L, const struct strake_policy *policy)
{
    struct strake_task *task = lua_touserdata(L, 4);
    const size_t before = (size_t)lua_rawlen(L, 3);
    const bool denied = append_said(L, task, policy);
    struct strake_err *err = &strake_lua_engine(L)->raising; /* freed by the engine if we raise */
    unsigned changes = 0;
    int rc = 0;

    strake_err_dispose(err);
    if (denied) {
        strake_task_drop(L, task);
        return;
    }
    if (task->outcome != STRAKE_OUTCOME_DONE) {
        rc = strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, err);
    } else if (task->results > 0 && !lua_isnil(task->co, -task->results)) {
        rc = strake_fail(err, STRAKE_ECONFIG, "the policy returned %s",
                         strake_lua_type_text(task->co, -task->results));
        strake_err_hint(err, "a policy says what it thinks with deny(TEXT) or warn(TEXT), and "
                             "returns nothing");
    } else if (changeable_at(policy->at)) {
        rc = find_changes(L, policy->at, &changes, err);
    }
    strake_task_drop(L, task);
    if (rc == STRAKE_ECANCELLED) {
        struct strake_err raised = { 0 };
        strake_err_move(&raised, err);
        strake_lua_raise(L, &raised);
    }
    if (rc < 0)
        append_failure(L, policy, err);
    else if (changes)
        keep_changes(L, policy, changes);
    else if (lua_rawlen(L, 3) == before) {
        push_decision(L, policy, "allow", NULL, NULL, 0);
        append(L, 3);
    }
    strake_err_dispose(err);
}

/* ---- asking ---- */

/* Offline points are asked while a plan is made, by commands that must not wait for anybody. */
static bool may_wait_at(enum strake_point point)
{
    return point != STRAKE_POINT_PLAN && point != STRAKE_POINT_DOCKERFILE &&
           point != STRAKE_POINT_SOURCE;
}

/* The Dockerfile on top, as rules see it. */
static void give_methods(lua_State *L)
{
    strake_lua_push_script(L, "check/objects");
    lua_getfield(L, -1, "adopt");
    lua_remove(L, -2);
    lua_insert(L, -2); /* below its argument */
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "text");
    lua_call(L, 3, 1);
}

/* Begin a policy; leaves its task at 4 and its copy of the subject at 5. */
static void begin_policy(lua_State *L, const struct strake_policy *policy)
{
    struct strake_task *task;

    lua_settop(L, 3);
    lua_pushnil(L);
    push_copy(L, 2, 0);
    if (policy->at == STRAKE_POINT_DOCKERFILE)
        give_methods(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, policy->lua_ref);
    lua_pushvalue(L, 5);
    task = strake_task_new(L, 1, strake_lua_engine(L)->running);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 2); /* what it says */
    lua_replace(L, 4);
    task->context = STRAKE_LUA_POLICY;
    task->policy = task;
    task->may_wait = may_wait_at(policy->at);
    task->meter = &task->own;
    task->own.limit = STRAKE_LUA_POLICY_INSTRUCTIONS;
    task->own.limit_us = (int64_t)STRAKE_LUA_POLICY_MS * 1000;
    snprintf(task->own.what, sizeof(task->own.what), "policy \"%.100s\"", policy->name);
    strake_task_start(L, task, 1);
}

/* When a policy is asked. In the order of the layers; but about a plan, which policies change, the
 * organisation comes last: it sees what all the others made of it. */
static size_t turn_of(const struct strake_project *project, size_t i)
{
    const struct strake_policy *policy = project->policies[i];
    const bool last = policy->at == STRAKE_POINT_PLAN && policy->layer == STRAKE_LAYER_SYSTEM;

    return last ? project->policy_count + i : i;
}

/* The policy of `point` with the first turn from `turn` on, or NULL. @param turn then its own */
static const struct strake_policy *find_turn(const struct strake_project *project, int point,
                                             size_t *turn)
{
    const struct strake_policy *found = NULL;
    size_t first = 0;

    for (size_t i = 0; i < project->policy_count; i++) {
        const size_t at = turn_of(project, i);
        if ((int)project->policies[i]->at == point && at >= *turn && (!found || at < first)) {
            found = project->policies[i];
            first = at;
        }
    }
    *turn = first;
    return found;
}

static int ask_continue(lua_State *L, int status, lua_KContext ctx);

/* Ask those whose turn is `turn` or later. */
static int ask_from(lua_State *L, size_t turn)
{
    const struct strake_project *project = strake_lua_project(L);
    const int point = strake_point_parse(lua_tostring(L, 1));
    const struct strake_policy *policy;

    for (; (policy = find_turn(project, point, &turn)); turn++) {
        begin_policy(L, policy);
        if (strake_lua_engine(L)->running->pending)
            return strake_task_wait(L, ask_continue, (lua_KContext)turn);
        conclude(L, policy);
    }
    lua_settop(L, 3);
    return 1;
}

static int ask_continue(lua_State *L, int status, lua_KContext ctx)
{
    const int point = strake_point_parse(lua_tostring(L, 1));
    size_t turn = (size_t)ctx;

    (void)status;
    conclude(L, find_turn(strake_lua_project(L), point, &turn));
    return ask_from(L, turn + 1);
}

/* core.ask(point, subject) -> decisions. Yields. */
static int core_ask(lua_State *L)
{
    const char *point = luaL_checkstring(L, 1);

    luaL_argcheck(L, strake_point_parse(point) >= 0, 1, "unknown point");
    luaL_checktype(L, 2, LUA_TTABLE);
    if (may_wait_at((enum strake_point)strake_point_parse(point)))
        strake_task_check_wait(L);
    lua_settop(L, 2);
    lua_newtable(L);
    return ask_from(L, 0);
}

/* ---- what a policy says ---- */

/* The decision {action, message, fix, file, line} of the running policy, from (text, { fix = … }).
 */
static void say(lua_State *L, const char *action)
{
    struct strake_task *policy = strake_lua_engine(L)->running->policy;
    const char *file;
    int line;

    lua_settop(L, 2);
    lua_createtable(L, 0, 8);
    set_text(L, "action", action);
    if (lua_type(L, 1) == LUA_TSTRING) {
        set_text(L, "message", *lua_tostring(L, 1) ? lua_tostring(L, 1) : "(no reason given)");
    } else {
        lua_pushfstring(L, "(no reason given: %s is not a text)", strake_lua_type_text(L, 1));
        lua_setfield(L, 3, "message");
    }
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "fix");
        if (lua_rawget(L, 2) == LUA_TSTRING) {
            lua_insert(L, 3); /* the text below the decision */
            set_text(L, "fix", lua_tostring(L, 3));
            lua_remove(L, 3);
        }
        lua_settop(L, 3);
    }
    if (strake_lua_place(L, &file, &line))
        set_place(L, file, line);
    strake_task_push(L, policy);
    lua_getiuservalue(L, -1, 2);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_settop(L, 3);
}

/* deny(text [, { fix = text }]). Ends the policy; pcall does not take it back. */
static int policy_deny(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);

    strake_lua_allow(L, STRAKE_LUA_POLICY, "deny");
    /* First: whatever fails below, the policy can only deny from here on. */
    engine->running->policy->meter->tripped = STRAKE_TRIP_DENIED;
    say(L, "deny");
    strake_lua_fail(L, STRAKE_EPOLICY, NULL, "denied");
}

/* warn(text [, { fix = text }]) */
static int policy_warn(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_POLICY, "warn");
    if (lua_type(L, 1) != LUA_TSTRING)
        return luaL_argerror(L, 1, "a text expected");
    say(L, "warn");
    return 0;
}

void strake_lua_open_policy(lua_State *L)
{
    static const luaL_Reg core[] = { { "ask", core_ask }, { NULL, NULL } };

    strake_lua_core_add(L, core);
    lua_pushcfunction(L, policy_deny);
    strake_lua_define(L, "deny");
    lua_pushcfunction(L, policy_warn);
    strake_lua_define(L, "warn");
}
