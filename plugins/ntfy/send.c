/* Sending a message, and asking whether one could be sent. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "ntfy/ntfy.h"

/* One request to the server and its answer. */
struct ntfy_call {
    const char *method;
    const char *path; /* behind the server's URL */
    const char *body; /* NULL: none */
    int status;
    struct strake_buf *answer;
    struct strake_buf *headers;
};

static void call_dispose(const struct ntfy *ntfy, struct ntfy_call *call)
{
    ntfy->host->buf_free(call->answer);
    ntfy->host->buf_free(call->headers);
}

/* "Bearer tk_…" or "Basic …", a string of the caller's (plug_wipe()); *value NULL: anonymous. */
static int authorization(const struct ntfy *ntfy, char **value, struct strake_err *err)
{
    const struct strake_host *host = ntfy->host;
    bool basic = ntfy->username != NULL;
    struct plug_text text = { 0 }, pair = { 0 };

    *value = NULL;
    if (!basic && !plug_secret_given(&ntfy->token))
        return 0;
    struct strake_buf *secret = host->buf_new(NTFY_ANSWER_MAX);
    if (secret == NULL)
        return plug_fail_nomem(host, err);
    int rc = plug_secret_read(host, basic ? &ntfy->password : &ntfy->token, secret, err);
    if (rc == 0 && basic) {
        plug_text_addf(&pair, "%s:%s", ntfy->username, plug_buf_text(host, secret));
        plug_text_add(&text, "Basic ");
        plug_base64_encode(&text, plug_text_view(&pair), pair.len);
        host->secret_mark(plug_text_view(&text) + 6, text.len - 6);
    } else if (rc == 0) {
        plug_text_addf(&text, "Bearer %s", plug_buf_text(host, secret));
    }
    bool failed = text.failed || pair.failed;
    if (rc == 0 && !failed)
        *value = plug_text_take(&text);
    if (rc == 0 && *value == NULL)
        rc = plug_fail_nomem(host, err);
    plug_text_dispose(&text);
    plug_text_dispose(&pair);
    host->buf_free(secret);
    return rc;
}

static int call_run(const struct ntfy *ntfy, struct strake_job *job, struct ntfy_call *call,
                    struct strake_err *err)
{
    const struct strake_host *host = ntfy->host;
    struct strake_pair type = { "Content-Type", "application/json" };
    struct strake_pair login = { "Authorization", NULL };
    const struct strake_pair *headers[3] = { &type };
    struct strake_http_response response = { .size = sizeof(response) };
    char *url = plug_format("%s/%s", ntfy->url, call->path);
    char *secret = NULL;
    int rc;

    call->answer = host->buf_new(NTFY_ANSWER_MAX);
    call->headers = host->buf_new(NTFY_ANSWER_MAX);
    response.headers = call->headers;
    if (url == NULL || call->answer == NULL || call->headers == NULL)
        rc = plug_fail_nomem(host, err);
    else
        rc = authorization(ntfy, &secret, err);
    if (rc == 0) {
        login.value = secret;
        headers[1] = secret != NULL ? &login : NULL;
        struct strake_http_request request = {
            .size = sizeof(request),
            .method = call->method,
            .url = url,
            .headers = headers,
            .body = call->body,
            .body_len = call->body != NULL ? strlen(call->body) : 0,
            .response = call->answer,
            .timeout_ms = ntfy->timeout_ms,
            .plain_http = ntfy->plain_http,
            .ca_file = ntfy->ca,
        };
        rc = host->http_request(job, &request, &response, err);
    }
    call->status = response.status;
    plug_wipe(secret);
    free(url);
    return rc;
}

/* The id that the server gave the message. */
static int take_receipt(const struct ntfy *ntfy, const struct ntfy_call *call,
                        struct strake_buf *receipt, struct strake_err *err)
{
    json_t *doc = json_loads(plug_buf_text(ntfy->host, call->answer), JSON_REJECT_DUPLICATES, NULL);
    const char *id = json_string_value(json_object_get(doc, "id"));
    int rc;

    if (id == NULL) {
        rc = ntfy->host->fail(err, STRAKE_ENOTIFY, "%s does not answer as ntfy does (%d)",
                              ntfy->url, call->status);
        ntfy->host->err_hint(err, "is the option 'url' right? It is https://HOST/TOPIC");
    } else {
        rc = ntfy->host->buf_append(receipt, id, strlen(id));
        if (rc < 0)
            ntfy->host->fail(err, rc, "%s gave the message an id that is too long", ntfy->url);
    }
    json_decref(doc);
    return rc;
}

int ntfy_send(void *self, const struct strake_message *given, struct strake_job *job,
              struct strake_buf *receipt, struct strake_err *err)
{
    const struct ntfy *ntfy = self;
    struct strake_message message = { 0 };
    memcpy(&message, given, given->size < sizeof(message) ? given->size : sizeof(message));
    char *body = ntfy_body(ntfy, &message);
    struct ntfy_call call = { .method = "POST", .path = "", .body = body };

    if (body == NULL)
        return plug_fail_nomem(ntfy->host, err);
    int rc = call_run(ntfy, job, &call, err);
    if (rc == 0 && call.status != 200)
        rc = ntfy_refused(ntfy, call.status, plug_buf_text(ntfy->host, call.answer),
                          plug_buf_text(ntfy->host, call.headers), err);
    else if (rc == 0)
        rc = take_receipt(ntfy, &call, receipt, err);
    call_dispose(ntfy, &call);
    free(body);
    return rc;
}

/* ---- ping ---- */

static int ask_health(const struct ntfy *ntfy, struct strake_job *job, struct strake_err *err)
{
    struct ntfy_call call = { .method = "GET", .path = "v1/health" };
    int rc = call_run(ntfy, job, &call, err);
    if (rc == 0) {
        const char *answer = plug_buf_text(ntfy->host, call.answer);
        json_t *doc = call.status == 200 ? json_loads(answer, 0, NULL) : NULL;
        const json_t *healthy = json_object_get(doc, "healthy");
        if (healthy == NULL)
            rc = ntfy_refused(ntfy, call.status, answer, plug_buf_text(ntfy->host, call.headers),
                              err);
        else if (!json_is_true(healthy))
            rc =
                ntfy->host->fail(err, STRAKE_ENETWORK, "%s says that it is not healthy", ntfy->url);
        json_decref(doc);
    }
    call_dispose(ntfy, &call);
    return rc;
}

/* The server tells who may read a topic, not who may write: 403 may be a user that only publishes.
 * @return 1 may read, 0 may not, or negative */
static int ask_access(const struct ntfy *ntfy, struct strake_job *job, struct strake_err *err)
{
    char *path = plug_format("%s/auth", ntfy->topic);
    struct ntfy_call call = { .method = "GET", .path = path };
    if (path == NULL)
        return plug_fail_nomem(ntfy->host, err);
    int rc = call_run(ntfy, job, &call, err);
    if (rc == 0 && call.status != 200 && call.status != 403)
        rc = ntfy_refused(ntfy, call.status, plug_buf_text(ntfy->host, call.answer),
                          plug_buf_text(ntfy->host, call.headers), err);
    if (rc == 0)
        rc = call.status == 200 ? 1 : 0;
    call_dispose(ntfy, &call);
    free(path);
    return rc;
}

int ntfy_ping(void *self, struct strake_job *job, struct strake_buf *detail, struct strake_err *err)
{
    const struct ntfy *ntfy = self;
    int rc = ask_health(ntfy, job, err);
    int access = rc == 0 ? ask_access(ntfy, job, err) : rc;
    if (access < 0)
        return access;
    char *text = plug_format("%s answers%s", ntfy->url,
                             access ? ""
                                    : "; its topic may not be read, and whether it may be "
                                      "published to shows the first message");
    if (text == NULL)
        return plug_fail_nomem(ntfy->host, err);
    rc = ntfy->host->buf_append(detail, text, strlen(text));
    free(text);
    return rc < 0 ? ntfy->host->fail(err, rc, "the answer is too long") : 0;
}
