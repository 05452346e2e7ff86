/* build/extras: what a target asks of its builder, read from JSON and written back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "build/extras.h"
#include "torture.h"
#include "util/json.h"

static json_t *doc_of(const char *text)
{
    json_t *doc = json_loads(text, 0, NULL);

    assert_non_null(doc);
    return doc;
}

static void extras_come_back_as_they_were_written(void **state)
{
    static const char text[] =
        "{\"ssh\":[\"default\"],\"entitlements\":[\"network.host\"],\"add_hosts\":{\"db\":\"10.0.0."
        "1\"},\"ulimits\":{\"nofile\":\"10:20\"},\"attestations\":{\"provenance\":\"mode=max\"},"
        "\"no_"
        "cache_stages\":[\"a\"],\"network\":\"host\",\"compression\":\"zstd\",\"compression_"
        "level\":"
        "3,\"force_compression\":true,\"source_date_epoch\":\"7\",\"rewrite_timestamp\":true,"
        "\"pull\":true,\"shm_"
        "size\":67108864}";
    struct strake_build_extras extras = { 0 }, copy = { 0 };
    struct strake_err err = { 0 };
    json_t *doc = doc_of(text), *again;

    (void)state;
    assert_int_equal(strake_extras_read(&extras, doc, &err), 0);
    assert_int_equal(strake_extras_merge(&copy, &extras), 0);
    again = strake_extras_json(&copy);
    assert_true(json_equal(doc, again));
    json_decref(again);
    json_decref(doc);
    strake_extras_dispose(&extras);
    strake_extras_dispose(&copy);
}

static void extras_take_short_forms(void **state)
{
    struct strake_build_extras extras = { 0 };
    struct strake_err err = { 0 };
    json_t *doc = doc_of("{\"ssh\":true,\"reproducible\":true,\"shm_size\":\"64m\",\"ulimits\":{"
                         "\"nofile\":5},\"attestations\":{\"sbom\":true,\"provenance\":false}}");

    (void)state;
    assert_int_equal(strake_extras_read(&extras, doc, &err), 0);
    assert_string_equal(extras.ssh.items[0], "default");
    assert_string_equal(extras.source_date_epoch, "0");
    assert_true(extras.rewrite_timestamp);
    assert_int_equal(extras.shm_size_bytes, 64 * 1024 * 1024);
    assert_string_equal(strake_pairs_get(&extras.ulimits, "nofile"), "5");
    assert_string_equal(strake_pairs_get(&extras.attestations, "sbom"), "");
    assert_string_equal(strake_pairs_get(&extras.attestations, "provenance"), "disabled");
    json_decref(doc);
    strake_extras_dispose(&extras);
}

static void extras_refuse_what_they_cannot_use(void **state)
{
    static const char *const wrong[] = {
        "{\"ssh\":1}",
        "{\"ssh\":[\"a\\nb\"]}",
        "{\"add_hosts\":\"a\"}",
        "{\"add_hosts\":{\"a=b\":\"c\"}}",
        "{\"ulimits\":{\"nofile\":true}}",
        "{\"attestations\":{\"other\":true}}",
        "{\"network\":\"bridge\"}",
        "{\"compression\":\"lzma\"}",
        "{\"compression_level\":0}",
        "{\"compression_level\":23}",
        "{\"force_compression\":\"yes\"}",
        "{\"source_date_epoch\":\"now\"}",
        "{\"source_date_epoch\":-1}",
        "{\"shm_size\":\"64q\"}",
        "{\"shm_size\":0}",
        "{\"unknown\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct strake_build_extras extras = { 0 };
        struct strake_err err = { 0 };
        json_t *doc = doc_of(wrong[i]);
        assert_int_equal(strake_extras_read(&extras, doc, &err), STRAKE_ECONFIG);
        assert_non_null(err.message);
        strake_err_dispose(&err);
        strake_extras_dispose(&extras);
        json_decref(doc);
    }
}

static int read_and_write(void *ctx)
{
    struct strake_build_extras extras = { 0 }, copy = { 0 };
    struct strake_err err = { 0 };
    json_t *written = NULL;
    int rc = strake_extras_read(&extras, ctx, &err);

    if (rc == 0)
        rc = strake_extras_merge(&copy, &extras);
    if (rc == 0) {
        written = strake_extras_json(&copy);
        rc = written ? 0 : STRAKE_ENOMEM;
    }
    json_decref(written);
    strake_err_dispose(&err);
    strake_extras_dispose(&extras);
    strake_extras_dispose(&copy);
    return rc;
}

static void extras_survive_every_failing_allocation(void **state)
{
    json_t *doc = doc_of("{\"ssh\":[\"a\",\"b\"],\"add_hosts\":{\"a\":\"b\"},\"network\":\"none\","
                         "\"attestations\":{\"sbom\":true},\"reproducible\":true}");

    (void)state;
    torture(read_and_write, doc);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extras_come_back_as_they_were_written),
        cmocka_unit_test(extras_take_short_forms),
        cmocka_unit_test(extras_refuse_what_they_cannot_use),
        cmocka_unit_test(extras_survive_every_failing_allocation),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
