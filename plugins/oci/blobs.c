/* Blobs down: their size, and their bytes, going on where a broken transfer stopped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci.h"

/** Broken transfers in a row that brought next to nothing. */
#define STALLS_MAX 4
#define PROGRESS_BYTES ((int64_t)64 * 1024)
#define PAUSE_MS 200

/** A call about one blob, with what it borrows. */
struct blob_call {
    struct oci_call call;
    char *what;
    char *url;
    char *scope;
};

static int begin(struct oci *oci, struct blob_call *out, const char *method, const char *verb,
                 const char *repository, const char *digest, struct strake_err *err)
{
    *out = (struct blob_call){ 0 };
    int rc = oci_check_name(oci, repository, digest, err);
    if (rc < 0)
        return rc;
    out->what = plug_format("%s the blob %s/%s@%s", verb, oci_name(oci), repository, digest);
    out->url = oci_url(oci, repository, "blobs", digest);
    out->scope = oci_scope(repository, "pull");
    if (!out->what || !out->url || !out->scope)
        return plug_fail_nomem(oci->host, err);
    out->call = (struct oci_call){
        .what = out->what,
        .repository = repository,
        .scopes = out->scope,
        .method = method,
        .url = out->url,
        .max_redirects = OCI_REDIRECTS,
        .idempotent = true,
    };
    return 0;
}

static void end(struct oci *oci, struct blob_call *call)
{
    oci_call_dispose(oci, &call->call);
    free(call->what);
    free(call->url);
    free(call->scope);
}

/** A blob that is said to be there is not sent: the answer must be of a registry, and of that blob. */
static int check_head(const struct oci *oci, const struct oci_call *call, const char *digest,
                      struct strake_err *err)
{
    const char *headers = oci_call_headers(oci, call);
    size_t pos = 0;
    size_t len = 0;
    const char *claimed = plug_header(headers, "docker-content-digest", &pos, &len);
    char type[256];
    oci_content_type(headers, type, sizeof(type));
    if (strcmp(type, "text/html") == 0) {
        oci->host->fail(err, STRAKE_EREGISTRY, "%s: a web page answered", call->what);
        oci->host->err_hint(err,
                            "is %s a registry, and does a proxy or a login page stand before it?",
                            oci_name(oci));
        return STRAKE_EREGISTRY;
    }
    /* One of another algorithm may be of the same bytes. */
    if (claimed && len == strlen(digest) && strncmp(claimed, digest, 7) == 0 &&
        strncmp(claimed, digest, len) != 0)
        return oci->host->fail(err, STRAKE_ECORRUPT, "%s: %s answered of another one, %.*s",
                               call->what, oci_name(oci), (int)len, claimed);
    return 0;
}

int oci_blob_stat(void *self, struct strake_job *job, const char *repository, const char *digest,
                  int64_t *size_bytes, struct strake_err *err)
{
    struct oci *oci = self;
    struct blob_call head;
    int rc = begin(oci, &head, "HEAD", "looking for", repository, digest, err);
    if (rc == 0)
        rc = oci_call_run(oci, job, &head.call, err);
    if (rc == 0 && head.call.status != 200)
        rc = oci_answer_fail(oci, &head.call, err);
    if (rc == 0)
        rc = check_head(oci, &head.call, digest, err);
    if (rc == 0)
        *size_bytes = oci_header_number(oci_call_headers(oci, &head.call), "content-length");
    end(oci, &head);
    return rc;
}

/** Where the bytes go. */
struct stream {
    int (*sink)(void *ctx, const char *data, size_t len);
    void *ctx;
    int64_t skip;  /**< bytes to leave out: the registry cannot begin in the middle */
    int64_t given; /**< bytes given to the sink, over all requests */
    bool refused;  /**< the sink wants no more */
};

static int take(void *ctx, const char *data, size_t len)
{
    struct stream *stream = ctx;
    if (stream->skip >= (int64_t)len) {
        stream->skip -= (int64_t)len;
        return 0;
    }
    data += stream->skip;
    len -= (size_t)stream->skip;
    stream->skip = 0;
    int rc = stream->sink(stream->ctx, data, len);
    if (rc < 0)
        stream->refused = true;
    else
        stream->given += (int64_t)len;
    return rc;
}

/** Does "bytes 5-9/10" begin at `offset`? */
static bool begins_at(const char *headers, int64_t offset)
{
    size_t pos = 0;
    size_t len = 0;
    const char *range = plug_header(headers, "content-range", &pos, &len);
    int64_t first = -1;
    return range && sscanf(range, "bytes %" SCNd64 "-", &first) == 1 && first == offset;
}

/** Ask for the one byte at `offset`: a registry that then sends everything must not get as far as
 *  the sink. @return 1 it can begin there, 0 it cannot, or negative. */
static int can_begin_at(struct oci *oci, struct strake_job *job, struct blob_call *get,
                        int64_t offset, struct strake_err *err)
{
    char range[64];
    snprintf(range, sizeof(range), "bytes=%" PRId64 "-%" PRId64, offset, offset);
    struct oci_call probe = get->call;
    probe.range = range;
    probe.max_bytes = 64;
    struct strake_err *own = oci->host->err_new();
    if (!own)
        return plug_fail_nomem(oci->host, err);
    int rc = oci_call_run(oci, job, &probe, own);
    if (rc == 0)
        rc = probe.status == 206 && begins_at(oci_call_headers(oci, &probe), offset);
    else if (rc == STRAKE_ETOOBIG)
        rc = 0;
    else
        oci->host->fail(err, rc, "%s", oci->host->err_message(own));
    oci_call_dispose(oci, &probe);
    oci->host->err_free(own);
    return rc;
}

/** The rest of the blob from `from` on, in one request. */
static int fetch(struct oci *oci, struct strake_job *job, struct blob_call *get,
                 struct stream *stream, int64_t from, struct strake_err *err)
{
    char range[64];
    int ranged = from > 0 ? can_begin_at(oci, job, get, from, err) : 0;
    if (ranged < 0)
        return ranged;
    snprintf(range, sizeof(range), "bytes=%" PRId64 "-", from);
    stream->skip = ranged ? 0 : from;
    struct oci_call call = get->call;
    call.range = ranged ? range : NULL;
    call.write = take;
    call.ctx = stream;
    int rc = oci_call_run(oci, job, &call, err);
    if (rc == 0 && call.status != (ranged ? 206 : 200))
        rc = oci_answer_fail(oci, &call, err);
    oci_call_dispose(oci, &call);
    return rc;
}

int oci_blob_get(void *self, struct strake_job *job, const char *repository, const char *digest,
                 int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                 struct strake_err *err)
{
    struct oci *oci = self;
    struct blob_call get;
    struct stream stream = { .sink = sink, .ctx = ctx };
    int rc = begin(oci, &get, "GET", "reading", repository, digest, err);
    for (int stalls = 0; rc == 0;) {
        int64_t before = stream.given;
        rc = fetch(oci, job, &get, &stream, offset + stream.given, err);
        /* A limit of time is for one request, and a large blob may take several. */
        bool time_left = !job || oci->host->job_remaining_ms(job) != 0;
        bool broken = rc == STRAKE_ENETWORK || (rc == STRAKE_ETIMEOUT && time_left);
        bool progress = stream.given - before >= PROGRESS_BYTES;
        stalls = progress ? 0 : stalls + 1;
        if (!broken || stream.refused || stream.given == 0 || stalls >= STALLS_MAX)
            break;
        oci->host->log(STRAKE_LOG_INFO, "%s: broke off after %" PRId64 " bytes, going on", get.what,
                       stream.given);
        rc = plug_wait_ms(oci->host, job, (int64_t)PAUSE_MS << stalls, err);
    }
    end(oci, &get);
    return rc;
}
