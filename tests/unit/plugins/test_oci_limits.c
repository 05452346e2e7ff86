/* plugins/oci/limits.c: what registries say of how often they may be asked. */
#include "fake_host.h"

#include "oci/limits.h"

static void limits_are_told_as_people_say_them(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        const char *text;
        bool low;
    } cases[] = {
        { "ratelimit-limit: 100;w=21600\nratelimit-remaining: 76;w=21600\n", "100 in 6 h, 76 left",
          false },
        { "ratelimit-limit: 100;w=21600\nratelimit-remaining: 10;w=21600\n", "100 in 6 h, 10 left",
          true },
        { "ratelimit-limit: 5;w=90\nratelimit-remaining: 0\n", "5 in 90 s, 0 left", true },
        { "ratelimit-limit: 200;w=300\n", "200 in 5 min", false },
        { "ratelimit-remaining: 3\n", "3 left", false },
        { "ratelimit-limit: 100;w=0\n", "100", false },
        { "ratelimit-limit: 100;x=1\n", "100", false },
        { "ratelimit-limit: many\nratelimit-remaining: -1\n", "", false },
        { "ratelimit-limit: 9999999999\n", "", false },
        { "ratelimit-limit: \n", "", false },
        { "x: y\n", "", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct oci_limits limits = oci_limits_read(cases[i].headers);
        struct plug_text text = { 0 };
        oci_limits_text(&limits, &text);
        assert_string_equal(plug_text_view(&text), cases[i].text);
        assert_int_equal(oci_limits_low(&limits), cases[i].low);
        plug_text_dispose(&text);
    }
}

static void wait_is_of_seconds_or_a_date(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        const char *text;
    } cases[] = {
        { "retry-after: 30\n", "wait 30 s" },
        { "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\n",
          "wait until Wed, 21 Oct 2026 07:28:00 GMT" },
        { "retry-after: 30.5\n", "wait a while" },
        { "retry-after: 0\n", "wait a while" },
        { "retry-after: -3\n", "wait a while" },
        { "retry-after: \n", "wait a while" },
        { "retry-after: Whenever it may please the operators of this registry, dear user\n",
          "wait a while" },
        { "", "wait a while" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text text = { 0 };
        oci_limits_wait(cases[i].headers, &text);
        assert_string_equal(plug_text_view(&text), cases[i].text);
        plug_text_dispose(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_told_as_people_say_them),
        cmocka_unit_test(wait_is_of_seconds_or_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
