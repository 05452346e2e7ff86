/* What the targets of a plan are built from, put into the history beside the build: the Dockerfile's
 * text, the files of the contexts, arguments and the rest of what decides whether a step is cached.
 * `strake cache explain` compares those of two builds. */
#ifndef STRAKE_BUILD_MATERIALS_H
#define STRAKE_BUILD_MATERIALS_H

#include "build/plan.h"
#include "record/materials.h"
#include "util/job.h"

/** A recording under way, on a thread of its own. */
struct strake_materials_work;

/** Start it; nothing of the plan's targets may change until it was finished. NULL: there is no
 *  record, or no memory or thread for it; the build is not stopped by that. */
struct strake_materials_work *strake_materials_start(const struct strake_plan *plan,
                                                     struct strake_record *record, const char *run,
                                                     struct strake_job *job);
/** The build has ended: wait for what is left, a moment at most. Files that are not hashed by then
 *  are hashed by the next builds, which remember those of this one. NULL does nothing. */
void strake_materials_finish(struct strake_materials_work *work);

/** Append a line for each file of the context: "KIND MODE CONTENT PATH", CONTENT being the first
 *  half of a file's SHA-256 in hex, a link's target, or "-". Blanks, line ends and backslashes in
 *  CONTENT and PATH are \s, \n, \\. */
int strake_materials_files(const char *context, const char *dockerfile, struct strake_job *job,
                           struct strake_buf *out, struct strake_err *err);

#endif
