/* The release ledger in a repository: a record of each publish beside the image that it showed
 * (docs/ledger.md). */
#ifndef STRAKE_BUILD_LEDGER_H
#define STRAKE_BUILD_LEDGER_H

#include "build/store.h"

/** Attach a record to an image. Blocks; on a worker thread.
 *  @param record as image/ledger.h has it: "digest" is the image
 *  @return 0, or what failed: the image and its tags are as they were */
int strake_ledger_attach(struct strake_stores *stores, const char *repository, const json_t *record,
                         struct strake_job *job, struct strake_err *err);

/** The records of an image, newest first, 100 at most. Blocks; on a worker thread.
 *  @param out {"records":[{…,"record","time_us"}],"skipped":[{"record","why"}],"more"}: what
 *         image/ledger.h has, each with the digest of its artifact; those that are broken, or are not
 *         of this image and repository; how many older ones were not looked at
 *  @return 0, also when there are none; what the registry failed with */
int strake_ledger_read(struct strake_stores *stores, const char *repository, const char *digest,
                       struct strake_job *job, json_t **out, struct strake_err *err);

#endif
