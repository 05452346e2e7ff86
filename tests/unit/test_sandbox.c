/* The sandbox: what hostile Lua tries, and how it ends. Each case names the fact that it is about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua_fixture.h"

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

/* ---- 1-7: time and memory ---- */

/* Each of these would run for ever, or for minutes: the policy that does it denies, with a budget.
 */
static void endless_code_in_a_policy_ends_and_denies(void **state)
{
    static const char *const bodies[] = {
        "while true do end",
        /* 1: handlers, swallowing pcall, coroutines */
        "local function loop() while true do end end xpcall(loop, loop)",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do end end while true do "
        "coroutine.resume(coroutine.create(f)) end",
        "while true do coroutine.wrap(function() end)() end",
        "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
        "function() while true do end end }) while true do end end)\n"
        "coroutine.resume(co) coroutine.close(co)",
        /* 2: __close */
        "local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
        "while true do end",
        /* 3: many coroutines that each stay below the hook */
        "for i = 1, 1e9 do coroutine.resume(coroutine.create(function() for j = 1, 200 do end "
        "end)) end",
        /* 4: C functions */
        "table.move({}, 1, math.maxinteger - 1, 2)",
        "table.insert(setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1, "
        "1)",
        "table.remove(setmetatable({}, { __len = function() return math.maxinteger end }), 1)",
        "table.concat(setmetatable({}, { __len = function() return math.maxinteger end, __index ="
        " function() return '' end }))",
        "local t = {} for i = 1, 3e5 do t[i] = i end while true do table.sort(t, rawequal) end",
        "local s = ('a'):rep(3000) while true do s:find('a-a-a-a-a-a-b') end",
        "local s = ('a'):rep(1e6) while true do s:gsub('a', 'b') end",
        "local s = ('('):rep(1e6) while true do s:match('%b()') end",
        "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true "
        "do "
        "pcall(function() return t[1] end) end",
        /* frames without end, each protected: every error walks all of them */
        "local function f() pcall(f) pcall(f) end f()",
        /* 5: instructions are not work */
        "local t = {} for i = 1, 12 do t = { t, t } end while true do json.encode(t) end",
        "local s = ('x'):rep(1 << 20) while true do s:lower() end",
        "local s = ('x'):rep(16 << 20) while true do local t = s .. 'y' end",
        "local s, t = ('x'):rep(1 << 22), ('x'):rep((1 << 22) - 1) .. 'x' while true do local _ = "
        "s == t end",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char source[1024];
        snprintf(source, sizeof(source),
                 "policy 'p' { at = 'publish', check = function()\n%s\nend }", bodies[i]);
        json_t *result = fixture_ask(fixture, source, "publish", "{}");
        const json_t *decision = json_array_get(json_object_get(result, "decisions"), 0);
        const char *message = strake_json_str(decision, "message");
        if (!message || !strstr(message, "policy \"p\" ran for more than"))
            fail_msg("%s: %s", bodies[i], message ? message : strake_err_message(&fixture->err));
        assert_string_equal(strake_json_str(decision, "action"), "deny");
        assert_true(strake_json_bool(decision, "error", false));
        assert_int_equal(json_array_size(json_object_get(result, "decisions")), 1);
        json_decref(result);
    }
}

static void endless_code_at_the_top_level_ends_the_load(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        fixture_load(fixture, "\nwhile true do pcall(function() while true do end end) end"),
        STRAKE_ECONFIG);
    assert_non_null(strstr(fixture->err.message, "ran for more than"));
    assert_int_equal(fixture->err.line, 2);
    assert_int_equal(
        fixture_load(fixture,
                     "tags.rules(setmetatable({}, { __len = function() "
                     "while true do end end }))\nlocal t = setmetatable({}, { __tostring = "
                     "function() while true do end end })\nprint(t)"),
        STRAKE_ECONFIG);
    assert_int_equal(fixture->err.line, 2);
}

/* ---- what is an error, or harmless, at once ---- */

static void escapes_are_refused(void **state)
{
    static const struct {
        const char *body, *result;
    } cases[] = {
        /* 4 */
        { "return ((''):rep(1 << 62))", "\"\"" },
        { "return (('x'):rep(1 << 62))", "config: resulting string too large" },
        { "return (('x'):rep(1 << 40, 'y'))", "config: resulting string too large" },
        { "return table.unpack(setmetatable({}, { __len = function() return 1 << 40 end }))",
          "config: too many results to unpack" },
        { "return ('x'):rep(100):find(('(x?)'):rep(40))", "config: too many captures" },
        { "return ('x'):find(('x-'):rep(300))", "config: pattern too complex" },
        { "return string.format('%99999d', 1)", "config: " },
        /* 2 */
        { "setmetatable({}, { __gc = function() end })",
          "config: a metatable with __gc is not allowed" },
        /* 7 */
        { "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1 << 20) .. i end",
          "config: Lua needs more than 256 MiB" },
        { "local s = 'x' while true do s = s .. s end", "config: Lua needs more than 256 MiB" },
        { "collectgarbage('stop')", "config: unknown name 'collectgarbage'" },
        { "local function f() return f() + 1 end return f()", "config: stack overflow" },
        { "error(('x'):rep(1 << 20))", "config: xxxx" },
        /* 8 */
        { "return string.dump", "config: unknown name 'string.dump'" },
        { "load('x')", "config: unknown name 'load'" },
        { "return loadfile", "config: unknown name 'loadfile'" },
        { "return dofile", "config: unknown name 'dofile'" },
        { "return require", "config: unknown name 'require'" },
        { "return io", "config: unknown name 'io'" },
        { "return os", "config: unknown name 'os'" },
        { "return debug", "config: unknown name 'debug'" },
        { "return package", "config: unknown name 'package'" },
        { "return _G", "config: unknown name '_G'" },
        { "return core", "config: unknown name 'core'" },
        { "return math.random", "config: unknown name 'math.random'" },
        { "return getmetatable('')", "false" },
        { "return getmetatable(fs)", "false" },
        { "return getmetatable(_ENV)", "false" },
        { "return getmetatable(secret.env 'X')", "false" },
        { "rawset(string, 'rep', 1)", "config: this table belongs to Strake" },
        { "rawset(_ENV, 'target', 1)", "config: this table belongs to Strake" },
        { "setmetatable(string, {})", "config: cannot change a protected metatable" },
        { "setmetatable(_ENV, {})", "config: cannot change a protected metatable" },
        { "string.rep = 1", "config: 'string' belongs to Strake" },
        { "git.tag = 1", "config: 'git' belongs to Strake" },
        { "table.insert(string, 1)", "config: 'string' belongs to Strake" },
        { "for _, f in pairs(string) do if type(f) == 'table' then return 'escaped' end end\n"
          "local n = 0 for k in pairs(string) do n = n + 1 end return n > 10 and next(string) == "
          "nil",
          "true" },
        { "local _, s = pcall(pairs(string), string, nil) return s", "\"" },
        /* a small table that is huge when it is written out */
        { "local t = {} for i = 1, 50 do t = { t, t } end return json.encode(t)",
          "config: too much for one value" },
        { "local s, t = ('x'):rep(1 << 20), {} for i = 1, 100 do t[i] = s end return "
          "json.encode(t)",
          "config: too much for one value" },
        { "local ok, err = pcall(error, setmetatable({}, { __tostring = function() while true do "
          "end "
          "end })) return type(err)",
          "\"table\"" },
        { "local ok, err = pcall(core) return tostring(err)", "config: unknown name 'core'" },
        { "local ok, err = pcall(exec, {}) return { getmetatable(err), pcall(function() err.kind = "
          "1 "
          "end) }",
          "[false,false," },
        /* 11 */
        { "return fs.read('link')", "config: " },
        { "return fs.read('/etc/passwd')", "config: " },
        { "return fs.read('../x')", "config: " },
        { "return fs.read('fifo')", "config: " },
        { "return fs.read('.')", "config: " },
        { "return { fs.exists('link'), fs.exists('../'), fs.exists('ok'), fs.read('ok') }",
          "[false,false,true,\"fine\"]" },
        { "fs.write('link2/x', 'y')", "config: cannot write link2/x" },
        { "fs.write('../x', 'y')", "config: cannot write ../x" },
        { "fs.write('..', 'y')", "config: .. is not the name of a file" },
        { "fs.write('new', 'text') return fs.read('new')", "\"text\"" },
        { "fs.write('a\\0b', 'text')", "config: bad argument" },
        /* 12 */
        { "return json.encode('\\xff')", "config: a string that is not valid UTF-8" },
        { "return json.encode({ a = { 0/0 } })", "config: a[1]: a number that is not finite" },
        { "local t = {} t.t = t return json.encode(t)", "config: t: a table that contains itself" },
        { "local t = {} for i = 1, 2e5 do t = { t } end return json.encode(t)", "config: [1][1]" },
        { "return json.decode(('['):rep(2e5))", "config: the text is nested deeper than 128" },
        { "return json.decode('{\"a\":1,\"a\":2}')", "config: the text is not valid JSON" },
        { "return json.encode('a\\0b')", "\"\\\"a\\\\u0000b\\\"\"" },
        { "return json.encode(setmetatable({}, { __index = print }))",
          "config: a table with a metatable" },
        { "return json.encode({ 1, nil, 3 })", "config: a table with names and numbers" },
        { "return json.encode({ f = print })", "config: f: a function" },
        { "return json.decode('[1,{\"a\":null}]')", "[1,{\"a\":false}]" },
        /* 14 */
        { "return tostring(secret.env 'HOME')", "\"[secret HOME]\"" },
        { "return 'x' .. secret.env 'HOME'", "config: a secret cannot be joined to text" },
        { "return #secret.env 'HOME'", "config: a secret cannot be joined" },
        { "return (secret.env 'HOME'):sub(1)", "config: a secret cannot be joined" },
        { "return secret.env 'HOME' < secret.env 'PATH'", "config: a secret cannot be joined" },
        { "return secret.env 'HOME' == secret.env 'HOME'", "config: a secret cannot be joined" },
        { "return rawlen(secret.env 'HOME')", "config: bad argument #1 to 'rawlen'" },
        { "return json.encode { x = secret.env 'HOME' }",
          "\"{\\\"x\\\":{\\\"secret\\\":\\\"HOME\\\"}}\"" },
        { "return json.encode { [secret.env 'HOME'] = 1 }",
          "config: the names in a table must be" },
        { "secret.env 'HOME' return tostring(env.HOME)", "\"[secret HOME]\"" },
        { "for k in pairs(env) do end", "config: the environment cannot be listed" },
        { "return next(env) == nil", "true" },
        { "return env.NO_SUCH_VARIABLE_X", "false" },
        { "secret.env 'a\\nb'", "config: bad argument" },
        /* 13 */
        { "deny 'x'", "config: deny is not allowed in a flow" },
    };
    struct fixture *fixture = *state;
    char out[4096], path[600];

    fixture_write(fixture, "ok", "fine");
    snprintf(path, sizeof(path), "%s/link", fixture->dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/link2", fixture->dir);
    assert_int_equal(symlink("/tmp", path), 0);
    snprintf(path, sizeof(path), "%s/fifo", fixture->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_flow(fixture, "", cases[i].body, out, sizeof(out));
        if (strncmp(out, cases[i].result, strlen(cases[i].result)) != 0)
            fail_msg("%s: %s", cases[i].body, out);
        assert_true(strlen(strake_err_message(&fixture->err)) <= 65536);
        strake_secret_reset();
    }
}

/* 9: a capability that was caught at file level is looked at where it is called. */
static void capabilities_do_not_travel_into_policies(void **state)
{
    static const char *const names[] = { "exec",  "http.get", "fs.write",
                                         "build", "publish",  "notify" };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char source[256], expected[100];
        snprintf(source, sizeof(source),
                 "local run = %s\n"
                 "policy 'p' { at = 'publish', check = function() pcall(run, {}) run({}) end }",
                 names[i]);
        snprintf(expected, sizeof(expected), "%s is not allowed in a policy", names[i]);
        json_t *result = fixture_ask(fixture, source, "publish", "{}");
        const json_t *decision = json_array_get(json_object_get(result, "decisions"), 0);
        assert_string_equal(strake_json_str(decision, "message"), expected);
        assert_int_equal(strake_json_int(decision, "line", 0), 2);
        json_decref(result);
    }
}

/* 7: the parser's own limits name the file too. */
static void a_file_nested_too_deep_is_named(void **state)
{
    struct fixture *fixture = *state;
    char source[2048] = "x = ";
    memset(source + 4, '(', 1000);
    assert_int_equal(fixture_load(fixture, source), STRAKE_ECONFIG);
    assert_non_null(fixture->err.file);
    assert_non_null(strstr(fixture->err.file, "strake.lua"));
    assert_int_equal(fixture_load(fixture, "\x1bLua bytecode"), STRAKE_ECONFIG);
    assert_non_null(strstr(fixture->err.file, "strake.lua"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(escapes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(capabilities_do_not_travel_into_policies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_nested_too_deep_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(endless_code_at_the_top_level_ends_the_load, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(endless_code_in_a_policy_ends_and_denies, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
