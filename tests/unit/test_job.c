/* Jobs: cancellation and deadlines down the tree, and the events of what they report. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/event.h"
#include "util/job.h"
#include "util/json.h"
#include "util/secret.h"

#include "torture.h"

/* ---- the tree ------------------------------------------------------------------------------- */

static bool readable(const struct strake_job *job)
{
    struct pollfd polled = { .fd = strake_job_cancel_fd(job), .events = POLLIN };
    return poll(&polled, 1, 0) == 1;
}

static void cancel_reaches_all_below_and_nobody_else(void **state)
{
    (void)state;
    struct strake_job *root = strake_job_new(NULL, NULL, NULL);
    struct strake_job *left = strake_job_new(root, NULL, NULL);
    struct strake_job *right = strake_job_new(root, NULL, NULL);
    struct strake_job *below[3];
    for (size_t i = 0; i < 3; i++)
        below[i] = strake_job_new(left, NULL, NULL);
    struct strake_job *deep = strake_job_new(below[1], NULL, NULL);
    assert_false(readable(deep));

    strake_job_cancel(left);
    strake_job_cancel(left);
    const struct strake_job *reached[] = { left, below[0], below[1], below[2], deep };
    for (size_t i = 0; i < 5; i++) {
        struct strake_err err = { 0 };
        assert_true(strake_job_cancelled(reached[i]));
        assert_true(readable(reached[i]));
        assert_int_equal(strake_job_check(reached[i], &err), STRAKE_ECANCELLED);
        strake_err_dispose(&err);
    }
    assert_false(strake_job_cancelled(root) || readable(root));
    assert_false(strake_job_cancelled(right) || readable(right));

    struct strake_job *late = strake_job_new(deep, NULL, NULL);
    assert_true(strake_job_cancelled(late) && readable(late));
    strake_job_free(late);
    strake_job_free(deep);
    for (size_t i = 0; i < 3; i++)
        strake_job_free(below[i]);
    strake_job_free(left);
    strake_job_cancel(root);
    assert_true(strake_job_cancelled(right));
    strake_job_free(right);
    strake_job_free(root);
    strake_job_free(NULL);
}

static void deadline_is_the_soonest_of_the_line(void **state)
{
    (void)state;
    struct strake_job *root = strake_job_new(NULL, NULL, NULL);
    struct strake_job *child = strake_job_new(root, NULL, NULL);
    struct strake_err err = { 0 };
    assert_int_equal(strake_job_remaining_ms(child), -1);
    assert_int_equal(strake_job_check(child, &err), 0);

    strake_job_set_timeout(child, 1000000);
    assert_in_range(strake_job_remaining_ms(child), 900000, 1000000);
    assert_int_equal(strake_job_remaining_ms(root), -1);
    strake_job_set_timeout(root, 5000); /* also when the child was there before */
    assert_in_range(strake_job_remaining_ms(child), 1, 5000);
    strake_job_set_timeout(root, 50000); /* an earlier one stays */
    assert_in_range(strake_job_remaining_ms(child), 1, 5000);
    strake_job_set_timeout(child, INT64_MAX);
    assert_in_range(strake_job_remaining_ms(child), 1, 5000);

    strake_job_set_timeout(root, 0);
    assert_int_equal(strake_job_remaining_ms(child), 0);
    assert_int_equal(strake_job_check(child, &err), STRAKE_ETIMEOUT);
    assert_false(strake_job_cancelled(child));
    strake_err_dispose(&err);
    strake_job_free(child);
    strake_job_free(root);
}

static void *make_and_free(void *parent)
{
    for (int i = 0; i < 200; i++) {
        struct strake_job *job = strake_job_new(parent, NULL, NULL);
        struct strake_job *child = strake_job_new(job, NULL, NULL);
        (void)strake_job_remaining_ms(child);
        strake_job_free(child);
        strake_job_free(job);
    }
    return NULL;
}

static void cancel_while_children_come_and_go(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct strake_job *root = strake_job_new(NULL, NULL, NULL);
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, make_and_free, root);
        usleep(1000);
        strake_job_cancel(root);
        for (size_t i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        assert_true(strake_job_cancelled(root));
        strake_job_free(root);
    }
}

/* ---- events --------------------------------------------------------------------------------- */

#define SEEN_MAX 32

/* What a sink saw: type, target and data as text. */
struct watch {
    struct strake_bus *bus;
    struct strake_job *job;
    size_t count;
    enum strake_event_type types[SEEN_MAX];
    char *data[SEEN_MAX];
};

static void see(void *ctx, const struct strake_event *event)
{
    struct watch *watch = ctx;
    assert_true(watch->count < SEEN_MAX);
    assert_string_equal(event->target, "app");
    watch->types[watch->count] = event->type;
    watch->data[watch->count++] = json_dumps(event->data, JSON_COMPACT | JSON_PRESERVE_ORDER);
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void watch_start(struct watch *watch)
{
    *watch = (struct watch){ .bus = strake_bus_new(wake, NULL) };
    assert_non_null(watch->bus);
    assert_int_equal(strake_bus_add_sink(watch->bus, see, watch), 0);
    watch->job = strake_job_new(NULL, watch->bus, "app");
    assert_non_null(watch->job);
}

static void watch_end(struct watch *watch)
{
    strake_job_free(watch->job);
    strake_bus_free(watch->bus);
    for (size_t i = 0; i < watch->count; i++)
        free(watch->data[i]);
}

#define AT(seconds) (1764036756000000 + (int64_t)(seconds)*1000000) /* 2025-11-25T02:12:36Z */

static void step_is_told_once_for_each_change(void **state)
{
    (void)state;
    static const char *const inputs[] = { "sha256:a", "sha256:b", NULL };
    struct watch watch;
    watch_start(&watch);
    struct strake_step step = {
        .size = sizeof(step), .id = "sha256:c", .name = "RUN make", .inputs = inputs
    };
    strake_job_step(watch.job, &step); /* known, not started */
    step.started_us = AT(0);
    strake_job_step(watch.job, &step);
    strake_job_step(watch.job, &step);
    step.completed_us = AT(2);
    strake_job_step(watch.job, &step);
    strake_job_step(watch.job, &step);
    step.started_us = AT(3); /* BuildKit starts it again */
    step.completed_us = 0;
    strake_job_step(watch.job, &step);
    step.completed_us = AT(4);
    step.error = "exit code: 1";
    strake_job_step(watch.job, &step);
    strake_bus_drain(watch.bus);

    static const enum strake_event_type types[] = { STRAKE_EVENT_STEP_STARTED,
                                                    STRAKE_EVENT_STEP_DONE,
                                                    STRAKE_EVENT_STEP_STARTED,
                                                    STRAKE_EVENT_STEP_DONE };
    assert_int_equal(watch.count, 4);
    assert_memory_equal(watch.types, types, sizeof(types));
    assert_string_equal(watch.data[0],
                        "{\"step\":\"sha256:c\",\"name\":\"RUN make\",\"started\":"
                        "\"2025-11-25T02:12:36.000Z\",\"inputs\":[\"sha256:a\",\"sha256:b\"]}");
    assert_string_equal(watch.data[1],
                        "{\"step\":\"sha256:c\",\"name\":\"RUN make\",\"started\":"
                        "\"2025-11-25T02:12:36.000Z\",\"completed\":\"2025-11-25T02:12:38.000Z\","
                        "\"cached\":false,\"inputs\":[\"sha256:a\",\"sha256:b\"]}");
    assert_non_null(strstr(watch.data[3], "\"error\":\"exit code: 1\""));
    watch_end(&watch);
}

static void step_told_only_when_it_is_over_has_a_start_too(void **state)
{
    (void)state;
    struct watch watch;
    watch_start(&watch);
    strake_job_step(watch.job, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                      .id = "1",
                                                      .completed_us = AT(1),
                                                      .cached = true });
    strake_job_step(watch.job, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                      .id = "2",
                                                      .error = "cancelled" });
    strake_job_step(watch.job, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                      .id = "2",
                                                      .error = "cancelled" });
    strake_bus_drain(watch.bus);
    assert_int_equal(watch.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(watch.types[i],
                         i % 2 == 0 ? STRAKE_EVENT_STEP_STARTED : STRAKE_EVENT_STEP_DONE);
    assert_non_null(strstr(watch.data[1], "\"cached\":true"));
    assert_non_null(strstr(watch.data[3], "\"completed\":"));
    watch_end(&watch);
}

static void step_reads_only_the_fields_that_a_plugin_has(void **state)
{
    (void)state;
    struct watch watch;
    watch_start(&watch);
    strake_job_step(watch.job, &(struct strake_step){ .size = offsetof(struct strake_step, cached),
                                                      .id = "1",
                                                      .started_us = AT(0),
                                                      .completed_us = AT(0),
                                                      .cached = true,
                                                      .error = (const char *)1 });
    strake_bus_drain(watch.bus);
    assert_int_equal(watch.count, 2);
    assert_non_null(strstr(watch.data[1], "\"cached\":false"));
    watch_end(&watch);
}

/* All text of the log events of one stream, joined. */
static void logged(const struct watch *watch, const char *stream, struct strake_buf *text)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->types[i] != STRAKE_EVENT_STEP_LOG)
            continue;
        json_t *data = json_loads(watch->data[i], 0, NULL);
        if (strcmp(strake_json_str(data, "stream"), stream) == 0)
            assert_int_equal(strake_buf_puts(text, strake_json_str(data, "text")), 0);
        json_decref(data);
    }
}

static void log_does_not_cut_characters_and_replaces_what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *chunks[4];
        const char *text;
    } cases[] = {
        { { "plain", " text\n" }, "plain text\n" },
        { { "h\xC3", "\xA9!" }, "h\xC3\xA9!" },
        { { "\xE2", "\x82", "\xAC" }, "\xE2\x82\xAC" },
        { { "\xF0\x9F\x98", "\x80x" }, "\xF0\x9F\x98\x80x" },
        { { "a\xFF", "b" },
          "a\xEF\xBF\xBD"
          "b" },
        { { "end \xE2" }, "end \xEF\xBF\xBD" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct watch watch;
        struct strake_buf text = { 0 };
        watch_start(&watch);
        for (size_t k = 0; k < 4 && cases[i].chunks[k] != NULL; k++)
            strake_job_step_log(watch.job, "s", 1, cases[i].chunks[k], strlen(cases[i].chunks[k]));
        strake_job_step(watch.job, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                          .id = "s",
                                                          .completed_us = AT(0) });
        strake_bus_drain(watch.bus);
        assert_int_equal(watch.types[watch.count - 1], STRAKE_EVENT_STEP_DONE);
        logged(&watch, "stdout", &text);
        assert_string_equal(strake_buf_text(&text), cases[i].text);
        strake_buf_dispose(&text);
        watch_end(&watch);
    }
}

static void log_redacts_a_secret_that_two_chunks_share(void **state)
{
    (void)state;
    struct watch watch;
    struct strake_buf out = { 0 }, errors = { 0 };
    strake_secret_mark("hunter2-secret", 14);
    watch_start(&watch);
    strake_job_step_log(watch.job, "s", 1, "token: hunter2", 14);
    strake_job_step_log(watch.job, "s", 2, "other\n", 6);
    strake_job_step_log(watch.job, "s", 1, "-secret\nlast hunter2-", 21);
    strake_job_step_log(watch.job, "s", 1, "secret", 6);
    strake_job_free(watch.job); /* a job that ends without the step being done */
    watch.job = NULL;
    strake_bus_drain(watch.bus);
    logged(&watch, "stdout", &out);
    logged(&watch, "stderr", &errors);
    assert_string_equal(strake_buf_text(&out), "token: [secret]\nlast [secret]");
    assert_string_equal(strake_buf_text(&errors), "other\n");
    strake_buf_dispose(&out);
    strake_buf_dispose(&errors);
    watch_end(&watch);
    strake_secret_reset();
}

static void log_of_megabytes_comes_in_pieces(void **state)
{
    (void)state;
    struct watch watch;
    struct strake_buf text = { 0 };
    size_t len = 1024 * 1024;
    char *data = malloc(len);
    memset(data, 'x', len);
    watch_start(&watch);
    strake_job_step_log(watch.job, "s", 1, data, len);
    strake_bus_drain(watch.bus);
    assert_int_equal(watch.count, 16);
    logged(&watch, "stdout", &text);
    assert_int_equal(text.len, len);
    strake_buf_dispose(&text);
    free(data);
    watch_end(&watch);
}

static void progress_and_warnings_have_their_fields(void **state)
{
    (void)state;
    struct watch watch;
    watch_start(&watch);
    struct strake_step_progress progress = { .size = sizeof(progress),
                                             .step = "s",
                                             .name = "sha256:d",
                                             .current_bytes = 5,
                                             .total_bytes = 9 };
    strake_job_step_progress(watch.job, &progress);
    progress.total_bytes = 0;
    strake_job_step_progress(watch.job, &progress);
    strake_job_warning(watch.job,
                       &(struct strake_step_warning){ .size = sizeof(struct strake_step_warning),
                                                      .text = "no",
                                                      .file = "Dockerfile",
                                                      .line = 4 });
    strake_job_event(watch.job, STRAKE_EVENT_CACHE_EXPORTED, NULL);
    strake_bus_drain(watch.bus);
    static const char *const expected[] = {
        "{\"step\":\"s\",\"name\":\"sha256:d\",\"current_bytes\":5,\"total_bytes\":9}",
        "{\"step\":\"s\",\"name\":\"sha256:d\",\"current_bytes\":5}",
        "{\"level\":\"warn\",\"text\":\"no\",\"file\":\"Dockerfile\",\"line\":4}",
        "{}",
    };
    assert_int_equal(watch.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(watch.data[i], expected[i]);
    watch_end(&watch);
}

static void child_reports_to_the_bus_and_target_of_its_parent(void **state)
{
    (void)state;
    struct watch watch;
    watch_start(&watch);
    struct strake_job *child = strake_job_new(watch.job, NULL, NULL);
    strake_job_event(child, STRAKE_EVENT_TARGET_STARTED, NULL);
    assert_ptr_equal(strake_job_bus(child), watch.bus);
    strake_bus_drain(watch.bus);
    assert_int_equal(watch.count, 1);
    strake_job_free(child);

    child = strake_job_new(watch.job, NULL, "other");
    assert_string_equal(strake_job_target(child), "other");
    strake_job_free(child);
    watch_end(&watch);
}

static void steps_of_an_ended_child_count_for_its_parent(void **state)
{
    (void)state;
    struct watch watch;
    int total, cached;
    watch_start(&watch);
    struct strake_job *child = strake_job_new(watch.job, NULL, NULL);
    strake_job_step(child, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                  .id = "s",
                                                  .name = "[2/2] RUN make",
                                                  .completed_us = AT(0),
                                                  .cached = true });
    strake_job_free(child);
    strake_job_steps_count(watch.job, &total, &cached);
    assert_int_equal(total, 1);
    assert_int_equal(cached, 1);
    strake_bus_drain(watch.bus);
    watch_end(&watch);
}

static void detached_job_is_cancelled_and_outlives_family_and_bus(void **state)
{
    (void)state;
    struct watch watch;
    watch_start(&watch);
    strake_job_set_timeout(watch.job, 60000);
    struct strake_job *child = strake_job_new(watch.job, NULL, NULL);
    strake_job_detach(child);
    assert_true(strake_job_cancelled(child));
    assert_false(strake_job_cancelled(watch.job));
    watch_end(&watch);

    strake_job_event(child, STRAKE_EVENT_TARGET_STARTED, NULL);
    strake_job_step_log(child, "s", 1, "text", 4);
    assert_int_equal(strake_job_remaining_ms(child), -1);
    strake_job_detach(child); /* once more does nothing */
    strake_job_free(child);
}

static void job_without_a_bus_reports_to_nobody(void **state)
{
    (void)state;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    assert_string_equal(strake_job_target(job), "");
    strake_job_event(job, STRAKE_EVENT_TARGET_STARTED, json_object());
    strake_job_step_log(job, "s", 1, "text", 4);
    strake_job_free(job);
}

static void forget(void *ctx, const struct strake_event *event)
{
    (void)ctx, (void)event;
}

/* Reporting has no result: what matters is that nothing breaks or leaks. */
static int report_once(void *ctx)
{
    (void)ctx;
    struct strake_bus *bus = strake_bus_new(wake, NULL);
    struct strake_job *job = bus != NULL ? strake_job_new(NULL, bus, "app") : NULL;
    if (job != NULL && strake_bus_add_sink(bus, forget, NULL) == 0) {
        strake_job_step_log(job, "s", 1, "text \xE2", 6);
        strake_job_step(job, &(struct strake_step){ .size = sizeof(struct strake_step),
                                                    .id = "s",
                                                    .name = "n",
                                                    .completed_us = AT(0) });
        strake_bus_drain(bus);
    }
    int rc = job != NULL ? 0 : STRAKE_ENOMEM;
    strake_job_free(job);
    strake_bus_free(bus);
    return rc;
}

static void reports_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(report_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_reaches_all_below_and_nobody_else),
        cmocka_unit_test(deadline_is_the_soonest_of_the_line),
        cmocka_unit_test(cancel_while_children_come_and_go),
        cmocka_unit_test(step_is_told_once_for_each_change),
        cmocka_unit_test(step_told_only_when_it_is_over_has_a_start_too),
        cmocka_unit_test(step_reads_only_the_fields_that_a_plugin_has),
        cmocka_unit_test(log_does_not_cut_characters_and_replaces_what_is_none),
        cmocka_unit_test(log_redacts_a_secret_that_two_chunks_share),
        cmocka_unit_test(log_of_megabytes_comes_in_pieces),
        cmocka_unit_test(progress_and_warnings_have_their_fields),
        cmocka_unit_test(child_reports_to_the_bus_and_target_of_its_parent),
        cmocka_unit_test(steps_of_an_ended_child_count_for_its_parent),
        cmocka_unit_test(detached_job_is_cancelled_and_outlives_family_and_bus),
        cmocka_unit_test(job_without_a_bus_reports_to_nobody),
        cmocka_unit_test(reports_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
