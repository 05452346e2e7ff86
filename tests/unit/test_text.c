/* Control characters: found in all their forms, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/text.h"

static void control_characters_are_found_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        size_t control;
    } cases[] = {
        { "a", 0 },        { " ", 0 },
        { "\n", 1 },       { "\t", 1 },
        { "\x1b[2J", 1 },  { "\x7f", 1 },
        { "\xc2\x80", 2 }, { "\xc2\x9b", 2 },
        { "\xc2\x9f", 2 }, { "\xc2\xa0", 0 },
        { "\xc3\x9b", 0 }, { "\xc2", 0 },
        { "\xff", 0 },     { "\xe2\x82\xac", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(strake_text_control(cases[i].text, strlen(cases[i].text)),
                         cases[i].control);
    assert_int_equal(strake_text_control("\0", 1), 1);
}

static void a_blanked_text_keeps_its_length_and_what_can_be_read(void **state)
{
    char text[] = "a\x1b]0;b\xc2\x9b"
                  "c\xc3\xa4\r\n\xc2";

    (void)state;
    strake_text_blank(text, strlen(text));
    assert_string_equal(text, "a ]0;b  c\xc3\xa4  \xc2");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_found_and_nothing_else),
        cmocka_unit_test(a_blanked_text_keeps_its_length_and_what_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
