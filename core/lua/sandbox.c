/* The basic functions: Lua's own where they are harmless, ours where they are not. What is missing
 * on purpose: load, loadfile, dofile, require, collectgarbage, debug, io, os, package, _G. */
#include <lualib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/buf.h"

/* ---- protected calls ---- */

/* `must_stop` is the caller's rule of what may not be caught. */
static int finish_pcall(lua_State *L, int status, bool (*must_stop)(lua_State *))
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L); /* `true`, then what the function returned */
    if (must_stop(L))
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int pcall_continue(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    return finish_pcall(L, status, strake_lua_must_stop);
}

/* What a protected call catches costs Lua a walk over the whole stack: calls nested without end,
 * each protected, would take hours to unwind. */
static void check_depth(lua_State *L)
{
    lua_Debug ar;

    if (lua_getstack(L, STRAKE_LUA_PCALL_DEPTH, &ar))
        luaL_error(L, "protected calls nested too deep");
}

/* pcall(f, …) -> true, results | false, error. Never catches the end of a budget. */
static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    check_depth(L);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return pcall_continue(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, pcall_continue),
                          0);
}

static int shipped_continue(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    return finish_pcall(L, status, strake_lua_tripped);
}

/* For shipped scripts: they tidy up after a cancellation. */
static int shipped_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return shipped_continue(
        L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, shipped_continue), 0);
}

/* Stack: handler, true, what the handler returned or raised. */
static int handler_continue(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status != LUA_OK && status != LUA_YIELD) {
        if (strake_lua_must_stop(L))
            return lua_error(L);
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    lua_pushboolean(L, 0);
    lua_replace(L, 2);
    return lua_gettop(L) - 1;
}

/* Stack: handler, true, results or the error. */
static int xpcall_continue(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 1;
    if (strake_lua_must_stop(L))
        return lua_error(L);
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    return handler_continue(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, handler_continue), 0);
}

/* xpcall(f, handler, …). The handler runs after the error has been unwound: in Lua's own it would
 * run inside of the hook that ended a budget, where no hook stops it. */
static int base_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    check_depth(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_replace(L, 1); /* handler */
    lua_pushboolean(L, 1);
    lua_replace(L, 2);
    lua_insert(L, 3); /* handler, true, f, arguments */
    return xpcall_continue(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, xpcall_continue),
                           0);
}

/* ---- tables ---- */

/* setmetatable(t, mt) -> t. Finalizers would run with hooks off. */
static int base_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "a metatable with __gc is not allowed");
        lua_pop(L, 1);
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* getmetatable(v) -> table | false for what is Strake's own. */
static int base_getmetatable(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!lua_istable(L, 1)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    luaL_getmetafield(L, 1, "__metatable");
    return 1;
}

/* rawset(t, k, v) -> t. Not into library tables, which it would shadow. */
static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    if (strake_lua_is_protected(L, 1))
        return luaL_error(L, "this table belongs to Strake and cannot be changed");
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 1;
}

/* print(…): a line in the log, since stdout is for results. */
static int base_print(lua_State *L)
{
    const int count = lua_gettop(L);
    luaL_Buffer text;
    const char *line;
    size_t len;

    luaL_buffinit(L, &text);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&text, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    line = lua_tolstring(L, -1, &len);
    strake_lua_log(L, STRAKE_LOG_INFO, "info", line, len);
    return 0;
}

/* ---- opening ---- */

/* Define what Lua's library (a table on top) calls `name` under that name. */
static void keep(lua_State *L, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        lua_getfield(L, -1, names[i]);
        strake_lua_define(L, names[i]);
    }
}

static void open_math(lua_State *L)
{
    /* Chance has no place in a plan: the same facts give the same plan. */
    static const char *const without[] = { "random", "randomseed", NULL };

    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    for (size_t i = 0; without[i]; i++) {
        lua_pushnil(L);
        lua_setfield(L, -2, without[i]);
    }
    strake_lua_protect(L, "math");
    strake_lua_define(L, "math");
}

void strake_lua_open_base(lua_State *L)
{
    static const char *const kept[] = { "assert",   "error",  "ipairs", "next",   "pairs",
                                        "rawequal", "rawget", "rawlen", "select", "tonumber",
                                        "tostring", "type",   NULL };
    static const luaL_Reg ours[] = {
        { "pcall", base_pcall },
        { "xpcall", base_xpcall },
        { "setmetatable", base_setmetatable },
        { "getmetatable", base_getmetatable },
        { "rawset", base_rawset },
        { "print", base_print },
        { NULL, NULL },
    };

    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    keep(L, kept);
    lua_pop(L, 1);
    for (size_t i = 0; ours[i].name; i++) {
        lua_pushcfunction(L, ours[i].func);
        strake_lua_define(L, ours[i].name);
    }
    strake_lua_push_shipped_env(L);
    lua_pushcfunction(L, shipped_pcall);
    lua_setfield(L, -2, "pcall");
    lua_pop(L, 1);
    open_math(L);
}
