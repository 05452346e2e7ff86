/* table.*: Lua's functions, written so that a table that lies about its length, or a comparator
 * that lies about order, costs instructions like everything else. */
#include <lualib.h>

#include "lua/engine_impl.h"

/* The length as `#` gives it; __len may lie, and costs nothing yet. */
static lua_Integer length_of(lua_State *L, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    return luaL_len(L, index);
}

/* Count one step of a loop in C. */
static void step(lua_State *L)
{
    strake_lua_charge(L, 1);
}

/* table.insert(t, [pos,] value) */
static int tab_insert(lua_State *L)
{
    const lua_Integer end = (lua_Integer)((lua_Unsigned)length_of(L, 1) + 1);
    lua_Integer pos = end;

    if (lua_gettop(L) == 3) {
        pos = luaL_checkinteger(L, 2);
        luaL_argcheck(L, (lua_Unsigned)pos - 1u < (lua_Unsigned)end, 2, "position out of bounds");
        for (lua_Integer i = end; i > pos; i--) {
            step(L);
            lua_geti(L, 1, i - 1);
            lua_seti(L, 1, i);
        }
    } else if (lua_gettop(L) != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    lua_seti(L, 1, pos);
    return 0;
}

/* table.remove(t [, pos]) -> the value */
static int tab_remove(lua_State *L)
{
    const lua_Integer size = length_of(L, 1);
    lua_Integer pos = luaL_optinteger(L, 2, size);

    if (pos != size)
        luaL_argcheck(L, (lua_Unsigned)pos - 1u <= (lua_Unsigned)size, 2, "position out of bounds");
    lua_geti(L, 1, pos);
    for (; pos < size; pos++) {
        step(L);
        lua_geti(L, 1, pos + 1);
        lua_seti(L, 1, pos);
    }
    lua_pushnil(L);
    lua_seti(L, 1, pos);
    return 1;
}

/* table.move(a1, f, e, t [, a2]) -> a2 */
static int tab_move(lua_State *L)
{
    const lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    const lua_Integer to = luaL_checkinteger(L, 4);
    const int target = lua_isnoneornil(L, 5) ? 1 : 5;

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, target, LUA_TTABLE);
    if (last >= first) {
        luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                      "too many elements to move");
        luaL_argcheck(L, to <= LUA_MAXINTEGER - (last - first + 1) + 1, 4,
                      "destination wrap around");
    }
    if (to > last || to <= first || target != 1) {
        for (lua_Integer i = 0; first <= last && i <= last - first; i++) {
            step(L);
            lua_geti(L, 1, first + i);
            lua_seti(L, target, to + i);
        }
    } else {
        for (lua_Integer i = last - first; i >= 0; i--) {
            step(L);
            lua_geti(L, 1, first + i);
            lua_seti(L, target, to + i);
        }
    }
    lua_pushvalue(L, target);
    return 1;
}

/* table.concat(list [, sep [, i [, j]]]) -> string */
static int tab_concat(lua_State *L)
{
    const lua_Integer size = length_of(L, 1);
    size_t sep_len, total = 0;
    const char *sep = luaL_optlstring(L, 2, "", &sep_len);
    lua_Integer i = luaL_optinteger(L, 3, 1);
    const lua_Integer last = luaL_optinteger(L, 4, size);
    luaL_Buffer text;

    luaL_buffinit(L, &text);
    for (; i <= last; i++) {
        size_t len;
        step(L);
        lua_geti(L, 1, i);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "invalid value (at index %I) in table for 'concat'", i);
        lua_tolstring(L, -1, &len);
        total += len + sep_len;
        if (total > STRAKE_LUA_STRING_MAX)
            return luaL_error(L, "the result of table.concat is too long");
        luaL_addvalue(&text);
        if (i < last)
            luaL_addlstring(&text, sep, sep_len);
        if (i == LUA_MAXINTEGER)
            break;
    }
    luaL_pushresult(&text);
    return 1;
}

/* table.unpack(list [, i [, j]]) -> values */
static int tab_unpack(lua_State *L)
{
    const lua_Integer first = luaL_optinteger(L, 2, 1);
    const lua_Integer last = lua_isnoneornil(L, 3) ? length_of(L, 1) : luaL_checkinteger(L, 3);

    if (first > last)
        return 0;
    if ((lua_Unsigned)last - (lua_Unsigned)first >= 250000 ||
        !lua_checkstack(L, (int)(last - first + 1)))
        return luaL_error(L, "too many results to unpack");
    for (lua_Integer i = 0; i <= last - first; i++) {
        step(L);
        lua_geti(L, 1, first + i);
    }
    return (int)(last - first + 1);
}

/* ---- sort: a heap sort, whose number of comparisons no comparator can change ---- */

/* Is element a before element b? Pops nothing, leaves nothing. Indices are stack positions. */
static bool comes_before(lua_State *L, int a, int b)
{
    bool result;

    step(L);
    if (lua_isnil(L, 2))
        return lua_compare(L, a, b, LUA_OPLT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a < 0 ? a - 1 : a);
    lua_pushvalue(L, b < 0 ? b - 2 : b);
    lua_call(L, 2, 1);
    result = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return result;
}

/* Let the element at `root` sink among the first `size`. */
static void sift_down(lua_State *L, lua_Integer root, lua_Integer size)
{
    lua_geti(L, 1, root);
    for (;;) {
        lua_Integer child = root * 2;
        if (child > size)
            break;
        lua_geti(L, 1, child);
        if (child < size) {
            lua_geti(L, 1, child + 1);
            if (comes_before(L, -2, -1)) {
                lua_remove(L, -2);
                child++;
            } else {
                lua_pop(L, 1);
            }
        }
        if (!comes_before(L, -2, -1)) {
            lua_pop(L, 1);
            break;
        }
        lua_seti(L, 1, root);
        root = child;
    }
    lua_seti(L, 1, root);
}

/* table.sort(list [, before]) */
static int tab_sort(lua_State *L)
{
    const lua_Integer size = length_of(L, 1);

    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, size < INT32_MAX, 1, "array too big");
    lua_settop(L, 2);
    for (lua_Integer root = size / 2; root >= 1; root--)
        sift_down(L, root, size);
    for (lua_Integer last = size; last > 1; last--) {
        lua_geti(L, 1, 1);
        lua_geti(L, 1, last);
        lua_seti(L, 1, 1);
        lua_seti(L, 1, last);
        sift_down(L, 1, last - 1);
    }
    return 0;
}

void strake_lua_open_table(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "insert", tab_insert }, { "remove", tab_remove }, { "move", tab_move },
        { "concat", tab_concat }, { "unpack", tab_unpack }, { "sort", tab_sort },
        { NULL, NULL },
    };

    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 0);
    luaL_setfuncs(L, ours, 0);
    strake_lua_protect(L, "table");
    strake_lua_define(L, "table");
}
