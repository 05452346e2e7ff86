/* What would be built, against what was published: the verdict of each target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/inputs.h"
#include "build/reuse.h"
#include "record_folder.h"
#include "torture.h"

#define DIGEST(hex)                                                                                \
    "sha256:" hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex  \
        hex hex hex hex hex hex hex hex hex hex hex
#define FIRST DIGEST("11")
#define SECOND DIGEST("22")
#define RUN "20260101T000000-aaaaaa"

static void set(char *out, const char *digest)
{
    memcpy(out, digest, strlen(digest) + 1);
}

static int fill_target(struct strake_plan_target *target, const char *name)
{
    target->name = strake_strdup(name);
    set(target->inputs.dockerfile, FIRST);
    set(target->inputs.context, FIRST);
    set(target->inputs.options, FIRST);
    return target->name && strake_strings_add(&target->images, "H.example/a") == 0 &&
                   strake_pairs_set(&target->inputs.bases, "base.example/b", "") == 0
               ? 0
               : STRAKE_ENOMEM;
}

/* `app`, and `top`, which is built on it; NULL: no memory. */
static struct strake_plan *plan_make(void)
{
    struct strake_plan *plan = strake_calloc(1, sizeof(*plan));

    if (plan)
        plan->targets = strake_calloc(2, sizeof(*plan->targets));
    if (plan && plan->targets) {
        plan->count = 2;
        if (fill_target(&plan->targets[0], "app") == 0 &&
            fill_target(&plan->targets[1], "top") == 0 &&
            strake_pairs_set(&plan->targets[1].contexts, "base", "target:app") == 0)
            return plan;
    }
    strake_plan_free(plan);
    return NULL;
}

/* What a build of both says. */
static json_t *result_make(void)
{
    return json_pack("[{s:s,s:s,s:s,s:s,s:{s:s}},{s:s,s:s,s:s,s:s,s:{s:s}}]", "status", "done",
                     "image", "h.example/a", "digest", FIRST, "media_type", "m", "platforms",
                     "linux/amd64", FIRST, "status", "done", "image", "h.example/a", "digest",
                     SECOND, "media_type", "m", "platforms", "linux/amd64", SECOND);
}

static int post(struct strake_record *record, enum strake_event_type type, const char *target,
                json_t *data, struct strake_err *err)
{
    struct strake_event event = { .type = type, .time_us = 1, .target = strake_strdup(target) };
    int rc = event.target && data ? 0 : STRAKE_ENOMEM;

    event.data = data;
    if (rc == 0)
        rc = strake_record_event(record, RUN, &event, err);
    strake_free(event.target);
    json_decref(data);
    return rc;
}

/* A run that built both from a base that its steps name, and published them. */
static int past_run(struct strake_record *record, struct strake_err *err)
{
    static const char *const names[] = { "app", "top" };
    static const char *const digests[] = { FIRST, SECOND };
    struct strake_plan *plan = plan_make();
    json_t *result = result_make();
    int rc = plan && result ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = post(
            record, STRAKE_EVENT_STEP_DONE, names[i],
            json_pack("{s:s,s:s}", "step", "s", "name", "[1/2] FROM base.example/b:latest@" SECOND),
            err);
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = strake_inputs_seal(plan, &plan->targets[i], err);
    if (rc == 0)
        rc = strake_reuse_remember(plan, record, RUN, result, err);
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = post(record, STRAKE_EVENT_IMAGE_PUBLISHED, names[i],
                  json_pack("{s:s,s:s}", "image", "h.example/a", "digest", digests[i]), err);
    json_decref(result);
    strake_plan_free(plan);
    return rc;
}

/* The same plan as it is now, its base resolved. */
static struct strake_plan *now(void)
{
    struct strake_plan *plan = plan_make();
    struct strake_err err = { 0 };

    for (size_t i = 0; i < plan->count; i++) {
        strake_pairs_set(&plan->targets[i].inputs.bases, "base.example/b", SECOND);
        assert_int_equal(strake_inputs_seal(plan, &plan->targets[i], &err), 0);
    }
    return plan;
}

static void reseal(struct strake_plan *plan)
{
    struct strake_err err = { 0 };

    for (size_t i = 0; i < plan->count; i++)
        assert_int_equal(strake_inputs_seal(plan, &plan->targets[i], &err), 0);
}

static void look(struct strake_plan *plan, struct strake_record *record)
{
    struct strake_err err = { 0 };

    if (strake_reuse_find(plan, record, NULL, NULL, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
}

static struct strake_record *history(const char *dir)
{
    struct strake_record *record = history_open(dir);
    struct strake_err err = { 0 };

    if (past_run(record, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return record;
}

static void the_same_inputs_are_unchanged(void **state)
{
    struct strake_record *record = history(*state);
    struct strake_plan *plan = now();
    const struct strake_plan_past *past;

    look(plan, record);
    past = plan->targets[0].past;
    assert_true(past->unchanged && plan->targets[1].past->unchanged);
    assert_string_equal(past->digest, FIRST);
    assert_string_equal(past->run, RUN);
    assert_string_equal(past->image, "h.example/a");
    assert_string_equal(past->media_type, "m");
    assert_string_equal(strake_pairs_get(&past->platforms, "linux/amd64"), FIRST);
    strake_plan_free(plan);
    history_close(record);
}

static void expect(struct strake_plan *plan, struct strake_record *record, const char *app,
                   const char *top)
{
    look(plan, record);
    assert_false(plan->targets[0].past->unchanged || plan->targets[1].past->unchanged);
    assert_string_equal(plan->targets[0].past->why, app);
    assert_string_equal(plan->targets[1].past->why, top);
}

static void what_is_different_is_named(void **state)
{
    struct strake_record *record = history(*state);
    struct strake_plan *plan = now();

    set(plan->targets[0].inputs.context, SECOND);
    set(plan->targets[0].inputs.options, SECOND);
    reseal(plan);
    expect(plan, record, "files of the context, its options changed since " RUN,
           "the target app changed since " RUN);
    set(plan->targets[0].inputs.context, FIRST);
    set(plan->targets[0].inputs.options, FIRST);
    assert_int_equal(strake_pairs_set(&plan->targets[0].inputs.bases, "base.example/b", FIRST), 0);
    set(plan->targets[1].inputs.dockerfile, SECOND);
    reseal(plan);
    expect(plan, record, "the base image base.example/b changed since " RUN,
           "the Dockerfile, the target app changed since " RUN);
    strake_plan_free(plan);
    history_close(record);
}

static void doubt_is_never_unchanged(void **state)
{
    struct strake_record *record = history(*state);
    struct strake_plan *plan = now();
    const char *above = "target app, which it is built on, is never unchanged";

    plan->targets[0].inputs.doubt = strake_strdup("who knows");
    reseal(plan);
    expect(plan, record, "who knows", above);
    strake_free(plan->targets[0].inputs.doubt);
    plan->targets[0].inputs.doubt = NULL;
    assert_int_equal(strake_pairs_set(&plan->targets[0].inputs.bases, "base.example/b", ""), 0);
    reseal(plan);
    expect(plan, record, "the digest of the base image base.example/b is not known", above);
    strake_plan_free(plan);
    history_close(record);
}

static void without_a_past_everything_is_built(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_plan *plan = now();
    struct strake_err err = { 0 };

    expect(plan, record, "it was never published from here", "it was never published from here");
    expect(plan, NULL, "it was never published from here", "it was never published from here");
    assert_int_equal(post(record, STRAKE_EVENT_IMAGE_PUBLISHED, "app",
                          json_pack("{s:s,s:s}", "image", "h.example/a", "digest", FIRST), &err),
                     0);
    strake_strings_dispose(&plan->targets[1].images);
    expect(plan, record, "what made its image of " RUN " is not known",
           "it has no image that could be published");
    strake_plan_free(plan);
    history_close(record);
}

static int remember_and_find(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_record *record = ctx;
    struct strake_plan *plan = NULL;
    int rc = past_run(record, &err);

    if (rc == 0 && !(plan = plan_make()))
        rc = STRAKE_ENOMEM;
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        rc = strake_pairs_set(&plan->targets[i].inputs.bases, "base.example/b", SECOND);
        if (rc == 0)
            rc = strake_inputs_seal(plan, &plan->targets[i], &err);
    }
    if (rc == 0)
        rc = strake_reuse_find(plan, record, NULL, NULL, &err);
    assert_true(rc < 0 || plan->targets[1].past->unchanged);
    strake_plan_free(plan);
    strake_err_dispose(&err);
    return rc;
}

static void reuse_survives_every_failing_allocation(void **state)
{
    struct strake_record *record = history_open(*state);

    torture(remember_and_find, record);
    history_close(record);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_inputs_are_unchanged, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(what_is_different_is_named, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(doubt_is_never_unchanged, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(without_a_past_everything_is_built, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(reuse_survives_every_failing_allocation, folder_make,
                                        folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
