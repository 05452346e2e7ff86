/* HTTP on libcurl, which is loaded when the first request is made. Pooled easy handles keep their
 * connections; DNS and TLS sessions are shared. */
#ifndef STRAKE_UTIL_HTTP_H
#define STRAKE_UTIL_HTTP_H

#include "strake/plugin.h"
#include "util/err.h"
#include "util/job.h"

/** What plugin.h says of http_request(). Blocks; any thread. `job` may be NULL.
 *  http and https only; plain http only to loopback unless `plain_http`. Proxy variables are
 *  honoured. TLS is verified. A redirect to another host drops Authorization and Cookie, one from
 *  https to http is refused, one of a PUT or POST to another host is refused. Tried again when
 *  `idempotent`: 408, 429, 5xx, a reset or refused connection, 5 times at most in all, after
 *  Retry-After (an error naming it when longer than the time left) or a backoff with jitter. */
int strake_http_request(struct strake_job *job, const struct strake_http_request *request,
                        struct strake_http_response *response, struct strake_err *err);

/** One header's value from the lines of strake_http_response.headers, from `*pos` on (start with 0),
 *  so that repeated headers can be walked. Name in lower case. @return borrowed text and its length
 *  through `len`, or NULL. */
const char *strake_http_header(const struct strake_buf *headers, const char *name, size_t *pos,
                               size_t *len);

/** Load libcurl now, on this thread: commands that will need it do so while something else runs.
 *  @return 0 or STRAKE_EINTERNAL naming the library. */
int strake_http_warm(struct strake_err *err);
/** Close what is pooled (end of the program, tests). */
void strake_http_reset(void);

#endif
