/* Byte strings with a maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "torture.h"
#include "util/buf.h"

static void buf_text_is_never_null_and_always_terminated(void **state)
{
    (void)state;
    struct strake_buf buf = { 0 };
    assert_string_equal(strake_buf_text(&buf), "");
    assert_non_null(strake_buf_reserve(&buf, 100)); /* and nothing put there */
    assert_string_equal(strake_buf_text(&buf), "");
    memcpy(strake_buf_reserve(&buf, 4), "text", 4);
    strake_buf_grew(&buf, 4);
    assert_string_equal(strake_buf_text(&buf), "text");
    strake_buf_dispose(&buf);
    strake_buf_dispose(NULL);
}

static void buf_holds_exactly_its_maximum(void **state)
{
    (void)state;
    static const struct {
        size_t max, first, second;
        int want;
    } cases[] = {
        { 1, 1, 0, 0 },
        { 1, 1, 1, STRAKE_ETOOBIG },
        { 10, 4, 6, 0 },
        { 10, 4, 7, STRAKE_ETOOBIG },
        { 64, 63, 1, 0 },
        { 64, 64, 1, STRAKE_ETOOBIG },
        { 100, 90, 10, 0 },
        { 100, 90, 11, STRAKE_ETOOBIG },
        { 1000, 600, SIZE_MAX, STRAKE_ETOOBIG },
        { SIZE_MAX, 600, 400, 0 },
    };
    static const char bytes[1024];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf buf = STRAKE_BUF(cases[i].max);
        assert_int_equal(strake_buf_append(&buf, bytes, cases[i].first), 0);
        int rc = strake_buf_append(&buf, bytes, cases[i].second);
        if (rc != cases[i].want)
            fail_msg("case %zu: %d", i, rc);
        assert_int_equal(buf.len, cases[i].first + (rc == 0 ? cases[i].second : 0));
        assert_int_equal(strake_buf_text(&buf)[buf.len], '\0');
        strake_buf_dispose(&buf);
        assert_int_equal(buf.max, cases[i].max);
    }
}

static void buf_refuses_when_it_is_past_its_maximum(void **state)
{
    (void)state;
    struct strake_buf buf = { 0 };
    assert_int_equal(strake_buf_puts(&buf, "longer than ten"), 0);
    buf.max = 10;
    assert_int_equal(strake_buf_putc(&buf, 'x'), STRAKE_ETOOBIG);
    assert_null(strake_buf_reserve(&buf, 1));
    assert_string_equal(strake_buf_text(&buf), "longer than ten");
    strake_buf_dispose(&buf);
}

static void buf_printf_appends_whole_or_not_at_all(void **state)
{
    (void)state;
    struct strake_buf buf = STRAKE_BUF(12);
    assert_int_equal(strake_buf_printf(&buf, "%s:%d", "port", 5000), 0);
    assert_string_equal(strake_buf_text(&buf), "port:5000");
    assert_int_equal(strake_buf_printf(&buf, "%04d", 7), STRAKE_ETOOBIG);
    assert_string_equal(strake_buf_text(&buf), "port:5000");
    assert_int_equal(strake_buf_printf(&buf, "%s", ""), 0);
    strake_buf_dispose(&buf);
}

static void buf_consume_keeps_the_rest(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *want;
    } cases[] = { { 0, "abcdef" }, { 2, "cdef" }, { 6, "" }, { 7, "" }, { SIZE_MAX, "" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int secret = 0; secret <= 1; secret++) {
            struct strake_buf buf = { .secret = secret == 1 };
            strake_buf_puts(&buf, "abcdef");
            strake_buf_consume(&buf, cases[i].len);
            assert_string_equal(strake_buf_text(&buf), cases[i].want);
            assert_int_equal(buf.len, strlen(cases[i].want));
            for (size_t at = buf.len; secret && at < 6; at++)
                assert_int_equal(buf.data[at], '\0');
            strake_buf_dispose(&buf);
        }
    }
    struct strake_buf empty = { 0 };
    strake_buf_consume(&empty, 3);
    strake_buf_clear(&empty);
}

static void buf_clear_wipes_a_secret(void **state)
{
    (void)state;
    struct strake_buf buf = { .secret = true };
    strake_buf_puts(&buf, "hunter2-hunter2");
    strake_buf_clear(&buf);
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(buf.data[i], '\0');
    strake_buf_dispose(&buf);
}

static void buf_take_leaves_it_empty(void **state)
{
    (void)state;
    struct strake_buf buf = { 0 };
    char *nothing = strake_buf_take(&buf);
    assert_string_equal(nothing, "");
    strake_buf_puts(&buf, "mine");
    char *text = strake_buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_int_equal(buf.len, 0);
    assert_null(buf.data);
    strake_free(nothing);
    strake_free(text);
}

static int grow(void *ctx)
{
    struct strake_buf buf = { .secret = *(bool *)ctx };
    char want[1200] = "";
    int rc = 0;
    for (int i = 0; rc == 0 && i < 200; i++) {
        rc = strake_buf_printf(&buf, "%05d", i);
        if (rc == 0)
            snprintf(want + 5 * (size_t)i, 6, "%05d", i);
    }
    assert_string_equal(strake_buf_text(&buf), want);
    char *taken = rc == 0 ? strake_buf_take(&buf) : NULL;
    if (rc == 0 && !taken)
        rc = STRAKE_ENOMEM;
    strake_free(taken);
    strake_buf_dispose(&buf);
    return rc;
}

static void buf_keeps_what_it_had_when_memory_fails(void **state)
{
    (void)state;
    bool secret = false;
    torture(grow, &secret);
    secret = true;
    torture(grow, &secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_text_is_never_null_and_always_terminated),
        cmocka_unit_test(buf_holds_exactly_its_maximum),
        cmocka_unit_test(buf_refuses_when_it_is_past_its_maximum),
        cmocka_unit_test(buf_printf_appends_whole_or_not_at_all),
        cmocka_unit_test(buf_consume_keeps_the_rest),
        cmocka_unit_test(buf_clear_wipes_a_secret),
        cmocka_unit_test(buf_take_leaves_it_empty),
        cmocka_unit_test(buf_keeps_what_it_had_when_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
