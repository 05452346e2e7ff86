/* Caches that were written, or could not be: BuildKit names the kind of cache in its step, people
 * want to know which one. */
#ifndef BUILDKIT_CACHE_H
#define BUILDKIT_CACHE_H

#include "common/util.h"

/** What became of the exports of a build. Zero-initialised is none. */
struct buildkit_exports {
    struct buildkit_export {
        char *id; /**< of the step */
        char *name;
        char *error; /**< NULL: it was written */
        int64_t duration_ms;
    } * items;
    size_t count;
};

/** Is this the step of an export? */
bool buildkit_is_cache_export(const char *step);
/** Where the request's caches of that step's kind are, with commas between them; "" when there is
 *  none. */
void buildkit_cache_places(const struct strake_build_request *request, const char *step,
                           struct plug_text *places);
/** Take note of a step that has ended, if it is an export. Without memory it is passed over. */
void buildkit_note_export(struct buildkit_exports *exports, const struct strake_step *step);
/** The build is done: tell what was written, and warn of what was not. */
void buildkit_tell_exports(const struct buildkit_exports *exports, const struct strake_host *host,
                           const struct strake_build_request *request, struct strake_job *job);
void buildkit_exports_dispose(struct buildkit_exports *exports);

#endif
