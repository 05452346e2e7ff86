/* Header lines: taken in, looked up. What is checked before it goes out is in test_http.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/http_impl.h"

#include "torture.h"

static int add(struct strake_buf *headers, const char *line)
{
    return strake_http_add_header(headers, line, strlen(line));
}

static void add_takes_well_formed_lines_only(void **state)
{
    (void)state;
    static const struct {
        const char *lines[3];
        const char *text;
    } cases[] = {
        { { "Name: value\r\n" }, "name: value\n" },
        { { "Name:value\n" }, "name: value\n" },
        { { "Name: \t value \t \r\n" }, "name: value\n" },
        { { "Name:\r\n" }, "name: \n" },
        { { "X-A: caf\xE9\r\n" }, "x-a: caf\xE9\n" },
        { { "A: 1\r\n", "HTTP/1.1 200 OK\r\n", "B: 2\r\n" }, "b: 2\n" },
        { { "A: 1\r\n", "\t more\r\n" }, "a: 1 more\n" },
        { { " lost\r\n", "A: 1\r\n" }, "a: 1\n" },
        { { "\r\n" }, "" },
        { { "no colon\r\n" }, "" },
        { { ": no name\r\n" }, "" },
        { { "Na me: value\r\n" }, "" },
        { { "Name : value\r\n" }, "" },
        { { "Name: a\x01"
            "b\r\n" },
          "" },
        { { "Name: a\x7f\r\n" }, "" },
        { { "A: 1\r\n", " \x02\r\n" }, "a: 1\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf headers = { 0 };
        for (size_t k = 0; k < 3 && cases[i].lines[k] != NULL; k++)
            assert_int_equal(add(&headers, cases[i].lines[k]), 0);
        assert_string_equal(strake_buf_text(&headers), cases[i].text);
        strake_buf_dispose(&headers);
    }
    struct strake_buf headers = { 0 };
    assert_int_equal(strake_http_add_header(&headers, "A: b\0c\r\n", 8), 0);
    assert_int_equal(headers.len, 0);
    strake_buf_dispose(&headers);
}

static void add_is_bounded(void **state)
{
    (void)state;
    struct strake_buf headers = { 0 };
    char line[1024];
    int rc = 0;
    snprintf(line, sizeof(line), "X: %01000d\r\n", 0);
    for (size_t i = 0; i < 300 && rc == 0; i++)
        rc = add(&headers, line);
    assert_int_equal(rc, STRAKE_ETOOBIG);
    assert_in_range(headers.len, 1, STRAKE_HTTP_HEADERS_MAX);
    line[0] = ' ';
    assert_int_equal(add(&headers, line), STRAKE_ETOOBIG);
    strake_buf_dispose(&headers);
}

static void status_is_read_from_a_status_line_only(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
    } cases[] = {
        { "HTTP/1.1 200 OK\r\n", 200 }, { "HTTP/2 404 \r\n", 404 }, { "HTTP/1.0 599", 599 },
        { "HTTP/1.1 20", 0 },           { "HTTP/1.1 2x0 OK", 0 },   { "HTTP/1.1", 0 },
        { "HTTP/1.1 099 OK", 0 },       { "HTTPS: 200", 0 },        { "", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(strake_http_status(cases[i].line, strlen(cases[i].line)), cases[i].status);
}

static void header_walks_all_of_a_name(void **state)
{
    (void)state;
    struct strake_buf headers = { 0 };
    strake_buf_puts(&headers, "link: one\nlinks: not\nx: link: not\nlink: \nlink: three\n");
    static const char *const values[] = { "one", "", "three" };
    size_t pos = 0, len = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *value = strake_http_header(&headers, "link", &pos, &len);
        assert_non_null(value);
        assert_int_equal(len, strlen(values[i]));
        assert_memory_equal(value, values[i], len);
    }
    assert_null(strake_http_header(&headers, "link", &pos, &len));
    pos = 0;
    assert_null(strake_http_header(&headers, "lin", &pos, &len));
    struct strake_buf none = { 0 };
    pos = 0;
    assert_null(strake_http_header(&none, "link", &pos, &len));
    strake_buf_dispose(&headers);
}

static int add_once(void *ctx)
{
    (void)ctx;
    struct strake_buf headers = { 0 };
    int rc = add(&headers, "A: 1\r\n");
    if (rc == 0)
        rc = add(&headers, " and a continuation line that makes the buffer longer than it was\r\n");
    strake_buf_dispose(&headers);
    return rc;
}

static void headers_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(add_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_takes_well_formed_lines_only),
        cmocka_unit_test(add_is_bounded),
        cmocka_unit_test(status_is_read_from_a_status_line_only),
        cmocka_unit_test(header_walks_all_of_a_name),
        cmocka_unit_test(headers_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
