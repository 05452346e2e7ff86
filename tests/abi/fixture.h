/* What the plugins of tests/abi share: their host, and options that are looked at without a parser.
 */
#ifndef ABI_FIXTURE_H
#define ABI_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "strake/plugin.h"

/** An instance. */
struct fixture {
    const struct strake_host *host;
    char *options;
};

/** The value of the string option `key`, a copy of the caller's (free()); NULL when it is not
 * there. */
static inline char *fixture_option(const struct fixture *fixture, const char *key)
{
    const char *at = strstr(fixture->options, key);
    size_t len;
    char *copy;

    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, "\": ");
    len = strcspn(at, "\"");
    copy = calloc(1, len + 1);
    if (copy)
        memcpy(copy, at, len);
    return copy;
}

static inline int fixture_open(const struct strake_host *host, const char *options, void **self,
                               struct strake_err *err)
{
    struct fixture *fixture;

    if (strstr(options, "no-such-option"))
        return host->fail(err, STRAKE_ECONFIG, "unknown option no-such-option");
    fixture = calloc(1, sizeof(*fixture));
    if (!fixture)
        return host->fail(err, STRAKE_ENOMEM, "out of memory");
    fixture->host = host;
    fixture->options = calloc(1, strlen(options) + 1);
    if (!fixture->options) {
        free(fixture);
        return host->fail(err, STRAKE_ENOMEM, "out of memory");
    }
    memcpy(fixture->options, options, strlen(options));
    *self = fixture;
    return 0;
}

static inline void fixture_close(void *self)
{
    struct fixture *fixture = self;

    free(fixture->options);
    free(fixture);
}

#endif
