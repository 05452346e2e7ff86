/* env.NAME: an environment variable, or false. It cannot be listed, and the source of a declared
 * secret is that secret. */
#include <stdlib.h>

#include "lua/engine_impl.h"
#include "util/secret.h"

/* env.NAME -> string | secret | false */
static int env_index(lua_State *L)
{
    const char *name, *value;

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "env.NAME takes a name, got %s", strake_lua_type_text(L, 2));
    name = lua_tostring(L, 2);
    value = getenv(name);
    if (!value)
        lua_pushboolean(L, 0);
    else if (strake_secret_is_env(name))
        strake_lua_push_secret(L, name);
    else
        lua_pushstring(L, value);
    return 1;
}

static int env_newindex(lua_State *L)
{
    return luaL_error(L, "the environment cannot be changed; exec { …, env = { NAME = … } } gives "
                         "a program its own");
}

static int env_pairs(lua_State *L)
{
    return luaL_error(L, "the environment cannot be listed; name the variable: env.NAME");
}

void strake_lua_open_env(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "__index", env_index },
        { "__newindex", env_newindex },
        { "__pairs", env_pairs },
        { NULL, NULL },
    };

    lua_newtable(L);
    lua_createtable(L, 0, 5);
    luaL_setfuncs(L, methods, 0);
    strake_lua_mark_protected(L);
    lua_setmetatable(L, -2);
    strake_lua_define(L, "env");
}
