/* string.* and utf8.*: the pattern functions on a matcher of our own, rep with a bound, and the
 * rest of Lua's at a price that grows with the strings they are given. The string metatable is ours
 * too. */
#include <lualib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "lua/match.h"

/* ---- patterns ---- */

static int tick(void *L)
{
    strake_lua_charge(L, 1024);
    return 0;
}

static void match_init(lua_State *L, struct strake_match *match, const char *subject, size_t len,
                       const char *pattern, size_t pattern_len)
{
    match->subject = subject;
    match->subject_end = subject + len;
    match->pattern_end = pattern + pattern_len;
    match->tick = tick;
    match->ctx = L;
    match->steps_left = STRAKE_LUA_MATCH_STEPS;
    match->error = NULL;
    match->capture_count = 0;
}

/* match_at() that raises what is wrong with the pattern. */
static const char *match_at(lua_State *L, struct strake_match *match, const char *at,
                            const char *pattern)
{
    const char *end = strake_match_at(match, at, pattern);

    if (match->error)
        luaL_error(L, "%s", match->error);
    return end;
}

/* The i-th capture, or the whole match when there is none and i is 0. */
static void push_capture(lua_State *L, const struct strake_match *match, int i, const char *start,
                         const char *end)
{
    const struct strake_capture *capture = &match->captures[i < STRAKE_MATCH_CAPTURES ? i : 0];

    if (i >= match->capture_count) {
        if (i > 0)
            luaL_error(L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(L, start, (size_t)(end - start));
    } else if (capture->len == STRAKE_CAPTURE_POSITION) {
        lua_pushinteger(L, capture->start - match->subject + 1);
    } else if (capture->len < 0) {
        luaL_error(L, "unfinished capture");
    } else {
        lua_pushlstring(L, capture->start, (size_t)capture->len);
    }
}

/* All captures; the whole match when there are none and it is wanted. @return how many */
static int push_captures(lua_State *L, const struct strake_match *match, const char *start,
                         const char *end, bool whole)
{
    const int count = match->capture_count == 0 && whole ? 1 : match->capture_count;

    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++)
        push_capture(L, match, i, start, end);
    return count;
}

/* A position as Lua counts: 1 is the first byte, -1 the last. @return an offset, or len + 1 */
static size_t start_offset(lua_Integer position, size_t len)
{
    if (position > 0)
        return (lua_Unsigned)position - 1 > len ? len + 1 : (size_t)position - 1;
    if (position == 0 || position < -(lua_Integer)len)
        return 0;
    return len - (size_t)-position;
}

static bool has_specials(const char *pattern, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (memchr("^$*+?.([%-", pattern[i], 10))
            return true;
    }
    return false;
}

static int find_plain(lua_State *L, const char *subject, size_t len, size_t from,
                      const char *pattern, size_t pattern_len)
{
    const char *found = memmem(subject + from, len - from, pattern, pattern_len);

    strake_lua_charge(L, (len - from) / 64);
    if (!found)
        return 0;
    lua_pushinteger(L, found - subject + 1);
    lua_pushinteger(L, found - subject + (lua_Integer)pattern_len);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t len, pattern_len, from;
    const char *subject = luaL_checklstring(L, 1, &len);
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    struct strake_match match;
    bool anchored;

    from = start_offset(luaL_optinteger(L, 3, 1), len);
    if (from > len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || !has_specials(pattern, pattern_len))) {
        if (find_plain(L, subject, len, from, pattern, pattern_len))
            return 2;
        lua_pushnil(L);
        return 1;
    }
    match_init(L, &match, subject, len, pattern, pattern_len);
    anchored = pattern_len > 0 && *pattern == '^';
    pattern += anchored;
    for (const char *at = subject + from; at <= match.subject_end; at++) {
        const char *end = match_at(L, &match, at, pattern);
        if (end && find) {
            lua_pushinteger(L, at - subject + 1);
            lua_pushinteger(L, end - subject);
            return 2 + push_captures(L, &match, at, end, false);
        }
        if (end)
            return push_captures(L, &match, at, end, true);
        if (anchored)
            break;
    }
    lua_pushnil(L);
    return 1;
}

/* string.find(s, pattern [, init [, plain]]) -> start, end, captures | nil */
static int str_find(lua_State *L)
{
    return find_or_match(L, true);
}

/* string.match(s, pattern [, init]) -> captures | nil */
static int str_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* upvalues: subject, pattern, offset of the next try, end of the last match (or -1) */
static int gmatch_next(lua_State *L)
{
    size_t len, pattern_len;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &len);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_len);
    const lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct strake_match match;

    match_init(L, &match, subject, len, pattern, pattern_len);
    for (lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)); i <= (lua_Integer)len; i++) {
        const char *end = match_at(L, &match, subject + i, pattern);
        if (!end || end - subject == last)
            continue;
        lua_pushinteger(L, end - subject);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(L, &match, subject + i, end, true);
    }
    lua_pushinteger(L, (lua_Integer)len + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

/* string.gmatch(s, pattern [, init]) -> iterator */
static int str_gmatch(lua_State *L)
{
    size_t len;
    size_t from;

    luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    from = start_offset(luaL_optinteger(L, 3, 1), len);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)from);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* ---- gsub ---- */

/* The replacement text with its %0 … %9 filled in. */
static void add_template(lua_State *L, luaL_Buffer *text, const struct strake_match *match,
                         const char *start, const char *end)
{
    size_t len;
    const char *news = lua_tolstring(L, 3, &len);

    for (size_t i = 0; i < len; i++) {
        if (news[i] != '%') {
            luaL_addchar(text, news[i]);
            continue;
        }
        i++;
        if (i < len && news[i] == '%') {
            luaL_addchar(text, '%');
        } else if (i < len && news[i] == '0') {
            luaL_addlstring(text, start, (size_t)(end - start));
        } else if (i < len && news[i] >= '1' && news[i] <= '9') {
            push_capture(L, match, news[i] - '1', start, end);
            luaL_tolstring(L, -1, NULL); /* a position is a number */
            lua_remove(L, -2);
            luaL_addvalue(text);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

static void add_replacement(lua_State *L, luaL_Buffer *text, const struct strake_match *match,
                            const char *start, const char *end)
{
    const int type = lua_type(L, 3);
    int count;

    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(L, text, match, start, end);
        return;
    }
    if (type == LUA_TTABLE) {
        push_capture(L, match, 0, start, end);
        lua_gettable(L, 3);
    } else {
        lua_pushvalue(L, 3);
        count = push_captures(L, match, start, end, true);
        lua_call(L, count, 1);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(text, start, (size_t)(end - start));
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        luaL_addvalue(text);
    }
}

/* string.gsub(s, pattern, repl [, n]) -> string, how many */
static int str_gsub(lua_State *L)
{
    size_t len, pattern_len;
    const char *at = luaL_checklstring(L, 1, &len), *last = NULL;
    const char *pattern = luaL_checklstring(L, 2, &pattern_len);
    const int type = lua_type(L, 3);
    const lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)len + 1);
    const bool anchored = pattern_len > 0 && *pattern == '^';
    struct strake_match match;
    lua_Integer count = 0;
    luaL_Buffer text;

    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    lua_settop(L, 4);
    if (type == LUA_TNUMBER)
        lua_tostring(L, 3); /* once: the buffer's place on the stack is fixed from here on */
    match_init(L, &match, at, len, pattern, pattern_len);
    luaL_buffinit(L, &text);
    while (count < max) {
        const char *end = match_at(L, &match, at, pattern + anchored);
        if (end && end != last) {
            count++;
            add_replacement(L, &text, &match, at, end);
            at = last = end;
        } else if (at < match.subject_end) {
            luaL_addchar(&text, *at++);
        } else {
            break;
        }
        if (anchored)
            break;
        strake_lua_charge(L, 1);
    }
    luaL_addlstring(&text, at, (size_t)(match.subject_end - at));
    luaL_pushresult(&text);
    lua_pushinteger(L, count);
    return 2;
}

/* ---- the rest ---- */

/* string.rep(s, n [, sep]) -> string */
static int str_rep(lua_State *L)
{
    size_t len, sep_len, total;
    const char *text = luaL_checklstring(L, 1, &len);
    const lua_Integer count = luaL_checkinteger(L, 2);
    const char *sep = luaL_optlstring(L, 3, "", &sep_len);
    luaL_Buffer buffer;
    char *out;

    if (count <= 0 || len + sep_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (__builtin_mul_overflow((size_t)count, len + sep_len, &total) ||
        total > STRAKE_LUA_STRING_MAX)
        return luaL_error(L, "resulting string too large");
    total -= sep_len;
    strake_lua_charge(L, total / 64 + (size_t)count / 8);
    out = luaL_buffinitsize(L, &buffer, total);
    for (lua_Integer i = 0; i < count; i++) {
        memcpy(out, text, len);
        out += len;
        if (sep_len && i + 1 < count) {
            memcpy(out, sep, sep_len);
            out += sep_len;
        }
    }
    luaL_pushresultsize(&buffer, total);
    return 1;
}

/* upvalue: a function of Lua's own whose work grows with the strings that it is given */
static int priced(lua_State *L)
{
    const int count = lua_gettop(L);
    size_t bytes = 0;

    for (int i = 1; i <= count; i++) {
        if (lua_type(L, i) == LUA_TSTRING)
            bytes += lua_rawlen(L, i);
    }
    strake_lua_charge(L, bytes / 16);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Put a price on each of these functions of the table on top. */
static void put_price(lua_State *L, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        lua_getfield(L, -1, names[i]);
        lua_pushcclosure(L, priced, 1);
        lua_setfield(L, -2, names[i]);
    }
}

void strake_lua_open_string(lua_State *L)
{
    static const luaL_Reg ours[] = {
        { "find", str_find }, { "match", str_match }, { "gmatch", str_gmatch },
        { "gsub", str_gsub }, { "rep", str_rep },     { NULL, NULL },
    };
    static const char *const strings[] = { "byte",  "format", "lower",  "reverse", "sub",
                                           "upper", "pack",   "unpack", NULL };
    static const char *const utf8[] = { "codepoint", "len", "offset", NULL };

    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
    luaL_setfuncs(L, ours, 0);
    put_price(L, strings);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    /* Methods of strings come through their metatable, whose __index is this table already. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    strake_lua_protect(L, "string");
    strake_lua_define(L, "string");

    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 0);
    put_price(L, utf8);
    strake_lua_protect(L, "utf8");
    strake_lua_define(L, "utf8");
}
