/* The versions of a package: each manifest is one, and only so can it be deleted (ghcr.h). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ghcr.h"

#define PAGES_MAX 100

/* ---- whose package ---------------------------------------------------------------------------- */

/** "orgs/NAME" or "users/NAME", which the API asks for in the path; free it. NULL: not known. */
static char *known_owner(struct ghcr *ghcr, const char *owner)
{
    char *found = NULL;
    pthread_mutex_lock(&ghcr->lock);
    for (size_t i = 0; !found && i < ghcr->owners.count; i++)
        if (strcmp(strchr(ghcr->owners.items[i], '/') + 1, owner) == 0)
            found = strdup(ghcr->owners.items[i]);
    pthread_mutex_unlock(&ghcr->lock);
    return found;
}

static int ask_owner(struct ghcr *ghcr, struct strake_job *job, struct ghcr_call *call,
                     const char *owner, char **out, struct strake_err *err)
{
    int rc = ghcr_call_run(ghcr, job, call, err);
    if (rc == 0) {
        const char *type = json_string_value(json_object_get(call->json, "type"));
        bool org = type && strcmp(type, "Organization") == 0;
        *out = plug_format("%s/%s", org ? "orgs" : "users", owner);
        if (!*out)
            rc = plug_fail_nomem(ghcr->oci.host, err);
    }
    ghcr_call_dispose(ghcr, call);
    if (rc == 0) {
        pthread_mutex_lock(&ghcr->lock);
        plug_list_add(&ghcr->owners, *out);
        pthread_mutex_unlock(&ghcr->lock);
    }
    return rc;
}

int ghcr_package_path(struct ghcr *ghcr, struct strake_job *job, const char *what,
                      const char *repository, int64_t limit_ms, char **path, struct strake_err *err)
{
    const char *slash = strchr(repository, '/');
    *path = NULL;
    if (!slash || slash == repository || !slash[1])
        return ghcr->oci.host->fail(err, STRAKE_EUSAGE,
                                    "%s: names at %s have an owner: %s/OWNER/NAME", what,
                                    oci_name(&ghcr->oci), oci_name(&ghcr->oci));
    char *owner = plug_strndup(repository, (size_t)(slash - repository));
    char *asked = owner ? plug_format("/users/%s", owner) : NULL;
    char *place = owner ? known_owner(ghcr, owner) : NULL;
    int rc = owner && asked ? 0 : plug_fail_nomem(ghcr->oci.host, err);
    if (rc == 0 && !place) {
        struct ghcr_call call = { .what = what,
                                  .repository = repository,
                                  .method = "GET",
                                  .path = asked,
                                  .limit_ms = limit_ms };
        rc = ask_owner(ghcr, job, &call, owner, &place, err);
    }
    if (rc == 0) {
        struct plug_text text = { 0 };
        plug_text_addf(&text, "/%s/packages/container/", place);
        plug_url_escape(&text, slash + 1);
        *path = plug_text_take(&text);
        if (!*path)
            rc = plug_fail_nomem(ghcr->oci.host, err);
    }
    free(place);
    free(asked);
    free(owner);
    return rc;
}

/* ---- the list --------------------------------------------------------------------------------- */

static int read_page(struct ghcr *ghcr, const struct ghcr_call *call,
                     int (*each)(void *ctx, const struct ghcr_version *version), void *ctx,
                     struct strake_err *err)
{
    size_t i;
    json_t *entry;
    if (!json_is_array(call->json))
        return ghcr->oci.host->fail(err, STRAKE_EREGISTRY,
                                    "%s: GitHub's API answered no list of versions", call->what);
    json_array_foreach(call->json, i, entry) {
        const json_t *container = json_object_get(json_object_get(entry, "metadata"), "container");
        struct ghcr_version version = {
            .id = json_integer_value(json_object_get(entry, "id")),
            .digest = json_string_value(json_object_get(entry, "name")),
            .tags = json_object_get(container, "tags"),
        };
        if (version.id <= 0 || !version.digest || !plug_is_digest(version.digest))
            continue; /* of another kind: none that could be meant */
        int rc = each(ctx, &version);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool goes_on(const struct ghcr *ghcr, const struct ghcr_call *call)
{
    char *link = plug_header_copy(plug_buf_text(ghcr->oci.host, call->headers), "link");
    bool more = link && strstr(link, "rel=\"next\"");
    free(link);
    return more && json_array_size(call->json) > 0;
}

int ghcr_versions(struct ghcr *ghcr, struct strake_job *job, const char *what,
                  const char *repository, const char *package, int64_t limit_ms,
                  int (*each)(void *ctx, const struct ghcr_version *version), void *ctx,
                  struct strake_err *err)
{
    bool more = true;
    int rc = 0;
    for (int page = 1; rc == 0 && more; page++) {
        if (page > PAGES_MAX)
            return ghcr->oci.host->fail(err, STRAKE_ETOOBIG,
                                        "%s: the package has more than %d pages of versions", what,
                                        PAGES_MAX);
        /* Pages are counted, not followed: the token goes nowhere that an answer names. */
        char *path = plug_format("%s/versions?per_page=100&page=%d", package, page);
        if (!path)
            return plug_fail_nomem(ghcr->oci.host, err);
        struct ghcr_call call = { .what = what,
                                  .repository = repository,
                                  .method = "GET",
                                  .path = path,
                                  .limit_ms = limit_ms };
        rc = ghcr_call_run(ghcr, job, &call, err);
        if (rc == 0)
            rc = read_page(ghcr, &call, each, ctx, err);
        more = rc == 0 && goes_on(ghcr, &call);
        ghcr_call_dispose(ghcr, &call);
        free(path);
    }
    return rc;
}

/* ---- deleting --------------------------------------------------------------------------------- */

struct wanted {
    const char *digest;
    int64_t id;
};

static int is_wanted(void *ctx, const struct ghcr_version *version)
{
    struct wanted *wanted = ctx;
    if (strcmp(version->digest, wanted->digest) != 0)
        return 0;
    wanted->id = version->id;
    return 1;
}

static int delete_version(struct ghcr *ghcr, struct strake_job *job, const char *what,
                          const char *repository, const char *package, int64_t id,
                          struct strake_err *err)
{
    char *path = plug_format("%s/versions/%" PRId64, package, id);
    if (!path)
        return plug_fail_nomem(ghcr->oci.host, err);
    struct ghcr_call call = {
        .what = what, .repository = repository, .method = "DELETE", .path = path
    };
    int rc = ghcr_call_run(ghcr, job, &call, err);
    if (rc < 0 && call.status == 400)
        ghcr->oci.host->err_hint(err, "the last version with a tag goes only with the package: "
                                      "delete that on its page at GitHub");
    ghcr_call_dispose(ghcr, &call);
    free(path);
    return rc;
}

static int remove_digest(struct oci *oci, struct strake_job *job, const char *repository,
                         const char *digest, struct strake_err *err)
{
    struct ghcr *ghcr = (struct ghcr *)oci;
    struct wanted wanted = { .digest = digest };
    char *package = NULL;
    char *what = plug_format("deleting %s/%s@%s", oci_name(oci), repository, digest);
    int rc = what ? oci_check_name(oci, repository, digest, err) : plug_fail_nomem(oci->host, err);
    if (rc == 0)
        rc = ghcr_package_path(ghcr, job, what, repository, 0, &package, err);
    if (rc == 0)
        rc = ghcr_versions(ghcr, job, what, repository, package, 0, is_wanted, &wanted, err);
    if (rc == 0)
        rc = oci->host->fail(err, STRAKE_ENOTFOUND, "%s: the package has no such version", what);
    else if (rc > 0)
        rc = delete_version(ghcr, job, what, repository, package, wanted.id, err);
    free(package);
    free(what);
    return rc;
}

int ghcr_manifest_delete(void *self, struct strake_job *job, const char *repository,
                         const char *reference, struct strake_err *err)
{
    struct ghcr *ghcr = self;
    /* A version goes with all its tags: a tag alone is taken to another version, which goes then. */
    if (!plug_is_digest(reference))
        return ghcr->oci.host->fail(err, STRAKE_EUNSUPPORTED,
                                    "deleting %s/%s:%s: GitHub deletes versions, not tags",
                                    oci_name(&ghcr->oci), repository, reference);
    return oci_manifest_delete_by(&ghcr->oci, job, repository, reference, remove_digest, err);
}
