/* build/route and build/pool: which builder takes which platforms, and what is said when none can. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "build/pool.h"
#include "image/platform.h"
#include "plugin/loader.h"
#include "util/json.h"
#include "util/time.h"

/* What a builder of a test says of itself. */
struct said {
    const char *name, *platforms, *slow, *down;
    int slots;
};

/* A plan of one target with these builders. */
struct fixture {
    struct strake_plan plan;
    struct strake_plan_target target;
    struct strake_plan_build builds[4];
    struct strake_job *job;
    struct strake_pool *pool;
    struct strake_err err;
};

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    setenv("STRAKE_PLUGIN_PATH", ABI_PLUGINS, 1);
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

static json_t *options_of(const struct said *said)
{
    json_t *options = json_object();

    strake_json_set_str(options, "platforms", said->platforms);
    strake_json_set_str(options, "slow", said->slow);
    strake_json_set_str(options, "down", said->down);
    return options;
}

static void begin(struct fixture *fixture, const struct said *said, const char *const *platforms)
{
    *fixture = (struct fixture){ .target = { .name = (char *)"app" } };
    for (; said->name; said++)
        fixture->builds[fixture->target.build_count++] =
            (struct strake_plan_build){ .builder = (char *)said->name,
                                        .plugin = (char *)"fleet",
                                        .options = options_of(said),
                                        .slots = said->slots };
    for (; *platforms; platforms++)
        assert_int_equal(strake_strings_add(&fixture->target.platforms, *platforms), 0);
    fixture->target.builds = fixture->builds;
    fixture->plan = (struct strake_plan){ .targets = &fixture->target, .count = 1 };
    fixture->job = strake_job_new(NULL, NULL, NULL);
    assert_int_equal(strake_pool_new(&fixture->plan, fixture->job, &fixture->pool, &fixture->err),
                     0);
}

static void end(struct fixture *fixture)
{
    strake_pool_free(fixture->pool);
    strake_job_free(fixture->job);
    for (size_t i = 0; i < fixture->target.build_count; i++)
        json_decref(fixture->builds[i].options);
    strake_strings_dispose(&fixture->target.platforms);
    strake_err_dispose(&fixture->err);
}

static int route(struct fixture *fixture, bool together, struct strake_route *out)
{
    *out = (struct strake_route){ 0 };
    return strake_pool_route(fixture->pool, &fixture->target, &fixture->target.platforms, together,
                             NULL, fixture->job, out, &fixture->err);
}

/* "amd linux/amd64 | arm linux/arm64", a part each. */
static void assert_route(struct fixture *fixture, bool together, const char *expected)
{
    struct strake_route made;
    struct strake_buf text = STRAKE_BUF(4096);

    if (route(fixture, together, &made) < 0)
        fail_msg("%s", strake_err_message(&fixture->err));
    for (size_t i = 0; i < made.count; i++) {
        strake_buf_printf(&text, "%s%s", i ? " | " : "", strake_pool_name(made.parts[i].member));
        for (size_t k = 0; k < made.parts[i].platforms.count; k++)
            strake_buf_printf(&text, " %s", made.parts[i].platforms.items[k]);
    }
    assert_string_equal(strake_buf_text(&text), expected);
    strake_buf_dispose(&text);
    strake_route_dispose(fixture->pool, &made);
}

static void assert_nobody(struct fixture *fixture, bool together, const char *const *parts)
{
    struct strake_route made;

    assert_int_equal(route(fixture, together, &made), STRAKE_EBUILDER);
    assert_int_equal(made.count, 0);
    for (; *parts; parts++) {
        const char *detail = fixture->err.detail ? fixture->err.detail : "";
        if (!strstr(strake_err_message(&fixture->err), *parts) && !strstr(detail, *parts))
            fail_msg("\"%s\" is neither in \"%s\" nor in \"%s\"", *parts,
                     strake_err_message(&fixture->err), detail);
    }
    strake_err_dispose(&fixture->err);
}

#define PLATFORMS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE ((const char *const[]){ NULL })

static void native_comes_before_emulated(void **state)
{
    const struct said said[] = { { "amd", "linux/amd64,linux/arm64", NULL, NULL, 0 },
                                 { "arm", "linux/arm64,linux/amd64", NULL, NULL, 0 },
                                 { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/arm64", "linux/amd64"));
    assert_route(&fixture, false, "arm linux/arm64 | amd linux/amd64");
    end(&fixture);
}

static void emulated_is_better_than_nobody(void **state)
{
    const struct said said[] = { { "down", NULL, NULL, "it is switched off", 0 },
                                 { "amd", "linux/amd64,linux/arm64", NULL, NULL, 0 },
                                 { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/arm64", "linux/amd64"));
    assert_route(&fixture, false, "amd linux/arm64 linux/amd64");
    end(&fixture);
}

static void a_slow_native_builder_keeps_its_platform(void **state)
{
    const struct said said[] = { { "amd", "linux/amd64,linux/arm64", NULL, NULL, 0 },
                                 { "arm", "linux/arm64", "900", NULL, 0 },
                                 { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/arm64"));
    assert_route(&fixture, false, "arm linux/arm64");
    end(&fixture);
}

static void a_silent_builder_holds_nobody_up(void **state)
{
    const struct said said[] = { { "mute", "linux/amd64", "60000", NULL, 0 },
                                 { "lab", "linux/amd64", NULL, NULL, 0 },
                                 { 0 } };
    struct fixture fixture;
    int64_t began = strake_time_mono_ms();

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    assert_route(&fixture, false, "lab linux/amd64");
    end(&fixture);
    assert_true(strake_time_mono_ms() - began < 30000);
}

static void the_emptiest_is_chosen_and_then_the_first(void **state)
{
    const struct said said[] = { { "one", "linux/amd64", NULL, NULL, 2 },
                                 { "two", "linux/amd64", NULL, NULL, 3 },
                                 { 0 } };
    struct strake_route held[4];
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    const char *const expected[] = { "two", "one", "two", "one" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(route(&fixture, false, &held[i]), 0);
        assert_string_equal(strake_pool_name(held[i].parts[0].member), expected[i]);
    }
    for (size_t i = 0; i < 4; i++)
        strake_route_dispose(fixture.pool, &held[i]);
    assert_route(&fixture, false, "two linux/amd64");
    end(&fixture);
}

static void together_is_one_builder_or_nobody(void **state)
{
    const struct said said[] = { { "amd", "linux/amd64", NULL, NULL, 0 },
                                 { "both", "linux/arm64,linux/amd64", NULL, NULL, 0 },
                                 { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64", "linux/arm64"));
    assert_route(&fixture, true, "both linux/amd64 linux/arm64");
    strake_strings_add(&fixture.target.platforms, "linux/s390x");
    assert_nobody(&fixture, true, PLATFORMS("for all of its platforms", "amd: it builds for"));
    end(&fixture);
}

static void nobody_is_told_with_each_reason(void **state)
{
    const struct said said[] = { { "amd", "linux/amd64", NULL, NULL, 0 },
                                 { "down", NULL, NULL, "it is switched off", 0 },
                                 { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64", "linux/riscv64"));
    assert_nobody(&fixture, false,
                  PLATFORMS("no builder can take target app for linux/riscv64",
                            "amd: it builds for linux/amd64", "down: it is switched off"));
    end(&fixture);
}

static void several_builders_build_for_this_machine_by_default(void **state)
{
    const struct said said[] = { { "other", "linux/s390x", NULL, NULL, 0 },
                                 { "silent", "", NULL, NULL, 0 },
                                 { 0 } };
    struct fixture fixture;
    char expected[STRAKE_PLATFORM_TEXT + 8];

    (void)state;
    snprintf(expected, sizeof(expected), "silent %s", strake_platform_host());
    begin(&fixture, said, NONE);
    assert_route(&fixture, false, expected);
    end(&fixture);
}

static void a_single_builder_is_not_asked(void **state)
{
    const struct said said[] = { { "down", NULL, NULL, "it is switched off", 0 }, { 0 } };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, NONE);
    assert_route(&fixture, false, "down");
    strake_strings_add(&fixture.target.platforms, strake_platform_host());
    assert_false(strake_pool_must_ask(&fixture.target));
    strake_strings_add(&fixture.target.platforms, "linux/s390x");
    assert_true(strake_pool_must_ask(&fixture.target));
    assert_nobody(&fixture, false, PLATFORMS("it is switched off"));
    end(&fixture);
}

static void a_lost_builder_is_asked_again_when_nobody_is_there(void **state)
{
    const struct said said[] = { { "lab", "linux/amd64", NULL, NULL, 0 },
                                 { "gone", NULL, NULL, "it is switched off", 0 },
                                 { 0 } };
    struct strake_route held;
    struct strake_err lost = { 0 };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    assert_int_equal(route(&fixture, false, &held), 0);
    strake_fail(&lost, STRAKE_EBUILDER, "error reading server: EOF");
    strake_pool_lost(fixture.pool, held.parts[0].member, &lost);
    strake_route_dispose(fixture.pool, &held);
    strake_err_dispose(&lost);
    assert_route(&fixture, false, "lab linux/amd64");
    end(&fixture);
}

/* Other targets come and go while this one waits for a builder that was lost. */
static void *wake_often(void *ctx)
{
    for (int i = 0; i < 100; i++) {
        const struct timespec pause = { .tv_nsec = 2000000 };
        nanosleep(&pause, NULL);
        strake_pool_wake(ctx);
    }
    return NULL;
}

static void what_others_do_does_not_use_up_the_patience(void **state)
{
    const struct said said[] = { { "lab", "linux/amd64", NULL, NULL, 0 },
                                 { "gone", NULL, NULL, "it is switched off", 0 },
                                 { 0 } };
    struct strake_route held;
    struct strake_err lost = { 0 };
    struct fixture fixture;
    pthread_t others;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    assert_int_equal(route(&fixture, false, &held), 0);
    strake_fail(&lost, STRAKE_EBUILDER, "error reading server: EOF");
    strake_pool_lost(fixture.pool, held.parts[0].member, &lost);
    strake_route_dispose(fixture.pool, &held);
    strake_err_dispose(&lost);
    assert_int_equal(pthread_create(&others, NULL, wake_often, fixture.pool), 0);
    assert_route(&fixture, false, "lab linux/amd64");
    pthread_join(others, NULL);
    end(&fixture);
}

static void what_was_refused_once_is_not_chosen(void **state)
{
    const struct said said[] = { { "one", "linux/amd64", NULL, NULL, 9 },
                                 { "two", "linux/amd64", NULL, NULL, 1 },
                                 { 0 } };
    struct strake_refusals refusals = { 0 };
    struct strake_route held, made = { 0 };
    struct strake_err why = { 0 };
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    assert_int_equal(route(&fixture, false, &held), 0);
    assert_string_equal(strake_pool_name(held.parts[0].member), "one");
    strake_fail(&why, STRAKE_EUNSUPPORTED, "it knows no here-documents");
    assert_int_equal(strake_refusals_add(fixture.pool, &refusals, held.parts[0].member, &why), 0);
    assert_int_equal(strake_pool_route(fixture.pool, &fixture.target, &fixture.target.platforms,
                                       false, &refusals, fixture.job, &made, &fixture.err),
                     0);
    assert_string_equal(strake_pool_name(made.parts[0].member), "two");
    strake_route_dispose(fixture.pool, &made);
    strake_route_dispose(fixture.pool, &held);
    strake_refusals_dispose(&refusals);
    end(&fixture);
}

static void a_cancelled_job_is_not_kept_waiting(void **state)
{
    const struct said said[] = { { "mute", "linux/amd64", "60000", NULL, 0 },
                                 { "mute too", "linux/amd64", "60000", NULL, 0 },
                                 { 0 } };
    struct strake_route made;
    struct fixture fixture;

    (void)state;
    begin(&fixture, said, PLATFORMS("linux/amd64"));
    strake_job_cancel(fixture.job);
    assert_int_equal(route(&fixture, false, &made), STRAKE_ECANCELLED);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_comes_before_emulated),
        cmocka_unit_test(emulated_is_better_than_nobody),
        cmocka_unit_test(a_slow_native_builder_keeps_its_platform),
        cmocka_unit_test(a_silent_builder_holds_nobody_up),
        cmocka_unit_test(the_emptiest_is_chosen_and_then_the_first),
        cmocka_unit_test(together_is_one_builder_or_nobody),
        cmocka_unit_test(nobody_is_told_with_each_reason),
        cmocka_unit_test(several_builders_build_for_this_machine_by_default),
        cmocka_unit_test(a_single_builder_is_not_asked),
        cmocka_unit_test(a_lost_builder_is_asked_again_when_nobody_is_there),
        cmocka_unit_test(what_others_do_does_not_use_up_the_patience),
        cmocka_unit_test(what_was_refused_once_is_not_chosen),
        cmocka_unit_test(a_cancelled_job_is_not_kept_waiting),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
