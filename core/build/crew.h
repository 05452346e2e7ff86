/* Pieces of one kind, several at once: the blobs of an image, the manifests of an index. */
#ifndef STRAKE_BUILD_CREW_H
#define STRAKE_BUILD_CREW_H

#include "util/job.h"

struct strake_crew {
    size_t begin; /**< the first piece */
    size_t end;   /**< and the one after the last */
    size_t width; /**< so many at once, 16 at most; 1: in their order */
    /** Do piece `at`. Called on several threads; `job` is cancelled once another piece has failed.
     *  @return 0, or a code, described */
    int (*run)(void *ctx, size_t at, struct strake_job *job, struct strake_err *err);
    void *ctx;
};

/** Do them all, and wait for what runs. Blocks; the caller's thread works too.
 *  @return 0, or the first failure: no piece is begun after it. STRAKE_ENOMEM */
int strake_crew_run(const struct strake_crew *crew, struct strake_job *job, struct strake_err *err);

#endif
