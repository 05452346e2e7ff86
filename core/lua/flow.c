/* Flows: their arguments checked, their function run as a task of its own. And core.fail, by which
 * shipped scripts raise structured errors. */
#include <string.h>

#include "lua/engine_impl.h"
#include "lua/match.h"
#include "util/suggest.h"

static struct strake_flow *find_flow(lua_State *L, const char *name)
{
    const struct strake_project *project = strake_lua_project(L);
    struct strake_flow *flow = strake_project_flow(project, name);
    const char *known[256], *near;
    size_t count = 0;

    if (flow)
        return flow;
    for (; count < project->flow_count && count < 255; count++)
        known[count] = project->flows[count]->name;
    known[count] = NULL;
    near = strake_suggest(name, known);
    if (near)
        strake_lua_fail(L, STRAKE_EUSAGE, NULL, "no flow %s; did you mean %s?", name, near);
    strake_lua_fail(L, STRAKE_EUSAGE, "declare one: flow \"NAME\" { run = function(arg) … end }",
                    "no flow %s", name);
}

/* "strake run release VERSION [CHANNEL]" */
static void usage(const struct strake_flow *flow, char *out, size_t cap)
{
    size_t len = (size_t)snprintf(out, cap, "strake run %s", flow->name);

    for (size_t i = 0; i < flow->arg_count && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, flow->args[i].fallback ? " [%s]" : " %s",
                                flow->args[i].name);
}

static bool matches(lua_State *L, const struct strake_flow_arg *arg, const char *text)
{
    struct strake_match match = { .subject = text,
                                  .subject_end = text + strlen(text),
                                  .pattern_end = arg->pattern + strlen(arg->pattern),
                                  .steps_left = STRAKE_LUA_MATCH_STEPS };
    const bool anchored = arg->pattern[0] == '^';
    const char *end = NULL;

    for (const char *at = text; at <= match.subject_end; at++) {
        end = strake_match_at(&match, at, arg->pattern + anchored);
        if (end || anchored || match.error)
            break;
    }
    if (match.error)
        strake_lua_fail(L, STRAKE_ECONFIG, NULL, "the pattern of argument %s: %s", arg->name,
                        match.error);
    return end != NULL;
}

/* Push { name = value } from the list of strings at `list`. */
static void push_args(lua_State *L, const struct strake_flow *flow, int list)
{
    const size_t given = (size_t)lua_rawlen(L, list);
    char words[512];

    usage(flow, words, sizeof(words));
    if (given > flow->arg_count)
        strake_lua_fail(L, STRAKE_EUSAGE, words, "flow %s takes %zu arguments, %zu were given",
                        flow->name, flow->arg_count, given);
    lua_createtable(L, 0, (int)flow->arg_count);
    for (size_t i = 0; i < flow->arg_count; i++) {
        const struct strake_flow_arg *arg = &flow->args[i];
        const char *text = arg->fallback;
        if (i < given) {
            if (lua_rawgeti(L, list, (lua_Integer)i + 1) != LUA_TSTRING)
                luaL_argerror(L, 2, "a list of strings expected");
            text = lua_tostring(L, -1);
        } else {
            lua_pushstring(L, text);
        }
        if (!text)
            strake_lua_fail(L, STRAKE_EUSAGE, words, "flow %s needs the argument %s", flow->name,
                            arg->name);
        if (arg->pattern && !matches(L, arg, text))
            strake_lua_fail(L, STRAKE_EUSAGE, words, "argument %s of flow %s must match %s: '%s'",
                            arg->name, flow->name, arg->pattern, text);
        lua_setfield(L, -2, arg->name);
    }
}

/* The flow has ended: its task is at 3. */
static int flow_continue(lua_State *L, int status, lua_KContext ctx)
{
    struct strake_task *task = lua_touserdata(L, 3);
    struct strake_err err = { 0 };
    const int count = task->results;

    (void)status;
    (void)ctx;
    if (task->outcome != STRAKE_OUTCOME_DONE) {
        strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, &err);
        strake_task_drop(L, task);
        strake_lua_raise(L, &err);
    }
    luaL_checkstack(L, count + 4, NULL);
    strake_task_drop(L, task);
    lua_xmove(task->co, L, count);
    return count;
}

/* core.run_flow(name, args) -> results. Yields. */
static int core_run_flow(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const struct strake_flow *flow;
    struct strake_task *task;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    strake_task_check_wait(L);
    flow = find_flow(L, name);
    lua_rawgeti(L, LUA_REGISTRYINDEX, flow->lua_ref);
    push_args(L, flow, 2);
    task = strake_task_new(L, 1, strake_lua_engine(L)->running);
    task->context = STRAKE_LUA_FLOW;
    task->meter = &task->own; /* without limits: it only has to be interruptible */
    snprintf(task->own.what, sizeof(task->own.what), "flow \"%.100s\"", flow->name);
    strake_task_start(L, task, 1);
    return strake_task_wait(L, flow_continue, 0);
}

/* core.fail(kind, message [, hint]) */
static int core_fail(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);
    int code = STRAKE_EINTERNAL;

    while (code > STRAKE_ENETWORK && strcmp(strake_code_kind(code), kind) != 0)
        code--;
    luaL_argcheck(L, strcmp(strake_code_kind(code), kind) == 0, 1, "unknown kind");
    strake_lua_fail(L, code, luaL_optstring(L, 3, NULL), "%s", luaL_checkstring(L, 2));
}

void strake_lua_open_flow(lua_State *L)
{
    static const luaL_Reg core[] = {
        { "run_flow", core_run_flow },
        { "fail", core_fail },
        { NULL, NULL },
    };

    strake_lua_core_add(L, core);
}
