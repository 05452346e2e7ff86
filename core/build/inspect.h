/* Looking at images: what `image show` prints and what policies see. */
#ifndef STRAKE_BUILD_INSPECT_H
#define STRAKE_BUILD_INSPECT_H

#include "build/store.h"

/** `strake.image/1` of a reference. Blocks; on a worker thread. A new reference. */
int strake_inspect(struct strake_stores *stores, const char *ref, struct strake_job *job,
                   json_t **out, struct strake_err *err);
/** platform -> digest of what `digest` names in `repository` (host/repository). `media_type` and
 *  `bytes` take over what it is; both may be NULL. */
int strake_inspect_platforms(struct strake_stores *stores, const char *repository,
                             const char *digest, struct strake_job *job,
                             struct strake_pairs *platforms, char **media_type,
                             struct strake_buf *bytes, struct strake_err *err);

#endif
