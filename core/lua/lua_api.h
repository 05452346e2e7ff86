/* What a C file that binds something to Lua (lua_<module>.c) may use. The one header of core/
 * besides these files that includes lua.h. */
#ifndef STRAKE_LUA_LUA_API_H
#define STRAKE_LUA_LUA_API_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/engine.h"

/** Who is running: decides what may be called (facts: capabilities travel as upvalues, so the
 *  caller's context is looked at inside each function). */
enum strake_lua_context {
    STRAKE_LUA_LOAD = 1 << 0,   /**< the top level of a layer: nothing that waits, writes or runs */
    STRAKE_LUA_RULE = 1 << 1,   /**< tag rules and Dockerfile rules: pure */
    STRAKE_LUA_POLICY = 1 << 2, /**< a policy; at `plan` it may not wait */
    STRAKE_LUA_FLOW = 1 << 3,   /**< a flow: everything */
    STRAKE_LUA_INTERNAL = 1 << 4 /**< shipped scripts on behalf of a command */
};

struct strake_engine *strake_lua_engine(lua_State *L);
enum strake_lua_context strake_lua_context(lua_State *L);
/** Raise "NAME is not allowed in a policy" unless the running context is among `allowed`. */
void strake_lua_allow(lua_State *L, unsigned allowed, const char *name);
/** The project being loaded or run. */
struct strake_project *strake_lua_project(lua_State *L);

/** Work on a thread that a coroutine waits for. */
struct strake_lua_call {
    /** On a worker thread. `job` is cancelled with the command. */
    int (*run)(void *ctx, struct strake_job *job, struct strake_err *err);
    /** On the main thread, after run() returned 0: push results. @return how many. May raise. */
    int (*push)(lua_State *L, void *ctx);
    /** Always called last, on the main thread. */
    void (*drop)(void *ctx);
    void *ctx;
};
/** `return strake_lua_await(L, &call);` suspends the coroutine; a failure is raised as a structured
 *  error. Takes ctx over also when it raises at once (not in a coroutine that may wait). */
int strake_lua_await(lua_State *L, const struct strake_lua_call *call);

/** Raise `err` as a structured error (kind, message, hint, file, line, detail); `err` is
 * emptied. */
_Noreturn void strake_lua_raise(lua_State *L, struct strake_err *err);

/** Push a value as plain tables; JSON null is false. Raises without memory. */
void strake_lua_push_json(lua_State *L, const json_t *value);
/** Read the value at `index` raw: tables with metatables, functions, cycles, NaN, depth past 64 are
 *  refused with the path to them. A secret becomes {"secret":NAME}. @return 0 or STRAKE_ECONFIG. */
int strake_lua_to_json(lua_State *L, int index, json_t **out, struct strake_err *err);

/** Ask every policy of `point` in the order of layers, in this coroutine and within the budgets,
 *  with the table at `subject` (absolute index): at `plan` each change that a policy makes to it is
 *  kept and recorded. Pushes an array of decisions {name,at,action,message,fix,file,line}; nothing
 *  is raised for a deny. A policy that fails to run is a deny with `error = true`. Yields when
 *  policies do. Lua sees it as core.ask(point, subject). */

/** Also seen by shipped scripts alone, besides core.ask:
 *    core.run_flow(name, args) -> what the flow returned. `args` is a list of strings, checked
 *    against
 *      the flow's declaration (STRAKE_EUSAGE). Runs it as a flow; raises its error. Yields.
 *    core.fail(kind, message[, hint]) raises a structured error: core.fail("builder", "…").
 *  The error value that pcall gives has .kind .message .hint .file .line .detail .exit (false or 0
 *  without a value); error(value, 0) raises it again unchanged. In shipped scripts pcall also
 *  catches a cancellation. */

/** Register the functions of `functions` in the table `core` that only shipped scripts see. */
void strake_lua_core_add(lua_State *L, const luaL_Reg *functions);
/** lua_way.c: the primitives of scripts/way.lua. Called once by the engine. */
void strake_lua_open_way(lua_State *L);

#endif
