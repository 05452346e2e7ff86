/* .dockerignore, pattern by pattern; tests/oracle compares it with moby/patternmatcher on
 * thousands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/context.h"
#include "dockerfile/ignore_impl.h"

#include "torture.h"

static struct strake_ignore *parsed(const char *text)
{
    struct strake_ignore *ignore;
    struct strake_err err = { 0 };
    if (strake_ignore_parse(text, strlen(text), &ignore, &err) != 0)
        fail_msg("%s: %s", text, strake_err_message(&err));
    return ignore;
}

static void ignore_matches_as_buildkit_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *ignored; /* paths, separated by spaces */
        const char *kept;
    } cases[] = {
        { "", "", "a a/b" },
        { "a", "a a/b a/b/c", "b ab b/a" },
        { "/a/ \n # x\n#b\n", "a a/b", "b #b" },
        { "a/../b/./c\n../d", "b/c", "a d" },
        { "*", "a a/b .x", "" },
        { "*.txt", "x.txt", "a/x.txt xtxt" },
        { "**/*.txt", "x.txt a/b/x.txt", "a" },
        { "a/*\n!a/b", "a/c", "a a/b a/b/c" },
        { "*\n!a", "b", "a a/b" },
        { "a\n!a/b/c", "a/x a/b/x", "a/b/c a/b/c/d" },
        { "a\n!**/c\nx", "a/b x", "a/c a/b/c" },
        { "!a\na", "a a/b", "b" },
        { "a/b\n!a", "a/b a/b/c", "a" }, /* the exception is not asked about a/b's parent */
        { "a?c", "abc aXc", "ac a/c" },
        { "[a-c]x", "ax cx", "dx [a-c]x" },
        { "[^a]", "b", "a" },
        { "\\*\n\\!x", "* !x", "a" },
        { "a**", "a ab a/b", "b" },
        { "**b", "b ab a/b a/xb", "bc" },
        { "a/**/z", "a/z a/b/z a/b/c/z", "az a" },
        { "**/.git", ".git a/.git a/.git/x", "git x.git" },
        { "\xEF\xBB\xBF"
          "a\r\nb\r\n",
          "a b", "c" },
        { "{a,b}*", "{a,b} {a,b}c", "a" },
        { "a|b*", "a ax bx xb", "x" }, /* beside a wildcard | is an alternative in BuildKit */
        { "x{2,3}y*", "xxy xxxyz", "xy xxxxy" },
        { "b*a\\", "ba$ bxa$y", "ba ba\\" }, /* the last \ escapes what ends the expression */
        { "[?]", "[] ^]", "? ] ?]" },        /* the ? becomes [^/] in BuildKit, in a class too */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_ignore *ignore = parsed(cases[i].text);
        for (int want = 0; want < 2; want++) {
            char *paths = strdup(want ? cases[i].ignored : cases[i].kept);
            char *rest = paths;
            for (char *path = strtok_r(paths, " ", &rest); path;
                 path = strtok_r(NULL, " ", &rest)) {
                if (strake_ignore_matches(ignore, path) != (want == 1))
                    fail_msg("%zu: %s is %signored", i, path, want ? "not " : "");
            }
            free(paths);
        }
        strake_ignore_free(ignore);
    }
    assert_false(strake_ignore_matches(NULL, "a"));
    strake_ignore_free(NULL);
}

static void ignore_parse_names_the_line_and_the_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "a\n[\n", "line 2: the pattern '['" },
        { "a\\", "'\\'" },
        { "!", "'!' excepts nothing" },
        { "!/", "'!' excepts nothing" },
        { "[z-a]", "before it begins" },
        { "[]", "'[]'" },
        { "\\1*", "letter or digit" },
        { "a{2}{3}*", "repetition" },
        { "a{9999}*", "too large" },
        { "[[:foo:]]", "no class" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_ignore *ignore;
        struct strake_err err = { 0 };
        int rc = strake_ignore_parse(cases[i].text, strlen(cases[i].text), &ignore, &err);
        if (rc != STRAKE_EDOCKERFILE || strstr(err.message, cases[i].why) == NULL)
            fail_msg("%zu: %d %s", i, rc, strake_err_message(&err));
        assert_null(ignore);
        strake_err_dispose(&err);
    }
}

static void ignore_parse_is_bounded(void **state)
{
    (void)state;
    struct strake_buf text = { 0 };
    struct strake_ignore *ignore;
    struct strake_err err = { 0 };
    for (int i = 0; i <= STRAKE_PATTERNS_MAX; i++)
        strake_buf_puts(&text, "a\n");
    assert_int_equal(strake_ignore_parse(strake_buf_text(&text), text.len, &ignore, &err),
                     STRAKE_EDOCKERFILE);
    strake_err_dispose(&err);
    assert_int_equal(strake_ignore_parse("a\0b", 3, &ignore, &err), STRAKE_EDOCKERFILE);
    strake_err_dispose(&err);
    strake_buf_clear(&text);
    for (int i = 0; i < 5000; i++)
        strake_buf_puts(&text, "*");
    assert_int_equal(strake_ignore_parse(strake_buf_text(&text), text.len, &ignore, &err),
                     STRAKE_EDOCKERFILE);
    strake_err_dispose(&err);
    strake_buf_dispose(&text);
}

/* Not timed: a matcher that tries again would not come back from these. */
static void ignore_does_not_blow_up(void **state)
{
    (void)state;
    struct strake_buf pattern = { 0 }, path = { 0 };
    for (int i = 0; i < 60; i++)
        strake_buf_puts(&pattern, "**/*a*/");
    strake_buf_puts(&pattern, "x");
    for (int i = 0; i < 200; i++)
        strake_buf_puts(&path, "aaaaaaa/");
    strake_buf_puts(&path, "y");
    struct strake_ignore *ignore = parsed(strake_buf_text(&pattern));
    assert_false(strake_ignore_matches(ignore, strake_buf_text(&path)));
    strake_ignore_free(ignore);
    strake_buf_dispose(&pattern);
    strake_buf_dispose(&path);
}

static void ignored_folder_is_entered_only_for_an_exception(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *folder;
        bool reaches;
    } cases[] = {
        { "a", "a", false },           { "a\n!a/b/c", "a", true }, { "a\n!a/b/c", "a/b", true },
        { "a\n!a/b/c", "a/x", false }, { "*\n!ab/c", "a", false }, { "*\n!a/**", "a", true },
        { "*\n!a/*", "a", true },      { "*\n!**/c", "a", true },  { "*\n!a?/c", "b", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_ignore *ignore = parsed(cases[i].text);
        struct strake_span folder = { cases[i].folder, strlen(cases[i].folder) };
        if (strake_ignore_reaches(ignore, folder) != cases[i].reaches)
            fail_msg("%zu", i);
        strake_ignore_free(ignore);
    }
}

static int parse_once(void *ctx)
{
    struct strake_ignore *ignore;
    struct strake_err err = { 0 };
    int rc = strake_ignore_parse(ctx, strlen(ctx), &ignore, &err);
    assert_int_equal(err.code, rc);
    strake_ignore_free(ignore);
    strake_err_dispose(&err);
    return rc;
}

static void ignore_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(parse_once, "a/../b\n!**/c*[a-c]|d{2}\n*.txt\n**/x\ny/**\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ignore_matches_as_buildkit_does),
        cmocka_unit_test(ignore_parse_names_the_line_and_the_pattern),
        cmocka_unit_test(ignore_parse_is_bounded),
        cmocka_unit_test(ignore_does_not_blow_up),
        cmocka_unit_test(ignored_folder_is_entered_only_for_an_exception),
        cmocka_unit_test(ignore_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
