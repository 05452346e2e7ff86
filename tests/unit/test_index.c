/* Indexes made of what several builders pushed. */
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
#define D3 "sha256:0000000000000000000000000000000000000000000000000000000000000003"
#define ENTRY(type, digest, platform)                                                              \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":7,\"platform\":{" platform "}" \
    "}"
#define AMD64 "\"os\":\"linux\",\"architecture\":\"amd64\""
#define ARM64                                                                                      \
    "\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\",\"os.features\":[\"x\"]"
#define WINDOWS(v) "\"os\":\"windows\",\"architecture\":\"amd64\",\"os.version\":\"" v "\""
#define ATTESTATION(digest)                                                                        \
    "{\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest "\",\"size\":9,"       \
    "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"},"                    \
    "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}}"
#define OCI(entries, rest)                                                                         \
    "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_OCI_INDEX "\",\"manifests\":[" entries    \
    "]" rest "}"
#define DOCKER(entries)                                                                            \
    "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_DOCKER_LIST "\",\"manifests\":[" entries  \
    "]}"
#define BARE(type)                                                                                 \
    "{\"schemaVersion\":2,\"mediaType\":\"" type                                                   \
    "\",\"config\":{\"mediaType\":\"x/y\",\"digest\":\"" D1 "\",\"size\":2},\"layers\":[]}"

static struct strake_index_part index_part(const char *data)
{
    return (struct strake_index_part){
        .data = data, .len = strlen(data), .media_type = "", .digest = D3
    };
}

static struct strake_index_part bare_part(const char *data, const char *platform, char *digest)
{
    struct strake_err err = { 0 };
    assert_int_equal(strake_digest_of(data, strlen(data), digest, &err), 0);
    return (struct strake_index_part){
        .data = data, .len = strlen(data), .media_type = "", .digest = digest, .platform = platform
    };
}

static void index_merge_keeps_entries_as_they_are(void **state)
{
    (void)state;
    static const char *const a =
        OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D1, AMD64) "," ATTESTATION(D2),
            ",\"annotations\":{\"k\":\"a\"}");
    static const char *const b =
        OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D2, ARM64) "," ATTESTATION(D3),
            ",\"annotations\":{\"k\":\"b\",\"l\":\"m\"}");
    const struct strake_index_part parts[] = { index_part(a), index_part(b) };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    const char *type;
    assert_int_equal(strake_index_merge(parts, 2, &out, &type, &err), 0);
    assert_string_equal(type, STRAKE_MEDIA_OCI_INDEX);
    assert_string_equal(
        strake_buf_text(&out),
        OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D1, AMD64) "," ATTESTATION(D2) "," ENTRY(
                STRAKE_MEDIA_OCI_MANIFEST, D2, ARM64) "," ATTESTATION(D3),
            ",\"annotations\":{\"k\":\"a\",\"l\":\"m\"}"));
    strake_buf_dispose(&out);
}

static void index_merge_joins_bare_manifests(void **state)
{
    (void)state;
    char digests[2][STRAKE_DIGEST_TEXT];
    const struct strake_index_part parts[] = {
        bare_part(BARE(STRAKE_MEDIA_OCI_MANIFEST), "linux/amd64", digests[0]),
        bare_part(BARE(STRAKE_MEDIA_OCI_MANIFEST), "linux/arm/v7", digests[1]),
    };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    struct strake_manifest parsed;
    const char *type;
    assert_int_equal(strake_index_merge(parts, 2, &out, &type, &err), 0);
    assert_int_equal(
        strake_manifest_parse(strake_buf_text(&out), out.len, type, "it", &parsed, &err), 0);
    assert_int_equal(parsed.count, 2);
    assert_string_equal(parsed.items[0].digest, digests[0]);
    assert_int_equal(parsed.items[0].size_bytes, (int64_t)parts[0].len);
    assert_string_equal(parsed.items[1].platform, "linux/arm/v7");
    strake_manifest_dispose(&parsed);
    strake_buf_dispose(&out);
}

static void index_merge_chooses_the_media_type(void **state)
{
    (void)state;
    static const char *const docker = DOCKER(ENTRY(STRAKE_MEDIA_DOCKER_MANIFEST, D1, AMD64));
    static const char *const oci = OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D2, ARM64), "");
    static const char *const docker_oci = OCI(ENTRY(STRAKE_MEDIA_DOCKER_MANIFEST, D2, ARM64), "");
    char digest[STRAKE_DIGEST_TEXT];
    const struct strake_index_part bare =
        bare_part(BARE(STRAKE_MEDIA_DOCKER_MANIFEST), "linux/s390x", digest);
    const struct {
        struct strake_index_part parts[2];
        const char *want;
    } cases[] = {
        { { index_part(docker), index_part(oci) }, STRAKE_MEDIA_OCI_INDEX },
        { { index_part(docker), index_part(docker_oci) }, STRAKE_MEDIA_DOCKER_LIST },
        { { index_part(docker), bare }, STRAKE_MEDIA_DOCKER_LIST },
        { { index_part(oci), bare }, STRAKE_MEDIA_OCI_INDEX },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        const char *type;
        assert_int_equal(strake_index_merge(cases[i].parts, 2, &out, &type, &err), 0);
        assert_string_equal(type, cases[i].want);
        strake_buf_dispose(&out);
    }
}

static void index_merge_refuses_two_of_a_platform(void **state)
{
    (void)state;
    static const char *const a = OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D1, AMD64), "");
    static const char *const b = OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D2, AMD64), "");
    const struct strake_index_part parts[] = { index_part(a), index_part(b) };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    const char *type;
    assert_int_equal(strake_index_merge(parts, 2, &out, &type, &err), STRAKE_EREGISTRY);
    assert_non_null(strstr(err.message, "linux/amd64"));
    assert_non_null(strstr(err.message, D1));
    assert_non_null(strstr(err.message, D2));
    assert_int_equal(out.len, 0);
    strake_err_dispose(&err);
}

static void index_merge_takes_windows_of_two_versions(void **state)
{
    (void)state;
    static const char *const a = OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D1, WINDOWS("10.0.1")), "");
    static const char *const b = OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D2, WINDOWS("10.0.2")), "");
    const struct strake_index_part parts[] = { index_part(a), index_part(b) };
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    const char *type;
    assert_int_equal(strake_index_merge(parts, 2, &out, &type, &err), 0);
    strake_buf_dispose(&out);
}

static void index_merge_refuses_bad_parts(void **state)
{
    (void)state;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_index_part other =
        bare_part(BARE(STRAKE_MEDIA_OCI_MANIFEST), "linux/amd64", digest);
    struct strake_index_part placeless = bare_part(BARE(STRAKE_MEDIA_OCI_MANIFEST), NULL, digest);
    other.digest = D3;
    const struct {
        struct strake_index_part part;
        int want;
    } cases[] = {
        { index_part("{}"), STRAKE_EREGISTRY },
        { placeless, STRAKE_EREGISTRY },
        { other, STRAKE_ECORRUPT },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_buf out = { 0 };
        struct strake_err err = { 0 };
        const char *type;
        assert_int_equal(strake_index_merge(&cases[i].part, 1, &out, &type, &err), cases[i].want);
        assert_non_null(err.message);
        strake_err_dispose(&err);
    }
}

static int merge_once(void *ctx)
{
    const struct strake_index_part *parts = ctx;
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    const char *type;
    int rc = strake_index_merge(parts, 2, &out, &type, &err);
    assert_int_equal(err.code, rc);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void merges_survive_every_failing_allocation(void **state)
{
    (void)state;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_index_part parts[] = {
        index_part(OCI(ENTRY(STRAKE_MEDIA_OCI_MANIFEST, D1, AMD64) "," ATTESTATION(D2),
                       ",\"annotations\":{\"k\":\"a\"}")),
        bare_part(BARE(STRAKE_MEDIA_OCI_MANIFEST), "linux/arm64", digest),
    };
    torture(merge_once, parts);
}

int main(void)
{
    strake_json_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_merge_keeps_entries_as_they_are),
        cmocka_unit_test(index_merge_joins_bare_manifests),
        cmocka_unit_test(index_merge_chooses_the_media_type),
        cmocka_unit_test(index_merge_refuses_two_of_a_platform),
        cmocka_unit_test(index_merge_takes_windows_of_two_versions),
        cmocka_unit_test(index_merge_refuses_bad_parts),
        cmocka_unit_test(merges_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
