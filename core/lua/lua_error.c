/* Structured errors: how a failure becomes a Lua error with fields, and how whatever Lua raised
 * becomes a failure with the place in the team's own files. */
#include <stdlib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/buf.h"

static const char error_type[] = "strake.error";

/* ---- places ---- */

/* Chunk names say whose code it is: "@FILE" a team's, "=strake/NAME.lua" ours. */
static bool is_own(const lua_Debug *ar)
{
    return ar->source[0] == '@' && ar->currentline > 0;
}

bool strake_lua_place(lua_State *L, const char **file, int *line)
{
    const struct strake_task *task = strake_lua_engine(L)->running;
    lua_Debug ar;

    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (lua_getinfo(L, "Sl", &ar) && is_own(&ar)) {
            *file = ar.source + 1;
            *line = ar.currentline;
            return true;
        }
    }
    /* a coroutine of C functions alone, or none of theirs: then where the task itself is */
    return task && task->co != L && strake_lua_place(task->co, file, line);
}

static void set_place(lua_State *L, struct strake_err *err)
{
    const char *file;
    int line;

    if (!err->file && strake_lua_place(L, &file, &line))
        strake_err_place(err, file, line);
}

/* ---- from C to Lua ---- */

static int error_gc(lua_State *L)
{
    strake_err_dispose(lua_touserdata(L, 1));
    return 0;
}

static int error_tostring(lua_State *L)
{
    lua_pushstring(L, strake_err_message(luaL_checkudata(L, 1, error_type)));
    return 1;
}

static void push_text(lua_State *L, const char *text)
{
    if (text)
        lua_pushstring(L, text);
    else
        lua_pushboolean(L, 0);
}

/* err.kind, .message, .hint, .file, .line, .detail, .exit; what has no value is false. */
static int error_index(lua_State *L)
{
    const struct strake_err *err = luaL_checkudata(L, 1, error_type);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "kind") == 0)
        push_text(L, strake_code_kind(err->code));
    else if (strcmp(key, "message") == 0)
        push_text(L, strake_err_message(err));
    else if (strcmp(key, "hint") == 0)
        push_text(L, err->hint);
    else if (strcmp(key, "file") == 0)
        push_text(L, err->file);
    else if (strcmp(key, "line") == 0)
        lua_pushinteger(L, err->line);
    else if (strcmp(key, "detail") == 0)
        push_text(L, err->detail);
    else if (strcmp(key, "exit") == 0)
        lua_pushinteger(L, strake_code_exit(err->code));
    else
        return luaL_error(L, "an error has no field '%s'", key);
    return 1;
}

void strake_lua_open_error(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "__gc", error_gc },
        { "__tostring", error_tostring },
        { "__index", error_index },
        { 0 },
    };

    luaL_newmetatable(L, error_type);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

const struct strake_err *strake_lua_error_at(lua_State *L, int index)
{
    return luaL_testudata(L, index, error_type);
}

_Noreturn void strake_lua_raise(lua_State *L, struct strake_err *err)
{
    struct strake_err *parked = &strake_lua_engine(L)->raising;
    struct strake_err *raised;

    strake_err_move(parked, err); /* the next line may raise itself */
    raised = lua_newuserdatauv(L, sizeof(*raised), 0);
    *raised = (struct strake_err){ 0 };
    luaL_setmetatable(L, error_type);
    set_place(L, parked);
    strake_err_move(raised, parked);
    lua_error(L);
    abort(); /* lua_error() does not return; its declaration does not say so */
}

_Noreturn void strake_lua_fail(lua_State *L, int code, const char *hint, const char *fmt, ...)
{
    struct strake_err err = { 0 };
    va_list args;

    va_start(args, fmt);
    strake_vfail(&err, code, fmt, args);
    va_end(args);
    if (hint)
        strake_err_hint(&err, "%s", hint);
    strake_lua_raise(L, &err);
}

/* ---- from Lua to C ---- */

/* The team's frames, innermost first: "strake.lua:12: in function 'check'". */
static void add_trace(lua_State *L, struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(16384);
    lua_Debug ar;
    int frames = 0, rc = 0;

    for (int level = 0; rc == 0 && lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sln", &ar) || !is_own(&ar))
            continue;
        if (++frames > STRAKE_LUA_TRACE_FRAMES) {
            rc = strake_buf_puts(&text, "…\n");
            break;
        }
        if (ar.name)
            rc = strake_buf_printf(&text, "%s:%d: in '%s'\n", ar.source + 1, ar.currentline,
                                   ar.name);
        else
            rc = strake_buf_printf(&text, "%s:%d\n", ar.source + 1, ar.currentline);
    }
    if (rc == 0 && frames > 1)
        strake_err_detail(err, strake_buf_text(&text), text.len);
    strake_buf_dispose(&text);
}

/* Lua puts "FILE:LINE: " before messages, FILE shortened. Find the frame that it stands for.
 * @return how long that prefix is, or 0 */
static size_t find_prefix(lua_State *L, const char *message, lua_Debug *ar)
{
    for (int level = 0; lua_getstack(L, level, ar); level++) {
        char prefix[LUA_IDSIZE + 32];
        int len;
        if (!lua_getinfo(L, "Sl", ar) || ar->currentline <= 0)
            continue;
        len = snprintf(prefix, sizeof(prefix), "%s:%d: ", ar->short_src, ar->currentline);
        if (len > 0 && strncmp(message, prefix, (size_t)len) == 0)
            return (size_t)len;
    }
    return 0;
}

static int describe_text(lua_State *L, const char *message, struct strake_err *err)
{
    lua_Debug ar;
    const size_t prefix = find_prefix(L, message, &ar);
    const bool ours = prefix && ar.source[0] == '=';

    /* A mistake in a script that ships is a defect of Strake, whoever called it. */
    strake_fail(err, ours ? STRAKE_EINTERNAL : STRAKE_ECONFIG, "%.*s", (int)STRAKE_LUA_MESSAGE_MAX,
                ours ? message : message + prefix);
    if (prefix && !ours)
        strake_err_place(err, ar.source + 1, ar.currentline);
    else
        set_place(L, err);
    add_trace(L, err);
    return err->code;
}

static int describe_nomem(lua_State *L, struct strake_err *err)
{
    struct strake_engine *engine = strake_lua_engine(L);

    if (!engine->over_limit)
        return strake_fail_nomem(err);
    engine->over_limit = false;
    strake_fail(err, STRAKE_ECONFIG, "Lua needs more than %zu MiB of memory, or %zu MiB at once",
                engine->limit_bytes >> 20, STRAKE_LUA_BLOCK >> 20);
    set_place(L, err);
    return err->code;
}

int strake_lua_describe(lua_State *L, bool out_of_memory, struct strake_err *err)
{
    const struct strake_err *raised;

    if (out_of_memory)
        return describe_nomem(L, err);
    raised = strake_lua_error_at(L, -1);
    if (raised) {
        strake_err_copy(err, raised);
        set_place(L, err);
        return err->code ? err->code : strake_fail_nomem(err);
    }
    if (lua_type(L, -1) == LUA_TSTRING)
        return describe_text(L, lua_tostring(L, -1), err);
    strake_fail(err, STRAKE_ECONFIG, "%s was raised as an error", strake_lua_type_text(L, -1));
    strake_err_hint(err, "raise a text: error(\"what happened\")");
    set_place(L, err);
    return err->code;
}

const char *strake_lua_type_text(lua_State *L, int index)
{
    if (strake_lua_secret_at(L, index))
        return "a secret";
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return "nothing";
    case LUA_TBOOLEAN:
        return lua_toboolean(L, index) ? "true" : "false";
    case LUA_TNUMBER:
        return "a number";
    case LUA_TSTRING:
        return "a string";
    case LUA_TTABLE:
        return "a table";
    case LUA_TFUNCTION:
        return "a function";
    case LUA_TTHREAD:
        return "a coroutine";
    default:
        return strake_lua_error_at(L, index) ? "an error" : "a declaration";
    }
}
