/* Programs: run without a shell, in a group of their own, with a deadline and cancellation.
 * posix_spawn and a pidfd on the caller's thread: no loop is needed, nothing is forked twice. */
#ifndef STRAKE_UTIL_PROCESS_H
#define STRAKE_UTIL_PROCESS_H

#include "strake/plugin.h"
#include "util/err.h"
#include "util/job.h"

/** Run to its end. Blocks; any thread. `job` may be NULL. What plugin.h says of process_run().
 *  Every descriptor of ours but those asked for is closed in the child. */
int strake_process_run(struct strake_job *job, const struct strake_process *process,
                       struct strake_process_result *result, struct strake_err *err);

/** Run and keep what it prints on stdout (and on stderr, when `errors` is not NULL).
 *  @return as above; an exit code other than 0 is a result too, in `result`. */
int strake_process_capture(struct strake_job *job, const char *const *argv, const char *cwd,
                           struct strake_buf *output, struct strake_buf *errors, int64_t timeout_ms,
                           struct strake_process_result *result, struct strake_err *err);

/** Absolute path of a program on PATH, the caller's; NULL when there is none (or no memory). A name
 *  with a slash is itself. Relative and empty elements of PATH are passed over. */
char *strake_process_which(const char *program);

/** Send `signal` to the groups of all children that run now or are being started.
 * Async-signal-safe: for the second Ctrl-C. It waits for nothing. */
void strake_process_kill_all(int signal);

#endif
