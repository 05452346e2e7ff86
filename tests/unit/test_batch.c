/* Events on their way into the history: what waits, what takes it along, and where a log ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/record_impl.h"
#include "record_folder.h"

#define RUN "20260101T000000-aaaaaa"

static const char *const argv[] = { "strake", "build", NULL };
static char app[] = "app";

static struct strake_record *running(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_strings interrupted = { 0 };
    struct strake_err err = { 0 };

    assert_int_equal(strake_record_run_begin(record, RUN, "build", argv, "/p", &interrupted, &err),
                     0);
    return record;
}

static int post(struct strake_record *record, enum strake_event_type type, const char *key,
                const char *text)
{
    struct strake_event event = {
        .type = type, .time_us = 1, .target = app, .data = json_object()
    };
    struct strake_err err = { 0 };
    int rc;

    assert_int_equal(strake_json_set_str(event.data, "step", "s1"), 0);
    assert_int_equal(strake_json_set_str(event.data, key, text), 0);
    rc = strake_record_event(record, RUN, &event, &err);
    json_decref(event.data);
    strake_err_dispose(&err);
    return rc;
}

static int add_length(void *ctx, const char *target, const char *step, const char *text, size_t len)
{
    (void)target, (void)step, (void)text;
    *(size_t *)ctx += len;
    return 0;
}

/* What another process sees of the log. */
static size_t seen(void **state)
{
    struct strake_record *reader = NULL;
    struct strake_err err = { 0 };
    size_t total = 0;

    assert_int_equal(strake_record_open(*state, false, &reader, &err), 0);
    assert_int_equal(strake_record_logs(reader, RUN, add_length, &total, &err), 0);
    history_close(reader);
    return total;
}

static void batch_keeps_steps_and_logs_waiting(void **state)
{
    struct strake_record *record = running(state);

    assert_int_equal(post(record, STRAKE_EVENT_STEP_STARTED, "name", "RUN x"), 0);
    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "line\n"), 0);
    assert_non_null(record->first);
    assert_int_equal(seen(state), 0);
    history_close(record);
    assert_int_equal(seen(state), 5); /* the end takes them along */
}

static void batch_goes_with_the_next_event_of_another_kind(void **state)
{
    struct strake_record *record = running(state);

    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "line\n"), 0);
    assert_int_equal(post(record, STRAKE_EVENT_STEP_PROGRESS, "current", "1"), 0);
    assert_non_null(record->first); /* progress is not kept, and takes nothing along */
    assert_int_equal(post(record, STRAKE_EVENT_TARGET_DONE, "name", "app"), 0);
    assert_null(record->first);
    assert_int_equal(seen(state), 5);
    history_close(record);
}

static void batch_goes_when_it_is_old(void **state)
{
    struct strake_record *record = running(state);

    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "one\n"), 0);
    record->batch_since_ms -= 1000;
    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "two\n"), 0);
    assert_null(record->first);
    assert_int_equal(seen(state), 8);
    history_close(record);
}

static void batch_goes_when_it_is_large(void **state)
{
    struct strake_record *record = running(state);
    char *text = calloc(1, 300 * 1024 + 1);

    memset(text, 'x', 300 * 1024);
    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", text), 0);
    assert_null(record->first);
    assert_int_equal(seen(state), 300 * 1024);
    free(text);
    history_close(record);
}

/* 64 MiB of a run are kept; then one line says so, however much follows. */
static void batch_cuts_an_endless_log_once(void **state)
{
    struct strake_record *record = running(state);
    const size_t mib = (size_t)1024 * 1024;
    char *text = calloc(1, mib + 1);
    size_t total;

    memset(text, 'x', mib);
    for (int i = 0; i < 70; i++)
        assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", text), 0);
    free(text);
    history_close(record);
    total = seen(state);
    assert_in_range(total, 64 * mib + 1, 64 * mib + 200);
}

/* What cannot be written is dropped: the next events must not wait behind it for ever. */
static void batch_that_cannot_be_written_is_told_and_dropped(void **state)
{
    struct strake_record *record = running(state);
    struct strake_err err = { 0 };

    assert_int_equal(
        record->sql->exec(record->db, "ALTER TABLE logs RENAME TO gone", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "lost\n"), 0);
    assert_int_equal(post(record, STRAKE_EVENT_TARGET_DONE, "name", "app"), STRAKE_EINTERNAL);
    assert_null(record->first);
    assert_int_equal(
        record->sql->exec(record->db, "ALTER TABLE gone RENAME TO logs", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(post(record, STRAKE_EVENT_STEP_LOG, "text", "kept\n"), 0);
    assert_int_equal(strake_record_run_end(record, RUN, "done", 0, NULL, &err), 0);
    history_close(record);
    assert_int_equal(seen(state), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(batch_keeps_steps_and_logs_waiting),
        TEST(batch_goes_with_the_next_event_of_another_kind),
        TEST(batch_goes_when_it_is_old),
        TEST(batch_goes_when_it_is_large),
        TEST(batch_cuts_an_endless_log_once),
        TEST(batch_that_cannot_be_written_is_told_and_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
