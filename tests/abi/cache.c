/* A cache whose answer the option `fault` chooses; it tells in the first import what it was asked.
 */
#include <stdio.h>

#include "fixture.h"

#ifndef NAME
#define NAME "cache"
#endif

static int cache_specs(void *self, const struct strake_cache_request *request,
                       struct strake_buf *specs, struct strake_err *err)
{
    static const struct {
        const char *fault, *answer;
    } answers[] = {
        { "no-json", "import" },
        { "no-object", "[\"type=gha\"]" },
        { "no-export", "{\"import\":[]}" },
        { "no-strings", "{\"import\":[3],\"export\":[]}" },
        { "nothing", "" },
    };
    const struct fixture *fixture = self;
    const struct strake_host *host = fixture->host;
    char *fault = fixture_option(fixture, "fault");
    int rc = STRAKE_ECONFIG;

    for (size_t i = 0; fault && i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (strcmp(fault, answers[i].fault) == 0)
            rc = host->buf_append(specs, answers[i].answer, strlen(answers[i].answer));
    }
    if (!fault) {
        char text[512];
        int len =
            snprintf(text, sizeof(text), "{\"import\":[\"%s %s %s %s\"],\"export\":[\"type=x\"]}",
                     request->target, request->image, request->platform, request->branch);
        rc = host->buf_append(specs, text, (size_t)len);
    } else if (strcmp(fault, "refused") == 0) {
        rc = host->fail(err, STRAKE_ECONFIG, "no such cache: %s", request->options);
    }
    free(fault);
    return rc;
}

/* What lies on the shelf that the target's table names; "broken" is none. */
static int cache_entries(const struct fixture *fixture, const struct strake_cache_request *request,
                         struct strake_buf *entries, struct strake_err *err)
{
    const struct strake_host *host = fixture->host;
    char text[256];
    int len;

    if (strstr(request->options, "on fire"))
        return host->fail(err, STRAKE_EREGISTRY, "the warehouse is on fire");
    if (strstr(request->options, "broken"))
        return host->buf_append(entries, "[{\"size_bytes\":1}]", 18);
    len = snprintf(text, sizeof(text),
                   "[{\"place\":\"shelf of %s\",\"size_bytes\":%lld,"
                   "\"created\":\"2020-01-01T00:00:00Z\"}]",
                   request->target, (long long)request->keep_bytes + 43);
    return host->buf_append(entries, text, (size_t)len);
}

static int cache_show(void *self, struct strake_job *job,
                      const struct strake_cache_request *request, struct strake_buf *entries,
                      struct strake_err *err)
{
    (void)job;
    return cache_entries(self, request, entries, err);
}

static const struct strake_cache_v1 cache = {
    .size = sizeof(cache), .specs = cache_specs, .show = cache_show, .prune = cache_show
};

static const struct strake_interface interfaces[] = { { "cache/1", &cache }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = NAME,
    .version = "1.0.0",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
