/* Threads for what blocks: our own, because libuv's pool of four would starve. */
#ifndef STRAKE_UTIL_WORK_H
#define STRAKE_UTIL_WORK_H

#include <uv.h>

#include "util/err.h"
#include "util/job.h"

/** A queue of results for one loop. */
struct strake_work;

/** @return NULL: no memory. Loop's thread, as free and start. `free` waits for idle threads only:
 *  those that are still out (a plugin that never returns) keep what they need alive, and no `done`
 *  is called any more. It closes a handle: the loop must turn once more before it is closed. */
struct strake_work *strake_work_new(uv_loop_t *loop);
void strake_work_free(struct strake_work *work);

/** Run `run(ctx)` on a thread, then `done(ctx, rc)` on the loop's thread. Idle threads are used
 *  again; at most 64 run, more wait in line. `ctx` is the callee's until `done`. While a piece of
 *  work is out the loop stays alive.
 *  @return 0 or STRAKE_ENOMEM (done is not called then). */
int strake_work_start(struct strake_work *work, int (*run)(void *ctx),
                      void (*done)(void *ctx, int rc), void *ctx);

/** Run `run(ctx)` on a thread and wait for it, on any thread: `timeout_ms` at most (-1: without a
 *  limit), and once `job` (may be NULL) is cancelled `grace_ms` more. Idle threads are used again.
 *  @return its result, or STRAKE_ETIMEOUT: the thread is left behind, and so is `ctx`: `drop(ctx)`
 *  (may be NULL) is called when it does come back (util/thread.h counts it); or STRAKE_ENOMEM: it
 *  was not run. A `run` that uses these codes itself tells them apart through `ctx`. */
int strake_work_call(int (*run)(void *ctx), void (*drop)(void *ctx), void *ctx,
                     const struct strake_job *job, int64_t timeout_ms, int64_t grace_ms);

/** Let the threads go that wait for the next strake_work_call(): the end of the program. */
void strake_work_call_end(void);

#endif
