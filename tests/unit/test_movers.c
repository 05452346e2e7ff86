/* Sharing out moves: each once, those of a repository in order, none after a failure. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/movers.h"

#define MANY 60
#define REPOSITORIES 7

struct yard {
    struct strake_move moves[MANY];
    bool taken[MANY];
    char refs[MANY][64];
    pthread_mutex_t lock;
    size_t order[MANY]; /* what was done, in turn */
    size_t count;
    size_t fails; /* this move fails; MANY: none does */
};

static int move(void *ctx, size_t at, struct strake_manifest_kept *kept, struct strake_err *err)
{
    struct yard *yard = ctx;

    (void)kept;
    pthread_mutex_lock(&yard->lock);
    yard->order[yard->count++] = at;
    pthread_mutex_unlock(&yard->lock);
    return at == yard->fails ? strake_fail(err, STRAKE_EREGISTRY, "move %zu", at) : 0;
}

static void yard_fill(struct yard *yard)
{
    *yard = (struct yard){ .fails = MANY };
    pthread_mutex_init(&yard->lock, NULL);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(yard->refs[i], sizeof(yard->refs[i]), "h:5000/r%zu:t%zu", i % REPOSITORIES, i);
        yard->moves[i].ref = yard->refs[i];
    }
}

static int yard_run(struct yard *yard, size_t begin, size_t end, struct strake_err *err)
{
    const struct strake_movers movers = {
        .moves = yard->moves,
        .begin = begin,
        .end = end,
        .taken = yard->taken,
        .move = move,
        .ctx = yard,
    };
    struct strake_manifest_kept kept = { 0 };
    int rc = strake_movers_run(&movers, &kept, err);

    strake_manifest_kept_dispose(&kept);
    return rc;
}

static void movers_do_each_move_once_and_a_repositorys_in_order(void **state)
{
    (void)state;
    struct yard yard;
    struct strake_err err = { 0 };
    bool done[MANY] = { false };
    size_t last[REPOSITORIES] = { 0 };

    yard_fill(&yard);
    assert_int_equal(yard_run(&yard, 3, MANY, &err), 0);
    assert_int_equal(yard.count, MANY - 3);
    for (size_t i = 0; i < yard.count; i++) {
        size_t at = yard.order[i];
        assert_true(at >= 3 && at < MANY && !done[at]);
        done[at] = true;
        assert_true(at >= last[at % REPOSITORIES]);
        last[at % REPOSITORIES] = at;
    }
}

static void movers_keep_the_order_of_a_few(void **state)
{
    (void)state;
    struct yard yard;
    struct strake_err err = { 0 };

    yard_fill(&yard);
    assert_int_equal(yard_run(&yard, 10, 17, &err), 0);
    assert_int_equal(yard.count, 7);
    for (size_t i = 0; i < yard.count; i++)
        assert_int_equal(yard.order[i], 10 + i);
    assert_int_equal(yard_run(&yard, 20, 20, &err), 0);
    assert_int_equal(yard.count, 7);
}

static void movers_stop_at_a_failure(void **state)
{
    (void)state;
    struct yard yard;
    static const size_t ends[] = { 5, MANY };

    for (size_t i = 0; i < 2; i++) {
        struct strake_err err = { 0 };
        bool done[MANY] = { false };
        yard_fill(&yard);
        yard.fails = 0;
        assert_int_equal(yard_run(&yard, 0, ends[i], &err), STRAKE_EREGISTRY);
        assert_string_equal(strake_err_message(&err), "move 0");
        for (size_t k = 0; k < yard.count; k++) {
            assert_false(done[yard.order[k]]);
            done[yard.order[k]] = true;
        }
        /* Nobody goes on with the repository of the one that failed. */
        assert_false(done[REPOSITORIES]);
        strake_err_dispose(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(movers_do_each_move_once_and_a_repositorys_in_order),
        cmocka_unit_test(movers_keep_the_order_of_a_few),
        cmocka_unit_test(movers_stop_at_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
