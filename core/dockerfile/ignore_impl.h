/* What the matcher of .dockerignore and the walk of a context share. */
#ifndef STRAKE_DOCKERFILE_IGNORE_IMPL_H
#define STRAKE_DOCKERFILE_IGNORE_IMPL_H

#include "dockerfile/context.h"
#include "dockerfile/runes.h"

/** Longer ones match no path that a kernel knows. */
#define STRAKE_GLOB_MAX ((size_t)4096)
#define STRAKE_PATTERNS_MAX 10000

struct strake_glob;

/** Compile a clean pattern, without its `!`. @return 0; STRAKE_EDOCKERFILE with what is wrong about
 * it; STRAKE_ENOMEM. */
int strake_glob_new(struct strake_span pattern, struct strake_glob **out, struct strake_err *err);
/** Does it match exactly this path? Time: pattern times path. Any thread. */
bool strake_glob_matches(const struct strake_glob *glob, struct strake_span path);
void strake_glob_free(struct strake_glob *glob);

/** How many patterns there are: the size of the arrays below. */
size_t strake_ignore_count(const struct strake_ignore *ignore);
/** Judge `path`, the folder above it being judged already. `parent` holds which patterns that
 * folder matched (NULL at the top), `own` takes which ones `path` does; the two may be the same
 * array.
 *  @return whether it is left out. */
bool strake_ignore_step(const struct strake_ignore *ignore, struct strake_span path,
                        const bool *parent, bool *own);
/** May something below the ignored folder `path` be in the context after all? */
bool strake_ignore_reaches(const struct strake_ignore *ignore, struct strake_span path);

#endif
