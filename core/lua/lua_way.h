/* What the files lua_way*.c share. */
#ifndef STRAKE_LUA_LUA_WAY_H
#define STRAKE_LUA_LUA_WAY_H

#include "build/publish.h"
#include "lua/lua_api.h"
#include "project/session.h"

struct strake_session *strake_way_session(lua_State *L);
/** The plan at `index`; the session's when the command keeps it. */
struct strake_plan *strake_way_plan(lua_State *L, int index);
/** The value at `index` as JSON, a new reference. Raises. */
json_t *strake_way_json(lua_State *L, int index);
/** Push a failure as { kind, message, … }. @return 1 */
int strake_way_push_error(lua_State *L, const struct strake_err *err);
/** Push a value that stands for the plan that the session keeps. @return 1 */
int strake_way_push_kept(lua_State *L);

/** One call that a coroutine waits for. A plan is looked at by either the main thread or the
 *  worker: the coroutine sleeps meanwhile. */
struct strake_way_call {
    struct strake_session *session;
    struct strake_plan *plan; /**< borrowed: the coroutine's stack holds it */
    json_t *args;
    json_t *out;           /**< what is pushed */
    struct strake_err err; /**< pushed as a second value, where the call says so */
    struct strake_tag_state *before;
    struct strake_manifest_kept kept;
    char *text;
};

/** Takes `args` (may be NULL) over, also when it raises for want of memory. */
struct strake_way_call *strake_way_call_new(lua_State *L, json_t *args);
void strake_way_call_drop(void *call);
/** Suspend until run(call) came back. */
int strake_way_await(lua_State *L, struct strake_way_call *call,
                     int (*run)(void *ctx, struct strake_job *job, struct strake_err *err),
                     int (*push)(lua_State *L, void *ctx));
/** Ways to push: the value; the value and the failure or nil; nothing. */
int strake_way_push_out(lua_State *L, void *call);
int strake_way_push_both(lua_State *L, void *call);
int strake_way_push_nothing(lua_State *L, void *call);

/** Register the primitives of lua_way_build.c, lua_way_publish.c, lua_way_rollback.c,
 *  lua_way_ledger.c, lua_way_delete.c and lua_way_copy.c. */
void strake_way_open_build(lua_State *L);
void strake_way_open_publish(lua_State *L);
void strake_way_open_rollback(lua_State *L);
void strake_way_open_ledger(lua_State *L);
void strake_way_open_delete(lua_State *L);
void strake_way_open_copy(lua_State *L);

#endif
