/* Layers as they are kept, made plain: gzip, zstd, or plain already. */
#ifndef STRAKE_BUILD_INFLATE_H
#define STRAKE_BUILD_INFLATE_H

#include "image/tar.h"

struct strake_inflate;

/** Begin; what it is shows in its first bytes. zlib and libzstd are loaded when first needed.
 *  @return 0, STRAKE_ENOMEM */
int strake_inflate_new(strake_tar_read_fn read, void *ctx, const char *what,
                       struct strake_inflate **out, struct strake_err *err);
/** The next plain bytes, a `strake_tar_read_fn`. How many come in all is the caller's to bound.
 *  @return how many, 0 at the end, the source's code, STRAKE_ECORRUPT: it is damaged, or looks back
 *          further than is kept for it; STRAKE_EINTERNAL: no library, STRAKE_ENOMEM */
ssize_t strake_inflate_read(void *inflate, const void **data, struct strake_err *err);
void strake_inflate_free(struct strake_inflate *inflate);

#endif
