/* Copying an image: the manifests of an index one after the other, each with the blobs that are
 * missing at the destination, then the index itself. */
#include "build/copy.h"

#include <string.h>

struct copy {
    const struct strake_place_in_store *from;
    const struct strake_place_in_store *to;
    struct strake_job *job;
    struct strake_copy_report *report;
    struct strake_err *err;
};

void strake_copy_report_dispose(struct strake_copy_report *report)
{
    strake_free(report->media_type);
    report->media_type = NULL;
}

static int copy_blob(struct copy *copy, const struct strake_content *blob)
{
    char how = 'c';
    int rc = strake_registry_blob_copy(copy->from->instance, copy->from->repository,
                                       copy->to->instance, copy->to->repository, copy->job,
                                       blob->digest, blob->size_bytes, &how, copy->err);

    if (rc < 0)
        return rc;
    if (how == 'p') {
        copy->report->present++;
    } else if (how == 'm') {
        copy->report->mounted++;
    } else {
        copy->report->copied++;
        copy->report->copied_bytes += blob->size_bytes;
    }
    return 0;
}

static int copy_manifest(struct copy *copy, const char *object, const char *tag);

/* What the manifest names has to be there before it: registries refuse it otherwise. */
static int copy_children(struct copy *copy, const struct strake_manifest *manifest)
{
    int rc = 0;

    if (manifest->index) {
        for (size_t i = 0; rc == 0 && i < manifest->count; i++)
            rc = copy_manifest(copy, manifest->items[i].digest, NULL);
        return rc;
    }
    rc = copy_blob(copy, &manifest->config);
    for (size_t i = 0; rc == 0 && i < manifest->count; i++)
        rc = copy_blob(copy, &manifest->items[i]);
    return rc;
}

/* A registry may answer 201 and keep nothing: only what is read back counts. Stores of this machine
 * have no repositories, and mean what they say. */
static int check_put(struct copy *copy, const char *reference, const char *digest)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_err *err = copy->err;
    int rc;

    if (copy->to->repository[0] == '\0')
        return 0;
    rc = strake_registry_resolve(copy->to->instance, copy->job, copy->to->repository, reference,
                                 &found, err);

    if (rc == STRAKE_ENOTFOUND)
        rc = strake_fail(err, STRAKE_EREGISTRY,
                         "%s took the manifest %s of %s, and now says that it is not there",
                         strake_instance_name(copy->to->instance), reference, copy->to->repository);
    else if (rc == 0 && strcmp(found.digest, digest) != 0)
        rc = strake_fail(err, STRAKE_EREGISTRY,
                         "%s was put and confirmed, but the tag %s of %s is at %s", digest,
                         reference, copy->to->repository, found.digest);
    if (rc == STRAKE_EREGISTRY)
        strake_err_hint(err, "somebody else moved or deleted it in this moment, or the registry "
                             "does not keep what it confirms");
    return rc;
}

/* Put under its digest, or under the tag, which names the digest too. */
static int copy_manifest(struct copy *copy, const char *object, const char *tag)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    int rc = strake_registry_manifest_get(copy->from->instance, copy->job, copy->from->repository,
                                          object, &bytes, &found, copy->err);

    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, found.media_type, object,
                                   &manifest, copy->err);
    if (rc == 0)
        rc = copy_children(copy, &manifest);
    if (rc == 0)
        rc = strake_registry_manifest_put(copy->to->instance, copy->job, copy->to->repository,
                                          tag ? tag : found.digest, manifest.media_type,
                                          strake_buf_text(&bytes), bytes.len, copy->err);
    if (rc == 0)
        rc = check_put(copy, tag ? tag : found.digest, found.digest);
    if (rc == 0) {
        memcpy(copy->report->digest, found.digest, STRAKE_DIGEST_TEXT - 1);
        strake_free(copy->report->media_type);
        copy->report->media_type = strake_strdup(manifest.media_type);
        if (!copy->report->media_type)
            rc = strake_fail_nomem(copy->err);
    }
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    return rc;
}

/* The digest of one platform's manifest in an index; `digest` stays as it is for a bare
 * manifest. */
static int pick_platform(struct copy *copy, const char *object, const char *platform, char *digest)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    int rc = strake_registry_manifest_get(copy->from->instance, copy->job, copy->from->repository,
                                          object, &bytes, &found, copy->err);

    digest[0] = '\0';
    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, found.media_type, object,
                                   &manifest, copy->err);
    if (rc < 0)
        goto out;
    if (!manifest.index) {
        memcpy(digest, found.digest, STRAKE_DIGEST_TEXT - 1);
        digest[STRAKE_DIGEST_TEXT - 1] = '\0';
        goto out;
    }
    for (size_t i = 0; i < manifest.count; i++) {
        if (!manifest.items[i].attestation && strcmp(manifest.items[i].platform, platform) == 0)
            memcpy(digest, manifest.items[i].digest, STRAKE_DIGEST_TEXT);
    }
    if (!digest[0]) {
        rc = strake_fail(copy->err, STRAKE_ENOTFOUND, "%s has no image for %s", object, platform);
        strake_err_hint(copy->err, "`strake image show` lists its platforms");
    }
out:
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    return rc;
}

int strake_copy_image(const struct strake_place_in_store *from, const char *object,
                      const struct strake_place_in_store *to, const char *tag, const char *platform,
                      struct strake_job *job, struct strake_copy_report *report,
                      struct strake_err *err)
{
    struct copy copy = { .from = from, .to = to, .job = job, .report = report, .err = err };
    char digest[STRAKE_DIGEST_TEXT];
    int rc = 0;

    *report = (struct strake_copy_report){ 0 };
    if (platform) {
        rc = pick_platform(&copy, object, platform, digest);
        object = digest;
    }
    return rc < 0 ? rc : copy_manifest(&copy, object, tag);
}
