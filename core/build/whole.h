/* Is an image still there as a whole, and what does it say of itself: what a rollback asks before it
 * puts a tag back to it. */
#ifndef STRAKE_BUILD_WHOLE_H
#define STRAKE_BUILD_WHOLE_H

#include <jansson.h>

#include "build/publish.h"

/** What `digest` in `repository` (host/repository) is: {"digest","media_type","created","revision"},
 *  the last two "" when neither its annotations nor its first platform's configuration say them.
 *  With `whole` its manifest, every manifest that it names, and all their blobs must be there.
 *  Blocks; on a worker thread. A new reference.
 *  @param kept takes its manifest, in place of what it held; may be NULL
 *  @return 0, STRAKE_ENOTFOUND naming what is gone, … */
int strake_image_look(struct strake_stores *stores, const char *repository, const char *digest,
                      bool whole, struct strake_manifest_kept *kept, struct strake_job *job,
                      json_t **out, struct strake_err *err);

#endif
