/* Layers as they are kept, made plain: gzip, zstd, or plain already. */
#ifndef STRAKE_BUILD_INFLATE_H
#define STRAKE_BUILD_INFLATE_H

#include "image/tar.h"

struct strake_inflate;

/** Begin; what it is shows in its first bytes. libarchive is loaded when it is first needed.
 *  @param bytes_max a stream that gets longer is refused: it is never kept, but takes time
 *  @return 0, STRAKE_EINTERNAL (no libarchive), STRAKE_ENOMEM */
int strake_inflate_new(strake_tar_read_fn read, void *ctx, int64_t bytes_max, const char *what,
                       struct strake_inflate **out, struct strake_err *err);
/** The next plain bytes, a `strake_tar_read_fn`. @return how many, 0 at the end, the source's code,
 *  STRAKE_ECORRUPT: it is damaged; STRAKE_ETOOBIG */
ssize_t strake_inflate_read(void *inflate, const void **data, struct strake_err *err);
/** How many plain bytes came so far. */
int64_t strake_inflate_bytes(const struct strake_inflate *inflate);
void strake_inflate_free(struct strake_inflate *inflate);

#endif
