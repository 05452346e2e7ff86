/* json.encode, json.decode: strict and bounded. */
#include "lua/engine_impl.h"
#include "util/json.h"

/* What a C function owns while Lua may raise: freed with the userdata. */
static const char holder_type[] = "strake.json";

struct holder {
    json_t *value;
    struct strake_buf text;
};

static int holder_gc(lua_State *L)
{
    struct holder *holder = lua_touserdata(L, 1);

    json_decref(holder->value);
    holder->value = NULL;
    strake_buf_dispose(&holder->text);
    return 0;
}

static struct holder *push_holder(lua_State *L)
{
    struct holder *holder = lua_newuserdatauv(L, sizeof(*holder), 0);

    *holder = (struct holder){ .text = STRAKE_BUF(STRAKE_LUA_STRING_MAX) };
    luaL_setmetatable(L, holder_type);
    return holder;
}

/* json.encode(value [, { pretty = true }]) -> string. An empty table is {}. */
static int json_encode(lua_State *L)
{
    struct holder *holder;
    struct strake_err err = { 0 };
    bool pretty = false;
    int rc;

    luaL_checkany(L, 1);
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "pretty");
        lua_rawget(L, 2);
        pretty = lua_toboolean(L, -1);
    }
    holder = push_holder(L);
    rc = strake_lua_to_json(L, 1, &holder->value, &err);
    if (rc == 0) {
        rc = pretty ? strake_json_dump_pretty(holder->value, &holder->text)
                    : strake_json_dump_sorted(holder->value, &holder->text);
        if (rc < 0)
            strake_fail(&err, rc == STRAKE_ENOMEM ? rc : STRAKE_ECONFIG, "the JSON is too large");
    }
    if (rc < 0)
        strake_lua_raise(L, &err);
    strake_lua_charge(L, holder->text.len / 16);
    lua_pushlstring(L, strake_buf_text(&holder->text), holder->text.len);
    return 1;
}

/* json.decode(text) -> value. null is false. */
static int json_decode(lua_State *L)
{
    struct holder *holder;
    struct strake_err err = { 0 };
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    strake_lua_charge(L, len / 16);
    holder = push_holder(L);
    holder->value = strake_json_parse(text, len, "the text", STRAKE_ECONFIG, &err);
    if (!holder->value)
        strake_lua_raise(L, &err);
    strake_lua_push_json(L, holder->value);
    return 1;
}

void strake_lua_open_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "encode", json_encode },
        { "decode", json_decode },
        { NULL, NULL },
    };

    luaL_newmetatable(L, holder_type);
    lua_pushcfunction(L, holder_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    strake_lua_protect(L, "json");
    strake_lua_define(L, "json");
}
