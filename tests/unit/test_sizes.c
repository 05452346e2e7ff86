/* core/build/sizes.c: tags in the order of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build/sizes.h"

static void tags_are_sorted_as_versions(void **state)
{
    static const char *const sorted[] = { "1",        "1.2",    "1.2.3", "1.9",     "1.10-rc1",
                                          "1.10-rc2", "1.10",   "02",    "2",       "10",
                                          "20260101", "latest", "main",  "main-a1", "v1.0-beta",
                                          "v1.0",     "v1.0.1" };
    const size_t count = sizeof(sorted) / sizeof(sorted[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            const int order = strake_tag_compare(sorted[i], sorted[k]);
            if ((i < k && order >= 0) || (i > k && order <= 0) || (i == k && order != 0))
                fail_msg("%s and %s: %d", sorted[i], sorted[k], order);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tags_are_sorted_as_versions) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
