/* Plans as documents: written, sealed, read back strictly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/plan.h"
#include "torture.h"
#include "util/json.h"

#define DIR "/project"

static int text(char **field, const char *value)
{
    *field = strake_strdup(value);
    return *field ? 0 : STRAKE_ENOMEM;
}

static int fill_lists(struct strake_plan_target *target)
{
    if (strake_strings_add(&target->images, "h.example/a") < 0 ||
        strake_strings_add(&target->images, "docker.io/library/b") < 0 ||
        strake_strings_add(&target->tags, "v1") < 0 ||
        strake_strings_add(&target->tags, "latest") < 0 ||
        strake_strings_add(&target->platforms, "linux/arm64") < 0 ||
        strake_pairs_set(&target->args, "A", "a \"quoted\" ü") < 0 ||
        strake_pairs_set(&target->labels, "l", "") < 0 ||
        strake_pairs_set(&target->contexts, "c", "target:other") < 0 ||
        strake_strings_add(&target->cache_import, "type=registry,ref=x") < 0)
        return STRAKE_ENOMEM;
    return 0;
}

static int fill_rest(struct strake_plan_target *target)
{
    target->secrets = strake_calloc(1, sizeof(*target->secrets));
    target->builds = strake_calloc(1, sizeof(*target->builds));
    if (!target->secrets || !target->builds)
        return STRAKE_ENOMEM;
    target->secret_count = 1;
    target->build_count = 1;
    target->builds[0].command = json_array();
    target->policies = json_array();
    if (!target->builds[0].command || !target->policies ||
        text(&target->secrets[0].id, "token") < 0 || text(&target->secrets[0].name, "TOKEN") < 0 ||
        text(&target->builds[0].builder, "lab") < 0 ||
        text(&target->builds[0].plugin, "buildctl") < 0 ||
        strake_json_append_str(target->builds[0].command, "buildctl") < 0)
        return STRAKE_ENOMEM;
    return 0;
}

/* A plan of one target that has something in each of its fields; NULL: no memory. */
static struct strake_plan *plan_make(void)
{
    struct strake_plan *plan = strake_calloc(1, sizeof(*plan));
    struct strake_plan_target *target;

    if (!plan)
        return NULL;
    plan->targets = strake_calloc(1, sizeof(*plan->targets));
    if (!plan->targets || text(&plan->dir, DIR) < 0)
        goto failed;
    plan->count = 1;
    target = &plan->targets[0];
    target->no_cache = true;
    memset(target->inputs.digest, 'd', 71);
    memcpy(target->inputs.digest, "sha256:", 7);
    memcpy(target->inputs.dockerfile, target->inputs.digest, 72);
    memcpy(target->inputs.context, target->inputs.digest, 72);
    memcpy(target->inputs.options, target->inputs.digest, 72);
    if (text(&target->name, "app") < 0 || text(&target->context, DIR "/src") < 0 ||
        text(&target->dockerfile, "/elsewhere/Dockerfile") < 0 ||
        text(&target->stage, "last") < 0 ||
        strake_pairs_set(&target->inputs.bases, "alpine", target->inputs.digest) < 0 ||
        fill_lists(target) < 0 || fill_rest(target) < 0)
        goto failed;
    return plan;
failed:
    strake_plan_free(plan);
    return NULL;
}

static struct strake_plan *empty_plan(const char *dir)
{
    struct strake_plan *plan = strake_calloc(1, sizeof(*plan));

    if (plan && text(&plan->dir, dir) < 0) {
        strake_plan_free(plan);
        return NULL;
    }
    return plan;
}

/* The text of a sealed plan; the caller disposes it. */
static struct strake_buf saved(struct strake_plan *plan)
{
    struct strake_err err = { 0 };
    struct strake_buf out = { 0 };
    json_t *doc;

    assert_int_equal(strake_plan_seal(plan, &err), 0);
    doc = strake_plan_json(plan);
    assert_int_equal(strake_json_dump_pretty(doc, &out), 0);
    json_decref(doc);
    return out;
}

static void plan_is_read_back_as_it_was_written(void **state)
{
    struct strake_plan *plan = plan_make(), *again = empty_plan(DIR);
    struct strake_buf first = saved(plan), second;
    struct strake_err err = { 0 };

    (void)state;
    if (strake_plan_parse(again, strake_buf_text(&first), first.len, "saved", &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    assert_string_equal(again->digest, plan->digest);
    assert_string_equal(again->targets[0].context, DIR "/src");
    assert_string_equal(again->targets[0].dockerfile, "/elsewhere/Dockerfile");
    assert_string_equal(again->targets[0].secrets[0].name, "TOKEN");
    assert_null(again->targets[0].secrets[0].file);
    assert_string_equal(strake_pairs_get(&again->targets[0].inputs.bases, "alpine"),
                        plan->targets[0].inputs.digest);
    assert_true(again->targets[0].no_cache);
    second = saved(again);
    assert_string_equal(strake_buf_text(&second), strake_buf_text(&first));
    strake_buf_dispose(&first);
    strake_buf_dispose(&second);
    strake_plan_free(plan);
    strake_plan_free(again);
}

static void plan_fits_the_folder_that_it_is_read_in(void **state)
{
    struct strake_plan *plan = plan_make(), *again = empty_plan("/other/place");
    struct strake_buf document = saved(plan);
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(
        strake_plan_parse(again, strake_buf_text(&document), document.len, "saved", &err), 0);
    assert_string_equal(again->targets[0].context, "/other/place/src");
    assert_string_equal(again->targets[0].dockerfile, "/elsewhere/Dockerfile");
    strake_buf_dispose(&document);
    strake_plan_free(plan);
    strake_plan_free(again);
}

static void plan_digest_covers_each_part(void **state)
{
    struct strake_plan *plan = plan_make();
    struct strake_err err = { 0 };
    char digest[STRAKE_DIGEST_TEXT];

    (void)state;
    assert_int_equal(strake_plan_seal(plan, &err), 0);
    memcpy(digest, plan->digest, sizeof(digest));
    assert_int_equal(strake_plan_seal(plan, &err), 0);
    assert_string_equal(plan->digest, digest);
    assert_int_equal(strake_strings_add(&plan->targets[0].tags, "another"), 0);
    assert_int_equal(strake_plan_seal(plan, &err), 0);
    assert_string_not_equal(plan->digest, digest);
    memcpy(digest, plan->digest, sizeof(digest));
    plan->targets[0].no_cache = false;
    assert_int_equal(strake_plan_seal(plan, &err), 0);
    assert_string_not_equal(plan->digest, digest);
    strake_plan_free(plan);
}

/* A seal is no protection against an edit that makes a new seal: the parser is strict by itself. */
static void refuse(const char *data, size_t len)
{
    struct strake_plan *plan = empty_plan(DIR);
    struct strake_err err = { 0 };

    if (strake_plan_parse(plan, data, len, "saved", &err) != STRAKE_ESTALE)
        fail_msg("taken, or told as something else: %.*s: %s", (int)len, data,
                 strake_err_message(&err));
    assert_non_null(strstr(strake_err_message(&err), "saved"));
    strake_err_dispose(&err);
    strake_plan_free(plan);
}

static void plan_refuses_edits_that_break_the_seal(void **state)
{
    static const struct {
        const char *from, *to;
    } edits[] = {
        { "\"v1\"", "\"v2\"" },
        { "\"app\"", "\"apq\"" },
        { "lab", "lax" },
        { "strake.plan/1", "strake.plan/2" },
        { "\"stage\"", "\"stagf\"" },
    };
    struct strake_plan *plan = plan_make();
    struct strake_buf document = saved(plan);

    (void)state;
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        char *copy = strdup(strake_buf_text(&document)), *at = strstr(copy, edits[i].from);
        assert_non_null(at);
        memcpy(at, edits[i].to, strlen(edits[i].to)); /* as long as what it replaces */
        refuse(copy, document.len);
        free(copy);
    }
    strake_buf_dispose(&document);
    strake_plan_free(plan);
}

static void plan_refuses_what_is_cut_anywhere(void **state)
{
    struct strake_plan *plan = plan_make();
    struct strake_buf document = saved(plan);

    (void)state;
    for (size_t len = 0; len + 2 < document.len; len += 7)
        refuse(strake_buf_text(&document), len);
    strake_buf_dispose(&document);
    strake_plan_free(plan);
}

static void plan_refuses_other_documents(void **state)
{
    static const char *const documents[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"schema\":\"strake.plan/1\"}",
        "{\"schema\":\"strake.plan/1\",\"digest\":\"\",\"targets\":[]}",
        "{\"schema\":\"strake.plan/1\",\"digest\":7,\"targets\":[]}",
        "{\"schema\":\"strake.plan/1\",\"digest\":\"sha256:x\",\"targets\":{}}",
        "{\"schema\":\"strake.build/1\",\"targets\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
        refuse(documents[i], strlen(documents[i]));
}

static void plan_refs_go_repository_by_repository(void **state)
{
    static const char *const expected[] = { "h.example/a:v1", "h.example/a:latest", "b:v1",
                                            "b:latest" };
    struct strake_plan *plan = plan_make();
    struct strake_strings refs = { 0 };

    (void)state;
    strake_strings_dispose(&plan->targets[0].images);
    assert_int_equal(strake_strings_add(&plan->targets[0].images, "h.example/a"), 0);
    assert_int_equal(strake_strings_add(&plan->targets[0].images, "b"), 0);
    assert_int_equal(strake_plan_refs(&plan->targets[0], &refs), 0);
    assert_int_equal(refs.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(refs.items[i], expected[i]);
    strake_strings_dispose(&refs);
    strake_plan_free(plan);
}

static int write_and_read(void *ctx)
{
    struct strake_plan *plan = plan_make(), *again = plan ? empty_plan(DIR) : NULL;
    struct strake_err err = { 0 };
    struct strake_buf document = { 0 };
    json_t *json = NULL;
    int rc = again ? strake_plan_seal(plan, &err) : STRAKE_ENOMEM;

    (void)ctx;
    if (rc == 0 && !(json = strake_plan_json(plan)))
        rc = STRAKE_ENOMEM;
    if (rc == 0)
        rc = strake_json_dump(json, &document);
    if (rc == 0)
        rc = strake_plan_parse(again, strake_buf_text(&document), document.len, "saved", &err);
    if (rc == 0)
        assert_string_equal(again->digest, plan->digest);
    else if (rc != STRAKE_ENOMEM) /* never taken for an edited plan */
        fail_msg("%s", strake_err_message(&err));
    json_decref(json);
    strake_buf_dispose(&document);
    strake_plan_free(plan);
    strake_plan_free(again);
    strake_err_dispose(&err);
    return rc;
}

static void plan_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(write_and_read, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_read_back_as_it_was_written),
        cmocka_unit_test(plan_fits_the_folder_that_it_is_read_in),
        cmocka_unit_test(plan_digest_covers_each_part),
        cmocka_unit_test(plan_refuses_edits_that_break_the_seal),
        cmocka_unit_test(plan_refuses_what_is_cut_anywhere),
        cmocka_unit_test(plan_refuses_other_documents),
        cmocka_unit_test(plan_refs_go_repository_by_repository),
        cmocka_unit_test(plan_survives_every_failing_allocation),
    };

    strake_json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
