/* The store of declarations: found by name, in order, and nothing half done without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "project/project.h"

#include "torture.h"

static void a_thousand_targets_are_found_by_name(void **state)
{
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    char name[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct strake_target *target;
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(strake_project_add_target(project, name, "f.lua", i + 1, &target, &err),
                         0);
        assert_int_equal(target->position, i);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(strake_project_target(project, name)->place.line, i + 1);
    }
    assert_null(strake_project_target(project, "t1000"));
    assert_null(strake_project_flow(project, "t1"));
    strake_project_free(project);
}

static void a_second_thing_of_a_name_is_refused_with_both_places(void **state)
{
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    struct strake_target *target;
    struct strake_policy *policy;
    struct strake_flow *flow;

    (void)state;
    assert_int_equal(strake_project_add_target(project, "a", "f.lua", 1, &target, &err), 0);
    assert_int_equal(strake_project_add_flow(project, "a", "f.lua", 2, &flow, &err), 0);
    assert_int_equal(strake_project_add_target(project, "a", "g.lua", 3, &target, &err),
                     STRAKE_ECONFIG);
    assert_string_equal(err.message, "target \"a\" is declared twice: first at f.lua:1");
    assert_string_equal(err.file, "g.lua");
    assert_int_equal(err.line, 3);
    assert_int_equal(strake_project_add_flow(project, "a", "f.lua", 4, &flow, &err),
                     STRAKE_ECONFIG);
    assert_int_equal(strake_project_add_policy(project, "a", STRAKE_POINT_PLAN, STRAKE_LAYER_SYSTEM,
                                               "s.lua", 1, &policy, &err),
                     0);
    assert_int_equal(strake_project_add_policy(project, "a", STRAKE_POINT_PLAN,
                                               STRAKE_LAYER_PROJECT, "f.lua", 1, &policy, &err),
                     0);
    assert_int_equal(strake_project_add_policy(project, "a", STRAKE_POINT_IMAGE,
                                               STRAKE_LAYER_PROJECT, "f.lua", 2, &policy, &err),
                     STRAKE_ECONFIG);
    assert_int_equal(project->policy_count, 2);
    strake_err_dispose(&err);
    strake_project_free(project);
}

static void an_inner_layers_block_replaces_an_outer_ones(void **state)
{
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    struct strake_block *first, *block;

    (void)state;
    assert_int_equal(
        strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "lab", "user.lua", 1, &first, &err),
        0);
    first->type = strake_strdup("buildctl");
    assert_int_equal(strake_project_add_block(project, STRAKE_BLOCK_REGISTRY, "lab", "user.lua", 2,
                                              &block, &err),
                     0);
    assert_int_equal(strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "lab", "strake.lua", 7,
                                              &block, &err),
                     0);
    assert_ptr_equal(block, strake_project_block(project, STRAKE_BLOCK_BUILDER, "lab"));
    assert_null(block->type);
    assert_string_equal(block->name, "lab");
    assert_int_equal(block->place.line, 7);
    assert_int_equal(project->block_count, 2);
    assert_int_equal(strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "lab", "strake.lua", 9,
                                              &block, &err),
                     STRAKE_ECONFIG);
    strake_err_dispose(&err);
    strake_project_free(project);
}

static void no_target_names_the_nearest_one(void **state)
{
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    struct strake_target *target;

    (void)state;
    assert_int_equal(strake_project_no_target(project, "app", &err), STRAKE_EUSAGE);
    assert_non_null(strstr(err.hint, "declare one"));
    assert_int_equal(strake_project_add_target(project, "backend", "f", 1, &target, &err), 0);
    assert_int_equal(strake_project_no_target(project, "bakend", &err), STRAKE_EUSAGE);
    assert_string_equal(err.hint, "did you mean backend?");
    strake_err_dispose(&err);
    strake_project_free(project);
}

static void a_group_names_targets(void **state)
{
    struct strake_project *project = strake_project_new("/p");
    char *texts[] = { "a", "b", NULL };
    const struct strake_strings names = { .items = texts, .count = 2 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_project_add_group(project, "all", &names, "f.lua", 1, &err), 0);
    assert_string_equal(strake_project_group(project, "all")->targets.items[1], "b");
    assert_null(strake_project_target(project, "all"));
    assert_int_equal(strake_project_add_group(project, "all", &names, "f.lua", 2, &err),
                     STRAKE_ECONFIG);
    assert_string_equal(err.message, "group \"all\" is declared twice: first at f.lua:1");
    assert_int_equal(strake_project_no_target(project, "al", &err), STRAKE_EUSAGE);
    assert_string_equal(err.hint, "did you mean all?");
    strake_err_dispose(&err);
    strake_project_free(project);
}

static void refs_are_split_into_repositories_and_tags(void **state)
{
    char *texts[] = { "localhost:5000/a:1", "localhost:5000/a", "b/c:1", "b/c:1", NULL };
    char *digest[] = { "a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                       NULL };
    const struct strake_strings written = { .items = texts, .count = 4 };
    const struct strake_strings wrong = { .items = digest, .count = 1 };
    struct strake_strings refs = { 0 }, images = { 0 }, tags = { 0 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_refs_split(&written, &refs, &images, &tags, &err), 0);
    assert_int_equal(refs.count, 3);
    assert_string_equal(refs.items[1], "localhost:5000/a:latest");
    assert_int_equal(images.count, 2);
    assert_string_equal(images.items[1], "b/c");
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.items[1], "latest");
    assert_int_equal(strake_refs_split(&wrong, &refs, &images, &tags, &err), STRAKE_EUSAGE);
    strake_strings_dispose(&refs);
    strake_strings_dispose(&images);
    strake_strings_dispose(&tags);
    strake_err_dispose(&err);
}

static void points_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < STRAKE_POINT_COUNT; i++)
        assert_int_equal(strake_point_parse(strake_point_name((enum strake_point)i)), i);
    assert_int_equal(strake_point_parse("nowhere"), -1);
}

static int fill(void *ctx)
{
    struct strake_project *project = strake_project_new("/p");
    struct strake_err err = { 0 };
    struct strake_target *target;
    struct strake_block *block;
    struct strake_policy *policy;
    struct strake_flow *flow;
    char *texts[] = { "h/a:1", "h/b", NULL };
    struct strake_strings written = { .items = texts, .count = 2 }, names = written;
    struct strake_strings refs = { 0 }, images = { 0 }, tags = { 0 };
    int rc = project ? 0 : STRAKE_ENOMEM;

    (void)ctx;
    for (int i = 0; rc == 0 && i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        rc = strake_project_add_target(project, name, "f", i, &target, &err);
    }
    if (rc == 0)
        rc = strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "b", "f", 1, &block, &err);
    if (rc == 0)
        rc = strake_project_add_block(project, STRAKE_BLOCK_BUILDER, "b", "g", 1, &block, &err);
    if (rc == 0)
        rc = strake_project_add_policy(project, "p", STRAKE_POINT_PLAN, STRAKE_LAYER_USER, "f", 1,
                                       &policy, &err);
    if (rc == 0)
        rc = strake_project_add_flow(project, "f", "f", 1, &flow, &err);
    if (rc == 0)
        rc = strake_project_add_group(project, "g", &names, "f", 1, &err);
    if (rc == 0)
        rc = strake_refs_split(&written, &refs, &images, &tags, &err);
    strake_strings_dispose(&refs);
    strake_strings_dispose(&images);
    strake_strings_dispose(&tags);
    if (rc == 0)
        assert_non_null(strake_project_target(project, "t59"));
    strake_project_free(project);
    strake_err_dispose(&err);
    return rc;
}

static void adding_survives_each_failing_allocation(void **state)
{
    (void)state;
    torture(fill, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_targets_are_found_by_name),
        cmocka_unit_test(a_second_thing_of_a_name_is_refused_with_both_places),
        cmocka_unit_test(an_inner_layers_block_replaces_an_outer_ones),
        cmocka_unit_test(no_target_names_the_nearest_one),
        cmocka_unit_test(a_group_names_targets),
        cmocka_unit_test(refs_are_split_into_repositories_and_tags),
        cmocka_unit_test(points_have_names),
        cmocka_unit_test(adding_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
