/* The files below blobs/ (layout.h). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout.h"

#define CHUNK ((size_t)256 * 1024)

bool layout_is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == 71 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

char *layout_blob_name(const char *digest)
{
    return plug_format("blobs/sha256/%s", digest + 7);
}

/** The blob's file, opened. @return a descriptor, or negative. */
static int open_blob(const struct layout *layout, const char *digest, int64_t *size_bytes,
                     struct strake_err *err)
{
    if (!layout_is_digest(digest))
        return layout->host->fail(err, STRAKE_EUSAGE, "\"%.150s\" is not a digest", digest);
    char *name = layout_blob_name(digest);
    if (!name)
        return plug_fail_nomem(layout->host, err);
    int fd = layout_open_file(layout, name, size_bytes, err);
    free(name);
    return fd;
}

int layout_blob_stat(void *self, struct strake_job *job, const char *repository, const char *digest,
                     int64_t *size_bytes, struct strake_err *err)
{
    (void)job;
    (void)repository;
    int fd = open_blob(self, digest, size_bytes, err);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int layout_check_job(const struct layout *layout, const struct strake_job *job,
                     struct strake_err *err)
{
    if (job && layout->host->job_cancelled(job))
        return layout->host->fail(err, STRAKE_ECANCELLED, "cancelled");
    if (job && layout->host->job_remaining_ms(job) == 0)
        return layout->host->fail(err, STRAKE_ETIMEOUT, "the time given for this has passed");
    return 0;
}

int layout_blob_get(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                    struct strake_err *err)
{
    const struct layout *layout = self;
    (void)repository;
    int64_t size;
    int fd = open_blob(layout, digest, &size, err);
    if (fd < 0)
        return fd;
    char *chunk = malloc(CHUNK);
    int rc = chunk ? 0 : plug_fail_nomem(layout->host, err);
    while (rc == 0) {
        ssize_t got = pread(fd, chunk, CHUNK, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        if (got < 0)
            rc = layout->host->fail(err, STRAKE_EIO, "%s: blob %s cannot be read: %s",
                                    layout->options.path, digest, strerror(errno));
        else
            rc = sink(ctx, chunk, (size_t)got);
        offset += got;
        if (rc == 0)
            rc = layout_check_job(layout, job, err);
    }
    free(chunk);
    close(fd);
    return rc;
}

/** Bytes from the source into the draft, until it ends. */
static int fill(const struct layout *layout, struct strake_job *job, struct layout_draft *draft,
                int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap), void *ctx,
                struct strake_err *err)
{
    char *chunk = malloc(CHUNK);
    int64_t total = 0;
    int rc = chunk ? 0 : plug_fail_nomem(layout->host, err);
    while (rc == 0) {
        int64_t got = source(ctx, chunk, CHUNK);
        if (got == 0)
            break;
        if (got < 0) {
            rc = (int)got;
            if (layout->host->err_code(err) == 0)
                layout->host->fail(err, rc, "%s: what should be written could not be read",
                                   layout->options.path);
            break;
        }
        total += got;
        rc = layout_draft_write(layout, draft, chunk, (size_t)got, err);
        if (rc == 0)
            rc = layout_check_job(layout, job, err);
    }
    free(chunk);
    if (rc == 0 && total != size_bytes)
        rc = layout->host->fail(err, STRAKE_ECORRUPT,
                                "%s: a blob of %" PRId64 " bytes came with %" PRId64,
                                layout->options.path, size_bytes, total);
    return rc;
}

int layout_blob_put(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                    int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    const struct layout *layout = self;
    (void)repository;
    (void)rewind;
    if (!layout_is_digest(digest))
        return layout->host->fail(err, STRAKE_EUSAGE, "\"%.150s\" is not a digest", digest);
    char *name = layout_blob_name(digest);
    if (!name)
        return plug_fail_nomem(layout->host, err);
    struct layout_draft draft = { .fd = -1 };
    int rc = layout_make_folder(layout, err);
    if (rc == 0)
        rc = layout_draft_begin(layout, &draft, err);
    if (rc == 0)
        rc = fill(layout, job, &draft, size_bytes, source, ctx, err);
    if (rc == 0)
        rc = layout_draft_commit(layout, &draft, name, err);
    layout_draft_drop(&draft);
    free(name);
    return rc;
}
