/* The archive plugin: one image, whatever is asked for (archive.h says what is where). */
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)256 * 1024)
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

static const struct plug_option option_table[] = {
    PLUG_OPTION(struct archive_options, path, .kind = PLUG_STRING, .required = true),
    { .key = NULL },
};

/* ---- reading --------------------------------------------------------------------------------- */

static int describe(void *self, struct strake_job *job, const char *repository,
                    const char *reference, struct strake_descriptor *out, struct strake_err *err)
{
    const struct archive *archive = self;

    (void)job;
    (void)repository;
    if (!archive->manifest)
        return archive->host->fail(err, STRAKE_ENOTFOUND, "there is no file %s",
                                   archive->options.path);
    if (strncmp(reference, "sha256:", 7) == 0 && strcmp(reference, archive->digest) != 0)
        return archive->host->fail(err, STRAKE_ENOTFOUND, "%s has no image %.80s",
                                   archive->options.path, reference);
    (void)plug_copy(out->digest, sizeof(out->digest), archive->digest);
    (void)plug_copy(out->media_type, sizeof(out->media_type), DOCKER_MANIFEST);
    out->size_bytes = (int64_t)strlen(archive->manifest);
    return 0;
}

static int archive_resolve(void *self, struct strake_job *job, const char *repository,
                           const char *reference, struct strake_descriptor *out,
                           struct strake_err *err)
{
    struct archive *archive = self;
    int rc;

    pthread_rwlock_rdlock(&archive->lock);
    rc = describe(self, job, repository, reference, out, err);
    pthread_rwlock_unlock(&archive->lock);
    return rc;
}

static int archive_manifest_get(void *self, struct strake_job *job, const char *repository,
                                const char *reference, struct strake_buf *bytes,
                                struct strake_descriptor *out, struct strake_err *err)
{
    struct archive *archive = self;
    int rc;

    pthread_rwlock_rdlock(&archive->lock);
    rc = describe(self, job, repository, reference, out, err);
    if (rc == 0 &&
        archive->host->buf_append(bytes, archive->manifest, strlen(archive->manifest)) < 0)
        rc = plug_fail_nomem(archive->host, err);
    pthread_rwlock_unlock(&archive->lock);
    return rc;
}

/* RepoTags are whole references: what stands behind the last colon. */
static int archive_tags(void *self, struct strake_job *job, const char *repository,
                        int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err)
{
    struct archive *archive = self;
    int rc = 0;

    (void)job;
    (void)repository;
    (void)err;
    pthread_rwlock_rdlock(&archive->lock);
    for (size_t i = 0; rc == 0 && i < json_array_size(archive->tags); i++) {
        const char *name = json_string_value(json_array_get(archive->tags, i));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && !strchr(colon, '/'))
            rc = each(ctx, colon + 1);
    }
    pthread_rwlock_unlock(&archive->lock);
    return rc;
}

const struct archive_member *archive_blob_find(const struct archive *archive, const char *digest,
                                               struct strake_err *err)
{
    for (size_t i = 0; i < archive->blob_count; i++) {
        if (strcmp(archive->blobs[i].digest, digest) == 0)
            return archive->blobs[i].member;
    }
    archive->host->fail(err, STRAKE_ENOTFOUND, "%s has no blob %.80s", archive->options.path,
                        digest);
    return NULL;
}

static int archive_blob_stat(void *self, struct strake_job *job, const char *repository,
                             const char *digest, int64_t *size_bytes, struct strake_err *err)
{
    struct archive *archive = self;
    const struct archive_member *member;

    (void)job;
    (void)repository;
    pthread_rwlock_rdlock(&archive->lock);
    member = archive_blob_find(archive, digest, err);
    *size_bytes = member ? member->size_bytes : -1;
    pthread_rwlock_unlock(&archive->lock);
    return member ? 0 : STRAKE_ENOTFOUND;
}

int archive_check_job(const struct archive *archive, const struct strake_job *job,
                      struct strake_err *err)
{
    if (job && archive->host->job_cancelled(job))
        return archive->host->fail(err, STRAKE_ECANCELLED, "cancelled");
    if (job && archive->host->job_remaining_ms(job) == 0)
        return archive->host->fail(err, STRAKE_ETIMEOUT, "the time given for this has passed");
    return 0;
}

static int give(const struct archive *archive, struct strake_job *job, const char *digest,
                int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                struct strake_err *err)
{
    const struct archive_member *member = archive_blob_find(archive, digest, err);
    char *chunk = member ? malloc(CHUNK) : NULL;
    int rc = chunk ? 0 : member ? plug_fail_nomem(archive->host, err) : STRAKE_ENOTFOUND;

    while (rc == 0 && offset < member->size_bytes) {
        int64_t left = member->size_bytes - offset;
        size_t n = left < (int64_t)CHUNK ? (size_t)left : CHUNK;
        rc = archive_pread(archive, chunk, n, member->offset + offset, err);
        if (rc == 0)
            rc = sink(ctx, chunk, n);
        if (rc == 0)
            rc = archive_check_job(archive, job, err);
        offset += (int64_t)n;
    }
    free(chunk);
    return rc;
}

static int archive_blob_get(void *self, struct strake_job *job, const char *repository,
                            const char *digest, int64_t offset,
                            int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                            struct strake_err *err)
{
    struct archive *archive = self;
    int rc;

    (void)repository;
    pthread_rwlock_rdlock(&archive->lock);
    rc = give(archive, job, digest, offset, sink, ctx, err);
    pthread_rwlock_unlock(&archive->lock);
    return rc;
}

/* ---- opening and writing --------------------------------------------------------------------- */

static void forget(struct archive *archive)
{
    if (archive->fd >= 0)
        close(archive->fd);
    archive->fd = -1;
    json_decref(archive->tags);
    free(archive->manifest);
    free(archive->members);
    free(archive->blobs);
    archive->tags = NULL;
    archive->manifest = NULL;
    archive->members = NULL;
    archive->blobs = NULL;
    archive->member_count = archive->blob_count = 0;
}

/* A file that is not there yet may be written. */
static int load(struct archive *archive, struct strake_err *err)
{
    int rc;

    /* A pipe in the place of a file must not hold us. */
    archive->fd = open(archive->options.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (archive->fd < 0 && errno == ENOENT)
        return 0;
    if (archive->fd < 0)
        return archive->host->fail(err, STRAKE_EIO, "%s cannot be read: %s", archive->options.path,
                                   strerror(errno));
    rc = archive_members_read(archive, err);
    return rc < 0 ? rc : archive_image_make(archive, err);
}

static int archive_manifest_put(void *self, struct strake_job *job, const char *repository,
                                const char *reference, const char *media_type, const void *data,
                                size_t len, struct strake_descriptor *out, struct strake_err *err)
{
    struct archive *archive = self;
    int rc = 0;

    (void)repository;
    if (archive->host->digest(data, len, out->digest) < 0)
        return plug_fail_nomem(archive->host, err);
    (void)plug_copy(out->media_type, sizeof(out->media_type), media_type);
    out->size_bytes = (int64_t)len;
    if (strncmp(reference, "sha256:", 7) == 0)
        return 0; /* a part of an index, which will be refused */
    pthread_mutex_lock(&archive->writing);
    pthread_rwlock_wrlock(&archive->lock);
    rc = archive_write(archive, job, reference, data, len, err);
    if (rc == 0) {
        forget(archive);
        rc = load(archive, err);
    }
    pthread_rwlock_unlock(&archive->lock);
    pthread_mutex_unlock(&archive->writing);
    return rc;
}

static int archive_blob_put(void *self, struct strake_job *job, const char *repository,
                            const char *digest, int64_t size_bytes,
                            int64_t (*source)(void *ctx, void *data, size_t cap),
                            int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    struct archive *archive = self;
    int rc;

    (void)repository;
    (void)rewind;
    pthread_mutex_lock(&archive->writing);
    rc = archive_blob_write(archive, job, digest, size_bytes, source, ctx, err);
    pthread_mutex_unlock(&archive->writing);
    return rc;
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static void archive_close(void *self)
{
    struct archive *archive = self;

    if (!archive)
        return;
    archive_draft_drop(archive);
    forget(archive);
    plug_options_dispose(option_table, &archive->options);
    pthread_rwlock_destroy(&archive->lock);
    pthread_mutex_destroy(&archive->writing);
    free(archive);
}

static int archive_open(const struct strake_host *host, const char *options, void **self,
                        struct strake_err *err)
{
    struct archive *archive = calloc(1, sizeof(*archive));
    int rc;

    if (!archive)
        return plug_fail_nomem(host, err);
    archive->host = host;
    archive->fd = archive->draft.fd = -1;
    pthread_mutex_init(&archive->writing, NULL);
    pthread_rwlock_init(&archive->lock, NULL);
    rc = plug_options_read(host, "archive", option_table, options, &archive->options, err);
    if (rc == 0)
        rc = load(archive, err);
    if (rc < 0)
        archive_close(archive);
    else
        *self = archive;
    return rc;
}

static const struct strake_registry_v1 registry = {
    .size = sizeof(registry),
    .resolve = archive_resolve,
    .manifest_get = archive_manifest_get,
    .manifest_put = archive_manifest_put,
    .tags = archive_tags,
    .blob_stat = archive_blob_stat,
    .blob_get = archive_blob_get,
    .blob_put = archive_blob_put,
};

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "archive",
    .version = STRAKE_VERSION,
    .open = archive_open,
    .close = archive_close,
    .interfaces = (const struct strake_interface[]){ { "registry/1", &registry }, { NULL, NULL } },
    .summary = "one image in a file, as docker save writes it",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
