/* Tars read as a stream: ustar, with GNU's and pax's long names and sizes. Nothing is kept but one
 * header, nothing is written anywhere, and each count that a tar states is bounded. */
#ifndef STRAKE_IMAGE_TAR_H
#define STRAKE_IMAGE_TAR_H

#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

/** The longest path of an entry, in bytes, and the largest header that brings one. */
#define STRAKE_TAR_PATH_MAX 4096
#define STRAKE_TAR_EXTRA_MAX ((size_t)1024 * 1024)

/** Where the bytes come from: the next ones, valid until the next call.
 *  @return how many, 0 at the end, or a code with `err` filled. */
typedef ssize_t (*strake_tar_read_fn)(void *ctx, const void **data, struct strake_err *err);

/** What an entry is; all that has no content of its own and is no folder is `other`. */
enum strake_tar_kind {
    STRAKE_TAR_FILE,
    STRAKE_TAR_FOLDER,
    STRAKE_TAR_SYMLINK,
    STRAKE_TAR_HARDLINK,
    STRAKE_TAR_OTHER /**< devices, FIFOs */
};

/** One entry; its texts are the tar's until the next one. */
struct strake_tar_entry {
    enum strake_tar_kind kind;
    const char *path;   /**< as written, of any form: see strake_tar_clean() */
    const char *link;   /**< where a link leads, "" for others */
    int64_t size_bytes; /**< of its content in the tar; 0 where it has none */
    uint32_t mode;
    int64_t uid, gid;
    uint32_t major, minor; /**< of devices */
};

struct strake_tar;

/** `what` names the tar in messages and is copied. @return NULL: no memory. */
struct strake_tar *strake_tar_new(strake_tar_read_fn read, void *ctx, const char *what);
void strake_tar_free(struct strake_tar *tar);

/** Go to the next entry, over what is left of this one's content. On the thread of `read`.
 *  @return 1; 0 at the end; STRAKE_ECORRUPT: no tar, or a damaged one; the source's code;
 *          STRAKE_ENOMEM */
int strake_tar_next(struct strake_tar *tar, struct strake_tar_entry *entry, struct strake_err *err);
/** The next piece of its content, valid until the next call. @return as `read` */
ssize_t strake_tar_data(struct strake_tar *tar, const void **data, struct strake_err *err);

/** The path within the image that a name means: without "." and empty parts, and with no `..` that
 *  would leave the root. @param out STRAKE_TAR_PATH_MAX bytes; "" is the root
 *  @return is it another than its maker should have written: absolute, or with `..` in it? */
bool strake_tar_clean(const char *name, char *out);

#endif
