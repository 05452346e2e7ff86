/* A first push makes a package, and GitHub makes it private, without a word: who published it hears
 * of it here (ghcr.h). No request of the API makes it public. */
#include <stdlib.h>
#include <string.h>

#include "ghcr.h"

#define LOOK_MS 5000

static bool is_seen(struct ghcr *ghcr, const char *repository, bool see)
{
    pthread_mutex_lock(&ghcr->lock);
    bool seen = plug_list_has(&ghcr->seen, repository);
    if (!seen && see)
        plug_list_add(&ghcr->seen, repository);
    pthread_mutex_unlock(&ghcr->lock);
    return seen;
}

int ghcr_resolve(void *self, struct strake_job *job, const char *repository, const char *reference,
                 struct strake_descriptor *out, struct strake_err *err)
{
    int rc = oci_resolve(self, job, repository, reference, out, err);
    if (rc == 0 && !plug_is_digest(reference))
        is_seen(self, repository, true);
    return rc;
}

/** 1 when a version has another tag than the one that was just put. */
static int is_older(void *ctx, const struct ghcr_version *version)
{
    size_t i;
    json_t *tag;
    json_array_foreach(version->tags, i, tag) {
        const char *text = json_string_value(tag);
        if (text && strcmp(text, ctx) != 0)
            return 1;
    }
    return 0;
}

/** @return 1 when the package is private and this tag its first, with its page in *page */
static int look(struct ghcr *ghcr, struct strake_job *job, const char *repository, const char *tag,
                char **page, struct strake_err *err)
{
    static const char what[] = "asking GitHub who may see the package";
    char *path = NULL, *first = NULL;
    bool private = false;
    int rc = ghcr_package_path(ghcr, job, what, repository, LOOK_MS, &path, err);
    if (rc == 0) {
        struct ghcr_call call = { .what = what,
                                  .repository = repository,
                                  .method = "GET",
                                  .path = path,
                                  .limit_ms = LOOK_MS };
        rc = ghcr_call_run(ghcr, job, &call, err);
        const char *visibility = json_string_value(json_object_get(call.json, "visibility"));
        const char *url = json_string_value(json_object_get(call.json, "html_url"));
        private = visibility && strcmp(visibility, "private") == 0;
        *page = url && strlen(url) < 500 ? strdup(url) : NULL;
        ghcr_call_dispose(ghcr, &call);
    }
    if (rc == 0 && private && (first = strdup(tag)))
        rc = ghcr_versions(ghcr, job, what, repository, path, LOOK_MS, is_older, first, err);
    free(first);
    free(path);
    return rc < 0 ? rc : private && rc == 0;
}

int ghcr_manifest_put(void *self, struct strake_job *job, const char *repository,
                      const char *reference, const char *media_type, const void *data, size_t len,
                      struct strake_descriptor *out, struct strake_err *err)
{
    struct ghcr *ghcr = self;
    const struct strake_host *host = ghcr->oci.host;
    int rc = oci_manifest_put(self, job, repository, reference, media_type, data, len, out, err);
    if (rc < 0 || plug_is_digest(reference) || is_seen(ghcr, repository, true) || !ghcr->api)
        return rc;
    /* It is published whatever comes of this. */
    struct strake_err *unheard = host->err_new();
    char *page = NULL;
    int found = unheard ? look(ghcr, job, repository, reference, &page, unheard) : 0;
    if (found > 0)
        host->log(STRAKE_LOG_WARN,
                  "%s/%s is new, and private as every new package: others cannot pull it until it "
                  "is made public in its settings%s%s",
                  oci_name(&ghcr->oci), repository, page ? ", " : "", page ? page : "");
    else if (found < 0)
        host->log(STRAKE_LOG_DEBUG, "%s", host->err_message(unheard));
    free(page);
    host->err_free(unheard);
    return 0;
}
