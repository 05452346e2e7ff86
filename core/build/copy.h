/* Copying images between stores: blobs that are missing, then manifests from the leaves up. */
#ifndef STRAKE_BUILD_COPY_H
#define STRAKE_BUILD_COPY_H

#include "build/store.h"

struct strake_copy_report {
    char digest[STRAKE_DIGEST_TEXT]; /**< what arrived */
    char *media_type;
    int copied, mounted, present; /**< blobs */
    int64_t copied_bytes;
};
void strake_copy_report_dispose(struct strake_copy_report *report);

/** Copy `object` (tag or digest) and all that it names from one repository to another, staged by
 *  digest; with `tag` it is put under that tag at the end. `platform` (or NULL) takes one manifest
 *  out of an index. Blocks; on a worker thread. */
int strake_copy_image(const struct strake_place_in_store *from, const char *object,
                      const struct strake_place_in_store *to, const char *tag, const char *platform,
                      struct strake_job *job, struct strake_copy_report *report,
                      struct strake_err *err);

#endif
