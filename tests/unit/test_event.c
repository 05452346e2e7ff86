/* Events, the bus that carries them, and the line of --events. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "torture.h"
#include "util/event.h"
#include "util/json.h"
#include "util/log.h"
#include "util/secret.h"

static void keep(void *ctx, const struct strake_event *event)
{
    char **text = ctx;

    free(*text);
    *text = json_dumps(event->data, JSON_COMPACT | JSON_SORT_KEYS);
}

/* Post it, and return what a sink saw: JSON text that the caller frees. */
static char *seen(enum strake_event_type type, json_t *data)
{
    struct strake_bus *bus = strake_bus_new(NULL, NULL);
    char *text = NULL;

    assert_non_null(bus);
    assert_int_equal(strake_bus_add_sink(bus, keep, &text), 0);
    strake_bus_post(bus, type, "app", data);
    strake_bus_drain(bus);
    strake_bus_free(bus);
    return text;
}

static void an_event_shows_no_secret_wherever_it_stands(void **state)
{
    char *text;

    (void)state;
    strake_secret_mark("hunter22222", 11);
    text =
        seen(STRAKE_EVENT_LOG, json_pack("{s:s, s:[s, {s:s}], s:i}", "text", "it is hunter22222!",
                                         "list", "hunter22222", "deep", "hunter22222", "n", 1));
    assert_string_equal(text, "{\"list\":[\"[secret]\",{\"deep\":\"[secret]\"}],\"n\":1,"
                              "\"text\":\"it is [secret]!\"}");
    free(text);
    text = seen(STRAKE_EVENT_POLICY_DECISION, json_pack("{s:s}", "message", "no hunter22222"));
    assert_string_equal(text, "{\"message\":\"no [secret]\"}");
    free(text);
    strake_secret_reset();
}

static void an_event_without_secrets_is_handed_over_as_it_is(void **state)
{
    char *text = seen(STRAKE_EVENT_LOG, json_pack("{s:s, s:n}", "text", "hunter22222", "none"));

    (void)state;
    assert_string_equal(text, "{\"none\":null,\"text\":\"hunter22222\"}");
    free(text);
}

/* ---- the bus ---- */

struct seen_list {
    struct strake_bus *bus;
    char text[256];
    size_t count;
    bool answer;
};

static void note(void *ctx, const struct strake_event *event)
{
    struct seen_list *list = ctx;
    size_t len = strlen(list->text);

    list->count++;
    if (len < sizeof(list->text) - 40)
        snprintf(list->text + len, sizeof(list->text) - len, "%s:%s ",
                 strake_event_name(event->type), event->target);
    if (list->answer) {
        list->answer = false;
        strake_bus_post(list->bus, STRAKE_EVENT_LOG, "answer", NULL);
    }
}

static void count_wakes(void *ctx)
{
    (*(int *)ctx)++;
}

static void events_wait_for_the_drain_and_keep_their_order(void **state)
{
    int wakes = 0;
    struct strake_bus *bus = strake_bus_new(count_wakes, &wakes);
    struct seen_list one = { .bus = bus }, two = { .bus = bus };

    (void)state;
    assert_int_equal(strake_bus_add_sink(bus, note, &one), 0);
    assert_int_equal(strake_bus_add_sink(bus, note, &two), 0);
    strake_bus_post(bus, STRAKE_EVENT_TARGET_STARTED, "app", NULL);
    strake_bus_post(bus, STRAKE_EVENT_TARGET_DONE, "app", json_object());
    strake_bus_post(bus, STRAKE_EVENT_RUN_DONE, NULL, NULL);
    assert_int_equal(wakes, 1); /* one drain takes them all */
    assert_int_equal(one.count, 0);
    strake_bus_drain(bus);
    assert_string_equal(one.text, "target.started:app target.done:app run.done: ");
    assert_string_equal(two.text, one.text);
    strake_bus_post(bus, STRAKE_EVENT_LOG, NULL, NULL); /* freed with the bus, never seen */
    assert_int_equal(wakes, 2);
    strake_bus_free(bus);
    assert_int_equal(one.count, 3);
    strake_bus_post(NULL, STRAKE_EVENT_LOG, "app", json_object());
    strake_bus_free(NULL);
}

static void what_a_sink_posts_is_handed_over_in_the_same_drain(void **state)
{
    (void)state;
    for (int owned = 0; owned <= 1; owned++) {
        struct strake_bus *bus = strake_bus_new(NULL, NULL);
        struct seen_list list = { .bus = bus, .answer = true };
        if (owned)
            strake_bus_set_owner_thread(bus);
        assert_int_equal(strake_bus_add_sink(bus, note, &list), 0);
        strake_bus_post(bus, STRAKE_EVENT_RUN_STARTED, "ask", NULL);
        assert_int_equal(list.count, owned ? 2 : 0); /* the owner's own events do not wait */
        strake_bus_drain(bus);
        assert_string_equal(list.text, "run.started:ask log:answer ");
        strake_bus_free(bus);
    }
}

static void a_ninth_sink_is_refused(void **state)
{
    struct strake_bus *bus = strake_bus_new(NULL, NULL);
    struct seen_list list = { .bus = bus };

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(strake_bus_add_sink(bus, note, &list), 0);
    assert_int_equal(strake_bus_add_sink(bus, note, &list), STRAKE_EINTERNAL);
    strake_bus_free(bus);
}

/* Posts 40 MiB of log; says after each piece how many it has posted. */
struct poster {
    struct strake_bus *bus;
    atomic_int posted;
};

#define PIECES 40

static void post_mebibyte(struct strake_bus *bus)
{
    char *text = strake_malloc(1024 * 1024);
    json_t *data = json_object();

    memset(text, 'x', 1024 * 1024);
    assert_int_equal(strake_json_set_strn(data, "text", text, 1024 * 1024), 0);
    strake_bus_post(bus, STRAKE_EVENT_STEP_LOG, "app", data);
    strake_free(text);
}

static void *post_much(void *ctx)
{
    struct poster *poster = ctx;

    for (int i = 0; i < PIECES; i++) {
        post_mebibyte(poster->bus);
        atomic_fetch_add(&poster->posted, 1);
    }
    return NULL;
}

static void a_poster_waits_while_too_much_text_is_waiting(void **state)
{
    struct poster poster = { .bus = strake_bus_new(NULL, NULL) };
    struct seen_list list = { .bus = poster.bus };
    pthread_t thread;
    int before = -1;

    (void)state;
    assert_int_equal(strake_bus_add_sink(poster.bus, note, &list), 0);
    strake_bus_set_owner_thread(poster.bus);
    assert_int_equal(pthread_create(&thread, NULL, post_much, &poster), 0);
    while (atomic_load(&poster.posted) != before || before < 16) { /* until it stands still */
        before = atomic_load(&poster.posted);
        usleep(50000);
    }
    assert_int_equal(before, 16); /* the next one would be the second past 16 MiB */
    while (list.count < PIECES) {
        strake_bus_drain(poster.bus);
        usleep(1000);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < PIECES; i++) /* the owner itself is never kept: nobody else would drain */
        post_mebibyte(poster.bus);
    assert_int_equal(list.count, 2 * PIECES);
    strake_bus_free(poster.bus);
}

/* ---- the line of --events ---- */

static void a_line_has_the_shape_of_the_docs(void **state)
{
    static const struct {
        const char *target, *run, *data, *want;
    } cases[] = {
        { "app", "r1", "{\"step\":\"s\",\"cached\":true}",
          "{\"v\":1,\"time\":\"2026-11-25T02:12:36.123Z\",\"run\":\"r1\",\"type\":\"step.done\","
          "\"target\":\"app\",\"step\":\"s\",\"cached\":true}" },
        { "", "r1", "{}",
          "{\"v\":1,\"time\":\"2026-11-25T02:12:36.123Z\",\"run\":\"r1\",\"type\":\"step.done\"}" },
        { "", "r1", "{\"type\":\"mine\",\"v\":7,\"text\":\"a\\nb\"}",
          "{\"v\":1,\"time\":\"2026-11-25T02:12:36.123Z\",\"run\":\"r1\",\"type\":\"step.done\","
          "\"text\":\"a\\nb\"}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_event event = { .type = STRAKE_EVENT_STEP_DONE,
                                      .time_us = 1795572756123456,
                                      .target = (char *)cases[i].target,
                                      .data = json_loads(cases[i].data, 0, NULL) };
        struct strake_buf line = { 0 };
        assert_int_equal(strake_event_line(&event, cases[i].run, &line), 0);
        assert_string_equal(strake_buf_text(&line), cases[i].want);
        strake_buf_dispose(&line);
        json_decref(event.data);
    }
}

static void each_type_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < STRAKE_EVENT_COUNT; i++) {
        const char *name = strake_event_name((enum strake_event_type)i);
        assert_true(name && *name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, strake_event_name((enum strake_event_type)k));
    }
    assert_string_equal(strake_event_name(STRAKE_EVENT_TAG_ROLLED_BACK), "tag.rolled-back");
    assert_string_equal(strake_event_name(STRAKE_EVENT_COUNT), "log");
}

static int post_and_write(void *ctx)
{
    struct strake_bus *bus = strake_bus_new(NULL, NULL);
    struct seen_list list = { .bus = bus };
    struct strake_event event = { .type = STRAKE_EVENT_LOG, .target = "t", .data = ctx };
    struct strake_buf line = { 0 };
    int rc = bus ? strake_bus_add_sink(bus, note, &list) : STRAKE_ENOMEM;

    if (rc == 0) {
        strake_bus_post(bus, STRAKE_EVENT_LOG, "t", json_incref(ctx));
        strake_bus_drain(bus);
        rc = list.count == 1 ? 0 : STRAKE_ENOMEM; /* lost, and the log says so */
    }
    if (rc == 0)
        rc = strake_event_line(&event, "run", &line);
    if (rc < 0)
        assert_int_equal(line.len, 0);
    strake_buf_dispose(&line);
    strake_bus_free(bus);
    return rc;
}

static void quiet(void *ctx, enum strake_level level, const char *line)
{
    (void)ctx;
    (void)level;
    assert_non_null(strstr(line, "an event log was lost: out of memory"));
}

static void an_event_is_whole_or_lost_when_memory_fails(void **state)
{
    json_t *data = json_pack("{s:s}", "text", "words");

    (void)state;
    strake_log_set_sink(quiet, NULL);
    torture(post_and_write, data);
    strake_log_set_sink(NULL, NULL);
    assert_int_equal(data->refcount, 1);
    json_decref(data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_shows_no_secret_wherever_it_stands),
        cmocka_unit_test(an_event_without_secrets_is_handed_over_as_it_is),
        cmocka_unit_test(events_wait_for_the_drain_and_keep_their_order),
        cmocka_unit_test(what_a_sink_posts_is_handed_over_in_the_same_drain),
        cmocka_unit_test(a_ninth_sink_is_refused),
        cmocka_unit_test(a_poster_waits_while_too_much_text_is_waiting),
        cmocka_unit_test(a_line_has_the_shape_of_the_docs),
        cmocka_unit_test(each_type_has_a_name_of_its_own),
        cmocka_unit_test(an_event_is_whole_or_lost_when_memory_fails),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
