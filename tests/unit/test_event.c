/* The bus: what it hands over, and what it keeps to itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/event.h"
#include "util/json.h"
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
    text = seen(STRAKE_EVENT_LOG, json_pack("{s:s, s:[s, {s:s}], s:i}", "text", "it is hunter22222!",
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_shows_no_secret_wherever_it_stands),
        cmocka_unit_test(an_event_without_secrets_is_handed_over_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
