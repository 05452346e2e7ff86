/* From declarations and wishes to plans: which targets, in which order, and what each of them is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "project/make.h"
#include "torture.h"
#include "util/fs.h"
#include "util/json.h"

/* A project whose folder holds a Dockerfile, with one builder that nobody loads. */
struct fixture {
    char *dir;
    struct strake_project *project;
};

static int setup(void **state)
{
    struct strake_err err = { 0 };
    struct fixture *fixture = strake_calloc(1, sizeof(*fixture));
    struct strake_block *block;
    char *file;

    strake_json_setup();
    assert_int_equal(strake_fs_tempdir(&fixture->dir, &err), 0);
    file = strake_fs_join(fixture->dir, "Dockerfile");
    assert_int_equal(strake_fs_write(file, "FROM scratch\n", 13, 0644, false, &err), 0);
    strake_free(file);
    fixture->project = strake_project_new(fixture->dir);
    assert_int_equal(strake_project_add_block(fixture->project, STRAKE_BLOCK_BUILDER, "b",
                                              "strake.lua", 1, &block, &err),
                     0);
    block->type = strake_strdup("buildctl");
    block->options = json_object();
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };

    strake_project_free(fixture->project);
    assert_int_equal(strake_fs_remove_tree(fixture->dir, &err), 0);
    strake_free(fixture->dir);
    strake_free(fixture);
    return 0;
}

/* Declared at a line of its own, as wide as the tests need. */
static struct strake_target *declare(struct fixture *fixture, const char *name, int line)
{
    struct strake_target *target = NULL;
    struct strake_err err = { 0 };

    assert_int_equal(
        strake_project_add_target(fixture->project, name, "strake.lua", line, &target, &err), 0);
    return target;
}

static void after(struct strake_target *target, const char *name)
{
    assert_int_equal(strake_strings_add(&target->after, name), 0);
}

static struct strake_wish wish_of(const char *text)
{
    struct strake_wish wish = { 0 };
    struct strake_err err = { 0 };
    json_t *json = strake_json_parse(text, strlen(text), "a wish", STRAKE_EUSAGE, &err);

    assert_int_equal(strake_wish_parse(json, &wish, &err), 0);
    json_decref(json);
    return wish;
}

static struct strake_plan *make(struct fixture *fixture, const char *text)
{
    struct strake_wish wish = wish_of(text);
    struct strake_plan *plan = NULL;
    struct strake_err err = { 0 };

    if (strake_plan_make(fixture->project, &wish, &plan, &err) < 0)
        fail_msg("%s: %s", text, strake_err_message(&err));
    strake_wish_dispose(&wish);
    return plan;
}

/* Refused with this code, this word in its message, and (line > 0) this place. */
static void refused(struct fixture *fixture, const char *text, int code, const char *word, int line)
{
    struct strake_wish wish = wish_of(text);
    struct strake_plan *plan = NULL;
    struct strake_err err = { 0 };

    if (strake_plan_make(fixture->project, &wish, &plan, &err) != code)
        fail_msg("%s: code %d: %s", text, err.code, strake_err_message(&err));
    assert_null(plan);
    if (!strstr(strake_err_message(&err), word))
        fail_msg("%s: %s", text, strake_err_message(&err));
    if (line > 0)
        assert_int_equal(err.line, line);
    strake_err_dispose(&err);
    strake_wish_dispose(&wish);
}

static void expect_order(const struct strake_plan *plan, const char *names)
{
    char seen[256] = "";

    for (size_t i = 0; i < plan->count; i++) {
        strncat(seen, plan->targets[i].name, sizeof(seen) - strlen(seen) - 1);
        strncat(seen, " ", sizeof(seen) - strlen(seen) - 1);
    }
    assert_string_equal(seen, names);
}

static void make_puts_what_is_needed_first(void **state)
{
    struct fixture *fixture = *state;
    struct strake_plan *plan;

    after(declare(fixture, "a", 1), "b");
    after(declare(fixture, "b", 2), "c");
    declare(fixture, "c", 3);
    after(declare(fixture, "d", 4), "c");
    plan = make(fixture, "{\"names\":[\"a\",\"d\"]}");
    expect_order(plan, "c b a d ");
    strake_plan_free(plan);
    plan = make(fixture, "{\"all\":true}");
    expect_order(plan, "c b a d ");
    strake_plan_free(plan);
}

static void make_refuses_cycles_at_their_place(void **state)
{
    struct fixture *fixture = *state;

    after(declare(fixture, "a", 10), "b");
    after(declare(fixture, "b", 20), "a");
    after(declare(fixture, "self", 30), "self");
    refused(fixture, "{\"names\":[\"a\"]}", STRAKE_ECONFIG, "a needs itself: a -> b -> a", 10);
    refused(fixture, "{\"names\":[\"self\"]}", STRAKE_ECONFIG, "self needs itself: self -> self",
            30);
}

static void make_follows_contexts_that_are_targets(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *app = declare(fixture, "app", 1);
    struct strake_plan *plan;

    char *more = strake_fs_join(fixture->dir, "more");
    struct strake_err err = { 0 };

    declare(fixture, "base", 2);
    assert_int_equal(strake_pairs_set(&app->contexts, "base", "target:base"), 0);
    assert_int_equal(strake_pairs_set(&app->contexts, "files", "more"), 0);
    refused(fixture, "{\"names\":[\"app\"]}", STRAKE_ECONFIG, "context files is not a folder", 1);
    assert_int_equal(strake_fs_mkdirs(more, 0755, &err), 0);
    strake_free(more);
    plan = make(fixture, "{\"names\":[\"app\"]}");
    expect_order(plan, "base app ");
    assert_string_equal(strake_pairs_get(&plan->targets[1].contexts, "base"), "target:base");
    assert_true(strstr(strake_pairs_get(&plan->targets[1].contexts, "files"), fixture->dir) !=
                NULL);
    strake_plan_free(plan);
}

static void make_chooses_the_defaults_or_the_only_one(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *one = declare(fixture, "one", 1);
    struct strake_plan *plan = make(fixture, "{}");

    expect_order(plan, "one ");
    strake_plan_free(plan);
    declare(fixture, "two", 2);
    refused(fixture, "{}", STRAKE_EUSAGE, "2 targets", 0);
    one->is_default = true;
    plan = make(fixture, "{}");
    expect_order(plan, "one ");
    strake_plan_free(plan);
    refused(fixture, "{\"names\":[\"oen\"]}", STRAKE_EUSAGE, "oen", 0);
    refused(fixture, "{\"names\":[\"-\"]}", STRAKE_EUSAGE, "standard input", 0);
}

static void make_without_targets_builds_the_folder(void **state)
{
    struct fixture *fixture = *state;
    struct strake_plan *plan = make(fixture, "{\"refs\":[\"h.example/a:1\",\"h.example/b\"]}");
    const struct strake_plan_target *target = &plan->targets[0];
    struct strake_strings refs = { 0 };

    expect_order(plan, "default ");
    assert_string_equal(target->context, fixture->dir);
    assert_int_equal(target->images.count, 2);
    assert_int_equal(strake_plan_refs(target, &refs), 0);
    assert_int_equal(refs.count, 2);
    assert_string_equal(refs.items[0], "h.example/a:1");
    assert_string_equal(refs.items[1], "h.example/b:latest");
    strake_strings_dispose(&refs);
    strake_plan_free(plan);
}

/* The wish counts for what was named, not for what that needs; no_cache for all. */
static void make_gives_the_wish_to_what_was_named(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *app = declare(fixture, "app", 1), *base = declare(fixture, "base", 2);
    struct strake_plan *plan;

    after(app, "base");
    assert_int_equal(strake_strings_add(&app->images, "h.example/app"), 0);
    assert_int_equal(strake_strings_add(&app->tags, "old"), 0);
    assert_int_equal(strake_pairs_set(&app->args, "A", "1"), 0);
    assert_int_equal(strake_pairs_set(&app->args, "B", "2"), 0);
    assert_int_equal(strake_pairs_set(&base->args, "A", "base"), 0);
    plan = make(fixture,
                "{\"names\":[\"app\"],\"args\":{\"A\":\"line\"},\"tags\":[\"v1\"],"
                "\"platforms\":[\"Linux/AMD64\",\"amd64\"],\"stage\":\"s\",\"no_cache\":true}");
    expect_order(plan, "base app ");
    assert_string_equal(strake_pairs_get(&plan->targets[0].args, "A"), "base");
    assert_string_equal(plan->targets[0].stage, "");
    assert_true(plan->targets[0].no_cache);
    assert_string_equal(strake_pairs_get(&plan->targets[1].args, "A"), "line");
    assert_string_equal(strake_pairs_get(&plan->targets[1].args, "B"), "2");
    assert_int_equal(plan->targets[1].tags.count, 1);
    assert_string_equal(plan->targets[1].tags.items[0], "v1");
    assert_int_equal(plan->targets[1].platforms.count, 1);
    assert_string_equal(plan->targets[1].platforms.items[0], "linux/amd64");
    assert_string_equal(plan->targets[1].stage, "s");
    strake_plan_free(plan);
}

static void make_refuses_what_cannot_be_built_at_its_place(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *bad = declare(fixture, "bad", 5);
    static const struct {
        const char *context, *dockerfile, *image, *tag, *needs;
        int code;
        const char *word;
    } cases[] = {
        { "nowhere", NULL, NULL, NULL, NULL, STRAKE_ECONFIG, "nowhere" },
        { ".", "Nofile", NULL, NULL, NULL, STRAKE_EDOCKERFILE, "Nofile" },
        { ".", NULL, "h.example/a:tag", NULL, NULL, STRAKE_ECONFIG, "without tag" },
        { ".", NULL, "UPPER//x", NULL, NULL, STRAKE_ECONFIG, "UPPER" },
        { ".", NULL, "h.example/a", ".bad", NULL, STRAKE_ECONFIG, "'.bad' is not a tag" },
        { ".", NULL, NULL, NULL, "bda", STRAKE_ECONFIG, "bda" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strake_free(bad->context);
        strake_free(bad->dockerfile);
        bad->context = strake_strdup(cases[i].context);
        bad->dockerfile = cases[i].dockerfile ? strake_strdup(cases[i].dockerfile) : NULL;
        strake_strings_dispose(&bad->images);
        strake_strings_dispose(&bad->tags);
        strake_strings_dispose(&bad->after);
        if (cases[i].image)
            assert_int_equal(strake_strings_add(&bad->images, cases[i].image), 0);
        if (cases[i].tag)
            assert_int_equal(strake_strings_add(&bad->tags, cases[i].tag), 0);
        if (cases[i].needs)
            after(bad, cases[i].needs);
        refused(fixture, "{\"names\":[\"bad\"]}", cases[i].code, cases[i].word, 5);
    }
}

static void make_takes_the_builder_that_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *app = declare(fixture, "app", 3);
    struct strake_plan *plan = make(fixture, "{\"builder\":\"b\"}");

    assert_int_equal(plan->targets[0].build_count, 1);
    assert_string_equal(plan->targets[0].builds[0].builder, "b");
    assert_string_equal(plan->targets[0].builds[0].plugin, "buildctl");
    strake_plan_free(plan);
    refused(fixture, "{\"builder\":\"c\"}", STRAKE_ECONFIG, "the builder c", 3);
    assert_int_equal(strake_strings_add(&app->builders, "lab"), 0);
    refused(fixture, "{}", STRAKE_ECONFIG, "the builder lab", 3);
}

static int make_everything(void *ctx)
{
    struct fixture *fixture = ctx;
    struct strake_wish wish = { .all = true };
    struct strake_plan *plan = NULL;
    struct strake_err err = { 0 };
    int rc = strake_plan_make(fixture->project, &wish, &plan, &err);

    if (rc == 0)
        assert_int_equal(plan->count, 3);
    else
        assert_null(plan);
    strake_plan_free(plan);
    strake_err_dispose(&err);
    return rc;
}

static void make_survives_every_failing_allocation(void **state)
{
    struct fixture *fixture = *state;
    struct strake_target *app = declare(fixture, "app", 1);

    after(declare(fixture, "top", 2), "app");
    declare(fixture, "base", 3);
    assert_int_equal(strake_pairs_set(&app->contexts, "base", "target:base"), 0);
    assert_int_equal(strake_strings_add(&app->images, "h.example/app"), 0);
    assert_int_equal(strake_strings_add(&app->tags, "v1"), 0);
    assert_int_equal(strake_strings_add(&app->platforms, "linux/amd64"), 0);
    assert_int_equal(strake_pairs_set(&app->labels, "l", "x"), 0);
    torture(make_everything, fixture);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(make_puts_what_is_needed_first),
        TEST(make_refuses_cycles_at_their_place),
        TEST(make_follows_contexts_that_are_targets),
        TEST(make_chooses_the_defaults_or_the_only_one),
        TEST(make_without_targets_builds_the_folder),
        TEST(make_gives_the_wish_to_what_was_named),
        TEST(make_refuses_what_cannot_be_built_at_its_place),
        TEST(make_takes_the_builder_that_is_named),
        TEST(make_survives_every_failing_allocation),
    };

    /* What this machine has to build with makes no difference here. */
    setenv("PATH", "/nonexistent", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
