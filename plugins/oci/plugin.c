/* The oci plugin itself (oci.h says what is where); all else here is what ghcr builds on, too. */
#include <stdlib.h>

#include "oci.h"

static const struct plug_option option_table[] = {
    OCI_OPTIONS,
    PLUG_OPTION(struct oci_options, api, .kind = PLUG_STRING),
    { .key = NULL },
};

static void oci_close(void *self)
{
    struct oci *oci = self;
    if (!oci)
        return;
    oci_dispose(oci);
    plug_options_dispose(option_table, &oci->options);
    free(oci);
}

static int oci_open(const struct strake_host *host, const char *options, void **self,
                    struct strake_err *err)
{
    struct oci *oci = calloc(1, sizeof(*oci));
    if (!oci)
        return plug_fail_nomem(host, err);
    int rc = plug_options_read(host, "oci", option_table, options, &oci->options, err);
    if (rc == 0)
        rc = oci_init(oci, host, err);
    if (rc < 0)
        oci_close(oci);
    else
        *self = oci;
    return rc;
}

static const struct strake_registry_v1 registry = {
    .size = sizeof(registry),
    .resolve = oci_resolve,
    .manifest_get = oci_manifest_get,
    .manifest_put = oci_manifest_put,
    .tags = oci_tags,
    .blob_stat = oci_blob_stat,
    .blob_get = oci_blob_get,
    .blob_put = oci_blob_put,
    .blob_mount = oci_blob_mount,
    .manifest_delete = oci_manifest_delete,
    .ping = oci_ping,
    .access = oci_access,
    .referrers_of = oci_referrers_of,
    .login = oci_login,
    .logout = oci_logout,
};

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "oci",
    .version = STRAKE_VERSION,
    .open = oci_open,
    .close = oci_close,
    .interfaces = (const struct strake_interface[]){ { "registry/1", &registry }, { NULL, NULL } },
    .summary = "images in a registry that speaks the OCI distribution protocol",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
