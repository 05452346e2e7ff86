/* The primitives of scripts/ledger.lua: records beside images in registries and layouts. */
#include "build/ledger.h"
#include "lua/lua_way.h"
#include "util/json.h"
#include "util/time.h"

/* keeps_ledger(repository, target or nil) -> boolean */
static int way_keeps_ledger(lua_State *L)
{
    const char *target = luaL_optstring(L, 2, "");

    lua_pushboolean(L, strake_project_keeps_ledger(strake_lua_project(L), *target ? target : NULL,
                                                   luaL_checkstring(L, 1)));
    return 1;
}

static int attach_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    (void)err; /* a failure is what the call gives */
    call->out = json_true();
    strake_ledger_attach(call->session->stores, strake_json_str(call->args, "image"),
                         json_object_get(call->args, "record"), job, &call->err);
    return 0;
}

/* ledger_attach { image, record } -> true, failure or nil. `record` as image/ledger.h has it. */
static int way_ledger_attach(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, attach_run, strake_way_push_both);
}

static int read_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct strake_way_call *call = ctx;

    return strake_ledger_read(call->session->stores, strake_json_str(call->args, "repository"),
                              strake_json_str(call->args, "digest"), job, &call->out, err);
}

/* ledger_read { repository, digest } -> { records, skipped, more } */
static int way_ledger_read(lua_State *L)
{
    struct strake_way_call *call = strake_way_call_new(L, strake_way_json(L, 1));

    return strake_way_await(L, call, read_run, strake_way_push_out);
}

/* run_id() -> the id of this run, "" for a command that is none */
static int way_run_id(lua_State *L)
{
    lua_pushstring(L, strake_way_session(L)->run);
    return 1;
}

/* time_now() -> RFC 3339, UTC */
static int way_time_now(lua_State *L)
{
    char text[STRAKE_TIME_TEXT];

    strake_time_format(strake_time_now_us(), text);
    lua_pushstring(L, text);
    return 1;
}

void strake_way_open_ledger(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "keeps_ledger", way_keeps_ledger }, { "ledger_attach", way_ledger_attach },
        { "ledger_read", way_ledger_read },   { "run_id", way_run_id },
        { "time_now", way_time_now },         { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
}
