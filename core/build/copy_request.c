/* `image copy`: which stores, what the copy is called there, and what came of it. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "build/copy.h"
#include "image/manifest.h"
#include "util/json.h"
#include "util/time.h"

/* Both ends of a copy. */
struct ends {
    struct strake_reference from_ref, to_ref;
    struct strake_place_in_store from, to;
    char *repository; /* the destination without its tag */
    char *ref;        /* the tag that shall show it; NULL: none */
};

static void ends_close(struct ends *ends)
{
    strake_place_in_store_dispose(&ends->from);
    strake_place_in_store_dispose(&ends->to);
    strake_reference_dispose(&ends->from_ref);
    strake_reference_dispose(&ends->to_ref);
    strake_free(ends->repository);
    strake_free(ends->ref);
}

/* The journal is settled by another command, maybe from another folder: a layout's path is absolute
 * in it. */
static char *whole_name(const struct strake_reference *ref)
{
    char folder[PATH_MAX];

    if (ref->store != STRAKE_STORE_LAYOUT || ref->repository[0] == '/')
        return strake_strdup(ref->name);
    if (!getcwd(folder, sizeof(folder)))
        return NULL;
    return strake_asprintf("oci:%s/%s", folder, ref->repository);
}

/* A destination without tag takes the source's. */
static int name_destination(struct ends *ends, struct strake_err *err)
{
    const struct strake_reference *to = &ends->to_ref, *from = &ends->from_ref;
    const char *tag = to->tag[0]                                                   ? to->tag
                      : from->tag[0] && from->store != STRAKE_STORE_DOCKER_ARCHIVE ? from->tag
                                                                                   : "latest";

    ends->repository = whole_name(to);
    if (!ends->repository)
        return strake_fail_nomem(err);
    if (to->store == STRAKE_STORE_DOCKER_ARCHIVE || (to->digest[0] && !to->tag[0]))
        return 0;
    ends->ref = strake_asprintf("%s:%s", ends->repository, tag);
    return ends->ref ? 0 : strake_fail_nomem(err);
}

static int ends_open(struct strake_stores *stores, const struct strake_copy_request *request,
                     struct ends *ends, struct strake_err *err)
{
    int rc = strake_stores_open_to_read(stores, request->source, &ends->from_ref, &ends->from, err);

    if (rc == 0)
        rc = strake_stores_open(stores, request->destination, &ends->to_ref, &ends->to, err);
    if (rc == 0)
        rc = name_destination(ends, err);
    return rc;
}

static json_t *text_or_false(const char *text)
{
    return text ? json_string(text) : json_false();
}

/* ---- looking ---- */

int strake_copy_look(struct strake_stores *stores, const struct strake_copy_request *request,
                     struct strake_job *job, json_t **out, struct strake_err *err)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct ends ends = { 0 };
    char digest[STRAKE_DIGEST_TEXT] = "", source[STRAKE_DIGEST_TEXT] = "";
    char *media_type = NULL, *pinned = NULL;
    json_t *doc = json_object();
    int rc = doc ? ends_open(stores, request, &ends, err) : strake_fail_nomem(err);

    if (rc == 0)
        rc = strake_copy_choose(&ends.from, strake_reference_object(&ends.from_ref),
                                request->platforms, job, &bytes, &media_type, digest, source, err);
    if (rc == 0) {
        pinned = ends.from_ref.store == STRAKE_STORE_DOCKER_ARCHIVE
                     ? strake_strdup(request->source)
                     : strake_asprintf("%s@%s", ends.from_ref.name, source);
        if (!pinned || strake_json_set_str(doc, "digest", digest) < 0 ||
            strake_json_set_str(doc, "source", pinned) < 0 ||
            strake_json_set_str(doc, "repository", ends.repository) < 0 ||
            strake_json_set(doc, "ref", text_or_false(ends.ref)) < 0)
            rc = strake_fail_nomem(err);
    }
    if (rc == 0)
        *out = json_incref(doc);
    json_decref(doc);
    strake_free(pinned);
    strake_free(media_type);
    strake_buf_dispose(&bytes);
    ends_close(&ends);
    return rc;
}

/* ---- copying ---- */

static json_t *document(const struct strake_copy_report *report, const struct ends *ends,
                        int64_t duration_ms)
{
    json_t *doc = json_object(), *blobs = json_object();

    if (!doc || !blobs || strake_json_set_int(blobs, "copied", report->copied) < 0 ||
        strake_json_set_int(blobs, "mounted", report->mounted) < 0 ||
        strake_json_set_int(blobs, "present", report->present) < 0 ||
        strake_json_set_str(doc, "digest", report->digest) < 0 ||
        strake_json_set_str(doc, "source_digest", report->source) < 0 ||
        strake_json_set_str(doc, "repository", ends->repository) < 0 ||
        strake_json_set(doc, "ref", text_or_false(ends->ref)) < 0 ||
        json_object_set(doc, "blobs", blobs) < 0 ||
        strake_json_set_int(doc, "copied_bytes", report->copied_bytes) < 0 ||
        strake_json_set_int(doc, "referrers", report->referrers) < 0 ||
        strake_json_set_int(doc, "duration_ms", duration_ms) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    json_decref(blobs);
    return doc;
}

/* What an archive calls the image: docker load gives it this name. "latest" for none. */
static char *name_in_archive(const struct ends *ends)
{
    const struct strake_reference *from = &ends->from_ref;

    if (from->store != STRAKE_STORE_REGISTRY || (from->digest[0] && !from->tag[0]))
        return strake_strdup("latest");
    return strake_asprintf("%s:%s", from->name, from->tag[0] ? from->tag : "latest");
}

static int refuse_other_digest(const struct strake_copy_request *request, const struct ends *ends,
                               const char *digest, struct strake_err *err)
{
    if (!ends->to_ref.digest[0] || strcmp(ends->to_ref.digest, digest) == 0)
        return 0;
    strake_fail(err, STRAKE_EUSAGE, "%s is %s: it cannot be copied to %s", request->source, digest,
                request->destination);
    strake_err_hint(err, "leave the digest away, or name a tag");
    return STRAKE_EUSAGE;
}

/* A digest that was named is compared before anything is copied. */
static int check_wish(struct strake_stores *stores, const struct strake_copy_request *request,
                      const struct ends *ends, struct strake_job *job, struct strake_err *err)
{
    json_t *look = NULL;
    int rc = 0;

    if (!ends->to_ref.digest[0])
        return 0;
    rc = strake_copy_look(stores, request, job, &look, err);
    if (rc == 0)
        rc = refuse_other_digest(request, ends, strake_json_str(look, "digest"), err);
    json_decref(look);
    return rc;
}

int strake_copy_run(struct strake_stores *stores, const struct strake_copy_request *request,
                    struct strake_job *job, json_t **out, struct strake_err *err)
{
    const int64_t started = strake_time_mono_ms();
    struct strake_copy_report report = { 0 };
    struct strake_copy_options options = { .platforms = request->platforms,
                                           .referrers = request->referrers };
    struct ends ends = { 0 };
    char *archive = NULL, *name = NULL;
    int rc = ends_open(stores, request, &ends, err);

    if (rc == 0)
        rc = check_wish(stores, request, &ends, job, err);
    if (rc == 0) {
        const bool is_archive = ends.to_ref.store == STRAKE_STORE_DOCKER_ARCHIVE;
        archive = is_archive ? name_in_archive(&ends) : NULL;
        name = strake_asprintf("copying %s to %s", request->source, request->destination);
        if (!name || (is_archive && !archive))
            rc = strake_fail_nomem(err);
        options.archive = archive;
        options.name = name;
    }
    if (rc == 0)
        rc = strake_copy_image(&ends.from, strake_reference_object(&ends.from_ref), &ends.to,
                               &options, job, &report, err);
    if (rc == 0) {
        *out = document(&report, &ends, strake_time_mono_ms() - started);
        rc = *out ? 0 : strake_fail_nomem(err);
    }
    strake_copy_report_dispose(&report);
    strake_free(archive);
    strake_free(name);
    ends_close(&ends);
    return rc;
}
