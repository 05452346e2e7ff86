/* Checked calls into registry/1: what comes back is hashed here, whoever sent it. */
#include <stdlib.h>
#include <string.h>

#include "image/reference.h"
#include "plugin/instance_impl.h"
#include "util/json.h"

static void descriptor_end(struct strake_descriptor *descriptor)
{
    descriptor->digest[sizeof(descriptor->digest) - 1] = '\0';
    descriptor->media_type[sizeof(descriptor->media_type) - 1] = '\0';
}

static int check_descriptor(const struct strake_instance *registry,
                            struct strake_descriptor *descriptor, struct strake_err *err)
{
    descriptor_end(descriptor);
    if (strake_digest_valid(descriptor->digest))
        return 0;
    return strake_fail(err, STRAKE_EREGISTRY, "%s named a digest that is none: %s", registry->name,
                       descriptor->digest);
}

int strake_registry_resolve(struct strake_instance *registry, struct strake_job *job,
                            const char *repository, const char *reference,
                            struct strake_descriptor *out, struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    *out = (struct strake_descriptor){ .size = sizeof(*out), .size_bytes = -1 };
    rc = registry->as.registry.resolve(registry->self, job, repository, reference, out, err);
    rc = strake_instance_told(registry, "resolve", rc, err);
    return rc < 0 ? rc : check_descriptor(registry, out, err);
}

int strake_registry_manifest_get(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 struct strake_buf *bytes, struct strake_descriptor *out,
                                 struct strake_err *err)
{
    char digest[STRAKE_DIGEST_TEXT];
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    if (bytes->max == 0 || bytes->max > STRAKE_MANIFEST_MAX)
        bytes->max = STRAKE_MANIFEST_MAX;
    *out = (struct strake_descriptor){ .size = sizeof(*out), .size_bytes = -1 };
    rc = registry->as.registry.manifest_get(registry->self, job, repository, reference, bytes, out,
                                            err);
    rc = strake_instance_told(registry, "manifest_get", rc, err);
    if (rc < 0)
        return rc;
    descriptor_end(out);
    rc = strake_digest_of(strake_buf_text(bytes), bytes->len, digest, err);
    if (rc < 0)
        return rc;
    if (strake_digest_valid(reference) && strcmp(reference, digest) != 0) {
        strake_fail(err, STRAKE_ECORRUPT, "%s sent other bytes than %s@%s names: their digest is %s",
                    registry->name, repository, reference, digest);
        strake_err_hint(err, "the registry or something on the way to it is damaged; nothing was used");
        return STRAKE_ECORRUPT;
    }
    memcpy(out->digest, digest, sizeof(digest));
    out->size_bytes = (int64_t)bytes->len;
    return 0;
}

int strake_registry_manifest_put(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 const char *media_type, const void *data, size_t len,
                                 struct strake_err *err)
{
    struct strake_descriptor answered = { .size = sizeof(answered) };
    char digest[STRAKE_DIGEST_TEXT];
    int rc = strake_job_check(job, err);

    if (rc == 0)
        rc = strake_digest_of(data, len, digest, err);
    if (rc < 0)
        return rc;
    rc = registry->as.registry.manifest_put(registry->self, job, repository, reference, media_type,
                                            data, len, &answered, err);
    rc = strake_instance_told(registry, "manifest_put", rc, err);
    if (rc < 0)
        return rc;
    descriptor_end(&answered);
    if (answered.digest[0] && strcmp(answered.digest, digest) != 0)
        return strake_fail(err, STRAKE_ECORRUPT, "%s took %s:%s as %s, but its digest is %s",
                           registry->name, repository, reference, answered.digest, digest);
    return 0;
}

/* ---- tags ---- */

#define TAGS_MAX 100000

struct collecting {
    struct strake_strings *tags;
    struct strake_instance *registry;
    struct strake_err *err;
};

static int compare_tags(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int collect_tag(void *ctx, const char *tag)
{
    struct collecting *collecting = ctx;

    if (!strake_tag_valid(tag))
        return 0; /* nothing that could ever be asked for */
    if (collecting->tags->count >= TAGS_MAX)
        return strake_fail(collecting->err, STRAKE_ETOOBIG, "%s lists more than %d tags",
                           collecting->registry->name, TAGS_MAX);
    return strake_strings_add(collecting->tags, tag);
}

/* A page may repeat what another had. */
static void drop_repeats(struct strake_strings *tags)
{
    size_t kept = 0;

    if (tags->count == 0)
        return;
    qsort(tags->items, tags->count, sizeof(*tags->items), compare_tags);
    for (size_t i = 0; i < tags->count; i++) {
        if (kept && strcmp(tags->items[kept - 1], tags->items[i]) == 0)
            strake_free(tags->items[i]);
        else
            tags->items[kept++] = tags->items[i];
    }
    tags->count = kept;
    tags->items[kept] = NULL;
}

int strake_registry_tags(struct strake_instance *registry, struct strake_job *job,
                         const char *repository, struct strake_strings *tags,
                         struct strake_err *err)
{
    struct strake_err inner = { 0 };
    struct collecting collecting = { .tags = tags, .registry = registry, .err = &inner };
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    rc = registry->as.registry.tags(registry->self, job, repository, collect_tag, &collecting, err);
    if (rc < 0 && inner.code)
        strake_err_move(err, &inner);
    strake_err_dispose(&inner);
    rc = strake_instance_told(registry, "tags", rc, err);
    if (rc == 0)
        drop_repeats(tags);
    return rc;
}

/* ---- blobs ---- */

int strake_registry_blob_stat(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, int64_t *size_bytes,
                              struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    *size_bytes = -1;
    rc = registry->as.registry.blob_stat(registry->self, job, repository, digest, size_bytes, err);
    return strake_instance_told(registry, "blob_stat", rc, err);
}

static int append_part(void *ctx, const char *data, size_t len)
{
    return strake_buf_append(ctx, data, len);
}

int strake_registry_blob_read(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, size_t max_bytes,
                              struct strake_buf *bytes, struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    bytes->max = max_bytes;
    rc = registry->as.registry.blob_get(registry->self, job, repository, digest, 0, append_part,
                                        bytes, err);
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(err, rc, "%s: the blob %s of %s is larger than %zu bytes", registry->name,
                           digest, repository, max_bytes);
    rc = strake_instance_told(registry, "blob_get", rc, err);
    return rc < 0 ? rc : strake_digest_verify(digest, strake_buf_text(bytes), bytes->len,
                                              registry->name, err);
}

/* A blob in memory, as a source for blob_put(). */
struct memory {
    const char *data;
    size_t len, at;
};

static int64_t memory_read(void *ctx, void *data, size_t cap)
{
    struct memory *memory = ctx;
    size_t n = memory->len - memory->at < cap ? memory->len - memory->at : cap;

    memcpy(data, memory->data + memory->at, n);
    memory->at += n;
    return (int64_t)n;
}

static int memory_rewind(void *ctx)
{
    ((struct memory *)ctx)->at = 0;
    return 0;
}

int strake_registry_blob_write(struct strake_instance *registry, struct strake_job *job,
                               const char *repository, const char *digest, const void *data,
                               size_t len, struct strake_err *err)
{
    struct memory memory = { .data = data, .len = len };
    struct strake_err absent = { 0 };
    int64_t size;
    int rc = strake_registry_blob_stat(registry, job, repository, digest, &size, &absent);

    strake_err_dispose(&absent);
    if (rc == 0 || rc == STRAKE_ECANCELLED)
        return rc == 0 ? 0 : strake_job_check(job, err);
    rc = registry->as.registry.blob_put(registry->self, job, repository, digest, (int64_t)len,
                                        memory_read, memory_rewind, &memory, err);
    return strake_instance_told(registry, "blob_put", rc, err);
}

/* ---- the rest ---- */

int strake_registry_manifest_delete(struct strake_instance *registry, struct strake_job *job,
                                    const char *repository, const char *reference,
                                    struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    if (!registry->as.registry.manifest_delete)
        return strake_fail(err, STRAKE_EUNSUPPORTED, "%s cannot delete anything", registry->name);
    rc = registry->as.registry.manifest_delete(registry->self, job, repository, reference, err);
    return strake_instance_told(registry, "manifest_delete", rc, err);
}

int strake_registry_ping(struct strake_instance *registry, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    if (!registry->as.registry.ping)
        return 0;
    rc = registry->as.registry.ping(registry->self, job, detail, err);
    return strake_instance_told(registry, "ping", rc, err);
}
