/* The engine: layers, calls, coroutines that wait, errors with places, cancellation. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "lua_fixture.h"
#include "torture.h"

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

/* ---- loading ---- */

static void load_without_any_file_gives_an_empty_project(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_start(fixture), 0);
    assert_int_equal(strake_engine_load(fixture->engine, &fixture->project, &fixture->err), 0);
    assert_int_equal(fixture->project->target_count, 0);
    assert_null(fixture->project->file);
}

static const char typical[] =
    "local repo = \"ghcr.io/wiredquill/k8s-tmux\"\n"
    "builder \"lab\"    { type = \"buildctl\", address = \"tcp://10.0.10.120:1234\" }\n"
    "builder \"laptop\" { type = \"buildx\" }\n"
    "registry \"ghcr.io\" { username = env.GITHUB_ACTOR or \"me\", password = secret.env "
    "\"TOKEN_X\","
    " timeout = \"2s\" }\n"
    "notifier \"phone\" { type = \"ntfy\", url = \"https://ntfy.example.org/builds\",\n"
    "                   on = { \"run.failed\", \"image.published\" } }\n"
    "target \"base\" { context = \"base\" }\n"
    "target \"k8s-tmux\" {\n"
    "  context = \".\", platforms = { \"linux/amd64\", \"arm64\" }, image = repo,\n"
    "  tags = { \"latest\", \"v1\" }, args = { B = 2, A = \"x\", C = true },\n"
    "  contexts = { base = target \"base\" }, secrets = { npm = secret.file \"npmrc\" },\n"
    "  cache = { type = \"registry\", ref = repo .. \":buildcache\", mode = \"max\" },\n"
    "}\n"
    "policy \"no root\" { at = \"publish\", check = function(image)\n"
    "  if image.config.user == \"\" then deny(\"the image runs as root\", { fix = \"USER\" }) end\n"
    "end }\n"
    "flow \"release\" { summary = \"Build\", args = { { \"version\", pattern = \"^v%d+\" } },\n"
    "  run = function(arg) return arg.version end }\n";

static void load_reads_a_typical_file(void **state)
{
    struct fixture *fixture = *state;
    int rc = fixture_load(fixture, typical);
    assert_string_equal(strake_err_message(&fixture->err), "");
    assert_int_equal(rc, 0);
    const struct strake_project *project = fixture->project;
    const struct strake_target *target = strake_project_target(project, "k8s-tmux");
    assert_non_null(target);
    assert_int_equal(target->place.line, 8);
    assert_string_equal(target->images.items[0], "ghcr.io/wiredquill/k8s-tmux");
    assert_string_equal(target->platforms.items[1], "linux/arm64");
    assert_string_equal(target->version, "latest");
    assert_string_equal(target->args.items[0]->name, "A");
    assert_string_equal(target->args.items[1]->value, "2");
    assert_string_equal(target->args.items[2]->value, "true");
    assert_string_equal(target->contexts.items[0]->value, "target:base");
    assert_string_equal(target->secrets[0].name, "npmrc");
    assert_string_equal(strake_json_str(target->cache, "mode"), "max");
    const struct strake_block *registry =
        strake_project_block(project, STRAKE_BLOCK_REGISTRY, "ghcr.io");
    assert_string_equal(registry->type, "ghcr");
    assert_int_equal(strake_json_int(registry->options, "timeout_ms", 0), 2000);
    assert_null(json_object_get(registry->options, "timeout"));
    assert_string_equal(strake_json_str(json_object_get(registry->options, "password"), "secret"),
                        "TOKEN_X");
    const struct strake_block *phone =
        strake_project_block(project, STRAKE_BLOCK_NOTIFIER, "phone");
    assert_int_equal(phone->on.count, 2);
    assert_null(json_object_get(phone->options, "on"));
    assert_string_equal(project->blocks[0]->name, "lab");
    assert_int_equal(project->policies[0]->at, STRAKE_POINT_PUBLISH);
    assert_string_equal(project->flows[0]->args[0].name, "version");
}

static void layers_run_from_the_outside_in(void **state)
{
    struct fixture *fixture = *state;
    fixture_write(fixture, "system/10-a.lua",
                  "shared = 'system'\n"
                  "policy 'org' { at = 'plan', check = function() end }\n"
                  "builder 'lab' { type = 'buildctl', address = 'system' }");
    fixture_write(fixture, "system/20-b.lua", "assert(shared == 'system')");
    fixture_write(fixture, "system/ignored.txt", "not Lua");
    fixture_write(fixture, "user/config.lua",
                  "builder 'lab' { type = 'buildctl', address = 'user' }\n"
                  "policy 'org' { at = 'plan', check = function() end }");
    assert_int_equal(fixture_load(fixture, "mine = 1\n"), 0);
    const struct strake_block *lab =
        strake_project_block(fixture->project, STRAKE_BLOCK_BUILDER, "lab");
    assert_string_equal(strake_json_str(lab->options, "address"), "user");
    assert_int_equal(fixture->project->policy_count, 2);
    assert_int_equal(fixture->project->policies[0]->layer, STRAKE_LAYER_SYSTEM);
    assert_int_equal(fixture->project->policies[1]->layer, STRAKE_LAYER_USER);
    assert_int_equal(fixture_load(fixture, "print(shared)\n"), STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&fixture->err), "unknown name 'shared'");
}

/* ---- errors and their places ---- */

static void load_errors_say_what_and_where(void **state)
{
    static const struct {
        const char *source, *message;
        int line;
    } cases[] = {
        { "tagret 'x' {}", "unknown name 'tagret'; did you mean 'target'?", 1 },
        { "\nlocal x = fs.reed('a')", "unknown name 'fs.reed'; did you mean 'fs.read'?", 2 },
        { "print(git.brnch)", "unknown name 'git.brnch'; did you mean 'git.branch'?", 1 },
        { "target = 1", "'target' belongs to Strake and cannot be replaced", 1 },
        { "fs.read = print", "'fs' belongs to Strake and cannot be changed", 1 },
        { "target 'app' { platfroms = {} }",
          "unknown key 'platfroms' in target \"app\"; did you mean 'platforms'?", 1 },
        { "\n\ntarget 'app' {\n platforms = 3 }",
          "target \"app\": platforms must be a string or a list of strings, got a number", 3 },
        { "target 'app' { platforms = { 3 } }",
          "target \"app\": platforms must be a list of strings, got a number in it", 1 },
        { "target 'app' { tags = { [1] = 'a', [3] = 'b' } }",
          "target \"app\": tags must be a string or a list of strings, got a list with holes", 1 },
        { "target 'app' { args = { A = 'x\\ny' } }", "target \"app\": args.A has a newline", 1 },
        { "target 'app' { args = { A = 'x\\0y' } }", "target \"app\": args.A has a NUL byte", 1 },
        { "target 'app' { args = { A = git.tag } }", "target \"app\": args.A is false", 1 },
        { "target 'app' { args = { A = secret.env 'X' } }",
          "target \"app\": args.A is a secret, which would be readable in the image", 1 },
        { "target 'app' { args = { ['A=B'] = 'x' } }",
          "target \"app\": args has the name 'A=B', which is empty or has a `=`", 1 },
        { "target 'app' { secrets = { npm = 'x' } }",
          "target \"app\": secrets must be a table of secrets, got a string", 1 },
        { "target 'app' { setmetatable = 1 }", "unknown key 'setmetatable' in target \"app\"", 1 },
        { "target('app')(setmetatable({}, { __index = print }))",
          "target \"app\": the declaration is a table with a metatable, which cannot be read "
          "safely",
          1 },
        { "target 'app' { cache = { ttl = 0/0 } }",
          "target \"app\": cache: ttl: a number that is not finite", 1 },
        { "target {}", "target needs a name, got a table: target \"NAME\" { … }", 1 },
        { "target 'a\\nb' {}", "the name of a target has a control character", 1 },
        { "target 'a' {}\ntarget 'a' {}", "target \"a\" is declared twice: first at ", 2 },
        { "pcall(function() target 'a' { x = 1 } end)", "unknown key 'x' in target \"a\"", 1 },
        { "\ntarget 'a' { contexts = { b = target 'bsae' } } target 'base' {}", "no target bsae",
          2 },
        { "\nbuilder 'lab'", "builder \"lab\" is named, but not declared", 2 },
        { "builder 'lab' {}", "builder \"lab\": type is missing", 1 },
        { "notifier 'n' { type = 'ntfy', on = 'run.faild' }",
          "notifier \"n\": on: unknown event 'run.faild'; did you mean 'run.failed'?", 1 },
        { "registry 'r' { timeout = 5 }",
          "registry \"r\": timeout must be a duration: \"300ms\", \"2s\", \"5m\"", 1 },
        { "policy 'p' { at = 'publish' }", "policy \"p\": check is missing", 1 },
        { "policy 'p' { check = print }", "policy \"p\": at is missing", 1 },
        { "policy 'p' { at = 'pubish', check = print }",
          "policy \"p\": at: unknown point 'pubish'; did you mean 'publish'?", 1 },
        { "flow 'f' { summary = 'x' }", "flow \"f\": run is missing", 1 },
        { "flow 'f' { run = print, args = { { pattern = 'x' } } }",
          "flow \"f\": args: each of them begins with its name: { \"version\" }", 1 },
        { "flow 'f' { run = print, args = { { 'a', default = '1' }, 'b' } }",
          "flow \"f\": args: 'b' has no default, but stands behind 'a', which has one", 1 },
        { "\nlocal x = = 1", "unexpected symbol near '='", 2 },
        { "\n\nlocal x\nprint(x.y)", "attempt to index a nil value (local 'x')", 4 },
        { "error('my words')", "my words", 1 },
        { "local function f() error('mine', 2) end\n\nf()", "mine", 3 },
        { "error({})", "a table was raised as an error", 1 },
        { "build('x')", "build is not allowed at the top level of a file", 1 },
        { "exec { 'true' }", "exec is not allowed at the top level of a file", 1 },
        { "http.get('http://127.0.0.1/')", "http.get is not allowed at the top level of a file",
          1 },
        { "fs.write('a', 'b')", "fs.write is not allowed at the top level of a file", 1 },
        { "deny('x')", "deny is not allowed at the top level of a file", 1 },
        { "image.digest('a')", "image.digest is not allowed at the top level of a file", 1 },
        { "all {}", "all is not allowed at the top level of a file", 1 },
        { "fs.read('../x')", "", 1 },
        { "include('strake.lua')", "strake.lua includes itself", 1 },
        { "tags.rules { '{nothing}' }",
          "tags.rules: unknown fact '{nothing}' in '{nothing}'; "
          "there are {tag}, {version}, {branch}, {sha}, {full_sha} and {date}",
          1 },
        { "\ntags.rules { 3 }", "tags.rules: rule 1 must be a text or a table, got a number", 2 },
        { "tags.rules(3)", "tags.rules takes a list of rules, got a number", 1 },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = fixture_load(fixture, cases[i].source);
        if (rc != STRAKE_ECONFIG ||
            strncmp(strake_err_message(&fixture->err), cases[i].message,
                    strlen(cases[i].message)) != 0 ||
            fixture->err.line != cases[i].line || !fixture->err.file ||
            !strstr(fixture->err.file, "strake.lua"))
            fail_msg("%s: %d, %s:%d: %s", cases[i].source, rc, fixture->err.file, fixture->err.line,
                     strake_err_message(&fixture->err));
    }
}

static void a_trace_shows_the_teams_frames_alone(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_load(fixture, "local function inner() local x; return x.y end\n"
                                           "local function outer()\n  inner()\n end\n"
                                           "table.sort({ 1, 2 }, outer)\n"),
                     STRAKE_ECONFIG);
    assert_int_equal(fixture->err.line, 1);
    assert_non_null(fixture->err.detail);
    assert_non_null(strstr(fixture->err.detail, "strake.lua:3"));
    assert_null(strstr(fixture->err.detail, "[C]"));
}

/* ---- calls, flows, waiting ---- */

static void call_gives_results_and_errors(void **state)
{
    struct fixture *fixture = *state;
    json_t *args = json_pack("{s:i, s:[s,b]}", "n", 3, "l", "x", 0), *result = NULL;
    assert_int_equal(fixture_call(fixture, "", "echo", args, &result), 0);
    assert_true(json_equal(args, result));
    json_decref(args);
    json_decref(result);
    args = json_pack("{s:s, s:s, s:s}", "kind", "builder", "message", "gone", "hint", "wait");
    assert_int_equal(fixture_call(fixture, "", "fail", args, NULL), STRAKE_EBUILDER);
    assert_string_equal(fixture->err.message, "gone");
    assert_string_equal(fixture->err.hint, "wait");
    json_decref(args);
    assert_int_equal(fixture_call(fixture, "", "broken", NULL, NULL), STRAKE_EINTERNAL);
    assert_non_null(strstr(fixture->err.message, "strake/probe.lua:"));
    assert_int_equal(fixture_call(fixture, "", "missing", NULL, NULL), STRAKE_EINTERNAL);
}

static void flows_check_their_arguments(void **state)
{
    static const struct {
        const char *args, *result;
    } cases[] = {
        { "[\"v1\"]", "\"v1 stable\"" },
        { "[\"v1\", \"beta\"]", "\"v1 beta\"" },
        { "[]", "usage: flow f needs the argument version" },
        { "[\"1\"]", "usage: argument version of flow f must match ^v%d+: '1'" },
        { "[\"v1\", \"b\", \"c\"]", "usage: flow f takes 2 arguments, 3 were given" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *result = NULL, *args = json_pack("{s:s, s:o}", "flow", "f", "args",
                                                 json_loads(cases[i].args, 0, NULL));
        int rc = fixture_call(fixture,
                              "flow 'f' { args = { { 'version', pattern = '^v%d+' },"
                              "{ 'channel', default = 'stable' } },"
                              "run = function(arg) return arg.version .. ' ' .. arg.channel end }",
                              "run", args, &result);
        char text[200];
        if (rc == 0)
            snprintf(text, sizeof(text), "\"%s\"", json_string_value(result));
        else
            snprintf(text, sizeof(text), "%s: %s", strake_code_kind(rc),
                     strake_err_message(&fixture->err));
        assert_string_equal(text, cases[i].result);
        json_decref(result);
        json_decref(args);
    }
}

static void what_waits_suspends_its_coroutine(void **state)
{
    static const struct {
        const char *body, *result;
    } cases[] = {
        { "return exec({ 'printf', 'hello' }).stdout", "\"hello\"" },
        { "return exec({ 'sh', '-c', 'exit 3', check = false }).exit", "3" },
        { "exec { 'sh', '-c', 'exit 3' }", "internal: sh ended with exit code 3" },
        { "exec { 'no-such-program-x' }", "notrun: " },
        { "exec 'ls -l'", "config: exec takes a list of words, no command line" },
        { "exec { 'true', cwdd = 'x' }", "config: unknown key 'cwdd' in exec \"true\"" },
        { "exec {}", "config: exec \"\": a program is missing" },
        { "exec { 'echo', secret.env 'HOME' }", "config: exec \"\": word 2 is a secret" },
        { "return exec({ 'cat', stdin = 'in' }).stdout", "\"in\"" },
        { "return exec({ 'printenv', 'X', env = { X = secret.env 'STRAKE_TEST_VALUE' } }).stdout",
          "\"shown\\n\"" },
        { "return exec({ 'cat', stdin = secret.env 'STRAKE_TEST_VALUE' }).stdout", "\"shown\"" },
        /* in coroutines of the flow's own, and several at once */
        { "local co = coroutine.wrap(function(x) local r = exec({ 'printf', x }).stdout\n"
          "  local y = coroutine.yield(r); return exec({ 'printf', y }).stdout end)\n"
          "local a = co('a'); local b = co('b'); return a .. b",
          "\"ab\"" },
        { "local a, b = all { function() return exec({ 'printf', 'a' }).stdout end,\n"
          "  function() return exec({ 'printf', 'b' }).stdout end }; return a .. b",
          "\"ab\"" },
        { "all { function() end, function() error('one', 0) end, function() error('two', 0) end }",
          "config: 2 of 3 functions failed: one" },
        { "all { function() exec { 'sh', '-c', 'exit 4' } end }",
          "internal: sh ended with exit code 4" },
        { "all { 1 }", "config: bad argument #1 to 'all' (a list of functions expected)" },
        { "local ok, err = pcall(exec, { 'sh', '-c', 'echo why >&2; exit 3' })\n"
          "return { ok, err.kind, err.message, err.detail, err.hint ~= false }",
          "[false,\"internal\",\"sh ended with exit code 3\",\"why\\n\",true]" },
        { "local ok, err = pcall(exec, { 'sh', '-c', 'exit 3' }); error(err, 0)",
          "internal: sh ended with exit code 3" },
        { "local co = coroutine.create(function() exec { 'true' } end)\n"
          "local ok, err = xpcall(function() table.sort({ 2, 1 }, function()\n"
          "  local fine, why = coroutine.resume(co); error(why, 0) end) end, tostring)\n"
          "return err",
          "\"this waits for something, which is not possible here\"" },
        { "coroutine.yield(1)", "config: attempt to yield from outside a coroutine" },
    };
    struct fixture *fixture = *state;
    char out[1024];

    setenv("STRAKE_TEST_VALUE", "shown", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_flow(fixture, "", cases[i].body, out, sizeof(out));
        if (strncmp(out, cases[i].result, strlen(cases[i].result)) != 0)
            fail_msg("%s: %s (%s)", cases[i].body, out,
                     fixture->err.detail ? fixture->err.detail : "");
        strake_secret_reset();
    }
}

/* ---- cancellation ---- */

static void a_cancelled_flow_ends_whatever_it_does(void **state)
{
    static const char *const bodies[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do pcall(exec, { 'sleep', '60' }) end",
        "repeat local co = coroutine.wrap(function() while true do end end); pcall(co) until false",
        "xpcall(function() while true do end end, function() while true do end end)",
        "table.sort({ 1, 2, 3 }, function() while true do end end)",
        "local t = setmetatable({}, { __len = function() return math.maxinteger end })\n"
        "table.concat(t, '', 1, math.maxinteger)",
        "while true do end",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char source[512];
        json_t *result = NULL, *args = json_pack("{s:s, s:[]}", "flow", "f", "args");
        struct strake_job *job = fixture->job;
        snprintf(source, sizeof(source), "flow 'f' { run = function() %s end }", bodies[i]);
        fixture->job = strake_job_new(NULL, NULL, NULL);
        strake_job_set_timeout(fixture->job, 3600000);
        /* As a signal handler does it: from another thread, while Lua is busy. */
        pthread_t thread;
        extern void *cancel_soon(void *);
        pthread_create(&thread, NULL, cancel_soon, fixture->job);
        int rc = fixture_call(fixture, source, "tidy", args, &result);
        pthread_join(thread, NULL);
        assert_int_equal(rc, 0);
        assert_string_equal(strake_json_str(result, "kind"), i == 6 ? "config" : "cancelled");
        json_decref(result);
        json_decref(args);
        fixture_stop(fixture);
        strake_job_free(fixture->job);
        fixture->job = job;
    }
}

void *cancel_soon(void *job);
void *cancel_soon(void *job)
{
    usleep(30000);
    strake_job_cancel(job);
    return NULL;
}

/* ---- the API as it stands ---- */

static void the_types_file_names_what_the_engine_has(void **state)
{
    struct fixture *fixture = *state;
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };
    char path[600];
    const char *name;
    json_t *value;

    assert_int_equal(fixture_start(fixture), 0);
    json_t *api = strake_engine_api(fixture->engine);
    assert_non_null(api);
    snprintf(path, sizeof(path), "%s/types/strake.lua", fixture->scripts);
    assert_int_equal(strake_fs_read(path, 1 << 20, &text, &err), 0);
    /* Lua's own, which the language server knows */
    static const char *const from_lua[] = { "coroutine",    "math",     "string",   "table",
                                            "utf8",         "assert",   "error",    "ipairs",
                                            "next",         "pairs",    "pcall",    "xpcall",
                                            "print",        "rawequal", "rawget",   "rawlen",
                                            "rawset",       "select",   "tonumber", "getmetatable",
                                            "setmetatable", "tostring", "type",     NULL };
    json_object_foreach(api, name, value) {
        char declared[200];
        bool standard = false;
        for (size_t i = 0; from_lua[i]; i++) {
            size_t len = strlen(from_lua[i]);
            standard = standard || (strncmp(name, from_lua[i], len) == 0 &&
                                    (name[len] == '.' || name[len] == '\0'));
        }
        if (strcmp(json_string_value(value), "function") == 0)
            snprintf(declared, sizeof(declared), "\nfunction %s(", name);
        else if (strcmp(json_string_value(value), "value") == 0)
            snprintf(declared, sizeof(declared), "---@field %s ", strchr(name, '.') + 1);
        else
            snprintf(declared, sizeof(declared), "\n%s = ", name);
        if (!standard && !strstr(strake_buf_text(&text), declared))
            fail_msg("the types file lacks %s", name);
    }
    /* and the other way round: whatever function it declares exists */
    for (char *at = strstr(text.data, "\nfunction "); at; at = strstr(at + 1, "\nfunction ")) {
        char declared[100];
        assert_int_equal(sscanf(at, "\nfunction %99[a-z_.]", declared), 1);
        value = json_object_get(api, declared);
        if (!json_is_string(value))
            fail_msg("the engine has no %s", declared);
    }
    json_decref(api);
    strake_buf_dispose(&text);
}

/* ---- memory ---- */

static int load_typical(void *ctx)
{
    struct fixture *fixture = ctx;
    int rc;
    fixture_stop(fixture);
    rc = fixture_start(fixture);
    if (rc == 0)
        rc = strake_engine_load(fixture->engine, &fixture->project, &fixture->err);
    if (rc == 0)
        assert_non_null(strake_project_target(fixture->project, "k8s-tmux"));
    fixture_stop(fixture);
    return rc;
}

static void loading_survives_each_failing_allocation(void **state)
{
    struct fixture *fixture = *state;
    fixture_write(fixture, "strake.lua", typical);
    torture(load_typical, fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(load_without_any_file_gives_an_empty_project, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(load_reads_a_typical_file, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_run_from_the_outside_in, setup, teardown),
        cmocka_unit_test_setup_teardown(load_errors_say_what_and_where, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_shows_the_teams_frames_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(call_gives_results_and_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(flows_check_their_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_suspends_its_coroutine, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_flow_ends_whatever_it_does, setup, teardown),
        cmocka_unit_test_setup_teardown(the_types_file_names_what_the_engine_has, setup, teardown),
        cmocka_unit_test_setup_teardown(loading_survives_each_failing_allocation, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    setenv("STRAKE_LUA_GCSTRESS", "1", 1); /* again, with garbage collected all the time */
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
