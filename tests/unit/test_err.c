/* Failures: what is told, how it is bounded, and that it shows no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "torture.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/json.h"
#include "util/secret.h"

static int reset(void **state)
{
    (void)state;
    strake_secret_reset();
    return 0;
}

static void code_has_the_kind_and_exit_of_the_design(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *kind;
        int exit;
    } cases[] = {
        { STRAKE_EINTERNAL, "internal", 1 },
        { STRAKE_EUSAGE, "usage", 2 },
        { STRAKE_ECONFIG, "config", 3 },
        { STRAKE_ESTALE, "stale", 3 },
        { STRAKE_EPOLICY, "policy", 4 },
        { STRAKE_EDOCKERFILE, "dockerfile", 4 },
        { STRAKE_EBUILD, "build", 5 },
        { STRAKE_ESCAN, "scan", 6 },
        { STRAKE_ENOTRUN, "notrun", 7 },
        { STRAKE_EREGISTRY, "registry", 8 },
        { STRAKE_EAUTH, "auth", 8 },
        { STRAKE_ECONFLICT, "conflict", 8 },
        { STRAKE_EBUILDER, "builder", 9 },
        { STRAKE_EPARTIAL, "partial", 10 },
        { STRAKE_EVERIFY, "verify", 11 },
        { STRAKE_ENOTIFY, "notify", 12 },
        { STRAKE_EWORKFLOW, "workflow", 12 },
        { STRAKE_EDEPLOY, "deploy", 12 },
        { STRAKE_ECANCELLED, "cancelled", 130 },
        { STRAKE_ENOMEM, "internal", 1 },
        { -1000, "internal", 1 },
    };
    assert_int_equal(strake_code_exit(0), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(strake_code_kind(cases[i].code), cases[i].kind);
        assert_int_equal(strake_code_exit(cases[i].code), cases[i].exit);
    }
}

static void fail_replaces_what_stood_there(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    assert_string_equal(strake_err_message(&err), "");
    assert_int_equal(strake_fail(&err, STRAKE_EBUILD, "step %d failed", 3), STRAKE_EBUILD);
    strake_err_hint(&err, "read the log");
    strake_err_place(&err, "Dockerfile", 7);
    strake_err_detail(&err, "words", 5);
    assert_int_equal(strake_fail(&err, STRAKE_EREGISTRY, "so: %s", strake_err_message(&err)),
                     STRAKE_EREGISTRY); /* the old message is an argument */
    assert_string_equal(strake_err_message(&err), "so: step 3 failed");
    assert_null(err.hint);
    assert_null(err.file);
    assert_null(err.detail);
    assert_int_equal(err.line, 0);
    strake_err_dispose(&err);
}

static void message_is_one_bounded_line(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    strake_fail(&err, STRAKE_EIO, "a\nb\tc\033[31md\x7f");
    assert_string_equal(strake_err_message(&err), "a b c [31md ");
    char *long_text = strake_malloc(40001);
    memset(long_text, 'x', 40000);
    long_text[40000] = '\0';
    for (size_t shift = 0; shift < 3; shift++) { /* a character of three bytes lies over the cut */
        memcpy(long_text + 16383 - shift, "\xe2\x82\xac", 3);
        strake_fail(&err, STRAKE_EIO, "%s", long_text);
        size_t len = strlen(err.message);
        assert_true(len < 16500);
        assert_string_equal(err.message + len - 4, " …");
        json_t *whole = json_string(err.message); /* NULL for half a character */
        assert_non_null(whole);
        json_decref(whole);
        memset(long_text + 16383 - shift, 'x', 3);
    }
    strake_free(long_text);
    strake_err_dispose(&err);
}

static void fail_errno_says_why(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    errno = ENOSPC;
    assert_int_equal(strake_fail_errno(&err, STRAKE_EIO, "%s cannot be written", "f"), STRAKE_EIO);
    assert_string_equal(strake_err_message(&err), "f cannot be written: No space left on device");
    strake_err_dispose(&err);
}

static void prefix_hint_place_and_code_can_be_changed(void **state)
{
    (void)state;
    struct strake_err err = { 0 }, copy = { 0 }, moved = { 0 };
    strake_fail(&err, STRAKE_EIO, "it broke");
    strake_err_prefix(&err, "target %s: ", "app");
    strake_err_hint(&err, "one");
    strake_err_hint(&err, "%s two", err.hint);
    strake_err_place(&err, "strake.lua", 3);
    strake_err_place(&err, err.file, 4);
    assert_int_equal(strake_err_recode(&err, STRAKE_ECONFIG), STRAKE_ECONFIG);
    strake_err_detail(&err, "words", 5);
    strake_fail(&copy, STRAKE_EIO, "is replaced");
    strake_err_copy(&copy, &err);
    strake_err_move(&moved, &err);
    assert_int_equal(err.code, 0);
    assert_null(err.message);
    const struct strake_err *both[] = { &copy, &moved };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i]->code, STRAKE_ECONFIG);
        assert_string_equal(both[i]->message, "target app: it broke");
        assert_string_equal(both[i]->hint, "one two");
        assert_string_equal(both[i]->file, "strake.lua");
        assert_int_equal(both[i]->line, 4);
        assert_string_equal(both[i]->detail, "words");
    }
    strake_err_dispose(&copy);
    strake_err_dispose(&moved);
}

static void out_of_memory_keeps_its_code(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    assert_int_equal(strake_fail_nomem(&err), STRAKE_ENOMEM);
    assert_string_equal(strake_err_message(&err), "out of memory");
    assert_int_equal(strake_err_recode(&err, STRAKE_EBUILD), STRAKE_ENOMEM);
    strake_err_dispose(&err);
}

static void detail_keeps_the_words_and_drops_what_acts_on_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *want;
    } cases[] = {
        { "one", "two", "one\ntwo" },
        { "one\n", "two\n", "one\ntwo\n" },
        { "\033[31mred\033[0m\ttab\r\n", "", "red\ttab\n" },
        { "bell\a nul\x01 del\x7f", "", "bell nul del" },
        { "cut \033[31", "", "cut " },
        { "\033", "x", "x" },
        { "ä€", "", "ä€" },
        { "", "", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        strake_err_detail(&err, cases[i].first, strlen(cases[i].first));
        if (*cases[i].second)
            strake_err_detail(&err, cases[i].second, strlen(cases[i].second));
        if (cases[i].want)
            assert_string_equal(err.detail, cases[i].want);
        else
            assert_null(err.detail);
        strake_err_dispose(&err);
    }
}

static void detail_keeps_the_first_64_kilobytes(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    char *words = strake_malloc(100000);
    memset(words, 'w', 100000);
    strake_err_detail(&err, "first", 5);
    strake_err_detail(&err, words, 100000);
    strake_err_detail(&err, words, 10);
    assert_int_equal(strlen(err.detail), 64 * 1024);
    assert_memory_equal(err.detail, "first\nwww", 9);
    strake_free(words);
    strake_err_dispose(&err);
}

static void nothing_told_shows_a_secret(void **state)
{
    (void)state;
    strake_secret_mark("hunter2-hunter2", 15);
    strake_secret_mark("line1\r\nline2", 12);
    struct strake_err err = { 0 };
    strake_fail(&err, STRAKE_EIO, "the token hunter2-hunter2 and line1\r\nline2");
    assert_string_equal(err.message, "the token [secret] and [secret]");
    strake_err_prefix(&err, "hunter2-hunter2: ");
    assert_string_equal(err.message, "[secret]: the token [secret] and [secret]");
    strake_err_hint(&err, "not hunter2-hunter2");
    assert_string_equal(err.hint, "not [secret]");
    static const char words[] = "line1\r\nline2 hunter\033[1m2-hunter2";
    strake_err_detail(&err, words, sizeof(words) - 1);
    assert_string_equal(err.detail, "[secret] [secret]");
    strake_err_dispose(&err);
    /* One that lies over the place where a text is cut. */
    char *text = strake_malloc(70000);
    for (size_t at = 16384 - 20; at <= 16384; at++) {
        memset(text, 'x', 69999);
        text[69999] = '\0';
        memcpy(text + at, "hunter2-hunter2", 15);
        strake_fail(&err, STRAKE_EIO, "%s", text);
        assert_null(strstr(err.message, "hunt"));
    }
    for (size_t at = 65536 - 20; at <= 65536; at++) {
        memset(text, 'x', 69999);
        memcpy(text + at, "hunter2-hunter2", 15);
        strake_err_dispose(&err);
        strake_err_detail(&err, text, 69999);
        assert_null(strstr(err.detail, "hunt"));
    }
    strake_free(text);
    strake_err_dispose(&err);
}

static void json_has_only_what_is_known(void **state)
{
    (void)state;
    struct strake_err err = { 0 }, back = { 0 };
    struct strake_buf text = { 0 };
    strake_fail(&err, STRAKE_EBUILD, "it broke");
    json_t *json = strake_err_json(&err);
    assert_int_equal(strake_json_dump(json, &text), 0);
    assert_string_equal(strake_buf_text(&text),
                        "{\"kind\":\"build\",\"message\":\"it broke\",\"exit\":5}");
    json_decref(json);
    strake_err_hint(&err, "mend it");
    strake_err_place(&err, "Dockerfile", 3);
    strake_err_detail(&err, "sh: \xff", 5);
    strake_buf_clear(&text);
    json = strake_err_json(&err);
    assert_int_equal(strake_json_dump(json, &text), 0);
    assert_string_equal(
        strake_buf_text(&text),
        "{\"kind\":\"build\",\"message\":\"it broke\",\"hint\":\"mend it\","
        "\"file\":\"Dockerfile\",\"line\":3,\"exit\":5,\"detail\":\"sh: \xef\xbf\xbd\"}");
    assert_int_equal(strake_err_parse(&back, json), STRAKE_EBUILD);
    assert_string_equal(back.hint, "mend it");
    assert_int_equal(back.line, 3);
    json_decref(json);
    strake_buf_dispose(&text);
    strake_err_dispose(&err);
    strake_err_dispose(&back);
}

static void render_is_for_people(void **state)
{
    (void)state;
    struct strake_err err = { 0 };
    struct strake_buf text = { 0 };
    strake_fail(&err, STRAKE_EBUILD, "it broke");
    strake_err_place(&err, "Dockerfile", 3);
    strake_err_hint(&err, "mend it");
    strake_err_detail(&err, "one\n\ntwo", 8);
    assert_int_equal(strake_err_render(&err, false, &text), 0);
    assert_string_equal(strake_buf_text(&text), "error: it broke\n  at Dockerfile:3\n"
                                                "  hint: mend it\n  | one\n  | \n  | two\n");
    strake_buf_clear(&text);
    strake_err_place(&err, "plan.json", 0);
    assert_int_equal(strake_err_render(&err, true, &text), 0);
    assert_non_null(strstr(strake_buf_text(&text), "\033[1;31merror:\033[0m it broke\n"));
    assert_non_null(strstr(strake_buf_text(&text), "at\033[0m plan.json\n"));
    strake_buf_dispose(&text);
    strake_err_dispose(&err);
}

/* Setting never fails: the code always stands, a text is there whole or not at all. */
static int describe(void *ctx)
{
    (void)ctx;
    struct strake_err err = { 0 };
    struct strake_buf text = { 0 };
    int rc = 0;
    assert_int_equal(strake_fail(&err, STRAKE_EBUILD, "no %s", "hunter2-hunter2"), STRAKE_EBUILD);
    strake_err_prefix(&err, "app: ");
    strake_err_hint(&err, "mend %s", "it");
    strake_err_place(&err, "Dockerfile", 3);
    strake_err_detail(&err, "hunter2-hunter2", 15);
    strake_err_detail(&err, "more", 4);
    assert_int_equal(err.code, STRAKE_EBUILD);
    const char *message = strake_err_message(&err);
    if (strcmp(message, "app: no [secret]") != 0) {
        rc = STRAKE_ENOMEM;
        assert_true(strcmp(message, "no [secret]") == 0 || strcmp(message, "build") == 0 ||
                    strcmp(message, "app: build") == 0);
    }
    if (!err.hint || !err.file || !err.detail || strcmp(err.detail, "[secret]\nmore") != 0)
        rc = STRAKE_ENOMEM;
    assert_true(err.file != NULL || err.line == 0);
    if (err.detail)
        assert_null(strstr(err.detail, "hunter"));
    json_t *json = strake_err_json(&err);
    if (!json || strake_err_render(&err, false, &text) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(json);
    strake_buf_dispose(&text);
    strake_err_dispose(&err);
    return rc;
}

static void a_failure_is_told_whatever_memory_is_left(void **state)
{
    (void)state;
    strake_secret_mark("hunter2-hunter2", 15);
    torture(describe, NULL);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_has_the_kind_and_exit_of_the_design),
        cmocka_unit_test(fail_replaces_what_stood_there),
        cmocka_unit_test(message_is_one_bounded_line),
        cmocka_unit_test(fail_errno_says_why),
        cmocka_unit_test(prefix_hint_place_and_code_can_be_changed),
        cmocka_unit_test(out_of_memory_keeps_its_code),
        cmocka_unit_test(detail_keeps_the_words_and_drops_what_acts_on_a_terminal),
        cmocka_unit_test(detail_keeps_the_first_64_kilobytes),
        cmocka_unit_test_setup_teardown(nothing_told_shows_a_secret, reset, reset),
        cmocka_unit_test(json_has_only_what_is_known),
        cmocka_unit_test(render_is_for_people),
        cmocka_unit_test_setup_teardown(a_failure_is_told_whatever_memory_is_left, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
