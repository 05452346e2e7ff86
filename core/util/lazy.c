/* Libraries opened when first needed. */
#include "util/lazy.h"

#include <dlfcn.h>
#include <string.h>

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
