/* Work on threads: results on the loop, idle threads used again, what never comes back. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/mem.h"
#include "util/thread.h"
#include "util/work.h"

#include "torture.h"

/* A piece of work that doubles, and what came back. */
struct doubling {
    int value;
    int result;
    int rc;
    pthread_t ran_on;
    pthread_t done_on;
    atomic_int *most; /* how many ran at once at most */
    atomic_int *now;
};

static int double_it(void *ctx)
{
    struct doubling *piece = ctx;
    piece->ran_on = pthread_self();
    if (piece->now != NULL) {
        int now = atomic_fetch_add(piece->now, 1) + 1;
        int most = atomic_load(piece->most);
        while (now > most && !atomic_compare_exchange_weak(piece->most, &most, now))
            continue;
        usleep(2000);
        atomic_fetch_sub(piece->now, 1);
    }
    piece->result = piece->value * 2;
    return -piece->value;
}

static void note_done(void *ctx, int rc)
{
    struct doubling *piece = ctx;
    piece->rc = rc;
    piece->done_on = pthread_self();
}

struct fixture {
    uv_loop_t loop;
    struct strake_work *work;
};

static void fixture_start(struct fixture *fixture)
{
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->work = strake_work_new(&fixture->loop);
    assert_non_null(fixture->work);
}

static void fixture_end(struct fixture *fixture)
{
    strake_work_free(fixture->work);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

static void start_runs_elsewhere_and_is_done_on_the_loop(void **state)
{
    (void)state;
    struct fixture fixture;
    struct doubling pieces[20] = { 0 };
    fixture_start(&fixture);
    for (int i = 0; i < 20; i++) {
        pieces[i].value = i;
        assert_int_equal(strake_work_start(fixture.work, double_it, note_done, &pieces[i]), 0);
    }
    uv_run(&fixture.loop, UV_RUN_DEFAULT); /* as long as work is out */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pieces[i].result, 2 * i);
        assert_int_equal(pieces[i].rc, -i);
        assert_true(pthread_equal(pieces[i].done_on, pthread_self()));
        assert_false(pthread_equal(pieces[i].ran_on, pthread_self()));
    }
    assert_int_equal(uv_run(&fixture.loop, UV_RUN_DEFAULT), 0); /* nothing holds it any more */
    fixture_end(&fixture);
}

static void start_runs_64_at_once_and_lets_the_rest_wait(void **state)
{
    (void)state;
    enum { PIECES = 300 };
    struct fixture fixture;
    struct doubling *pieces = strake_calloc(PIECES, sizeof(*pieces));
    atomic_int most = 0, now = 0;
    fixture_start(&fixture);
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = (struct doubling){ .value = i, .most = &most, .now = &now };
        assert_int_equal(strake_work_start(fixture.work, double_it, note_done, &pieces[i]), 0);
    }
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(pieces[i].rc, -i);
    assert_in_range(atomic_load(&most), 2, 64);
    fixture_end(&fixture);
    strake_free(pieces);
}

/* From a `done` the next piece is started, on a thread that is idle again by then. */
struct chain {
    struct strake_work *work;
    int left;
    int changes; /* how often another thread ran it than the time before */
    pthread_t last;
};

static int chain_run(void *ctx)
{
    struct chain *chain = ctx;
    chain->changes += !pthread_equal(chain->last, pthread_self());
    chain->last = pthread_self();
    return 0;
}

static void chain_done(void *ctx, int rc)
{
    struct chain *chain = ctx;
    assert_int_equal(rc, 0);
    if (--chain->left == 0)
        return;
    usleep(1000);
    assert_int_equal(strake_work_start(chain->work, chain_run, chain_done, chain), 0);
}

static void start_uses_an_idle_thread_again(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture);
    struct chain chain = { .work = fixture.work, .left = 50, .last = pthread_self() };
    assert_int_equal(strake_work_start(fixture.work, chain_run, chain_done, &chain), 0);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    assert_int_equal(chain.left, 0);
    assert_in_range(chain.changes, 1, 25); /* a busy machine may need a second thread */
    fixture_end(&fixture);
}

static int look_at_signals(void *ctx)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    *(bool *)ctx = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1;
    return 0;
}

static void ignore_done(void *ctx, int rc)
{
    (void)ctx, (void)rc;
}

static void threads_leave_signals_to_the_main_thread(void **state)
{
    (void)state;
    struct fixture fixture;
    bool blocked = false;
    fixture_start(&fixture);
    assert_int_equal(strake_work_start(fixture.work, look_at_signals, ignore_done, &blocked), 0);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    assert_true(blocked);
    fixture_end(&fixture);
}

/* ---- what is still out ---------------------------------------------------------------------- */

struct gate {
    sem_t begun;
    sem_t open;
    sem_t left;
    int done;
};

static void gate_init(struct gate *gate)
{
    sem_init(&gate->begun, 0, 0);
    sem_init(&gate->open, 0, 0);
    sem_init(&gate->left, 0, 0);
    gate->done = 0;
}

static void gate_destroy(struct gate *gate)
{
    sem_destroy(&gate->begun);
    sem_destroy(&gate->open);
    sem_destroy(&gate->left);
}

static int wait_at_gate(void *ctx)
{
    struct gate *gate = ctx;
    sem_post(&gate->begun);
    sem_wait(&gate->open);
    sem_post(&gate->left);
    return 7;
}

static void count_done(void *ctx, int rc)
{
    struct gate *gate = ctx;
    (void)rc;
    gate->done++;
}

static void free_leaves_behind_what_does_not_come_back(void **state)
{
    (void)state;
    struct fixture fixture;
    struct gate gate;
    gate_init(&gate);
    fixture_start(&fixture);
    assert_int_equal(strake_work_start(fixture.work, wait_at_gate, count_done, &gate), 0);
    sem_wait(&gate.begun);
    fixture_end(&fixture); /* does not wait, and closes the loop */
    sem_post(&gate.open);
    sem_wait(&gate.left);
    assert_int_equal(gate.done, 0);
    usleep(20000); /* the thread is on its way out of what it kept alive */
    gate_destroy(&gate);
}

static void free_in_done(void *ctx, int rc)
{
    struct fixture *fixture = ctx;
    assert_int_equal(rc, 3);
    strake_work_free(fixture->work);
    fixture->work = NULL;
}

static int give_three(void *ctx)
{
    (void)ctx;
    return 3;
}

static void free_from_within_done_is_allowed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture);
    assert_int_equal(strake_work_start(fixture.work, give_three, free_in_done, &fixture), 0);
    assert_int_equal(strake_work_start(fixture.work, give_three, ignore_done, NULL), 0);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    assert_null(fixture.work);
    fixture_end(&fixture); /* frees NULL */
}

/* ---- calls with a limit --------------------------------------------------------------------- */

static void drop_gate(void *ctx)
{
    struct gate *gate = ctx;
    sem_post(&gate->left);
}

static void call_gives_the_result_in_time(void **state)
{
    (void)state;
    struct doubling piece = { .value = 21 };
    assert_int_equal(strake_work_call(double_it, NULL, &piece, NULL, 60000, 0), -21);
    assert_int_equal(piece.result, 42);
}

static void call_leaves_a_late_one_behind_and_drops_it_later(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate);
    assert_int_equal(strake_work_call(wait_at_gate, drop_gate, &gate, NULL, 20, 0),
                     STRAKE_ETIMEOUT);
    sem_post(&gate.open);
    sem_wait(&gate.left); /* by run */
    sem_wait(&gate.left); /* by drop */
    usleep(20000);
    gate_destroy(&gate);
}

static void call_waits_only_a_grace_once_its_job_is_cancelled(void **state)
{
    (void)state;
    struct gate gate;
    gate_init(&gate);
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    strake_job_cancel(job);
    unsigned left = strake_threads_left();
    assert_int_equal(strake_work_call(wait_at_gate, drop_gate, &gate, job, -1, 20),
                     STRAKE_ETIMEOUT);
    assert_int_equal(strake_threads_left(), left + 1);
    sem_post(&gate.open);
    sem_wait(&gate.left); /* by run */
    sem_wait(&gate.left); /* by drop */
    usleep(20000);
    assert_int_equal(strake_threads_left(), left);
    strake_job_free(job);
    gate_destroy(&gate);
}

static void calls_use_an_idle_thread_again(void **state)
{
    (void)state;
    struct doubling first = { .value = 1 }, second = { .value = 2 };
    assert_int_equal(strake_work_call(double_it, NULL, &first, NULL, -1, 0), -1);
    assert_int_equal(strake_work_call(double_it, NULL, &second, NULL, -1, 0), -2);
    assert_true(pthread_equal(first.ran_on, second.ran_on));
}

static int start_once(void *ctx)
{
    (void)ctx;
    uv_loop_t loop;
    struct doubling piece = { .value = 4 };
    assert_int_equal(uv_loop_init(&loop), 0);
    struct strake_work *work = strake_work_new(&loop);
    int rc = work != NULL ? strake_work_start(work, double_it, note_done, &piece) : STRAKE_ENOMEM;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(piece.rc, rc == 0 ? -4 : 0);
    strake_work_free(work);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return rc;
}

static int call_once(void *ctx)
{
    (void)ctx;
    struct doubling piece = { .value = 4 };
    int rc = strake_work_call(double_it, NULL, &piece, NULL, 60000, 0);
    return rc == -4 ? 0 : rc;
}

static void work_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(start_once, NULL);
    torture(call_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_runs_elsewhere_and_is_done_on_the_loop),
        cmocka_unit_test(start_runs_64_at_once_and_lets_the_rest_wait),
        cmocka_unit_test(start_uses_an_idle_thread_again),
        cmocka_unit_test(threads_leave_signals_to_the_main_thread),
        cmocka_unit_test(free_leaves_behind_what_does_not_come_back),
        cmocka_unit_test(free_from_within_done_is_allowed),
        cmocka_unit_test(call_gives_the_result_in_time),
        cmocka_unit_test(call_leaves_a_late_one_behind_and_drops_it_later),
        cmocka_unit_test(call_waits_only_a_grace_once_its_job_is_cancelled),
        cmocka_unit_test(calls_use_an_idle_thread_again),
        cmocka_unit_test(work_survives_every_failing_allocation),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    strake_threads_reap();
    return failed;
}
