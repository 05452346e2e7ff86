/* Where two images differ: configuration, layers, packages, files. */
#ifndef STRAKE_BUILD_DIFF_H
#define STRAKE_BUILD_DIFF_H

#include "build/layers.h"

/** A file that is not the same in both; -1 where there is none. */
struct strake_diff_file {
    char *path;
    int64_t a_bytes, b_bytes;
};

/** `strake.diff/1`, but for its `files`, which may be many. */
struct strake_diff {
    json_t *document;
    struct strake_diff_file *files; /**< by path */
    size_t count, cap;
};

/** Compare. Layers at the bottom that both have are read once. A file differs when its content,
 *  mode, owner or kind does; its time does not count. Blocks; on a worker thread.
 *  @param platform in normal form, or NULL: this machine's, else the first of A */
int strake_diff_read(struct strake_stores *stores, const char *a, const char *b,
                     const char *platform, struct strake_job *job, struct strake_diff *out,
                     struct strake_err *err);
void strake_diff_dispose(struct strake_diff *diff);

/** The configurations of two platforms' entries: [{"key","from","to"}], by key; "" is nothing.
 *  NULL: no memory. */
json_t *strake_diff_config(const json_t *a, const json_t *b);
/** Two objects of texts: [{`word`,"from","to"}], by name. NULL: no memory. */
json_t *strake_diff_texts(const json_t *a, const json_t *b, const char *word);

#endif
