/* A request as a caller means it: exchange after exchange, along redirects and through failures
 * that pass. */
#include <poll.h>
#include <string.h>

#include "util/http_impl.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/time.h"

/* How long a server may have us wait when the caller set no limit. */
#define WAIT_WITHOUT_LIMIT_MS 60000
/* Nobody should wonder for longer than this what is going on. */
#define WAIT_TOLD_MS 3000

/* A request on its way. */
struct course {
    struct strake_http_request request;
    struct strake_exchange exchange;
    struct strake_url url;
    struct strake_err *err;
    size_t start; /* what the response buffer held before */
    int redirects;
    int tries; /* exchanges of the place we are at */
    int retries;
};

static bool is_get(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* ---- before it goes out --------------------------------------------------------------------- */

/* Plain http shows everything to everybody on the way. */
static int check_plain(const struct course *course, const struct strake_url *url)
{
    if (url->https || course->request.plain_http || strake_url_is_loopback(url))
        return 0;
    int code = course->redirects > 0 ? STRAKE_EREGISTRY : STRAKE_ECONFIG;
    strake_fail(course->err, code, "http://%s:%d is not encrypted, and not on this machine",
                url->host, url->port);
    strake_err_hint(course->err, "use https, or set plain_http = true for it");
    return code;
}

static int begin(struct course *course, struct strake_job *job)
{
    struct strake_http_request *request = &course->request;
    if (request->method == NULL || request->url == NULL)
        return strake_fail(course->err, STRAKE_EUSAGE, "a request needs a method and a URL");
    int rc = strake_http_check_headers(request, course->err);
    if (rc == 0)
        rc = strake_url_parse(request->url, &course->url, course->err);
    if (rc == 0)
        rc = check_plain(course, &course->url);
    int64_t now = strake_time_mono_ms();
    bool limited = request->timeout_ms > 0 && request->timeout_ms < INT64_MAX - now;
    course->exchange = (struct strake_exchange){
        .request = request,
        .method = request->method,
        .url = &course->url,
        .with_body = request->body_len > 0 && (request->body != NULL || request->read != NULL),
        .drop_redirects = request->max_redirects > 0,
        .deadline_ms = limited ? now + request->timeout_ms : INT64_MAX,
        .limit_ms = request->timeout_ms,
        .job = job,
        .headers = { .secret = true },
    };
    return rc;
}

/* Milliseconds that are left by the request's limit and the job's; -1 without any. */
static int64_t left_ms(const struct strake_exchange *exchange)
{
    int64_t left = exchange->job != NULL ? strake_job_remaining_ms(exchange->job) : -1;
    if (exchange->deadline_ms == INT64_MAX)
        return left;
    int64_t own = exchange->deadline_ms - strake_time_mono_ms();
    own = own > 0 ? own : 0;
    return left >= 0 && left < own ? left : own;
}

/* A body that went out, at least in part, goes back to its start. */
static int rewind_body(struct course *course)
{
    struct strake_exchange *exchange = &course->exchange;
    if (!exchange->body_sent || !exchange->with_body)
        return 0;
    exchange->body_sent = false;
    if (course->request.body != NULL)
        return 0;
    if (course->request.rewind == NULL)
        return strake_exchange_fail(exchange, course->err, STRAKE_ENETWORK,
                                    "the body cannot be sent a second time");
    int rc = course->request.rewind(course->request.ctx);
    if (rc < 0 && course->err->code == 0)
        strake_exchange_fail(exchange, course->err, rc, "the body cannot be read again");
    return rc;
}

/* ---- redirects ------------------------------------------------------------------------------ */

/* The place that the answer points to; NULL: it is no redirect, or none that we follow. */
static const char *redirect_of(const struct course *course, size_t *len)
{
    int status = course->exchange.status;
    bool redirects =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    size_t pos = 0;
    if (!redirects || course->request.max_redirects <= 0)
        return NULL;
    return strake_http_header(&course->exchange.headers, "location", &pos, len);
}

static int refuse_redirect(const struct course *course, const char *why)
{
    return strake_exchange_fail(&course->exchange, course->err, STRAKE_EREGISTRY,
                                "its redirect was not followed: %s", why);
}

static int check_redirect(const struct course *course, const struct strake_url *to, bool keeps)
{
    bool foreign = !strake_url_same_host(&course->url, to);
    if (course->url.https && !to->https)
        return refuse_redirect(course, "it leads from https to http");
    if (to->userinfo != NULL && foreign)
        return refuse_redirect(course, "it brings credentials along");
    if (foreign && keeps && !is_get(course->exchange.method))
        return refuse_redirect(course, "what is written to one host does not go to another");
    return check_plain(course, to);
}

static int follow(struct course *course, const char *location, size_t len)
{
    struct strake_exchange *exchange = &course->exchange;
    struct strake_url to;
    if (course->redirects++ >= course->request.max_redirects)
        return strake_exchange_fail(exchange, course->err, STRAKE_EREGISTRY,
                                    "more than %d redirects", course->request.max_redirects);
    int rc = strake_url_resolve(&course->url, location, len, &to, course->err);
    if (rc == STRAKE_EUSAGE)
        return refuse_redirect(course, "where it leads is no http or https URL");
    if (rc < 0)
        return rc;
    /* 303 asks for a GET of something else; so do 301 and 302 after a POST, by long custom. */
    bool keeps = is_get(exchange->method) || exchange->status == 307 || exchange->status == 308 ||
                 (exchange->status != 303 && strcmp(exchange->method, "POST") != 0);
    rc = check_redirect(course, &to, keeps);
    if (rc == 0 && keeps)
        rc = rewind_body(course);
    if (rc < 0) {
        strake_url_dispose(&to);
        return rc;
    }
    if (!keeps) {
        exchange->method = "GET";
        exchange->with_body = false;
    }
    /* Once away from the host that the caller named, what it gave stays dropped. */
    exchange->foreign = exchange->foreign || !strake_url_same_host(&course->url, &to);
    strake_url_dispose(&course->url);
    course->url = to;
    course->tries = 0;
    return 0;
}

/* ---- again ---------------------------------------------------------------------------------- */

/* @return 0, or STRAKE_ECANCELLED, STRAKE_ETIMEOUT with `err` filled. */
static int pause_for(struct course *course, int64_t wait_ms)
{
    struct strake_job *job = course->exchange.job;
    struct pollfd cancel = { .fd = job != NULL ? strake_job_cancel_fd(job) : -1, .events = POLLIN };
    int64_t until = strake_time_mono_ms() + wait_ms;
    for (;;) {
        int rc = job != NULL ? strake_job_check(job, course->err) : 0;
        if (rc < 0) {
            strake_exchange_name(&course->exchange, course->err);
            return rc;
        }
        int64_t left = until - strake_time_mono_ms();
        if (left <= 0)
            return 0;
        /* In pieces, because a job's deadline may be brought forward meanwhile. */
        poll(&cancel, 1, left < 1000 ? (int)left : 1000);
    }
}

/* How long the server wants to be left alone, in a header or in its words; -1: it does not say. */
static int64_t asked_ms(const struct course *course)
{
    const struct strake_exchange *exchange = &course->exchange;
    const struct strake_buf *response = course->request.response;
    int64_t asked = strake_http_retry_after(&exchange->headers, strake_time_now_us());
    if (asked >= 0 || exchange->status != 429 || response == NULL || response->len <= course->start)
        return asked;
    return strake_http_retry_words(response->data + course->start, response->len - course->start);
}

/* The wait before the next try. @return milliseconds, or -1: the failure or the answer stands. */
static int64_t wait_before_retry(const struct course *course, int rc)
{
    const struct strake_exchange *exchange = &course->exchange;
    bool may_pass = rc == 0 ? strake_http_may_pass(exchange->status)
                            : rc == STRAKE_ENETWORK && exchange->transient && !exchange->delivered;
    bool again = exchange->body_sent && exchange->with_body && course->request.body == NULL &&
                 course->request.rewind == NULL;
    if (!course->request.idempotent || !may_pass || again || course->tries >= STRAKE_HTTP_TRIES)
        return -1;
    int64_t wait = strake_http_backoff(course->tries);
    int64_t asked = rc == 0 ? asked_ms(course) : -1;
    return asked > wait ? asked : wait;
}

static int try_again(struct course *course, int rc, int64_t wait)
{
    struct strake_exchange *exchange = &course->exchange;
    int64_t left = left_ms(exchange);
    bool asked = rc == 0 && asked_ms(course) >= 0;
    bool limited = exchange->deadline_ms != INT64_MAX;
    if (asked && !limited && (left < 0 || left > WAIT_WITHOUT_LIMIT_MS))
        left = WAIT_WITHOUT_LIMIT_MS;
    if (left >= 0 && wait > left) {
        char wish[STRAKE_TIME_TEXT], have[STRAKE_TIME_TEXT];
        if (!asked)
            return rc; /* no time for another try: what there is stands */
        strake_duration_format(wait, wish, sizeof(wish));
        strake_duration_format(left, have, sizeof(have));
        strake_exchange_fail(exchange, course->err, STRAKE_ENETWORK,
                             "status %d, and the server asks to wait %s; %s %s", exchange->status,
                             wish, have, limited ? "are left" : "is the most");
        strake_err_hint(course->err, "try again after that time, or allow more with --timeout");
        return STRAKE_ENETWORK;
    }
    if (wait >= WAIT_TOLD_MS) {
        char wish[STRAKE_TIME_TEXT];
        strake_duration_format(wait, wish, sizeof(wish));
        strake_log(STRAKE_LOG_WARN, "%s answered %d and asks to wait %s", course->url.host,
                   exchange->status, wish);
    }
    strake_log(STRAKE_LOG_DEBUG, "%s %s: status %d, trying again in %lld ms", exchange->method,
               course->url.host, exchange->status, (long long)wait);
    strake_err_dispose(course->err);
    rc = pause_for(course, wait);
    if (rc == 0)
        rc = rewind_body(course);
    if (rc == 0)
        course->retries++;
    return rc;
}

/* ---- all together --------------------------------------------------------------------------- */

static void cut_response(const struct course *course)
{
    struct strake_buf *response = course->request.response;
    if (response != NULL && response->len > course->start) {
        response->len = course->start;
        response->data[course->start] = '\0';
    }
}

static int run(struct course *course)
{
    course->start = course->request.response != NULL ? course->request.response->len : 0;
    for (;;) {
        size_t len = 0;
        strake_exchange_reset(&course->exchange);
        course->tries++;
        int rc = strake_http_exchange(&course->exchange, course->err);
        const char *location = rc == 0 ? redirect_of(course, &len) : NULL;
        if (location != NULL) {
            rc = follow(course, location, len);
            if (rc < 0)
                return rc;
            continue;
        }
        int64_t wait = wait_before_retry(course, rc);
        if (wait < 0)
            return rc;
        int before = course->retries;
        rc = try_again(course, rc, wait);
        if (course->retries == before)
            return rc;
        cut_response(course);
    }
}

/* Into the caller's struct, as much of it as the caller knows. */
static int tell(const struct course *course, struct strake_http_response *response)
{
    const struct strake_exchange *exchange = &course->exchange;
    if (STRAKE_HAS(response, status))
        response->status = exchange->status;
    if (STRAKE_HAS(response, body_bytes))
        response->body_bytes = exchange->body_bytes;
    if (STRAKE_HAS(response, retries))
        response->retries = course->retries;
    if (!STRAKE_HAS(response, headers) || response->headers == NULL)
        return 0;
    return strake_buf_append(response->headers, strake_buf_text(&exchange->headers),
                             exchange->headers.len);
}

int strake_http_request(struct strake_job *job, const struct strake_http_request *request,
                        struct strake_http_response *response, struct strake_err *err)
{
    struct course course = { .err = err };
    memcpy(&course.request, request,
           request->size < sizeof(course.request) ? request->size : sizeof(course.request));
    int rc = begin(&course, job);
    if (rc == 0)
        rc = run(&course);
    int told = response != NULL ? tell(&course, response) : 0;
    if (rc == 0 && told == STRAKE_ETOOBIG)
        rc = strake_exchange_fail(&course.exchange, err, told,
                                  "the headers of the answer are larger than their buffer");
    else if (rc == 0 && told < 0)
        rc = strake_fail_nomem(err);
    strake_buf_dispose(&course.exchange.headers);
    strake_url_dispose(&course.url);
    return rc;
}
