/* strake doctor: is everything there that the builds here need, and does it answer? Each question is
 * a probe on a thread of its own with a bound, so that twenty builders of which ten hang take as
 * long as one that hangs. */
#ifndef STRAKE_DOCTOR_DOCTOR_H
#define STRAKE_DOCTOR_DOCTOR_H

#include <jansson.h>

#include "build/store.h"
#include "project/project.h"
#include "util/job.h"

/** What is examined. */
struct strake_doctor {
    const struct strake_project *project; /**< NULL: the Lua files could not be read */
    const struct strake_err *lua_failure; /**< why */
    struct strake_stores *stores;         /**< NULL without a project */
    int64_t bound_ms;                     /**< of each probe */
    bool send;                            /**< a real message goes through each notifier */
};

#define STRAKE_DOCTOR_BOUND_MS 3000

/** Ask everything at once and wait for all of it. Blocks; a worker thread.
 *  @param checks an array of the checks of docs/interfaces.md, `doctor`, appended to in the order
 *                of the files, whatever came back first
 *  @param exit   of what failed worst: 9 a builder, 8 a registry, 7 anything else, 3 a Lua file; 0: nothing
 *  @return 0, also when something failed; STRAKE_ECANCELLED, STRAKE_ENOMEM */
int strake_doctor_examine(const struct strake_doctor *doctor, struct strake_job *job,
                          json_t *checks, int *exit, struct strake_err *err);

#endif
