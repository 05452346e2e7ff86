/* Where the slots of tls_stubs.S lead. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAZY(name) #name "\0"
static const char names[] =
#include "tls_names.h"
    ;

extern void *strake_tls_slots[];
void strake_tls_load(void);

/* For https, core/util/http.c has opened the library before, and has told in its own way if it could
 * not: here that happens with an https:// proxy alone. */
static void give_up(void)
{
    fprintf(stderr, "error: TLS cannot be had: %s\n", dlerror());
    abort();
}

static void load(void)
{
    void *library = dlopen("libssl.so.3", RTLD_LAZY | RTLD_LOCAL);
    size_t count = 0;

    if (library == NULL)
        give_up();
    /* libcrypto's too: libssl stands on it. */
    for (const char *name = names; *name != '\0'; name += strlen(name) + 1) {
        void *function = dlsym(library, name);
        if (function == NULL)
            give_up();
        __atomic_store_n(&strake_tls_slots[count++], function, __ATOMIC_RELEASE);
    }
}

void strake_tls_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
}

/* What curl_global_init() asks for; OpenSSL starts itself when its first context is made. */
int OPENSSL_init_ssl(uint64_t options, const void *settings)
{
    (void)options, (void)settings;
    return 1;
}
