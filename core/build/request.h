/* From a target of a plan to what a builder is asked: one place, so that the command that a plan
 * shows is the one that runs. */
#ifndef STRAKE_BUILD_REQUEST_H
#define STRAKE_BUILD_REQUEST_H

#include "build/plan.h"
#include "build/store.h"

/** A request and what it points to. */
struct strake_request {
    struct strake_build_request request;
    struct strake_build_secret *secrets;
    const struct strake_build_secret **secret_list;
};

/** Fill from `target`, which must live longer; `contexts` are its named contexts as the builder
 *  shall see them. With STRAKE_OUTPUT_STAGE the image is the target's first repository.
 *  @return 0, STRAKE_EUSAGE when there is no image to stage, STRAKE_ENOMEM. */
int strake_request_make(struct strake_request *out, const struct strake_plan_target *target,
                        const struct strake_pairs *contexts, enum strake_output output,
                        const struct strake_stores *stores, struct strake_err *err);
void strake_request_dispose(struct strake_request *request);

#endif
