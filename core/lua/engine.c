/* The engine: one Lua state, one loop, and how the rest of the program calls into them. */
#include "lua/engine.h"

#include <stdlib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/json.h"
#include "util/log.h"

struct strake_engine *strake_lua_engine(lua_State *L)
{
    struct strake_engine *engine;

    memcpy(&engine, lua_getextraspace(L), sizeof(engine));
    return engine;
}

/* ---- who is running ---- */

enum strake_lua_context strake_lua_context(lua_State *L)
{
    const struct strake_task *task = strake_lua_engine(L)->running;

    return task ? task->context : STRAKE_LUA_INTERNAL;
}

void strake_lua_allow(lua_State *L, unsigned allowed, const char *name)
{
    const char *where;

    switch (strake_lua_context(L)) {
    case STRAKE_LUA_LOAD:
        where = "at the top level of a file";
        break;
    case STRAKE_LUA_RULE:
        where = "in a rule";
        break;
    case STRAKE_LUA_POLICY:
        where = "in a policy";
        break;
    case STRAKE_LUA_FLOW:
        where = "in a flow";
        break;
    default:
        where = "in a script that ships";
        break;
    }
    if (strake_lua_context(L) & allowed)
        return;
    strake_lua_fail(L, STRAKE_ECONFIG,
                    allowed & STRAKE_LUA_FLOW ? "it may be called in the `run` of a flow" : NULL,
                    "%s is not allowed %s", name, where);
}

struct strake_project *strake_lua_project(lua_State *L)
{
    return strake_lua_engine(L)->project;
}

/* ---- life ---- */

/* Everything that scripts see. Protected: a lack of memory raises. */
static int open_all(lua_State *L)
{
    static void (*const openers[])(lua_State *) = {
        strake_lua_open_error,      strake_lua_open_base,    strake_lua_open_coroutine,
        strake_lua_open_string,     strake_lua_open_table,   strake_lua_open_names,
        strake_lua_open_secret,     strake_lua_open_declare, strake_lua_open_policy,
        strake_lua_open_flow,       strake_lua_open_env,     strake_lua_open_git,
        strake_lua_open_fs,         strake_lua_open_json,    strake_lua_open_log,
        strake_lua_open_exec,       strake_lua_open_http,    strake_lua_open_image,
        strake_lua_open_include,    strake_lua_open_bake,    strake_lua_open_way,
        strake_lua_open_dockerfile, strake_lua_open_check,   strake_lua_open_tags,
    };
    static const char *const verbs[] = { "build", "publish", "notify" };

    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++) {
        openers[i](L);
        lua_settop(L, 0);
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        strake_lua_push_stub(L, "way", verbs[i], STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL);
        strake_lua_define(L, verbs[i]);
    }
    lua_createtable(L, 0, 1);
    strake_lua_push_stub(L, "policies", "immutable_tags", STRAKE_LUA_LOAD);
    lua_setfield(L, -2, "immutable_tags");
    strake_lua_protect(L, "policies");
    strake_lua_define(L, "policies");
    lua_pushcfunction(L, strake_lua_all);
    strake_lua_define(L, "all");
    return 0;
}

/* Lua's incremental collector; test builds can have it work without a pause. */
static void set_collector(struct strake_engine *engine)
{
#ifdef STRAKE_DEV
    const char *stress = getenv("STRAKE_LUA_GCSTRESS");
    engine->stress = stress && *stress;
    if (engine->stress)
        lua_gc(engine->L, LUA_GCINC, 1, 1000, 1);
#else
    (void)engine;
#endif
}

static int open_state(struct strake_engine *engine, struct strake_err *err)
{
    int status;

    engine->limit_bytes = STRAKE_LUA_MEMORY;
    engine->L = lua_newstate(strake_lua_alloc, engine);
    if (!engine->L)
        return strake_fail_nomem(err);
    memcpy(lua_getextraspace(engine->L), &engine, sizeof(engine));
    set_collector(engine);
    lua_pushcfunction(engine->L, open_all);
    status = lua_pcall(engine->L, 0, 0, 0);
    return status == LUA_OK ? 0 : strake_lua_describe(engine->L, status == LUA_ERRMEM, err);
}

static int copy_option(char **to, const char *from)
{
    if (!from)
        return 0;
    *to = strake_strdup(from);
    return *to ? 0 : STRAKE_ENOMEM;
}

static int copy_options(struct strake_engine *engine, const struct strake_engine_options *options)
{
    engine->job = options->job;
    return copy_option(&engine->project_dir, options->project_dir) < 0 ||
                   copy_option(&engine->project_file, options->project_file) < 0 ||
                   copy_option(&engine->scripts_dir, options->scripts_dir) < 0 ||
                   copy_option(&engine->system_dir, options->system_dir) < 0 ||
                   copy_option(&engine->user_file, options->user_file) < 0
               ? STRAKE_ENOMEM
               : 0;
}

int strake_engine_new(const struct strake_engine_options *options, struct strake_engine **out,
                      struct strake_err *err)
{
    struct strake_engine *engine = strake_calloc(1, sizeof(*engine));
    int rc = engine && copy_options(engine, options) == 0 ? 0 : strake_fail_nomem(err);

    if (rc == 0) {
        engine->project = strake_project_new(options->project_dir);
        rc = engine->project ? 0 : strake_fail_nomem(err);
    }
    if (rc == 0) {
        engine->project->fact = strake_lua_git_fact;
        engine->project->fact_ctx = engine;
    }
    if (rc == 0) {
        const int code = uv_loop_init(&engine->loop);
        engine->loop_open = code == 0;
        if (code < 0)
            rc = strake_fail(err, STRAKE_EINTERNAL, "no event loop: %s", uv_strerror(code));
    }
    if (rc == 0) {
        engine->work = strake_work_new(&engine->loop);
        rc = engine->work ? open_state(engine, err) : strake_fail_nomem(err);
    }
    if (rc < 0) {
        strake_engine_free(engine);
        return rc;
    }
    *out = engine;
    return 0;
}

void strake_engine_free(struct strake_engine *engine)
{
    if (!engine)
        return;
    if (engine->L)
        lua_close(engine->L);
    if (engine->work)
        strake_work_free(engine->work);
    if (engine->loop_open) {
        uv_run(&engine->loop, UV_RUN_NOWAIT); /* handles that were closed come to their end */
        if (uv_loop_close(&engine->loop) < 0)
            strake_log(STRAKE_LOG_DEBUG, "the event loop still had open handles");
    }
    if (engine->parked.drop)
        engine->parked.drop(engine->parked.ctx);
    strake_err_dispose(&engine->raising);
    strake_err_dispose(&engine->load_error);
    json_decref(engine->git);
    json_decref(engine->event);
    strake_project_free(engine->project);
    strake_free(engine->project_dir);
    strake_free(engine->project_file);
    strake_free(engine->scripts_dir);
    strake_free(engine->system_dir);
    strake_free(engine->user_file);
    strake_free(engine);
}

uv_loop_t *strake_engine_loop(struct strake_engine *engine)
{
    return &engine->loop;
}

struct strake_work *strake_engine_work(struct strake_engine *engine)
{
    return engine->work;
}

void strake_engine_set_session(struct strake_engine *engine, void *session)
{
    engine->session = session;
}

void *strake_engine_session(struct strake_engine *engine)
{
    return engine->session;
}

void strake_engine_set_hooks(struct strake_engine *engine, const struct strake_lua_hooks *hooks)
{
    engine->hooks = hooks;
}

void strake_engine_interrupt(struct strake_engine *engine)
{
    atomic_store(&engine->interrupted, true);
}

/* ---- calls ---- */

struct calling {
    const char *script, *function;
    const json_t *args;
    struct strake_task *task;
    json_t **result;
    struct strake_err *err;
    int rc;
};

/* Protected: make the task and begin. */
static int begin_call(lua_State *L)
{
    struct calling *calling = lua_touserdata(L, 1);

    strake_lua_push_script(L, calling->script);
    if (lua_getfield(L, -1, calling->function) != LUA_TFUNCTION)
        strake_lua_fail(L, STRAKE_EINTERNAL, NULL, "strake/%s.lua has no function %s",
                        calling->script, calling->function);
    if (calling->args)
        strake_lua_push_json(L, calling->args);
    else
        lua_newtable(L);
    calling->task = strake_task_new(L, 1, NULL);
    calling->task->context = STRAKE_LUA_INTERNAL;
    calling->task->may_wait = true;
    strake_task_start(L, calling->task, 1);
    return 0;
}

/* Protected: take the result, or the error. */
static int end_call(lua_State *L)
{
    struct calling *calling = lua_touserdata(L, 1);
    struct strake_task *task = calling->task;

    if (task->outcome != STRAKE_OUTCOME_DONE) {
        calling->rc =
            strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, calling->err);
    } else if (calling->result) {
        if (task->results > 0)
            lua_settop(task->co, -task->results);
        else
            lua_pushnil(task->co);
        calling->rc = strake_lua_to_json(task->co, -1, calling->result, calling->err);
    }
    strake_task_drop(L, task);
    return 0;
}

/* Run a function of this file protected. */
static int protected_call(struct strake_engine *engine, lua_CFunction function,
                          struct calling *calling)
{
    lua_State *L = engine->L;
    int status;

    lua_settop(L, 0);
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, calling);
    status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK)
        calling->rc = strake_lua_describe(L, status == LUA_ERRMEM, calling->err);
    lua_settop(L, 0);
    return calling->rc;
}

int strake_engine_call(struct strake_engine *engine, const char *script, const char *function,
                       const json_t *args, json_t **result, struct strake_err *err)
{
    struct calling calling = {
        .script = script, .function = function, .args = args, .result = result, .err = err
    };
    int rc = protected_call(engine, begin_call, &calling);

    if (rc == 0)
        rc = strake_task_finish(engine, calling.task, err);
    return rc < 0 ? rc : protected_call(engine, end_call, &calling);
}
