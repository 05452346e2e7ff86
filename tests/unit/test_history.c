/* Reading the history: the list, one run whole, its logs, the last image. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/journal.h"
#include "record_folder.h"
#include "torture.h"

static const char *const argv[] = { "strake", "build", NULL };
static char app[] = "app", nobody[] = "";

static int post(struct strake_record *record, const char *run, enum strake_event_type type,
                char *target, const char *data, struct strake_err *err)
{
    struct strake_event event = { .type = type, .time_us = 1, .target = target };
    int rc = STRAKE_ENOMEM;

    event.data = strake_json_parse(data, strlen(data), "an event", STRAKE_EINTERNAL, err);
    if (event.data)
        rc = strake_record_event(record, run, &event, err);
    json_decref(event.data);
    return rc;
}

/* A run with two steps, logs out of order, a decision, a message and a published image. */
static int write_run(struct strake_record *record, const char *run, struct strake_err *err)
{
    static const struct {
        enum strake_event_type type;
        char *target;
        const char *data;
    } events[] = {
        { STRAKE_EVENT_TARGET_STARTED, app, "{\"name\":\"app\"}" },
        { STRAKE_EVENT_STEP_STARTED, app,
          "{\"step\":\"s1\",\"name\":\"RUN one\",\"started\":\"t1\"}" },
        { STRAKE_EVENT_STEP_STARTED, app,
          "{\"step\":\"s2\",\"name\":\"RUN two\",\"started\":\"t2\"}" },
        { STRAKE_EVENT_STEP_LOG, app, "{\"step\":\"s2\",\"text\":\"second\\n\"}" },
        { STRAKE_EVENT_STEP_LOG, app, "{\"step\":\"s1\",\"text\":\"fir\"}" },
        { STRAKE_EVENT_STEP_LOG, app, "{\"step\":\"s1\",\"text\":\"st\\n\"}" },
        { STRAKE_EVENT_STEP_PROGRESS, app, "{\"step\":\"s1\",\"current\":1}" },
        { STRAKE_EVENT_STEP_DONE, app,
          "{\"step\":\"s1\",\"name\":\"RUN one\",\"completed\":\"t3\",\"cached\":true}" },
        { STRAKE_EVENT_STEP_DONE, app,
          "{\"step\":\"s2\",\"name\":\"RUN two\",\"completed\":\"t4\",\"error\":\"exit 1\"}" },
        { STRAKE_EVENT_POLICY_DECISION, app,
          "{\"name\":\"p\",\"at\":\"publish\",\"action\":\"warn\"}" },
        { STRAKE_EVENT_IMAGE_STAGED, app, "{\"ref\":\"h.example/a\",\"digest\":\"sha256:1\"}" },
        { STRAKE_EVENT_TARGET_DONE, app,
          "{\"name\":\"app\",\"status\":\"done\",\"digest\":\"sha256:1\",\"refs\":[]}" },
        { STRAKE_EVENT_IMAGE_PUBLISHED, app,
          "{\"image\":\"h.example/a\",\"digest\":\"sha256:1\",\"refs\":[\"h.example/a:1\"]}" },
        { STRAKE_EVENT_NOTIFY_SENT, nobody, "{\"notifier\":\"phone\"}" },
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(events) / sizeof(events[0]); i++)
        rc = post(record, run, events[i].type, events[i].target, events[i].data, err);
    return rc;
}

static int run_of(struct strake_record *record, const char *run, const char *status,
                  struct strake_err *err)
{
    struct strake_strings interrupted = { 0 };
    int rc = strake_record_run_begin(record, run, "build", argv, "/project", &interrupted, err);

    if (rc == 0)
        rc = write_run(record, run, err);
    if (rc == 0)
        rc = strake_record_run_end(record, run, status, 0, NULL, err);
    strake_strings_dispose(&interrupted);
    return rc;
}

static void make_run(struct strake_record *record, const char *run, const char *status)
{
    struct strake_err err = { 0 };

    if (run_of(record, run, status, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
}

static json_t *shown(struct strake_record *record, const char *run)
{
    struct strake_err err = { 0 };
    json_t *doc = NULL, *entry;

    if (strake_record_show(record, run, &doc, &err) < 0)
        fail_msg("%s: %s", run, strake_err_message(&err));
    assert_string_equal(strake_json_str(doc, "schema"), "strake.history/1");
    entry = json_incref(json_array_get(json_object_get(doc, "runs"), 0));
    json_decref(doc);
    return entry;
}

static const json_t *item(const json_t *run, const char *list, size_t at)
{
    return json_array_get(json_object_get(run, list), at);
}

static void history_shows_a_run_whole(void **state)
{
    struct strake_record *record = history_open(*state);
    json_t *run;
    const json_t *target;

    make_run(record, "20260101T000000-aaaaaa", "done");
    run = shown(record, "last");
    assert_string_equal(strake_json_str(run, "run"), "20260101T000000-aaaaaa");
    assert_string_equal(strake_json_str(run, "status"), "done");
    assert_int_equal(strake_json_int(run, "exit", -1), 0);
    assert_string_equal(json_string_value(item(run, "argv", 1)), "build");
    target = item(run, "targets", 0);
    assert_string_equal(strake_json_str(target, "digest"), "sha256:1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(target, "refs"), 0)),
                        "h.example/a:1");
    assert_int_equal(json_array_size(json_object_get(run, "steps")), 2);
    assert_string_equal(strake_json_str(item(run, "steps", 0), "started"), "t1");
    assert_string_equal(strake_json_str(item(run, "steps", 0), "completed"), "t3");
    assert_true(strake_json_bool(item(run, "steps", 0), "cached", false));
    assert_string_equal(strake_json_str(item(run, "steps", 1), "error"), "exit 1");
    assert_string_equal(strake_json_str(item(run, "decisions", 0), "type"), "policy.decision");
    assert_string_equal(strake_json_str(item(run, "messages", 0), "notifier"), "phone");
    assert_int_equal(json_array_size(json_object_get(run, "tag_moves")), 0);
    json_decref(run);
    history_close(record);
}

static void history_lists_the_newest_first(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *doc = NULL;

    make_run(record, "20260101T000000-aaaaaa", "done");
    make_run(record, "20260102T000000-bbbbbb", "failed");
    make_run(record, "20260103T000000-cccccc", "denied");
    assert_int_equal(strake_record_list(record, 2, &doc, &err), 0);
    assert_int_equal(json_array_size(json_object_get(doc, "runs")), 2);
    assert_string_equal(strake_json_str(item(doc, "runs", 0), "status"), "denied");
    assert_string_equal(strake_json_str(item(doc, "runs", 1), "status"), "failed");
    json_decref(doc);
    history_close(record);
}

static void history_finds_a_run_by_a_unique_beginning(void **state)
{
    static const struct {
        const char *asked, *found, *word;
    } cases[] = {
        { "last", "20260101T000001-bbbbbb", NULL },
        { "20260101T000000-aaaaaa", "20260101T000000-aaaaaa", NULL },
        { "20260101T000001", "20260101T000001-bbbbbb", NULL },
        { "20260101", NULL, "not the only one" },
        { "2027", NULL, "no run '2027'" },
        { "%", NULL, "no run '%'" },
        { "", NULL, "not the only one" },
    };
    struct strake_record *record = history_open(*state);

    make_run(record, "20260101T000000-aaaaaa", "done");
    make_run(record, "20260101T000001-bbbbbb", "done");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        json_t *doc = NULL;
        if (cases[i].found) {
            json_t *run = shown(record, cases[i].asked);
            assert_string_equal(strake_json_str(run, "run"), cases[i].found);
            json_decref(run);
            continue;
        }
        assert_int_equal(strake_record_show(record, cases[i].asked, &doc, &err), STRAKE_EUSAGE);
        assert_null(doc);
        assert_non_null(strstr(strake_err_message(&err), cases[i].word));
        strake_err_dispose(&err);
    }
    history_close(record);
}

static int append(void *ctx, const char *target, const char *step, const char *text, size_t len)
{
    return strake_buf_printf(ctx, "%s/%s: %.*s|", target, step, (int)len, text);
}

static void history_gives_logs_step_by_step(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };

    make_run(record, "20260101T000000-aaaaaa", "done");
    assert_int_equal(strake_record_logs(record, "last", append, &out, &err), 0);
    assert_string_equal(strake_buf_text(&out),
                        "app/RUN one: fir|app/RUN one: st\n|app/RUN two: second\n|");
    strake_buf_dispose(&out);
    history_close(record);
}

static int stop_at_once(void *ctx, const char *target, const char *step, const char *text,
                        size_t len)
{
    (void)target, (void)step, (void)text, (void)len;
    ++*(int *)ctx;
    return STRAKE_ENOMEM;
}

static void history_logs_stop_when_the_reader_says_so(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    int calls = 0;

    make_run(record, "20260101T000000-aaaaaa", "done");
    assert_int_equal(strake_record_logs(record, "last", stop_at_once, &calls, &err), STRAKE_ENOMEM);
    assert_int_equal(calls, 1);
    strake_err_dispose(&err);
    history_close(record);
}

static void history_tells_moves_that_stand_and_what_became_of_the_unit(void **state)
{
    static char ref[] = "h.example/a:1", from[] = "", to[] = "sha256:1", media[] = "m";
    const struct strake_move move = { .ref = ref, .from = from, .to = to, .media_type = media };
    static const struct {
        const char *run, *outcome;
        bool done;
        size_t moves;
    } cases[] = {
        { "20260101T000000-aaaaaa", "done", true, 1 },
        { "20260101T000000-bbbbbb", "rolled-back", false, 0 },
        { "20260101T000000-cccccc", "partial", true, 1 },
        { "20260101T000000-dddddd", NULL, false, 1 }, /* begun: they may have moved */
    };
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t id = 0;
        json_t *run;
        make_run(record, cases[i].run, "done");
        assert_int_equal(strake_journal_begin(record, cases[i].run, "publish", &move, 1, &id, &err),
                         0);
        assert_int_equal(strake_journal_mark(record, id, 0, cases[i].done, &err), 0);
        if (cases[i].outcome)
            assert_int_equal(strake_journal_end(record, id, cases[i].outcome, &err), 0);
        run = shown(record, cases[i].run);
        assert_int_equal(json_array_size(json_object_get(run, "tag_moves")), cases[i].moves);
        assert_string_equal(strake_json_str(item(run, "publishes", 0), "outcome"),
                            cases[i].outcome ? cases[i].outcome : "pending");
        json_decref(run);
    }
    history_close(record);
}

static void history_calls_a_run_that_nobody_holds_interrupted(void **state)
{
    struct strake_record *record = history_open(*state), *reader;
    struct strake_strings interrupted = { 0 };
    struct strake_err err = { 0 };
    const char *id = "20260101T000000-aaaaaa";
    json_t *run;

    assert_int_equal(strake_record_run_begin(record, id, "build", argv, "/p", &interrupted, &err),
                     0);
    assert_int_equal(strake_record_open(*state, false, &reader, &err), 0);
    run = shown(reader, id);
    assert_string_equal(strake_json_str(run, "status"), "running");
    json_decref(run);
    history_close(record); /* as a killed process leaves it: no end */
    run = shown(reader, id);
    assert_string_equal(strake_json_str(run, "status"), "interrupted");
    assert_null(json_object_get(run, "exit"));
    json_decref(run);
    history_close(reader);
}

static void history_knows_the_last_image_of_a_repository(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *image = NULL;

    assert_int_equal(strake_record_last_image(record, "h.example/a", true, &image, &err),
                     STRAKE_ENOTFOUND);
    strake_err_dispose(&err);
    make_run(record, "20260101T000000-aaaaaa", "done");
    assert_int_equal(post(record, "20260101T000000-aaaaaa", STRAKE_EVENT_IMAGE_STAGED, app,
                          "{\"ref\":\"h.example/a\",\"digest\":\"sha256:2\"}", &err),
                     0);
    assert_int_equal(strake_record_last_image(record, "h.example/a", true, &image, &err), 0);
    assert_string_equal(strake_json_str(image, "digest"), "sha256:2");
    assert_string_equal(strake_json_str(image, "run"), "20260101T000000-aaaaaa");
    json_decref(image);
    assert_int_equal(strake_record_last_image(record, "h.example/a", false, &image, &err), 0);
    assert_string_equal(strake_json_str(image, "digest"), "sha256:1");
    json_decref(image);
    history_close(record);
}

/* ---- every allocation ---- */

static int show_all(void *ctx)
{
    struct strake_record *record = ctx;
    struct strake_err err = { 0 };
    struct strake_buf out = { 0 };
    json_t *doc = NULL, *list = NULL;
    int rc = strake_record_show(record, "last", &doc, &err);

    if (rc == 0)
        rc = strake_record_list(record, 1, &list, &err);
    if (rc == 0)
        rc = strake_record_logs(record, "last", append, &out, &err);
    if (rc == 0) {
        const json_t *run = item(doc, "runs", 0);
        assert_int_equal(json_array_size(json_object_get(run, "steps")), 2);
        assert_int_equal(json_array_size(json_object_get(run, "decisions")), 1);
        assert_int_equal(json_array_size(json_object_get(list, "runs")), 1);
        assert_string_equal(strake_buf_text(&out),
                            "app/RUN one: fir|app/RUN one: st\n|app/RUN two: second\n|");
    } else {
        assert_true(err.code < 0 || rc == STRAKE_ENOMEM);
    }
    strake_err_dispose(&err);
    json_decref(doc);
    json_decref(list);
    strake_buf_dispose(&out);
    return rc;
}

static void history_survives_every_failing_allocation(void **state)
{
    struct strake_record *record = history_open(*state);

    make_run(record, "20260101T000000-aaaaaa", "done");
    torture(show_all, record);
    history_close(record);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        TEST(history_shows_a_run_whole),
        TEST(history_lists_the_newest_first),
        TEST(history_finds_a_run_by_a_unique_beginning),
        TEST(history_gives_logs_step_by_step),
        TEST(history_logs_stop_when_the_reader_says_so),
        TEST(history_tells_moves_that_stand_and_what_became_of_the_unit),
        TEST(history_calls_a_run_that_nobody_holds_interrupted),
        TEST(history_knows_the_last_image_of_a_repository),
        TEST(history_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
