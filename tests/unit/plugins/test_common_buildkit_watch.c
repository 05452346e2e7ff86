/* plugins/common/buildkit_watch.c: when a silent build counts as lost. */
#include "fake_host.h"

#include "common/buildkit_watch.h"

/* What the daemon does each time that it is listened to, and how often it was. */
static int answers[8];
static size_t asked;

static int reach(const void *self, struct strake_job *job, struct strake_err *err)
{
    (void)self;
    (void)job;
    int rc = answers[asked++];
    return rc == 0 ? 0 : fake_fail(err, rc, "it said nothing");
}

static const struct buildkit_client client = { .name = "buildctl", .reach = reach };

static const struct buildkit_call call = {
    .host = &fake_host,
    .client = &client,
    .liveness_ms = 10000,
    .err = &fake_err,
};

/* A build that has shown nothing for so long. */
static struct buildkit_watch silent_for(int64_t ms)
{
    asked = 0;
    memset(answers, 0, sizeof(answers));
    fake_err = (struct strake_err){ 0 };
    return (struct buildkit_watch){ .call = &call, .heard_ms = plug_now_ms() - ms };
}

static void watch_leaves_a_build_alone_that_shows_something(void **state)
{
    (void)state;
    struct buildkit_watch watch = silent_for(60000);
    buildkit_watch_heard(&watch);
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(asked, 0);
}

static void watch_lets_a_silent_step_go_on_while_the_daemon_answers(void **state)
{
    (void)state;
    struct buildkit_watch watch = silent_for(60000);
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(asked, 1);
    /* Its answer is a sign of life: the next look comes after another silence. */
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(asked, 1);
}

static void watch_forgives_one_miss(void **state)
{
    (void)state;
    struct buildkit_watch watch = silent_for(60000);
    answers[0] = STRAKE_EBUILDER;
    answers[2] = STRAKE_EBUILDER;
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(buildkit_watch_look(&watch), 0);
    watch.heard_ms -= 60000;
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(asked, 3);
    assert_int_equal(fake_err.code, 0);
}

static void watch_ends_a_build_after_two_misses(void **state)
{
    (void)state;
    struct buildkit_watch watch = silent_for(60000);
    answers[0] = answers[1] = STRAKE_EBUILDER;
    assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(buildkit_watch_look(&watch), STRAKE_EBUILDER);
    assert_int_equal(fake_err.code, STRAKE_EBUILDER);
    assert_string_equal(fake_err.message, "the builder was lost during the build: it said nothing");
    assert_non_null(strstr(fake_err.hint, "liveness"));
}

static void watch_does_not_take_our_own_troubles_for_the_daemons(void **state)
{
    (void)state;
    struct buildkit_watch watch = silent_for(60000);
    answers[0] = answers[1] = STRAKE_ECANCELLED;
    answers[2] = answers[3] = STRAKE_ENOMEM;
    for (int i = 0; i < 4; i++)
        assert_int_equal(buildkit_watch_look(&watch), 0);
    assert_int_equal(asked, 4);
    assert_int_equal(fake_err.code, 0);
}

static void watch_looks_often_enough_and_not_all_the_time(void **state)
{
    (void)state;
    static const struct {
        int64_t liveness_ms;
        int64_t every_ms;
    } cases[] = { { 0, 10 }, { 1, 10 }, { 400, 100 }, { 10000, 1000 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct buildkit_call one = { .liveness_ms = cases[i].liveness_ms };
        const struct buildkit_watch watch = { .call = &one };
        assert_int_equal(buildkit_watch_every(&watch), cases[i].every_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch_leaves_a_build_alone_that_shows_something),
        cmocka_unit_test(watch_lets_a_silent_step_go_on_while_the_daemon_answers),
        cmocka_unit_test(watch_forgives_one_miss),
        cmocka_unit_test(watch_ends_a_build_after_two_misses),
        cmocka_unit_test(watch_does_not_take_our_own_troubles_for_the_daemons),
        cmocka_unit_test(watch_looks_often_enough_and_not_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
