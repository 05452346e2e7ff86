/* Manifests and indexes as registries send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/manifest.h"
#include "util/json.h"

#include "torture.h"

#define D1 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D2 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" D1      \
    "\",\"size\":2}"
#define LAYER                                                                                      \
    "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" D2              \
    "\",\"size\":3}"
#define HEAD_OCI "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\","
#define HEAD_INDEX "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_OCI_INDEX "\","
#define MANIFEST                                                                                   \
    HEAD_OCI CONFIG ",\"layers\":[" LAYER "," LAYER "],\"annotations\":{\"a\":\"b\"},"             \
                    "\"subject\":{\"mediaType\":\"x/y\",\"digest\":\"" D2 "\",\"size\":0}}"
#define ENTRY(digest, os, arch)                                                                    \
    "{\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest                        \
    "\",\"size\":7,\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}}"
#define ATTESTATION                                                                                \
    "{\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\",\"digest\":\"" D2 "\",\"size\":9,"           \
    "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"},"                    \
    "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}}"
#define INDEX HEAD_INDEX "\"manifests\":[" ENTRY(D1, "linux", "amd64") "," ATTESTATION "]}"

static int parse(const char *text, const char *answered, struct strake_manifest *out,
                 struct strake_err *err)
{
    return strake_manifest_parse(text, strlen(text), answered, "r.io/a:1", out, err);
}

static void manifest_parse_reads_a_manifest(void **state)
{
    (void)state;
    struct strake_manifest m;
    struct strake_err err = { 0 };
    assert_int_equal(parse(MANIFEST, STRAKE_MEDIA_OCI_MANIFEST "; charset=utf-8", &m, &err), 0);
    assert_false(m.index);
    assert_string_equal(m.media_type, STRAKE_MEDIA_OCI_MANIFEST);
    assert_string_equal(m.config.digest, D1);
    assert_int_equal(m.config.size_bytes, 2);
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[1].digest, D2);
    assert_int_equal(m.items[1].size_bytes, 3);
    assert_string_equal(m.items[1].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_string_equal(m.subject, D2);
    assert_string_equal(strake_json_str(m.annotations, "a"), "b");
    strake_manifest_dispose(&m);
    strake_manifest_dispose(NULL);
}

static void manifest_parse_reads_an_index(void **state)
{
    (void)state;
    struct strake_manifest m;
    struct strake_err err = { 0 };
    assert_int_equal(parse(INDEX, "", &m, &err), 0);
    assert_true(m.index);
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].platform, "linux/amd64");
    assert_false(m.items[0].attestation);
    assert_string_equal(m.items[1].platform, "unknown/unknown");
    assert_true(m.items[1].attestation);
    assert_string_equal(m.config.digest, "");
    strake_manifest_dispose(&m);
}

static void manifest_type_follows_the_answer_or_the_shape(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *answered;
        bool index;
    } cases[] = {
        { "{\"schemaVersion\":2,\"manifests\":[]}", "", true },
        { "{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", "", false },
        { "{\"schemaVersion\":2,\"manifests\":[]}", STRAKE_MEDIA_DOCKER_LIST, true },
        { "{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", STRAKE_MEDIA_DOCKER_MANIFEST, false },
        { HEAD_INDEX "\"manifests\":[],\"annotations\":null,\"subject\":null}", "", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_manifest m;
        struct strake_err err = { 0 };
        if (parse(cases[i].text, cases[i].answered, &m, &err) != 0)
            fail_msg("%zu: %s", i, strake_err_message(&err));
        assert_int_equal(m.index, cases[i].index);
        strake_manifest_dispose(&m);
    }
}

static void manifest_parse_refuses_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *answered;
        const char *why;
    } cases[] = {
        { "", "", "r.io/a:1" },
        { "[]", "", "no JSON object" },
        { "{\"schemaVersion\":2", "", "r.io/a:1" },
        { MANIFEST, STRAKE_MEDIA_OCI_INDEX, "says that it is" },
        { MANIFEST, "text/html", "says that it is" },
        { "{\"schemaVersion\":2}", "text/html", "'text/html'" },
        { "{\"schemaVersion\":1}", "application/vnd.docker.distribution.manifest.v1+prettyjws",
          "v1+prettyjws'" },
        { "{\"schemaVersion\":1,\"manifests\":[]}", "", "schemaVersion" },
        { "{\"manifests\":[]}", "", "schemaVersion" },
        { HEAD_INDEX "\"manifests\":[],\"layers\":[]}", "", "stands in an index" },
        { HEAD_OCI CONFIG ",\"layers\":[],\"manifests\":[]}", "", "stands in a manifest" },
        { HEAD_INDEX "\"manifests\":{}}", "", "no array" },
        { HEAD_INDEX "\"manifests\":[1]}", "", "no object" },
        { HEAD_OCI "\"layers\":[]}", "", "config" },
        { HEAD_OCI CONFIG "}", "", "layers" },
        { HEAD_INDEX "\"manifests\":[{\"digest\":\"" D1 "\",\"size\":1}]}", "", "media type" },
        { HEAD_INDEX "\"manifests\":[{\"mediaType\":\"x\",\"size\":1}]}", "", "no digest" },
        { HEAD_INDEX
          "\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"sha256:../..\",\"size\":1}]}",
          "", "no sha256 digest" },
        { HEAD_INDEX "\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":-1}]}", "",
          "size" },
        { HEAD_INDEX "\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" D1 "\",\"size\":1.5}]}",
          "", "size" },
        { HEAD_INDEX "\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" D1
                     "\",\"size\":1,\"platform\":[]}]}",
          "", "platform" },
        { HEAD_INDEX "\"manifests\":[],\"annotations\":{\"a\":1}}", "", "annotations" },
        { HEAD_INDEX "\"manifests\":[],\"annotations\":[]}", "", "annotations" },
        { HEAD_INDEX "\"manifests\":[],\"subject\":{}}", "", "subject" },
        { HEAD_INDEX "\"manifests\":[],\"manifests\":[]}", "", "r.io/a:1" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_manifest m;
        struct strake_err err = { 0 };
        int rc = parse(cases[i].text, cases[i].answered, &m, &err);
        if (rc != STRAKE_EREGISTRY || strstr(strake_err_message(&err), cases[i].why) == NULL ||
            strstr(strake_err_message(&err), "r.io/a:1") == NULL)
            fail_msg("%zu: %d %s", i, rc, strake_err_message(&err));
        strake_err_dispose(&err);
    }
}

static void manifest_parse_bounds_its_entries(void **state)
{
    (void)state;
    struct strake_buf text = { 0 };
    struct strake_manifest m;
    struct strake_err err = { 0 };
    strake_buf_puts(&text, HEAD_INDEX "\"manifests\":[");
    for (int i = 0; i <= 10000; i++)
        strake_buf_puts(&text, i == 0 ? LAYER : "," LAYER);
    strake_buf_puts(&text, "]}");
    assert_int_equal(parse(strake_buf_text(&text), "", &m, &err), STRAKE_EREGISTRY);
    assert_non_null(strstr(err.message, "10000"));
    strake_err_dispose(&err);
    strake_buf_dispose(&text);
}

static int parse_once(void *ctx)
{
    struct strake_manifest m;
    struct strake_err err = { 0 };
    int rc = parse(ctx, "", &m, &err);
    assert_int_equal(err.code, rc);
    strake_manifest_dispose(&m);
    strake_err_dispose(&err);
    return rc;
}

static void manifests_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(parse_once, MANIFEST);
    torture(parse_once, INDEX);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_parse_reads_a_manifest),
        cmocka_unit_test(manifest_parse_reads_an_index),
        cmocka_unit_test(manifest_type_follows_the_answer_or_the_shape),
        cmocka_unit_test(manifest_parse_refuses_and_says_why),
        cmocka_unit_test(manifest_parse_bounds_its_entries),
        cmocka_unit_test(manifests_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
