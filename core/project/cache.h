/* Where a target's build cache goes: cache/1 plugins decide, this asks them and keeps the answers
 * in the plan. */
#ifndef STRAKE_PROJECT_CACHE_H
#define STRAKE_PROJECT_CACHE_H

#include "build/plan.h"
#include "plugin/instance.h"
#include "project/project.h"

/** What the targets of one plan share. Zero-initialised but for `project`. */
struct strake_caching {
    const struct strake_project *project;
    struct strake_cache_opened *opened; /**< plugins, by type */
    size_t count;
    bool asked; /**< the branches are known */
    char *branch;
    char *main_branch;
};
void strake_caching_dispose(struct strake_caching *caching);

/** Ask what `cache` (a type, a table, or a list of such; NULL: nothing) means for the target, and
 *  add it to its cache_import and cache_export, and where it has several platforms to those of a
 *  part. Offline; the main thread.
 *  @return 0; STRAKE_ECONFIG with the target's place, naming the nearest type for an unknown one;
 *          STRAKE_ENOMEM */
int strake_cache_decide(struct strake_caching *caching, const json_t *cache,
                        struct strake_plan_target *target, struct strake_err *err);

/** cache_facts.c: have caching->branch and main_branch, "" when unknown. @return 0, STRAKE_ENOMEM */
int strake_cache_ask_branches(struct strake_caching *caching);

#endif
