/* include(path): another Lua file of the same folder tree, run once, in the environment of its
 * layer. */
#include <string.h>

#include "lua/engine_impl.h"
#include "util/fs.h"

static const char included_key; /* registry: root/path -> result, or the mark that it is running */

static void push_included(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &included_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &included_key);
}

/* Push the compiled file. */
static void push_chunk(lua_State *L, const char *root, const char *path)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_LUA_SOURCE_MAX);
    struct strake_err err = { 0 };
    char chunk[4096];
    char *full, *shown = NULL;
    int rc;

    luaL_checkstack(L, 8, NULL);
    strake_lua_push_current_env(L);
    full = strake_fs_join(root, path); /* from here on nothing raises until all is freed */
    shown = full ? strake_lua_shown(full) : NULL;
    snprintf(chunk, sizeof(chunk), "@%s", shown ? shown : path);
    rc = shown ? strake_fs_read_beneath(root, path, STRAKE_LUA_SOURCE_MAX, &text, &err)
               : strake_fail_nomem(&err);
    if (rc < 0 && rc != STRAKE_ENOMEM)
        rc = strake_err_recode(&err, STRAKE_ECONFIG);
    if (rc == 0)
        rc = strake_lua_compile(L, strake_buf_text(&text), text.len, chunk, &err);
    strake_buf_dispose(&text);
    strake_free(full);
    strake_free(shown);
    if (rc < 0)
        strake_lua_raise(L, &err);
}

/* include(path) -> what the file returns, `true` when it returns nothing. */
static int include(lua_State *L)
{
    const struct strake_engine *engine = strake_lua_engine(L);
    const char *path = luaL_checkstring(L, 1);

    strake_lua_allow(L, STRAKE_LUA_LOAD, "include");
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    lua_settop(L, 1);
    push_included(L);
    lua_pushfstring(L, "%s/%s", engine->layer_root, path);
    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) != LUA_TNIL) {
        if (lua_touserdata(L, 4) == &included_key)
            return luaL_error(L, "%s includes itself", path);
        return 1;
    }
    lua_pop(L, 1);
    push_chunk(L, engine->layer_root, path);
    lua_pushvalue(L, 3);
    lua_pushlightuserdata(L, (void *)&included_key);
    lua_rawset(L, 2);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, 3);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

void strake_lua_open_include(lua_State *L)
{
    lua_pushcfunction(L, include);
    strake_lua_define(L, "include");
}
