/* What moved the tags of a repository, and what a run staged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/journal.h"
#include "record_folder.h"
#include "torture.h"

#define REPO "127.0.0.1:5000/o/app"

static const char *const argv[] = { "strake", "build", NULL };
static char app[] = "app", other[] = "other";

/* ---- units ---- */

static struct strake_move move_to(const char *ref, const char *from, const char *to)
{
    return (struct strake_move){ .ref = (char *)(uintptr_t)ref,
                                 .from = (char *)(uintptr_t)from,
                                 .to = (char *)(uintptr_t)to,
                                 .media_type = (char *)(uintptr_t) "m",
                                 .from_media_type = (char *)(uintptr_t) "" };
}

/* A unit of two moves that ends so, the first of them done. outcome NULL: it does not end. */
static int unit(struct strake_record *record, const char *run, const char *kind, const char *first,
                const char *second, const char *outcome, struct strake_err *err)
{
    const struct strake_move moves[] = { move_to(first, "A", "B"), move_to(second, "", "C") };
    int64_t id = 0;
    int rc = strake_journal_begin(record, run, kind, moves, 2, &id, err);

    if (rc == 0)
        rc = strake_journal_mark(record, id, 0, true, err);
    if (rc == 0 && outcome)
        rc = strake_journal_end(record, id, outcome, err);
    return rc;
}

static json_t *units_of(struct strake_record *record, const char *repository)
{
    struct strake_err err = { 0 };
    json_t *units = NULL;

    if (strake_record_units(record, repository, &units, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return units;
}

static const char *unit_text(const json_t *units, size_t i, const char *key)
{
    return strake_json_str(json_array_get(units, i), key);
}

static const json_t *unit_move(const json_t *units, size_t i, size_t k)
{
    return json_array_get(json_object_get(json_array_get(units, i), "moves"), k);
}

static void moves_are_told_by_unit_oldest_first(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *units;

    assert_int_equal(unit(record, "r1", "publish", REPO ":latest", REPO ":v1", "done", &err), 0);
    assert_int_equal(unit(record, "r2", "rollback", REPO ":latest", REPO ":main", "done", &err), 0);
    units = units_of(record, REPO);
    assert_int_equal(json_array_size(units), 2);
    assert_string_equal(unit_text(units, 0, "run"), "r1");
    assert_string_equal(unit_text(units, 0, "kind"), "publish");
    assert_string_equal(unit_text(units, 1, "kind"), "rollback");
    assert_true(strlen(unit_text(units, 0, "time")) == strlen("2026-11-25T02:12:36.123Z"));
    assert_string_equal(strake_json_str(unit_move(units, 0, 0), "ref"), REPO ":latest");
    assert_string_equal(strake_json_str(unit_move(units, 0, 0), "from"), "A");
    assert_string_equal(strake_json_str(unit_move(units, 0, 1), "from"), "");
    assert_string_equal(strake_json_str(unit_move(units, 0, 1), "to"), "C");
    assert_null(unit_move(units, 0, 2));
    json_decref(units);
    history_close(record);
}

static void moves_of_one_repository_are_no_other_s(void **state)
{
    static const char *const near[] = { "127.0.0.1:5000/o/app2:latest",
                                        "127.0.0.1:5000/o/ap:latest", REPO "/sub:latest",
                                        "127.0.0.1:5000/o:app", "oci:/srv/app:latest" };
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *units;

    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
        assert_int_equal(unit(record, "r", "publish", near[i], near[i], "done", &err), 0);
    units = units_of(record, REPO);
    assert_int_equal(json_array_size(units), 0);
    json_decref(units);
    /* A unit over two repositories: here only what is of this one. */
    assert_int_equal(unit(record, "r", "publish", near[0], REPO ":v1", "done", &err), 0);
    units = units_of(record, REPO);
    assert_int_equal(json_array_size(units), 1);
    assert_string_equal(strake_json_str(unit_move(units, 0, 0), "ref"), REPO ":v1");
    assert_null(unit_move(units, 0, 1));
    json_decref(units);
    units = units_of(record, "oci:/srv/app");
    assert_int_equal(json_array_size(units), 1);
    json_decref(units);
    history_close(record);
}

static void moves_that_did_not_stand_are_left_out(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *units;

    assert_int_equal(unit(record, "r1", "publish", REPO ":a", REPO ":b", "rolled-back", &err), 0);
    assert_int_equal(unit(record, "r2", "publish", REPO ":a", REPO ":b", NULL, &err), 0);
    assert_int_equal(unit(record, "r3", "publish", REPO ":a", REPO ":b", "partial", &err), 0);
    units = units_of(record, REPO);
    assert_int_equal(json_array_size(units), 1); /* of the partial one what was done */
    assert_string_equal(unit_text(units, 0, "run"), "r3");
    assert_string_equal(strake_json_str(unit_move(units, 0, 0), "ref"), REPO ":a");
    assert_null(unit_move(units, 0, 1));
    json_decref(units);
    history_close(record);
}

/* ---- staged ---- */

static int post(struct strake_record *record, const char *run, char *target, const char *digest,
                struct strake_err *err)
{
    struct strake_event event = { .type = STRAKE_EVENT_IMAGE_STAGED,
                                  .time_us = 1,
                                  .target = target };
    int rc = STRAKE_ENOMEM;

    event.data = json_pack("{s:s,s:s}", "ref", REPO, "digest", digest);
    if (event.data)
        rc = strake_record_event(record, run, &event, err);
    json_decref(event.data);
    return rc;
}

static void run_of(struct strake_record *record, const char *run)
{
    struct strake_strings interrupted = { 0 };
    struct strake_err err = { 0 };

    assert_int_equal(
        strake_record_run_begin(record, run, "build", argv, "/project", &interrupted, &err), 0);
    assert_int_equal(strake_record_run_end(record, run, "done", 0, NULL, &err), 0);
    strake_strings_dispose(&interrupted);
}

static json_t *staged(struct strake_record *record, const char *run)
{
    struct strake_err err = { 0 };
    json_t *images = NULL;

    if (strake_record_staged(record, run, &images, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return images;
}

static void refused(struct strake_record *record, const char *run, const char *told)
{
    struct strake_err err = { 0 };
    json_t *images = NULL;

    assert_int_equal(strake_record_staged(record, run, &images, &err), STRAKE_EUSAGE);
    assert_non_null(strstr(strake_err_message(&err), told));
    assert_non_null(err.hint);
    strake_err_dispose(&err);
}

static void staged_images_are_told_by_their_run(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *images;

    run_of(record, "20260101T000000-aaaaaa");
    assert_int_equal(post(record, "20260101T000000-aaaaaa", app, "sha256:1", &err), 0);
    assert_int_equal(post(record, "20260101T000000-aaaaaa", other, "sha256:2", &err), 0);
    run_of(record, "20260101T000001-bbbbbb");
    assert_int_equal(post(record, "20260101T000001-bbbbbb", app, "sha256:3", &err), 0);
    run_of(record, "20260101T000002-cccccc"); /* the one that publishes: it staged nothing */

    images = staged(record, "20260101T000000-a");
    assert_int_equal(json_array_size(images), 2);
    assert_string_equal(strake_json_str(json_array_get(images, 0), "name"), "app");
    assert_string_equal(strake_json_str(json_array_get(images, 0), "image"), REPO);
    assert_string_equal(strake_json_str(json_array_get(images, 1), "digest"), "sha256:2");
    json_decref(images);
    images = staged(record, "last");
    assert_int_equal(json_array_size(images), 1);
    assert_string_equal(strake_json_str(json_array_get(images, 0), "digest"), "sha256:3");
    json_decref(images);
    refused(record, "20260101T000002-cccccc", "staged no image");
    refused(record, "20260101T00000", "20260101T00000");
    refused(record, "nothing", "nothing");
    history_close(record);
}

static void staged_images_of_an_empty_history_are_refused(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *images = NULL;

    assert_int_equal(strake_record_staged(record, "last", &images, &err), STRAKE_EUSAGE);
    strake_err_dispose(&err);
    history_close(record);
}

/* ---- no memory ---- */

static int read_both(void *ctx)
{
    struct strake_record *record = ctx;
    struct strake_err err = { 0 };
    json_t *units = NULL, *images = NULL;
    int rc = strake_record_units(record, REPO, &units, &err);

    if (rc == 0)
        rc = strake_record_staged(record, "last", &images, &err);
    if (rc == 0) {
        assert_int_equal(json_array_size(units), 1);
        assert_int_equal(json_array_size(images), 1);
    }
    strake_err_dispose(&err);
    json_decref(units);
    json_decref(images);
    return rc;
}

static void moves_survive_want_of_memory(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };

    run_of(record, "20260101T000000-aaaaaa");
    assert_int_equal(post(record, "20260101T000000-aaaaaa", app, "sha256:1", &err), 0);
    assert_int_equal(unit(record, "r1", "publish", REPO ":a", REPO ":b", "done", &err), 0);
    assert_int_equal(read_both(record), 0); /* what is batched is written */
    torture(read_both, record);
    history_close(record);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(moves_are_told_by_unit_oldest_first),
        TEST(moves_of_one_repository_are_no_other_s),
        TEST(moves_that_did_not_stand_are_left_out),
        TEST(staged_images_are_told_by_their_run),
        TEST(staged_images_of_an_empty_history_are_refused),
        TEST(moves_survive_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
