/* Lists that come in pages (oci.h), from a registry whose list may never come to an end. */
#include <stdlib.h>

#include "challenge.h"
#include "oci.h"

#define PAGES_MAX 1000

int oci_next_page(const struct oci *oci, const struct oci_call *call, const struct plug_list *seen,
                  char **next, struct strake_err *err)
{
    char *target = NULL;
    *next = NULL;
    if (oci_link_next(oci_call_headers(oci, call), &target) < 0)
        return plug_fail_nomem(oci->host, err);
    if (!target)
        return 0;
    char *url = plug_url_join(call->url, target);
    free(target);
    struct plug_url parts = { 0 };
    bool ours =
        url && plug_url_split(url, &parts) == 0 && plug_url_same_origin(&parts, &oci->origin);
    plug_url_dispose(&parts);
    int rc = 0;
    if (!ours)
        rc = oci->host->fail(err, STRAKE_EREGISTRY,
                             "%s: %s says that the list goes on somewhere else", call->what,
                             oci_name(oci));
    else if (plug_list_has(seen, url) || seen->count >= PAGES_MAX)
        rc = oci->host->fail(err, STRAKE_EREGISTRY, "%s: the list of %s does not end (page %zu)",
                             call->what, oci_name(oci), seen->count + 1);
    if (rc == 0)
        *next = url;
    else
        free(url);
    return rc;
}
