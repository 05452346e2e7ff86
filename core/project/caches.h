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

/** Remove what the wish says, and tell it as `strake.cache-prune/1`. Blocks; on a worker thread.
 *  @return 0; the code of the first failure, told in its entry and in `err`, the rest done; *doc is
 *          there in both cases, but not after STRAKE_ENOMEM or STRAKE_ECANCELLED. */
int strake_caches_prune(const struct strake_plan *plan, struct strake_stores *stores,
                        const struct strake_caches_wish *wish, struct strake_job *job, json_t **doc,
                        struct strake_err *err);

/* ---- within the room ---- */

/** Say in an entry that it could not be asked: "status" and "error". Disposes of `failure`.
 *  @return 0 or STRAKE_ENOMEM */
int strake_caches_set_failure(json_t *shown, struct strake_err *failure);
/** Add {"builder","plugin","status",…} for each builder of the plan to `list`: what it keeps, or
 *  with `prune` what it let go of. */
int strake_caches_add_builders(const struct strake_plan *plan,
                               const struct strake_caches_wish *wish, bool prune,
                               struct strake_job *job, json_t *list, struct strake_err *err);

/** caches_places.c: add {"target","type","place","uses":["import","export"]} for each cache of the
 *  plan's targets, and those of other branches beside them, to `list`. */
int strake_caches_add_places(const struct strake_plan *plan, struct strake_stores *stores,
                             struct strake_job *job, json_t *list, struct strake_err *err);
/** caches_plugins.c: add what plugins that have added a type hold, or with `prune` let go of. */
int strake_caches_add_plugins(const struct strake_plan *plan, const struct strake_caches_wish *wish,
                              bool prune, struct strake_job *job, json_t *list,
                              struct strake_err *err);
/** Is an entry's "created" longer ago than that? What does not say it is not known to be old. */
bool strake_caches_is_old(const json_t *entry, int64_t older_ms);
/** caches_look.c: say in an entry what is there: "status", "size_bytes", "created". "ok" is a cache
 *  of BuildKit's, "image" something else. @return 0 or STRAKE_ENOMEM */
int strake_caches_look(json_t *entry, struct strake_stores *stores, struct strake_job *job);

#endif
