/* git, tags.rules, table.* and what else Lua code reads, in real repositories and folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "httpd.h"
#include "lua_fixture.h"
#include "util/http.h"
#include "util/process.h"

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

static void sh(const struct fixture *fixture, const char *command)
{
    const char *argv[] = { "sh", "-ec", command, NULL };
    struct strake_buf output = { 0 };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_err err = { 0 };
    int rc =
        strake_process_capture(NULL, argv, fixture->dir, &output, &output, 20000, &result, &err);
    if (rc < 0 || result.exit_code != 0)
        fail_msg("%s: %s", command, rc < 0 ? strake_err_message(&err) : strake_buf_text(&output));
    strake_buf_dispose(&output);
}

static void expect_flow(struct fixture *fixture, const char *body, const char *expected)
{
    char out[2048];
    fixture_flow(fixture, "", body, out, sizeof(out));
    if (strncmp(out, expected, strlen(expected)) != 0)
        fail_msg("%s: %s", body, out);
}

static const char all_facts[] =
    "return { git.branch, git.tag, git.sha and #git.sha, git.short_sha and #git.short_sha, "
    "git.commit_time, git.dirty, git.remote }";

static void git_facts_are_those_of_the_commit(void **state)
{
    struct fixture *fixture = *state;

    expect_flow(fixture, all_facts, "[false,false,false,false,false,false,false]");
    sh(fixture, "git init -q -b feature/x .; git config user.email a@example.org;"
                "git config user.name a; printf '*\\n' > .gitignore");
    expect_flow(fixture, all_facts, "[false,false,false,false,false,false,false]");
    sh(fixture, "touch a; git add -f a .gitignore;"
                "GIT_COMMITTER_DATE='2026-01-02T03:04:05Z' git commit -qm one");
    expect_flow(fixture, all_facts,
                "[\"feature/x\",false,40,7,\"2026-01-02T03:04:05Z\",false,false]");
    sh(fixture,
       "git tag v1.9.0; git tag -m x v1.10.0; git remote add origin https://example.org/r.git;"
       "echo change > a");
    expect_flow(fixture, all_facts,
                "[\"feature/x\",\"v1.10.0\",40,7,\"2026-01-02T03:04:05Z\","
                "true,\"https://example.org/r.git\"]");
    expect_flow(fixture,
                "return { tags.rules { { 'latest', when = git.branch == 'main' },"
                " { '{tag}', when = git.tag }, '{version}', '{branch}', '{tag}', 'sha-{sha}',"
                " '{date}', 'a/b c!' } , git.short_sha }",
                "[[\"v1.10.0\",\"1.10.0\",\"feature-x\",\"sha-");
    sh(fixture, "git checkout -q --detach");
    expect_flow(fixture, "return { git.branch, tags.rules { '{branch}', 'x-{branch}', 'y' } }",
                "[false,[\"y\"]]");
}

/* A token in a remote's URL is in no plan, event or label. */
static void git_remote_has_no_credentials(void **state)
{
    static const char *const cases[][2] = {
        { "https://oauth2:s3cret@example.org/o/r.git", "\"https://example.org/o/r.git\"" },
        { "https://s3cret@example.org/o/r.git", "\"https://example.org/o/r.git\"" },
        { "https://a:p@q@example.org:8443/r", "\"https://example.org:8443/r\"" },
        { "ssh://git:s3cret@example.org/r", "\"ssh://git@example.org/r\"" },
        { "ssh://git@example.org/r", "\"ssh://git@example.org/r\"" },
        { "git@example.org:o/r.git", "\"git@example.org:o/r.git\"" },
        { "https://example.org/a@b", "\"https://example.org/a@b\"" },
    };
    struct fixture *fixture = *state;

    sh(fixture, "git init -q .; git remote add origin x");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char command[128];
        snprintf(command, sizeof(command), "git remote set-url origin '%s'", cases[i][0]);
        sh(fixture, command);
        expect_flow(fixture, "return git.remote", cases[i][1]);
    }
}

/* A repository's configuration must not make reading facts run programs. */
static void git_runs_nothing_of_the_repository(void **state)
{
    struct fixture *fixture = *state;
    sh(fixture,
       "git init -q -b main .; git config user.email a@example.org; git config user.name a;"
       "touch a; git add a; git commit -qm one; git config core.fsmonitor \"touch $PWD/ran;\";"
       "git config log.showSignature true; git config gpg.program \"$PWD/none\"");
    expect_flow(fixture, "local _ = git.dirty; return { git.branch, fs.exists('ran') }",
                "[\"main\",false]");
}

static void table_functions_do_what_they_do_in_lua(void **state)
{
    static const struct {
        const char *body, *result;
    } cases[] = {
        { "local t = { 3, 1, 2 } table.sort(t) return t", "[1,2,3]" },
        { "local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return t",
          "[3,2,1]" },
        { "local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end table.sort(t)\n"
          "for i = 2, 1000 do assert(t[i - 1] <= t[i]) end return #t",
          "1000" },
        { "local t = { 'b', 'a' } table.sort(t) return table.concat(t, ',')", "\"a,b\"" },
        { "table.sort({ 1, 'a' })", "config: attempt to compare" },
        { "table.sort({}, 3)", "config: bad argument #2 to 'sort'" },
        { "local t = { 1, 2 } table.insert(t, 3) table.insert(t, 1, 0) return t", "[0,1,2,3]" },
        { "table.insert({}, 3, 1)",
          "config: bad argument #2 to 'insert' (position out of bounds)" },
        { "table.insert({})", "config: wrong number of arguments to 'insert'" },
        { "local t = { 1, 2, 3 } return { table.remove(t), table.remove(t, 1), #t }", "[3,1,1]" },
        { "return table.remove({}) == nil", "true" },
        { "table.remove({ 1 }, 5)",
          "config: bad argument #2 to 'remove' (position out of bounds)" },
        { "return table.move({ 1, 2, 3 }, 1, 3, 2)", "[1,1,2,3]" },
        { "return table.move({ 1, 2, 3 }, 2, 3, 1)", "[2,3,3]" },
        { "return table.move({ 1, 2 }, 1, 2, 1, {})", "[1,2]" },
        { "return table.concat({ 1, 2, 'x' }, ', ', 2)", "\"2, x\"" },
        { "return table.concat({ {} })", "config: invalid value (at index 1)" },
        { "return { table.unpack({ 1, 2, 3 }, 2) }", "[2,3]" },
        { "return { select('#', table.unpack({}, 1, 3)), table.pack(1, nil).n }", "[3,2]" },
        { "local t = {} for k in pairs({ a = 1 }) do t[#t + 1] = k end return t", "[\"a\"]" },
        { "return { pcall(error, 'x', 0) }", "[false,\"x\"]" },
        { "return { xpcall(function() return 1, 2 end, print) }", "[true,1,2]" },
        { "return { xpcall(error, function(e) return e .. '!' end, 'x', 0) }", "[false,\"x!\"]" },
        { "return { xpcall(error, error, 'x', 0) }", "[false,\"x\"]" },
        { "return { select(2, pcall(xpcall)) }", "[\"bad argument #2 to '?'" },
        { "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error(b) end)\n"
          "local _, x = coroutine.resume(co, 1) local ok, e = coroutine.resume(co, 'no')\n"
          "return { x, ok, (e:gsub('^.*: ', '')), coroutine.status(co), coroutine.close(co) }",
          "[2,false,\"no\",\"dead\",false," },
        { "return { coroutine.resume(coroutine.running()) }",
          "[false,\"cannot resume non-suspended coroutine\"]" },
        { "local r = {} for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end "
          "end) "
          "do r[#r + 1] = v end return r",
          "[1,2,3]" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_flow(fixture, cases[i].body, cases[i].result);
}

static void included_files_share_the_layers_names_and_run_once(void **state)
{
    struct fixture *fixture = *state;
    fixture_write(fixture, "lib/a.lua",
                  "count = (rawget(_ENV, 'count') or 0) + 1 return { n = count }");
    fixture_write(fixture, "lib/loop.lua", "include 'lib/loop.lua'");
    fixture_write(fixture, "lib/bad.lua", "\nlocal x = = 2");
    assert_int_equal(fixture_load(fixture,
                                  "local a, b = include 'lib/a.lua', include './lib/a.lua'\n"
                                  "assert(a == b and a.n == 1 and count == 1)\n"
                                  "function shared() end"),
                     0);
    assert_int_equal(fixture_load(fixture, "include 'lib/loop.lua'"), STRAKE_ECONFIG);
    assert_string_equal(fixture->err.message, "lib/loop.lua includes itself");
    assert_int_equal(fixture_load(fixture, "include 'lib/bad.lua'"), STRAKE_ECONFIG);
    assert_non_null(strstr(fixture->err.file, "lib/bad.lua"));
    assert_int_equal(fixture->err.line, 2);
    assert_int_equal(fixture_load(fixture, "include '../outside.lua'"), STRAKE_ECONFIG);
    assert_int_equal(fixture_load(fixture, "include 'lib/none.lua'"), STRAKE_ECONFIG);
    assert_int_equal(fixture->err.line, 1);
}

/* ---- http ---- */

static void answer(struct httpd_conn *conn, const struct httpd_request *request, void *ctx)
{
    char body[8192];
    const char *token = httpd_header(request, "authorization");
    (void)ctx;
    snprintf(body, sizeof(body), "%s %s %s %.*s", request->method, request->target,
             token ? token : "-", (int)request->body_len, request->body ? request->body : "");
    httpd_reply(conn, strstr(request->target, "missing") ? 404 : 200, "X-Test: yes\r\n", body);
}

static void http_sends_and_gives_answers(void **state)
{
    static const struct {
        const char *body, *result;
    } cases[] = {
        { "local r = http.get(url .. '/a') return { r.status, r.body, r.headers['x-test'] }",
          "[200,\"GET /a - \",\"yes\"]" },
        { "return http.get(url .. '/missing').status", "404" },
        { "return http.post(url .. '/p', { json = { b = 1, a = { 2 } } }).body",
          "\"POST /p - {\\\"a\\\":[2],\\\"b\\\":1}\"" },
        { "return http.request({ url = url .. '/r', method = 'PUT', body = 'x' }).body",
          "\"PUT /r - x\"" },
        { "return http.get(url .. '/s', { headers = { Authorization = secret.env 'STRAKE_T' } "
          "}).body",
          "\"GET /s Bearer 12 \"" },
        { "http.get('http://127.0.0.1:1/')", "registry: " },
        { "http.get('http://example.org/')", "config: http://example.org:80 is not encrypted" },
        { "http.get(url, { header = {} })",
          "config: unknown key 'header' in http \"get\"; did you mean 'headers'?" },
        { "http.get(url, { headers = { a = 'b\\nc' } })",
          "config: http \"get\": headers has a newline" },
        { "http.get(url, { timeout = 3 })", "config: http \"get\": timeout must be a duration" },
        { "http.request {}", "config: http \"request\": url is missing" },
    };
    struct fixture *fixture = *state;
    struct httpd server;
    char prelude[100], out[1024];

    setenv("STRAKE_T", "Bearer 12", 1);
    httpd_start(&server, answer, NULL);
    snprintf(prelude, sizeof(prelude), "url = 'http://127.0.0.1:%d'", server.port);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_flow(fixture, prelude, cases[i].body, out, sizeof(out));
        if (strncmp(out, cases[i].result, strlen(cases[i].result)) != 0)
            fail_msg("%s: %s", cases[i].body, out);
        strake_secret_reset();
    }
    strake_http_reset();
    httpd_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(git_facts_are_those_of_the_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(git_remote_has_no_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(git_runs_nothing_of_the_repository, setup, teardown),
        cmocka_unit_test_setup_teardown(table_functions_do_what_they_do_in_lua, setup, teardown),
        cmocka_unit_test_setup_teardown(included_files_share_the_layers_names_and_run_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(http_sends_and_gives_answers, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    setenv("STRAKE_LUA_GCSTRESS", "1", 1); /* again, with garbage collected all the time */
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
