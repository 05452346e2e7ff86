/* From a target's `cache` to BuildKit's records, asked of the real plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/loader.h"
#include "project/cache.h"
#include "torture.h"
#include "util/json.h"

static struct strake_project *project;
static struct strake_plan_target app;
static const char *branch, *main_branch;

static const char *fact(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "branch") == 0 ? branch : main_branch;
}

static int group_setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    setenv("STRAKE_PLUGIN_PATH", PLUGINS ":" ABI_PLUGINS, 1);
    setenv("XDG_CACHE_HOME", "/home/.cache", 1);
    unsetenv("GITHUB_ACTIONS");
    unsetenv("ACTIONS_RUNTIME_TOKEN");
    unsetenv("ACTIONS_CACHE_SERVICE_V2");
    unsetenv("ACTIONS_CACHE_URL");
    project = strake_project_new("/src/shop");
    assert_non_null(project);
    project->fact = fact;
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

static int group_teardown(void **state)
{
    (void)state;
    strake_project_free(project);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    branch = main_branch = NULL;
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

static void forget(void)
{
    strake_strings_dispose(&app.cache_import);
    strake_strings_dispose(&app.cache_export);
    strake_strings_dispose(&app.cache_part_import);
    strake_strings_dispose(&app.cache_part_export);
}

static int decide(const char *text, struct strake_err *err)
{
    struct strake_caching caching = { .project = project };
    json_t *cache = json_loads(text, JSON_DECODE_ANY, NULL);
    int rc;

    if (!cache) { /* only where memory is refused */
        strake_caching_dispose(&caching);
        return strake_fail_nomem(err);
    }
    rc = strake_cache_decide(&caching, cache, &app, err);
    strake_caching_dispose(&caching);
    json_decref(cache);
    return rc;
}

static void decided(const char *text)
{
    struct strake_err err = { 0 };

    forget();
    if (decide(text, &err) < 0)
        fail_msg("%s: %s", text, strake_err_message(&err));
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

/* ---- what the user wrote ---- */

static void cache_becomes_records_of_import_and_export(void **state)
{
    static const struct {
        const char *cache, *import, *export;
    } cases[] = {
        { "{}", "", "" },
        { "[]", "", "" },
        { "null", "", "" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c:x\",\"mode\":\"max\"}",
          "type=registry,ref=r.example/c:x",
          "type=registry,ref=r.example/c:x,mode=max,ignore-error=true" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c:x\",\"required\":true}",
          "type=registry,ref=r.example/c:x", "type=registry,ref=r.example/c:x" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c:x\",\"ignore_error\":false}",
          "type=registry,ref=r.example/c:x", "type=registry,ref=r.example/c:x,ignore-error=false" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c:x\",\"read_only\":true}",
          "type=registry,ref=r.example/c:x", "" },
        { "{\"type\":\"registry\",\"ref\":\"r.example/c\",\"oci_mediatypes\":true,"
          "\"compression_level\":3}",
          "type=registry,ref=r.example/c",
          "type=registry,ref=r.example/c,oci-mediatypes=true,compression-level=3,"
          "ignore-error=true" },
        { "{\"type\":\"local\",\"dest\":\"/c\"}", "type=local,src=/c",
          "type=local,dest=/c,ignore-error=true" },
        { "{\"type\":\"local\",\"dest\":\"c\"}", "type=local,src=/src/shop/c",
          "type=local,dest=/src/shop/c,ignore-error=true" },
        { "{\"type\":\"local\",\"src\":\"/from\",\"dest\":\"/c\"}", "type=local,src=/from",
          "type=local,dest=/c,ignore-error=true" },
        { "{\"type\":\"local\",\"src\":\"/from\"}", "type=local,src=/from", "" },
        { "{\"type\":\"inline\"}",
          "type=registry,ref=r.example/app:v1 type=registry,ref=r.example/app:latest",
          "type=inline" },
        { "[{\"type\":\"inline\"},{\"type\":\"registry\",\"ref\":\"r.example/c\"}]",
          "type=registry,ref=r.example/app:v1 type=registry,ref=r.example/app:latest "
          "type=registry,ref=r.example/c",
          "type=inline type=registry,ref=r.example/c,ignore-error=true" },
        { "{\"type\":\"s3\",\"bucket\":\"b\",\"endpoint_url\":\"http://s:1\",\"name\":\"a,b "
          "\\\"c\\\"\",\"use_path_style\":true,\"upload_parallelism\":2,\"image_manifest\":true}",
          "type=s3,\"name=a,b \"\"c\"\"\",bucket=b,endpoint_url=http://s:1,use_path_style=true,"
          "upload_parallelism=2",
          "type=s3,\"name=a,b \"\"c\"\"\",bucket=b,endpoint_url=http://s:1,use_path_style=true,"
          "upload_parallelism=2,image-manifest=true,ignore-error=true" },
        { "{\"type\":\"azblob\",\"account_url\":\"https://a\",\"name\":\"n\"}",
          "type=azblob,name=n,account_url=https://a",
          "type=azblob,name=n,account_url=https://a,ignore-error=true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        decided(cases[i].cache);
        assert_items(&app.cache_import, cases[i].import);
        assert_items(&app.cache_export, cases[i].export);
    }
}

/* ---- what Strake names ---- */

static void a_type_alone_is_named_by_target_platform_and_branch(void **state)
{
    (void)state;
    decided("\"registry\"");
    assert_items(&app.cache_import, "type=registry,ref=r.example/app:buildcache-app "
                                    "type=registry,ref=r.example/app:buildcache");
    assert_items(&app.cache_export,
                 "type=registry,ref=r.example/app:buildcache-app,mode=max,ignore-error=true");
    assert_int_equal(strake_strings_add(&app.platforms, "linux/arm/v7"), 0);
    branch = "feature/x";
    main_branch = "trunk";
    decided("{\"type\":\"registry\",\"mode\":\"min\",\"required\":true}");
    assert_items(&app.cache_export, "type=registry,ref=r.example/app:buildcache-app-linux-arm-v7"
                                    ".feature-x-217d2b,mode=min");
    assert_items(&app.cache_import,
                 "type=registry,ref=r.example/app:buildcache-app-linux-arm-v7.feature-x-217d2b "
                 "type=registry,ref=r.example/app:buildcache-app-linux-arm-v7 "
                 "type=registry,ref=r.example/app:buildcache");
    branch = "trunk";
    decided("\"auto\"");
    assert_items(&app.cache_export, "type=registry,ref=r.example/app:buildcache-app-linux-arm-v7,"
                                    "mode=max,ignore-error=true");
    assert_int_equal(app.cache_part_export.count, 0);
}

static void a_written_reference_may_have_the_branch_in_it(void **state)
{
    (void)state;
    branch = "fix";
    main_branch = "main";
    decided("{\"type\":\"registry\",\"ref\":\"r.example/c:{target}-{branch}\"}");
    assert_items(&app.cache_export, "type=registry,ref=r.example/c:app-fix,ignore-error=true");
    assert_items(&app.cache_import,
                 "type=registry,ref=r.example/c:app-fix type=registry,ref=r.example/c:app-main");
    decided("{\"type\":\"registry\",\"ref\":\"r.example/c:{branch}\",\"main_branch\":\"fix\"}");
    assert_items(&app.cache_import, "type=registry,ref=r.example/c:fix");
}

static void names_stay_two_where_a_tag_cannot_tell_them_apart(void **state)
{
    static const char *const branches[] = {
        "fix",
        "Fix",
        "f/x",
        "f x",
        "f\xc3\xbcx",
        "a-branch-with-a-name-that-is-far-too-long",
        "a-branch-with-a-name-that-is-far-too-long-2",
    };
    enum { COUNT = sizeof(branches) / sizeof(branches[0]) };
    struct strake_strings seen = { 0 };

    (void)state;
    main_branch = "main";
    for (size_t i = 0; i < COUNT; i++) {
        branch = branches[i];
        decided("\"registry\"");
        char *ref = strake_plan_cache_field(app.cache_export.items[0], "ref");
        const char *tag = strrchr(ref, ':') + 1;
        if (strake_strings_has(&seen, tag) || strlen(tag) > 128 ||
            strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(tag))
            fail_msg("%s: %s", branch, tag);
        assert_int_equal(strake_strings_add(&seen, tag), 0);
        strake_free(ref);
    }
    strake_strings_dispose(&seen);
}

static void without_a_registry_auto_is_a_folder_of_this_machine(void **state)
{
    (void)state;
    strake_strings_dispose(&app.images);
    decided("\"auto\"");
    assert_items(&app.cache_export, "type=local,dest=/home/.cache/strake/build/shop-3cb8c763/app,"
                                    "mode=max,ignore-error=true");
    assert_items(&app.cache_import, "type=local,src=/home/.cache/strake/build/shop-3cb8c763/app");
}

static void gha_is_there_inside_actions_only(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(decide("\"gha\"", &err), STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&err),
                        "target app: a cache of type gha is there inside GitHub Actions only: "
                        "ACTIONS_RUNTIME_TOKEN is not set");
    strake_err_dispose(&err);
    setenv("ACTIONS_RUNTIME_TOKEN", "not-to-be-seen", 1);
    setenv("ACTIONS_RESULTS_URL", "https://results.example/", 1);
    branch = "fix";
    decided("\"gha\"");
    assert_items(&app.cache_import, "type=gha,scope=app,version=2");
    assert_items(&app.cache_export, "type=gha,scope=app,version=2,mode=max,ignore-error=true");
    decided("{\"type\":\"gha\",\"scope\":\"s\",\"version\":\"1\"}");
    assert_items(&app.cache_export, "type=gha,scope=s,version=1,ignore-error=true");
    strake_strings_dispose(&app.images);
    decided("\"auto\"");
    assert_items(&app.cache_import, "type=gha,scope=app,version=2");
    unsetenv("ACTIONS_RUNTIME_TOKEN");
    unsetenv("ACTIONS_RESULTS_URL");
}

/* ---- parts of the platforms ---- */

static void assert_part(const char *const *platforms, const char *import, const char *export)
{
    struct strake_strings part = { 0 }, from = { 0 }, to = { 0 };

    for (; *platforms; platforms++)
        assert_int_equal(strake_strings_add(&part, *platforms), 0);
    assert_int_equal(strake_plan_cache(&app, &part, &from, &to), 0);
    assert_items(&from, import);
    assert_items(&to, export);
    strake_strings_dispose(&part);
    strake_strings_dispose(&from);
    strake_strings_dispose(&to);
}

static void builders_side_by_side_never_write_the_same_cache(void **state)
{
    static const char *const all[] = { "linux/amd64", "linux/386", "linux/arm64", NULL };
    static const char *const two[] = { "linux/amd64", "linux/386", NULL };
    static const char *const one[] = { "linux/arm64", NULL };

    (void)state;
    for (size_t i = 0; all[i]; i++)
        assert_int_equal(strake_strings_add(&app.platforms, all[i]), 0);
    decided("\"registry\"");
#define REF "type=registry,ref=r.example/app:buildcache"
    assert_part(all,
                REF "-app " REF " " REF "-app-linux-amd64 " REF "-app-linux-386 " REF
                    "-app-linux-arm64",
                REF "-app,mode=max,ignore-error=true");
    assert_part(two,
                REF "-app-linux-amd64_linux-386 " REF "-app " REF " " REF "-app-linux-amd64 " REF
                    "-app-linux-386",
                REF "-app-linux-amd64_linux-386,mode=max,ignore-error=true");
    assert_part(one, REF "-app-linux-arm64 " REF "-app " REF,
                REF "-app-linux-arm64,mode=max,ignore-error=true");
    decided("{\"type\":\"registry\",\"ref\":\"r.example/app:buildcache\"}");
    assert_part(all, REF " " REF "-linux-amd64 " REF "-linux-386 " REF "-linux-arm64",
                REF ",ignore-error=true");
    assert_part(one, REF "-linux-arm64 " REF, REF "-linux-arm64,ignore-error=true");
    decided("{\"type\":\"registry\",\"ref\":\"r.example/app\"}");
    assert_part(one, REF "-linux-arm64 type=registry,ref=r.example/app",
                REF "-linux-arm64,ignore-error=true");
#undef REF
    decided("{\"type\":\"local\",\"dest\":\"/c\"}");
    assert_part(one, "type=local,src=/c/linux-arm64 type=local,src=/c",
                "type=local,dest=/c/linux-arm64,ignore-error=true");
}

static void a_long_list_of_platforms_has_a_short_key(void **state)
{
    struct strake_strings many = { 0 };
    char *key;

    (void)state;
    for (int i = 0; i < 5; i++) {
        char platform[32];
        snprintf(platform, sizeof(platform), "linux/arm/v%d", i);
        assert_int_equal(strake_strings_add(&many, platform), 0);
    }
    key = strake_plan_cache_key(&many);
    assert_non_null(key);
    assert_int_equal(strncmp(key, "5-platforms-", 12), 0);
    assert_int_equal(strlen(key), 20);
    strake_free(key);
    strake_strings_dispose(&many);
}

static void a_field_of_a_record_is_read_with_its_quotes(void **state)
{
    static const struct {
        const char *record, *key, *want;
    } cases[] = {
        { "type=registry,ref=r.example/c:x,mode=max", "ref", "r.example/c:x" },
        { "type=registry,ref=r.example/c:x", "re", NULL },
        { "type=registry,ref=", "ref", "" },
        { "", "ref", NULL },
        { "type=s3,\"name=a,b \"\"c\"\"\",bucket=b", "name", "a,b \"c\"" },
        { "type=s3,\"name=a,b \"\"c\"\"\",bucket=b", "bucket", "b" },
        { "\"ref=open", "ref", "open" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *value = strake_plan_cache_field(cases[i].record, cases[i].key);
        if (cases[i].want)
            assert_string_equal(value, cases[i].want);
        else
            assert_null(value);
        strake_free(value);
    }
}

/* ---- what is refused ---- */

static void cache_that_cannot_be_used_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *cache, *said, *hint;
    } cases[] = {
        { "{\"ref\":\"r.example/c\"}", "target app: `cache` has no type", "\"auto\"" },
        { "{\"type\":3}", "target app: `cache` has no type", "\"auto\"" },
        { "[3]", "target app: `cache` has no type", "\"auto\"" },
        { "{\"type\":\"registry\",\"oci_mediatypes\":[]}",
          "target app: a value of `cache` is neither text, number nor boolean: oci-mediatypes",
          NULL },
        { "\"regsitry\"", "target app: there is no cache of type \"regsitry\"",
          "did you mean \"registry\"?" },
        { "[\"inline\",{\"type\":\"S3\"}]", "target app: there is no cache of type \"S3\"",
          "did you mean \"s3\"?" },
        { "\"elsewhere-entirely\"", "target app: there is no cache of type \"elsewhere-entirely\"",
          "azblob are known" },
        { "\"../cache\"", "target app: there is no cache of type \"../cache\"", NULL },
        { "{\"type\":\"s3\",\"bucket\":\"b\",\"secret_access_key\":{\"secret\":\"KEY\"}}",
          "target app: `secret_access_key` may not be given here: it would stand in the command "
          "line and in the plan",
          "AWS_SECRET_ACCESS_KEY" },
        { "{\"type\":\"s3\",\"bucket\":\"b\",\"access_key_id\":\"AKIA\"}",
          "target app: `access_key_id` may not be given here: it would stand in the command "
          "line and in the plan",
          "buildkitd" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        forget();
        assert_int_equal(decide(cases[i].cache, &err), STRAKE_ECONFIG);
        assert_string_equal(strake_err_message(&err), cases[i].said);
        assert_string_equal(err.file, "strake.lua");
        assert_int_equal(err.line, 7);
        if (cases[i].hint && !(err.hint && strstr(err.hint, cases[i].hint)))
            fail_msg("%s: %s", cases[i].cache, err.hint ? err.hint : "no hint");
        strake_err_dispose(&err);
    }
}

static void a_registry_cache_without_a_registry_is_refused(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_strings_dispose(&app.images);
    assert_int_equal(strake_strings_add(&app.images, "oci:/layout"), 0);
    assert_int_equal(decide("\"registry\"", &err), STRAKE_ECONFIG);
    assert_non_null(strstr(strake_err_message(&err), "the target has none in a registry"));
    strake_err_dispose(&err);
}

static void cache_has_a_bound(void **state)
{
    const size_t len = 1100000;
    char *text = strake_malloc(len);
    struct strake_err err = { 0 };
    struct strake_caching caching = { .project = project };
    json_t *cache;

    (void)state;
    memset(text, 'x', len - 1);
    text[len - 1] = '\0';
    cache = json_pack("{s:s, s:s}", "type", "registry", "ref", text);
    assert_int_equal(strake_cache_decide(&caching, cache, &app, &err), STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&err), "target app: `cache` is too large");
    strake_err_dispose(&err);
    strake_caching_dispose(&caching);
    json_decref(cache);
    strake_free(text);
}

/* ---- a third party's type ---- */

static void a_plugin_adds_a_type_of_its_name(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    branch = "fix";
    decided("{\"type\":\"warehouse\",\"shelf\":3}");
    assert_items(&app.cache_import, "app r.example/app  fix");
    assert_items(&app.cache_export, "type=x");
    assert_int_equal(decide("\"older\"", &err), STRAKE_ECONFIG); /* a plugin, and no cache */
    assert_string_equal(strake_err_message(&err),
                        "target app: there is no cache of type \"older\"");
    strake_err_dispose(&err);
}

/* ---- memory ---- */

static int make_records(void *ctx)
{
    struct strake_err err = { 0 };
    int rc;

    (void)ctx;
    forget();
    rc = decide("[\"inline\",{\"type\":\"registry\"}]", &err);
    assert_int_equal(err.code, rc);
    if (rc == 0)
        assert_int_equal(app.cache_export.count, 2);
    strake_err_dispose(&err);
    return rc;
}

static void cache_survives_every_failing_allocation(void **state)
{
    (void)state;
    branch = "fix";
    main_branch = "main";
    assert_int_equal(strake_strings_add(&app.platforms, "linux/amd64"), 0);
    assert_int_equal(strake_strings_add(&app.platforms, "linux/arm64"), 0);
    torture(make_records, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cache_becomes_records_of_import_and_export),
        TEST(a_type_alone_is_named_by_target_platform_and_branch),
        TEST(a_written_reference_may_have_the_branch_in_it),
        TEST(names_stay_two_where_a_tag_cannot_tell_them_apart),
        TEST(without_a_registry_auto_is_a_folder_of_this_machine),
        TEST(gha_is_there_inside_actions_only),
        TEST(builders_side_by_side_never_write_the_same_cache),
        TEST(a_long_list_of_platforms_has_a_short_key),
        TEST(a_field_of_a_record_is_read_with_its_quotes),
        TEST(cache_that_cannot_be_used_is_refused_with_its_place),
        TEST(a_registry_cache_without_a_registry_is_refused),
        TEST(cache_has_a_bound),
        TEST(a_plugin_adds_a_type_of_its_name),
        TEST(cache_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
