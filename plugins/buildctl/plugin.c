/* The buildctl plugin: a builder that drives BuildKit through its command-line client. */
#include <stdlib.h>
#include <string.h>

#include "buildctl/buildctl.h"
#include "common/options.h"

static const struct plug_option table[] = {
    PLUG_OPTION(struct buildctl, address, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, ca, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, cert, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, key, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, server_name, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, program, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildctl, timeout_ms, .kind = PLUG_INT, .min = 1, .max = 3600000),
    PLUG_OPTION(struct buildctl, liveness_ms, .kind = PLUG_INT, .min = 0, .max = 3600000),
    { .key = NULL },
};

/* Where buildkitd listens when nobody told it otherwise. */
static const char usual_address[] = "unix:///run/buildkit/buildkitd.sock";

static void close_instance(void *instance)
{
    struct buildctl *self = instance;
    if (self == NULL)
        return;
    plug_options_dispose(table, self);
    free(self);
}

static int check_options(struct buildctl *self, struct strake_err *err)
{
    const struct strake_host *host = self->host;
    if (self->address == NULL)
        self->address = strdup(usual_address);
    if (self->program == NULL)
        self->program = strdup("buildctl");
    if (self->address == NULL || self->program == NULL)
        return plug_fail_nomem(host, err);
    int rc = buildkit_certificates_check(host, "buildctl", self->ca, self->cert, self->key,
                                         self->server_name, err);
    if (rc < 0)
        return rc;
    /* A wrong address is told where it is written, not when it is dialled. */
    return buildkit_address_check(host, "buildctl", self->address, err);
}

static int open_instance(const struct strake_host *host, const char *options, void **out,
                         struct strake_err *err)
{
    struct buildctl *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return plug_fail_nomem(host, err);
    self->host = host;
    self->timeout_ms = 3000;
    self->liveness_ms = 10000;
    int rc = plug_options_read(host, "buildctl", table, options, self, err);
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
    const struct buildctl *self = instance;
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    /* The file lies in a folder that is made for each build; here it only has a name. */
    int rc = buildctl_argv_build(self, &request, "metadata.json", &argv, err);
    if (rc == 0)
        rc = plug_list_json(&argv, self->host, out);
    plug_list_dispose(&argv);
    return rc;
}

static const struct strake_builder_v1 builder = {
    .size = sizeof(builder),
    .probe = buildctl_probe,
    .command = command,
    .build = buildctl_build,
    .features = STRAKE_BUILDER_PUSH | STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK |
                STRAKE_BUILDER_SOURCE_POLICY | STRAKE_BUILDER_CACHE_EXPORT,
    .usage = buildctl_usage,
    .prune = buildctl_prune,
};

static const struct strake_interface interfaces[] = { { "builder/1", &builder }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "buildctl",
    .version = STRAKE_VERSION,
    .open = open_instance,
    .close = close_instance,
    .interfaces = interfaces,
    .summary = "Builds with BuildKit, through buildctl",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
