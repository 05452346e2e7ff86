/* The ghcr plugin itself (ghcr.h says what is where). */
#include "ghcr.h"

#include <stdlib.h>
#include <string.h>

static const struct plug_option option_table[] = {
    OCI_OPTIONS,
    PLUG_OPTION(struct oci_options, api, .kind = PLUG_STRING),
    { .key = NULL },
};

/** As GITHUB_API_URL would have it: of github.com; of a server whose registry is a name below its
 *  own, that server's; of another, what `api` says. */
static int find_api(struct ghcr *ghcr, struct strake_err *err)
{
    static const char below[] = "containers.";
    const struct oci_options *options = &ghcr->oci.options;
    const char *name = options->host;
    struct plug_url url = { 0 };
    if (options->api)
        ghcr->api = strdup(options->api);
    else if (strcmp(name, "ghcr.io") == 0)
        ghcr->api = strdup("https://api.github.com");
    else if (strncmp(name, below, sizeof(below) - 1) == 0)
        ghcr->api = plug_format("https://%s/api/v3", name + sizeof(below) - 1);
    else
        return 0;
    if (!ghcr->api)
        return plug_fail_nomem(ghcr->oci.host, err);
    for (size_t len = strlen(ghcr->api); len > 0 && ghcr->api[len - 1] == '/'; len--)
        ghcr->api[len - 1] = '\0';
    int rc = plug_url_split(ghcr->api, &url);
    plug_url_dispose(&url);
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(ghcr->oci.host, err);
    if (rc < 0 || strpbrk(ghcr->api, "?#"))
        return ghcr->oci.host->fail(err, STRAKE_ECONFIG, "ghcr: option 'api' is no address: %s",
                                    ghcr->api);
    return 0;
}

static void ghcr_close(void *self)
{
    struct ghcr *ghcr = self;
    if (!ghcr)
        return;
    oci_dispose(&ghcr->oci);
    plug_options_dispose(option_table, &ghcr->oci.options);
    plug_list_dispose(&ghcr->owners);
    plug_list_dispose(&ghcr->seen);
    pthread_mutex_destroy(&ghcr->lock);
    free(ghcr->api);
    free(ghcr);
}

static int ghcr_open(const struct strake_host *host, const char *options, void **self,
                     struct strake_err *err)
{
    struct ghcr *ghcr = calloc(1, sizeof(*ghcr));
    if (!ghcr)
        return plug_fail_nomem(host, err);
    pthread_mutex_init(&ghcr->lock, NULL);
    ghcr->oci.host = host;
    ghcr->oci.advice = ghcr_advice;
    int rc = plug_options_read(host, "ghcr", option_table, options, &ghcr->oci.options, err);
    if (rc == 0)
        rc = oci_init(&ghcr->oci, host, err);
    if (rc == 0)
        rc = find_api(ghcr, err);
    if (rc < 0)
        ghcr_close(ghcr);
    else
        *self = ghcr;
    return rc;
}

static const struct strake_registry_v1 registry = {
    .size = sizeof(registry),
    .resolve = ghcr_resolve,
    .manifest_get = oci_manifest_get,
    .manifest_put = ghcr_manifest_put,
    .tags = oci_tags,
    .blob_stat = oci_blob_stat,
    .blob_get = oci_blob_get,
    .blob_put = oci_blob_put,
    .blob_mount = oci_blob_mount,
    .manifest_delete = ghcr_manifest_delete,
    .ping = oci_ping,
    .access = oci_access,
    .referrers_of = oci_referrers_of,
    .login = oci_login,
    .logout = oci_logout,
};

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "ghcr",
    .version = STRAKE_VERSION,
    .open = ghcr_open,
    .close = ghcr_close,
    .interfaces = (const struct strake_interface[]){ { "registry/1", &registry }, { NULL, NULL } },
    .summary = "images in GitHub's registry, and its packages API to delete them",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
