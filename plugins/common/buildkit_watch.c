/* Telling a step that takes long from a line that went dead. */
#include "common/buildkit_watch.h"

#define MISSES_MAX 2 /* one may be an accident */
#define EVERY_MIN_MS 10
#define EVERY_MAX_MS 1000

void buildkit_watch_heard(struct buildkit_watch *watch)
{
    watch->heard_ms = plug_now_ms();
    watch->misses = 0;
}

int64_t buildkit_watch_every(const struct buildkit_watch *watch)
{
    int64_t every = watch->call->liveness_ms / 4;
    if (every < EVERY_MIN_MS)
        return EVERY_MIN_MS;
    return every < EVERY_MAX_MS ? every : EVERY_MAX_MS;
}

static int tell_lost(const struct buildkit_call *call, const char *why)
{
    call->host->fail(call->err, STRAKE_EBUILDER, "the builder was lost during the build: %s", why);
    call->host->err_hint(call->err, "the line to it, or its machine, went dead; the builder's "
                                    "options timeout and liveness give it longer");
    return STRAKE_EBUILDER;
}

int buildkit_watch_look(void *ctx)
{
    struct buildkit_watch *watch = ctx;
    const struct buildkit_call *call = watch->call;
    const struct strake_host *host = call->host;
    if (plug_now_ms() - watch->heard_ms < call->liveness_ms)
        return 0;
    struct strake_err *why = host->err_new();
    if (why == NULL)
        return 0; /* the next look may have the memory */
    int rc = call->client->reach(call->self, call->job, why);
    if (rc == 0)
        buildkit_watch_heard(watch);
    /* Anything else but silence is no fault of the daemon; who cancels ends the client himself. */
    if (rc == STRAKE_EBUILDER && ++watch->misses >= MISSES_MAX)
        rc = tell_lost(call, host->err_message(why));
    else
        rc = 0;
    host->err_free(why);
    return rc;
}
