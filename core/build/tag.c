/* One tag of one store: where it points, moving it, taking it away. */
#include <string.h>

#include "build/publish.h"
#include "util/time.h"

#define UNDO_MS 60000

/* The store and the tag that a reference names. */
struct tag_place {
    struct strake_reference ref;
    struct strake_place_in_store place;
};

static int tag_open(struct strake_stores *stores, const char *text, struct tag_place *out,
                    struct strake_err *err)
{
    int rc;

    *out = (struct tag_place){ 0 };
    rc = strake_stores_open(stores, text, &out->ref, &out->place, err);
    if (rc == 0 && !out->ref.tag[0]) {
        rc = strake_fail(err, STRAKE_EUSAGE, "%s names no tag", text);
        strake_err_hint(err, "write %s:TAG", text);
    }
    return rc;
}

static void tag_close(struct tag_place *tag)
{
    strake_place_in_store_dispose(&tag->place);
    strake_reference_dispose(&tag->ref);
}

int strake_tag_resolve(struct strake_stores *stores, const char *ref, struct strake_job *job,
                       char *digest, char **media_type, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct tag_place tag;
    int rc = tag_open(stores, ref, &tag, err);

    digest[0] = '\0';
    if (rc == 0)
        rc = strake_registry_resolve(tag.place.instance, job, tag.place.repository, tag.ref.tag,
                                     &found, err);
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        rc = 0;
    } else if (rc == 0) {
        memcpy(digest, found.digest, STRAKE_DIGEST_TEXT);
        digest[STRAKE_DIGEST_TEXT - 1] = '\0';
    }
    if (rc == 0 && media_type) {
        *media_type = strake_strdup(found.media_type);
        if (!*media_type)
            rc = strake_fail_nomem(err);
    }
    tag_close(&tag);
    return rc;
}

/* A registry may answer 201 and keep the old tag: only what is read back counts. */
static int read_back(const struct tag_place *tag, const char *ref, const char *digest,
                     struct strake_job *job, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc = strake_registry_resolve(tag->place.instance, job, tag->place.repository, tag->ref.tag,
                                     &found, err);

    if (rc == 0 && strcmp(found.digest, digest) != 0) {
        rc = strake_fail(err, STRAKE_EREGISTRY,
                         "%s was put and confirmed, but the tag is at %s instead of %s", ref,
                         found.digest, digest);
        strake_err_hint(err, "somebody else moved it in this moment, or the registry does not keep "
                             "what it confirms");
    }
    return rc;
}

/* A PUT may have arrived although its answer did not: then the tag says so. */
static bool arrived_all_the_same(const struct tag_place *tag, const char *digest,
                                 struct strake_job *job)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_err ignored = { 0 };
    int rc = strake_registry_resolve(tag->place.instance, job, tag->place.repository, tag->ref.tag,
                                     &found, &ignored);

    strake_err_dispose(&ignored);
    return rc == 0 && strcmp(found.digest, digest) == 0;
}

void strake_manifest_kept_dispose(struct strake_manifest_kept *kept)
{
    strake_free(kept->repository);
    strake_free(kept->media_type);
    strake_buf_dispose(&kept->bytes);
    *kept = (struct strake_manifest_kept){ 0 };
}

/* `object`: a tag or a digest. */
static int keep_manifest(const struct strake_place_in_store *place, const char *object,
                         struct strake_manifest_kept *kept, struct strake_job *job,
                         struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc;

    strake_manifest_kept_dispose(kept);
    rc = strake_registry_manifest_get(place->instance, job, place->repository, object, &kept->bytes,
                                      &found, err);
    if (rc < 0)
        return rc;
    kept->instance = place->instance;
    kept->repository = strake_strdup(place->repository);
    kept->media_type = strake_strdup(found.media_type);
    memcpy(kept->digest, found.digest, STRAKE_DIGEST_TEXT - 1);
    return kept->repository && kept->media_type ? 0 : strake_fail_nomem(err);
}

static int fetch_manifest(const struct tag_place *tag, const char *digest,
                          struct strake_manifest_kept *kept, struct strake_job *job,
                          struct strake_err *err)
{
    if (kept->instance == tag->place.instance && kept->repository &&
        strcmp(kept->repository, tag->place.repository) == 0 && strcmp(kept->digest, digest) == 0)
        return 0;
    return keep_manifest(&tag->place, digest, kept, job, err);
}

int strake_tag_take(struct strake_stores *stores, const char *ref, struct strake_job *job,
                    struct strake_manifest_kept *kept, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open(stores, ref, &parsed, &place, err);

    if (rc == 0)
        rc = keep_manifest(&place, strake_reference_object(&parsed), kept, job, err);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}

static int put(const struct tag_place *tag, const struct strake_manifest_kept *kept,
               struct strake_job *job, struct strake_err *err)
{
    int rc = strake_registry_manifest_put(tag->place.instance, job, tag->place.repository,
                                          tag->ref.tag, kept->media_type,
                                          strake_buf_text(&kept->bytes), kept->bytes.len, err);

    if (rc < 0 && rc != STRAKE_ECANCELLED && arrived_all_the_same(tag, kept->digest, job)) {
        strake_err_dispose(err);
        rc = 0;
    }
    return rc;
}

int strake_tag_send(struct strake_stores *stores, const char *ref, const char *digest,
                    struct strake_manifest_kept *kept, struct strake_job *job,
                    struct strake_err *err)
{
    struct strake_manifest_kept own = { 0 };
    struct tag_place tag;
    int rc = tag_open(stores, ref, &tag, err);

    if (!kept)
        kept = &own;
    if (rc == 0)
        rc = fetch_manifest(&tag, digest, kept, job, err);
    if (rc == 0)
        rc = put(&tag, kept, job, err);
    strake_manifest_kept_dispose(&own);
    tag_close(&tag);
    return rc;
}

int strake_tag_read_back(struct strake_stores *stores, const char *ref, const char *digest,
                         struct strake_job *job, struct strake_err *err)
{
    struct tag_place tag;
    int rc = tag_open(stores, ref, &tag, err);

    if (rc == 0)
        rc = read_back(&tag, ref, digest, job, err);
    tag_close(&tag);
    return rc;
}

int strake_tag_put(struct strake_stores *stores, const char *ref, const char *digest,
                   struct strake_job *job, struct strake_err *err)
{
    int rc = strake_tag_send(stores, ref, digest, NULL, job, err);

    return rc < 0 ? rc : strake_tag_read_back(stores, ref, digest, job, err);
}

/* ---- taking a tag away ---- */

/* A manifest that no other tag can share: deleting it by digest takes only this tag along. */
static int dummy_manifest(const struct tag_place *tag, const char *ref, struct strake_job *job,
                          struct strake_buf *bytes, struct strake_err *err)
{
    static const char config[] = "{}";
    char digest[STRAKE_DIGEST_TEXT];
    int64_t now = strake_time_now_us();
    int rc = strake_digest_of(config, sizeof(config) - 1, digest, err);

    if (rc == 0)
        rc = strake_registry_blob_write(tag->place.instance, job, tag->place.repository, digest,
                                        config, sizeof(config) - 1, err);
    if (rc == 0)
        rc = strake_buf_printf(
            bytes,
            "{\"schemaVersion\":2,\"mediaType\":\"" STRAKE_MEDIA_OCI_MANIFEST "\","
            "\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"%s\","
            "\"size\":%zu},\"layers\":[],\"annotations\":{\"strake.untag\":\"%lld %s\"}}",
            digest, sizeof(config) - 1, (long long)now, ref);
    return rc;
}

/* Also after a cancellation, so with a job of its own: the tag shows the dummy until then. */
static void put_old_back(const char *ref, const char *dummy, const char *current,
                         struct strake_stores *stores, struct strake_job *job,
                         struct strake_err *err)
{
    const struct strake_move move = { .ref = (char *)ref,
                                      .from = (char *)current,
                                      .to = (char *)dummy };
    struct strake_job *own = strake_job_new(NULL, strake_job_bus(job), strake_job_target(job));
    struct strake_err undo = { 0 };
    char *line;

    if (own)
        strake_job_set_timeout(own, UNDO_MS);
    if (strake_move_undo(stores, &move, own ? own : job, &undo) < 0) {
        line = strake_asprintf("%s may be left at %s, an empty manifest: %s\n", ref, dummy,
                               strake_err_message(&undo));
        if (line)
            strake_err_detail(err, line, strlen(line));
        strake_free(line);
    }
    strake_job_free(own);
    strake_err_dispose(&undo);
}

static int untag_by_dummy(const struct tag_place *tag, const char *ref, const char *current,
                          struct strake_stores *stores, struct strake_job *job,
                          struct strake_err *err)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    char digest[STRAKE_DIGEST_TEXT];
    int rc = dummy_manifest(tag, ref, job, &bytes, err);

    if (rc == 0)
        rc = strake_digest_of(strake_buf_text(&bytes), bytes.len, digest, err);
    if (rc == 0) {
        rc = strake_registry_manifest_put(tag->place.instance, job, tag->place.repository,
                                          tag->ref.tag, STRAKE_MEDIA_OCI_MANIFEST,
                                          strake_buf_text(&bytes), bytes.len, err);
        if (rc == 0)
            rc = strake_registry_manifest_delete(tag->place.instance, job, tag->place.repository,
                                                 digest, err);
        if (rc < 0) /* the put may have arrived, although its answer did not */
            put_old_back(ref, digest, current, stores, job, err);
    }
    strake_buf_dispose(&bytes);
    return rc;
}

/* A registry that does not delete is none that is broken: it says what would have to be changed. */
static int refused(int rc, struct strake_err *err)
{
    if (rc != STRAKE_EUNSUPPORTED) /* of a registry, not of a builder */
        return rc;
    strake_err_hint(err, "deletion is switched off there: whoever runs the registry can allow it "
                         "(distribution: storage.delete.enabled), or remove it in its own way");
    return strake_err_recode(err, STRAKE_EREGISTRY);
}

int strake_tag_delete(struct strake_stores *stores, const char *ref, struct strake_job *job,
                      struct strake_err *err)
{
    char current[STRAKE_DIGEST_TEXT];
    struct tag_place tag;
    int rc = strake_tag_resolve(stores, ref, job, current, NULL, err);

    if (rc < 0 || !current[0])
        return rc;
    rc = tag_open(stores, ref, &tag, err);
    if (rc == 0)
        rc = strake_registry_manifest_delete(tag.place.instance, job, tag.place.repository,
                                             tag.ref.tag, err);
    if (rc == STRAKE_EUNSUPPORTED) {
        strake_err_dispose(err);
        rc = untag_by_dummy(&tag, ref, current, stores, job, err);
    }
    rc = refused(rc, err);
    if (rc < 0)
        strake_err_prefix(err, "the tag %s cannot be taken away: ", ref);
    tag_close(&tag);
    return rc;
}

/* "Not found" may mean "not visible with these credentials": only what cannot be read is gone. */
static int gone_or_failed(const struct strake_place_in_store *place, const char *digest,
                          struct strake_job *job, struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_err ignored = { 0 };
    int rc =
        strake_registry_resolve(place->instance, job, place->repository, digest, &found, &ignored);

    strake_err_dispose(&ignored);
    if (rc != STRAKE_ENOTFOUND)
        return STRAKE_ENOTFOUND;
    strake_err_dispose(err);
    return 0;
}

int strake_manifest_delete(struct strake_stores *stores, const char *repository, const char *digest,
                           struct strake_job *job, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open(stores, repository, &ref, &place, err);

    if (rc == 0)
        rc = strake_registry_manifest_delete(place.instance, job, place.repository, digest, err);
    if (rc == STRAKE_ENOTFOUND)
        rc = gone_or_failed(&place, digest, job, err);
    rc = refused(rc, err);
    if (rc < 0)
        strake_err_prefix(err, "%s@%s cannot be deleted: ", repository, digest);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}
