/* Connecting to an address within a time, for what only wants to know whether somebody is there. */
#ifndef STRAKE_UTIL_DIAL_H
#define STRAKE_UTIL_DIAL_H

#include "util/err.h"
#include "util/job.h"

/** Connect to the first address of a name that takes it, asked all at once. Blocks for `timeout_ms`
 *  at most, less when `job` (may be NULL) is cancelled or ends; any thread.
 *  @param host a name or an address, IPv6 without brackets
 *  @param fd   a non-blocking socket of the caller's
 *  @return 0, STRAKE_ENETWORK: nobody there, STRAKE_ETIMEOUT, STRAKE_ECANCELLED, STRAKE_ENOMEM */
int strake_dial_tcp(const char *host, const char *port, const struct strake_job *job,
                    int64_t timeout_ms, int *fd, struct strake_err *err);
/** The same for a socket in the file system. */
int strake_dial_unix(const char *path, int *fd, struct strake_err *err);

/** Wait until `fd` is ready for `events` (POLLIN, POLLOUT), until the monotonic time `until_ms`, or
 *  until the job is cancelled. @return 0, STRAKE_ETIMEOUT, STRAKE_ECANCELLED; nothing is said */
int strake_dial_wait(int fd, short events, const struct strake_job *job, int64_t until_ms);

/** The host and port of "tcp://HOST:PORT", "https://HOST[:PORT]/…" or "HOST[:PORT]"; `usual` is the
 *  port where none is said, NULL: one must be. False: it is none. */
bool strake_dial_parse(const char *address, const char *usual, char *host, size_t host_cap,
                       char port[6]);

#endif
