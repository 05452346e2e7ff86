/* Libraries opened when first needed. */
#include "util/lazy.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_FOLDER "lib/strake"
#define PATH_LEN 4096

int strake_lazy_open(const char *soname, const char *package,
                     const struct strake_lazy_symbol *symbols, size_t count, struct strake_err *err)
{
    /* RTLD_LAZY: of libcurl's thousands of functions a request uses some hundreds. */
    void *library = dlopen(soname, RTLD_LAZY | RTLD_LOCAL);

    if (!library) {
        strake_fail(err, STRAKE_EINTERNAL, "the library %s cannot be loaded", soname);
        strake_err_hint(err, "install it: apt-get install %s", package);
        const char *why = dlerror();
        if (why)
            strake_err_detail(err, why, strlen(why));
        return STRAKE_EINTERNAL;
    }
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address) {
            strake_fail(err, STRAKE_EINTERNAL, "the library %s has no function %s", soname,
                        symbols[i].name);
            strake_err_hint(err, "it is too old: install a newer %s", package);
            return STRAKE_EINTERNAL;
        }
        memcpy(symbols[i].slot, &address, sizeof(address));
    }
    return 0;
}

/* PREFIX/lib/strake/FILE of PREFIX/bin/PROGRAM. @return false: there is none */
static bool own_path(const char *file, char *out, size_t cap)
{
    char program[PATH_LEN];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

    for (int i = 0; len > 0 && i < 2; i++) {
        while (len > 0 && program[len - 1] != '/')
            len--;
        len -= len > 0;
    }
    if (len <= 0)
        return false;
    int need = snprintf(out, cap, "%.*s/" OWN_FOLDER "/%s", (int)len, program, file);
    return need > 0 && (size_t)need < cap && access(out, R_OK) == 0;
}

int strake_lazy_open_own(const char *file, const char *soname, const char *package,
                         const struct strake_lazy_symbol *symbols, size_t count,
                         struct strake_err *err)
{
    char path[PATH_LEN];

    return strake_lazy_open(own_path(file, path, sizeof(path)) ? path : soname, package, symbols,
                            count, err);
}
