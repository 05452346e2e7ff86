/* The bytes of one exchange: headers and body of the answer, body of the request, with their
 * bounds. Knows nothing of libcurl. */
#include <string.h>
#include <strings.h>

#include "util/http_impl.h"
#include "util/time.h"

/* A connection on which nothing moves is dead after this. A server that has taken a large body may
 * need longer to store it. */
#define STALL_MS 30000
#define STALL_AFTER_BODY_MS 300000

void strake_exchange_name(const struct strake_exchange *exchange, struct strake_err *err)
{
    struct strake_buf shown = STRAKE_BUF(2048);
    bool whole = strake_url_show(exchange->url, &shown) == 0;
    strake_err_prefix(err, "%s %s: ", exchange->method,
                      whole ? strake_buf_text(&shown) : exchange->url->host);
    strake_buf_dispose(&shown);
}

int strake_exchange_fail(const struct strake_exchange *exchange, struct strake_err *err, int code,
                         const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    strake_vfail(err, code, fmt, args);
    va_end(args);
    strake_exchange_name(exchange, err);
    return code;
}

void strake_exchange_reset(struct strake_exchange *exchange)
{
    exchange->status = 0;
    strake_buf_clear(&exchange->headers);
    exchange->body_bytes = 0;
    exchange->delivered = false;
    exchange->transient = false;
}

void strake_transfer_begin(struct strake_transfer *transfer, struct strake_exchange *exchange,
                           struct strake_err *err)
{
    const struct strake_buf *response = exchange->request->response;
    *transfer = (struct strake_transfer){
        .exchange = exchange,
        .err = err,
        .limit = INT64_MAX,
        .response_start = response != NULL ? response->len : 0,
        .started_at = strake_time_mono_ms(),
        .moved_at = strake_time_mono_ms(),
    };
}

void strake_transfer_undo(struct strake_transfer *transfer)
{
    struct strake_buf *response = transfer->exchange->request->response;
    if (response != NULL && response->len > transfer->response_start) {
        response->len = transfer->response_start;
        response->data[response->len] = '\0';
    }
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

/* ---- the answer ----------------------------------------------------------------------------- */

bool strake_transfer_header(struct strake_transfer *transfer, const char *line, size_t len)
{
    struct strake_exchange *exchange = transfer->exchange;
    transfer->moved_at = strake_time_mono_ms();
    int status = strake_http_status(line, len);
    if (status != 0) {
        exchange->status = status;
        transfer->in_headers = true;
    }
    if (!transfer->in_headers)
        return true; /* a trailer */
    if (len == 0 || line[0] == '\r' || line[0] == '\n')
        transfer->in_headers = false;
    int rc = strake_http_add_header(&exchange->headers, line, len);
    if (rc == STRAKE_ETOOBIG)
        transfer->rc = strake_exchange_fail(exchange, transfer->err, rc,
                                            "the headers of the answer are larger than %zu KiB",
                                            STRAKE_HTTP_HEADERS_MAX / 1024);
    else if (rc < 0)
        transfer->rc = strake_fail_nomem(transfer->err);
    return rc == 0;
}

/* Where the answer's body goes, and how much of it may come. */
static void choose_sink(struct strake_transfer *transfer)
{
    const struct strake_http_request *request = transfer->exchange->request;
    int status = transfer->exchange->status;
    transfer->limit = request->max_bytes > 0 ? request->max_bytes : INT64_MAX;
    bool dropped = transfer->exchange->drop_redirects && status >= 300 && status <= 399;
    if (is_success(status) && request->write != NULL) {
        transfer->sink = STRAKE_SINK_WRITE;
    } else if (request->response != NULL && !dropped) {
        const struct strake_buf *into = request->response;
        size_t max = into->max != 0 ? into->max : STRAKE_BUF_MAX;
        size_t room = max > transfer->response_start ? max - transfer->response_start : 0;
        transfer->sink = STRAKE_SINK_BUFFER;
        transfer->limit = (int64_t)room < transfer->limit ? (int64_t)room : transfer->limit;
    } else {
        transfer->sink = STRAKE_SINK_NONE;
    }
}

/* Words about a failure are for reading, and some bodies are nobody's: what is too long there is
 * cut, and is no failure itself. */
static bool may_be_cut(const struct strake_transfer *transfer)
{
    return transfer->sink == STRAKE_SINK_NONE || !is_success(transfer->exchange->status);
}

static int too_big(struct strake_transfer *transfer)
{
    char limit[STRAKE_TIME_TEXT];
    strake_size_format(transfer->limit, limit, sizeof(limit));
    return strake_exchange_fail(transfer->exchange, transfer->err, STRAKE_ETOOBIG,
                                "the answer is larger than %s", limit);
}

/* A coding was never asked for. Streamed bytes go on as they are: their receivers check a digest,
 * and servers do call a .tar.gz "gzip". For an answer to be read there is no such check. */
static int check_coding(struct strake_transfer *transfer)
{
    const struct strake_exchange *exchange = transfer->exchange;
    size_t pos = 0, len = 0;
    const char *coding = strake_http_header(&exchange->headers, "content-encoding", &pos, &len);
    if (transfer->sink != STRAKE_SINK_BUFFER || !is_success(exchange->status) || coding == NULL ||
        len == 0 || (len == 8 && strncasecmp(coding, "identity", 8) == 0))
        return 0;
    return strake_exchange_fail(exchange, transfer->err, STRAKE_ECORRUPT,
                                "the answer came with Content-Encoding %.*s, not asked for",
                                len < 32 ? (int)len : 32, coding);
}

/* What Content-Length announces, or -1. Only used to refuse early: the bytes are counted anyway. */
static int64_t announced_length(const struct strake_transfer *transfer)
{
    size_t pos = 0, len = 0;
    const char *text =
        strake_http_header(&transfer->exchange->headers, "content-length", &pos, &len);
    if (text == NULL || len == 0 || len > 18)
        return -1;
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int begin_body(struct strake_transfer *transfer)
{
    choose_sink(transfer);
    int rc = check_coding(transfer);
    if (rc < 0)
        return rc;
    if (may_be_cut(transfer)) {
        if (transfer->limit > STRAKE_HTTP_DROP_MAX)
            transfer->limit = STRAKE_HTTP_DROP_MAX;
        return 0;
    }
    return announced_length(transfer) > transfer->limit ? too_big(transfer) : 0;
}

static int deliver(struct strake_transfer *transfer, const char *data, size_t len)
{
    struct strake_exchange *exchange = transfer->exchange;
    const struct strake_http_request *request = exchange->request;
    int rc = 0;
    if (transfer->sink == STRAKE_SINK_WRITE) {
        exchange->delivered = true;
        rc = request->write(request->ctx, data, len);
        if (rc < 0 && transfer->err->code == 0)
            strake_exchange_fail(exchange, transfer->err, rc, "the answer was not taken");
    } else if (transfer->sink == STRAKE_SINK_BUFFER) {
        rc = strake_buf_append(request->response, data, len);
        if (rc < 0)
            rc = rc == STRAKE_ETOOBIG ? too_big(transfer) : strake_fail_nomem(transfer->err);
    }
    return rc;
}

bool strake_transfer_body(struct strake_transfer *transfer, const char *data, size_t len)
{
    struct strake_exchange *exchange = transfer->exchange;
    transfer->moved_at = strake_time_mono_ms();
    if (transfer->sink == STRAKE_SINK_UNDECIDED)
        transfer->rc = begin_body(transfer);
    if (transfer->rc < 0)
        return false;
    if ((int64_t)len > transfer->limit - exchange->body_bytes) {
        if (!may_be_cut(transfer)) {
            transfer->rc = too_big(transfer);
            return false;
        }
        transfer->enough = true;
        len = (size_t)(transfer->limit - exchange->body_bytes);
    }
    transfer->rc = len > 0 ? deliver(transfer, data, len) : 0;
    if (transfer->rc < 0)
        return false;
    exchange->body_bytes += (int64_t)len;
    return !transfer->enough;
}

/* ---- the request's body --------------------------------------------------------------------- */

int64_t strake_transfer_read(struct strake_transfer *transfer, char *data, size_t cap)
{
    struct strake_exchange *exchange = transfer->exchange;
    const struct strake_http_request *request = exchange->request;
    size_t left = request->body_len - transfer->body_at;
    cap = left < cap ? left : cap;
    if (cap == 0)
        return 0;
    transfer->moved_at = strake_time_mono_ms();
    exchange->body_sent = true;
    if (request->body != NULL) {
        memcpy(data, (const char *)request->body + transfer->body_at, cap);
        transfer->body_at += cap;
        return (int64_t)cap;
    }
    int64_t got = request->read(request->ctx, data, cap);
    if (got > 0 && (uint64_t)got <= cap) {
        transfer->body_at += (size_t)got;
        return got;
    }
    if (got < 0) {
        transfer->rc = (int)got;
        if (transfer->err->code == 0)
            strake_exchange_fail(exchange, transfer->err, transfer->rc,
                                 "the body to send could not be read");
    } else {
        transfer->rc = strake_exchange_fail(exchange, transfer->err, STRAKE_EIO,
                                            "the body to send ended after %zu of %zu bytes",
                                            transfer->body_at, request->body_len);
    }
    return -1;
}

bool strake_transfer_rewind(struct strake_transfer *transfer)
{
    struct strake_exchange *exchange = transfer->exchange;
    const struct strake_http_request *request = exchange->request;
    if (request->body == NULL && exchange->body_sent) {
        int rc = request->rewind != NULL ? request->rewind(request->ctx) : STRAKE_ENETWORK;
        if (rc < 0) {
            transfer->rc = rc;
            if (transfer->err->code == 0)
                strake_exchange_fail(exchange, transfer->err, rc,
                                     "the connection broke, and the body cannot be sent again");
            return false;
        }
    }
    transfer->body_at = 0;
    exchange->body_sent = false;
    return true;
}

int64_t strake_transfer_stalls_at(const struct strake_transfer *transfer)
{
    const struct strake_http_request *request = transfer->exchange->request;
    bool storing = transfer->exchange->with_body && request->body_len > 0 &&
                   transfer->body_at == request->body_len && transfer->exchange->status < 200;
    return transfer->moved_at + (storing ? STALL_AFTER_BODY_MS : STALL_MS);
}
