/* The inside of a job, shared by job.c (tree, cancellation, deadline) and job_event.c (what it
 * reports). Nobody else includes it. */
#ifndef STRAKE_UTIL_JOB_IMPL_H
#define STRAKE_UTIL_JOB_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/job.h"

#define STRAKE_JOB_STEP_BUCKETS 64
#define STRAKE_JOB_STEPS_MAX 65536 /**< of further ones no state is kept */

/** What was last told of one step, so that each change is one event. */
struct strake_job_step_state {
    char *id;
    int64_t started_us;   /**< of the last step.started; 0: none yet */
    int64_t completed_us; /**< of the last step.done; 0 while it runs */
    bool cached;          /**< as the last step.done said */
    bool failed;
    bool instruction;          /**< counts as one in strake_job_steps_count() */
    struct strake_buf held[2]; /**< what of stdout and stderr waits for its rest */
    struct strake_job_step_state *next;
};

struct strake_job {
    struct strake_job *parent; /**< lives longer; guarded by the lock of the tree */
    struct strake_bus *bus;    /**< guarded by bus_lock; NULL: what is reported is dropped */
    pthread_rwlock_t bus_lock; /**< held for reading while an event is posted */
    char *target;
    char *scope;   /**< before ids of steps, or NULL; children have it too */
    int cancel_fd; /**< an eventfd */
    atomic_bool cancelled;

    /* Guarded by the lock of the tree, job.c. */
    int64_t deadline_ms; /**< monotonic clock; INT64_MAX: none */
    int64_t limit_ms;    /**< how long that was when it was set, for messages */
    struct strake_job *children;
    struct strake_job *next;
    struct strake_job *prev;

    pthread_mutex_t steps_lock; /**< guards all below */
    struct strake_job_step_state *steps[STRAKE_JOB_STEP_BUCKETS];
    size_t step_count;
    int ended_total; /**< instructions of children that have ended, and those of them cached */
    int ended_cached;
};

/** Post what is still held back, and forget all steps. The end of the job. */
void strake_job_steps_dispose(struct strake_job *job);

#endif
