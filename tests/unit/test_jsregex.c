/* Regular expressions mean what they mean in JavaScript; no pattern runs away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/json.h"
#include "util/jsregex.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_span(struct strake_buf *out, bool first, const char *text,
                     struct strake_jsregex_span span)
{
    if (!first)
        strake_buf_putc(out, '|');
    if (span.begin == STRAKE_JSREGEX_UNSET)
        strake_buf_putc(out, '~');
    else
        strake_buf_append(out, text + span.begin, span.end - span.begin);
}

/* The groups of the first match, or with the flag g all matches, joined by `|`. @return as the match */
static int find(struct strake_jsregex *regex, const char *text, struct strake_buf *out,
                struct strake_err *err)
{
    struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
    const size_t len = strlen(text);
    size_t from = 0, matches = 0;
    int rc = strake_jsregex_match(regex, text, len, 0, spans, err);

    if (!strake_jsregex_is_global(regex)) {
        for (size_t i = 0; rc > 0 && i < strake_jsregex_groups(regex); i++)
            put_span(out, i == 0, text, spans[i]);
        return rc;
    }
    for (; rc > 0; matches++) {
        put_span(out, matches == 0, text, spans[0]);
        from = spans[0].end;
        if (spans[0].begin == spans[0].end)
            from += from < len ? strake_json_utf8_length(text + from, len - from) : 1;
        rc = strake_jsregex_match(regex, text, len, from, spans, err);
    }
    return rc < 0 ? rc : matches > 0;
}

/* Each expectation is what String.prototype.match gives in node 20. */
static void jsregex_finds_what_javascript_finds(void **state)
{
    static const struct {
        const char *pattern, *flags, *text, *want;
    } cases[] = {
        { "v(\\d+)\\.(\\d+)", "", "release-v12.34", "v12.34|12|34" },
        { "\\d{1,2}", "", "v123", "12" },
        { "(a)|(b)", "", "xb", "b|~|b" },
        { "/", "", "a/b", "/" },
        { "^v", "m", "x\012v", "v" },
        { ".", "", "\012", NULL },
        { ".", "s", "\012", "\012" },
        { "[^]", "", "\012", "\012" },
        { "[]", "", "a", NULL },
        { "a.c", "", "a\342\200\250c", NULL },
        { "V(\\d)", "i", "v1", "v1|1" },
        { "(?<major>\\d)\\.\\k<major>", "", "1.1", "1.1|1" },
        { "\\k<x>", "", "k<x>", "k<x>" },
        { "(.)\\1", "", "abba", "bb|b" },
        { "\\1(a)", "", "a", "a|a" },
        { "\\2(a)", "", "\002a", "\002a|a" },
        { "\\8", "", "8", "8" },
        { "\\101", "", "A", "A" },
        { "\\400", "", " 0", " 0" },
        { "[\\1]", "", "\001", "\001" },
        { "\\A", "", "xA", "A" },
        { "\\z", "", "z", "z" },
        { "\\Q.\\E", "", "QxE", "QxE" },
        { "\\h", "", "h", "h" },
        { "\\R", "", "R", "R" },
        { "\\K", "", "K", "K" },
        { "\\G", "", "G", "G" },
        { "\\N", "", "N", "N" },
        { "\\X", "", "X", "X" },
        { "\\e", "", "e", "e" },
        { "\\a", "", "a", "a" },
        { "\\v", "", "\013", "\013" },
        { "\\cA", "", "\001", "\001" },
        { "\\c1", "", "\\c1", "\\c1" },
        { "\\x41", "", "A", "A" },
        { "\\x4", "", "x4", "x4" },
        { "\\u0041", "", "A", "A" },
        { "\\u004", "", "u004", "u004" },
        { "\\u{2}", "", "uu", "uu" },
        { "\\u{41}", "u", "A", "A" },
        { "\\ud83d\\ude00", "", "\360\237\230\200", "\360\237\230\200" },
        { "\\p{L}", "", "p{L}", "p{L}" },
        { "\\p{L}", "u", "\303\251", "\303\251" },
        { "\\P{L}", "u", "\303\2511", "1" },
        { "[\\w-z]", "", "-", "-" },
        { "[a-\\d]", "", "-", "-" },
        { "[\\d-x]", "", "-", "-" },
        { "[[:alpha:]]", "", ":]", ":]" },
        { "[[]", "", "[", "[" },
        { "[\\]]", "", "]", "]" },
        { "[\\b]", "", "\010", "\010" },
        { "[\\B]", "", "B", "B" },
        { "[^a]", "", "ab", "b" },
        { "[a-c-e]", "", "-", "-" },
        { "]", "", "]", "]" },
        { "}", "", "}", "}" },
        { "{", "", "{", "{" },
        { "a{", "", "a{", "a{" },
        { "a{,2}", "", "a{,2}", "a{,2}" },
        { "a{2}", "", "aaa", "aa" },
        { "a{2,}?", "", "aaaa", "aa" },
        { "a?\?", "", "a", "" },
        { "x{0}y", "", "xy", "y" },
        { "(?:a)b", "", "ab", "ab" },
        { "(?=a)a", "", "a", "a" },
        { "a(?!b)", "", "abac", "a" },
        { "(?<=v)\\d", "", "v1", "1" },
        { "(?<!v)\\d", "", "v1 2", "2" },
        { "a|", "", "b", "" },
        { "(a|ab)(c|bcd)", "", "abcd", "abcd|a|bcd" },
        { "(z)?(a)", "", "a", "a|~|a" },
        { "$", "", "ab", "" },
        { "b$", "", "b\012", NULL },
        { "^$", "", "", "" },
        { "\\bfoo\\b", "", "a foo b", "foo" },
        { "\\Bo", "", "foo", "o" },
        { "\303\251", "", "caf\303\251", "\303\251" },
        { "\303\211", "i", "\303\251", "\303\251" },
        { "\\w+", "", "\303\251_x1", "_x1" },
        { "\\d", "", "\331\2433", "3" },
        { "\\s", "", "\302\240 ", "\302\240" },
        { "a", "g", "banana", "a|a|a" },
        { "\\d", "g", "v1.2.3", "1|2|3" },
        { "", "g", "ab", "||" },
        { "x*", "g", "axb", "|x||" },
        { "a", "y", "ba", NULL },
        { "a", "y", "ab", "a" },
        { "a", "gy", "aaba", "a|a" },
        { "(a)(b)?", "g", "aab", "a|ab" },
        { "\360\237\230\200", "g", "x\360\237\230\200\360\237\230\200",
          "\360\237\230\200|\360\237\230\200" },
        { "a", "dgimsuy", "A", "A" },
        { "\\-", "", "-", "-" },
        { "\\_", "", "_", "_" },
        { "\\/", "", "/", "/" },
        { "#", "", "#", "#" },
        { " ", "", "a b", " " },
        { "(?=a)*b", "", "b", "b" },
        { "(?:a|b)+?c", "", "abc", "abc" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strake_jsregex *regex = NULL;
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        int rc = strake_jsregex_new(cases[i].pattern, cases[i].flags, &regex, &err);

        if (rc == 0)
            rc = find(regex, cases[i].text, &out, &err);
        if (rc < 0 || (rc > 0) != (cases[i].want != NULL) ||
            (rc > 0 && strcmp(strake_buf_text(&out), cases[i].want) != 0))
            fail_msg("/%s/%s in '%s': %d '%s' %s", cases[i].pattern, cases[i].flags, cases[i].text,
                     rc, strake_buf_text(&out), rc < 0 ? strake_err_message(&err) : "");
        strake_jsregex_free(regex);
        strake_buf_dispose(&out);
    }
}

static void jsregex_refuses_what_javascript_refuses(void **state)
{
    static const char *const cases[][2] = {
        { "(", "" },
        { ")", "" },
        { "[", "" },
        { "a++", "" },
        { "*a", "" },
        { "a**", "" },
        { "(?>a)", "" },
        { "(?#a)", "" },
        { "(*ACCEPT)", "" },
        { "(?'n'a)", "" },
        { "(?P<n>a)", "" },
        { "(?|a)", "" },
        { "(?R)", "" },
        { "x{2,1}", "" },
        { "\\", "" },
        { "[b-a]", "" },
        { "(?<n>a)(?<n>b)", "" },
        { "(?<1>a)", "" },
        { "(?<n>a)\\k", "" },
        { "(?<n>a)\\k<m>", "" },
        { "a", "x" },
        { "a", "gg" },
        { "a", "v" },
        { "\\1", "u" },
        { "{", "u" },
        { "]", "u" },
        { "\\u{110000}", "u" },
        { "\\p{Nope}", "u" },
        { "|*", "" },
        { "^*", "" },
        { "(?i)a", "" },
        { "a{1}{2}", "" },
        { "a?+", "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct strake_jsregex *regex = NULL;
        struct strake_err err = { 0 };

        if (strake_jsregex_new(cases[i][0], cases[i][1], &regex, &err) != STRAKE_ECONFIG)
            fail_msg("/%s/%s was taken", cases[i][0], cases[i][1]);
        assert_true(strake_err_message(&err)[0]);
        assert_null(regex);
        strake_err_dispose(&err);
    }
}

/* Patterns that take a backtracking matcher years end within the steps that there are. */
static void jsregex_ends_in_time(void **state)
{
    static const char *const patterns[] = {
        "(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a*)*b"
    };
    char text[STRAKE_JSREGEX_TEXT_MAX + 2];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[STRAKE_JSREGEX_TEXT_MAX - 1] = '!';
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < COUNT(patterns); i++) {
        struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
        struct strake_jsregex *regex = NULL;
        struct strake_err err = { 0 };
        int rc;

        assert_int_equal(strake_jsregex_new(patterns[i], "", &regex, &err), 0);
        rc = strake_jsregex_match(regex, text, STRAKE_JSREGEX_TEXT_MAX, 0, spans, &err);
        if (rc < 0)
            assert_non_null(strstr(strake_err_message(&err), "too many steps"));
        assert_true(rc <= 0);
        strake_err_dispose(&err);
        assert_int_equal(strake_jsregex_match(regex, text, sizeof(text) - 1, 0, spans, &err),
                         STRAKE_ECONFIG);
        strake_err_dispose(&err);
        strake_jsregex_free(regex);
    }
}

static void jsregex_refuses_text_that_is_not_utf8(void **state)
{
    struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
    struct strake_jsregex *regex = NULL;
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_jsregex_new("a", "", &regex, &err), 0);
    assert_int_equal(strake_jsregex_match(regex, "\xff\xfe", 2, 0, spans, &err), STRAKE_ECONFIG);
    strake_err_dispose(&err);
    strake_jsregex_free(regex);
    assert_int_equal(strake_jsregex_new("\xff", "", &regex, &err), STRAKE_ECONFIG);
    strake_err_dispose(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsregex_finds_what_javascript_finds),
        cmocka_unit_test(jsregex_refuses_what_javascript_refuses),
        cmocka_unit_test(jsregex_ends_in_time),
        cmocka_unit_test(jsregex_refuses_text_that_is_not_utf8),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
