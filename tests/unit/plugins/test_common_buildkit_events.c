/* plugins/common/buildkit_events.c on recorded streams of the real buildctl, and on what is none. */
#include "fake_host.h"
#include "recorded.h"

#include "common/buildkit_events.h"
#include "common/stream.h"

/* What came out, counted, and the last of each. */
struct seen {
    size_t steps, cached, failed, progress, logs, warnings;
    char out[4096]; /* all logs of stream 1 */
    char err[4096];
    char step_name[256], step_error[512], step_inputs[256];
    int64_t started_us, completed_us;
    char progress_name[256];
    int64_t current, total;
    char warning[512], file[256], url[256];
    int line;
};

static void on_step(void *ctx, const struct strake_step *step)
{
    struct seen *seen = ctx;
    bool failed = step->error != NULL && step->error[0] != '\0';
    seen->steps++;
    seen->cached += step->cached;
    seen->failed += failed;
    snprintf(seen->step_name, sizeof(seen->step_name), "%s", step->name);
    snprintf(seen->step_error, sizeof(seen->step_error), "%s", failed ? step->error : "");
    seen->step_inputs[0] = '\0';
    for (size_t i = 0; step->inputs[i] != NULL; i++)
        fake_append_line(seen->step_inputs, sizeof(seen->step_inputs), step->inputs[i],
                         strlen(step->inputs[i]));
    seen->started_us = step->started_us;
    seen->completed_us = step->completed_us;
}

static void on_progress(void *ctx, const struct strake_step_progress *progress)
{
    struct seen *seen = ctx;
    seen->progress++;
    snprintf(seen->progress_name, sizeof(seen->progress_name), "%s", progress->name);
    seen->current = progress->current_bytes;
    seen->total = progress->total_bytes;
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    struct seen *seen = ctx;
    assert_non_null(step);
    seen->logs++;
    char *to = stream == 2 ? seen->err : seen->out;
    size_t used = strlen(to);
    assert_true(used + len < sizeof(seen->out));
    memcpy(to + used, data, len);
    to[used + len] = '\0';
}

static void on_warning(void *ctx, const struct strake_step_warning *warning)
{
    struct seen *seen = ctx;
    seen->warnings++;
    snprintf(seen->warning, sizeof(seen->warning), "%s", warning->text);
    snprintf(seen->file, sizeof(seen->file), "%s", warning->file ? warning->file : "");
    snprintf(seen->url, sizeof(seen->url), "%s", warning->url ? warning->url : "");
    seen->line = warning->line;
}

static const struct buildkit_events_sink sink = { on_step, on_progress, on_log, on_warning };

static struct seen seen;
static struct buildkit_events events;

static int reset(void **state)
{
    (void)state;
    buildkit_events_dispose(&events);
    seen = (struct seen){ 0 };
    events = (struct buildkit_events){
        .sink = &sink, .ctx = &seen, .dockerfile = "Dockerfile", .shown_as = "/src/Dockerfile"
    };
    return 0;
}

static int dispose(void **state)
{
    (void)state;
    buildkit_events_dispose(&events);
    return 0;
}

static int line(void *ctx, char *text, size_t len)
{
    (void)ctx;
    return buildkit_events_line(&events, text, len);
}

/* Feed a recording in pieces of `piece` bytes. */
static void play(const char *name, size_t piece)
{
    size_t len;
    char *data = recorded("buildkit-events", name, &len);
    struct plug_lines lines = { .max = BUILDKIT_EVENT_MAX, .line = line };
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(plug_lines_feed(&lines, data + at, len - at < piece ? len - at : piece),
                         0);
    assert_int_equal(plug_lines_finish(&lines), 0);
    assert_int_equal(lines.dropped, 0);
    assert_int_equal(events.bad_lines, 0);
    free(data);
}

static void tell(const char *text)
{
    assert_int_equal(buildkit_events_line(&events, text, strlen(text)), 0);
}

static void events_of_a_build_are_all_passed_on(void **state)
{
    static const size_t pieces[] = { 1, 7, 4096, 1024 * 1024 };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        reset(state);
        play("cold.events", pieces[i]);
        assert_true(seen.steps > 10);
        assert_int_equal(seen.failed, 0);
        assert_true(seen.progress > 5);
        assert_non_null(strstr(seen.out, "hello out\n"));
        assert_non_null(strstr(seen.out, "two world\n"));
        assert_string_equal(seen.err, "hello err\n");
        assert_string_equal(seen.step_name, "exporting to image");
        assert_true(seen.completed_us > seen.started_us);
        assert_string_equal(plug_text_view(&events.failed), "");
    }
}

static void events_of_a_cached_build_say_so(void **state)
{
    (void)state;
    play("cached.events", 4096);
    assert_int_equal(seen.cached, 3);
    assert_int_equal(seen.logs, 0);
}

#define STEP(more)                                                                                 \
    "{\"vertexes\":[{\"digest\":\"sha256:a\",\"name\":\"RUN "                                      \
    "x\",\"started\":\"2026-01-01T00:00:00Z\"" more "}]}"
#define DONE ",\"completed\":\"2026-01-01T00:00:01Z\""

static void a_cached_step_that_is_told_again_stays_cached(void **state)
{
    (void)state;
    tell(STEP(DONE ",\"cached\":true"));
    assert_int_equal(seen.cached, 1);
    tell(STEP("")); /* begun anew */
    assert_int_equal(seen.cached, 1);
    tell(STEP(DONE));
    assert_int_equal(seen.cached, 2);
    tell("{\"logs\":[{\"vertex\":\"sha256:a\",\"stream\":1,\"data\":\"eA==\"}]}");
    tell(STEP(DONE)); /* it was run, for it has said something */
    assert_int_equal(seen.cached, 2);
}

static void a_step_whose_cache_cannot_be_loaded_is_run(void **state)
{
    (void)state;
    tell(STEP(DONE ",\"cached\":true,\"error\":\"blob not found\""));
    assert_int_equal(seen.cached, 1);
    tell(STEP(DONE));
    assert_int_equal(seen.cached, 1);
}

static void events_of_a_failure_name_the_step_that_failed(void **state)
{
    static const struct {
        const char *file;
        const char *step;
    } cases[] = {
        { "run.events", "[3/3] RUN echo \"noise on stdout\" &&     echo err >&2 &&     exit 2" },
        { "copymissing.events", "[2/2] COPY x/missing.txt /a" },
        { "badcache.events", "exporting cache to registry" },
        { "cancelled.events", "" }, /* what was stopped has not failed */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reset(state);
        play(cases[i].file, 4096);
        assert_string_equal(plug_text_view(&events.failed), cases[i].step);
    }
}

static void events_carry_warnings_with_their_place(void **state)
{
    (void)state;
    play("warn.events", 4096);
    assert_int_equal(seen.warnings, 4);
    assert_string_equal(seen.warning,
                        "JSONArgsRecommended: JSON arguments recommended for CMD to prevent "
                        "unintended behavior related to OS signals");
    assert_string_equal(seen.file, "/src/Dockerfile");
    assert_int_equal(seen.line, 5);
    assert_string_equal(seen.url,
                        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
}

static void events_name_another_file_as_it_is_named(void **state)
{
    (void)state;
    tell("{\"warnings\":[{\"short\":\"eA==\",\"sourceInfo\":{\"filename\":\"Other\"},"
         "\"range\":[{\"start\":{\"line\":-3}}]}]}");
    assert_string_equal(seen.warning, "x");
    assert_string_equal(seen.file, "Other");
    assert_int_equal(seen.line, 0);
}

static void events_pass_the_inputs_and_the_error_of_a_step(void **state)
{
    (void)state;
    tell("{\"vertexes\":[{\"digest\":\"sha256:a\",\"name\":\"n\",\"inputs\":[\"sha256:b\",7,"
         "\"sha256:c\"],\"started\":\"2026-11-25T02:40:51Z\",\"error\":\"it broke\"}]}");
    assert_string_equal(seen.step_inputs, "sha256:b\nsha256:c\n");
    assert_string_equal(seen.step_error, "it broke");
    assert_true(seen.started_us == INT64_C(1795574451000000));
    assert_true(seen.completed_us == 0);
    assert_string_equal(plug_text_view(&events.failed), "n");
}

static void events_tell_progress_by_the_id_of_what_moves(void **state)
{
    (void)state;
    tell("{\"statuses\":[{\"id\":\"sha256:layer\",\"vertex\":\"sha256:v\",\"name\":\"downloading\","
         "\"current\":5,\"total\":9}]}");
    assert_string_equal(seen.progress_name, "sha256:layer");
    assert_true(seen.current == 5 && seen.total == 9);
}

static void events_that_are_none_are_counted_and_left_out(void **state)
{
    static const char *const lines[] = {
        "",
        "time=\"2026-11-25T02:49:18Z\" level=info msg=\"tracing\"",
        "[]",
        "\"vertexes\"",
        "{\"vertexes\":[",
        "{\"vertexes\":[7]}",
        "{\"vertexes\":[{\"digest\":7,\"name\":\"x\"}]}",
        "{\"vertexes\":[{\"digest\":\"sha256:a\"}]}",
        "{\"statuses\":[{\"id\":\"x\"}]}",
        "{\"statuses\":[{\"id\":\"x\",\"vertex\":\"v\",\"current\":-1}]}",
        "{\"logs\":[{\"vertex\":\"v\"}]}",
        "{\"logs\":[{\"vertex\":\"v\",\"data\":\"not base64!\"}]}",
        "{\"logs\":[{\"data\":\"eA==\"}]}",
        "{\"warnings\":[{\"short\":\"*\"}]}",
        "{\"warnings\":[{}]}",
        "{\"vertexes\":[{\"digest\":\"\xff\",\"name\":\"x\"}]}",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        reset(state);
        tell(lines[i]);
        if (events.bad_lines != 1 || seen.steps + seen.progress + seen.logs + seen.warnings != 0)
            fail_msg("%s: %zu", lines[i], events.bad_lines);
    }
}

static void events_of_kinds_to_come_are_no_fault(void **state)
{
    (void)state;
    tell("{\"novelties\":[{\"x\":1}],\"vertexes\":null}");
    assert_int_equal(events.bad_lines, 0);
}

static void a_log_keeps_each_byte(void **state)
{
    (void)state;
    tell("{\"logs\":[{\"vertex\":\"v\",\"stream\":2,\"data\":\"aGkNG1szMW0=\"}]}");
    assert_string_equal(seen.err, "hi\r\x1b[31m");
    assert_string_equal(seen.out, "");
}

static void times_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        { "1970-01-01T00:00:01Z", 1000000 },
        { "2026-11-25T02:40:51.12602704Z", INT64_C(1795574451126027) },
        { "2026-11-25T02:40:51.5+02:00", INT64_C(1795567251500000) },
        { "2026-11-25T02:40:51-00:30", INT64_C(1795576251000000) },
        { "2024-02-29T23:59:60Z", INT64_C(1709251200000000) },
        { "", 0 },
        { "2026-11-25", 0 },
        { "2026-11-25T02:40:51", 0 },
        { "2026-11-25T02:40:51Zx", 0 },
        { "2026-13-25T02:40:51Z", 0 },
        { "2026-11-32T02:40:51Z", 0 },
        { "2026-11-25T24:40:51Z", 0 },
        { "2026-11-25T02:60:51Z", 0 },
        { "2026-11-25 02:40:51Z", 0 },
        { "-026-11-25T02:40:51Z", 0 },
        { "2026-11-25T02:40:51+2:00", 0 },
        { "0001-01-01T00:00:00Z", 0 }, /* Go's zero time: not started */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = buildkit_time_parse(cases[i].text);
        if (us != cases[i].us)
            fail_msg("%s: %lld", cases[i].text, (long long)us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(events_of_a_build_are_all_passed_on, reset),
        cmocka_unit_test_setup(events_of_a_cached_build_say_so, reset),
        cmocka_unit_test_setup(a_cached_step_that_is_told_again_stays_cached, reset),
        cmocka_unit_test_setup(a_step_whose_cache_cannot_be_loaded_is_run, reset),
        cmocka_unit_test_setup(events_of_a_failure_name_the_step_that_failed, reset),
        cmocka_unit_test_setup(events_carry_warnings_with_their_place, reset),
        cmocka_unit_test_setup(events_name_another_file_as_it_is_named, reset),
        cmocka_unit_test_setup(events_pass_the_inputs_and_the_error_of_a_step, reset),
        cmocka_unit_test_setup(events_tell_progress_by_the_id_of_what_moves, reset),
        cmocka_unit_test_setup(events_that_are_none_are_counted_and_left_out, reset),
        cmocka_unit_test_setup(events_of_kinds_to_come_are_no_fault, reset),
        cmocka_unit_test_setup(a_log_keeps_each_byte, reset),
        cmocka_unit_test(times_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, dispose);
}
