/* Files of layers whose content is wanted too: the databases of package managers. */
#ifndef STRAKE_BUILD_LAYER_KEPT_H
#define STRAKE_BUILD_LAYER_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

/** The largest file that is kept, and what all together may have. */
#define STRAKE_KEPT_FILE_MAX ((size_t)128 * 1024 * 1024)
#define STRAKE_KEPT_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define STRAKE_KEPT_FILES_MAX 10000

struct strake_kept_file {
    char *path;
    struct strake_buf bytes;
    bool left_out; /**< it is larger than what is kept */
};

/** Zero-initialised but for `wants` it is empty. What a later layer has in a file's place wins. */
struct strake_kept_files {
    bool (*wants)(const char *path);
    struct strake_kept_file *items;
    size_t count, cap;
};

void strake_kept_files_dispose(struct strake_kept_files *kept);
/** @return 0 or STRAKE_ENOMEM; `to` is empty before, and to be disposed of either way. */
int strake_kept_files_copy(struct strake_kept_files *to, const struct strake_kept_files *from);
/** Where a file's bytes go, empty; *out is NULL when it is not kept.
 *  @return 0, STRAKE_ETOOBIG: too many of them, STRAKE_ENOMEM */
int strake_kept_files_add(struct strake_kept_files *kept, const char *path, int64_t size_bytes,
                          struct strake_buf **out, struct strake_err *err);
/** Take over what the next layer has; `from` is empty then. @return as strake_kept_files_add() */
int strake_kept_files_move(struct strake_kept_files *to, struct strake_kept_files *from,
                           struct strake_err *err);

#endif
