/* What the tags of a repository name: digest, size and date of each. */
#ifndef STRAKE_BUILD_SIZES_H
#define STRAKE_BUILD_SIZES_H

#include "build/store.h"
#include "image/digest.h"

struct strake_tag_size {
    const char *tag; /**< borrowed */
    char digest[STRAKE_DIGEST_TEXT];
    int64_t size_bytes; /**< of all its platforms, as `image show` has it */
    char created[32];   /**< RFC 3339, of the newest platform; "" where it does not say */
    bool gone;          /**< the tag went between the list and the look */
};

/** Look at each tag, several at once. `out` has room for as many as there are tags. Blocks; on a worker
 *  thread. @return 0, or the first failure: nobody begins another one then */
int strake_tag_sizes(struct strake_stores *stores, const char *repository,
                     const struct strake_strings *tags, struct strake_job *job,
                     struct strake_tag_size *out, struct strake_err *err);
/** As people sort versions: numbers by value, a release behind its candidates (1.10-rc1, 1.10). */
int strake_tag_compare(const char *a, const char *b);

#endif
