/* A blob in pieces: PATCH after PATCH, where something on the way takes no large body, or breaks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "upload.h"

#define LEAST_CHUNK ((int64_t)256 * 1024)
/** Pieces in a row that got nowhere. */
#define STALLS_MAX 4
/** Sessions for one blob: some registries (distribution) end one in which a piece broke. */
#define SESSIONS_MAX 4
#define PAUSE_MS 200

/** An upload in pieces on its way. */
struct chunks {
    struct oci_upload *upload;
    struct oci_source *source;
    int64_t size;   /**< of the blob */
    int64_t chunk;  /**< bytes of a piece */
    int64_t offset; /**< bytes that the registry has */
    int sessions;
};

/** What is broken as a whole may hold for half of it. */
static void make_smaller(struct chunks *chunks)
{
    int64_t half = chunks->chunk / 2;
    if (half >= LEAST_CHUNK && half >= chunks->upload->chunk_min)
        chunks->chunk = half;
}

/** A session that is gone takes along what had arrived: another one, from the start. `call` says that
 *  it is gone. */
static int begin_again(struct chunks *chunks, const struct oci_call *call)
{
    struct oci_upload *upload = chunks->upload;
    if (!chunks->source->rewind || ++chunks->sessions >= SESSIONS_MAX)
        return oci_answer_fail(upload->oci, call, upload->err);
    upload->oci->host->log(STRAKE_LOG_INFO, "%s: its session is gone after %" PRId64 " bytes",
                           upload->what, chunks->offset);
    make_smaller(chunks);
    chunks->offset = 0;
    return oci_session_open(upload);
}

/** How many bytes a session has: "Range: 0-1023", which some write "bytes=0-1023". An empty session
 *  says "0-0", as one with one byte would: no piece is that small. -1: it does not say. */
static int64_t bytes_there(const char *headers)
{
    size_t pos = 0;
    size_t len = 0;
    const char *range = plug_header(headers, "range", &pos, &len);
    if (range && strncmp(range, "bytes=", 6) == 0)
        range += 6;
    int64_t last = -1;
    if (!range || sscanf(range, "0-%" SCNd64, &last) != 1 || last < 0 || last == INT64_MAX)
        return -1;
    return last == 0 ? 0 : last + 1;
}

/** Ask the session what it has, after a piece that may have arrived in part. */
static int ask(struct chunks *chunks)
{
    struct oci_upload *upload = chunks->upload;
    struct oci *oci = upload->oci;
    struct oci_call call = oci_upload_call(upload, "GET", upload->session);
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    const char *headers = oci_call_headers(oci, &call);
    int64_t there = bytes_there(headers);
    size_t pos = 0;
    size_t len = 0;
    if (rc == 0 && call.status == 404) {
        rc = begin_again(chunks, &call);
        oci_call_dispose(oci, &call);
        return rc;
    }
    if (rc == 0 && call.status != 204 && call.status != 202 && call.status != 200)
        rc = oci_answer_fail(oci, &call, upload->err);
    else if (rc == 0 && (there < 0 || there > chunks->size))
        rc = oci->host->fail(upload->err, STRAKE_EREGISTRY,
                             "%s: %s does not say how much of it has arrived", upload->what,
                             oci_name(oci));
    if (rc == 0 && plug_header(headers, "location", &pos, &len))
        rc = oci_session_keep(upload, &call);
    if (rc == 0)
        chunks->offset = there;
    oci_call_dispose(oci, &call);
    return rc;
}

/** May a piece that failed so be sent again, as far as it did not arrive? */
static bool may_go_on(const struct chunks *chunks, int rc, const struct oci_call *call)
{
    if (!chunks->source->rewind)
        return false;
    return rc == STRAKE_ENETWORK || rc == STRAKE_ETIMEOUT ||
           (rc == 0 && (call->status == 416 || call->status == 408 || call->status == 429 ||
                        call->status >= 500));
}

/** What came of a piece of `len` bytes. */
static int judge(struct chunks *chunks, const struct oci_call *call, int rc, int64_t len)
{
    struct oci_upload *upload = chunks->upload;
    struct oci *oci = upload->oci;
    int64_t before = chunks->chunk;
    if (rc == 0 && call->status == 413)
        make_smaller(chunks);
    if (chunks->chunk < before)
        return 0;
    if (rc == 0 && call->status == 404)
        return begin_again(chunks, call);
    if (may_go_on(chunks, rc, call))
        return ask(chunks);
    if (rc < 0)
        return rc;
    if (call->status != 202 && call->status != 201 && call->status != 204)
        return oci_answer_fail(oci, call, upload->err);
    int64_t there = bytes_there(oci_call_headers(oci, call));
    if (there > chunks->offset + len || (there >= 0 && there < chunks->offset))
        return oci->host->fail(upload->err, STRAKE_EREGISTRY,
                               "%s: %s says that it has %" PRId64 " bytes after %" PRId64
                               " were sent",
                               upload->what, oci_name(oci), there, chunks->offset + len);
    chunks->offset = there > 0 ? there : chunks->offset + len;
    return oci_session_keep(upload, call);
}

static int send(struct chunks *chunks)
{
    struct oci_upload *upload = chunks->upload;
    struct oci *oci = upload->oci;
    int64_t left = chunks->size - chunks->offset;
    int64_t len = left < chunks->chunk ? left : chunks->chunk;
    char range[64];
    snprintf(range, sizeof(range), "%" PRId64 "-%" PRId64, chunks->offset,
             chunks->offset + len - 1);
    int rc = oci_source_seek(chunks->source, chunks->offset);
    if (rc < 0)
        return oci->host->fail(upload->err, rc, "%s: its bytes could not be read a second time",
                               upload->what);
    struct oci_call call = oci_upload_call(upload, "PATCH", upload->session);
    call.content_type = "application/octet-stream";
    call.content_range = range;
    call.body_len = (size_t)len;
    call.read = oci_source_read;
    call.rewind = chunks->source->rewind ? oci_source_rewind : NULL;
    call.ctx = chunks->source;
    call.more_ms = len / OCI_SLOW_LINE;
    /* Not by the client below: how much of it arrived must be asked first. */
    call.idempotent = false;
    rc = oci_call_run(oci, upload->job, &call, upload->err);
    rc = judge(chunks, &call, rc, len);
    oci_call_dispose(oci, &call);
    return rc;
}

/** All pieces are there: the digest ends it. */
static int finish(struct oci_upload *upload)
{
    struct oci *oci = upload->oci;
    char *url = oci_session_final_url(upload);
    if (!url)
        return plug_fail_nomem(oci->host, upload->err);
    struct oci_call call = oci_upload_call(upload, "PUT", url);
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    if (rc == 0 && !oci_session_is_done(&call))
        rc = oci_answer_fail(oci, &call, upload->err);
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

int oci_upload_chunks(struct oci_upload *upload, struct oci_source *source, int64_t size_bytes)
{
    struct chunks chunks = {
        .upload = upload, .source = source, .size = size_bytes, .chunk = OCI_FIRST_CHUNK
    };
    int rc = oci_session_open(upload);
    if (chunks.chunk < upload->chunk_min)
        chunks.chunk = upload->chunk_min;
    for (int stalls = 0; rc == 0 && chunks.offset < chunks.size;) {
        int64_t before = chunks.offset;
        int64_t chunk = chunks.chunk;
        rc = send(&chunks);
        bool moved = chunks.offset != before || chunks.chunk < chunk;
        stalls = moved ? 0 : stalls + 1;
        if (rc == 0 && stalls >= STALLS_MAX)
            rc = upload->oci->host->fail(
                upload->err, STRAKE_EREGISTRY,
                "%s: %s takes no more than %" PRId64 " of %" PRId64 " bytes", upload->what,
                oci_name(upload->oci), chunks.offset, chunks.size);
        else if (rc == 0 && !moved)
            rc = plug_wait_ms(upload->oci->host, upload->job, (int64_t)PAUSE_MS << stalls,
                              upload->err);
        if (!moved)
            make_smaller(&chunks);
    }
    return rc < 0 ? rc : finish(upload);
}
