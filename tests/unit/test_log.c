/* The log: one bounded line at a time, which shows no secret. */
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
#include "util/log.h"
#include "util/secret.h"

static struct strake_buf seen;
static int last_level;

static void sink(void *ctx, enum strake_level level, const char *line)
{
    (void)ctx;
    last_level = (int)level;
    seen.len = 0;
    size_t len = strlen(line);
    assert_true(len < 20000);
    if (!seen.data)
        seen.data = malloc(20000); /* not counted among the log's own allocations */
    assert_non_null(seen.data);
    memcpy(seen.data, line, len + 1);
    seen.len = len;
}

static int setup(void **state)
{
    (void)state;
    strake_secret_reset();
    strake_log_set_level(STRAKE_LOG_WARN);
    strake_log_set_sink(sink, NULL);
    seen.len = 0;
    if (seen.data)
        seen.data[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    strake_log_set_sink(NULL, NULL);
    strake_secret_reset();
    free(seen.data);
    seen = (struct strake_buf){ 0 };
    return 0;
}

static void log_passes_only_what_has_the_level(void **state)
{
    (void)state;
    static const struct {
        enum strake_level at, level;
        const char *want;
    } cases[] = {
        { STRAKE_LOG_WARN, STRAKE_LOG_DEBUG, "" },
        { STRAKE_LOG_WARN, STRAKE_LOG_INFO, "" },
        { STRAKE_LOG_WARN, STRAKE_LOG_WARN, "strake: warning: told 7\n" },
        { STRAKE_LOG_WARN, STRAKE_LOG_ERROR, "strake: error: told 7\n" },
        { STRAKE_LOG_DEBUG, STRAKE_LOG_DEBUG, "strake: debug: told 7\n" },
        { STRAKE_LOG_DEBUG, STRAKE_LOG_INFO, "strake: info: told 7\n" },
        { STRAKE_LOG_ERROR, STRAKE_LOG_WARN, "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(state);
        strake_log_set_level(cases[i].at);
        strake_log(cases[i].level, "told %d", 7);
        assert_string_equal(strake_buf_text(&seen), cases[i].want);
        if (*cases[i].want)
            assert_int_equal(last_level, cases[i].level);
    }
}

static void log_writes_one_line_without_control_characters(void **state)
{
    (void)state;
    strake_log(STRAKE_LOG_WARN, "a\nb\033[2Jc\x7f");
    assert_string_equal(strake_buf_text(&seen), "strake: warning: a b [2Jc \n");
}

static void log_redacts_before_it_changes_a_byte(void **state)
{
    (void)state;
    strake_secret_mark("two\nlines", 9);
    strake_log(STRAKE_LOG_WARN, "it is two\nlines");
    assert_string_equal(strake_buf_text(&seen), "strake: warning: it is [secret]\n");
}

static void log_tells_of_a_line_too_long_and_shows_the_longest(void **state)
{
    (void)state;
    char *text = malloc(17000);
    assert_non_null(text);
    size_t longest = 16 * 1024 - strlen("strake: warning: ");
    memset(text, 'x', 17000);
    text[longest] = '\0';
    strake_log(STRAKE_LOG_WARN, "%s", text);
    assert_int_equal(seen.len, 16 * 1024 + 1);
    text[longest] = 'x';
    text[longest + 1] = '\0';
    strake_log(STRAKE_LOG_WARN, "%s", text);
    assert_string_equal(strake_buf_text(&seen),
                        "strake: warning: (a message too long to be shown)\n");
    free(text);
}

static int log_secret(void *ctx)
{
    seen.len = 0;
    seen.data[0] = '\0';
    strake_log(STRAKE_LOG_WARN, "it is hunter2-hunter2, %s", (const char *)ctx);
    assert_null(strstr(strake_buf_text(&seen), "hunter2"));
    return seen.len ? 0 : STRAKE_ENOMEM;
}

static void log_shows_nothing_rather_than_a_secret(void **state)
{
    (void)state;
    strake_log(STRAKE_LOG_WARN, "first"); /* makes the test's own room */
    strake_secret_mark("hunter2-hunter2", 15);
    torture(log_secret, "and so on, longer than the first room of a buffer, which is 64 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_passes_only_what_has_the_level, setup, teardown),
        cmocka_unit_test_setup_teardown(log_writes_one_line_without_control_characters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(log_redacts_before_it_changes_a_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(log_tells_of_a_line_too_long_and_shows_the_longest, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(log_shows_nothing_rather_than_a_secret, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
