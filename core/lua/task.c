/* The scheduler: tasks are coroutines on the engine's loop. A task waits for works on threads
 * (strake_lua_await) or for tasks of its own (all, policies, flows); nothing outlives what waits
 * for it, so that the end of a call is the end of everything that it began. */
#include <string.h>

#include "lua/engine_impl.h"

/* The key of the table of tasks in the registry: pointer -> userdata. */
static const char tasks_key;

static void push_tasks(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tasks_key);
}

struct strake_task *strake_task_new(lua_State *L, int nargs, struct strake_task *parent)
{
    struct strake_task *task;
    lua_State *co;

    luaL_checkstack(L, 4, NULL);
    task = lua_newuserdatauv(L, sizeof(*task), 2);
    *task = (struct strake_task){ 0 };
    task->meter = &task->own;
    if (parent) {
        task->parent = parent;
        task->policy = parent->policy;
        task->context = parent->context;
        task->may_wait = parent->may_wait;
        task->meter = parent->meter;
    }
    co = lua_newthread(L);
    task->co = co;
    strake_lua_set_hook(co);
    lua_setiuservalue(L, -2, 1);
    push_tasks(L);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
    if (!lua_checkstack(co, nargs + LUA_MINSTACK))
        luaL_error(L, "too many arguments");
    lua_insert(L, -2 - nargs); /* below the function and its arguments */
    lua_xmove(L, co, nargs + 1);
    return task;
}

void strake_task_push(lua_State *L, struct strake_task *task)
{
    push_tasks(L);
    lua_rawgetp(L, -1, task);
    lua_remove(L, -2);
}

void strake_task_drop(lua_State *L, struct strake_task *task)
{
    if (task->pending)
        return; /* it died while its own tasks were out: they tell it when they end */
    push_tasks(L);
    lua_pushnil(L);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
}

static enum strake_outcome outcome_of(const struct strake_task *task, int status)
{
    switch (status) {
    case LUA_OK:
        return STRAKE_OUTCOME_DONE;
    case LUA_YIELD:
        return task->waiting ? STRAKE_OUTCOME_WAITS : STRAKE_OUTCOME_FAILED;
    case LUA_ERRMEM:
        return STRAKE_OUTCOME_NOMEM;
    default:
        return STRAKE_OUTCOME_FAILED;
    }
}

static void resume(struct strake_engine *engine, struct strake_task *task, lua_State *from,
                   int nargs)
{
    struct strake_task *before = engine->running;
    int status;

    engine->running = task;
    task->waiting = false;
    strake_meter_enter(task->meter);
    status = lua_resume(task->co, from, nargs, &task->results);
    strake_meter_leave(task->meter);
    engine->running = before;
    task->outcome = outcome_of(task, status);
}

void strake_task_start(lua_State *L, struct strake_task *task, int nargs)
{
    resume(strake_lua_engine(L), task, L, nargs);
    if (task->outcome == STRAKE_OUTCOME_WAITS && task->parent)
        task->parent->pending++;
}

/* Something that `task` waited for has come: resume it when that was the last, and so on upwards.
 */
static void arrived(struct strake_engine *engine, struct strake_task *task)
{
    while (task && --task->pending == 0 && task->outcome == STRAKE_OUTCOME_WAITS) {
        resume(engine, task, NULL, 0);
        if (task->outcome == STRAKE_OUTCOME_WAITS)
            return;
        task = task->parent;
    }
}

int strake_task_wait(lua_State *L, lua_KFunction k, lua_KContext ctx)
{
    struct strake_task *task = strake_lua_engine(L)->running;

    if (task->pending == 0)
        return k(L, LUA_YIELD, ctx);
    task->waiting = true;
    return lua_yieldk(L, 0, ctx, k);
}

int strake_task_finish(struct strake_engine *engine, struct strake_task *task,
                       struct strake_err *err)
{
    while (task->outcome == STRAKE_OUTCOME_WAITS || engine->waits) {
        if (!uv_run(&engine->loop, UV_RUN_ONCE) && !engine->waits &&
            task->outcome == STRAKE_OUTCOME_WAITS)
            return strake_fail(err, STRAKE_EINTERNAL, "a coroutine waits for nothing");
    }
    return 0;
}

/* ---- waiting for work on a thread ---- */

static const char wait_type[] = "strake.wait";

/* Lives in a userdata on the stack of the coroutine that waits. */
struct wait {
    struct strake_lua_call call;
    struct strake_engine *engine;
    struct strake_task *task;
    struct strake_job *job;
    struct strake_err err;
    int rc;
};

static void wait_release(struct wait *wait)
{
    if (wait->call.drop)
        wait->call.drop(wait->call.ctx);
    wait->call.drop = NULL;
    strake_job_free(wait->job);
    wait->job = NULL;
    strake_err_dispose(&wait->err);
}

static int wait_gc(lua_State *L)
{
    wait_release(lua_touserdata(L, 1));
    return 0;
}

static int wait_run(void *ctx)
{
    struct wait *wait = ctx;

    return wait->call.run(wait->call.ctx, wait->job, &wait->err);
}

static void wait_done(void *ctx, int rc)
{
    struct wait *wait = ctx;

    wait->rc = rc;
    wait->engine->waits--;
    arrived(wait->engine, wait->task);
}

static int wait_continue(lua_State *L, int status, lua_KContext ctx)
{
    struct wait *wait = (struct wait *)ctx;
    struct strake_err err = { 0 };
    int count;

    (void)status;
    if (wait->rc < 0) {
        strake_err_move(&err, &wait->err);
        if (!err.code)
            strake_fail(&err, wait->rc, "the work failed without a reason");
        wait_release(wait);
        strake_lua_raise(L, &err);
    }
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    count = wait->call.push(L, wait->call.ctx);
    wait_release(wait);
    return count;
}

/* Take over the call: whatever raises below, somebody drops it. */
static void park(struct strake_engine *engine, const struct strake_lua_call *call)
{
    if (engine->parked.drop && engine->parked.ctx != call->ctx)
        engine->parked.drop(engine->parked.ctx);
    engine->parked = *call;
}

void strake_lua_park(lua_State *L, struct strake_lua_call *call, void *ctx)
{
    call->ctx = ctx;
    park(strake_lua_engine(L), call);
}

void strake_task_check_wait(lua_State *L)
{
    const struct strake_task *task = strake_lua_engine(L)->running;

    if (!task || !task->may_wait || task->blocked || !lua_isyieldable(L))
        strake_lua_fail(L, STRAKE_ECONFIG,
                        "call it in a flow, outside of iterators and comparators",
                        "this waits for something, which is not possible here");
}

int strake_lua_await(lua_State *L, const struct strake_lua_call *call)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_task *task = engine->running;
    struct wait *wait;

    park(engine, call);
    strake_task_check_wait(L);
    if (luaL_newmetatable(L, wait_type)) {
        lua_pushcfunction(L, wait_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    wait = lua_newuserdatauv(L, sizeof(*wait), 0);
    *wait = (struct wait){ .call = engine->parked, .engine = engine, .task = task };
    engine->parked = (struct strake_lua_call){ 0 };
    luaL_setmetatable(L, wait_type);
    wait->job = strake_job_new(engine->job, NULL, NULL);
    if (!wait->job || strake_work_start(engine->work, wait_run, wait_done, wait) < 0) {
        wait_release(wait);
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    }
    engine->waits++;
    task->pending++;
    task->waiting = true;
    return lua_yieldk(L, 0, (lua_KContext)wait, wait_continue);
}

/* ---- several at once ---- */

/* Put the failures of `count` children, whose tasks the table at 2 holds, into one. */
static void combine_errors(lua_State *L, lua_Integer count, struct strake_err *err)
{
    struct strake_err each = { 0 };
    lua_Integer failed = 0;

    for (lua_Integer i = 1; i <= count; i++) {
        struct strake_task *task;
        lua_rawgeti(L, 2, i);
        task = lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (task->outcome != STRAKE_OUTCOME_DONE)
            strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, &each);
        strake_task_drop(L, task);
        if (!each.code)
            continue;
        if (failed++ == 0) {
            strake_err_move(err, &each);
            continue;
        }
        if (failed == 2) {
            const char *first = strake_err_message(err);
            strake_err_detail(err, first, strlen(first));
        }
        strake_err_detail(err, "\n", 1);
        strake_err_detail(err, strake_err_message(&each), strlen(strake_err_message(&each)));
        strake_err_dispose(&each);
    }
    if (failed > 1)
        strake_err_prefix(err, "%lld of %lld functions failed: ", (long long)failed,
                          (long long)count);
}

static int all_continue(lua_State *L, int status, lua_KContext count)
{
    struct strake_err err = { 0 };
    bool failed = false;

    (void)status;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        const struct strake_task *task = lua_touserdata(L, -1);
        failed = failed || task->outcome != STRAKE_OUTCOME_DONE;
        lua_pop(L, 1);
    }
    if (failed) {
        combine_errors(L, count, &err);
        strake_lua_raise(L, &err);
    }
    luaL_checkstack(L, (int)count + 4, NULL);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        struct strake_task *task = lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (task->results > 0) {
            lua_settop(task->co, -task->results); /* the first result is on top */
            lua_xmove(task->co, L, 1);
        } else {
            lua_pushnil(L);
        }
        strake_task_drop(L, task);
    }
    return (int)count;
}

int strake_lua_all(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);
    lua_Integer count;

    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_POLICY | STRAKE_LUA_INTERNAL, "all");
    strake_task_check_wait(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    count = (lua_Integer)lua_rawlen(L, 1);
    luaL_argcheck(L, count <= 256, 1, "256 functions at most");
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_argcheck(L, lua_rawgeti(L, 1, i) == LUA_TFUNCTION, 1, "a list of functions expected");
        lua_pop(L, 1);
    }
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        struct strake_task *task;
        lua_rawgeti(L, 1, i);
        task = strake_task_new(L, 0, engine->running);
        lua_rawseti(L, 2, i);
        strake_task_start(L, task, 0);
    }
    return strake_task_wait(L, all_continue, (lua_KContext)count);
}
