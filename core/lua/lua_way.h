/* What lua_way.c and lua_way_run.c share. */
#ifndef STRAKE_LUA_LUA_WAY_H
#define STRAKE_LUA_LUA_WAY_H

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
/** lua_way_run.c: register what waits. */
void strake_way_open_run(lua_State *L);

#endif
