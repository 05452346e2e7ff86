/* secret.env, secret.file: a type of its own. It shows its name, never its value: there is nothing
 * in Lua that could read it. */
#include <string.h>

#include "lua/engine_impl.h"
#include "util/fs.h"
#include "util/secret.h"

static const char secret_type[] = "strake.secret"; /* user value 1: the name */

const char *strake_lua_secret_at(lua_State *L, int index)
{
    const char *name;

    if (!luaL_testudata(L, index, secret_type))
        return NULL;
    lua_getiuservalue(L, index, 1);
    name = lua_tostring(L, -1);
    lua_pop(L, 1); /* the secret keeps it alive */
    return name;
}

void strake_lua_push_secret(lua_State *L, const char *name)
{
    lua_newuserdatauv(L, 0, 1);
    lua_pushstring(L, name);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, secret_type);
}

static int secret_tostring(lua_State *L)
{
    lua_pushfstring(L, "[secret %s]", strake_lua_secret_at(L, 1));
    return 1;
}

/* Whatever else somebody tries with it. */
static int secret_refuse(lua_State *L)
{
    strake_lua_fail(L, STRAKE_ECONFIG, "give it as it is to the option that wants it",
                    "a secret cannot be joined to text, compared, measured or read");
}

static const char *check_name(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len > 0 && strlen(name) == len && !strpbrk(name, "\r\n"), 1,
                  "a name without NUL and newline expected");
    return name;
}

/* secret.env(NAME) -> secret: the value of an environment variable. */
static int secret_env(lua_State *L)
{
    const char *name = check_name(L);
    struct strake_err err = { 0 };

    if (strake_secret_from_env(name, name, &err) < 0)
        strake_lua_raise(L, &err);
    strake_lua_push_secret(L, name);
    return 1;
}

/* secret.file(PATH) -> secret: the content of a file, named from the folder of strake.lua. */
static int secret_file(lua_State *L)
{
    const struct strake_engine *engine = strake_lua_engine(L);
    const char *name = check_name(L);
    const char *dir = engine->layer_root ? engine->layer_root : engine->project_dir;
    char *path = strake_fs_join(dir, name);
    struct strake_err err = { 0 };
    int rc = path ? strake_secret_from_file(name, path, &err) : strake_fail_nomem(&err);

    strake_free(path);
    if (rc < 0)
        strake_lua_raise(L, &err);
    strake_lua_push_secret(L, name);
    return 1;
}

void strake_lua_open_secret(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "__tostring", secret_tostring }, { "__concat", secret_refuse },
        { "__len", secret_refuse },        { "__eq", secret_refuse },
        { "__lt", secret_refuse },         { "__le", secret_refuse },
        { "__index", secret_refuse },      { "__newindex", secret_refuse },
        { "__call", secret_refuse },       { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "env", secret_env },
        { "file", secret_file },
        { NULL, NULL },
    };

    luaL_newmetatable(L, secret_type);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newlib(L, functions);
    strake_lua_protect(L, "secret");
    strake_lua_define(L, "secret");
}
