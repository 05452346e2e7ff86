/* Any bytes as a .dockerignore and a path, which a NUL keeps apart: an ignored folder that is not
 * entered has nothing in it that is kept. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/ignore_impl.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_path(const struct strake_ignore *ignore, const char *path)
{
    bool ignored = strake_ignore_matches(ignore, path);
    char *folder = strake_strdup(path);
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;
    if (slash != NULL && slash != folder) {
        *slash = '\0';
        struct strake_span span = { folder, strlen(folder) };
        if (strake_ignore_matches(ignore, folder) && !strake_ignore_reaches(ignore, span))
            check(ignored);
    }
    strake_free(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - data) : size;
    struct strake_ignore *ignore;
    struct strake_err err = { 0 };
    if (strake_ignore_parse((const char *)data, len, &ignore, &err) == 0) {
        char *path = nul != NULL ? strake_strndup((const char *)nul + 1, size - len - 1) : NULL;
        if (path != NULL)
            check_path(ignore, path);
        strake_free(path);
        strake_ignore_free(ignore);
    } else {
        check(err.code == STRAKE_EDOCKERFILE && err.message != NULL);
    }
    strake_err_dispose(&err);
    return 0;
}
