/* core/build/mirror.c: names of mirrors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "build/mirror.h"
#include "util/mem.h"

static void mirror_parse_takes_host_and_path_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *prefix;
    } cases[] = {
        { "mirror.lan", "mirror.lan", "" },
        { "mirror.lan:5000", "mirror.lan:5000", "" },
        { "localhost", "localhost", "" },
        { "127.0.0.1:5000/hub", "127.0.0.1:5000", "hub" },
        { "harbor.lan/a/b-c", "harbor.lan", "a/b-c" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        char *host, *prefix;
        assert_int_equal(strake_mirror_parse(cases[i].text, &host, &prefix, &err), 0);
        assert_string_equal(host, cases[i].host);
        assert_string_equal(prefix, cases[i].prefix);
        strake_free(host);
        strake_free(prefix);
    }
}

static void mirror_parse_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "mirror",
        "mirror/hub",
        "https://mirror.lan",
        "mirror.lan/",
        "mirror.lan//x",
        "mirror.lan/X",
        "mirror.lan/x:1",
        "mirror.lan/..",
        "index.docker.io",
        "/mirror.lan",
        "oci:dir",
        "docker-archive:f",
        "mirror.lan:/x",
        "a.b@sha256:1",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        char *host, *prefix;
        if (strake_mirror_parse(cases[i], &host, &prefix, &err) != STRAKE_ECONFIG)
            fail_msg("%s", cases[i]);
        assert_non_null(strstr(err.message, "is not a mirror"));
        assert_non_null(err.hint);
        strake_err_dispose(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mirror_parse_takes_host_and_path_apart),
        cmocka_unit_test(mirror_parse_refuses_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
