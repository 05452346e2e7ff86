/* Blobs up: the bytes in one streamed PUT; or taken from another repository. */
#include <stdlib.h>

#include "upload.h"

/** Sessions for one blob: a session can get lost when its PUT was tried again. */
#define SESSIONS_MAX 3
#define SKIP ((size_t)64 * 1024)

int64_t oci_source_read(void *ctx, void *data, size_t cap)
{
    struct oci_source *source = ctx;
    int64_t got = source->read(source->ctx, data, cap);
    if (got > 0)
        source->at += got;
    return got;
}

int oci_source_rewind(void *ctx)
{
    struct oci_source *source = ctx;
    return oci_source_seek(source, source->start);
}

int oci_source_seek(struct oci_source *source, int64_t offset)
{
    if (offset < source->at) {
        int rc = source->rewind ? source->rewind(source->ctx) : STRAKE_EIO;
        if (rc < 0)
            return rc;
        source->at = 0;
    }
    char *unused = offset > source->at ? malloc(SKIP) : NULL;
    int rc = offset > source->at && !unused ? STRAKE_ENOMEM : 0;
    while (rc == 0 && source->at < offset) {
        int64_t left = offset - source->at;
        int64_t got = oci_source_read(source, unused, left < (int64_t)SKIP ? (size_t)left : SKIP);
        if (got <= 0)
            rc = got < 0 ? (int)got : STRAKE_EIO;
    }
    free(unused);
    source->start = offset;
    return rc;
}

/** What became of a PUT. */
enum outcome {
    FINAL,    /**< nothing else can be done */
    LOST,     /**< the session is no longer what it was: a new one may do better */
    IN_PIECES /**< a body of that size does not get through as a whole */
};

static enum outcome judge(const struct oci_call *call, bool large)
{
    /* Bytes of a broken try may be in the session, or it ended without our hearing of it. */
    bool lost =
        call->status == 404 || call->status == 416 || (call->status == 400 && call->retries > 0);
    bool may_pass = call->status == 408 || call->status == 429 || call->status >= 500;
    if (call->status == 413 || (large && (lost || may_pass)))
        return IN_PIECES;
    return lost ? LOST : FINAL;
}

/** Did it break in a way that another line or moment may not? */
static bool is_broken(const struct oci_upload *upload, int rc)
{
    /* A limit of time is for one request, and pieces have one each. */
    bool time_left = !upload->job || upload->oci->host->job_remaining_ms(upload->job) != 0;
    return rc == STRAKE_ENETWORK || (rc == STRAKE_ETIMEOUT && time_left);
}

/** Send all of the bytes at once. */
static int send(struct oci_upload *upload, struct oci_source *source, int64_t size_bytes,
                enum outcome *outcome)
{
    struct oci *oci = upload->oci;
    char *url = oci_session_final_url(upload);
    if (!url)
        return plug_fail_nomem(oci->host, upload->err);
    struct oci_call call = oci_upload_call(upload, "PUT", url);
    call.content_type = "application/octet-stream";
    call.body_len = (size_t)size_bytes;
    call.read = size_bytes > 0 ? oci_source_read : NULL;
    call.rewind = source->rewind ? oci_source_rewind : NULL;
    call.ctx = source;
    call.more_ms = size_bytes / OCI_SLOW_LINE;
    /* A large body that broke is not begun again: of pieces, what has arrived stays. */
    bool large = size_bytes > OCI_FIRST_CHUNK && source->rewind;
    call.idempotent = source->rewind && !large;
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    if (rc == 0 && !oci_session_is_done(&call)) {
        rc = oci_answer_fail(oci, &call, upload->err);
        *outcome = judge(&call, large);
    } else if (large && is_broken(upload, rc)) {
        oci->host->log(STRAKE_LOG_INFO, "%s: it broke off, going on in pieces: %s", upload->what,
                       oci->host->err_message(upload->err));
        *outcome = IN_PIECES;
    }
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

/** A session and its PUT, once. */
static int attempt(struct oci_upload *upload, struct oci_source *source, int64_t size_bytes,
                   enum outcome *outcome)
{
    int rc = oci_source_seek(source, 0);
    if (rc < 0)
        return upload->oci->host->fail(
            upload->err, rc, "%s: its bytes could not be read a second time", upload->what);
    rc = oci_session_open(upload);
    return rc < 0 ? rc : send(upload, source, size_bytes, outcome);
}

int oci_blob_put(void *self, struct strake_job *job, const char *repository, const char *digest,
                 int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                 int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    struct oci_upload upload = {
        .oci = self, .job = job, .repository = repository, .digest = digest, .err = err
    };
    struct oci_source from = { .read = source, .rewind = rewind, .ctx = ctx };
    enum outcome outcome = LOST;
    int rc = oci_upload_begin(&upload, NULL);
    bool begun = rc == 0;
    for (int sessions = 0; begun && outcome == LOST && sessions < SESSIONS_MAX; sessions++) {
        outcome = FINAL;
        rc = attempt(&upload, &from, size_bytes, &outcome);
    }
    if (outcome == IN_PIECES) {
        oci_session_drop(&upload);
        rc = oci_upload_chunks(&upload, &from, size_bytes);
    }
    if (rc < 0 && rc != STRAKE_ENETWORK && rc != STRAKE_ETIMEOUT)
        oci_session_drop(&upload);
    oci_upload_end(&upload);
    return rc;
}

/** POST uploads/?mount=DIGEST&from=REPOSITORY */
static char *mount_url(const struct oci_upload *upload, const char *from)
{
    struct plug_text query = { 0 };
    plug_text_add(&query, "uploads/?mount=");
    plug_url_escape(&query, upload->digest);
    plug_text_add(&query, "&from=");
    plug_url_escape(&query, from);
    char *rest = plug_text_take(&query);
    char *url = rest ? oci_url(upload->oci, upload->repository, "blobs", rest) : NULL;
    free(rest);
    return url;
}

int oci_blob_mount(void *self, struct strake_job *job, const char *repository, const char *digest,
                   const char *from, bool *mounted, struct strake_err *err)
{
    struct oci_upload upload = {
        .oci = self, .job = job, .repository = repository, .digest = digest, .err = err
    };
    *mounted = false;
    int rc = oci_check_name(upload.oci, from, NULL, err);
    if (rc == 0)
        rc = oci_upload_begin(&upload, from);
    if (rc < 0) {
        oci_upload_end(&upload);
        return rc;
    }
    char *url = mount_url(&upload, from);
    struct oci_call call = oci_upload_call(&upload, "POST", url);
    rc = url ? oci_call_run(upload.oci, job, &call, err) : plug_fail_nomem(upload.oci->host, err);
    int status = call.status;
    if (rc == 0 && status == 201) {
        *mounted = true;
    } else if (rc == 0 && status == 202) {
        rc = oci_session_keep(&upload, &call);
        oci_session_drop(&upload);
    } else if (rc == 0 && status != 400 && status != 404 && status != 405) {
        /* Those say that it knows of no mounting. */
        rc = oci_answer_fail(upload.oci, &call, err);
    }
    /* It may be the other repository that is not ours to read: the upload will show. */
    if (rc == STRAKE_EAUTH)
        rc = 0;
    oci_call_dispose(upload.oci, &call);
    free(url);
    oci_upload_end(&upload);
    return rc;
}
