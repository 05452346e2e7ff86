/* The JSON form: JSON as Go's decoder takes it, or no JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/parse_impl.h"

#include "torture.h"

static int read_form(const char *text, struct strake_strings *items, struct strake_err *err)
{
    const struct strake_parse parse = {
        .file = "Dockerfile", .line = 1, .escape = '\\', .err = err
    };
    return strake_json_form(&parse, (struct strake_span){ text, strlen(text) }, items);
}

static void form_decodes_its_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; /* joined by | */
    } cases[] = {
        { "[]", "" },
        { " [ ] ", "" },
        { "[\"a\"]", "a" },
        { " [ \"a\" , \"\" ,\t\"b c\" ]", "a||b c" },
        { "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "\"\\/\b\f\n\r\t" },
        { "[\"\\u0041\\u00e9\\u20AC\"]", "A\xC3\xA9\xE2\x82\xAC" },
        { "[\"\\ud83d\\ude00\"]", "\xF0\x9F\x98\x80" },
        { "[\"\\ud83d\\u0041\"]", "\xEF\xBF\xBD"
                                  "A" },
        { "[\"\\ude00\"]", "\xEF\xBF\xBD" },
        { "[\"\\ud83dx\"]", "\xEF\xBF\xBDx" },
        { "[\"\xC3\xA9\xFF\"]", "\xC3\xA9\xEF\xBF\xBD" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_strings items = { 0 };
        struct strake_buf joined = { 0 };
        struct strake_err err = { 0 };
        if (read_form(cases[i].text, &items, &err) != 1)
            fail_msg("%s", cases[i].text);
        for (size_t j = 0; j < items.count; j++)
            strake_buf_printf(&joined, "%s%s", j > 0 ? "|" : "", items.items[j]);
        assert_string_equal(strake_buf_text(&joined), cases[i].want);
        strake_strings_dispose(&items);
        strake_buf_dispose(&joined);
    }
}

static void form_that_is_no_json_is_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "\"a\"",
        "[",
        "[\"a\"",
        "[\"a\",",
        "[\"a\",]",
        "[,]",
        "[\"a\"]x",
        "[\"a\" \"b\"]",
        "['a']",
        "[a]",
        "[\"a]",
        "[\"\\x\"]",
        "[\"\\",
        "[\"\\u12\"]",
        "[\"\\u12g4\"]",
        "[\"a\tb\"]",
        "[01]",
        "[-]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[1e+]",
        "[1e999]",
        "[-1e999]",
        "[+1]",
        "[tru]",
        "[nul",
        "[{]",
        "[{}",
        "[{\"a\"}]",
        "[{\"a\":}]",
        "[{\"a\":1,}]",
        "[{a:1}]",
        "[{\"a\":1 \"b\":2}]",
        "[[]",
        "[[1,]]",
        "[[1 2]]",
        "[\"a\", [\"b\"}]",
        "[1",
        "[\"a\"] [",
        "[ -f x ]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct strake_strings items = { 0 };
        struct strake_err err = { 0 };
        int rc = read_form(texts[i], &items, &err);
        if (rc != 0 || items.count != 0)
            fail_msg("%s: %d", texts[i], rc);
    }
}

static void form_of_other_things_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[1]",
        "[-0]",
        "[0.5e-3, \"a\"]",
        "[12E+3]",
        "[true]",
        "[false, null]",
        "[null]",
        "[{}]",
        "[[]]",
        "[[[]]]",
        "[\"a\", {\"b\": [1, {\"c\": \"d\"}], \"e\": null}, [\"f\", [ ] ]]",
        "[ { \"a\" : 1 , \"b\" : 2 } ]",
        "[\"a\\u0000\"]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct strake_strings items = { 0 };
        struct strake_err err = { 0 };
        int rc = read_form(texts[i], &items, &err);
        if (rc != STRAKE_EDOCKERFILE || err.line != 1 || items.count != 0)
            fail_msg("%s: %d", texts[i], rc);
        strake_err_dispose(&err);
    }
}

static void form_has_gos_bound_of_depth(void **state)
{
    (void)state;
    for (int depth = 9999; depth <= 10001; depth++) {
        struct strake_buf text = { 0 };
        struct strake_strings items = { 0 };
        struct strake_err err = { 0 };
        for (int i = 0; i < depth; i++)
            strake_buf_putc(&text, '[');
        for (int i = 0; i < depth; i++)
            strake_buf_putc(&text, ']');
        int rc = read_form(strake_buf_text(&text), &items, &err);
        if (rc != (depth <= 10000 ? STRAKE_EDOCKERFILE : 0))
            fail_msg("%d: %d", depth, rc);
        strake_err_dispose(&err);
        strake_buf_dispose(&text);
    }
}

static int read_once(void *ctx)
{
    struct strake_strings items = { 0 };
    struct strake_err err = { 0 };
    int rc = read_form(ctx, &items, &err);
    assert_int_equal(rc > 0 ? 0 : rc, err.code);
    strake_strings_dispose(&items);
    strake_err_dispose(&err);
    return rc > 0 ? 0 : rc;
}

static void form_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(read_once, "[\"a\", \"b\", \"\\u00e9\", \"\", \"0123456789\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_decodes_its_strings),
        cmocka_unit_test(form_that_is_no_json_is_text),
        cmocka_unit_test(form_of_other_things_is_refused),
        cmocka_unit_test(form_has_gos_bound_of_depth),
        cmocka_unit_test(form_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
