/* HTTP on libcurl, which is loaded when the first request is made. Pooled easy handles keep their
 * connections; DNS and TLS sessions are shared. */
#ifndef STRAKE_UTIL_HTTP_H
#define STRAKE_UTIL_HTTP_H

#include "strake/plugin.h"
#include "util/err.h"
#include "util/job.h"

/** What plugin.h says of http_request(). Blocks; any thread. `job` may be NULL.
 *
 *  http and https only; plain http only to loopback unless `plain_http`. Proxy variables are
 *  honoured. TLS is verified. A redirect to another host keeps harmless headers only (Accept, Range
 *  and the like: no Authorization, Cookie or header that it does not know), one from https to http
 *  is refused, one of anything but GET and HEAD to another host is refused.
 *
 *  Tried again when `idempotent`: 408, 429, 5xx but 501, a reset or refused connection, 5 times at
 *  most in all, after Retry-After (an error naming it when longer than the time left, or than a
 *  minute when there is no limit) or a backoff with jitter. Never once bytes went to `write`.
 *
 *  Time: `timeout_ms` is for all of it, 0 is no limit. A connection has 10 s to come about, and
 * ends when nothing moves for 30 s (5 min while the server stores a body).
 *
 *  Bounds: an answer of 2xx over `max_bytes`, or over what `response` takes, is STRAKE_ETOOBIG;
 * what is said with another status is cut there, or at 1 MiB, and is a result. Headers: 256 KiB.
 *  Content-Encoding is never asked for: an answer for `response` that has one is STRAKE_ECORRUPT, a
 *  streamed one goes on as it came, for its receiver checks a digest.
 *
 *  Messages begin "GET https://host/path: ", without credentials and unknown query values.
 *
 *  @return as in plugin.h, and STRAKE_EUSAGE (a URL, method or header that is none), STRAKE_ECONFIG
 *          (plain http to another machine, an authority that cannot be read), STRAKE_EREGISTRY (a
 *          redirect that is refused), STRAKE_ECORRUPT, STRAKE_EIO (`read` gave too little). */
int strake_http_request(struct strake_job *job, const struct strake_http_request *request,
                        struct strake_http_response *response, struct strake_err *err);

/** One header's value from the lines of strake_http_response.headers, from `*pos` on (start with
 * 0), so that repeated headers can be walked. Name in lower case. @return borrowed text and its
 * length through `len`, or NULL. */
const char *strake_http_header(const struct strake_buf *headers, const char *name, size_t *pos,
                               size_t *len);

/** "Sun, 06 Nov 1994 08:49:37 GMT", the one form of a date that may be sent today.
 *  @return seconds since the epoch, or -1 for anything else */
int64_t strake_http_date(const char *text, size_t len);

/** Load libcurl now, on this thread: commands that will need it do so while something else runs.
 *  @return 0 or STRAKE_EINTERNAL naming the library. */
int strake_http_warm(struct strake_err *err);
/** Close what is pooled (end of the program, tests). */
void strake_http_reset(void);

#endif
