/* Caches that could not be written: BuildKit names the kind of cache in the step that failed, people
 * want to know which one. */
#ifndef BUILDKIT_CACHE_H
#define BUILDKIT_CACHE_H

#include "common/util.h"

/** Exports that failed. Zero-initialised is none. */
struct buildkit_failed_exports {
    struct plug_list ids; /**< of steps, each once */
    struct plug_list names;
    struct plug_list errors;
};

/** Is this the step of an export? */
bool buildkit_is_cache_export(const char *step);
/** Where the request's caches of that step's kind are, with commas between them; "" when there is
 *  none. */
void buildkit_cache_places(const struct strake_build_request *request, const char *step,
                           struct plug_text *places);
/** Take note of a step that failed, if it is an export. */
void buildkit_note_export(struct buildkit_failed_exports *failed, const struct strake_step *step);
/** The build is done all the same: a warning for each. */
void buildkit_warn_exports(const struct buildkit_failed_exports *failed,
                           const struct strake_host *host,
                           const struct strake_build_request *request, struct strake_job *job);
void buildkit_failed_exports_dispose(struct buildkit_failed_exports *failed);

#endif
