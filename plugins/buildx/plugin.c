/* The buildx plugin: a builder that drives what buildx drives, a Docker engine's own builder, those
 * that `docker buildx create` made, or a BuildKit daemon by its address. */
#include <stdlib.h>
#include <string.h>

#include "buildx/buildx.h"
#include "common/options.h"

static const struct plug_option table[] = {
    PLUG_OPTION(struct buildx, builder, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, address, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, ca, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, cert, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, key, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, server_name, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, program, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildx, timeout_ms, .kind = PLUG_INT, .min = 1, .max = 3600000),
    PLUG_OPTION(struct buildx, liveness_ms, .kind = PLUG_INT, .min = 0, .max = 3600000),
    { .key = NULL },
};

static void close_instance(void *instance)
{
    struct buildx *self = instance;
    if (self == NULL)
        return;
    plug_options_dispose(table, self);
    free(self->config);
    free(self);
}

/* Certificates are for an address; another builder has its own. */
static int check_certificates(const struct buildx *self, struct strake_err *err)
{
    const char *stray = self->ca != NULL            ? "ca"
                        : self->cert != NULL        ? "cert"
                        : self->key != NULL         ? "key"
                        : self->server_name != NULL ? "server_name"
                                                    : NULL;
    if (self->address == NULL && stray != NULL)
        return self->host->fail(err, STRAKE_ECONFIG, "buildx: option '%s' needs an address", stray);
    return buildkit_certificates_check(self->host, "buildx", self->ca, self->cert, self->key,
                                       self->server_name, err);
}

static int check_options(struct buildx *self, struct strake_err *err)
{
    const struct strake_host *host = self->host;
    if (self->builder != NULL && self->address != NULL) {
        host->fail(err, STRAKE_ECONFIG,
                   "buildx: options 'builder' and 'address' exclude each other");
        host->err_hint(err, "builder names one that `docker buildx ls` lists, address a daemon");
        return STRAKE_ECONFIG;
    }
    if (self->builder != NULL && self->builder[0] == '-')
        return host->fail(err, STRAKE_ECONFIG, "buildx: option 'builder' names no builder: %s",
                          self->builder);
    int rc = check_certificates(self, err);
    if (rc == 0 && self->address != NULL)
        rc = buildkit_address_check(host, "buildx", self->address, err);
    if (rc == 0 && self->address != NULL)
        rc = buildx_own_folder(self, err);
    if (rc == 0 && self->program == NULL)
        self->program = buildx_program_find();
    return rc == 0 && self->program == NULL ? plug_fail_nomem(host, err) : rc;
}

static int open_instance(const struct strake_host *host, const char *options, void **out,
                         struct strake_err *err)
{
    struct buildx *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return plug_fail_nomem(host, err);
    self->host = host;
    self->timeout_ms = 3000;
    self->liveness_ms = 10000;
    atomic_init(&self->layouts, false);
    atomic_init(&self->stores, false);
    int rc = plug_options_read(host, "buildx", table, options, self, err);
    if (rc == 0)
        rc = check_options(self, err);
    if (rc < 0) {
        close_instance(self);
        return rc;
    }
    *out = self;
    return 0;
}

static int command(void *instance, const struct strake_build_request *given, struct strake_buf *out,
                   struct strake_err *err)
{
    const struct buildx *self = instance;
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    /* The file lies in a folder that is made for each build; here it only has a name. */
    int rc = buildx_argv_build(self, &request, "metadata.json", &argv, err);
    if (rc == 0)
        rc = plug_list_json(&argv, self->host, out);
    plug_list_dispose(&argv);
    return rc;
}

static const struct strake_builder_v1 builder = {
    .size = sizeof(builder),
    .probe = buildx_probe,
    .command = command,
    .build = buildx_build,
    .usage = buildx_usage,
    .prune = buildx_prune,
    .features = STRAKE_BUILDER_PUSH | STRAKE_BUILDER_EITHER | STRAKE_BUILDER_HEREDOC |
                STRAKE_BUILDER_COPY_LINK | STRAKE_BUILDER_SOURCE_POLICY |
                STRAKE_BUILDER_CACHE_EXPORT,
};

static const struct strake_interface interfaces[] = { { "builder/1", &builder }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "buildx",
    .version = STRAKE_VERSION,
    .open = open_instance,
    .close = close_instance,
    .interfaces = interfaces,
    .summary = "Builds with Docker or BuildKit, through buildx",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
