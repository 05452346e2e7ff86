/* Named contexts of a target: what each value names, and whether it is there. */
#ifndef STRAKE_PROJECT_CONTEXTS_H
#define STRAKE_PROJECT_CONTEXTS_H

#include "build/plan.h"
#include "build/store.h"
#include "project/make.h"

/** A repository, an archive or an image somewhere, and no folder of this machine. */
bool strake_context_is_url(const char *context);

/** Redact from now on the credentials of a URL, when it has some: it may be shown before it is
 *  refused. */
void strake_context_know_credentials(const char *url);

/** A URL with credentials in it is refused: clients are given it in the clear. Folders and layouts become absolute paths, those of `wish` from its cwd and all others from
 *  `dir`; one that is not there is refused. Targets go into target->after. Offline; any thread.
 *  @param wish its contexts are among the target's; NULL: none of them
 *  @return 0; STRAKE_ECONFIG with the target's place, STRAKE_EUSAGE where the command line names
 *          it; STRAKE_ENOMEM. */
int strake_contexts_place(struct strake_plan_target *target, const char *dir,
                          const struct strake_wish *wish, struct strake_err *err);

/** `oci-layout://DIR[:TAG]` becomes `oci-layout://DIR@DIGEST`, in each target: only the digest
 *  tells a builder which image it is, and a saved plan which one it was. A digest that the layout
 *  does not hold is refused. Reads files; any thread. */
int strake_contexts_resolve(struct strake_plan *plan, struct strake_stores *stores,
                            struct strake_job *job, struct strake_err *err);

#endif
