/* The words that declare: target "NAME" { … } and its kind. `target "NAME"` alone is a handle: a
 * reference to that target, or the first half of its declaration. */
#include <string.h>

#include "lua/schema.h"

static const char handle_type[] = "strake.declaration";
static const char handles_key; /* registry: the handles of this load, a list */

enum kind { KIND_TARGET, KIND_POLICY, KIND_RULE, KIND_FLOW, KIND_BLOCK };

static const struct {
    const char *word;
    enum kind kind;
    enum strake_block_kind block;
} kinds[] = {
    { "target", KIND_TARGET, 0 },
    { "policy", KIND_POLICY, 0 },
    { "rule", KIND_RULE, 0 },
    { "flow", KIND_FLOW, 0 },
    { "builder", KIND_BLOCK, STRAKE_BLOCK_BUILDER },
    { "registry", KIND_BLOCK, STRAKE_BLOCK_REGISTRY },
    { "notifier", KIND_BLOCK, STRAKE_BLOCK_NOTIFIER },
    { "scanner", KIND_BLOCK, STRAKE_BLOCK_SCANNER },
    { "workflow", KIND_BLOCK, STRAKE_BLOCK_WORKFLOW },
    { "deployer", KIND_BLOCK, STRAKE_BLOCK_DEPLOYER },
};

/* Dockerfile rules ship too, each in a file that reads like a team's. */
static unsigned allowed(size_t kind)
{
    return kinds[kind].kind == KIND_RULE ? STRAKE_LUA_LOAD | STRAKE_LUA_INTERNAL : STRAKE_LUA_LOAD;
}

/* Its name is user value 1, the file where it stands user value 2. */
struct handle {
    size_t kind; /* index in kinds */
    int line;
    bool declared;
};

const char *strake_lua_target_at(lua_State *L, int index)
{
    const struct handle *handle = luaL_testudata(L, index, handle_type);
    const char *name;

    if (!handle || kinds[handle->kind].kind != KIND_TARGET)
        return NULL;
    lua_getiuservalue(L, index, 1);
    name = lua_tostring(L, -1);
    lua_pop(L, 1); /* the handle keeps it alive */
    return name;
}

static int declare_kind(struct strake_decl *decl, const struct handle *handle, int index)
{
    switch (kinds[handle->kind].kind) {
    case KIND_TARGET:
        return strake_declare_target(decl, index);
    case KIND_POLICY:
        return strake_declare_policy(decl, index);
    case KIND_RULE:
        return strake_declare_rule(decl, index);
    case KIND_FLOW:
        return strake_declare_flow(decl, index);
    default:
        return strake_declare_block(decl, kinds[handle->kind].block, index);
    }
}

/* Read the table at absolute index `table` as the declaration of the handle at `index`. */
static void declare(lua_State *L, int index, int table)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct handle *handle = luaL_checkudata(L, index, handle_type);
    struct strake_err *err = &engine->raising; /* whatever raises, the engine frees it */
    struct strake_decl decl = {
        .L = L, .engine = engine, .err = err, .kind = kinds[handle->kind].word, .file = "?"
    };
    struct strake_err raised = { 0 };

    strake_err_dispose(err);
    lua_getiuservalue(L, index, 1);
    decl.name = lua_tostring(L, -1);
    strake_lua_place(L, &decl.file, &decl.line);
    if (declare_kind(&decl, handle, table) < 0) {
        if (!engine->load_error.code)
            strake_err_copy(&engine->load_error, err);
        strake_err_move(&raised, err);
        strake_lua_raise(L, &raised);
    }
    handle->declared = true;
}

/* handle { … } -> handle */
static int handle_call(lua_State *L)
{
    const struct handle *handle = luaL_checkudata(L, 1, handle_type);

    strake_lua_allow(L, allowed(handle->kind), kinds[handle->kind].word);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    declare(L, 1, 2);
    lua_settop(L, 1);
    return 1;
}

static int handle_tostring(lua_State *L)
{
    const struct handle *handle = luaL_checkudata(L, 1, handle_type);

    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "%s \"%s\"", kinds[handle->kind].word, lua_tostring(L, -1));
    return 1;
}

static int handle_index(lua_State *L)
{
    const struct handle *handle = luaL_checkudata(L, 1, handle_type);

    return luaL_error(L, "a %s has no fields to read", kinds[handle->kind].word);
}

static void check_name(lua_State *L, const char *word)
{
    const char *name;
    size_t len;

    if (lua_type(L, 1) != LUA_TSTRING)
        luaL_error(L, "%s needs a name, got %s: %s \"NAME\" { … }", word,
                   strake_lua_type_text(L, 1), word);
    name = lua_tolstring(L, 1, &len);
    if (len == 0 || len > 200)
        luaL_error(L, "the name of a %s has 1 to 200 bytes", word);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            luaL_error(L, "the name of a %s has a control character", word);
    }
}

static void remember(lua_State *L, int index)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &handles_key);
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

/* WORD(name [, table]) -> handle. Upvalue: index in kinds. */
static int declare_word(lua_State *L)
{
    const size_t kind = (size_t)lua_tointeger(L, lua_upvalueindex(1));
    const char *file = "?";
    struct handle *handle;

    strake_lua_allow(L, allowed(kind), kinds[kind].word);
    check_name(L, kinds[kind].word);
    lua_settop(L, 2);
    handle = lua_newuserdatauv(L, sizeof(*handle), 2);
    *handle = (struct handle){ .kind = kind };
    luaL_setmetatable(L, handle_type);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, 1);
    strake_lua_place(L, &file, &handle->line);
    lua_pushstring(L, file);
    lua_setiuservalue(L, 3, 2);
    remember(L, 3);
    if (lua_istable(L, 2))
        declare(L, 3, 2);
    lua_settop(L, 3);
    return 1;
}

/* ---- the end of a load ---- */

static void undeclared(lua_State *L, int index, const struct handle *handle, const char *name,
                       struct strake_err *err)
{
    const char *word = kinds[handle->kind].word;

    if (kinds[handle->kind].kind == KIND_TARGET) {
        strake_project_no_target(strake_lua_project(L), name, err);
        strake_err_recode(err, STRAKE_ECONFIG);
    } else {
        strake_fail(err, STRAKE_ECONFIG, "%s \"%s\" is named, but not declared", word, name);
        strake_err_hint(err, "write %s \"%s\" { … }", word, name);
    }
    lua_getiuservalue(L, index, 2);
    strake_err_place(err, lua_tostring(L, -1), handle->line);
}

/* Protected; argument: the error to fill. */
static int check_handles(lua_State *L)
{
    struct strake_err *err = lua_touserdata(L, 1);
    lua_Integer count;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key) != LUA_TTABLE)
        return 0;
    count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        const struct handle *handle;
        const char *name;
        lua_rawgeti(L, 2, i);
        handle = lua_touserdata(L, 3);
        lua_getiuservalue(L, 3, 1);
        name = lua_tostring(L, 4);
        if (!handle->declared && (kinds[handle->kind].kind != KIND_TARGET ||
                                  !strake_project_target(strake_lua_project(L), name))) {
            undeclared(L, 3, handle, name, err);
            break;
        }
        lua_settop(L, 2);
    }
    return 0;
}

int strake_lua_check_handles(lua_State *L, struct strake_err *err)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, check_handles);
    lua_pushlightuserdata(L, err);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        strake_lua_describe(L, true, err);
    lua_settop(L, 0);
    return err->code;
}

void strake_lua_open_declare(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "__call", handle_call },
        { "__tostring", handle_tostring },
        { "__index", handle_index },
        { NULL, NULL },
    };

    luaL_newmetatable(L, handle_type);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, declare_word, 1);
        strake_lua_define(L, kinds[i].word);
    }
}
