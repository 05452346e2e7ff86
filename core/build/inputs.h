/* Inputs: what decides the content of a target's image, as digests that a saved plan carries. */
#ifndef STRAKE_BUILD_INPUTS_H
#define STRAKE_BUILD_INPUTS_H

#include "build/plan.h"
#include "build/store.h"

/** How a named context, and a base among the inputs, says that it is a target of the plan. */
#define STRAKE_TARGET_PREFIX "target:"

/** Which base images to look up. */
enum strake_bases {
    STRAKE_BASES_NONE,   /**< offline: names only */
    STRAKE_BASES_TRY,    /**< one that cannot be looked up is a warning */
    STRAKE_BASES_REQUIRE /**< … an error */
};

/** Fill target->inputs: digests of the Dockerfile, the context's files (with `context`), the
 *  options, and the bases. Those of the targets that it is built on come first. Blocks; on a worker
 *  thread when bases are looked up.
 *  @param plan_file where the plan is saved, or NULL: a plan within a context does not change it */
int strake_inputs_compute(const struct strake_plan *plan, struct strake_plan_target *target,
                          struct strake_stores *stores, enum strake_bases bases, bool context,
                          const char *plan_file, struct strake_job *job, struct strake_err *err);

/** The digest over all parts anew, after bases of it or of a target that it is built on became
 *  known. */
int strake_inputs_seal(const struct strake_plan *plan, struct strake_plan_target *target,
                       struct strake_err *err);

/** Of a target whose Dockerfile is elsewhere: look the bases up that an earlier build told of (name
 *  -> digest, the names count), and seal. Blocks; on a worker thread when bases are looked up. */
int strake_inputs_look_up(const struct strake_plan *plan, struct strake_plan_target *target,
                          const struct strake_pairs *known, struct strake_stores *stores,
                          enum strake_bases bases, struct strake_job *job, struct strake_err *err);

/* ---- inputs_compare.c ---- */

/** Why the same inputs may make another image: a text of the caller's, or *why NULL when they
 *  cannot. @return 0 or STRAKE_ENOMEM */
int strake_inputs_doubt(const struct strake_plan_inputs *inputs, char **why);

/** The parts that a plan's document shows (`input_parts`), a new reference; NULL: no memory. */
json_t *strake_inputs_json(const struct strake_plan_inputs *inputs);

/** What differs, for people ("the Dockerfile, files of the context"), appended. */
int strake_inputs_differences(const struct strake_plan_inputs *saved,
                              const struct strake_plan_inputs *now, struct strake_buf *out);
/** STRAKE_ESTALE naming each part that differs; 0 when nothing does. */
int strake_inputs_compare(const struct strake_plan_target *target,
                          const struct strake_plan_inputs *saved,
                          const struct strake_plan_inputs *now, struct strake_err *err);

#endif
