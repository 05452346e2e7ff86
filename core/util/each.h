/* Several small pieces of work side by side, for what waits on a line: requests, mostly. */
#ifndef STRAKE_UTIL_EACH_H
#define STRAKE_UTIL_EACH_H

#include <stddef.h>

#include "util/err.h"

/** More than this is never used, whatever is asked for. */
#define STRAKE_EACH_THREADS_MAX 8

/** Call work(ctx, i, err) for every i below `count`, in order, several at once: on this thread and up
 *  to `threads` - 1 others. After a failure nothing new is begun. Blocks until all have ended; with
 *  one piece, one thread or no thread to be had, all is done here.
 *  @return 0, or the failure of the lowest i that failed, described in `err` */
int strake_each(size_t count, size_t threads,
                int (*work)(void *ctx, size_t i, struct strake_err *err), void *ctx,
                struct strake_err *err);

#endif
