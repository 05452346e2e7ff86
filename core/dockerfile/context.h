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

/** What a walk comes by. */
struct strake_context_entry {
    char kind;           /**< f file, d folder, l link, p FIFO, c and b devices */
    unsigned mode;       /**< permission bits; 0 of a link */
    const char *path;    /**< relative to the context */
    const char *content; /**< digest of a file, target of a link, numbers of a device, or "" */
};

struct strake_context_walk {
    const char *context;
    const char *dockerfile; /**< whose NAME.dockerignore counts, or "" */
    const char *except;     /**< a file that does not count, or NULL */
    /** May this path, or something below it, be of interest? NULL: everything is. A digest over a
     *  part is another one than that over all. */
    bool (*wanted)(void *ctx, const char *path);
    /** Each entry in the order of the walk, folders before what is in them; NULL: none.
     *  @return 0, or a negative code that ends the walk, `err` filled. */
    int (*each)(void *ctx, const struct strake_context_entry *entry, struct strake_err *err);
    void *ctx;
    /** Raised to when the last change was of what was walked, of its folders too (st_ctime, in
     *  microseconds since the epoch); NULL: nobody asks. */
    int64_t *newest_us;
};

/** As strake_context_digest(), with the file hashes that earlier commands remembered
 *  (dockerfile/memory.h): a file that did not change since is not read again. What was hashed is
 *  remembered also when the walk ends early. `out` may be NULL: only the entries are told. */
int strake_context_hash(struct strake_job *job, const struct strake_context_walk *options,
                        char *out, struct strake_err *err);

#endif
