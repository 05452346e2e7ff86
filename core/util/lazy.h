/* Libraries that a command may do without: opened when first needed, because loading libcurl,
 * OpenSSL and SQLite costs milliseconds and megabytes. */
#ifndef STRAKE_UTIL_LAZY_H
#define STRAKE_UTIL_LAZY_H

#include "util/err.h"

/** A symbol to find, and where its address goes. */
struct strake_lazy_symbol {
    const char *name;
    void *slot; /**< a void (**)(void), as void * */
};

/** dlopen `soname` (RTLD_LAZY | RTLD_LOCAL) and fill every slot. Callers guard it with pthread_once.
 *  @return 0, or STRAKE_EINTERNAL naming the library and its Debian package `package`. */
int strake_lazy_open(const char *soname, const char *package,
                     const struct strake_lazy_symbol *symbols, size_t count,
                     struct strake_err *err);

/** As strake_lazy_open(), but first choice is `file` among what came with the program: of
 *  PREFIX/bin/PROGRAM that is PREFIX/lib/strake. Where there is none, or when /proc does not tell
 *  where the program is, the system's `soname`. */
int strake_lazy_open_own(const char *file, const char *soname, const char *package,
                         const struct strake_lazy_symbol *symbols, size_t count,
                         struct strake_err *err);

#endif
