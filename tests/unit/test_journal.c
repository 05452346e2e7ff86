/* The publish journal: what it keeps over ends, kills and failing allocations. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/journal.h"
#include "record_folder.h"
#include "torture.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

static char digest_a[] = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static char digest_b[] = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static char no_digest[] = "";
static char media_type[] = MANIFEST;
static char ref_one[] = "127.0.0.1:5000/app:1", ref_two[] = "127.0.0.1:5000/app:latest";

static const struct strake_move moves[] = {
    { .ref = ref_one, .from = no_digest, .to = digest_b, .media_type = media_type },
    { .ref = ref_two,
      .from = digest_a,
      .to = digest_b,
      .media_type = media_type,
      .from_media_type = media_type },
};

static size_t pending_count(struct strake_record *record)
{
    struct strake_err err = { 0 };
    struct strake_unit *units = NULL;
    size_t count = 0;

    assert_int_equal(strake_journal_pending(record, &units, &count, &err), 0);
    strake_units_free(units, count);
    return count;
}

static void journal_keeps_a_unit_as_it_was_begun(void **state)
{
    struct strake_err err = { 0 };
    struct strake_record *record = history_open(*state);
    struct strake_unit *units = NULL;
    size_t count = 0;
    int64_t id = 0;

    assert_false(strake_journal_waits(record));
    assert_int_equal(strake_journal_begin(record, "run-1", "publish", moves, 2, &id, &err), 0);
    assert_int_equal(strake_journal_mark(record, id, 1, true, &err), 0);
    history_close(record);

    record = history_open(*state);
    assert_true(strake_journal_waits(record));
    assert_int_equal(strake_journal_pending(record, &units, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(units[0].id, id);
    assert_string_equal(units[0].run, "run-1");
    assert_string_equal(units[0].kind, "publish");
    assert_int_equal(units[0].count, 2);
    assert_string_equal(units[0].moves[0].ref, ref_one);
    assert_string_equal(units[0].moves[0].from, "");
    assert_string_equal(units[0].moves[0].to, digest_b);
    assert_string_equal(units[0].moves[0].from_media_type, "");
    assert_false(units[0].moves[0].done);
    assert_string_equal(units[0].moves[1].ref, ref_two);
    assert_string_equal(units[0].moves[1].from, digest_a);
    assert_string_equal(units[0].moves[1].media_type, MANIFEST);
    assert_string_equal(units[0].moves[1].from_media_type, MANIFEST);
    assert_true(units[0].moves[1].done);
    strake_units_free(units, count);
    history_close(record);
}

static void journal_forgets_a_unit_that_ended(void **state)
{
    static const char *const outcomes[] = { "done", "rolled-back", "partial" };
    struct strake_err err = { 0 };
    struct strake_record *record = history_open(*state);

    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        int64_t id = 0;
        assert_int_equal(strake_journal_begin(record, "run-1", "tag", moves, 2, &id, &err), 0);
        assert_int_equal(pending_count(record), 1);
        assert_int_equal(strake_journal_end(record, id, outcomes[i], &err), 0);
        assert_int_equal(pending_count(record), 0);
        assert_false(strake_journal_waits(record));
    }
    history_close(record);
}

static void journal_leaves_the_unit_of_a_live_run_alone(void **state)
{
    static const char *const argv[] = { "strake", "build", NULL };
    struct strake_err err = { 0 };
    struct strake_strings interrupted = { 0 };
    struct strake_record *record = history_open(*state), *other = history_open(*state);
    int64_t id = 0;

    assert_int_equal(
        strake_record_run_begin(record, "run-1", "build", argv, "/p", &interrupted, &err), 0);
    assert_int_equal(strake_journal_begin(record, "run-1", "publish", moves, 2, &id, &err), 0);
    assert_int_equal(pending_count(other), 0);
    history_close(record);
    assert_int_equal(pending_count(other), 1);
    history_close(other);
    strake_strings_dispose(&interrupted);
}

/* ---- killed ---- */

enum told { TOLD_BEGUN, TOLD_ENDED };
struct tell {
    enum told what;
    int64_t id;
};

/* One unit after the other, telling what the journal has promised; until killed. */
static void publish_until_killed(const char *dir, int pipe_fd)
{
    struct strake_err err = { 0 };
    struct strake_record *record = NULL;

    if (strake_record_open(dir, true, &record, &err) < 0)
        _exit(1);
    for (;;) {
        struct tell tell = { .what = TOLD_BEGUN };
        if (strake_journal_begin(record, "run-k", "publish", moves, 2, &tell.id, &err) < 0 ||
            write(pipe_fd, &tell, sizeof(tell)) != (ssize_t)sizeof(tell))
            _exit(2);
        for (size_t i = 0; i < 2; i++) {
            if (strake_journal_mark(record, tell.id, i, true, &err) < 0)
                _exit(3);
        }
        tell.what = TOLD_ENDED;
        if (strake_journal_end(record, tell.id, "done", &err) < 0 ||
            write(pipe_fd, &tell, sizeof(tell)) != (ssize_t)sizeof(tell))
            _exit(4);
    }
}

/* The first tell is waited for, so that each round kills a child that really publishes. */
static void read_tells(int fd, pid_t child, long delay_us, int64_t *begun, int64_t *ended)
{
    struct timespec delay = { .tv_nsec = delay_us * 1000 };
    struct tell tell;
    bool killed = false;

    while (read(fd, &tell, sizeof(tell)) == (ssize_t)sizeof(tell)) {
        *(tell.what == TOLD_BEGUN ? begun : ended) = tell.id;
        if (!killed) {
            nanosleep(&delay, NULL);
            kill(child, SIGKILL);
            killed = true;
        }
    }
}

static void check_after_kill(const char *dir, int64_t begun, int64_t ended)
{
    struct strake_err err = { 0 };
    struct strake_record *record = history_open(dir);
    struct strake_unit *units = NULL;
    size_t count = 0;
    int64_t next = 0;

    assert_int_equal(strake_journal_pending(record, &units, &count, &err), 0);
    assert_true(count <= 1);
    for (size_t i = 0; i < count; i++) {
        assert_true(units[i].id > ended);
        assert_true(units[i].id >= begun);
        assert_int_equal(units[i].count, 2);
        assert_string_equal(units[i].moves[0].to, digest_b);
        assert_string_equal(units[i].moves[1].from, digest_a);
        /* moves are done in their order */
        assert_true(units[i].moves[0].done || !units[i].moves[1].done);
        assert_int_equal(strake_journal_end(record, units[i].id, "rolled-back", &err), 0);
    }
    strake_units_free(units, count);
    /* numbers go on from the highest there is: a unit that was lost would give its own away
     * again */
    assert_int_equal(strake_journal_begin(record, "run-c", "tag", moves, 1, &next, &err), 0);
    assert_true(next > begun);
    assert_int_equal(strake_journal_end(record, next, "done", &err), 0);
    history_close(record);
}

static void journal_holds_what_it_promised_when_killed_at_any_moment(void **state)
{
    for (int round = 0; round < 16; round++) {
        int64_t begun = 0, ended = 0;
        int fds[2], status;
        pid_t child;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            publish_until_killed(*state, fds[1]);
        }
        close(fds[1]);
        read_tells(fds[0], child, (round * 977) % 15000, &begun, &ended);
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(begun > 0);
        check_after_kill(*state, begun, ended);
    }
}

/* ---- torture ---- */

static int begin_mark_end(void *ctx)
{
    struct strake_err err = { 0 };
    int64_t id = 0;
    int rc = strake_journal_begin(ctx, "run-t", "publish", moves, 2, &id, &err);

    if (rc == 0)
        rc = strake_journal_mark(ctx, id, 0, true, &err);
    if (rc == 0)
        rc = strake_journal_end(ctx, id, "done", &err);
    assert_int_equal(err.code, rc);
    strake_err_dispose(&err);
    return rc;
}

static int read_pending(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_unit *units = NULL;
    size_t count = 0;
    int rc = strake_journal_pending(ctx, &units, &count, &err);

    assert_int_equal(err.code, rc);
    /* Without memory nobody can tell whether a run lives: its unit is left for the next time. */
    assert_true(count <= 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(units[i].count, 2);
        assert_string_equal(units[i].moves[1].ref, ref_two);
    }
    strake_units_free(units, count);
    strake_err_dispose(&err);
    return rc;
}

static void journal_survives_every_failing_allocation(void **state)
{
    struct strake_err err = { 0 };
    struct strake_record *record = history_open(*state);
    int64_t id = 0;

    torture(begin_mark_end, record);
    assert_int_equal(pending_count(record), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(strake_journal_begin(record, "run-1", "tag", moves, 2, &id, &err), 0);
    torture(read_pending, record);
    assert_int_equal(pending_count(record), 2);
    history_close(record);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(journal_keeps_a_unit_as_it_was_begun),
        TEST(journal_forgets_a_unit_that_ended),
        TEST(journal_leaves_the_unit_of_a_live_run_alone),
        TEST(journal_holds_what_it_promised_when_killed_at_any_moment),
        TEST(journal_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
