/* How far a copy is, told as one step: bytes of blobs, of those that are known so far. Any thread. */
#ifndef STRAKE_BUILD_COPY_PROGRESS_H
#define STRAKE_BUILD_COPY_PROGRESS_H

#include <pthread.h>

#include "util/job.h"

struct strake_copy_progress {
    const char *name; /**< NULL: nothing is told */
    struct strake_job *job;
    pthread_mutex_t lock; /**< guards all below */
    int64_t current_bytes, total_bytes;
    int64_t started_us, told_us;
};

/** `name` and `job` are borrowed until strake_copy_progress_end(). */
void strake_copy_progress_begin(struct strake_copy_progress *progress, const char *name,
                                struct strake_job *job);
/** So much is to come besides. */
void strake_copy_progress_expect(struct strake_copy_progress *progress, int64_t bytes);
/** So much is done; negative: it is done once more. Told ten times a second at most. */
void strake_copy_progress_moved(void *progress, int64_t bytes);
/** `error` NULL: it is done. */
void strake_copy_progress_end(struct strake_copy_progress *progress, const char *error);

#endif
