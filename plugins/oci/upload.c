/* Blobs up: a session, the bytes in one streamed PUT; or taken from another repository. */
#include <stdlib.h>
#include <string.h>

#include "oci.h"

/** Sessions for one blob: a session can get lost when its PUT was tried again. */
#define SESSIONS_MAX 3
/** The least that is expected of a line, for limits of time: bytes per millisecond. */
#define SLOW_LINE 100
#define TIDY_MS 2000

/** One blob on its way up. */
struct upload {
    struct oci *oci;
    struct strake_job *job;
    const char *repository;
    const char *digest;
    char *what;
    char *scopes;
    char *session; /**< URL of the open session, or NULL */
    struct strake_err *err;
};

static int begin(struct upload *upload, const char *from)
{
    const struct oci *oci = upload->oci;
    int rc = oci_check_name(oci, upload->repository, upload->digest, upload->err);
    if (rc < 0)
        return rc;
    upload->what = plug_format("%s the blob %s/%s@%s", from ? "mounting" : "uploading",
                               oci_name(oci), upload->repository, upload->digest);
    char *own = oci_scope(upload->repository, "pull,push");
    char *other = from ? oci_scope(from, "pull") : NULL;
    if (own && other)
        upload->scopes = plug_format("%s %s", own, other);
    else if (own && !from)
        upload->scopes = strdup(own);
    free(own);
    free(other);
    return upload->what && upload->scopes ? 0 : plug_fail_nomem(oci->host, upload->err);
}

static void end(struct upload *upload)
{
    free(upload->what);
    free(upload->scopes);
    free(upload->session);
}

static struct oci_call call_of(const struct upload *upload, const char *method, const char *url)
{
    return (struct oci_call){
        .what = upload->what,
        .repository = upload->repository,
        .scopes = upload->scopes,
        .method = method,
        .url = url,
        .idempotent = true,
    };
}

/** The session that a 202 opened: its Location, which may be relative and lead to another host. */
static int keep_session(struct upload *upload, const struct oci_call *call)
{
    const struct oci *oci = upload->oci;
    char *location = plug_header_copy(oci_call_headers(oci, call), "location");
    char *url = location ? plug_url_join(call->url, location) : NULL;
    free(location);
    struct plug_url parts = { 0 };
    if (!url || plug_url_split(url, &parts) < 0) {
        free(url);
        return oci->host->fail(upload->err, STRAKE_EREGISTRY,
                               "%s: %s opened an upload without saying where it goes", upload->what,
                               oci_name(oci));
    }
    bool downgraded = oci->origin.https && !parts.https;
    plug_url_dispose(&parts);
    if (downgraded) {
        free(url);
        oci->host->fail(upload->err, STRAKE_EREGISTRY,
                        "%s: %s, asked over https, wants the upload over plain http", upload->what,
                        oci_name(oci));
        oci->host->err_hint(upload->err,
                            "a proxy in front of it must set X-Forwarded-Proto: https");
        return STRAKE_EREGISTRY;
    }
    free(upload->session);
    upload->session = url;
    return 0;
}

/** End a session that will not be used, so that nothing is left on the registry's disk. Without the
 *  job, which may be cancelled; whether it works is the registry's business alone. */
static void drop_session(struct upload *upload)
{
    struct oci *oci = upload->oci;
    struct strake_err *unheard = oci->host->err_new();
    if (!upload->session || !unheard) {
        oci->host->err_free(unheard);
        return;
    }
    struct oci_call call = call_of(upload, "DELETE", upload->session);
    call.idempotent = false;
    call.limit_ms = TIDY_MS;
    if (oci_call_run(oci, NULL, &call, unheard) < 0)
        oci->host->log(STRAKE_LOG_DEBUG, "%s: its upload was not ended: %s", upload->what,
                       oci->host->err_message(unheard));
    oci_call_dispose(oci, &call);
    oci->host->err_free(unheard);
    free(upload->session);
    upload->session = NULL;
}

static int open_session(struct upload *upload)
{
    struct oci *oci = upload->oci;
    char *url = oci_url(oci, upload->repository, "blobs", "uploads/");
    if (!url)
        return plug_fail_nomem(oci->host, upload->err);
    struct oci_call call = call_of(upload, "POST", url);
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    if (rc == 0 && call.status != 202)
        rc = oci_answer_fail(oci, &call, upload->err);
    if (rc == 0)
        rc = keep_session(upload, &call);
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

/** The session's URL with the digest that ends it; what its query holds already is kept. */
static char *final_url(const struct upload *upload)
{
    struct plug_text url = { 0 };
    plug_text_addf(&url, "%s%cdigest=", upload->session, strchr(upload->session, '?') ? '&' : '?');
    plug_url_escape(&url, upload->digest);
    return plug_text_take(&url);
}

/** The caller's bytes. */
struct source {
    int64_t (*read)(void *ctx, void *data, size_t cap);
    int (*rewind)(void *ctx);
    void *ctx;
    bool used;
};

static int64_t source_read(void *ctx, void *data, size_t cap)
{
    struct source *source = ctx;
    source->used = true;
    return source->read(source->ctx, data, cap);
}

static int source_rewind(void *ctx)
{
    struct source *source = ctx;
    source->used = false;
    return source->rewind(source->ctx);
}

/** Send the bytes. *lost: the session is no longer what it was, a new one may do better. */
static int send(struct upload *upload, struct source *source, int64_t size_bytes, bool *lost)
{
    struct oci *oci = upload->oci;
    char *url = final_url(upload);
    if (!url)
        return plug_fail_nomem(oci->host, upload->err);
    struct oci_call call = call_of(upload, "PUT", url);
    call.content_type = "application/octet-stream";
    call.body_len = (size_t)size_bytes;
    call.read = size_bytes > 0 ? source_read : NULL;
    call.rewind = source->rewind ? source_rewind : NULL;
    call.ctx = source;
    call.more_ms = size_bytes / SLOW_LINE;
    call.idempotent = source->rewind != NULL;
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    if (rc == 0 && call.status != 201 && call.status != 200 && call.status != 204) {
        rc = oci_answer_fail(oci, &call, upload->err);
        /* Bytes of a broken try may be in it, or it ended without our hearing of it. */
        *lost =
            call.status == 404 || call.status == 416 || (call.status == 400 && call.retries > 0);
    }
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

int oci_blob_put(void *self, struct strake_job *job, const char *repository, const char *digest,
                 int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                 int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    struct upload upload = {
        .oci = self, .job = job, .repository = repository, .digest = digest, .err = err
    };
    struct source from = { source, rewind, ctx, false };
    bool lost = true;
    int rc = begin(&upload, NULL);
    for (int sessions = 0; lost && sessions < SESSIONS_MAX; sessions++) {
        lost = false;
        if (rc < 0 && sessions == 0)
            break;
        rc = from.used && (!rewind || source_rewind(&from) < 0)
                 ? upload.oci->host->fail(err, STRAKE_EIO,
                                          "%s: its bytes could not be read a second time",
                                          upload.what)
                 : open_session(&upload);
        if (rc == 0)
            rc = send(&upload, &from, size_bytes, &lost);
    }
    if (rc < 0 && rc != STRAKE_ENETWORK && rc != STRAKE_ETIMEOUT)
        drop_session(&upload);
    end(&upload);
    return rc;
}

/** POST uploads/?mount=DIGEST&from=REPOSITORY */
static char *mount_url(const struct upload *upload, const char *from)
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
    struct upload upload = {
        .oci = self, .job = job, .repository = repository, .digest = digest, .err = err
    };
    *mounted = false;
    int rc = oci_check_name(upload.oci, from, NULL, err);
    if (rc == 0)
        rc = begin(&upload, from);
    if (rc < 0) {
        end(&upload);
        return rc;
    }
    char *url = mount_url(&upload, from);
    struct oci_call call = call_of(&upload, "POST", url);
    rc = url ? oci_call_run(upload.oci, job, &call, err) : plug_fail_nomem(upload.oci->host, err);
    int status = call.status;
    if (rc == 0 && status == 201) {
        *mounted = true;
    } else if (rc == 0 && status == 202) {
        rc = keep_session(&upload, &call);
        drop_session(&upload);
    } else if (rc == 0 && status != 400 && status != 404 && status != 405) {
        /* Those say that it knows of no mounting. */
        rc = oci_answer_fail(upload.oci, &call, err);
    }
    /* It may be the other repository that is not ours to read: the upload will show. */
    if (rc == STRAKE_EAUTH)
        rc = 0;
    oci_call_dispose(upload.oci, &call);
    free(url);
    end(&upload);
    return rc;
}
