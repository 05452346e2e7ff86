/* Upload sessions (upload.h). */
#include <stdlib.h>
#include <string.h>

#include "upload.h"

#define TIDY_MS 2000

int oci_upload_begin(struct oci_upload *upload, const char *from)
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

void oci_upload_end(struct oci_upload *upload)
{
    free(upload->what);
    free(upload->scopes);
    free(upload->session);
}

struct oci_call oci_upload_call(const struct oci_upload *upload, const char *method,
                                const char *url)
{
    return (struct oci_call){
        .what = upload->what,
        .repository = upload->repository,
        .scopes = upload->scopes,
        .method = method,
        .url = url,
        .max_redirects = OCI_REDIRECTS,
        .idempotent = true,
    };
}

int oci_session_keep(struct oci_upload *upload, const struct oci_call *call)
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
    int64_t chunk_min = oci_header_number(oci_call_headers(oci, call), "oci-chunk-min-length");
    if (chunk_min > 0)
        upload->chunk_min = chunk_min;
    free(upload->session);
    upload->session = url;
    return 0;
}

void oci_session_drop(struct oci_upload *upload)
{
    struct oci *oci = upload->oci;
    struct strake_err *unheard = oci->host->err_new();
    if (!upload->session || !unheard) {
        oci->host->err_free(unheard);
        return;
    }
    struct oci_call call = oci_upload_call(upload, "DELETE", upload->session);
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

int oci_session_open(struct oci_upload *upload)
{
    struct oci *oci = upload->oci;
    char *url = oci_url(oci, upload->repository, "blobs", "uploads/");
    if (!url)
        return plug_fail_nomem(oci->host, upload->err);
    struct oci_call call = oci_upload_call(upload, "POST", url);
    int rc = oci_call_run(oci, upload->job, &call, upload->err);
    if (rc == 0 && call.status != 202)
        rc = oci_answer_fail(oci, &call, upload->err);
    if (rc == 0)
        rc = oci_session_keep(upload, &call);
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

char *oci_session_final_url(const struct oci_upload *upload)
{
    struct plug_text url = { 0 };
    plug_text_addf(&url, "%s%cdigest=", upload->session, strchr(upload->session, '?') ? '&' : '?');
    plug_url_escape(&url, upload->digest);
    return plug_text_take(&url);
}

bool oci_session_is_done(const struct oci_call *call)
{
    return call->status == 201 || call->status == 200 || call->status == 204;
}
