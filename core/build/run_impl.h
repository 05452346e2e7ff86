/* One target while it is built: what run_target.c (the whole), part.c (one builder's share), merge.c
 * and run.c share. */
#ifndef STRAKE_BUILD_RUN_IMPL_H
#define STRAKE_BUILD_RUN_IMPL_H

#include <pthread.h>

#include "build/pool.h"
#include "build/request.h"
#include "build/run.h"

/** A run of a plan: what each of its targets works with. */
struct strake_run {
    const struct strake_plan *plan;
    const struct strake_run_options *options;
    struct strake_stores *stores;
    struct strake_pool *pool;
    const struct strake_run_result *results; /**< of all targets */
};

/** What a builder made of some platforms. */
struct strake_built {
    struct strake_build_result result;
    struct strake_pairs platforms; /**< platform -> digest; empty: nothing is staged */
    char *media_type;
    struct strake_buf manifest; /**< its bytes, when they were looked at; else empty */
    char *builder;
};

/** A target while it is built. */
struct strake_building {
    const struct strake_run *run;
    const struct strake_plan_target *target;
    struct strake_job *job;        /**< cancelled when a part fails */
    struct strake_reference image; /**< of the first repository; `name` NULL when there is none */
    struct strake_pairs contexts;  /**< named contexts as a builder sees them */
    struct strake_buf auth;        /**< a docker config.json for the builder */
    bool stage;

    pthread_mutex_t lock; /**< guards all below */
    struct strake_built *built;
    size_t count;
    struct strake_refusals refusals; /**< builders that cannot build this target; the pool's lock */
    int losses;                      /**< builders that were lost on the way */
    struct strake_err err;           /**< the first failure of a part */
};

/** part.c: build these platforms, on as many builders as are needed, and stage what they make. A
 *  builder that is lost is replaced. Blocks.
 *  @return 0, or the first failure, which is b->err. */
int strake_build_platforms(struct strake_building *b, const struct strake_strings *platforms);

/** merge.c: make b->built one image, in `result`. Several indexes or manifests become one index,
 *  put by digest. */
int strake_build_merge(struct strake_building *b, struct strake_target_result *result,
                       struct strake_err *err);

/** Base images that a run has looked up. */
struct strake_known_bases {
    struct strake_base {
        char *name;
        struct strake_pairs has; /**< platform -> digest */
        bool judged;             /**< it is an index, whose list is to be believed */
    } * items;
    size_t count;
    struct strake_strings silent; /**< registries that cannot be reached */
};
void strake_known_bases_dispose(struct strake_known_bases *bases);

/** bases.c: is each base image of a target there for each of its platforms? Images that cannot be
 *  looked up within 5 s are the builder's to find. `known` is filled.
 *  @return 0; STRAKE_EBUILD naming base and platform; STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int strake_check_bases(const struct strake_run *run, const struct strake_plan_target *target,
                       struct strake_known_bases *known, struct strake_job *job,
                       struct strake_err *err);

/** run_target.c: one target, on the thread of its own. */
int strake_run_target(const struct strake_run *run, const struct strake_plan_target *target,
                      struct strake_job *job, struct strake_target_result *result);

#endif
