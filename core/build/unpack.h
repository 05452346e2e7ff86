/* A tar from outside, unpacked into a folder that nothing of it can leave. */
#ifndef STRAKE_BUILD_UNPACK_H
#define STRAKE_BUILD_UNPACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/job.h"

/** Where the archive's bytes come from: the next ones, valid until the next call.
 *  @return how many, 0 at the end, or a code with `err` filled. */
typedef ssize_t (*strake_unpack_read_fn)(void *ctx, const void **data, struct strake_err *err);

struct strake_unpack {
    int dir; /**< the folder, open; empty, and ours alone */
    strake_unpack_read_fn read;
    void *ctx;
    size_t entries_max; /**< files, folders and links */
    int64_t bytes_max;  /**< of all files, unpacked */
};

/** Unpack a tar (ustar, GNU, pax; plain or by gzip, bzip2, xz, zstd). Modes and times are kept,
 *  but that we can always read what is ours; owners are not. Refused, each by its name: absolute
 *  names and `..`, what would be written through a link, links that lead out of the folder,
 *  devices, FIFOs, a name that is a folder and something else. What was unpacked until then is left
 *  for the caller to remove. Blocks; any thread.
 *  @param job its cancellation is looked at between entries and between blocks; not NULL
 *  @return 0, STRAKE_EUSAGE: not such an archive, or one that is refused; STRAKE_ETOOBIG,
 *          STRAKE_EIO, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int strake_unpack(const struct strake_unpack *unpack, struct strake_job *job,
                  struct strake_err *err);

/** Would strake_unpack() take what begins so? STRAKE_UNPACK_MAGIC bytes tell, if there are that
 *  many. */
bool strake_unpack_is_archive(const void *head, size_t len);
#define STRAKE_UNPACK_MAGIC 512

#endif
