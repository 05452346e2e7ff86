/* plugins/ntfy/message.c: what fits is sent whole, the rest is cut between characters. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ntfy/ntfy.h"

static void clip_cuts_between_characters_and_replaces_what_is_none(void **state)
{
    static const struct {
        const char *text;
        size_t max;
        const char *want;
    } cases[] = {
        { "", 10, "" },
        { "abcdef", 6, "abcdef" },
        { "abcdefg", 6, "abc…" },
        { "ääää", 8, "ääää" },
        { "äääää", 8, "ää…" },
        { "aäääää", 8, "aää…" },
        { "€€€", 9, "€€€" },
        { "€€€€", 9, "€€…" },
        { "🚢🚢🚢", 8, "🚢…" },
        { "abc", 3, "abc" },
        { "abcd", 3, "…" },
        { "a\xff"
          "b",
          20,
          "a\xef\xbf\xbd"
          "b" },
        { "\xe2\x82", 20, "\xef\xbf\xbd\xef\xbf\xbd" },                 /* begun only */
        { "\xc0\xaf", 20, "\xef\xbf\xbd\xef\xbf\xbd" },                 /* longer than need be */
        { "\xed\xa0\x80", 20, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
        { "\xf4\x90\x80\x80", 20, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xff\xff\xff", 6, "\xef\xbf\xbd…" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text out = { 0 };
        ntfy_clip(&out, cases[i].text, cases[i].max);
        assert_string_equal(plug_text_view(&out), cases[i].want);
        assert_true(out.len <= cases[i].max);
        plug_text_dispose(&out);
    }
}

static char *body_of(const struct ntfy *ntfy, struct strake_message message)
{
    static const char *const none[] = { NULL };
    message.id = message.id ? message.id : "";
    message.title = message.title ? message.title : "";
    message.click = message.click ? message.click : "";
    message.tags = message.tags ? message.tags : none;
    return ntfy_body(ntfy, &message);
}

static void assert_body(const struct ntfy *ntfy, struct strake_message message, const char *want)
{
    char *body = body_of(ntfy, message);
    assert_string_equal(body, want);
    free(body);
}

static void body_has_what_the_message_has(void **state)
{
    char *const tags[] = { (char *)"whale", NULL };
    const struct ntfy plain = { .topic = (char *)"builds" };
    const struct ntfy loud = { .topic = (char *)"builds", .priority = 5, .tags = (char **)tags };

    (void)state;
    assert_body(&plain, (struct strake_message){ .text = "hello", .priority = 3 },
                "{\"topic\":\"builds\",\"message\":\"hello\"}");
    assert_body(&plain, (struct strake_message){ .text = "", .title = "done", .priority = 9 },
                "{\"topic\":\"builds\",\"message\":\"done\"}");
    assert_body(&loud,
                (struct strake_message){ .id = "r-1",
                                         .text = "a\"b",
                                         .title = "T",
                                         .click = "https://x/",
                                         .priority = 1,
                                         .tags = (const char *const[]){ "ci", NULL } },
                "{\"topic\":\"builds\",\"message\":\"a\\\"b\",\"title\":\"T\",\"priority\":5,"
                "\"click\":\"https://x/\",\"sequence_id\":\"r-1\",\"tags\":[\"whale\",\"ci\"]}");
}

static void topics_are_those_of_the_server(void **state)
{
    char longest[66];

    (void)state;
    memset(longest, 'x', 65);
    longest[65] = '\0';
    assert_false(ntfy_topic_valid(longest));
    assert_true(ntfy_topic_valid(longest + 1));
    assert_true(ntfy_topic_valid("Build_s-1"));
    assert_false(ntfy_topic_valid(""));
    assert_false(ntfy_topic_valid("a/b"));
    assert_false(ntfy_topic_valid("a b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clip_cuts_between_characters_and_replaces_what_is_none),
        cmocka_unit_test(body_has_what_the_message_has),
        cmocka_unit_test(topics_are_those_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
