/* The history as a file: made, refused when newer or damaged, and what happens when it is full. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "record_folder.h"
#include "torture.h"

static const char *const argv[] = { "strake", "build", "app", NULL };

static char *database(const char *dir)
{
    return strake_fs_join(dir, "history.db");
}

static void begin(struct strake_record *record, const char *run, struct strake_strings *interrupted)
{
    struct strake_err err = { 0 };

    if (strake_record_run_begin(record, run, "build", argv, "/project", interrupted, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
}

static int post_log(struct strake_record *record, const char *run, const char *text,
                    struct strake_err *err)
{
    char target[] = "app";
    struct strake_event event = {
        .type = STRAKE_EVENT_STEP_LOG, .time_us = 1, .target = target, .data = json_object()
    };
    int rc = STRAKE_ENOMEM;

    if (event.data && strake_json_set_str(event.data, "step", "s1") == 0 &&
        strake_json_set_str(event.data, "text", text) == 0)
        rc = strake_record_event(record, run, &event, err);
    json_decref(event.data);
    return rc;
}

static void open_makes_a_private_folder_and_file(void **state)
{
    char *dir = strake_fs_join(*state, "deep/state"), *path = database(dir);
    struct stat st;

    history_close(history_open(dir));
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    strake_free(path);
    strake_free(dir);
}

static void open_for_reading_makes_nothing(void **state)
{
    struct strake_err err = { 0 };
    struct strake_record *record = NULL;
    char *path = database(*state);

    assert_int_equal(strake_record_open(*state, false, &record, &err), STRAKE_ENOTFOUND);
    assert_null(record);
    assert_false(strake_fs_is_file(path));
    strake_err_dispose(&err);
    strake_free(path);
}

/* Refused with the path and a hint, and not a byte of the file changed. */
static void refused_untouched(const char *dir, const char *words)
{
    struct strake_buf before = { 0 }, after = { 0 };
    struct strake_record *record = NULL;
    struct strake_err err = { 0 };
    char *path = database(dir);

    assert_int_equal(strake_fs_read(path, 1 << 20, &before, &err), 0);
    assert_int_equal(strake_record_open(dir, true, &record, &err), STRAKE_EINTERNAL);
    assert_null(record);
    assert_non_null(strstr(strake_err_message(&err), path));
    assert_non_null(err.hint);
    if (!strstr(strake_err_message(&err), words) && !strstr(err.hint, words))
        fail_msg("no \"%s\" in: %s (%s)", words, strake_err_message(&err), err.hint);
    strake_err_dispose(&err);
    assert_int_equal(strake_fs_read(path, 1 << 20, &after, &err), 0);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    strake_buf_dispose(&before);
    strake_buf_dispose(&after);
    strake_free(path);
}

static void a_damaged_file_is_refused_untouched(void **state)
{
    struct strake_err err = { 0 };
    char *path = database(*state), bytes[8192];

    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(strake_fs_write(path, bytes, sizeof(bytes), 0600, false, &err), 0);
    refused_untouched(*state, "move the file away");
    strake_free(path);
}

/* SQLite keeps user_version in bytes 60 to 63 of the file, the most significant first. */
static void a_newer_database_is_refused_untouched(void **state)
{
    static const char version[4] = { 0, 0, 0, 99 };
    struct strake_buf file = { 0 };
    struct strake_err err = { 0 };
    char *path = database(*state);

    history_close(history_open(*state));
    assert_int_equal(strake_fs_read(path, 1 << 20, &file, &err), 0);
    assert_true(file.len > 100);
    memcpy(file.data + 60, version, sizeof(version));
    assert_int_equal(strake_fs_write(path, file.data, file.len, 0600, false, &err), 0);
    refused_untouched(*state, "newer strake (version 99");
    strake_buf_dispose(&file);
    strake_free(path);
}

static void a_folder_that_cannot_be_made_is_told_with_a_way_out(void **state)
{
    char *file = strake_fs_join(*state, "file"), *dir = strake_fs_join(file, "state");
    struct strake_record *record = NULL;
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_write(file, "x", 1, 0600, false, &err), 0);
    assert_int_equal(strake_record_open(dir, true, &record, &err), STRAKE_EINTERNAL);
    assert_non_null(strstr(strake_err_message(&err), dir));
    assert_non_null(err.hint);
    strake_err_dispose(&err);
    strake_free(dir);
    strake_free(file);
}

/* RLIMIT_FSIZE stands for the full disk: writes past it fail, what was committed stays. */
static void a_write_that_finds_no_room_says_so_and_keeps_what_was_written(void **state)
{
    struct strake_strings interrupted = { 0 };
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    struct rlimit before, tight;
    json_t *list = NULL;
    char text[4096];
    int rc = 0;

    memset(text, 'l', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    begin(record, "run-1", &interrupted);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = (struct rlimit){ .rlim_cur = 512 * 1024, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (int i = 0; rc == 0 && i < 2000; i++)
        rc = post_log(record, "run-1", text, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, STRAKE_EINTERNAL);
    assert_non_null(strstr(strake_err_message(&err), *state));
    assert_non_null(err.hint);
    strake_err_dispose(&err);
    assert_int_equal(strake_record_run_end(record, "run-1", "done", 0, NULL, &err), 0);
    history_close(record);

    record = history_open(*state);
    assert_int_equal(strake_record_list(record, 10, &list, &err), 0);
    assert_int_equal(json_array_size(json_object_get(list, "runs")), 1);
    json_decref(list);
    history_close(record);
    strake_strings_dispose(&interrupted);
}

static void a_run_nobody_holds_is_marked_interrupted_once(void **state)
{
    struct strake_strings interrupted = { 0 };
    struct strake_record *first = history_open(*state), *second;

    begin(first, "run-1", &interrupted);
    second = history_open(*state);
    begin(second, "run-2", &interrupted);
    assert_int_equal(interrupted.count, 0); /* run-1 is alive */
    history_close(first);                   /* its lock goes, its row says running */
    first = history_open(*state);
    begin(first, "run-3", &interrupted);
    assert_int_equal(interrupted.count, 1);
    assert_string_equal(interrupted.items[0], "run-1");
    history_close(first);
    history_close(second);
    strake_strings_dispose(&interrupted);
}

static int keep_log(void *ctx, const char *target, const char *step, const char *text, size_t len)
{
    (void)step;
    assert_string_equal(target, "app");
    return strake_buf_append(ctx, text, len);
}

static void logs_come_back_in_order(void **state)
{
    struct strake_strings interrupted = { 0 };
    struct strake_record *record = history_open(*state);
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };

    begin(record, "run-1", &interrupted);
    assert_int_equal(post_log(record, "run-1", "one\n", &err), 0);
    assert_int_equal(post_log(record, "run-1", "two\n", &err), 0);
    assert_int_equal(strake_record_run_end(record, "run-1", "done", 0, NULL, &err), 0);
    history_close(record);
    record = history_open(*state);
    assert_int_equal(strake_record_logs(record, "last", keep_log, &text, &err), 0);
    assert_string_equal(strake_buf_text(&text), "one\ntwo\n");
    strake_buf_dispose(&text);
    history_close(record);
    strake_strings_dispose(&interrupted);
}

/* ---- the write-ahead log (SQLite, WAL-mode file format) ---- */

/* How often it began again from its start: 0 for a log that did not. `size` is the file's. */
static unsigned log_sequence(const char *dir, off_t *size)
{
    char *path = strake_fs_join(dir, "history.db-wal");
    unsigned char header[16] = { 0 };
    struct stat st = { 0 };
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    assert_int_equal(fread(header, 1, sizeof(header), file), sizeof(header));
    assert_int_equal(fstat(fileno(file), &st), 0);
    fclose(file);
    strake_free(path);
    *size = st.st_size;
    return (unsigned)header[12] << 24 | (unsigned)header[13] << 16 | (unsigned)header[14] << 8 |
           header[15];
}

static void run_many(struct strake_record *record, int count)
{
    struct strake_strings interrupted = { 0 };
    struct strake_err err = { 0 };

    for (int i = 0; i < count; i++) {
        char run[40];
        strake_run_id(run);
        begin(record, run, &interrupted);
        assert_int_equal(strake_record_run_end(record, run, "done", 0, NULL, &err), 0);
    }
    strake_strings_dispose(&interrupted);
}

static void a_log_that_has_grown_is_taken_over_while_a_builder_works(void **state)
{
    struct strake_record *record = history_open(*state);
    off_t size;
    unsigned before;

    run_many(record, 1);
    before = log_sequence(*state, &size);
    strake_record_tidy(record); /* it is short */
    run_many(record, 1);
    assert_int_equal(log_sequence(*state, &size), before);
    while (size < (off_t)150 * 4096) {
        run_many(record, 5);
        assert_int_equal(log_sequence(*state, &size), before);
    }
    strake_record_tidy(record);
    run_many(record, 1); /* who writes next begins the log again */
    assert_int_not_equal(log_sequence(*state, &size), before);
    history_close(record);
}

static void a_log_that_nobody_tidies_has_an_end(void **state)
{
    struct strake_record *record = history_open(*state);
    off_t size;

    run_many(record, 1);
    for (unsigned before = log_sequence(*state, &size); log_sequence(*state, &size) == before;) {
        run_many(record, 5);
        assert_true(size < (off_t)700 * 4096);
    }
    history_close(record);
}

static void run_ids_are_unique_and_sort_by_time(void **state)
{
    char a[40], b[40];

    (void)state;
    strake_run_id(a);
    strake_run_id(b);
    assert_int_equal(strlen(a), 22);
    assert_string_not_equal(a, b);
    assert_true(strncmp(a, b, 15) <= 0);
}

static int open_and_close(void *ctx)
{
    struct strake_record *record = NULL;
    struct strake_err err = { 0 };
    int rc = strake_record_open(ctx, true, &record, &err);

    if (rc < 0)
        assert_null(record);
    strake_err_dispose(&err);
    strake_record_close(record, &err);
    strake_err_dispose(&err);
    return rc;
}

static void open_survives_every_failing_allocation(void **state)
{
    history_close(history_open(*state)); /* the tables are there: what is left is quick */
    torture(open_and_close, *state);
}

static int log_and_show(void *ctx)
{
    struct strake_err err = { 0 };
    json_t *shown = NULL;
    int rc = post_log(ctx, "run-1", "text\n", &err);

    if (rc == 0)
        rc = strake_record_show(ctx, "run-1", &shown, &err);
    if (rc == 0)
        assert_non_null(shown);
    json_decref(shown);
    strake_err_dispose(&err);
    return rc;
}

static void a_run_survives_every_failing_allocation(void **state)
{
    struct strake_strings interrupted = { 0 };
    struct strake_record *record = history_open(*state);

    begin(record, "run-1", &interrupted);
    torture(log_and_show, record);
    history_close(record);
    strake_strings_dispose(&interrupted);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(open_makes_a_private_folder_and_file),
        TEST(open_for_reading_makes_nothing),
        TEST(a_damaged_file_is_refused_untouched),
        TEST(a_newer_database_is_refused_untouched),
        TEST(a_folder_that_cannot_be_made_is_told_with_a_way_out),
        TEST(a_write_that_finds_no_room_says_so_and_keeps_what_was_written),
        TEST(a_run_nobody_holds_is_marked_interrupted_once),
        TEST(logs_come_back_in_order),
        TEST(a_log_that_has_grown_is_taken_over_while_a_builder_works),
        TEST(a_log_that_nobody_tidies_has_an_end),
        TEST(run_ids_are_unique_and_sort_by_time),
        TEST(open_survives_every_failing_allocation),
        TEST(a_run_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
