/* The inside of HTTP, shared by http.c (one exchange on libcurl), http_request.c (redirects and
 * retries), http_header.c and http_retry.c. Nobody else but their tests includes it. */
#ifndef STRAKE_UTIL_HTTP_IMPL_H
#define STRAKE_UTIL_HTTP_IMPL_H

#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/http.h"
#include "util/http_url.h"
#include "util/job.h"

#define STRAKE_HTTP_HEADERS_MAX ((size_t)256 * 1024)
#define STRAKE_HTTP_TRIES 5
/** What is read of an answer that nobody keeps, so that its connection can be used again. */
#define STRAKE_HTTP_DROP_MAX ((int64_t)1024 * 1024)

/** One request and its answer, without redirects and retries. */
struct strake_exchange {
    /* asked */
    const struct strake_http_request *request;
    const char *method;
    const struct strake_url *url;
    bool with_body;
    bool foreign;        /**< redirected to another host: only harmless headers go along */
    bool drop_redirects; /**< the body of a 3xx answer is nobody's */
    int64_t deadline_ms; /**< monotonic clock; INT64_MAX: none */
    int64_t limit_ms;    /**< how long that was, for messages */
    struct strake_job *job;

    /* answered */
    int status; /**< 0: no answer */
    struct strake_buf headers;
    int64_t body_bytes;
    bool body_sent; /**< the request's body was read, at least in part */
    bool delivered; /**< bytes went to the caller's `write` */
    bool transient; /**< it failed in a way that may pass */
};

/** Make the exchange. @return as strake_http_request(). `response` of the request is cut back to
 *  what it held before when the exchange fails. */
int strake_http_exchange(struct strake_exchange *exchange, struct strake_err *err);
/** Empty what was answered, for another try. */
void strake_exchange_reset(struct strake_exchange *exchange);

/** Put "GET https://host/path: " before a message. */
void strake_exchange_name(const struct strake_exchange *exchange, struct strake_err *err);
/** Describe a failure, and name the exchange before it. @return code */
int strake_exchange_fail(const struct strake_exchange *exchange, struct strake_err *err, int code,
                         const char *fmt, ...) STRAKE_PRINTF(4, 5);

enum strake_sink { STRAKE_SINK_UNDECIDED, STRAKE_SINK_NONE, STRAKE_SINK_WRITE, STRAKE_SINK_BUFFER };

/** An exchange while its bytes move: what the callbacks of the transport work on. */
struct strake_transfer {
    struct strake_exchange *exchange;
    struct strake_err *err;
    int rc;      /**< why one of the functions below ended it */
    bool enough; /**< it was ended because the rest of the answer is nobody's */
    bool in_headers;
    enum strake_sink sink;
    int64_t limit;         /**< bytes of the answer; INT64_MAX: none */
    size_t response_start; /**< what the response buffer held before */
    size_t body_at;        /**< bytes of the request's body given so far */
    int64_t started_at;    /**< monotonic milliseconds */
    int64_t moved_at;      /**< the same, when something last moved */
};

void strake_transfer_begin(struct strake_transfer *transfer, struct strake_exchange *exchange,
                           struct strake_err *err);
/** A line of the answer's headers. @return false: end it. */
bool strake_transfer_header(struct strake_transfer *transfer, const char *line, size_t len);
/** Bytes of the answer's body. @return false: end it. */
bool strake_transfer_body(struct strake_transfer *transfer, const char *data, size_t len);
/** The next bytes of the request's body. @return how many, 0 at its end, negative: end it. */
int64_t strake_transfer_read(struct strake_transfer *transfer, char *data, size_t cap);
/** Back to the start of the request's body. @return false: it cannot be sent again. */
bool strake_transfer_rewind(struct strake_transfer *transfer);
/** When it counts as dead, if nothing moves until then; monotonic milliseconds. */
int64_t strake_transfer_stalls_at(const struct strake_transfer *transfer);
/** It failed: take back what the response buffer got. */
void strake_transfer_undo(struct strake_transfer *transfer);

/** Append one line as libcurl gives it ("Name: value\r\n") in the form of http.h. A status line
 *  begins anew, lines that are no headers are passed over, continuation lines are joined.
 *  @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int strake_http_add_header(struct strake_buf *headers, const char *line, size_t len);
/** The status of a line "HTTP/1.1 200 OK", or 0: it is none. */
int strake_http_status(const char *line, size_t len);
/** May these go out: method and names are tokens, values hold no line ends or NUL.
 *  @return 0 or STRAKE_EUSAGE naming the one at fault, never its value. */
int strake_http_check_headers(const struct strake_http_request *request, struct strake_err *err);
/** Does a header go along to another host than the caller named? */
bool strake_http_is_harmless(const char *name);

/** Is this a status that may be another one a moment later? */
bool strake_http_may_pass(int status);
/** Milliseconds that Retry-After asks for ("120" or a date, against now_us), or -1. */
int64_t strake_http_retry_after(const struct strake_buf *headers, int64_t now_us);
/** The same from the words of a refusal, where some registries put it as a Go duration: "retry-after:
 *  35.8µs". What is shorter than a millisecond counts as one. -1: they do not say. */
int64_t strake_http_retry_words(const char *text, size_t len);
/** Milliseconds before try number `tries` + 1: doubling, with jitter. */
int64_t strake_http_backoff(int tries);

#endif
