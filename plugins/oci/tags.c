/* Listing tags, page by page, from a registry that may never come to an end. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "oci.h"

#define PAGE "?n=1000"
#define TAGS_MAX 100000

/** A listing on its way. */
struct listing {
    struct oci *oci;
    const char *what;
    struct plug_list seen; /**< URLs of the pages so far */
    size_t count;
    int (*each)(void *ctx, const char *tag);
    void *ctx;
    struct strake_err *err;
};

static int give(struct listing *listing, const char *text, size_t len)
{
    const struct strake_host *host = listing->oci->host;
    json_t *root = json_loadb(text, len, 0, NULL);
    const json_t *tags = json_object_get(root, "tags");
    int rc = 0;
    /* A repository without tags may say null. */
    if (!json_is_object(root) || (tags && !json_is_array(tags) && !json_is_null(tags)))
        rc = host->fail(listing->err, STRAKE_EREGISTRY, "%s: %s answered something that is no list",
                        listing->what, oci_name(listing->oci));
    for (size_t i = 0; rc == 0 && i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (!tag)
            rc = host->fail(listing->err, STRAKE_EREGISTRY, "%s: one of the tags is no text",
                            listing->what);
        else if (++listing->count > TAGS_MAX)
            rc = host->fail(listing->err, STRAKE_ETOOBIG, "%s: there are more than %d",
                            listing->what, TAGS_MAX);
        else
            rc = listing->each(listing->ctx, tag);
    }
    json_decref(root);
    return rc;
}

/** One page; *url becomes the next one's, or NULL. */
static int page(struct listing *listing, struct strake_job *job, const char *repository,
                const char *scope, char **url)
{
    struct oci *oci = listing->oci;
    struct oci_call call = {
        .what = listing->what,
        .repository = repository,
        .scopes = scope,
        .method = "GET",
        .url = *url,
        .accept = "application/json",
        .max_redirects = OCI_REDIRECTS,
        .max_bytes = OCI_MANIFEST_MAX,
        .idempotent = true,
    };
    char *next = NULL;
    plug_list_add(&listing->seen, *url);
    int rc = listing->seen.failed ? plug_fail_nomem(oci->host, listing->err)
                                  : oci_call_run(oci, job, &call, listing->err);
    if (rc == 0 && call.status != 200)
        rc = oci_answer_fail(oci, &call, listing->err);
    if (rc == 0) {
        size_t len;
        const char *text = oci_call_answer(oci, &call, &len);
        rc = give(listing, text, len);
    }
    if (rc == 0)
        rc = oci_next_page(oci, &call, &listing->seen, &next, listing->err);
    oci_call_dispose(oci, &call);
    free(*url);
    *url = next;
    return rc;
}

int oci_tags(void *self, struct strake_job *job, const char *repository,
             int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err)
{
    struct oci *oci = self;
    int rc = oci_check_name(oci, repository, NULL, err);
    if (rc < 0)
        return rc;
    char *what = plug_format("listing the tags of %s/%s", oci_name(oci), repository);
    char *url = oci_url(oci, repository, "tags", "list" PAGE);
    char *scope = oci_scope(repository, "pull");
    struct listing listing = { .oci = oci, .what = what, .each = each, .ctx = ctx, .err = err };
    if (!what || !url || !scope)
        rc = plug_fail_nomem(oci->host, err);
    while (rc == 0 && url)
        rc = page(&listing, job, repository, scope, &url);
    plug_list_dispose(&listing.seen);
    free(url);
    free(what);
    free(scope);
    return rc;
}
