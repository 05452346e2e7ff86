/* Secrets never show, whatever form they take and whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "torture.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"
#include "util/secret.h"

static int reset(void **state)
{
    (void)state;
    strake_secret_reset();
    return 0;
}

static void mark(const char *value)
{
    strake_secret_mark(value, strlen(value));
}

/* `text` redacted, or "" when it was cleared; the caller's. */
static char *redacted(const char *text)
{
    struct strake_buf buf = { 0 };
    assert_int_equal(strake_buf_puts(&buf, text), 0);
    strake_secret_redact(&buf);
    return strake_buf_take(&buf);
}

static void redact_knows_every_form_of_a_secret(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *text, *want;
    } cases[] = {
        { "hunter2!", "password hunter2!.", "password [secret]." },
        { "hunter2!", "hunter2!hunter2!", "[secret][secret]" },
        { "hunter2!", "hunter2", "hunter2" },
        { "abc", "abc is too short to be known", "abc is too short to be known" },
        { "hunter2!", "aHVudGVyMiE=", "[secret]=" },    /* base64 */
        { "hunter2!", "aHVudGVyMiE", "[secret]" },      /* without padding */
        { "hunter2!", "aHVudGVyMiEK", "[secret]K" },    /* with a newline, as of echo */
        { "hunter2!", "aHVudGVyMiF+", "[secret]MiF+" }, /* with "~" behind it */
        { "a?>b?>c?>", "YT8-Yj8-Yz8-", "[secret]" },    /* for URLs */
        { "pa ss/w&rd", "?p=pa%20ss%2Fw%26rd&x", "?p=[secret]&x" },
        { "pa ss/w&rd", "?p=pa%20ss%2fw%26rd&x", "?p=[secret]&x" },
        { "say \"hi\"\t\\", "{\"p\":\"say \\\"hi\\\"\\t\\\\\"}", "{\"p\":\"[secret]\"}" },
        { "a<b>&c", "{\"p\":\"a\\u003cb\\u003e\\u0026c\"}", "{\"p\":\"[secret]\"}" },
        { "bell\a\b\f\r\n!!", "bell\\u0007\\b\\f\\r\\n!!", "[secret]" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strake_secret_reset();
        mark(cases[i].secret);
        char *got = redacted(cases[i].text);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("case %zu: %s", i, got);
        strake_free(got);
    }
}

static void redact_knows_the_json_that_strake_writes(void **state)
{
    (void)state;
    char value[140];
    for (size_t i = 0; i < 127; i++)
        value[i] = (char)(i + 1);
    memcpy(value + 127, "\xc3\xa4\xe2\x82\xac", 6);
    mark(value);
    json_t *object = json_object();
    struct strake_buf text = { 0 };
    assert_int_equal(strake_json_set_str(object, "p", value), 0);
    assert_int_equal(strake_json_dump(object, &text), 0);
    assert_int_equal(strake_secret_redact(&text), 0);
    assert_string_equal(strake_buf_text(&text), "{\"p\":\"[secret]\"}");
    strake_buf_dispose(&text);
    json_decref(object);
}

static void redact_takes_the_longest_first(void **state)
{
    (void)state;
    mark("pass");
    mark("password-1");
    mark("password");
    char *got = redacted("password-1 password pass");
    assert_string_equal(got, "[secret] [secret] [secret]");
    strake_free(got);
}

static void redact_knows_the_lines_of_a_key(void **state)
{
    (void)state;
    mark("-----BEGIN KEY-----\nMIIEvgIBADANBg\r\n  indented: value\nshort\n-----END KEY-----\n");
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "cat: MIIEvgIBADANBg", "cat: [secret]" },
        { "    indented: value", "    [secret]" },
        { "short", "short" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *got = redacted(cases[i].text);
        assert_string_equal(got, cases[i].want);
        strake_free(got);
    }
}

static void redact_handles_bytes_and_may_grow_past_the_maximum(void **state)
{
    (void)state;
    strake_secret_mark("a\0bc", 4);
    struct strake_buf text = STRAKE_BUF(8);
    assert_int_equal(strake_buf_append(&text, "a\0bca\0bc", 8), 0);
    assert_int_equal(strake_secret_redact(&text), 0);
    assert_string_equal(strake_buf_text(&text), "[secret][secret]");
    assert_int_equal(strake_buf_putc(&text, 'x'), STRAKE_ETOOBIG);
    strake_buf_dispose(&text);
}

static void reset_forgets(void **state)
{
    (void)state;
    mark("hunter2!");
    assert_true(strake_secret_any());
    strake_secret_reset();
    assert_false(strake_secret_any());
    char *got = redacted("hunter2!");
    assert_string_equal(got, "hunter2!");
    strake_free(got);
}

/* Whatever fails between the marking and the showing: the text is redacted, or nothing is shown. */
static int mark_and_redact(void *ctx)
{
    (void)ctx;
    static const char *const shown[] = { "x p@ss/word\n12345678 x", "p@ss/word",
                                         "cEBzcy93b3JkCjEyMzQ1Njc4", "p%40ss%2Fword%0A12345678",
                                         "p@ss/word\\n12345678" };
    int rc = 0;
    strake_secret_reset();
    mark("p@ss/word\n12345678");
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        struct strake_buf text = { 0 };
        if (strake_buf_puts(&text, shown[i]) == 0) {
            int redaction = strake_secret_redact(&text);
            if (redaction < 0)
                assert_int_equal(text.len, 0);
            if (redaction < 0)
                rc = redaction;
            if (strstr(strake_buf_text(&text), "word") || strstr(strake_buf_text(&text), "5678") ||
                strstr(strake_buf_text(&text), "3b3Jk"))
                fail_msg("it shows: %s", strake_buf_text(&text));
        } else {
            rc = STRAKE_ENOMEM;
        }
        strake_buf_dispose(&text);
    }
    return rc;
}

static void nothing_leaks_when_memory_fails(void **state)
{
    (void)state;
    torture(mark_and_redact, NULL);
    strake_secret_reset();
}

static void a_secret_comes_from_the_environment(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    struct strake_buf value = { 0 };
    setenv("STRAKE_TEST_SECRET", "from-environment", 1);
    assert_int_equal(strake_secret_from_env("TOKEN", "STRAKE_TEST_SECRET", &err), 0);
    assert_true(strake_secret_is_env("STRAKE_TEST_SECRET"));
    assert_false(strake_secret_is_env("TOKEN"));
    char *got = redacted("from-environment"); /* known before it is first asked for */
    assert_string_equal(got, "[secret]");
    strake_free(got);
    assert_int_equal(strake_secret_get("TOKEN", &value, &err), 0);
    assert_string_equal(strake_buf_text(&value), "from-environment");
    assert_true(value.secret);
    json_t *source = strake_secret_source("TOKEN"), *unknown = strake_secret_source("OTHER");
    assert_string_equal(strake_json_str(source, "env"), "STRAKE_TEST_SECRET");
    assert_int_equal(json_object_size(source), 1);
    assert_int_equal(json_object_size(unknown), 0);
    json_decref(source);
    json_decref(unknown);
    strake_buf_dispose(&value);
    unsetenv("STRAKE_TEST_SECRET");
    assert_int_equal(strake_secret_get("TOKEN", &value, &err), STRAKE_ECONFIG);
    assert_non_null(strstr(strake_err_message(&err), "STRAKE_TEST_SECRET is not set"));
    assert_non_null(err.hint);
    assert_int_equal(strake_secret_get("OTHER", &value, &err), STRAKE_ECONFIG);
    strake_buf_dispose(&value);
    strake_err_dispose(&err);
}

static void two_sources_of_one_name_are_refused(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    mark("something else is known"); /* telling the failure must not wait for its own lock */
    assert_int_equal(strake_secret_from_env("TOKEN", "STRAKE_TEST_A", &err), 0);
    assert_int_equal(strake_secret_from_env("TOKEN", "STRAKE_TEST_A", &err), 0);
    assert_int_equal(strake_secret_from_env("TOKEN", "STRAKE_TEST_B", &err), STRAKE_ECONFIG);
    assert_int_equal(strake_secret_from_file("TOKEN", "/nowhere", &err), STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&err), "the secret TOKEN is declared with two sources");
    strake_err_dispose(&err);
}

static void a_file_loses_one_newline_at_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        { "file-value", "file-value" },
        { "file-value\n", "file-value" },
        { "file-value\r\n", "file-value" },
        { "file-value\n\n", "file-value\n" },
        { "file-value\r", "file-value\r" },
        { "\n", "" },
        { "", "" },
    };
    struct strake_err err = { 0 };
    char *folder = NULL;
    assert_int_equal(strake_fs_tempdir(&folder, &err), 0);
    char *path = strake_fs_join(folder, "token");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf value = { 0 };
        strake_secret_reset();
        strake_buf_puts(&value, "before:");
        assert_int_equal(
            strake_fs_write(path, cases[i].bytes, strlen(cases[i].bytes), 0600, false, &err), 0);
        assert_int_equal(strake_secret_from_file("TOKEN", path, &err), 0);
        assert_int_equal(strake_secret_get("TOKEN", &value, &err), 0);
        assert_string_equal(strake_buf_text(&value) + 7, cases[i].want);
        strake_buf_dispose(&value);
    }
    struct strake_buf value = { 0 };
    assert_int_equal(strake_fs_remove_tree(folder, &err), 0);
    assert_int_equal(strake_secret_get("TOKEN", &value, &err), STRAKE_ECONFIG);
    assert_non_null(strstr(strake_err_message(&err), "the secret TOKEN is not there: "));
    json_t *source = strake_secret_source("TOKEN");
    assert_string_equal(strake_json_str(source, "file"), path);
    json_decref(source);
    strake_buf_dispose(&value);
    strake_err_dispose(&err);
    strake_free(path);
    strake_free(folder);
}

static int declare_and_get(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_buf value = { 0 };
    json_t *source = NULL;
    strake_secret_reset();
    int rc = strake_secret_from_file("TOKEN", ctx, &err);
    if (rc == 0)
        rc = strake_secret_get("TOKEN", &value, &err);
    if (rc == 0)
        source = strake_secret_source("TOKEN");
    if (rc == 0 && !source)
        rc = STRAKE_ENOMEM;
    if (rc == 0)
        assert_string_equal(strake_buf_text(&value), "file-value");
    if (rc < 0 && err.code != 0)
        assert_int_equal(rc, STRAKE_ENOMEM);
    json_decref(source);
    strake_buf_dispose(&value);
    strake_err_dispose(&err);
    return rc;
}

static void a_secret_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    char *folder = NULL;
    assert_int_equal(strake_fs_tempdir(&folder, &err), 0);
    char *path = strake_fs_join(folder, "token");
    assert_int_equal(strake_fs_write(path, "file-value\n", 11, 0600, false, &err), 0);
    torture(declare_and_get, path);
    strake_secret_reset();
    strake_fs_remove_tree(folder, &err);
    strake_free(path);
    strake_free(folder);
}

static void base64_is_of_rfc4648(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = { { "", "" },
                  { "f", "Zg==" },
                  { "fo", "Zm8=" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg==" },
                  { "fooba", "Zm9vYmE=" },
                  { "foobar", "Zm9vYmFy" },
                  { "\xff\xef\xbe", "/+++" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf out = { 0 };
        assert_int_equal(strake_base64(cases[i].text, strlen(cases[i].text), &out), 0);
        assert_string_equal(strake_buf_text(&out), cases[i].want);
        strake_buf_dispose(&out);
    }
    struct strake_buf small = STRAKE_BUF(7);
    assert_int_equal(strake_base64("foob", 4, &small), STRAKE_ETOOBIG);
    strake_buf_dispose(&small);
}

int main(void)
{
    strake_json_setup();
    strake_log_set_level(STRAKE_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(redact_knows_every_form_of_a_secret, reset, reset),
        cmocka_unit_test_setup_teardown(redact_knows_the_json_that_strake_writes, reset, reset),
        cmocka_unit_test_setup_teardown(redact_takes_the_longest_first, reset, reset),
        cmocka_unit_test_setup_teardown(redact_knows_the_lines_of_a_key, reset, reset),
        cmocka_unit_test_setup_teardown(redact_handles_bytes_and_may_grow_past_the_maximum, reset,
                                        reset),
        cmocka_unit_test_setup_teardown(reset_forgets, reset, reset),
        cmocka_unit_test_setup_teardown(nothing_leaks_when_memory_fails, reset, reset),
        cmocka_unit_test_setup_teardown(a_secret_comes_from_the_environment, reset, reset),
        cmocka_unit_test_setup_teardown(two_sources_of_one_name_are_refused, reset, reset),
        cmocka_unit_test_setup_teardown(a_file_loses_one_newline_at_its_end, reset, reset),
        cmocka_unit_test_setup_teardown(a_secret_survives_every_failing_allocation, reset, reset),
        cmocka_unit_test(base64_is_of_rfc4648),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
