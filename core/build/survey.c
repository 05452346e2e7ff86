/* A repository's tags, and the manifests behind them (survey.h). */
#include "build/survey.h"

#include <pthread.h>
#include <string.h>

#include "image/manifest.h"
#include "util/json.h"

#define SURVEYORS_MAX 8
#define DEPTH_MAX 4

/* One round: the same is asked of each item. What the threads share is behind `lock`. */
struct survey {
    const struct strake_place_in_store *place;
    struct strake_job *job;
    json_t *tags, *manifests;
    struct strake_strings items; /* of this round */
    struct strake_strings next;  /* digests of the next one */
    int (*look)(struct survey *survey, const char *item, struct strake_err *err);
    pthread_mutex_t lock;
    size_t at;
    int rc;
    struct strake_err *err;
};

/* ---- one item ---- */

static int look_at_tag(struct survey *survey, const char *tag, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc = strake_registry_resolve(survey->place->instance, survey->job,
                                     survey->place->repository, tag, &found, err);

    if (rc == STRAKE_ENOTFOUND) { /* between the list and now */
        strake_err_dispose(err);
        return 0;
    }
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&survey->lock);
    if (strake_json_set_str(survey->tags, tag, found.digest) < 0 ||
        strake_strings_add(&survey->next, found.digest) < 0)
        rc = strake_fail_nomem(err);
    pthread_mutex_unlock(&survey->lock);
    return rc;
}

static json_t *describe(const struct strake_manifest *manifest, struct strake_strings *next)
{
    json_t *line = json_object(), *names = json_array();
    int rc = line && names ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && manifest->index && i < manifest->count; i++) {
        rc = strake_json_append_str(names, manifest->items[i].digest);
        if (rc == 0)
            rc = strake_strings_add(next, manifest->items[i].digest);
    }
    if (rc < 0 || strake_json_set_str(line, "media_type", manifest->media_type) < 0 ||
        json_object_set(line, "names", names) < 0 ||
        (manifest->subject[0] && strake_json_set_str(line, "subject", manifest->subject) < 0)) {
        json_decref(line);
        line = NULL;
    }
    json_decref(names);
    return line;
}

static int look_at_manifest(struct survey *survey, const char *digest, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    json_t *line;
    int rc = strake_registry_manifest_get(survey->place->instance, survey->job,
                                          survey->place->repository, digest, &bytes, &found, err);

    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        strake_buf_dispose(&bytes);
        return 0;
    }
    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, found.media_type, digest,
                                   &manifest, err);
    if (rc == 0) {
        pthread_mutex_lock(&survey->lock);
        line = describe(&manifest, &survey->next);
        if (!line || json_object_set_new(survey->manifests, digest, line) < 0)
            rc = strake_fail_nomem(err);
        pthread_mutex_unlock(&survey->lock);
    }
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    return rc;
}

/* ---- rounds ---- */

static const char *take(struct survey *survey)
{
    const char *item = NULL;

    pthread_mutex_lock(&survey->lock);
    if (survey->rc == 0 && survey->at < survey->items.count)
        item = survey->items.items[survey->at++];
    pthread_mutex_unlock(&survey->lock);
    return item;
}

static void *surveyor(void *ctx)
{
    struct survey *survey = ctx;
    const char *item;

    while ((item = take(survey))) {
        struct strake_err err = { 0 };
        int rc = survey->look(survey, item, &err);
        if (rc < 0) {
            pthread_mutex_lock(&survey->lock);
            if (survey->rc == 0) {
                survey->rc = rc;
                strake_err_move(survey->err, &err);
            }
            pthread_mutex_unlock(&survey->lock);
        }
        strake_err_dispose(&err);
    }
    return NULL;
}

static int look_at_all(struct survey *survey,
                       int (*look)(struct survey *survey, const char *item, struct strake_err *err))
{
    pthread_t threads[SURVEYORS_MAX - 1];
    size_t started = 0;

    survey->look = look;
    survey->at = 0;
    while (started < SURVEYORS_MAX - 1 && started + 1 < survey->items.count &&
           pthread_create(&threads[started], NULL, surveyor, survey) == 0)
        started++;
    surveyor(survey);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return survey->rc;
}

/* What the last round named and no round has looked at: it goes into the next one, once each. */
static int next_round(struct survey *survey, json_t *known)
{
    strake_strings_dispose(&survey->items);
    survey->items = (struct strake_strings){ 0 };
    for (size_t i = 0; i < survey->next.count; i++) {
        const char *digest = survey->next.items[i];
        if (json_object_get(known, digest))
            continue;
        if (strake_json_set_bool(known, digest, true) < 0 ||
            strake_strings_add(&survey->items, digest) < 0)
            return strake_fail_nomem(survey->err);
    }
    strake_strings_dispose(&survey->next);
    survey->next = (struct strake_strings){ 0 };
    return 0;
}

static int look_around(struct survey *survey, const json_t *extra, struct strake_err *err)
{
    json_t *known = json_object();
    const json_t *digest;
    size_t i;
    int rc = known && survey->tags && survey->manifests ? 0 : strake_fail_nomem(err);

    if (rc == 0)
        rc = strake_registry_tags(survey->place->instance, survey->job, survey->place->repository,
                                  &survey->items, err);
    if (rc == 0)
        rc = look_at_all(survey, look_at_tag);
    json_array_foreach(extra, i, digest) {
        if (rc == 0 && strake_strings_add(&survey->next, json_string_value(digest)) < 0)
            rc = strake_fail_nomem(err);
    }
    for (int depth = 0; rc == 0 && survey->next.count > 0; depth++) {
        if (depth > DEPTH_MAX)
            rc = strake_fail(err, STRAKE_EREGISTRY, "%s: indexes within indexes, too deep",
                             survey->place->repository);
        if (rc == 0)
            rc = next_round(survey, known);
        if (rc == 0)
            rc = look_at_all(survey, look_at_manifest);
    }
    json_decref(known);
    return rc;
}

int strake_survey(struct strake_stores *stores, const char *repository, const json_t *extra,
                  struct strake_job *job, json_t **out, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct survey survey = {
        .place = &place, .job = job, .tags = json_object(), .manifests = json_object(), .err = err
    };
    int rc = strake_stores_open(stores, repository, &parsed, &place, err);

    pthread_mutex_init(&survey.lock, NULL);
    if (rc == 0)
        rc = look_around(&survey, extra, err);
    if (rc == 0) {
        *out = json_object();
        if (!*out || json_object_set(*out, "tags", survey.tags) < 0 ||
            json_object_set(*out, "manifests", survey.manifests) < 0)
            rc = strake_fail_nomem(err);
    }
    pthread_mutex_destroy(&survey.lock);
    strake_strings_dispose(&survey.items);
    strake_strings_dispose(&survey.next);
    json_decref(survey.tags);
    json_decref(survey.manifests);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}
