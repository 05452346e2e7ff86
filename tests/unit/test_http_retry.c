/* When to try again: statuses, Retry-After, backoff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/http_impl.h"

static void status_may_pass_when_it_is_of_the_moment(void **state)
{
    (void)state;
    static const int passing[] = { 408, 429, 500, 502, 503, 504, 599 };
    static const int staying[] = { 0, 200, 302, 400, 401, 403, 404, 409, 501, 600 };
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        assert_true(strake_http_may_pass(passing[i]));
    for (size_t i = 0; i < sizeof(staying) / sizeof(staying[0]); i++)
        assert_false(strake_http_may_pass(staying[i]));
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t now_s;
        int64_t ms;
    } cases[] = {
        { "0", 0, 0 },
        { "120", 0, 120000 },
        { "99999999999999999", 0, 315360000000 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 60, 60000 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 60, 0 },
        { "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 - 1, 1000 },
        { "", 0, -1 },
        { "-1", 0, -1 },
        { "1.5", 0, -1 },
        { "35.8\xC2\xB5s", 0, -1 },
        { "1000000000000000000", 0, -1 },
        { "Sun, 06 Nov 1994 08:49:37 UTC", 0, -1 },
        { "Sun, 06 Nun 1994 08:49:37 GMT", 0, -1 },
        { "Sun, 00 Nov 1994 08:49:37 GMT", 0, -1 },
        { "Sun, 06 Nov 1994 24:49:37 GMT", 0, -1 },
        { "Sun, 06 Nov 1994 08:4:037 GMT", 0, -1 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", 0, -1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf headers = { 0 };
        strake_buf_printf(&headers, "retry-after: %s\n", cases[i].value);
        int64_t ms = strake_http_retry_after(&headers, cases[i].now_s * 1000000);
        if (ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].value, (long long)ms);
        strake_buf_dispose(&headers);
    }
    assert_int_equal(strake_http_retry_after(&(struct strake_buf){ 0 }, 0), -1);
}

static void retry_words_are_go_durations(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int64_t ms;
    } cases[] = {
        { "retry-after: 35.8\xC2\xB5s, allowed: 44000/minute", 1 },
        { "toomanyrequests: retry-after: 1.5s", 1500 },
        { "Retry-After: 1h2m3s.", 3723000 },
        { "retry-after:250ms", 250 },
        { "retry-after: 12us", 1 },
        { "retry-after: 9\xCE\xBCs", 1 },
        { "retry-after: 1s retry-after: 2s", 1000 },
        { "retry-after: 99999999999999h", 315360000000 },
        { "retry-after: 30", -1 },
        { "retry-after: s", -1 },
        { "retry-after: .s", -1 },
        { "retry-after: 1.2.3s", -1 },
        { "retry-after: 5 s", -1 },
        { "retry-after: -5s", -1 },
        { "retry-after:", -1 },
        { "retry after 5s", -1 },
        { "", -1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = strake_http_retry_words(cases[i].words, strlen(cases[i].words));
        if (ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].words, (long long)ms);
    }
}

static void backoff_doubles_with_jitter(void **state)
{
    (void)state;
    bool differs = false;
    for (int round = 0; round < 200; round++) {
        int64_t first = strake_http_backoff(1);
        assert_in_range(first, 75, 150);
        assert_in_range(strake_http_backoff(2), 150, 300);
        assert_in_range(strake_http_backoff(3), 300, 600);
        assert_in_range(strake_http_backoff(4), 600, 1200);
        differs = differs || first != strake_http_backoff(1);
    }
    assert_true(differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_may_pass_when_it_is_of_the_moment),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(retry_words_are_go_durations),
        cmocka_unit_test(backoff_doubles_with_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
