/* A build's context, or its Dockerfile, that comes by standard input. */
#ifndef STRAKE_BUILD_STDIN_CONTEXT_H
#define STRAKE_BUILD_STDIN_CONTEXT_H

#include "util/err.h"
#include "util/job.h"

#define STRAKE_STDIN_FILES_MAX 1000000
#define STRAKE_STDIN_BYTES_MAX ((int64_t)16 * 1024 * 1024 * 1024)

/** What was read, in a temporary folder of ours. Zero-initialised is nothing. */
struct strake_stdin_context {
    char *dir;        /**< the temporary folder */
    char *context;    /**< a folder within it, empty with a Dockerfile alone */
    char *dockerfile; /**< the file */
};

/** Read a descriptor to its end: a tar (build/unpack.h) is the context, anything else a Dockerfile.
 *  Blocks; any thread; returns early once the job is cancelled.
 *  @param dockerfile its path within the archive, or NULL: "Dockerfile"
 *  @param only_dockerfile the context is somewhere else
 *  @return 0, STRAKE_EUSAGE: what came is of no use; STRAKE_ETOOBIG, STRAKE_EIO, STRAKE_ECANCELLED,
 *          STRAKE_ENOMEM. On failure nothing is left. */
int strake_stdin_context_read(int fd, const char *dockerfile, bool only_dockerfile,
                              struct strake_job *job, struct strake_stdin_context *out,
                              struct strake_err *err);
/** Removes the folder too. */
void strake_stdin_context_dispose(struct strake_stdin_context *context);

#endif
