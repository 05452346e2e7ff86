/* Clocks, RFC 3339 and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/time.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void time_format_is_rfc3339_in_milliseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *want;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { -1000000, "1969-12-31T23:59:59.000Z" },
        { 1795572756123456, "2026-11-25T02:12:36.123Z" },
        { -62135596800000000, "0001-01-01T00:00:00.000Z" },
        { 253402300799999999, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "1970-01-01T00:00:00.775Z" }, /* a year of more digits is no RFC 3339 */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[STRAKE_TIME_TEXT];
        strake_time_format(cases[i].us, text);
        assert_string_equal(text, cases[i].want);
    }
}

static void time_parse_takes_rfc3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-11-25T02:12:36.123Z", 1795572756123000 },
        { "2026-11-25t02:12:36.123456z", 1795572756123456 },
        { "2026-11-25 02:12:36.123456789Z", 1795572756123456 },
        { "2026-11-25T04:12:36.1+02:00", 1795572756100000 },
        { "2026-11-24T20:42:36-05:30", 1795572756000000 },
        { "2024-02-29T00:00:00Z", 1709164800000000 },
        { "2000-02-29T00:00:00Z", 951782400000000 },
        { "2016-12-31T23:59:60Z", 1483228800000000 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us = -1;
        int rc = strake_time_parse(cases[i].text, &us);
        if (rc != 0 || us != cases[i].want)
            fail_msg("%s: %d, %lld", cases[i].text, rc, (long long)us);
    }
}

static void time_parse_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "2026",
        "2026-11-25",
        "2026-11-25T02:12:36",
        "2026-11-25T02:12Z",
        "2026-11-25T02:12:36.Z",
        "2026-11-25T02:12:36,5Z",
        "2026-11-25T02:12:36Z ",
        " 2026-11-25T02:12:36Z",
        "26-11-25T02:12:36Z",
        "2026-1-25T02:12:36Z",
        "2026-00-25T02:12:36Z",
        "2026-13-25T02:12:36Z",
        "2026-11-00T02:12:36Z",
        "2026-11-31T02:12:36Z",
        "2026-02-29T02:12:36Z",
        "1900-02-29T02:12:36Z",
        "2026-11-25T24:00:00Z",
        "2026-11-25T02:60:36Z",
        "2026-11-25T02:12:61Z",
        "2026-11-25T02:12:36+24:00",
        "2026-11-25T02:12:36+02:60",
        "2026-11-25T02:12:36+0200",
        "2026-11-25T02:12:36+",
        "2026-11-25T-2:12:36Z",
        "+026-11-25T02:12:36Z",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us = 42;
        if (strake_time_parse(cases[i], &us) != STRAKE_EUSAGE || us != 42)
            fail_msg("'%s' was taken", cases[i]);
    }
}

static void duration_parse_takes_numbers_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        { "0s", 0 },          { "300ms", 300 },   { "2s", 2000 },     { "5m", 300000 },
        { "1h30m", 5400000 }, { "1d", 86400000 }, { "1.5s", 1500 },   { "0.5m", 30000 },
        { "1.0005s", 1001 },  { "0.1h", 360000 }, { "1m1m", 120000 }, { "3650d", 315360000000 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        int rc = strake_duration_parse(cases[i].text, &ms);
        if (rc != 0 || ms != cases[i].want)
            fail_msg("%s: %d, %lld", cases[i].text, rc, (long long)ms);
    }
}

static void duration_parse_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "5",
        "s",
        "ms",
        "-1s",
        "+1s",
        " 1s",
        "1s ",
        "1 s",
        "1e3s",
        "0x10s",
        "1.s",
        ".5s",
        "1..5s",
        "1S",
        "1min",
        "1week",
        "1s500",
        "infs",
        "nans",
        "1,5s",
        "3651d",
        "3650d1ms",
        "1hm",
        "99999999999999999999s",
        "18446744073709551616ms",
        "9223372036854775807d",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = 42;
        if (strake_duration_parse(cases[i], &ms) != STRAKE_EUSAGE || ms != 42)
            fail_msg("'%s' was taken", cases[i]);
    }
}

static void duration_format_is_for_people(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = {
        { 0, "0 ms" },
        { 999, "999 ms" },
        { 1000, "1.0 s" },
        { 1249, "1.2 s" },
        { 59949, "59.9 s" },
        { 59950, "1 min 0 s" },
        { 184000, "3 min 4 s" },
        { 3599949, "59 min 59 s" },
        { 3599950, "1 h 0 min" },
        { 7500000, "2 h 5 min" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        strake_duration_format(cases[i].ms, text, sizeof(text));
        assert_string_equal(text, cases[i].want);
    }
}

static void size_format_has_decimal_units(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *want;
    } cases[] = {
        { 0, "0 B" },
        { 999, "999 B" },
        { 1000, "1.0 kB" },
        { 12345, "12.3 kB" },
        { 999949, "999.9 kB" },
        { 999950, "1.0 MB" },
        { 1200000000, "1.2 GB" },
        { INT64_MAX, "9223.4 PB" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[32];
        strake_size_format(cases[i].bytes, text, sizeof(text));
        assert_string_equal(text, cases[i].want);
    }
}

static void formats_stay_within_what_they_are_given(void **state)
{
    (void)state;
    char text[5] = "....";
    strake_duration_format(184000, text, 4);
    assert_string_equal(text, "3 m");
    strake_size_format(INT64_MAX, text, 4);
    assert_string_equal(text, "922");
}

static void clocks_do_not_go_back(void **state)
{
    (void)state;
    int64_t first = strake_time_mono_us(), wall = strake_time_now_us();
    assert_true(strake_time_mono_us() >= first);
    assert_true(strake_time_mono_ms() >= first / 1000);
    assert_true(wall > 1700000000000000); /* microseconds, not milliseconds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_format_is_rfc3339_in_milliseconds),
        cmocka_unit_test(time_parse_takes_rfc3339),
        cmocka_unit_test(time_parse_refuses_everything_else),
        cmocka_unit_test(duration_parse_takes_numbers_with_units),
        cmocka_unit_test(duration_parse_refuses_everything_else),
        cmocka_unit_test(duration_format_is_for_people),
        cmocka_unit_test(size_format_has_decimal_units),
        cmocka_unit_test(formats_stay_within_what_they_are_given),
        cmocka_unit_test(clocks_do_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
