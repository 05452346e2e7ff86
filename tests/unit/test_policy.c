/* Policies: what they may say and change, and that one that does not do its work denies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

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

/* "action[!] message; …" of all decisions, `!` where the policy failed. */
static void decisions_text(const json_t *result, char *out, size_t cap)
{
    const json_t *decision;
    size_t i, len = 0;
    out[0] = '\0';
    json_array_foreach(json_object_get(result, "decisions"), i, decision) {
        const char *message = strake_json_str(decision, "message");
        assert_string_equal(strake_json_str(decision, "name"), "p");
        assert_non_null(strake_json_str(decision, "file"));
        assert_true(strake_json_int(decision, "line", 0) > 0);
        len += (size_t)snprintf(out + len, cap - len, "%s%s%s%s%s", i ? "; " : "",
                                strake_json_str(decision, "action"),
                                strake_json_bool(decision, "error", false) ? "!" : "",
                                message ? " " : "", message ? message : "");
    }
}

static void each_policy_gives_its_decisions(void **state)
{
    static const struct {
        const char *point, *body, *decisions;
    } cases[] = {
        { "publish", "", "allow" },
        { "publish", "return nil", "allow" },
        { "publish", "deny('no')", "deny no" },
        { "publish", "pcall(deny, 'no')", "deny no" },
        { "publish", "pcall(deny, 'no') error('later')", "deny no" },
        { "publish", "pcall(deny, 'no') while true do end", "deny no" },
        { "publish", "coroutine.wrap(deny)('no')", "deny no" },
        { "publish", "all { function() deny('inside') end }", "deny inside" },
        { "publish", "deny()", "deny (no reason given: nothing is not a text)" },
        { "publish", "deny({})", "deny (no reason given: a table is not a text)" },
        { "publish", "deny('no', 3)", "deny no" },
        { "publish", "deny('n\\xffo')", "deny n\xef\xbf\xbdo" },
        { "publish", "error('b\\xc3')", "deny! b\xef\xbf\xbd" },
        { "publish", "deny('')", "deny (no reason given)" },
        { "publish", "deny('no', setmetatable({}, { __index = error }))", "deny no" },
        { "publish", "warn('a') warn('b')", "warn a; warn b" },
        { "publish", "warn('a') deny('b')", "warn a; deny b" },
        { "publish", "warn(3 > 2)", "deny! bad argument #1 to 'warn' (a text expected)" },
        { "publish", "return true", "deny! the policy returned true" },
        { "publish", "return false", "deny! the policy returned false" },
        { "publish", "return 'ok'", "deny! the policy returned a string" },
        { "publish", "error('broken')", "deny! broken" },
        { "publish", "local x = s.none.deeper",
          "deny! attempt to index a nil value (field 'none')" },
        { "publish", "coroutine.yield()", "deny! attempt to yield from outside a coroutine" },
        { "publish", "s.ref = 'changed'", "allow" },
        { "publish", "image.digest('r')", "deny! this command cannot look at images" },
        { "plan", "image.digest('r')",
          "deny! this waits for something, which is not possible here" },
        { "plan", "s.tags[#s.tags + 1] = 'more'", "change tags" },
        { "plan", "s.labels.a = 'b' s.args = { X = '1' }", "change labels, args" },
        { "plan", "s.tags = nil", "change tags" },
        { "plan", "s.name = 'other'", "deny! a policy may not change `name`" },
        { "plan", "s.tags = setmetatable({}, {})", "deny! tags: a table with a metatable" },
        { "plan", "s.tags = { print }", "deny! tags[1]: a function" },
        { "plan", "s.tags = {} deny('no')", "deny no" },
        { "plan", "for k in pairs(s) do s[k] = nil end", "change tags, labels" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char source[512], text[512];
        snprintf(source, sizeof(source), "policy 'p' { at = '%s', check = function(s)\n%s\nend }",
                 cases[i].point, cases[i].body);
        json_t *result = fixture_ask(
            fixture, source, cases[i].point,
            "{\"name\":\"app\",\"ref\":\"r\",\"tags\":[\"a\"],\"labels\":{\"x\":\"y\"}}");
        if (!result)
            fail_msg("%s: %s", cases[i].body, strake_err_message(&fixture->err));
        decisions_text(result, text, sizeof(text));
        if (strcmp(text, cases[i].decisions) != 0)
            fail_msg("%s: %s", cases[i].body, text);
        const json_t *subject = json_object_get(result, "subject");
        assert_string_equal(strake_json_str(subject, "name"), "app");
        assert_string_equal(strake_json_str(subject, "ref"), "r");
        json_decref(result);
    }
}

static void a_deny_has_its_fix_and_its_own_place(void **state)
{
    struct fixture *fixture = *state;
    json_t *result =
        fixture_ask(fixture,
                    "local function say(text)\n  deny(text, { fix = 'mend it' })\n"
                    "end\npolicy 'p' { at = 'publish', check = function()\n say('no') end }",
                    "publish", "{}");
    const json_t *decision = json_array_get(json_object_get(result, "decisions"), 0);
    assert_string_equal(strake_json_str(decision, "fix"), "mend it");
    assert_string_equal(strake_json_str(decision, "at"), "publish");
    assert_int_equal(strake_json_int(decision, "line", 0), 2);
    json_decref(result);
}

/* What one policy changes the next one sees; what a denied one changed is not kept; nobody keeps a
 * hand on what was handed over. */
static void changes_go_from_policy_to_policy(void **state)
{
    struct fixture *fixture = *state;
    json_t *result = fixture_ask(
        fixture,
        "policy 'a' { at = 'plan', check = function(s) kept = s.tags s.tags[2] = 'b' end }\n"
        "policy 'b' { at = 'plan', check = function(s) assert(#s.tags == 2) s.tags = {} deny 'no' "
        "end }\n"
        "policy 'c' { at = 'plan', check = function(s) kept[3] = 'sneaked' assert(#s.tags == 2) "
        "end }\n"
        "policy 'other' { at = 'publish', check = function() error 'not asked' end }",
        "plan", "{\"tags\":[\"a\"]}");
    char *tags = json_dumps(json_object_get(json_object_get(result, "subject"), "tags"), 0);
    assert_string_equal(tags, "[\"a\", \"b\"]");
    free(tags);
    const json_t *decisions = json_object_get(result, "decisions");
    assert_int_equal(json_array_size(decisions), 3);
    assert_string_equal(strake_json_str(json_array_get(decisions, 0), "action"), "change");
    assert_string_equal(strake_json_str(json_array_get(decisions, 1), "action"), "deny");
    assert_string_equal(strake_json_str(json_array_get(decisions, 2), "action"), "allow");
    json_decref(result);
}

static int inspect(void *session, const char *ref, struct strake_job *job, json_t **out,
                   struct strake_err *err)
{
    (void)session;
    (void)job;
    if (strcmp(ref, "gone") == 0)
        return strake_fail(err, STRAKE_ENOTFOUND, "no image gone");
    *out = json_pack("{s:s, s:s}", "ref", ref, "digest", "sha256:1");
    return *out ? 0 : strake_fail_nomem(err);
}

static void a_policy_may_wait_for_a_registry(void **state)
{
    static const struct strake_lua_hooks hooks = { .image_inspect = inspect };
    struct fixture *fixture = *state;
    json_t *result = NULL, *args = json_pack("{s:s, s:{}}", "point", "publish", "subject");
    char text[200];

    /* started once for the folder of shipped scripts, then with the hook */
    json_decref(fixture_ask(fixture, "", "publish", "{}"));
    assert_int_equal(
        fixture_load(fixture, "policy 'p' { at = 'publish', check = function() local ok, err = "
                              "pcall(image.digest, 'gone')\n"
                              "warn(err.kind .. image.digest 'a' .. image.inspect('b').ref) end }"),
        0);
    strake_engine_set_hooks(fixture->engine, &hooks);
    assert_int_equal(
        strake_engine_call(fixture->engine, "probe", "ask", args, &result, &fixture->err), 0);
    decisions_text(result, text, sizeof(text));
    assert_string_equal(text, "warn registrysha256:1b");
    json_decref(result);
    json_decref(args);
}

/* Whatever a project's own policy makes of the plan, the organisation's is asked about that. */
static void the_organisation_sees_the_plan_as_the_project_leaves_it(void **state)
{
    struct fixture *fixture = *state;
    char text[200];

    fixture_write(
        fixture, "system/a.lua",
        "policy 'p' { at = 'plan', check = function(s)\n"
        "for _, tag in ipairs(s.tags) do if tag == 'latest' then deny 'no' end end end }");
    json_t *result = fixture_ask(
        fixture,
        "policy 'p' { at = 'plan', check = function(s) s.tags[#s.tags + 1] = 'latest' end }",
        "plan", "{\"tags\":[\"a\"]}");
    decisions_text(result, text, sizeof(text));
    assert_string_equal(text, "change tags; deny no");
    json_decref(result);
}

/* ---- memory ---- */

static int load_and_ask(void *ctx)
{
    struct fixture *fixture = ctx;
    json_t *result = NULL;
    json_t *args = json_pack("{s:s, s:{s:[s]}}", "point", "plan", "subject", "tags", "a");
    int rc = args ? 0 : STRAKE_ENOMEM;
    char text[200];

    fixture_stop(fixture);
    if (rc == 0)
        rc = fixture_start(fixture);
    if (rc == 0)
        rc = strake_engine_load(fixture->engine, &fixture->project, &fixture->err);
    if (rc == 0)
        rc = strake_engine_call(fixture->engine, "probe", "ask", args, &result, &fixture->err);
    if (rc == 0) {
        /* a policy that got no memory denies: never an allow */
        decisions_text(result, text, sizeof(text));
        if (strcmp(text, "warn careful; change tags; deny no") != 0)
            assert_non_null(strstr(text, "deny!"));
    }
    json_decref(result);
    json_decref(args);
    fixture_stop(fixture);
    return rc;
}

static void asking_survives_each_failing_allocation(void **state)
{
    struct fixture *fixture = *state;
    json_decref(fixture_ask(
        fixture,
        "policy 'p' { at = 'plan', check = function(s) warn 'careful' s.tags[2] = 'b' end }",
        "plan", "{\"tags\":[\"a\"]}"));
    fixture_write(
        fixture, "user/config.lua",
        "policy 'p' { at = 'plan', check = function(s) warn 'careful' s.tags[2] = 'b' end }");
    fixture_write(fixture, "strake.lua",
                  "policy 'p' { at = 'plan', check = function(s) deny 'no' end }");
    torture(load_and_ask, fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_policy_gives_its_decisions, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deny_has_its_fix_and_its_own_place, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_go_from_policy_to_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_policy_may_wait_for_a_registry, setup, teardown),
        cmocka_unit_test_setup_teardown(the_organisation_sees_the_plan_as_the_project_leaves_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(asking_survives_each_failing_allocation, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    setenv("STRAKE_LUA_GCSTRESS", "1", 1); /* again, with garbage collected all the time */
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
