/* Would it rebuild? What a build would make now, compared with the last published image of each
 * target; and that image taken again where nothing changed. */
#ifndef STRAKE_BUILD_REUSE_H
#define STRAKE_BUILD_REUSE_H

#include "build/run.h"
#include "record/record.h"

/** Fill `past` of every target, whose inputs are computed. The bases of a Dockerfile that is
 *  elsewhere are those of the last build of it, looked up now. Blocks; on a worker thread.
 *  @param record NULL: nothing is known of earlier runs
 *  @return 0, STRAKE_ENOMEM, STRAKE_ECANCELLED, or the history's failure */
int strake_reuse_find(struct strake_plan *plan, struct strake_record *record,
                      struct strake_stores *stores, struct strake_job *job, struct strake_err *err);

/** Is the target unchanged, and its image still in the registry? Then `result` is filled from the
 *  record, and nothing is to be built. That the registry lost it is told by an event of `job`.
 *  Blocks; on a worker thread.
 *  @return 1: it is; 0: it is to be built; STRAKE_ECANCELLED, STRAKE_ENOMEM */
int strake_reuse_image(const struct strake_plan_target *target, struct strake_stores *stores,
                       struct strake_job *job, struct strake_target_result *result);

/** Keep what made each image that a build has just made. The bases' digests are taken from the
 *  steps of `run`, which are what was really used. Targets whose inputs do not say what they will
 *  be are left out.
 *  @param result `strake.build/1`'s targets, in the order of the plan */
int strake_reuse_remember(struct strake_plan *plan, struct strake_record *record, const char *run,
                          const json_t *result, struct strake_err *err);

#endif
