/* Publishing into a real OCI layout: tags as one unit, conflicts, and what a killed run left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/publish.h"
#include "image/digest.h"
#include "plugin/instance.h"
#include "plugin/loader.h"
#include "record_folder.h"

#define TAGS 3
#define MEDIA "application/vnd.oci.image.manifest.v1+json"

static const char *const names[TAGS] = { "old", "same", "new" };

/* A layout with two images, "one" and "two": `old` is at one, `same` at two, `new` nowhere. */
struct shop {
    char *dir;
    struct strake_stores *stores;
    struct strake_job *job;
    struct strake_record *record;
    char *repository;
    char *refs[TAGS];
    char one[STRAKE_DIGEST_TEXT], two[STRAKE_DIGEST_TEXT];
};

static int put_image(struct shop *shop, const char *note, char *digest, const char *tag)
{
    static const char config[] = "{}";
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_err err = { 0 };
    char config_digest[STRAKE_DIGEST_TEXT];
    char *manifest;
    int rc;

    assert_int_equal(strake_digest_of(config, 2, config_digest, &err), 0);
    manifest =
        strake_asprintf("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA "\",\"config\":{"
                        "\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"%s\","
                        "\"size\":2},\"layers\":[],\"annotations\":{\"note\":\"%s\"}}",
                        config_digest, note);
    assert_int_equal(strake_digest_of(manifest, strlen(manifest), digest, &err), 0);
    assert_int_equal(strake_stores_open(shop->stores, shop->repository, &ref, &place, &err), 0);
    rc = strake_registry_blob_write(place.instance, shop->job, place.repository, config_digest,
                                    config, 2, &err);
    if (rc == 0)
        rc = strake_registry_manifest_put(place.instance, shop->job, place.repository,
                                          tag ? tag : digest, MEDIA, manifest, strlen(manifest),
                                          &err);
    if (rc < 0)
        fail_msg("%s", strake_err_message(&err));
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_free(manifest);
    return 0;
}

static void expect(struct shop *shop, const char *tag, const char *digest)
{
    struct strake_err err = { 0 };
    char now[STRAKE_DIGEST_TEXT];
    char *ref = strake_asprintf("%s:%s", shop->repository, tag);

    if (strake_tag_resolve(shop->stores, ref, shop->job, now, NULL, &err) < 0)
        fail_msg("%s: %s", ref, strake_err_message(&err));
    assert_string_equal(now, digest);
    strake_free(ref);
}

static int setup(void **state)
{
    struct shop *shop = strake_calloc(1, sizeof(*shop));
    void *dir = NULL;

    assert_int_equal(folder_make(&dir), 0);
    shop->dir = dir;
    shop->stores = strake_stores_new(0, NULL);
    shop->job = strake_job_new(NULL, NULL, NULL);
    shop->record = history_open(dir);
    shop->repository = strake_asprintf("oci:%s/layout", shop->dir);
    for (size_t i = 0; i < TAGS; i++)
        shop->refs[i] = strake_asprintf("%s:%s", shop->repository, names[i]);
    put_image(shop, "one", shop->one, "old");
    put_image(shop, "two", shop->two, "same");
    *state = shop;
    return 0;
}

static int teardown(void **state)
{
    struct shop *shop = *state;
    void *dir = shop->dir;

    history_close(shop->record);
    strake_job_free(shop->job);
    strake_stores_free(shop->stores);
    for (size_t i = 0; i < TAGS; i++)
        strake_free(shop->refs[i]);
    strake_free(shop->repository);
    strake_free(shop);
    return folder_remove(&dir);
}

/* All three tags to image two. */
static int publish(struct shop *shop, const struct strake_tag_state *before, bool force,
                   json_t **moves, struct strake_err *err)
{
    const struct strake_publish_options options = { .run = "run-1",
                                                    .kind = "publish",
                                                    .force = force };
    struct strake_publish_tag tags[TAGS];

    for (size_t i = 0; i < TAGS; i++)
        tags[i] = (struct strake_publish_tag){ .ref = shop->refs[i],
                                               .source = shop->repository,
                                               .digest = shop->two };
    return strake_publish(shop->stores, shop->record, tags, TAGS, before, &options, shop->job,
                          moves, err);
}

static void expect_move(const json_t *moves, size_t at, const char *ref, const char *status)
{
    const json_t *move = json_array_get(moves, at);

    assert_string_equal(strake_json_str(move, "ref"), ref);
    assert_string_equal(strake_json_str(move, "status"), status);
}

static void publish_moves_new_tags_before_moving_ones(void **state)
{
    struct shop *shop = *state;
    struct strake_err err = { 0 };
    json_t *moves = NULL;

    assert_int_equal(publish(shop, NULL, false, &moves, &err), 0);
    expect_move(moves, 0, shop->refs[1], "unchanged");
    expect_move(moves, 1, shop->refs[2], "done");
    expect_move(moves, 2, shop->refs[0], "done");
    for (size_t i = 0; i < TAGS; i++)
        expect(shop, names[i], shop->two);
    assert_false(strake_journal_waits(shop->record));
    json_decref(moves);
}

static void publish_stops_at_a_tag_that_somebody_moved_and_moves_back(void **state)
{
    struct shop *shop = *state;
    const char *refs[] = { shop->refs[0], shop->refs[1], shop->refs[2], NULL };
    struct strake_tag_state *before = NULL;
    char theirs[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    json_t *moves = NULL;

    assert_int_equal(strake_tags_read(shop->stores, refs, shop->job, &before, &err), 0);
    put_image(shop, "theirs", theirs, "old");
    assert_int_equal(publish(shop, before, false, &moves, &err), STRAKE_ECONFLICT);
    assert_non_null(strstr(strake_err_message(&err), shop->refs[0]));
    expect(shop, "old", theirs);
    expect(shop, "new", "");
    assert_false(strake_journal_waits(shop->record));
    strake_err_dispose(&err);
    json_decref(moves);
    assert_int_equal(publish(shop, before, true, &moves, &err), 0);
    expect(shop, "old", shop->two);
    json_decref(moves);
    strake_tag_state_free(before);
}

static void publish_of_a_cancelled_job_moves_nothing(void **state)
{
    struct shop *shop = *state;
    struct strake_err err = { 0 };
    json_t *moves = NULL;

    strake_job_cancel(shop->job);
    assert_int_equal(publish(shop, NULL, false, &moves, &err), STRAKE_ECANCELLED);
    strake_err_dispose(&err);
    json_decref(moves);
    strake_job_free(shop->job);
    shop->job = strake_job_new(NULL, NULL, NULL);
    expect(shop, "old", shop->one);
    expect(shop, "new", "");
}

/* ---- settling ---- */

/* What a run leaves that is killed after its first PUT. */
static void half_done(struct shop *shop)
{
    char nothing[] = "", media[] = MEDIA;
    const struct strake_move moves[] = {
        { .ref = shop->refs[2],
          .from = nothing,
          .to = shop->two,
          .media_type = media,
          .from_media_type = nothing },
        { .ref = shop->refs[0],
          .from = shop->one,
          .to = shop->two,
          .media_type = media,
          .from_media_type = media },
    };
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    int64_t id;

    assert_int_equal(strake_journal_begin(shop->record, "killed", "publish", moves, 2, &id, &err),
                     0);
    put_image(shop, "two", digest, "new");
    assert_true(strake_journal_waits(shop->record));
}

static void settle(struct shop *shop, const char *outcome)
{
    struct strake_err err = { 0 };
    json_t *report = NULL;

    if (strake_publish_settle(shop->stores, shop->record, false, shop->job, &report, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    assert_int_equal(json_array_size(report), 1);
    assert_string_equal(strake_json_str(json_array_get(report, 0), "outcome"), outcome);
    assert_string_equal(strake_json_str(json_array_get(report, 0), "run"), "killed");
    assert_false(strake_journal_waits(shop->record));
    json_decref(report);
}

static void settle_goes_forward(void **state)
{
    struct shop *shop = *state;

    half_done(shop);
    settle(shop, "done");
    expect(shop, "new", shop->two);
    expect(shop, "old", shop->two);
}

static void settle_goes_back_when_a_tag_is_somebody_elses(void **state)
{
    struct shop *shop = *state;
    char theirs[STRAKE_DIGEST_TEXT];

    half_done(shop);
    put_image(shop, "theirs", theirs, "old");
    settle(shop, "rolled-back");
    expect(shop, "new", "");
    expect(shop, "old", theirs);
}

/* ---- every allocation ---- */

static void start_again(struct shop *shop)
{
    struct strake_err err = { 0 };
    char digest[STRAKE_DIGEST_TEXT];

    put_image(shop, "one", digest, "old");
    assert_int_equal(strake_tag_delete(shop->stores, shop->refs[2], shop->job, &err), 0);
}

/* Old or new, all of them; what waits in the journal is settled first, as the next command does. */
static void expect_whole(struct shop *shop, int64_t n, int rc)
{
    struct strake_err err = { 0 };
    json_t *report = NULL;
    char old[STRAKE_DIGEST_TEXT], new[STRAKE_DIGEST_TEXT];
    bool before, after;

    if (strake_publish_settle(shop->stores, shop->record, false, shop->job, &report, &err) < 0)
        fail_msg("allocation %lld: %s", (long long)n, strake_err_message(&err));
    json_decref(report);
    assert_int_equal(strake_tag_resolve(shop->stores, shop->refs[0], shop->job, old, NULL, &err),
                     0);
    assert_int_equal(strake_tag_resolve(shop->stores, shop->refs[2], shop->job, new, NULL, &err),
                     0);
    before = strcmp(old, shop->one) == 0 && !new[0];
    after = strcmp(old, shop->two) == 0 && strcmp(new, shop->two) == 0;
    if (!before && !after)
        fail_msg("allocation %lld left a mix: old %s, new %s", (long long)n, old, new);
    if (rc == 0)
        assert_true(after);
}

/* One allocation fails, the next ones succeed again. */
static void publish_leaves_no_mix_whatever_allocation_fails(void **state)
{
    struct shop *shop = *state;
    bool reached = true;

    for (int64_t n = 1; reached; n++) {
        struct strake_err err = { 0 };
        json_t *moves = NULL;
        int rc;
        start_again(shop);
        strake_mem_fail_at(n, false);
        rc = publish(shop, NULL, false, &moves, &err);
        reached = strake_mem_count() >= n;
        strake_mem_fail_at(0, false);
        if (rc < 0)
            assert_true(err.code < 0);
        json_decref(moves);
        strake_err_dispose(&err);
        expect_whole(shop, n, rc);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(publish_moves_new_tags_before_moving_ones),
        TEST(publish_stops_at_a_tag_that_somebody_moved_and_moves_back),
        TEST(publish_of_a_cancelled_job_moves_nothing),
        TEST(settle_goes_forward),
        TEST(settle_goes_back_when_a_tag_is_somebody_elses),
        TEST(publish_leaves_no_mix_whatever_allocation_fails),
    };
    struct strake_err err = { 0 };
    char *program;

    strake_json_setup();
    program = strake_fs_absolute("/proc/self/exe");
    if (!program || strake_loader_setup(program, &err) < 0)
        return 1;
    strake_free(program);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
