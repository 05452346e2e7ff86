/* What a build context holds: .dockerignore as BuildKit matches it, and one digest over the files
 * that would be sent. */
#ifndef STRAKE_DOCKERFILE_CONTEXT_H
#define STRAKE_DOCKERFILE_CONTEXT_H

#include "image/digest.h"
#include "util/job.h"

struct strake_ignore;

/** Parse a .dockerignore: Go patterns with `**`, `!` exceptions, last match wins. */
int strake_ignore_parse(const char *data, size_t len, struct strake_ignore **out,
                        struct strake_err *err);
/** Is `path` (relative, `/` between components) left out of the context? */
bool strake_ignore_matches(const struct strake_ignore *ignore, const char *path);
void strake_ignore_free(struct strake_ignore *ignore);

/** The ignore file that counts: NAME.dockerignore beside the Dockerfile, else .dockerignore of the
 *  context. *out NULL when there is neither. */
int strake_ignore_load(const char *context, const char *dockerfile, struct strake_ignore **out,
                       struct strake_err *err);

/** One digest over all files of the context that are not ignored: sorted paths, types, permission
 *  bits, link targets, contents; no times, no owners. Blocking; looks at `job` (may be NULL).
 *  Names the first file that cannot be read. @return 0, STRAKE_EIO, STRAKE_ENOTFOUND, … */
int strake_context_digest(struct strake_job *job, const char *context, const char *dockerfile,
                          char *out, struct strake_err *err);
/** The same without one file: `except` is its path relative to the context, or NULL. */
int strake_context_digest_without(struct strake_job *job, const char *context,
                                  const char *dockerfile, const char *except, char *out,
                                  struct strake_err *err);

#endif
