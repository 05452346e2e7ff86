/* Platform names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/platform.h"

static void platform_parse_gives_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "linux/amd64", "linux/amd64" },
        { "amd64", "linux/amd64" },
        { "x86_64", "linux/amd64" },
        { "linux/x86-64", "linux/amd64" },
        { "Linux/AMD64", "linux/amd64" },
        { "linux/amd64/v1", "linux/amd64" },
        { "linux/amd64/v2", "linux/amd64/v2" },
        { "aarch64", "linux/arm64" },
        { "linux/arm64/v8", "linux/arm64" },
        { "linux/arm64/8", "linux/arm64" },
        { "linux/arm64/v9", "linux/arm64/v9" },
        { "linux/arm", "linux/arm/v7" },
        { "linux/arm/7", "linux/arm/v7" },
        { "linux/arm/6", "linux/arm/v6" },
        { "armhf", "linux/arm/v7" },
        { "armel", "linux/arm/v6" },
        { "linux/i386", "linux/386" },
        { "macos/arm64", "darwin/arm64" },
        { "windows/amd64", "windows/amd64" },
        { "linux/riscv64", "linux/riscv64" },
        { "s390x", "linux/s390x" },
        { "freebsd/amd64", "freebsd/amd64" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[STRAKE_PLATFORM_TEXT] = "";
        struct strake_err err = { 0 };
        int rc = strake_platform_parse(cases[i].text, out, &err);
        if (rc != 0 || strcmp(out, cases[i].want) != 0)
            fail_msg("%s: %d %s", cases[i].text, rc, out);
        /* The form is its own. */
        char again[STRAKE_PLATFORM_TEXT];
        assert_int_equal(strake_platform_parse(out, again, &err), 0);
        assert_string_equal(again, out);
    }
}

static void platform_parse_refuses_and_suggests(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *hint;
    } cases[] = {
        { "linux/amd46", "'amd64'" },
        { "linus/amd64", "'linux'" },
        { "linux/arn64", "'arm64'" },
        { "linux/zzz", "os/arch" },
        { "", "os/arch" },
        { "linux/", "os/arch" },
        { "/amd64", "os/arch" },
        { "linux//v7", "os/arch" },
        { "linux/arm/v7/x", "os/arch" },
        { "linux amd64", "os/arch" },
        { "linux/amd64,", "os/arch" },
        { "zzz", "os/arch" },
        { "linux/amd64 ", "os/arch" },
        { "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "os/arch" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[STRAKE_PLATFORM_TEXT];
        struct strake_err err = { 0 };
        assert_int_equal(strake_platform_parse(cases[i].text, out, &err), STRAKE_EUSAGE);
        if (err.hint == NULL || strstr(err.hint, cases[i].hint) == NULL)
            fail_msg("%s: %s", cases[i].text, err.hint);
        strake_err_dispose(&err);
    }
}

static void platform_of_a_lone_os_is_this_machines(void **state)
{
    (void)state;
    char out[STRAKE_PLATFORM_TEXT];
    struct strake_err err = { 0 };
    assert_int_equal(strake_platform_parse("linux", out, &err), 0);
    assert_string_equal(out, strake_platform_host());
    assert_int_equal(strncmp(out, "linux/", 6), 0);
}

static void platform_make_takes_whatever_an_image_says(void **state)
{
    (void)state;
    static const struct {
        const char *os;
        const char *arch;
        const char *variant;
        const char *want;
    } cases[] = {
        { "linux", "amd64", NULL, "linux/amd64" }, { "linux", "arm64", "v8", "linux/arm64" },
        { "linux", "arm", "", "linux/arm/v7" },    { NULL, NULL, NULL, "unknown/unknown" },
        { "", "", "", "unknown/unknown" },         { "a/b", "c d", "e\n", "a_b/c_d/e_" },
        { "wasi", "wasm", NULL, "wasi/wasm" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[STRAKE_PLATFORM_TEXT];
        strake_platform_make(cases[i].os, cases[i].arch, cases[i].variant, out);
        assert_string_equal(out, cases[i].want);
    }
    char out[STRAKE_PLATFORM_TEXT];
    char word[200];
    memset(word, 'x', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    strake_platform_make(word, word, word, out);
    assert_true(strlen(out) < STRAKE_PLATFORM_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platform_parse_gives_one_form),
        cmocka_unit_test(platform_parse_refuses_and_suggests),
        cmocka_unit_test(platform_of_a_lone_os_is_this_machines),
        cmocka_unit_test(platform_make_takes_whatever_an_image_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
