/* Strict, bounded JSON, and texts that are no UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "torture.h"
#include "util/json.h"

#define LIT(text) (text), sizeof(text) - 1

static void parse_takes_any_value(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{}", "[]", "null", "1", "\"x\"", " {\"a\":[1,2.5,true]} ", "\"\\ud83d\\ude00\""
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        json_t *value = strake_json_parse(cases[i], strlen(cases[i]), "it", STRAKE_ECONFIG, &err);
        if (!value)
            fail_msg("%s: %s", cases[i], strake_err_message(&err));
        json_decref(value);
    }
}

static void parse_refuses_what_is_not_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        { LIT("") },
        { LIT("{") },
        { LIT("{\"a\":1,\"a\":2}") },
        { LIT("{} {}") },
        { LIT("{'a':1}") },
        { LIT("[1,]") },
        { LIT("[01]") },
        { LIT("[NaN]") },
        { LIT("[1e999]") },
        { LIT("[99999999999999999999]") },
        { LIT("\"\xff\"") },
        { LIT("\"\xed\xa0\x80\"") },
        { LIT("\"\\ud800\"") },
        { LIT("\"\\u0000\"") },
        { LIT("\"a\0b\"") },
        { LIT("{}\0") },
        { LIT("// c\n{}") },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        json_t *value =
            strake_json_parse(cases[i].text, cases[i].len, "the answer", STRAKE_EREGISTRY, &err);
        if (value || err.code != STRAKE_EREGISTRY)
            fail_msg("case %zu was taken, or code %d", i, err.code);
        assert_non_null(strstr(strake_err_message(&err), "the answer is not valid JSON: "));
        strake_err_dispose(&err);
    }
}

static void parse_bounds_the_depth_before_it_recurses(void **state)
{
    (void)state;
    static const struct {
        size_t depth;
        bool taken;
    } cases[] = { { 128, true }, { 129, false }, { 200000, false } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        size_t depth = cases[i].depth;
        char *text = strake_malloc(2 * depth);
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *value = strake_json_parse(text, 2 * depth, "it", STRAKE_ECONFIG, &err);
        assert_int_equal(value != NULL, cases[i].taken);
        if (!value)
            assert_string_equal(strake_err_message(&err), "it is nested deeper than 128");
        json_decref(value);
        strake_err_dispose(&err);
        strake_free(text);
    }
    struct strake_err err = { 0 };
    char text[600];
    memset(text, '[', sizeof(text)); /* within a text they are none */
    memcpy(text, "\"\\\"", 3);
    text[sizeof(text) - 1] = '"';
    json_t *value = strake_json_parse(text, sizeof(text), "it", STRAKE_ECONFIG, &err);
    assert_non_null(value);
    json_decref(value);
}

static void set_never_loses_a_key_for_its_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        const char *want;
        size_t want_len;
    } cases[] = {
        { LIT("plain"), LIT("plain") },
        { LIT(""), LIT("") },
        { LIT("ä€😀"), LIT("ä€😀") },
        { LIT("a\0b"), LIT("a\0b") },
        { LIT("a\xff\xfe"), LIT("a\xef\xbf\xbd\xef\xbf\xbd") },
        { LIT("\xc3"), LIT("\xef\xbf\xbd") },
        { LIT("\xc3x"), LIT("\xef\xbf\xbdx") },
        { LIT("\xc0\x80"), LIT("\xef\xbf\xbd\xef\xbf\xbd") }, /* overlong */
        { LIT("\xe0\x80\x80"), LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
        { LIT("\xed\xa0\x80"), LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") }, /* a surrogate */
        { LIT("\xf4\x90\x80\x80"), LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
        { LIT("\xf0\x8f\xbf\xbf"), LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
        { LIT("\xf0\x9f\x98"), LIT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *object = json_object();
        assert_int_equal(strake_json_set_strn(object, "k", cases[i].text, cases[i].len), 0);
        const json_t *value = json_object_get(object, "k");
        if (json_string_length(value) != cases[i].want_len ||
            memcmp(json_string_value(value), cases[i].want, cases[i].want_len) != 0)
            fail_msg("case %zu", i);
        json_decref(object);
    }
}

static void set_takes_its_value_also_on_failure(void **state)
{
    (void)state;
    json_t *object = json_object();
    assert_int_equal(strake_json_set(object, "k", NULL), STRAKE_ENOMEM);
    assert_int_equal(strake_json_set(NULL, "k", json_integer(1)), STRAKE_ENOMEM);
    assert_int_equal(strake_json_set_str(object, "none", NULL), 0);
    assert_int_equal(json_object_size(object), 0);
    json_decref(object);
}

static void getters_answer_only_for_the_right_type(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:s, s:i, s:b, s:n}", "s", "text", "i", 7, "b", 1, "n");
    assert_string_equal(strake_json_str(object, "s"), "text");
    static const char *const other[] = { "i", "b", "n", "missing" };
    for (size_t i = 0; i < 4; i++)
        assert_null(strake_json_str(object, other[i]));
    assert_int_equal(strake_json_int(object, "i", -1), 7);
    assert_int_equal(strake_json_int(object, "s", -1), -1);
    assert_int_equal(strake_json_int(object, "missing", -1), -1);
    assert_true(strake_json_bool(object, "b", false));
    assert_true(strake_json_bool(object, "i", true));
    assert_false(strake_json_bool(object, "missing", false));
    assert_null(strake_json_str(NULL, "s"));
    json_decref(object);
}

static void dump_has_one_form_each(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:i, s:[s, b]}", "b", 1, "a", "x", 0);
    struct strake_buf out = { 0 };
    strake_buf_puts(&out, ">");
    assert_int_equal(strake_json_dump(value, &out), 0);
    assert_string_equal(strake_buf_text(&out), ">{\"b\":1,\"a\":[\"x\",false]}");
    strake_buf_clear(&out);
    assert_int_equal(strake_json_dump_sorted(value, &out), 0);
    assert_string_equal(strake_buf_text(&out), "{\"a\":[\"x\",false],\"b\":1}");
    strake_buf_clear(&out);
    assert_int_equal(strake_json_dump_pretty(value, &out), 0);
    assert_string_equal(strake_buf_text(&out),
                        "{\n  \"b\": 1,\n  \"a\": [\n    \"x\",\n    false\n  ]\n}\n");
    strake_buf_dispose(&out);
    json_decref(value);
}

static void dump_past_the_maximum_leaves_what_was_there(void **state)
{
    (void)state;
    json_t *value = json_pack("[s]", "0123456789");
    struct strake_buf out = STRAKE_BUF(12);
    strake_buf_puts(&out, "kept");
    assert_int_equal(strake_json_dump(value, &out), STRAKE_ETOOBIG);
    assert_string_equal(strake_buf_text(&out), "kept");
    assert_int_equal(strake_json_dump(NULL, &out), STRAKE_ENOMEM);
    strake_buf_dispose(&out);
    json_decref(value);
}

/* Parse, build, dump: the code is ENOMEM, never "not valid JSON". */
static int round_trip(void *ctx)
{
    (void)ctx;
    static const char text[] =
        "{\"a\":[\"x\",1,{\"b\":\"long enough to grow a buffer\"}],\"c\":\"\\u00e4\"}";
    static const char *const strings[] = { "one", "t\xffo", NULL };
    static const struct strake_pair pair = { .name = "K", .value = "v" };
    const struct strake_pair *const pairs[] = { &pair, NULL };
    struct strake_err err = { 0 };
    struct strake_buf out = { 0 };
    json_t *value = strake_json_parse(text, sizeof(text) - 1, "it", STRAKE_ECONFIG, &err);
    int rc = value ? 0 : err.code;
    if (!value)
        assert_int_equal(err.code, STRAKE_ENOMEM);
    if (rc == 0)
        rc = strake_json_set(value, "strings", strake_json_strings(strings));
    if (rc == 0)
        rc = strake_json_set(value, "pairs", strake_json_pairs(pairs));
    if (rc == 0)
        rc = strake_json_set_int(value, "int", 7);
    if (rc == 0)
        rc = strake_json_set_bool(value, "bool", true);
    if (rc == 0)
        rc = strake_json_dump(value, &out);
    if (rc == 0)
        assert_string_equal(strake_buf_text(&out),
                            "{\"a\":[\"x\",1,{\"b\":\"long enough to grow a buffer\"}],\"c\":\"ä\","
                            "\"strings\":[\"one\",\"t\xef\xbf\xbdo\"],\"pairs\":{\"K\":\"v\"},"
                            "\"int\":7,\"bool\":true}");
    else
        assert_string_equal(strake_buf_text(&out), "");
    json_decref(value);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void json_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(round_trip, NULL);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_takes_any_value),
        cmocka_unit_test(parse_refuses_what_is_not_strict),
        cmocka_unit_test(parse_bounds_the_depth_before_it_recurses),
        cmocka_unit_test(set_never_loses_a_key_for_its_bytes),
        cmocka_unit_test(set_takes_its_value_also_on_failure),
        cmocka_unit_test(getters_answer_only_for_the_right_type),
        cmocka_unit_test(dump_has_one_form_each),
        cmocka_unit_test(dump_past_the_maximum_leaves_what_was_there),
        cmocka_unit_test(json_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
