/* Suggestions for misspelt words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/suggest.h"

static const char *const words[] = {
    "target", "builder", "registry", "notifier", "fs", "git", NULL
};

static void suggest_finds_the_nearest_word(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *want;
    } cases[] = {
        { "tagret", "target" },
        { "target", "target" },
        { "TARGETS", "target" },
        { "bulider", "builder" },
        { "notifer", "notifier" },
        { "gti", "git" },
        { "gitt", "git" },
        { "regestri", "registry" },
        { "policy", NULL },
        { "x", NULL },
        { "", NULL },
        { "xy", NULL },
        { "targetbuilder", NULL },
        { "fz", "fs" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = strake_suggest(cases[i].word, words);
        if ((got == NULL) != (cases[i].want == NULL) ||
            (got != NULL && strcmp(got, cases[i].want) != 0))
            fail_msg("%s: %s", cases[i].word, got != NULL ? got : "nothing");
    }
}

static void suggest_takes_the_first_of_equals(void **state)
{
    (void)state;
    static const char *const equals[] = { "cat", "car", NULL };
    assert_string_equal(strake_suggest("cax", equals), "cat");
}

static void suggest_leaves_long_words_alone(void **state)
{
    (void)state;
    char word[80];
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    const char *const same[] = { word, NULL };
    assert_null(strake_suggest(word, same));
    assert_null(strake_suggest("aaaa", same));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggest_finds_the_nearest_word),
        cmocka_unit_test(suggest_takes_the_first_of_equals),
        cmocka_unit_test(suggest_leaves_long_words_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
