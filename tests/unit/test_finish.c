/* What a plan policy sees of a target, and what it may leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "project/make.h"
#include "torture.h"
#include "util/json.h"

static void make_target(struct strake_plan_target *target)
{
    *target = (struct strake_plan_target){ .name = strake_strdup("app") };
    assert_int_equal(strake_strings_add(&target->images, "r.example/app"), 0);
    assert_int_equal(strake_strings_add(&target->tags, "v1"), 0);
    assert_int_equal(strake_strings_add(&target->refs, "r.example/app:v1"), 0);
    assert_int_equal(strake_strings_add(&target->platforms, "linux/amd64"), 0);
    assert_int_equal(strake_pairs_set(&target->labels, "team", "x"), 0);
    assert_int_equal(strake_pairs_set(&target->args, "WHO", "world"), 0);
    assert_int_equal(strake_strings_add(&target->cache_import, "type=gha"), 0);
}

static const char seen[] =
    "{\"args\":{\"WHO\":\"world\"},\"cache\":{\"export\":[],\"import\":"
    "[\"type=gha\"]},\"image\":\"r.example/app\",\"labels\":{\"team\":\"x\"},"
    "\"name\":\"app\",\"options\":{},\"platforms\":[\"linux/amd64\"],\"tags\":[\"v1\"]}";

/* The view as text; the caller's. */
static char *view_of(const struct strake_plan_target *target)
{
    json_t *view = strake_plan_view(target);
    struct strake_buf text = { 0 };

    assert_non_null(view);
    assert_int_equal(strake_json_dump_sorted(view, &text), 0);
    json_decref(view);
    return strake_buf_take(&text);
}

static void view_has_what_a_policy_may_see(void **state)
{
    struct strake_plan_target target;
    char *text;

    (void)state;
    make_target(&target);
    text = view_of(&target);
    assert_string_equal(text, seen);
    strake_free(text);
    strake_plan_target_dispose(&target);
}

/* `key` of the view set to this JSON, and applied. */
static int apply(struct strake_plan_target *target, const char *key, const char *json,
                 struct strake_err *err)
{
    json_t *view = strake_plan_view(target);
    int rc;

    assert_int_equal(
        json_object_set_new(view, key, json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)),
        0);
    rc = strake_plan_apply(target, view, err);
    json_decref(view);
    return rc;
}

static void apply_takes_what_a_policy_changed(void **state)
{
    static const struct {
        const char *key, *json, *want;
        size_t refs; /* left of -t's */
    } cases[] = {
        { "tags", "[\"v1\"]", "\"tags\":[\"v1\"]", 1 },
        { "tags", "[\"v2\",\"x\"]", "\"tags\":[\"v2\",\"x\"]", 0 },
        { "tags", "{}", "\"tags\":[]", 0 }, /* Lua's one empty table */
        { "tags", "[]", "\"tags\":[]", 0 },
        { "labels", "{\"a\":\"b\",\"c\":\"\"}", "\"labels\":{\"a\":\"b\",\"c\":\"\"}", 1 },
        { "labels", "[]", "\"labels\":{}", 1 },
        { "args", "{\"WHO\":\"me\"}", "\"args\":{\"WHO\":\"me\"}", 1 },
        { "platforms", "[\"linux/arm64\"]", "\"platforms\":[\"linux/arm64\"]", 1 },
        { "cache", "{\"import\":[],\"export\":[\"type=inline\"]}",
          "\"cache\":{\"export\":[\"type=inline\"],\"import\":[]}", 1 },
        { "name", "\"other\"", "\"name\":\"app\"", 1 }, /* not for a policy to change */
        { "image", "\"evil.example/app\"", "\"image\":\"r.example/app\"", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan_target target;
        struct strake_err err = { 0 };
        char *text;
        make_target(&target);
        assert_int_equal(apply(&target, cases[i].key, cases[i].json, &err), 0);
        text = view_of(&target);
        if (!strstr(text, cases[i].want))
            fail_msg("%s: %s", cases[i].json, text);
        assert_int_equal(target.refs.count, cases[i].refs);
        strake_free(text);
        strake_plan_target_dispose(&target);
    }
}

static void apply_refuses_what_a_declaration_would_be_refused_for(void **state)
{
    static const struct {
        const char *key, *json, *field;
    } cases[] = {
        { "tags", "[\"not a tag\"]", "tags" },
        { "tags", "[3]", "tags" },
        { "tags", "\"v1\"", "tags" },
        { "tags", "{\"a\":\"v1\"}", "tags" },
        { "tags", "[\"v1\\u0000x\"]", "tags" },
        { "platforms", "[\"linux/amd46\"]", "platforms" },
        { "platforms", "[\"linux\\n\"]", "platforms" },
        { "platforms", "null", "platforms" },
        { "labels", "{\"a\":1}", "labels" },
        { "labels", "{\"\":\"x\"}", "labels" },
        { "labels", "{\"a\\nb\":\"x\"}", "labels" },
        { "labels", "{\"a\":\"b\\nc\"}", "labels" },
        { "labels", "[\"a\"]", "labels" },
        { "args", "{\"A\":\"x\\u0000y\"}", "args" },
        { "args", "3", "args" },
        { "cache", "{\"import\":[1],\"export\":[]}", "cache" },
        { "cache", "{\"import\":[]}", "cache" },
        { "cache", "3", "cache" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan_target target;
        struct strake_err err = { 0 };
        char want[120];
        make_target(&target);
        if (apply(&target, cases[i].key, cases[i].json, &err) != STRAKE_ECONFIG)
            fail_msg("%s: %d", cases[i].json, err.code);
        snprintf(want, sizeof(want), "`%s` of target app", cases[i].field);
        if (!strstr(strake_err_message(&err), want))
            fail_msg("%s: %s", cases[i].json, strake_err_message(&err));
        strake_err_dispose(&err);
        strake_plan_target_dispose(&target);
    }
}

static int view_and_apply(void *ctx)
{
    struct strake_plan_target *target = ctx;
    struct strake_err err = { 0 };
    json_t *view = strake_plan_view(target);
    int rc = view ? strake_plan_apply(target, view, &err) : STRAKE_ENOMEM;

    assert_true(rc == 0 || rc == STRAKE_ENOMEM);
    assert_int_equal(err.code, view ? rc : 0);
    json_decref(view);
    strake_err_dispose(&err);
    return rc;
}

static void a_view_survives_every_failing_allocation(void **state)
{
    struct strake_plan_target target;
    char *text;

    (void)state;
    make_target(&target);
    torture(view_and_apply, &target);
    text = view_of(&target); /* nothing was half taken */
    assert_string_equal(text, seen);
    strake_free(text);
    strake_plan_target_dispose(&target);
}

/* ---- a plan from a file gets its builders back ---- */

static void attach_finds_builders_by_name_and_plugin(void **state)
{
    static const struct {
        const char *builder, *plugin;
        int want;
    } cases[] = {
        { "lab", "buildctl", 0 },
        { "lab", "buildx", 0 }, /* buildctl was missing */
        { "lab", "buildah", STRAKE_ESTALE },
        { "gone", "buildctl", STRAKE_ESTALE },
    };
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    struct strake_block *block;

    (void)state;
    assert_int_equal(strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "lab", "strake.lua", 1,
                                              &block, &err),
                     0);
    block->type = strake_strdup("buildctl");
    block->options = json_pack("{s:s}", "address", "tcp://b.example:1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan_build build = { .builder = (char *)cases[i].builder,
                                           .plugin = (char *)cases[i].plugin };
        struct strake_plan_target target = { .name = "app", .builds = &build, .build_count = 1 };
        struct strake_plan plan = { .targets = &target, .count = 1 };
        assert_int_equal(strake_plan_attach(&plan, project, &err), cases[i].want);
        if (cases[i].want == 0)
            assert_string_equal(strake_json_str(build.options, "address"), "tcp://b.example:1");
        else
            assert_non_null(strstr(strake_err_message(&err), cases[i].builder));
        json_decref(build.options);
        strake_err_dispose(&err);
    }
    strake_project_free(project);
}

static void a_policys_cache_is_for_all_platforms(void **state)
{
    static const struct {
        const char *cache;
        size_t parts; /* left */
    } cases[] = {
        { "{\"import\":[\"type=gha\"],\"export\":[]}", 1 },
        { "{\"import\":[],\"export\":[]}", 0 },
        { "{\"import\":[\"type=gha\"],\"export\":[\"type=gha,scope=x\"]}", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan_target target;
        struct strake_err err = { 0 };
        make_target(&target);
        assert_int_equal(strake_strings_add(&target.cache_part_import, "type=gha,scope={platform}"),
                         0);
        assert_int_equal(apply(&target, "cache", cases[i].cache, &err), 0);
        assert_int_equal(target.cache_part_import.count, cases[i].parts);
        strake_plan_target_dispose(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_has_what_a_policy_may_see),
        cmocka_unit_test(apply_takes_what_a_policy_changed),
        cmocka_unit_test(a_policys_cache_is_for_all_platforms),
        cmocka_unit_test(apply_refuses_what_a_declaration_would_be_refused_for),
        cmocka_unit_test(a_view_survives_every_failing_allocation),
        cmocka_unit_test(attach_finds_builders_by_name_and_plugin),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
