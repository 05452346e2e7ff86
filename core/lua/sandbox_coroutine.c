/* coroutine.*: Lua's, but for three things: a coroutine cannot catch the end of a budget; what
 * waits inside of it suspends the whole task, and the coroutine goes on where it was; and each new
 * one costs as many instructions as it could run before the hook sees it. */
#include <lualib.h>

#include "lua/engine_impl.h"

/* Registry: coroutines that wait inside of their task, so that nobody else resumes them. */
static const char busy_key;

static void set_busy(lua_State *L, lua_State *co, bool busy)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &busy_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &busy_key);
    }
    if (busy)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_rawsetp(L, -2, co);
    lua_pop(L, 1);
}

static bool is_busy(lua_State *L, lua_State *co)
{
    bool busy = false;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &busy_key) == LUA_TTABLE) {
        busy = lua_rawgetp(L, -1, co) == LUA_TBOOLEAN;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return busy;
}

/* How the caller takes the outcome: coroutine.resume returns it, coroutine.wrap raises. */
enum style { STYLE_RESUME, STYLE_WRAP };

static int deliver_error(lua_State *L, lua_State *co, enum style style)
{
    lua_xmove(co, L, 1);
    if (strake_lua_must_stop(L) || style == STYLE_WRAP)
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int deliver(lua_State *L, lua_State *co, int count, enum style style)
{
    if (!lua_checkstack(L, count + 1)) {
        lua_pop(co, count);
        return luaL_error(L, "too many results to resume");
    }
    if (style == STYLE_RESUME)
        lua_pushboolean(L, 1);
    lua_xmove(co, L, count);
    return count + (style == STYLE_RESUME);
}

static int resume_continue(lua_State *L, int status, lua_KContext ctx);

/* The coroutine is the value at index 1, so that it stays alive while it waits. */
static int resume(lua_State *L, lua_State *co, int nargs, enum style style)
{
    struct strake_task *task = strake_lua_engine(L)->running;
    const bool blocked = task && !lua_isyieldable(L);
    int count = 0, status;

    if (blocked)
        task->blocked++; /* the coroutine could wait, but we could not pass that on */
    status = lua_resume(co, L, nargs, &count);
    if (blocked)
        task->blocked--;
    if (status == LUA_YIELD && task && task->waiting) {
        set_busy(L, co, true);
        return lua_yieldk(L, 0, (lua_KContext)style, resume_continue);
    }
    if (status == LUA_OK || status == LUA_YIELD)
        return deliver(L, co, count, style);
    return deliver_error(L, co, style);
}

/* What the coroutine waited for has come. */
static int resume_continue(lua_State *L, int status, lua_KContext ctx)
{
    lua_State *co = lua_tothread(L, 1);

    (void)status;
    set_busy(L, co, false);
    return resume(L, co, 0, (enum style)ctx);
}

/* Move the arguments above index 1 into the coroutine there and run it. */
static int begin(lua_State *L, enum style style)
{
    lua_State *co = lua_tothread(L, 1);
    const int nargs = lua_gettop(L) - 1;

    luaL_argexpected(L, co, 1, "coroutine");
    if (is_busy(L, co))
        return luaL_error(L, "cannot resume a coroutine that waits for something");
    if (!lua_checkstack(co, nargs))
        return luaL_error(L, "too many arguments to resume");
    lua_xmove(L, co, nargs);
    return resume(L, co, nargs, style);
}

static int co_resume(lua_State *L)
{
    return begin(L, STYLE_RESUME);
}

static int co_create(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    strake_lua_charge(L, STRAKE_LUA_HOOK_COUNT);
    co = lua_newthread(L);
    strake_lua_set_hook(co);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int wrapped(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    return begin(L, STYLE_WRAP);
}

static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int co_yield (lua_State *L)
{
    const struct strake_task *task = strake_lua_engine(L)->running;

    if (task && task->co == L)
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

/* Closing runs the __close handlers of what is pending: not with hooks that a failed resume left
 * off. */
static int co_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co, 1, "coroutine");
    if (is_busy(L, co))
        return luaL_error(L, "cannot close a coroutine that waits for something");
    if (strake_lua_must_stop(L))
        return luaL_error(L, "cannot close a coroutine any more");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

void strake_lua_open_coroutine(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "create", co_create }, { "resume", co_resume }, { "wrap", co_wrap },
        { "yield", co_yield },   { NULL, NULL },
    };

    luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
    luaL_setfuncs(L, ours, 0);
    lua_getfield(L, -1, "close");
    lua_pushcclosure(L, co_close, 1);
    lua_setfield(L, -2, "close");
    strake_lua_protect(L, "coroutine");
    strake_lua_define(L, "coroutine");
}
