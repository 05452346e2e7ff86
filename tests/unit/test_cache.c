/* From a target's `cache` to BuildKit's records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "project/make.h"
#include "torture.h"
#include "util/json.h"

static struct strake_plan_target app;

static int setup(void **state)
{
    (void)state;
    strake_json_setup();
    app = (struct strake_plan_target){ .name = strake_strdup("app"),
                                       .file = strake_strdup("strake.lua"),
                                       .line = 7 };
    assert_int_equal(strake_strings_add(&app.images, "r.example/app"), 0);
    assert_int_equal(strake_strings_add(&app.images, "other.example/app"), 0);
    assert_int_equal(strake_strings_add(&app.tags, "v1"), 0);
    assert_int_equal(strake_strings_add(&app.tags, "latest"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    strake_plan_target_dispose(&app);
    return 0;
}

/* The items with a blank between them. */
static void assert_items(const struct strake_strings *list, const char *want)
{
    struct strake_buf text = { 0 };

    for (size_t i = 0; i < list->count; i++)
        assert_int_equal(strake_buf_printf(&text, "%s%s", i ? " " : "", list->items[i]), 0);
    assert_string_equal(strake_buf_text(&text), want);
    strake_buf_dispose(&text);
}

static void cache_becomes_records_of_import_and_export(void **state)
{
    static const struct {
        const char *cache, *import, *export;
    } cases[] = {
        { "{}", "", "" },
        { "[]", "", "" },
        { "null", "", "" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c:x\",\"mode\":\"max\"}",
          "type=registry,ref=r.example/c:x", "type=registry,ref=r.example/c:x,mode=max" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c\",\"oci_mediatypes\":true,"
          "\"compression_level\":3}",
          "type=registry,ref=r.example/c",
          "type=registry,ref=r.example/c,oci-mediatypes=true,compression-level=3" },
        { "{\"type\":\"local\",\"dest\":\"/c\"}", "type=local,src=/c", "type=local,dest=/c" },
        { "{\"type\":\"local\",\"src\":\"/from\",\"dest\":\"/c\"}", "type=local,src=/from,src=/c",
          "type=local,dest=/c" },
        { "{\"type\":\"gha\",\"scope\":\"a,b \\\"c\\\"\"}", "type=gha,\"scope=a,b \"\"c\"\"\"",
          "type=gha,\"scope=a,b \"\"c\"\"\"" },
        { "{\"type\":\"inline\"}",
          "type=registry,ref=r.example/app:v1 type=registry,ref=r.example/app:latest",
          "type=inline" },
        { "[{\"type\":\"inline\"},{\"type\":\"registry\",\"ref\":\"r.example/c\"}]",
          "type=registry,ref=r.example/app:v1 type=registry,ref=r.example/app:latest "
          "type=registry,ref=r.example/c",
          "type=inline type=registry,ref=r.example/c" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_strings import = { 0 }, export = { 0 };
        struct strake_err err = { 0 };
        json_t *cache = json_loads(cases[i].cache, JSON_DECODE_ANY, NULL);
        assert_int_equal(strake_cache_records(cache, &app, &import, &export, &err), 0);
        assert_items(&import, cases[i].import);
        assert_items(&export, cases[i].export);
        strake_strings_dispose(&import);
        strake_strings_dispose(&export);
        json_decref(cache);
    }
}

static void cache_that_cannot_be_used_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *cache, *said;
    } cases[] = {
        { "{\"ref\":\"r.example/c\"}", "target app: `cache` has no type" },
        { "{\"type\":3}", "target app: `cache` has no type" },
        { "{\"type\":\"registry\",\"ref\":[]}",
          "target app: a value of `cache` is neither text, number nor boolean" },
        { "[{\"type\":\"inline\"},{\"type\":\"gha\",\"scope\":{}}]",
          "target app: a value of `cache` is neither text, number nor boolean" },
        { "[\"registry\"]", "target app: `cache` has no type" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_strings import = { 0 }, export = { 0 };
        struct strake_err err = { 0 };
        json_t *cache = json_loads(cases[i].cache, 0, NULL);
        assert_int_equal(strake_cache_records(cache, &app, &import, &export, &err), STRAKE_ECONFIG);
        assert_string_equal(strake_err_message(&err), cases[i].said);
        assert_string_equal(err.file, "strake.lua");
        assert_int_equal(err.line, 7);
        strake_err_dispose(&err);
        strake_strings_dispose(&import);
        strake_strings_dispose(&export);
        json_decref(cache);
    }
}

static void cache_has_a_bound(void **state)
{
    struct strake_strings import = { 0 }, export = { 0 };
    struct strake_err err = { 0 };
    char *text = strake_malloc(70000);
    json_t *cache;

    (void)state;
    memset(text, 'x', 69999);
    text[69999] = '\0';
    cache = json_pack("{s:s, s:s}", "type", "registry", "ref", text);
    assert_int_equal(strake_cache_records(cache, &app, &import, &export, &err), STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&err), "target app: `cache` is too large");
    strake_err_dispose(&err);
    strake_strings_dispose(&import);
    strake_strings_dispose(&export);
    json_decref(cache);
    strake_free(text);
}

static int make_records(void *cache)
{
    struct strake_strings import = { 0 }, export = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_cache_records(cache, &app, &import, &export, &err);

    assert_true(rc == 0 || rc == STRAKE_ENOMEM);
    assert_int_equal(err.code, rc);
    if (rc == 0) {
        assert_int_equal(import.count, 3);
        assert_int_equal(export.count, 2);
    }
    strake_err_dispose(&err);
    strake_strings_dispose(&import);
    strake_strings_dispose(&export);
    return rc;
}

static void cache_survives_every_failing_allocation(void **state)
{
    json_t *cache = json_pack("[{s:s}, {s:s, s:s}]", "type", "inline", "type", "registry", "ref",
                              "r.example/a-rather-long-name-for-a-cache/of-this-application:cache");

    (void)state;
    torture(make_records, cache);
    json_decref(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_becomes_records_of_import_and_export),
        cmocka_unit_test(cache_that_cannot_be_used_is_refused_with_its_place),
        cmocka_unit_test(cache_has_a_bound),
        cmocka_unit_test(cache_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
