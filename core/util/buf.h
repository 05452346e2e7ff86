/* A byte string with a maximum, always followed by a NUL. The opaque strake_buf of plugin.h. */
#ifndef STRAKE_UTIL_BUF_H
#define STRAKE_UTIL_BUF_H

#include <stdarg.h>

#include "strake/plugin.h"

/** Zero-initialised is an empty buffer with the default maximum (STRAKE_BUF_MAX). Not for two
 *  threads at once. */
struct strake_buf {
    char *data; /**< NULL while empty: read it through strake_buf_text() */
    size_t len;
    size_t cap;
    size_t max;  /**< bytes; 0: STRAKE_BUF_MAX */
    bool secret; /**< wiped before its memory is given back or moved */
};

#define STRAKE_BUF_MAX ((size_t)64 * 1024 * 1024)
#define STRAKE_BUF(max_bytes) ((struct strake_buf){ .max = (max_bytes) })

/** @return 0; STRAKE_ETOOBIG past the maximum (nothing appended); STRAKE_ENOMEM. */
int strake_buf_append(struct strake_buf *buf, const void *data, size_t len);
int strake_buf_puts(struct strake_buf *buf, const char *text);
int strake_buf_putc(struct strake_buf *buf, char c);
int strake_buf_printf(struct strake_buf *buf, const char *fmt, ...) STRAKE_PRINTF(2, 3);
int strake_buf_vprintf(struct strake_buf *buf, const char *fmt, va_list args) STRAKE_PRINTF(2, 0);
/** Room for `len` more bytes; @return where they go (then strake_buf_grew), or NULL. */
char *strake_buf_reserve(struct strake_buf *buf, size_t len);
void strake_buf_grew(struct strake_buf *buf, size_t len);
/** The bytes, never NULL, borrowed until the next change. */
const char *strake_buf_text(const struct strake_buf *buf);
/** Take the first `len` bytes away. */
void strake_buf_consume(struct strake_buf *buf, size_t len);
void strake_buf_clear(struct strake_buf *buf);
/** The bytes as a string of the caller's (strake_free); it is empty then. NULL: no memory. */
char *strake_buf_take(struct strake_buf *buf);
/** Frees the bytes, keeps the maximum; the struct itself is the caller's. NULL does nothing. */
void strake_buf_dispose(struct strake_buf *buf);

#endif
