/* Time zones, side by side with the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util/fs.h"
#include "util/zone.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* All rules that there are: none, north, south, half hours, summer at minus one hour, changes at odd times. */
static const char *const zones[] = {
    "UTC",
    "Asia/Tokyo",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "Etc/GMT+5",
    "America/Scoresbysund",
    "Asia/Gaza",
    "Pacific/Chatham",
};

static void zone_at_is_what_localtime_says(void **state)
{
    (void)state;
    for (size_t z = 0; z < COUNT(zones); z++) {
        setenv("TZ", zones[z], 1);
        tzset();
        /* from 1900 to 2100, every 11 days and some hours */
        for (int64_t when = -2208988800; when < 4102444800; when += 11 * 86400 + 12345) {
            struct strake_zone_time got;
            struct strake_err err = { 0 };
            struct tm want;
            time_t at = (time_t)when;

            assert_non_null(localtime_r(&at, &want));
            if (strake_zone_at(zones[z], when, &got, &err) < 0)
                fail_msg("%s: %s", zones[z], strake_err_message(&err));
            if (got.offset_seconds != want.tm_gmtoff || strcmp(got.abbreviation, want.tm_zone) != 0)
                fail_msg("%s at %lld: %d %s, not %ld %s", zones[z], (long long)when,
                         got.offset_seconds, got.abbreviation, want.tm_gmtoff, want.tm_zone);
        }
    }
    unsetenv("TZ");
}

static void zone_at_refuses_what_is_no_zone(void **state)
{
    static const char *const names[] = {
        "",    "Nowhere/City", "../passwd",    "/etc/passwd", "Asia", "Asia/../UTC",
        "A B", "zone.tab",     "Asia/Tokyo\n", ".."
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct strake_zone_time got;
        struct strake_err err = { 0 };

        if (strake_zone_at(names[i], 0, &got, &err) != STRAKE_ECONFIG)
            fail_msg("'%s' was taken", names[i]);
        strake_err_dispose(&err);
    }
}

static void zone_at_says_what_lacks_without_a_database(void **state)
{
    struct strake_zone_time got;
    struct strake_err err = { 0 };

    (void)state;
    setenv("TZDIR", "/nonexistent", 1);
    assert_int_equal(strake_zone_at("Asia/Tokyo", 0, &got, &err), STRAKE_ECONFIG);
    assert_non_null(strstr(err.hint, "tzdata"));
    strake_err_dispose(&err);
    unsetenv("TZDIR");
}

/* A file that ends anywhere is none, and is never read past its end (ASan watches). */
static void zone_read_refuses_files_that_are_cut(void **state)
{
    struct strake_buf file = { 0 };
    struct strake_err err = { 0 };
    struct strake_zone_time got;

    (void)state;
    assert_int_equal(strake_fs_read("/usr/share/zoneinfo/Europe/Berlin", 65536, &file, &err), 0);
    for (size_t len = 0; len < file.len; len++) {
        char *cut = malloc(len ? len : 1);
        memcpy(cut, file.data, len);
        if (strake_zone_read(cut, len, 1700000000, &got) ==
            0) /* the rule may lack, and nothing else */
            assert_true(len + 40 > file.len);
        free(cut);
    }
    strake_buf_dispose(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zone_at_is_what_localtime_says),
        cmocka_unit_test(zone_at_refuses_what_is_no_zone),
        cmocka_unit_test(zone_at_says_what_lacks_without_a_database),
        cmocka_unit_test(zone_read_refuses_files_that_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
