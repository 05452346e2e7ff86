/* plugins/oci/scope.c: token scopes. */
#include "fake_host.h"

#include "oci/scope.h"

static void scope_join_adds_only_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        const char *own;
        const char *challenge;
        const char *joined;
    } cases[] = {
        { "repository:a:pull", NULL, "repository:a:pull" },
        { "repository:a:pull", "", "repository:a:pull" },
        { "repository:a:pull", "repository:a:pull", "repository:a:pull" },
        { "repository:a:pull,push", "repository:a:pull", "repository:a:pull,push" },
        { "repository:a:pull,push", "repository:a:push,pull", "repository:a:pull,push" },
        { "repository:a:pull", "repository:a:pull,push",
          "repository:a:pull repository:a:pull,push" },
        { "repository:a:pull", "repository:ab:pull", "repository:a:pull repository:ab:pull" },
        { "repository:a:pull", "repository:a:pul", "repository:a:pull repository:a:pul" },
        { "repository:a:pull repository:b:pull", "repository:b:pull",
          "repository:a:pull repository:b:pull" },
        { "", "registry:catalog:*", "registry:catalog:*" },
        { "repository:a:pull", "  x   y ", "repository:a:pull x y" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *joined = oci_scope_join(cases[i].own, cases[i].challenge);
        assert_string_equal(joined, cases[i].joined);
        free(joined);
    }
}

static void scope_serves_what_it_includes(void **state)
{
    (void)state;
    static const struct {
        const char *granted;
        const char *wanted;
        bool serves;
    } cases[] = {
        { "repository:a:pull", "repository:a:pull", true },
        { "repository:a:pull,push", "repository:a:pull", true },
        { "repository:a:pull", "repository:a:pull,push", false },
        { "repository:a:pull,push", "repository:b:pull", false },
        { "repository:a:pull,push", "repository:a:pull repository:b:pull", false },
        { "repository:a:pull,delete", "repository:a:pull", false },
        { "", "", true },
        { "repository:a:pull", "", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (oci_scope_serves(cases[i].granted, cases[i].wanted) != cases[i].serves)
            fail_msg("%s / %s", cases[i].granted, cases[i].wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope_join_adds_only_what_is_missing),
        cmocka_unit_test(scope_serves_what_it_includes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
