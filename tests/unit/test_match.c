/* The pattern functions against Lua's own: the same answers, and the same complaints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>

#include "lua/engine_impl.h"

/* Ours in a state of its own: the functions need an engine for its budget alone. */
static lua_State *new_ours(struct strake_engine *engine)
{
    lua_State *L = luaL_newstate();
    *engine = (struct strake_engine){ 0 };
    memcpy(lua_getextraspace(L), &engine, sizeof(engine));
    strake_lua_open_string(L);
    lua_settop(L, 0);
    return L;
}

static lua_State *new_theirs(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    return L;
}

/* What the chunk returns, as one text; "error: …" without the place. */
static void run(lua_State *L, const char *chunk, char *out, size_t cap)
{
    size_t len = 0;
    lua_settop(L, 0);
    out[0] = '\0';
    if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, LUA_MULTRET, 0) != LUA_OK) {
        const char *message = lua_tostring(L, -1);
        const char *end = strstr(message, ":1: ");
        snprintf(out, cap, "error: %s", end ? end + 4 : message);
        return;
    }
    for (int i = 1, count = lua_gettop(L); i <= count && len < cap; i++) {
        len += (size_t)snprintf(out + len, cap - len, "<%s>", luaL_tolstring(L, i, NULL));
        lua_pop(L, 1);
    }
}

static const char *const subjects[] = {
    "",           "a",          "abc",           "hello world", "  trim me  ", "key = value",
    "v1.2.3",     "[[x]] (y)",  "aaaa",          "a.b-c_d",     "(a(b)c)d",    "THE (quick) fox",
    "\\0\\1a\\0", "x^2 + $1 %", "one;two;;four", "\\200\\255e", "abcabcabc",   "\\n\\tnew",
};

static const char *const patterns[] = {
    "",
    "a",
    "^a",
    "a$",
    "^$",
    ".",
    ".*",
    ".-",
    "a*",
    "a+",
    "a-",
    "a?",
    "a?b",
    "^%s*(.-)%s*$",
    "(%w+) = (%w+)",
    "%d+%.%d+",
    "[abc]+",
    "[^abc]+",
    "[a-c]",
    "[]]",
    "[^]]",
    "[]-]",
    "[a-]",
    "[%a_][%w_]*",
    "%bxy",
    "%b()",
    "%f[%w]%w+",
    "%f[%z]",
    "()",
    "()a()",
    "(a)(b)(c)",
    "(a*(.)%w(%s*))",
    "(.)%1",
    "%1",
    "(%1)",
    "(",
    ")",
    "[a",
    "[",
    "%",
    "[%",
    "%f",
    "%fa",
    "%b",
    "%bx",
    "^^",
    "a^",
    "$a",
    "$",
    "%$",
    "%%",
    "%A+",
    "%D",
    "%S+",
    "%U",
    "[%D]+",
    "%c",
    "%p+",
    "%x+",
    "%g+",
    "\\0",
    "[\\0-\\5]",
    "(a",
    "((a)",
    "a)",
    "%l%u",
    "(.)(.)(.)(.)(.)(.)",
    ";-",
    "(;)()",
    "b-c",
    "[^%s]*",
};

static void patterns_mean_what_they_mean_in_lua(void **state)
{
    static const char *const forms[] = {
        "return ('%s'):find('%s')",
        "return ('%s'):match('%s')",
        "return ('%s'):find('%s', 2)",
        "return ('%s'):match('%s', -2)",
        "return ('%s'):gsub('%s', 'X')",
        "return ('%s'):gsub('%s', '<%%0%%1>')",
        "return ('%s'):gsub('%s', '%%%%', 2)",
        "return ('%s'):find('%s', 1, true)",
        "local r = '' for a, b in ('%s'):gmatch('%s') do r = r .. '|' .. a .. ',' .. (b or '') end "
        "return r",
        "return ('%s'):gsub('%s', function(a, b) return b end)",
        "return ('%s'):gsub('%s', { a = 'A', b = false, [1] = 'one' })",
    };
    struct strake_engine engine;
    lua_State *ours = new_ours(&engine), *theirs = new_theirs();
    char chunk[512], a[1024], b[1024];

    (void)state;
    /* ours has string methods only; theirs has the whole library */
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        for (size_t s = 0; s < sizeof(subjects) / sizeof(subjects[0]); s++) {
            for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(chunk, sizeof(chunk), forms[f], subjects[s], patterns[p]);
#pragma GCC diagnostic pop
                run(ours, chunk, a, sizeof(a));
                run(theirs, chunk, b, sizeof(b));
                bool both_fail = strncmp(a, "error: ", 7) == 0 && strncmp(b, "error: ", 7) == 0;
                if (!both_fail && strcmp(a, b) != 0)
                    fail_msg("%s: %s, in Lua %s", chunk, a, b);
            }
        }
    }
    lua_close(ours);
    lua_close(theirs);
}

static void other_string_functions_are_as_in_lua(void **state)
{
    static const char *const chunks[] = {
        "return ('ab'):rep(3), ('ab'):rep(3, ','), ('ab'):rep(0), ('ab'):rep(-1), ('ab'):rep(1, "
        "'x')",
        "return ('abc'):sub(-2), ('abc'):upper(), ('abc'):byte(1, -1)",
        "return ('%5.2f|%-5s|%q'):format(3.14159, 'x', 'a\\nb')",
        "return ('abc'):find('b', -10), ('abc'):find('', 4), ('abc'):find('', 5), "
        "('abc'):match('.', 0)",
        "local r = 0 for k in ('a b c'):gmatch('%a') do r = r + 1 end return r",
        "return ('abc'):gmatch('b', 3)()",
        "return ('abc'):gsub('', '-')",
        "return ('abc'):gsub('%w', '%%%0', 2)",
        "return ('hello'):gsub('l', { l = 1 })",
        "return ('x'):gsub('x', '%2')",
        "return ('x'):gsub('x', function() return {} end)",
        "return ('x'):gsub('x')",
        "return ('x'):gsub('(', 'y')",
        "return ('x'):find({})",
        "return ('10' + 5), '3' * '4'",
    };
    struct strake_engine engine;
    lua_State *ours = new_ours(&engine), *theirs = new_theirs();
    char a[1024], b[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        run(ours, chunks[i], a, sizeof(a));
        run(theirs, chunks[i], b, sizeof(b));
        if (strncmp(a, "error: ", 7) != 0 || strncmp(b, "error: ", 7) != 0)
            assert_string_equal(a, b);
    }
    lua_close(ours);
    lua_close(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_they_mean_in_lua),
        cmocka_unit_test(other_string_functions_are_as_in_lua),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
