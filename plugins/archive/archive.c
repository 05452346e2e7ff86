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

static int archive_resolve(void *self, struct strake_job *job, const char *repository,
                           const char *reference, struct strake_descriptor *out,
                           struct strake_err *err)
{
    const struct archive *archive = self;

    (void)job;
    (void)repository;
    if (strncmp(reference, "sha256:", 7) == 0 && strcmp(reference, archive->digest) != 0)
        return archive->host->fail(err, STRAKE_ENOTFOUND, "%s has no image %.80s",
                                   archive->options.path, reference);
    (void)plug_copy(out->digest, sizeof(out->digest), archive->digest);
    (void)plug_copy(out->media_type, sizeof(out->media_type), DOCKER_MANIFEST);
    out->size_bytes = (int64_t)strlen(archive->manifest);
    return 0;
}

static int archive_manifest_get(void *self, struct strake_job *job, const char *repository,
                                const char *reference, struct strake_buf *bytes,
                                struct strake_descriptor *out, struct strake_err *err)
{
    const struct archive *archive = self;
    int rc = archive_resolve(self, job, repository, reference, out, err);

    if (rc == 0 &&
        archive->host->buf_append(bytes, archive->manifest, strlen(archive->manifest)) < 0)
        rc = plug_fail_nomem(archive->host, err);
    return rc;
}

/* RepoTags are whole references: what stands behind the last colon. */
static int archive_tags(void *self, struct strake_job *job, const char *repository,
                        int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err)
{
    const struct archive *archive = self;
    int rc = 0;

    (void)job;
    (void)repository;
    (void)err;
    for (size_t i = 0; rc == 0 && i < json_array_size(archive->tags); i++) {
        const char *name = json_string_value(json_array_get(archive->tags, i));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && !strchr(colon, '/'))
            rc = each(ctx, colon + 1);
    }
    return rc;
}

static const struct archive_member *find_blob(const struct archive *archive, const char *digest,
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
    const struct archive_member *member = find_blob(self, digest, err);

    (void)job;
    (void)repository;
    *size_bytes = member ? member->size_bytes : -1;
    return member ? 0 : STRAKE_ENOTFOUND;
}

static int check_job(const struct archive *archive, const struct strake_job *job,
                     struct strake_err *err)
{
    if (job && archive->host->job_cancelled(job))
        return archive->host->fail(err, STRAKE_ECANCELLED, "cancelled");
    if (job && archive->host->job_remaining_ms(job) == 0)
        return archive->host->fail(err, STRAKE_ETIMEOUT, "the time given for this has passed");
    return 0;
}

static int archive_blob_get(void *self, struct strake_job *job, const char *repository,
                            const char *digest, int64_t offset,
                            int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                            struct strake_err *err)
{
    const struct archive *archive = self;
    const struct archive_member *member = find_blob(archive, digest, err);
    char *chunk = member ? malloc(CHUNK) : NULL;
    int rc = chunk ? 0 : member ? plug_fail_nomem(archive->host, err) : STRAKE_ENOTFOUND;

    (void)repository;
    while (rc == 0 && offset < member->size_bytes) {
        int64_t left = member->size_bytes - offset;
        size_t n = left < (int64_t)CHUNK ? (size_t)left : CHUNK;
        rc = archive_pread(archive, chunk, n, member->offset + offset, err);
        if (rc == 0)
            rc = sink(ctx, chunk, n);
        if (rc == 0)
            rc = check_job(archive, job, err);
        offset += (int64_t)n;
    }
    free(chunk);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int not_written(const struct archive *archive, struct strake_err *err)
{
    archive->host->fail(err, STRAKE_EUSAGE, "%s: docker archives are only read",
                        archive->options.path);
    archive->host->err_hint(err, "write an OCI layout instead: oci:DIR");
    return STRAKE_EUSAGE;
}

static int archive_manifest_put(void *self, struct strake_job *job, const char *repository,
                                const char *reference, const char *media_type, const void *data,
                                size_t len, struct strake_descriptor *out, struct strake_err *err)
{
    (void)job;
    (void)repository;
    (void)reference;
    (void)media_type;
    (void)data;
    (void)len;
    (void)out;
    return not_written(self, err);
}

static int archive_blob_put(void *self, struct strake_job *job, const char *repository,
                            const char *digest, int64_t size_bytes,
                            int64_t (*source)(void *ctx, void *data, size_t cap),
                            int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    (void)job;
    (void)repository;
    (void)digest;
    (void)size_bytes;
    (void)source;
    (void)rewind;
    (void)ctx;
    return not_written(self, err);
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static void archive_close(void *self)
{
    struct archive *archive = self;

    if (!archive)
        return;
    if (archive->fd >= 0)
        close(archive->fd);
    plug_options_dispose(option_table, &archive->options);
    json_decref(archive->tags);
    free(archive->manifest);
    free(archive->members);
    free(archive->blobs);
    free(archive);
}

static int open_file(struct archive *archive, struct strake_err *err)
{
    /* A pipe in the place of a file must not hold us. */
    archive->fd = open(archive->options.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (archive->fd >= 0)
        return 0;
    return archive->host->fail(err, errno == ENOENT ? STRAKE_ENOTFOUND : STRAKE_EIO,
                               "%s cannot be read: %s", archive->options.path, strerror(errno));
}

static int archive_open(const struct strake_host *host, const char *options, void **self,
                        struct strake_err *err)
{
    struct archive *archive = calloc(1, sizeof(*archive));
    int rc;

    if (!archive)
        return plug_fail_nomem(host, err);
    archive->host = host;
    archive->fd = -1;
    rc = plug_options_read(host, "archive", option_table, options, &archive->options, err);
    if (rc == 0)
        rc = open_file(archive, err);
    if (rc == 0)
        rc = archive_members_read(archive, err);
    if (rc == 0)
        rc = archive_image_make(archive, err);
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
    .summary = "reads an image out of what docker save wrote",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
