/* Pieces of work side by side: each once, the first failure told, nothing begun after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/each.h"

struct seen {
    atomic_int times[100];
    atomic_int running, most;
    size_t fails_from; /* these and the ones behind fail */
};

static int work(void *ctx, size_t i, struct strake_err *err)
{
    struct seen *seen = ctx;
    int now = atomic_fetch_add(&seen->running, 1) + 1, most = atomic_load(&seen->most);

    while (now > most && !atomic_compare_exchange_weak(&seen->most, &most, now))
        ;
    atomic_fetch_add(&seen->times[i], 1);
    usleep(1000);
    atomic_fetch_sub(&seen->running, 1);
    return i >= seen->fails_from ? strake_fail(err, STRAKE_ENETWORK, "piece %zu", i) : 0;
}

static void each_does_every_piece_once(void **state)
{
    static const size_t threads[] = { 0, 1, 2, 5, 1000 };

    (void)state;
    for (size_t t = 0; t < sizeof(threads) / sizeof(threads[0]); t++) {
        struct seen seen = { .fails_from = 100 };
        struct strake_err err = { 0 };
        assert_int_equal(strake_each(100, threads[t], work, &seen, &err), 0);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(atomic_load(&seen.times[i]), 1);
        assert_true(atomic_load(&seen.most) <= STRAKE_EACH_THREADS_MAX);
        assert_int_equal(err.code, 0);
    }
}

static void each_uses_several_threads(void **state)
{
    struct seen seen = { .fails_from = 100 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_each(100, 4, work, &seen, &err), 0);
    assert_in_range(atomic_load(&seen.most), 2, 4);
}

static void each_does_nothing_where_there_is_nothing(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_each(0, 4, work, NULL, &err), 0);
}

static void each_tells_the_lowest_failure_and_begins_no_more(void **state)
{
    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        struct seen seen = { .fails_from = 3 };
        struct strake_err err = { 0 };
        int begun = 0;
        assert_int_equal(strake_each(100, 4, work, &seen, &err), STRAKE_ENETWORK);
        assert_string_equal(strake_err_message(&err), "piece 3");
        for (size_t i = 0; i < 100; i++)
            begun += atomic_load(&seen.times[i]);
        assert_in_range(begun, 4, 8);
        strake_err_dispose(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_does_every_piece_once),
        cmocka_unit_test(each_uses_several_threads),
        cmocka_unit_test(each_does_nothing_where_there_is_nothing),
        cmocka_unit_test(each_tells_the_lowest_failure_and_begins_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
