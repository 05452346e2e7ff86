/* Writing and reading the release ledger. */
#include "build/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "image/ledger.h"
#include "util/each.h"
#include "util/json.h"
#include "util/time.h"

#define RECORDS_MAX 100
/* A connection costs as much as a few requests on one that is open. */
#define READERS 4
#define LABEL_CREATED "org.opencontainers.image.created"

/* ---- writing ---- */

/* A registry that leaves the size out of a HEAD is asked for the bytes. */
static int describe(const struct strake_place_in_store *place, const char *digest,
                    struct strake_job *job, struct strake_descriptor *found, struct strake_err *err)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    int rc = strake_registry_resolve(place->instance, job, place->repository, digest, found, err);

    if (rc == 0 && (found->size_bytes < 0 || !found->media_type[0]))
        rc = strake_registry_manifest_get(place->instance, job, place->repository, digest, &bytes,
                                          found, err);
    strake_buf_dispose(&bytes);
    return rc;
}

static int put_blobs(const struct strake_place_in_store *place, const char *digest,
                     const struct strake_buf *bytes, struct strake_job *job, struct strake_err *err)
{
    int rc =
        strake_registry_blob_write(place->instance, job, place->repository, STRAKE_EMPTY_DIGEST,
                                   STRAKE_EMPTY_BYTES, sizeof(STRAKE_EMPTY_BYTES) - 1, err);

    return rc < 0 ? rc
                  : strake_registry_blob_write(place->instance, job, place->repository, digest,
                                               strake_buf_text(bytes), bytes->len, err);
}

static int put_artifact(const struct strake_place_in_store *place,
                        const struct strake_descriptor *subject, const char *time,
                        const struct strake_buf *record, struct strake_job *job,
                        struct strake_err *err)
{
    struct strake_buf manifest = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_ledger_part about = { subject->media_type, subject->digest, subject->size_bytes };
    char digest[STRAKE_DIGEST_TEXT], own[STRAKE_DIGEST_TEXT];
    struct strake_ledger_part layer = { STRAKE_LEDGER_TYPE, digest, (int64_t)record->len };
    int rc = strake_digest_of(strake_buf_text(record), record->len, digest, err);

    if (rc == 0)
        rc = put_blobs(place, digest, record, job, err);
    if (rc == 0)
        rc = strake_ledger_manifest(&about, &layer, time, &manifest, err);
    if (rc == 0)
        rc = strake_digest_of(strake_buf_text(&manifest), manifest.len, own, err);
    if (rc == 0)
        rc = strake_registry_manifest_put(place->instance, job, place->repository, own,
                                          STRAKE_MEDIA_OCI_MANIFEST, strake_buf_text(&manifest),
                                          manifest.len, err);
    strake_buf_dispose(&manifest);
    return rc;
}

int strake_ledger_attach(struct strake_stores *stores, const char *repository, const json_t *record,
                         struct strake_job *job, struct strake_err *err)
{
    struct strake_descriptor subject = { .size = sizeof(subject) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_LEDGER_RECORD_MAX);
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_ledger_write(record, &bytes, err);

    if (rc == 0)
        rc = strake_stores_open(stores, repository, &ref, &place, err);
    if (rc == 0)
        rc = describe(&place, strake_json_str(record, "digest"), job, &subject, err);
    if (rc == 0)
        rc = put_artifact(&place, &subject, strake_json_str(record, "time"), &bytes, job, err);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_buf_dispose(&bytes);
    return rc;
}

/* ---- reading ---- */

struct reading {
    const struct strake_place_in_store *place;
    const struct strake_reference *ref;
    const char *digest; /* of the image */
    struct strake_job *job;
    json_t *records;
    json_t *skipped;
};

static const char *created(const struct strake_content *entry)
{
    const char *text = strake_json_str(entry->annotations, LABEL_CREATED);

    return text ? text : "";
}

static int compare_entries(const void *a, const void *b)
{
    const struct strake_content *const *left = a, *const *right = b;
    int order = strcmp(created(*right), created(*left));

    return order ? order : strcmp((*left)->digest, (*right)->digest);
}

/* A record is of one repository: copied along with its image it says nothing of tags elsewhere. A
 * layout has no name. */
static int check_place(const struct reading *reading, const char *what, const json_t *record,
                       struct strake_err *err)
{
    const char *repository = strake_json_str(record, "repository");
    const char *here = reading->ref->store == STRAKE_STORE_REGISTRY ? reading->ref->name : "";

    if (strcmp(strake_json_str(record, "digest"), reading->digest) != 0)
        return strake_fail(err, STRAKE_EREGISTRY, "%s: is about another image", what);
    if (strcmp(repository, here) != 0)
        return strake_fail(err, STRAKE_EREGISTRY, "%s: is of another repository (%s)", what,
                           *repository ? repository : "a layout");
    return 0;
}

/* The artifact and its layer; *broken: what failed is the record, not the registry. */
static int read_record(const struct reading *reading, const char *id, const char *what,
                       json_t **out, bool *broken, struct strake_err *err)
{
    const struct strake_place_in_store *place = reading->place;
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_buf record = STRAKE_BUF(STRAKE_LEDGER_RECORD_MAX);
    char layer[STRAKE_DIGEST_TEXT];
    int rc = strake_registry_manifest_get(place->instance, reading->job, place->repository, id,
                                          &bytes, &found, err);

    *broken = rc == STRAKE_ENOTFOUND || rc == STRAKE_ECORRUPT;
    if (rc == 0) {
        rc = strake_ledger_manifest_parse(strake_buf_text(&bytes), bytes.len, found.media_type,
                                          reading->digest, what, layer, err);
        *broken = rc == STRAKE_EREGISTRY;
    }
    if (rc == 0) {
        rc = strake_registry_blob_read(place->instance, reading->job, place->repository, layer,
                                       STRAKE_LEDGER_RECORD_MAX, &record, err);
        *broken = rc == STRAKE_ENOTFOUND || rc == STRAKE_ECORRUPT || rc == STRAKE_ETOOBIG;
    }
    if (rc == 0) {
        rc = strake_ledger_parse(strake_buf_text(&record), record.len, what, out, err);
        if (rc == 0)
            rc = check_place(reading, what, *out, err);
        *broken = rc == STRAKE_EREGISTRY;
    }
    strake_buf_dispose(&bytes);
    strake_buf_dispose(&record);
    return rc;
}

/* ---- many of them ---- */

static int keep(const struct reading *reading, const char *id, json_t *record,
                struct strake_err *err)
{
    int64_t us = 0;

    strake_time_parse(strake_json_str(record, "time"), &us); /* in the form that it has here */
    return strake_json_set_str(record, "record", id) < 0 ||
                   strake_json_set_int(record, "time_us", us) < 0 ||
                   json_array_append(reading->records, record) < 0
               ? strake_fail_nomem(err)
               : 0;
}

static int skip(const struct reading *reading, const char *id, const struct strake_err *why,
                struct strake_err *err)
{
    json_t *entry = json_object();
    int rc = 0;

    if (!entry || strake_json_set_str(entry, "record", id) < 0 ||
        strake_json_set_str(entry, "why", strake_err_message(why)) < 0 ||
        json_array_append(reading->skipped, entry) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(entry);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

/* One record, read on any thread. */
struct found {
    const char *id;
    json_t *record; /* NULL: it is broken */
    struct strake_err why;
};

struct finding {
    const struct reading *reading;
    struct found *found;
};

static int find_one(void *ctx, size_t i, struct strake_err *err)
{
    const struct finding *finding = ctx;
    struct found *found = &finding->found[i];
    char *what = strake_asprintf("the record %.19s", found->id);
    bool broken = false;
    int rc = what ? read_record(finding->reading, found->id, what, &found->record, &broken, err)
                  : strake_fail_nomem(err);

    strake_free(what);
    if (!broken)
        return rc;
    json_decref(found->record);
    found->record = NULL;
    strake_err_move(&found->why, err);
    return 0;
}

static int take_found(const struct reading *reading, struct found *found, struct strake_err *err)
{
    return found->record ? keep(reading, found->id, found->record, err)
                         : skip(reading, found->id, &found->why, err);
}

/* Newest first: the list says when each was written. */
static int read_all(const struct reading *reading, const struct strake_manifest *list, size_t *more,
                    struct strake_err *err)
{
    const struct strake_content **entries = strake_calloc(list->count + 1, sizeof(*entries));
    struct found *found = strake_calloc(RECORDS_MAX, sizeof(*found));
    struct finding finding = { .reading = reading, .found = found };
    size_t count = 0;
    int rc = entries && found ? 0 : strake_fail_nomem(err);

    for (; rc == 0 && count < list->count; count++)
        entries[count] = &list->items[count];
    if (count > 1)
        qsort(entries, count, sizeof(*entries), compare_entries);
    *more = count > RECORDS_MAX ? count - RECORDS_MAX : 0;
    count -= *more;
    for (size_t i = 0; i < count; i++)
        found[i].id = entries[i]->digest;
    if (rc == 0)
        rc = strake_each(count, READERS, find_one, &finding, err);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            rc = take_found(reading, &found[i], err);
        json_decref(found[i].record);
        strake_err_dispose(&found[i].why);
    }
    strake_free(entries);
    strake_free(found);
    return rc;
}

int strake_ledger_read(struct strake_stores *stores, const char *repository, const char *digest,
                       struct strake_job *job, json_t **out, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_manifest list = { 0 };
    struct reading reading = { .place = &place,
                               .ref = &ref,
                               .digest = digest,
                               .job = job,
                               .records = json_array(),
                               .skipped = json_array() };
    size_t more = 0;
    int rc = reading.records && reading.skipped ? 0 : strake_fail_nomem(err);

    if (rc == 0)
        rc = strake_stores_open(stores, repository, &ref, &place, err);
    if (rc == 0)
        rc = strake_registry_referrers(place.instance, job, place.repository, digest,
                                       STRAKE_LEDGER_TYPE, &list, err);
    if (rc == STRAKE_EUNSUPPORTED) { /* a docker archive, or a plugin of older times */
        strake_err_dispose(err);
        rc = 0;
    }
    if (rc == 0)
        rc = read_all(&reading, &list, &more, err);
    if (rc == 0) {
        *out = json_pack("{s:O, s:O, s:I}", "records", reading.records, "skipped", reading.skipped,
                         "more", (json_int_t)more);
        rc = *out ? 0 : strake_fail_nomem(err);
    }
    json_decref(reading.records);
    json_decref(reading.skipped);
    strake_manifest_dispose(&list);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}
