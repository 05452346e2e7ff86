/* Databases of package managers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "image/packages.h"
#include "torture.h"
#include "util/json.h"

static const char dpkg[] = "Package: a\nStatus: install ok installed\nVersion: 1:2.3-4\n\n"
                           "Package: a\nStatus: install ok installed\nVersion: 5\n\n"
                           "Package: a\nStatus: install ok installed\nVersion: 5\n\n"
                           "Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n"
                           "Package: two words\nVersion: 1\n\nVersion: 9\n\n"
                           "Package: last\r\nVersion: 7\r\n";

static int read_both(void *ctx)
{
    json_t *packages = json_object();
    int rc = packages ? strake_packages_read("var/lib/dpkg/status", dpkg, strlen(dpkg), packages)
                      : STRAKE_ENOMEM;
    static const char apk[] = "C:Q1\nP:musl\nV:1.2-r0\n\nP:x\n";

    (void)ctx;
    if (rc == 0)
        rc = strake_packages_read("lib/apk/db/installed", apk, strlen(apk), packages);
    if (rc == 0) {
        assert_int_equal(json_object_size(packages), 3);
        assert_string_equal(strake_json_str(packages, "a"), "1:2.3-4, 5");
        assert_string_equal(strake_json_str(packages, "last"), "7");
        assert_string_equal(strake_json_str(packages, "musl"), "1.2-r0");
    }
    json_decref(packages);
    return rc;
}

static void packages_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_both(NULL), 0);
    torture(read_both, NULL);
}

static void packages_are_known_by_their_paths(void **state)
{
    (void)state;
    assert_true(strake_packages_wants("var/lib/dpkg/status"));
    assert_true(strake_packages_wants("var/lib/dpkg/status.d/base"));
    assert_false(strake_packages_wants("var/lib/dpkg/status.d/base.md5sums"));
    assert_true(strake_packages_wants("lib/apk/db/installed"));
    assert_false(strake_packages_wants("var/lib/dpkg/status-old"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_are_read),
        cmocka_unit_test(packages_are_known_by_their_paths),
    };
    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
