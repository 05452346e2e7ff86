/* What every waiting primitive of scripts/way.lua does alike: its context, the wait, what is
 * pushed. */
#include "lua/lua_way.h"

void strake_way_call_drop(void *ctx)
{
    struct strake_way_call *call = ctx;

    json_decref(call->args);
    json_decref(call->out);
    strake_err_dispose(&call->err);
    strake_tag_state_free(call->before);
    strake_manifest_kept_dispose(&call->kept);
    strake_free(call->text);
    strake_free(call);
}

struct strake_way_call *strake_way_call_new(lua_State *L, json_t *args)
{
    struct strake_way_call *call = strake_calloc(1, sizeof(*call));

    if (!call) {
        struct strake_err err = { 0 };
        json_decref(args);
        strake_fail_nomem(&err);
        strake_lua_raise(L, &err);
    }
    call->session = strake_way_session(L);
    call->args = args;
    return call;
}

int strake_way_await(lua_State *L, struct strake_way_call *call,
                     int (*run)(void *ctx, struct strake_job *job, struct strake_err *err),
                     int (*push)(lua_State *L, void *ctx))
{
    struct strake_lua_call waiting = {
        .run = run, .push = push, .drop = strake_way_call_drop, .ctx = call
    };

    return strake_lua_await(L, &waiting);
}

int strake_way_push_out(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;

    strake_lua_push_json(L, call->out ? call->out : json_null());
    return 1;
}

/* The value, and the failure or nil. */
int strake_way_push_both(lua_State *L, void *ctx)
{
    struct strake_way_call *call = ctx;

    strake_way_push_out(L, ctx);
    if (call->err.code)
        strake_way_push_error(L, &call->err);
    else
        lua_pushnil(L);
    return 2;
}

int strake_way_push_nothing(lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
    return 0;
}
