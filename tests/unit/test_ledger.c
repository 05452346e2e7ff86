/* Records of the release ledger: what is written is what is read, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "image/ledger.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "project/project.h"
#include "torture.h"
#include "util/json.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char whole[] =
    "{\"version\":1,\"kind\":\"publish\",\"digest\":\"" A
    "\",\"time\":\"2026-11-25T03:12:36.5+01:00\","
    "\"repository\":\"ghcr.io/o/app\",\"run\":\"r\",\"user\":\"alice\",\"url\":\"https://ci/1\","
    "\"commit\":\"4be21f07\",\"strake\":\"0.1.0\",\"later\":{\"x\":1},"
    "\"moves\":[{\"tag\":\"latest\",\"from\":\"" B "\"},{\"tag\":\"v1\",\"from\":\"\"}]}";

static json_t *parse(const char *text, size_t len)
{
    struct strake_err err = { 0 };
    json_t *record = NULL;

    assert_int_equal(strake_ledger_parse(text, len, "it", &record, &err), 0);
    return record;
}

static void ledger_reads_a_record_in_one_form(void **state)
{
    json_t *record = parse(whole, strlen(whole));

    (void)state;
    assert_string_equal(strake_json_str(record, "time"), "2026-11-25T02:12:36.500Z");
    assert_string_equal(strake_json_str(record, "user"), "alice");
    assert_null(json_object_get(record, "later"));
    assert_int_equal(json_array_size(json_object_get(record, "moves")), 2);
    json_decref(record);
}

static void ledger_fills_what_nobody_knew(void **state)
{
    static const char least[] =
        "{\"version\":1,\"kind\":\"tag\",\"digest\":\"" A "\",\"time\":\"2026-11-25T02:12:36Z\","
        "\"moves\":[{\"tag\":\"a\",\"from\":\"\"}]}";
    static const char *const texts[] = { "repository", "run", "user", "url", "commit", "strake" };
    json_t *record = parse(least, strlen(least));

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_string_equal(strake_json_str(record, texts[i]), "");
    json_decref(record);
}

#define RECORD(version, kind, digest, time, more, moves)                                           \
    "{\"version\":" version ",\"kind\":\"" kind "\",\"digest\":\"" digest "\",\"time\":\"" time    \
    "\"" more ",\"moves\":[" moves "]}"
#define WHEN "2026-11-25T02:12:36Z"
#define MOVE "{\"tag\":\"a\",\"from\":\"\"}"

static void ledger_refuses_what_is_no_record(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        { "", "it" },
        { "[]", "no JSON object" },
        { "{}", "'version' is no version" },
        { RECORD("0", "tag", A, WHEN, "", MOVE), "'version'" },
        { RECORD("2", "tag", A, WHEN, "", MOVE), "newer Strake" },
        { RECORD("1", "delete", A, WHEN, "", MOVE), "'kind'" },
        { RECORD("1", "tag", "sha256:1", WHEN, "", MOVE), "'digest' is no digest" },
        { RECORD("1", "tag", A, "today", "", MOVE), "'time'" },
        { RECORD("1", "tag", A, WHEN, ",\"user\":1", MOVE), "'user' is no text" },
        { RECORD("1", "tag", A, WHEN, ",\"user\":\"a\\u001b[2J\"", MOVE), "control character" },
        { RECORD("1", "tag", A, WHEN, ",\"url\":\"\\u009b\"", MOVE), "control character" },
        { RECORD("1", "tag", A, WHEN, ",\"commit\":\"HEAD\"", MOVE), "'commit'" },
        { RECORD("1", "tag", A, WHEN, "", ""), "no list of moves" },
        { RECORD("1", "tag", A, WHEN, "", "1"), "tag that is none" },
        { RECORD("1", "tag", A, WHEN, "", "{\"tag\":\"a/b\",\"from\":\"\"}"), "tag that is none" },
        { RECORD("1", "tag", A, WHEN, "", "{\"tag\":\"a\"}"), "digest that is none" },
        { RECORD("1", "tag", A, WHEN, "", "{\"tag\":\"a\",\"from\":\"x\"}"),
          "digest that is none" },
        { RECORD("1", "tag", A, WHEN, "", "{\"tag\":\"a\",\"from\":\"" A "\"}"), "did not move" },
        { RECORD("1", "tag", A, WHEN, "", MOVE "," MOVE), "tag twice" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_err err = { 0 };
        json_t *record = NULL;
        assert_int_equal(
            strake_ledger_parse(cases[i].text, strlen(cases[i].text), "it", &record, &err),
            STRAKE_EREGISTRY);
        if (!strstr(strake_err_message(&err), cases[i].told))
            fail_msg("%s: %s", cases[i].told, strake_err_message(&err));
        strake_err_dispose(&err);
    }
}

static void ledger_bounds_a_record(void **state)
{
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };
    json_t *record = NULL;

    (void)state;
    assert_int_equal(strake_buf_puts(&text, "{\"version\":1,\"kind\":\"tag\",\"digest\":\"" A
                                            "\",\"time\":\"" WHEN "\",\"moves\":[" MOVE),
                     0);
    for (int i = 0; i < STRAKE_LEDGER_MOVES_MAX; i++)
        assert_int_equal(strake_buf_printf(&text, ",{\"tag\":\"t%d\",\"from\":\"\"}", i), 0);
    assert_int_equal(strake_buf_puts(&text, "]}"), 0);
    assert_int_equal(strake_ledger_parse(strake_buf_text(&text), text.len, "it", &record, &err),
                     STRAKE_EREGISTRY);
    assert_non_null(strstr(strake_err_message(&err), "500"));
    strake_err_dispose(&err);
    assert_int_equal(strake_ledger_parse("", STRAKE_LEDGER_RECORD_MAX + 1, "it", &record, &err),
                     STRAKE_EREGISTRY);
    strake_err_dispose(&err);
    strake_buf_dispose(&text);
}

static void ledger_writes_what_it_reads(void **state)
{
    json_t *record = parse(whole, strlen(whole)), *again;
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_ledger_write(record, &out, &err), 0);
    again = parse(strake_buf_text(&out), out.len);
    assert_true(json_equal(record, again));
    json_object_del(record, "moves");
    strake_buf_clear(&out);
    assert_int_equal(strake_ledger_write(record, &out, &err), STRAKE_EREGISTRY);
    assert_int_equal(out.len, 0);
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
    json_decref(record);
    json_decref(again);
}

/* ---- the artifact ---- */

static const struct strake_ledger_part subject = { STRAKE_MEDIA_OCI_INDEX, A, 7 };
static const struct strake_ledger_part layer = { STRAKE_LEDGER_TYPE, B, 9 };

static void ledger_makes_an_artifact_with_an_empty_configuration(void **state)
{
    struct strake_manifest manifest;
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    char digest[STRAKE_DIGEST_TEXT];

    (void)state;
    assert_int_equal(strake_ledger_manifest(&subject, &layer, WHEN, &out, &err), 0);
    assert_int_equal(strake_manifest_parse(strake_buf_text(&out), out.len,
                                           STRAKE_MEDIA_OCI_MANIFEST, "it", &manifest, &err),
                     0);
    assert_string_equal(manifest.artifact_type, STRAKE_LEDGER_TYPE);
    assert_string_equal(manifest.subject, A);
    assert_string_equal(manifest.config.media_type, STRAKE_EMPTY_TYPE);
    assert_int_equal(
        strake_digest_of(STRAKE_EMPTY_BYTES, (size_t)manifest.config.size_bytes, digest, &err), 0);
    assert_string_equal(digest, STRAKE_EMPTY_DIGEST);
    assert_string_equal(digest, manifest.config.digest);
    strake_manifest_dispose(&manifest);
    assert_int_equal(
        strake_ledger_manifest_parse(strake_buf_text(&out), out.len, "", A, "it", digest, &err), 0);
    assert_string_equal(digest, B);
    assert_int_equal(
        strake_ledger_manifest_parse(strake_buf_text(&out), out.len, "", B, "it", digest, &err),
        STRAKE_EREGISTRY);
    assert_non_null(strstr(strake_err_message(&err), "another image"));
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
}

static void ledger_refuses_other_artifacts(void **state)
{
    static const struct strake_ledger_part wrong_type = { "application/x", B, 9 };
    static const struct strake_ledger_part large = { STRAKE_LEDGER_TYPE, B, 1 << 30 };
    const struct strake_ledger_part *const layers[] = { &wrong_type, &large };
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct strake_buf out = { 0 };
        assert_int_equal(strake_ledger_manifest(&subject, layers[i], WHEN, &out, &err), 0);
        assert_int_equal(
            strake_ledger_manifest_parse(strake_buf_text(&out), out.len, "", A, "it", digest, &err),
            STRAKE_EREGISTRY);
        assert_non_null(strstr(strake_err_message(&err), "'layers'"));
        strake_err_dispose(&err);
        strake_buf_dispose(&out);
    }
}

/* ---- who keeps one ---- */

static void ledger_is_kept_where_target_or_registry_say_so(void **state)
{
    struct strake_project *project = strake_project_new("/");
    struct strake_target *target;
    struct strake_block *block;
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_project_add_target(project, "app", "f", 1, &target, &err), 0);
    assert_int_equal(strake_strings_add(&target->images, "ghcr.io/o/app"), 0);
    assert_false(strake_project_keeps_ledger(project, "app", "ghcr.io/o/app"));
    assert_int_equal(
        strake_project_add_block(project, STRAKE_BLOCK_REGISTRY, "ghcr.io", "f", 2, &block, &err),
        0);
    block->ledger = true;
    assert_true(strake_project_keeps_ledger(project, "app", "ghcr.io/o/app"));
    assert_true(strake_project_keeps_ledger(project, NULL, "ghcr.io/o/other"));
    assert_false(strake_project_keeps_ledger(project, NULL, "quay.io/o/other"));
    target->ledger_said = true; /* ledger = false */
    assert_false(strake_project_keeps_ledger(project, "app", "ghcr.io/o/app"));
    assert_false(strake_project_keeps_ledger(project, NULL, "ghcr.io/o/app"));
    assert_true(strake_project_keeps_ledger(project, NULL, "ghcr.io/o/other"));
    strake_project_free(project);
}

/* ---- no memory ---- */

static int do_all(void *ctx)
{
    struct strake_buf out = { 0 }, artifact = { 0 };
    struct strake_err err = { 0 };
    char digest[STRAKE_DIGEST_TEXT];
    json_t *record = NULL;
    int rc = strake_ledger_parse(whole, strlen(whole), "it", &record, &err);

    (void)ctx;
    if (rc == 0)
        rc = strake_ledger_write(record, &out, &err);
    if (rc == 0)
        rc = strake_ledger_manifest(&subject, &layer, WHEN, &artifact, &err);
    if (rc == 0)
        rc = strake_ledger_manifest_parse(strake_buf_text(&artifact), artifact.len, "", A, "it",
                                          digest, &err);
    strake_err_dispose(&err);
    strake_buf_dispose(&out);
    strake_buf_dispose(&artifact);
    json_decref(record);
    return rc;
}

static void ledger_survives_want_of_memory(void **state)
{
    (void)state;
    strake_json_setup();
    torture(do_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ledger_reads_a_record_in_one_form),
        cmocka_unit_test(ledger_fills_what_nobody_knew),
        cmocka_unit_test(ledger_refuses_what_is_no_record),
        cmocka_unit_test(ledger_bounds_a_record),
        cmocka_unit_test(ledger_writes_what_it_reads),
        cmocka_unit_test(ledger_makes_an_artifact_with_an_empty_configuration),
        cmocka_unit_test(ledger_refuses_other_artifacts),
        cmocka_unit_test(ledger_is_kept_where_target_or_registry_say_so),
        cmocka_unit_test(ledger_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
