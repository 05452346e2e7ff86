/* Words and variables; tests/oracle compares them with BuildKit's shell package on thousands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/expand.h"

#include "torture.h"

static const char *value_of(void *ctx, const char *name)
{
    static const struct strake_pair values[] = {
        { "x", "abcabc" }, { "y", "" },     { "z", "a b" },
        { "e", "é*é" },    { "n", "a\nb" }, { "1", "one" },
    };
    (void)ctx;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (strcmp(values[i].name, name) == 0)
            return values[i].value;
    }
    return NULL;
}

static int expand(const char *text, struct strake_buf *out, struct strake_err *err)
{
    const struct strake_shell shell = { .escape = '\\', .get = value_of };
    return strake_shell_word(&shell, (struct strake_span){ text, strlen(text) }, out, err);
}

static void word_expands(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "", "" },
        { "a b", "a b" },
        { "$x-${x}", "abcabc-abcabc" },
        { "$u${u}", "" },
        { "$", "$" },
        { "$.", "$." },
        { "$xy", "" },
        { "$10", "" },
        { "$1x", "onex" },
        { "${x:-d} ${u:-d} ${y:-d} ${y-d} ${u-d}", "abcabc d d  d" },
        { "${x:+d} ${u:+d} ${y:+d} ${y+d} ${u+d}", "d   d " },
        { "${x:?m} ${y?m}", "abcabc " },
        { "${x#a} ${x#*b} ${x##*b} ${x#z}", "bcabc cabc c abcabc" },
        { "${x%c} ${x%b*} ${x%%b*} ${x%z}", "abcab abca a abcabc" },
        { "${x/b/X} ${x//b/X} ${x//b/} ${x//?/-}", "aXcabc aXcaXc acac ------" },
        { "${x//a*c/-} ${x/q/-} ${x///-}", "- abcabc -a-b-c-a-b-c-" },
        { "${e%\\*é} ${e#é} ${e//é/x}", "é *é x*x" },
        { "${n#a?}|${n##*}", "a\nb|\nb" },
        { "${u:-${u:-'a}'}}", "a}" },
        { "'$x' \"$x\" \"\\$x\" \\$x", "$x abcabc $x $x" },
        { "a\\b \"a\\b\" 'a\\b' a\\", "ab a\\b a\\b a" },
        { "<<'E F' <", "<<E F <" },
        { "\xEF\xBB\xBF"
          "a",
          "a" },
        { "a\xFF", "a\xEF\xBF\xBD" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        if (expand(cases[i].text, &out, &err) != 0)
            fail_msg("%s: %s", cases[i].text, strake_err_message(&err));
        assert_string_equal(strake_buf_text(&out), cases[i].want);
        strake_buf_dispose(&out);
    }
}

static void word_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "'a", "single quote" },     { "\"a", "double quote" },   { "\"a\\", "double quote" },
        { "${", "not closed" },       { "${x", "operator" },       { "${x:-a", "not closed" },
        { "${}", "no name" },         { "${:x}", "no name" },      { "${{x}}", "no name" },
        { "${x^}", "operator" },      { "${x:3}", "operator" },    { "${x:#a}", "operator" },
        { "${x:", "not closed" },     { "${x/a}", "not closed" },  { "${x/a/b", "not closed" },
        { "${u:?}", "unset" },        { "${y:?}", "empty" },       { "${u?no u}", "u: no u" },
        { "${x#\\a}", "needs none" }, { "${x%a\\", "not closed" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        int rc = expand(cases[i].text, &out, &err);
        if (rc != STRAKE_EDOCKERFILE || strstr(strake_err_message(&err), cases[i].why) == NULL)
            fail_msg("%s: %d %s", cases[i].text, rc, strake_err_message(&err));
        strake_buf_dispose(&out);
        strake_err_dispose(&err);
    }
}

/* As here-documents are looked for: nothing is set, and everything stays as written. */
static void words_keep_what_is_asked_to_stay(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; /* joined by | */
    } cases[] = {
        { "a  b\t'c d' \"e\\\"f\"", "a|b|'c d'|\"e\\\"f\"" },
        { "$u ${u} ${u:-v w} ${u/a/b} ${u//a/b}", "$u|${u}|${u:-v|w}|${u/a/b}|${u/a/b}" },
        { "${u:3 4} ${u:\xC3\xA9} ${u:}x} ${u:/a/b}", "${u:3|4}|${u:\xC3\xA9}|${u:}x}|${u:/a/b}" },
        { "cat <<EOF <<  'B' <", "cat|<<EOF|<<  'B'|<" },
        { "<<${u:-EOF}", "${u:-EOF}" }, /* the nested word takes the buffer of the outer one */
        { "a${u:-b}c", "${u:-b}c" },
        { "", "" },
    };
    const struct strake_shell shell = {
        .escape = '\\', .raw_quotes = true, .raw_escapes = true, .keep_unset = true, .get = value_of
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_strings words = { 0 };
        struct strake_buf joined = { 0 };
        struct strake_err err = { 0 };
        struct strake_span text = { cases[i].text, strlen(cases[i].text) };
        assert_int_equal(strake_shell_words(&shell, text, &words, &err), 0);
        for (size_t j = 0; j < words.count; j++)
            strake_buf_printf(&joined, "%s%s", j > 0 ? "|" : "", words.items[j]);
        assert_string_equal(strake_buf_text(&joined), cases[i].want);
        strake_strings_dispose(&words);
        strake_buf_dispose(&joined);
    }
}

static void word_is_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        const char *piece;
        int count;
        const char *tail;
        int want;
    } cases[] = {
        { "", "${u:-", 60, "", STRAKE_EDOCKERFILE }, /* not closed */
        { "", "${u:-", 70, "", STRAKE_ETOOBIG },
        { "${x#", "*a", 200, "}", STRAKE_EDOCKERFILE }, /* the pattern */
        { "${x//", "*a", 120, "/b}", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf text = { 0 }, out = { 0 };
        struct strake_err err = { 0 };
        strake_buf_puts(&text, cases[i].head);
        for (int j = 0; j < cases[i].count; j++)
            strake_buf_puts(&text, cases[i].piece);
        strake_buf_puts(&text, cases[i].tail);
        int rc = expand(strake_buf_text(&text), &out, &err);
        if (rc != cases[i].want)
            fail_msg("%zu: %d", i, rc);
        strake_buf_dispose(&text);
        strake_buf_dispose(&out);
        strake_err_dispose(&err);
    }
}

static void patterns_stop_when_their_work_is_used_up(void **state)
{
    (void)state;
    size_t work = 10;
    const struct strake_shell shell = { .escape = '\\', .get = value_of, .work = &work };
    static const char *const texts[] = { "${x##*z*z*z}", "${x//*z*z/a}" };
    for (size_t i = 0; i < 2; i++) {
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        struct strake_span text = { texts[i], strlen(texts[i]) };
        assert_int_equal(strake_shell_word(&shell, text, &out, &err), STRAKE_EDOCKERFILE);
        assert_non_null(strstr(err.message, "too long"));
        strake_buf_dispose(&out);
        strake_err_dispose(&err);
    }
}

static int expand_once(void *ctx)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = expand(ctx, &out, &err);
    assert_int_equal(err.code, rc);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void expansion_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(expand_once, "a \"$x\" '${x}' ${u:-${y:+z}b} ${x##*b} ${x//b/c} ${x?} << \\a $u");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_expands),
        cmocka_unit_test(word_refuses),
        cmocka_unit_test(words_keep_what_is_asked_to_stay),
        cmocka_unit_test(word_is_bounded),
        cmocka_unit_test(patterns_stop_when_their_work_is_used_up),
        cmocka_unit_test(expansion_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
