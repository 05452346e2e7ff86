/* One request to the registry, authorised (oci.h). */
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "limits.h"

/** With what is known, then with what the challenge says. */
#define ROUNDS 2

struct strake_http_request oci_http_request(const struct oci *oci)
{
    return (struct strake_http_request){
        .size = sizeof(struct strake_http_request),
        .timeout_ms = oci->options.timeout_ms,
        .plain_http = oci->options.plain_http == PLUG_YES,
        .ca_file = oci->options.ca,
        .cert_file = oci->options.cert,
        .key_file = oci->options.key,
    };
}

const char *oci_call_headers(const struct oci *oci, const struct oci_call *call)
{
    return call->headers ? plug_buf_text(oci->host, call->headers) : "";
}

const char *oci_call_answer(const struct oci *oci, const struct oci_call *call, size_t *len)
{
    const char *text = call->answer ? oci->host->buf_data(call->answer, len) : NULL;
    if (!text)
        *len = 0;
    return text ? text : "";
}

void oci_call_dispose(const struct oci *oci, struct oci_call *call)
{
    oci->host->buf_free(call->headers);
    oci->host->buf_free(call->answer);
    call->headers = NULL;
    call->answer = NULL;
}

/** Who will soon be refused hears of it while there is still time, once. */
static void note_limits(struct oci *oci, const struct oci_call *call)
{
    struct oci_limits limits = oci_limits_read(oci_call_headers(oci, call));
    if (!oci_limits_low(&limits) || atomic_exchange(&oci->limits_told, true))
        return;
    struct plug_text text = { 0 };
    oci_limits_text(&limits, &text);
    oci->host->log(STRAKE_LOG_WARN, "%s limits how often it may be asked: %s", oci_name(oci),
                   plug_text_view(&text));
    plug_text_dispose(&text);
}

/** The request once, as it is. */
static int send(struct oci *oci, struct strake_job *job, struct oci_call *call,
                const char *authorization, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    const struct strake_pair all[] = {
        { "Authorization", authorization },
        { "Accept", call->accept },
        { "Content-Type", call->content_type },
        { "Range", call->range },
        { "Content-Range", call->content_range },
        /* A digest is of the bytes as they are stored. */
        { "Accept-Encoding", "identity" },
    };
    const struct strake_pair *headers[sizeof(all) / sizeof(all[0]) + 1] = { NULL };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].value)
            headers[count++] = &all[i];

    host->buf_clear(call->headers);
    host->buf_clear(call->answer);
    struct strake_http_request request = oci_http_request(oci);
    request.method = call->method;
    request.url = call->url;
    request.headers = headers;
    request.body = call->body;
    request.body_len = call->body_len;
    request.read = call->read;
    request.rewind = call->rewind;
    request.write = call->write;
    request.ctx = call->ctx;
    request.response = call->answer;
    request.max_redirects = call->max_redirects;
    if (request.timeout_ms > 0)
        request.timeout_ms += call->more_ms;
    if (call->limit_ms > 0)
        request.timeout_ms = call->limit_ms;
    request.idempotent = call->idempotent;
    struct strake_http_response response = { .size = sizeof(response), .headers = call->headers };
    int rc = host->http_request(job, &request, &response, err);
    call->status = response.status;
    call->retries += response.retries;
    if (rc == 0)
        note_limits(oci, call);
    return rc;
}

/** An upload may lead to another host: it gets the bytes, not our credentials. */
static int is_ours(const struct oci *oci, const struct oci_call *call, bool *ours,
                   struct strake_err *err)
{
    struct plug_url url;
    int rc = plug_url_split(call->url, &url);
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(oci->host, err);
    if (rc < 0)
        return oci->host->fail(err, STRAKE_EREGISTRY, "%s: %s led to an address that is none",
                               call->what, oci_name(oci));
    *ours = plug_url_same_origin(&url, &oci->origin);
    plug_url_dispose(&url);
    return 0;
}

int oci_call_run(struct oci *oci, struct strake_job *job, struct oci_call *call,
                 struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    char *header = NULL;
    bool ours = false;
    call->headers = host->buf_new(OCI_HEADERS_MAX);
    call->answer = host->buf_new(call->max_bytes ? call->max_bytes : OCI_ANSWER_MAX);
    if (!call->headers || !call->answer)
        return plug_fail_nomem(host, err);
    int rc = is_ours(oci, call, &ours, err);
    if (rc == 0 && ours)
        rc = oci_auth_header(oci, job, call, &header, err);
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        rc = send(oci, job, call, header, err);
        if (rc < 0 || call->status != 401 || !ours || round + 1 == ROUNDS)
            break;
        char *next = NULL;
        rc = oci_auth_challenged(oci, job, call, header, &next, err);
        plug_wipe(header);
        header = next;
        if (!header)
            break;
        if (call->read && (!call->rewind || call->rewind(call->ctx) < 0))
            rc = host->fail(err, STRAKE_EIO, "%s: the data could not be read a second time",
                            call->what);
    }
    plug_wipe(header);
    return rc;
}
