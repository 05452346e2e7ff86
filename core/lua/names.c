/* The names that scripts see: one set for everybody, read-only; an environment of its own for each
 * layer's globals; another one for the scripts that ship. An unknown name is an error. */
#include <string.h>

#include "lua/engine_impl.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/suggest.h"

static const char names_key;   /* registry: name -> value, what users see */
static const char core_key;    /* registry: the table `core` */
static const char shipped_key; /* registry: the environment of shipped scripts */
static const char scripts_key; /* registry: script -> what it returned */

/* In a metatable: this table is one of ours. */
static const char protected_mark[] = "strake.protected";

static void push_registered(lua_State *L, const char *key)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void strake_lua_define(lua_State *L, const char *name)
{
    push_registered(L, &names_key);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* ---- unknown names ---- */

/* Put the string keys of the table at `index` behind the `count` candidates; they stay on the
 * stack. */
static int collect(lua_State *L, int index, const char **names, int count, int max)
{
    lua_pushnil(L);
    while (count < max && lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            names[count++] = lua_tostring(L, -1);
    }
    return count;
}

/* Raise "unknown name 'X'; did you mean 'Y'?", with candidates from the tables at first..last. */
static int unknown_name(lua_State *L, const char *prefix, int key, int first, int last)
{
    enum { MAX = 512 };
    const char *names[MAX + 1];
    const char *name =
        lua_type(L, key) == LUA_TSTRING ? lua_tostring(L, key) : strake_lua_type_text(L, key);
    const char *near;
    int count = 0;

    for (int i = first; i <= last; i++)
        count = collect(L, i, names, count, MAX);
    names[count] = NULL;
    near = strake_suggest(name, names);
    if (near)
        strake_lua_fail(L, STRAKE_ECONFIG, NULL, "unknown name '%s%s'; did you mean '%s%s'?",
                        prefix, name, prefix, near);
    strake_lua_fail(L, STRAKE_ECONFIG, NULL, "unknown name '%s%s'", prefix, name);
}

/* ---- library tables ---- */

/* upvalues: the real table, its name */
static int library_index(lua_State *L)
{
    char prefix[64];

    snprintf(prefix, sizeof(prefix), "%s.", lua_tostring(L, lua_upvalueindex(2)));
    lua_pushvalue(L, lua_upvalueindex(1));
    return unknown_name(L, prefix, 2, 3, 3);
}

/* upvalue: name */
static int library_newindex(lua_State *L)
{
    strake_lua_fail(L, STRAKE_ECONFIG, NULL, "'%s' belongs to Strake and cannot be changed",
                    lua_tostring(L, lua_upvalueindex(1)));
}

/* upvalue: the real table, which next() must not give away */
static int library_next(lua_State *L)
{
    lua_settop(L, 2);
    return lua_next(L, lua_upvalueindex(1)) ? 2 : 0;
}

static int library_pairs(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, library_next, 1);
    return 1;
}

void strake_lua_mark_protected(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, protected_mark);
}

void strake_lua_protect(lua_State *L, const char *name)
{
    const int real = lua_gettop(L);

    lua_createtable(L, 0, 1); /* the real table's own metatable: its unknown fields */
    lua_pushvalue(L, real);
    lua_pushstring(L, name);
    lua_pushcclosure(L, library_index, 2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, real);
    lua_newtable(L); /* what users get */
    lua_createtable(L, 0, 5);
    lua_pushvalue(L, real);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, library_newindex, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, real);
    lua_pushcclosure(L, library_pairs, 1);
    lua_setfield(L, -2, "__pairs");
    strake_lua_mark_protected(L);
    lua_setmetatable(L, -2);
    lua_remove(L, real);
}

bool strake_lua_is_protected(lua_State *L, int index)
{
    bool result;

    if (!lua_getmetatable(L, index))
        return false;
    lua_pushstring(L, protected_mark);
    result = lua_rawget(L, -2) == LUA_TBOOLEAN;
    lua_pop(L, 2);
    return result;
}

/* ---- environments ---- */

/* upvalue: the names. The environment itself is argument 1. */
static int layer_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1); /* names, environment, key */
    return unknown_name(L, "", 3, 1, 2);
}

static int layer_newindex(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        strake_lua_fail(L, STRAKE_ECONFIG, "use another name, or `local`",
                        "'%s' belongs to Strake and cannot be replaced", lua_tostring(L, 2));
    lua_pop(L, 1);
    lua_rawset(L, 1);
    return 0;
}

/* Give the table on top the metatable of an environment. */
static void make_environment(lua_State *L)
{
    lua_createtable(L, 0, 4);
    push_registered(L, &names_key);
    lua_pushcclosure(L, layer_index, 1);
    lua_setfield(L, -2, "__index");
    push_registered(L, &names_key);
    lua_pushcclosure(L, layer_newindex, 1);
    lua_setfield(L, -2, "__newindex");
    strake_lua_mark_protected(L);
    lua_setmetatable(L, -2);
}

void strake_lua_push_layer_env(lua_State *L)
{
    lua_newtable(L);
    make_environment(L);
}

void strake_lua_push_shipped_env(lua_State *L)
{
    push_registered(L, &shipped_key);
}

void strake_lua_open_names(lua_State *L)
{
    push_registered(L, &shipped_key);
    push_registered(L, &core_key);
    lua_setfield(L, -2, "core");
    make_environment(L);
    lua_pop(L, 1);
}

void strake_lua_core_add(lua_State *L, const luaL_Reg *functions)
{
    push_registered(L, &core_key);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}

/* ---- shipped scripts ---- */

void strake_lua_run_script(lua_State *L, const char *script)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_buf text = STRAKE_BUF(STRAKE_LUA_SOURCE_MAX);
    struct strake_err err = { 0 };
    char path[4096], chunk[128];
    int rc;

    snprintf(path, sizeof(path), "%s/%s.lua", engine->scripts_dir, script);
    snprintf(chunk, sizeof(chunk), "=strake/%s.lua", script);
    strake_lua_push_shipped_env(L);
    rc = strake_fs_read(path, STRAKE_LUA_SOURCE_MAX, &text, &err); /* from here on nothing raises */
    if (rc == 0)
        rc = strake_lua_compile(L, strake_buf_text(&text), text.len, chunk, &err);
    strake_buf_dispose(&text);
    if (rc < 0) {
        strake_err_recode(&err, STRAKE_EINTERNAL);
        strake_err_hint(&err, "the scripts that ship with Strake are incomplete: install it again");
        strake_lua_raise(L, &err);
    }
    lua_call(L, 0, 1);
}

void strake_lua_push_script(lua_State *L, const char *script)
{
    luaL_checkstack(L, 8, NULL);
    push_registered(L, &scripts_key);
    if (lua_getfield(L, -1, script) != LUA_TTABLE) {
        lua_pop(L, 1);
        strake_lua_run_script(L, script);
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, script);
    }
    lua_remove(L, -2);
}

static int stub_done(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

/* upvalues: script, name, where it is allowed. The verbs of way.lua stand under `globals`. */
static int stub_call(lua_State *L)
{
    const char *script = lua_tostring(L, lua_upvalueindex(1));
    const char *name = lua_tostring(L, lua_upvalueindex(2));

    strake_lua_allow(L, (unsigned)lua_tointeger(L, lua_upvalueindex(3)), name);
    strake_lua_push_script(L, script);
    if (lua_getfield(L, -1, "globals") == LUA_TTABLE)
        lua_remove(L, -2);
    else
        lua_pop(L, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, stub_done);
    return stub_done(L, LUA_OK, 0);
}

void strake_lua_push_stub(lua_State *L, const char *script, const char *name, unsigned allowed)
{
    lua_pushstring(L, script);
    lua_pushstring(L, name);
    lua_pushinteger(L, allowed);
    lua_pushcclosure(L, stub_call, 3);
}

/* ---- what there is ---- */

static int add_table(lua_State *L, json_t *api, const char *prefix)
{
    const int table = lua_gettop(L);
    int rc = 0;

    for (lua_pushnil(L); rc == 0 && lua_next(L, table); lua_pop(L, 1)) {
        char name[128];
        snprintf(name, sizeof(name), "%s%s", prefix, lua_tostring(L, -2));
        rc = strake_json_set_str(api, name, lua_isboolean(L, -1) ? "value" : luaL_typename(L, -1));
        if (rc < 0 || !lua_istable(L, -1) || !lua_getmetatable(L, -1))
            continue;
        if (lua_getfield(L, -1, "strake.fields") == LUA_TNIL) { /* lists what __index computes */
            lua_pop(L, 1);
            lua_getfield(L, -1, "__index"); /* the real table behind the read-only one */
        }
        if (lua_istable(L, -1)) {
            snprintf(name, sizeof(name), "%s%s.", prefix, lua_tostring(L, -4));
            rc = add_table(L, api, name);
        }
        lua_pop(L, 2);
    }
    return rc;
}

static int list_api(lua_State *L)
{
    push_registered(L, &names_key);
    lua_pushboolean(L, add_table(L, lua_touserdata(L, 1), "") == 0);
    return 1;
}

json_t *strake_engine_api(struct strake_engine *engine)
{
    lua_State *L = engine->L;
    json_t *api = json_object();
    bool ok;

    lua_pushcfunction(L, list_api);
    lua_pushlightuserdata(L, api);
    ok = api && lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
    lua_settop(L, 0);
    if (ok)
        return api;
    json_decref(api);
    return NULL;
}
