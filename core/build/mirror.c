/* Names of mirrors (mirror.h). */
#include "build/mirror.h"

#include <string.h>

#include "image/reference.h"
#include "util/mem.h"

static int refuse(const char *text, struct strake_err *err)
{
    strake_fail(err, STRAKE_ECONFIG, "\"%.200s\" is not a mirror: a host, host:port or host/path",
                text);
    if (strstr(text, "://"))
        strake_err_hint(err,
                        "leave out %.*s; plain http is plain_http = true in a registry block "
                        "of its own",
                        (int)(strstr(text, "://") - text + 3), text);
    else
        strake_err_hint(err, "a host has a dot or a port, or is localhost");
    return STRAKE_ECONFIG;
}

/* It is read as what stands before a repository's name. */
int strake_mirror_parse(const char *text, char **host, char **prefix, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    char *whole = strake_asprintf("%s/x", text);
    size_t host_len, len;
    int rc = whole ? strake_reference_parse(whole, &ref, err) : strake_fail_nomem(err);

    strake_free(whole);
    if (rc == STRAKE_ENOMEM)
        return rc;
    host_len = strcspn(text, "/");
    if (rc < 0 || ref.store != STRAKE_STORE_REGISTRY || ref.tag[0] || ref.digest[0] ||
        strlen(ref.host) != host_len || strncmp(text, ref.host, host_len) != 0) {
        strake_reference_dispose(&ref);
        return refuse(text, err);
    }
    len = strlen(ref.repository) - 1; /* the x */
    *host = strake_strdup(ref.host);
    *prefix = strake_strndup(ref.repository, len > 0 ? len - 1 : 0);
    strake_reference_dispose(&ref);
    if (*host && *prefix)
        return 0;
    strake_free(*host);
    strake_free(*prefix);
    return strake_fail_nomem(err);
}
