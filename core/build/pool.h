/* The builders of one run: opened and asked once, whatever number of targets they take, and never
 * given more than their slots. A builder that was lost is asked again after a while. */
#ifndef STRAKE_BUILD_POOL_H
#define STRAKE_BUILD_POOL_H

#include "build/plan.h"
#include "plugin/instance.h"
#include "util/job.h"

/** How long a builder may take to say what it is. */
#define STRAKE_POOL_PROBE_MS 2800

struct strake_pool;
struct strake_pool_member;

/** A pool of all builders that the plan names. Nothing is opened or asked yet. `job` and `plan` live
 *  longer. @return 0 or STRAKE_ENOMEM. */
int strake_pool_new(const struct strake_plan *plan, struct strake_job *job,
                    struct strake_pool **out, struct strake_err *err);
/** Stops what is still asked, and waits for it. NULL does nothing. */
void strake_pool_free(struct strake_pool *pool);

/** Slots of all builders together: as many targets can be built at once. */
size_t strake_pool_slots(const struct strake_pool *pool);

/** Platforms of a target that one builder takes. */
struct strake_part {
    struct strake_pool_member *member;
    struct strake_strings platforms; /**< empty: the builder's own */
};
struct strake_route {
    struct strake_part *parts;
    size_t count;
};
/** Gives back what the route reserved. */
void strake_route_dispose(struct strake_pool *pool, struct strake_route *route);

/** Builders that are out of the question for one target, and why. */
struct strake_refusals {
    struct strake_refusal {
        const struct strake_pool_member *member;
        struct strake_err why;
    } * items;
    size_t count;
};
/** Takes over `why`. Others may be choosing with the same list meanwhile. @return 0 or
 *  STRAKE_ENOMEM. */
int strake_refusals_add(struct strake_pool *pool, struct strake_refusals *refusals,
                        const struct strake_pool_member *member, struct strake_err *why);
void strake_refusals_dispose(struct strake_refusals *refusals);

/** Must this target's builders be asked before one is chosen? Not a single builder that builds for
 *  this machine's platform or its own. */
bool strake_pool_must_ask(const struct strake_plan_target *target);

/** Which builder takes which of `platforms`: native ones first, then those with free slots, then in
 *  the target's order. Blocks while builders are asked. With `together` one builder takes all.
 *  @return 0; STRAKE_EBUILDER naming each builder and why not; STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int strake_pool_route(struct strake_pool *pool, const struct strake_plan_target *target,
                      const struct strake_strings *platforms, bool together,
                      const struct strake_refusals *refusals, struct strake_job *job,
                      struct strake_route *out, struct strake_err *err);

/** Wait for a free slot. Each success is matched by strake_pool_leave().
 *  @return 0, STRAKE_ECANCELLED. */
int strake_pool_enter(struct strake_pool *pool, struct strake_pool_member *member,
                      struct strake_job *job, struct strake_err *err);
void strake_pool_leave(struct strake_pool *pool, struct strake_pool_member *member);
/** Those who wait look whether their job was cancelled. */
void strake_pool_wake(struct strake_pool *pool);

/** Its instance, opened when first needed; the pool's. */
int strake_pool_instance(struct strake_pool_member *member, struct strake_instance **out,
                         struct strake_err *err);
/** It cannot be reached any more: nobody gets it until it has answered again. */
void strake_pool_lost(struct strake_pool *pool, struct strake_pool_member *member,
                      const struct strake_err *why);
const char *strake_pool_name(const struct strake_pool_member *member);

#endif
