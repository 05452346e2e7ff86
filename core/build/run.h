/* Running a plan: targets as a graph, several at once, each built by its builder and staged by
 * digest. No tag moves here. */
#ifndef STRAKE_BUILD_RUN_H
#define STRAKE_BUILD_RUN_H

#include "build/plan.h"
#include "build/store.h"

struct strake_run_options {
    enum strake_output output;
    const char *output_type; /**< STRAKE_OUTPUT_FILE: oci docker local tar */
    const char *output_dest;
    int jobs; /**< targets at once; 0: as many as the builders have slots */
    bool keep_going;
};

struct strake_target_result {
    char *name;
    const char *status;              /**< done unchanged failed skipped cancelled */
    bool unchanged;                  /**< not built: the image of an earlier run is taken again */
    char digest[STRAKE_DIGEST_TEXT]; /**< "" when nothing was staged */
    char *media_type;
    char *image;                   /**< repository that it is staged in, or "" */
    struct strake_pairs platforms; /**< platform -> digest, staged images only */
    int steps_total;
    int steps_cached;
    int64_t duration_ms;
    char *builder; /**< or several: "amd, arm" */
    struct strake_err err;
};

struct strake_run_result {
    struct strake_target_result *targets; /**< one a target of the plan, in its order */
    size_t count;
};

/** Build. Blocks; on a worker thread. Events go through `job`.
 *  @return 0 when every target is done; else the code of the first failure (STRAKE_EPARTIAL with
 *          keep_going when others were done), `err` filled; `out` is filled either way. */
int strake_run_plan(const struct strake_plan *plan, const struct strake_run_options *options,
                    struct strake_stores *stores, struct strake_job *job,
                    struct strake_run_result *out, struct strake_err *err);
void strake_run_result_dispose(struct strake_run_result *result);
/** One entry of `strake.build/1`'s targets; a new reference. */
json_t *strake_target_result_json(const struct strake_target_result *result);

#endif
