/* Making a plan: from what the layers declared and what the command line asked for to targets with
 * everything decided. Offline and quick; the main thread. */
#ifndef STRAKE_PROJECT_MAKE_H
#define STRAKE_PROJECT_MAKE_H

#include "build/plan.h"
#include "build/store.h"
#include "project/project.h"

/** What a command or a flow asks for beyond the declarations. Zero-initialised asks for nothing. */
struct strake_wish {
    struct strake_strings names; /**< targets, or one context; empty: the default */
    struct strake_strings refs;  /**< -t REF */
    struct strake_strings tags;  /**< a flow's `tags`: they replace the targets' */
    bool set_tags;               /**< `tags` counts, also when it is empty */
    char *dockerfile;            /**< -f, absolute; or NULL */
    char *stage;                 /**< --target; or NULL */
    struct strake_strings platforms;
    struct strake_pairs args; /**< over the targets' own */
    struct strake_pairs labels;
    struct strake_pairs contexts;    /**< --build-context NAME=VALUE */
    struct strake_pairs annotations; /**< over the targets' own */
    struct strake_build_extras extras;
    struct strake_strings cache_from;
    struct strake_strings cache_to;
    struct strake_plan_secret *secrets;
    size_t secret_count;
    char *builder; /**< --builder NAME; or NULL */
    bool no_cache;
    bool all;  /**< every target of the project */
    char *cwd; /**< what a context of the command line is relative to */
};
void strake_wish_dispose(struct strake_wish *wish);
/** From the JSON that lua_way.c gets: the keys are the fields. @return 0, STRAKE_EUSAGE, … */
int strake_wish_parse(const json_t *json, struct strake_wish *out, struct strake_err *err);

/** Choose targets, follow what they need, and decide all but what policies may change.
 *  @return 0; STRAKE_EUSAGE: no such target; STRAKE_ECONFIG with the target's place;
 *  STRAKE_EDOCKERFILE: no Dockerfile; STRAKE_EBUILDER: nothing to build with. */
int strake_plan_make(const struct strake_project *project, const struct strake_wish *wish,
                     struct strake_plan **out, struct strake_err *err);

/** A target without an image, for what concerns the builders alone: those of the project, or what
 *  this machine has. @return 0, STRAKE_EBUILDER: nothing to build with, STRAKE_ENOMEM. */
int strake_plan_add_machine(const struct strake_project *project, struct strake_plan *plan,
                            struct strake_err *err);

/** What a plan policy sees and may change of a target:
 *  {name,image,tags,labels,args,platforms,cache,options}. A new reference; NULL: no memory. */
json_t *strake_plan_view(const struct strake_plan_target *target);
/** Take back what a policy left of the view: tags, labels, args, platforms, cache, options, checked like
 *  declarations. @return 0, STRAKE_ECONFIG naming the field. */
int strake_plan_apply(struct strake_plan_target *target, const json_t *view,
                      struct strake_err *err);

/** After the policies: each builder's command. `stage` shows the command that stages the image
 *  (where there is one). The plan is sealed by who shows or records it (strake_plan_seal). */
int strake_plan_finish(struct strake_plan *plan, const struct strake_stores *stores, bool stage,
                       struct strake_err *err);

/** Give a plan that was read from a file its builders' options, by name.
 *  @return 0; STRAKE_ESTALE naming a builder that the project no longer has. */
int strake_plan_attach(struct strake_plan *plan, const struct strake_project *project,
                       struct strake_err *err);

/* ---- within the room ---- */

/** The builders that may take a target, in order: pinned, the project's, or what this machine has;
 *  *why (may be NULL) takes a sentence in the last case. */
int strake_choose_builders(const struct strake_project *project,
                           const struct strake_strings *pinned, struct strake_plan_target *target,
                           char **why, struct strake_err *err);

#endif
