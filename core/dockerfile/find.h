/* Which files below a folder are Dockerfiles. */
#ifndef STRAKE_DOCKERFILE_FIND_H
#define STRAKE_DOCKERFILE_FIND_H

#include "util/err.h"
#include "util/mem.h"

/** Add what `path` names: a file as it is, and of a folder each Dockerfile, Dockerfile.*, *.Dockerfile
 *  and Containerfile below it, in order of their names. Symbolic links to folders and .git are not
 *  gone into. Blocks. @return 0; STRAKE_ENOTFOUND; STRAKE_EUSAGE: what is no file; STRAKE_ETOOBIG:
 *  more than a hundred thousand; STRAKE_EIO, STRAKE_ENOMEM. */
int strake_dockerfile_find(const char *path, struct strake_strings *out, struct strake_err *err);

#endif
