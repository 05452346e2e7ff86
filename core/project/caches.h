/* `strake cache show` and `cache prune`: what builders keep, and the caches that targets write to
 * registries and folders. */
#ifndef STRAKE_PROJECT_CACHES_H
#define STRAKE_PROJECT_CACHES_H

#include "build/plan.h"
#include "build/store.h"
#include "util/job.h"

/** What is looked at, and what may go. */
struct strake_caches_wish {
    bool builders;       /**< what the builders of the plan keep */
    bool targets;        /**< what its targets export and import */
    const char *builder; /**< only this one, or NULL */
    int64_t older_ms;    /**< prune: not used for so long; 0: at any time */
    int64_t keep_bytes;  /**< prune: until so much is left; -1: all of it */
    bool dry_run;        /**< prune: say it, and leave it */
};

/** What there is, as `strake.cache/1`. Blocks; on a worker thread. What cannot be asked is told in
 *  its entry. @return 0 and a new reference, STRAKE_ENOMEM, STRAKE_ECANCELLED. */
int strake_caches_show(const struct strake_plan *plan, struct strake_stores *stores,
                       const struct strake_caches_wish *wish, struct strake_job *job, json_t **doc,
                       struct strake_err *err);

/* ---- within the room ---- */

/** Say in an entry that it could not be asked: "status" and "error". Disposes of `failure`.
 *  @return 0 or STRAKE_ENOMEM */
int strake_caches_set_failure(json_t *shown, struct strake_err *failure);
/** Add {"builder","plugin","status",…} for each builder of the plan to `list`. */
int strake_caches_show_builders(const struct strake_plan *plan,
                                const struct strake_caches_wish *wish, struct strake_job *job,
                                json_t *list, struct strake_err *err);

#endif
