/* The cache plugin: where build caches go, in the words of BuildKit's --import-cache and
 * --export-cache. It asks nobody. */
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "common/options.h"

/* An instance has nothing of its own: what a target says comes with each question. */
struct cache {
    const struct strake_host *host;
};

static const struct plug_option table[] = { { .key = NULL } };

static void close_instance(void *instance)
{
    free(instance);
}

static int open_instance(const struct strake_host *host, const char *options, void **out,
                         struct strake_err *err)
{
    struct cache *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return plug_fail_nomem(host, err);
    self->host = host;
    int rc = plug_options_read(host, "cache", table, options, self, err);
    if (rc < 0) {
        free(self);
        return rc;
    }
    *out = self;
    return 0;
}

/* A request as this plugin knows it, whatever the size of the caller's. */
static void read_request(const struct strake_cache_request *given, struct strake_cache_request *out)
{
    static const char *const no_tags[] = { NULL };
    const size_t size = given->size < sizeof(*out) ? given->size : sizeof(*out);
    *out = (struct strake_cache_request){ 0 };
    memcpy(out, given, size);
    const char **const texts[] = { &out->target,      &out->image,   &out->platform, &out->branch,
                                   &out->main_branch, &out->options, &out->project };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (*texts[i] == NULL)
            *texts[i] = "";
    }
    if (out->tags == NULL)
        out->tags = no_tags;
}

/* {"import":[…],"export":[…]} */
static int answer(const struct cache_ask *ask, struct strake_buf *specs)
{
    static const char *const words[] = { "{\"import\":", ",\"export\":", "}" };
    const struct strake_host *host = ask->host;
    int rc = host->buf_append(specs, words[0], strlen(words[0]));
    if (rc == 0)
        rc = plug_list_json(&ask->imports, host, specs);
    if (rc == 0)
        rc = host->buf_append(specs, words[1], strlen(words[1]));
    if (rc == 0)
        rc = plug_list_json(&ask->exports, host, specs);
    if (rc == 0)
        rc = host->buf_append(specs, words[2], strlen(words[2]));
    if (rc == STRAKE_ETOOBIG)
        return host->fail(ask->err, STRAKE_ECONFIG, "`cache` is too large");
    return rc < 0 ? plug_fail_nomem(host, ask->err) : 0;
}

static int no_type(struct cache_ask *ask)
{
    ask->host->fail(ask->err, STRAKE_ECONFIG, "`cache` has no type");
    ask->host->err_hint(ask->err, "for example cache = \"auto\", or { type = \"registry\", ref = "
                                  "REPO .. \":cache\" }");
    return STRAKE_ECONFIG;
}

static int specs(void *instance, const struct strake_cache_request *given, struct strake_buf *out,
                 struct strake_err *err)
{
    const struct cache *self = instance;
    struct cache_ask ask = { .host = self->host, .err = err };
    read_request(given, &ask.request);
    ask.table = json_loads(ask.request.options, 0, NULL);
    ask.type = cache_text(&ask, "type");
    const char *main_branch = cache_text(&ask, "main_branch");
    if (main_branch != NULL)
        ask.request.main_branch = main_branch;
    int rc;
    if (ask.table == NULL) /* what Strake writes is JSON */
        rc = STRAKE_ENOMEM;
    else
        rc = ask.type != NULL ? cache_specs(&ask) : no_type(&ask);
    if (rc == 0)
        rc = answer(&ask, out);
    else if (rc == STRAKE_ENOMEM)
        plug_fail_nomem(self->host, err);
    plug_list_dispose(&ask.imports);
    plug_list_dispose(&ask.exports);
    json_decref(ask.table);
    return rc;
}

static const struct strake_cache_v1 cache = { .size = sizeof(cache), .specs = specs };

static const struct strake_interface interfaces[] = { { "cache/1", &cache }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "cache",
    .version = STRAKE_VERSION,
    .open = open_instance,
    .close = close_instance,
    .interfaces = interfaces,
    .summary = "Build caches: auto, registry, inline, local, gha, s3, azblob",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
