/* Asking a cache plugin for its records: what it is told, and which answers are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/instance.h"
#include "plugin/loader.h"
#include "torture.h"
#include "util/json.h"

static const struct strake_cache_request request = {
    .size = sizeof(request),
    .target = "app",
    .image = "r.example/app",
    .platform = "linux/amd64",
    .branch = "main",
    .options = "{\"type\":\"cache\"}",
};

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    setenv("STRAKE_PLUGIN_PATH", ABI_PLUGINS, 1);
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

static struct strake_instance *open_cache(const char *fault)
{
    json_t *options = fault ? json_pack("{s:s}", "fault", fault) : json_object();
    struct strake_instance *cache = NULL;
    struct strake_err err = { 0 };

    if (strake_instance_open("cache", "kept", "cache/1", options, &cache, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    json_decref(options);
    return cache;
}

static int ask(void *ctx)
{
    struct strake_instance *cache = ctx;
    struct strake_err err = { 0 };
    json_t *specs = NULL;
    int rc = strake_cache_specs(cache, &request, &specs, &err);

    if (rc == 0)
        assert_string_equal(json_string_value(json_array_get(json_object_get(specs, "import"), 0)),
                            "app r.example/app linux/amd64 main");
    else
        assert_null(specs);
    assert_int_equal(err.code, rc);
    json_decref(specs);
    strake_err_dispose(&err);
    return rc;
}

static void specs_are_asked_with_the_whole_request(void **state)
{
    struct strake_instance *cache = open_cache(NULL);

    (void)state;
    assert_int_equal(ask(cache), 0);
    strake_instance_unref(cache);
}

static void specs_of_another_shape_are_the_plugins_fault(void **state)
{
    static const struct {
        const char *fault;
        int want;
        const char *said;
    } cases[] = {
        { "no-json", STRAKE_EINTERNAL, "what the cache plugin answered is not valid JSON" },
        { "nothing", STRAKE_EINTERNAL, "what the cache plugin answered is not valid JSON" },
        { "no-object", STRAKE_EINTERNAL, "gave no lists of strings" },
        { "no-export", STRAKE_EINTERNAL, "gave no lists of strings" },
        { "no-strings", STRAKE_EINTERNAL, "the plugin cache: specs() gave no lists of strings" },
        { "refused", STRAKE_ECONFIG, "no such cache: {\"type\":\"cache\"}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_instance *cache = open_cache(cases[i].fault);
        struct strake_err err = { 0 };
        json_t *specs = NULL;
        assert_int_equal(strake_cache_specs(cache, &request, &specs, &err), cases[i].want);
        assert_null(specs);
        if (!strstr(strake_err_message(&err), cases[i].said))
            fail_msg("%s: %s", cases[i].fault, strake_err_message(&err));
        strake_err_dispose(&err);
        strake_instance_unref(cache);
    }
}

static void specs_survive_every_failing_allocation(void **state)
{
    struct strake_instance *cache = open_cache(NULL);

    (void)state;
    torture(ask, cache);
    strake_instance_unref(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_asked_with_the_whole_request),
        cmocka_unit_test(specs_of_another_shape_are_the_plugins_fault),
        cmocka_unit_test(specs_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, group_setup, NULL);
}
