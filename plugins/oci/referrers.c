/* What refers to an image: the registry's own list, or that of the fallback tag, which clients keep
 * where the registry has none (OCI distribution specification 1.1, "Listing Referrers" and "Pushing
 * Manifests with Subject"). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "oci.h"

/** A fallback tag has no owner: who writes it may undo what another wrote at the same time. */
#define KEEP_TRIES 6
#define KEEP_WAIT_MS 250

/* ---- the registry's own list ----------------------------------------------------------------- */

/** A list on its way. */
struct listing {
    struct oci *oci;
    struct strake_job *job;
    const char *repository;
    const char *artifact_type;
    char *what;
    char *scope;
    struct plug_list seen; /**< addresses of the pages so far */
    json_t *list;
    struct strake_err *err;
};

/** Was this page filtered by artifact type? */
static bool is_filtered(const char *headers)
{
    static const char name[] = "artifactType";
    size_t pos = 0;
    size_t len = 0;
    const char *value;
    while ((value = plug_header(headers, "oci-filters-applied", &pos, &len)) != NULL)
        for (size_t at = 0; at < len;) {
            size_t word = strcspn(value + at, ", \t\n");
            if (word == sizeof(name) - 1 && strncasecmp(value + at, name, word) == 0)
                return true;
            at += word + 1;
        }
    return false;
}

static int fail_list(const struct listing *listing, int rc)
{
    const struct oci *oci = listing->oci;
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(oci->host, listing->err);
    if (rc == STRAKE_ETOOBIG)
        return oci->host->fail(listing->err, rc, "%s: there are more than %d", listing->what,
                               PLUG_REFERRERS_MAX);
    return oci->host->fail(listing->err, rc, "%s: %s answered something that is no such list",
                           listing->what, oci_name(oci));
}

/** The entries of one page into the list. */
static int take_page(struct listing *listing, const struct oci_call *call)
{
    size_t len;
    const char *data = oci_call_answer(listing->oci, call, &len);
    json_t *page = plug_referrers_new();
    const char *digest;
    json_t *entry;
    int rc = page ? plug_referrers_read(page, data, len) : STRAKE_ENOMEM;
    if (rc == 0)
        plug_referrers_select(
            page, is_filtered(oci_call_headers(listing->oci, call)) ? "" : listing->artifact_type);
    json_object_foreach(page, digest, entry)
        if (rc >= 0)
            rc = plug_referrers_put(listing->list, digest, entry);
    json_decref(page);
    return rc < 0 ? fail_list(listing, rc) : 0;
}

/** Where a redirect leads, when that is the registry itself; NULL: elsewhere, or out of memory. */
static char *redirect_of(const struct oci *oci, const struct oci_call *call)
{
    char *location = plug_header_copy(oci_call_headers(oci, call), "location");
    char *url = location ? plug_url_join(call->url, location) : NULL;
    struct plug_url parts = { 0 };
    bool ours =
        url && plug_url_split(url, &parts) == 0 && plug_url_same_origin(&parts, &oci->origin);
    plug_url_dispose(&parts);
    free(location);
    if (ours)
        return url;
    free(url);
    return NULL;
}

/** What was answered. @return 1: a page, with *next behind it; 0: no list is kept here; negative */
static int read_answer(struct listing *listing, const struct oci_call *call, char **next)
{
    struct oci *oci = listing->oci;
    char type[256];
    oci_content_type(oci_call_headers(oci, call), type, sizeof(type));
    int status = call->status;
    if (status == 200 && strcmp(type, PLUG_INDEX_TYPE) == 0) {
        int rc = take_page(listing, call);
        if (rc == 0)
            rc = oci_next_page(oci, call, &listing->seen, next, listing->err);
        return rc < 0 ? rc : 1;
    }
    if (status == 401 || status == 403 || status == 429 || status >= 500 ||
        json_object_size(listing->list) > 0)
        return oci_answer_fail(oci, call, listing->err);
    if (status >= 300 && status < 400)
        *next = redirect_of(oci, call);
    /* Anything else, a page of a proxy too, is a registry without such a list. */
    return *next ? 1 : 0;
}

/** The page at *url, which becomes the next one's, or NULL. @return as read_answer() */
static int ask_page(struct listing *listing, char **url)
{
    struct oci *oci = listing->oci;
    struct oci_call call = {
        .what = listing->what,
        .repository = listing->repository,
        .scopes = listing->scope,
        .method = "GET",
        .url = *url,
        .accept = PLUG_INDEX_TYPE,
        .max_bytes = OCI_MANIFEST_MAX,
        .idempotent = true,
    };
    char *next = NULL;
    plug_list_add(&listing->seen, *url);
    int rc = listing->seen.failed ? plug_fail_nomem(oci->host, listing->err)
                                  : oci_call_run(oci, listing->job, &call, listing->err);
    if (rc == 0)
        rc = read_answer(listing, &call, &next);
    oci_call_dispose(oci, &call);
    free(*url);
    *url = next;
    return rc;
}

static char *first_url(const struct oci *oci, const char *repository, const char *digest,
                       const char *artifact_type)
{
    struct plug_text url = { 0 };
    plug_text_addf(&url, "%s%s/referrers/%s", oci->base, repository, digest);
    if (*artifact_type) {
        plug_text_add(&url, "?artifactType=");
        plug_url_escape(&url, artifact_type);
    }
    return plug_text_take(&url);
}

/** @return 1: the registry listed them; 0: it keeps no such list; negative */
static int ask_registry(struct oci *oci, struct strake_job *job, const char *repository,
                        const char *digest, const char *artifact_type, json_t *list,
                        struct strake_err *err)
{
    struct listing listing = {
        .oci = oci,
        .job = job,
        .repository = repository,
        .artifact_type = artifact_type,
        .what = plug_format("asking what refers to %s/%s@%s", oci_name(oci), repository, digest),
        .scope = oci_scope(repository, "pull"),
        .list = list,
        .err = err,
    };
    char *url = first_url(oci, repository, digest, artifact_type);
    int rc = 1;
    if (!listing.what || !listing.scope || !url)
        rc = plug_fail_nomem(oci->host, err);
    while (rc > 0 && url)
        rc = ask_page(&listing, &url);
    plug_list_dispose(&listing.seen);
    free(listing.what);
    free(listing.scope);
    free(url);
    return rc;
}

/* ---- the fallback tag ------------------------------------------------------------------------ */

/** What the tag lists; nothing where it is not there. */
static int read_tag(struct oci *oci, struct strake_job *job, const char *repository,
                    const char *tag, json_t *list, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    struct strake_descriptor out = { .size = sizeof(out) };
    struct strake_buf *bytes = host->buf_new(PLUG_REFERRERS_BYTES);
    int rc = bytes ? oci_manifest_get(oci, job, repository, tag, bytes, &out, err)
                   : plug_fail_nomem(host, err);
    if (rc == 0) {
        size_t len;
        const char *data = host->buf_data(bytes, &len);
        rc = strcmp(out.media_type, PLUG_INDEX_TYPE) == 0 ? plug_referrers_read(list, data, len)
                                                          : STRAKE_EREGISTRY;
        if (rc < 0)
            host->fail(err, rc, "%s/%s:%s should list what refers to an image, and is no such list",
                       oci_name(oci), repository, tag);
    } else if (rc == STRAKE_ENOTFOUND) {
        rc = 0;
    }
    host->buf_free(bytes);
    return rc;
}

int oci_referrers_of(void *self, struct strake_job *job, const char *repository, const char *digest,
                     const char *artifact_type, struct strake_buf *bytes, struct strake_err *err)
{
    struct oci *oci = self;
    int rc = oci_check_name(oci, repository, digest, err);
    if (rc < 0)
        return rc;
    if (!plug_is_digest(digest))
        return oci->host->fail(err, STRAKE_EUSAGE, "\"%.300s\" is not a digest", digest);
    struct plug_text text = { 0 };
    json_t *list = plug_referrers_new();
    rc = list ? ask_registry(oci, job, repository, digest, artifact_type, list, err)
              : plug_fail_nomem(oci->host, err);
    if (rc == 0) {
        char tag[PLUG_FALLBACK_TAG];
        plug_fallback_tag(digest, tag);
        rc = read_tag(oci, job, repository, tag, list, err);
        plug_referrers_select(list, artifact_type);
    }
    if (rc >= 0) {
        rc = plug_referrers_write(list, &text);
        if (rc == 0)
            rc = oci->host->buf_append(bytes, plug_text_view(&text), text.len);
        if (rc < 0)
            oci->host->fail(err, rc, "%s/%s@%s: there is no room for what refers to it",
                            oci_name(oci), repository, digest);
    }
    plug_text_dispose(&text);
    json_decref(list);
    return rc;
}

/* ---- keeping it ------------------------------------------------------------------------------ */

/** A change of a fallback tag. */
struct keeping {
    struct oci *oci;
    struct strake_job *job;
    const char *repository;
    const struct plug_referrer *referrer;
    const char *digest;
    bool drop;
    char tag[PLUG_FALLBACK_TAG];
    struct strake_err *err;
};

static int write_tag(const struct keeping *keeping, const json_t *list)
{
    struct oci *oci = keeping->oci;
    struct strake_descriptor out = { .size = sizeof(out) };
    struct plug_text text = { 0 };
    bool kept;
    int rc = plug_referrers_write(list, &text);
    if (rc < 0)
        oci->host->fail(keeping->err, rc, "its list would have more than %zu MiB",
                        PLUG_REFERRERS_BYTES / 1024 / 1024);
    else
        rc =
            oci_manifest_send(oci, keeping->job, keeping->repository, keeping->tag, PLUG_INDEX_TYPE,
                              plug_text_view(&text), text.len, "", &kept, &out, keeping->err);
    plug_text_dispose(&text);
    return rc;
}

/** Read the tag and write what it lacks. @return 1: written; 0: it was as it should be; negative */
static int keep_once(const struct keeping *keeping)
{
    const struct strake_host *host = keeping->oci->host;
    json_t *list = plug_referrers_new();
    int rc = list ? read_tag(keeping->oci, keeping->job, keeping->repository, keeping->tag, list,
                             keeping->err)
                  : plug_fail_nomem(host, keeping->err);
    if (rc == 0) {
        rc = keeping->drop ? plug_referrers_drop(list, keeping->digest)
                           : plug_referrers_put(list, keeping->digest, keeping->referrer->entry);
        if (rc < 0)
            host->fail(keeping->err, rc, "its list has %zu entries, and %d is the most",
                       json_object_size(list), PLUG_REFERRERS_MAX);
        if (rc > 0) {
            rc = write_tag(keeping, list);
            rc = rc < 0 ? rc : 1;
        }
    }
    json_decref(list);
    return rc;
}

static int64_t some_wait_ms(void)
{
    uint16_t random;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return KEEP_WAIT_MS;
    return 1 + random % KEEP_WAIT_MS;
}

int oci_referrers_keep(struct oci *oci, struct strake_job *job, const char *repository,
                       const struct plug_referrer *referrer, const char *digest, bool drop,
                       struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    struct keeping keeping = { oci, job, repository, referrer, digest, drop, "", err };
    plug_fallback_tag(referrer->subject, keeping.tag);
    /* The last look finds it as it should be: nobody has written over it meanwhile. */
    int rc = 1;
    for (int tries = 0; rc == 1 && tries <= KEEP_TRIES; tries++) {
        if (tries > 1)
            rc = plug_wait_ms(host, job, some_wait_ms(), err);
        if (rc >= 0)
            rc = keep_once(&keeping);
    }
    if (rc == 1)
        rc = host->fail(err, STRAKE_ECONFLICT, "others write it all the time");
    if (rc < 0) {
        host->fail(err, rc,
                   "%s/%s@%s is %s, but the tag %s, which lists what refers to %s, is not "
                   "as it should be: %s",
                   oci_name(oci), repository, digest, drop ? "deleted" : "there", keeping.tag,
                   referrer->subject, host->err_message(err));
        host->err_hint(err, "do the same again: what is there already is not sent twice");
    }
    return rc;
}
