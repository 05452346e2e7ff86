/* Manifests: resolve, get, put, delete. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "oci.h"

#define OCI_INDEX PLUG_INDEX_TYPE
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

static const char accepted[] = OCI_INDEX ", " OCI_MANIFEST ", " DOCKER_LIST ", " DOCKER_MANIFEST;

static bool is_known_type(const char *type)
{
    static const char *const known[] = { OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST };
    for (size_t i = 0; type && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(type, known[i]) == 0)
            return true;
    return false;
}

/** Types that say nothing: the document itself must. */
static bool is_vague_type(const char *type)
{
    static const char *const vague[] = { "application/json", "application/octet-stream",
                                         "text/plain", "" };
    for (size_t i = 0; i < sizeof(vague) / sizeof(vague[0]); i++)
        if (strcmp(type, vague[i]) == 0)
            return true;
    return false;
}

/** "reading the manifest 127.0.0.1:5000/app:1" */
static char *describe(const struct oci *oci, const char *verb, const char *repository,
                      const char *reference)
{
    return plug_format("%s the manifest %s/%s%c%s", verb, oci_name(oci), repository,
                       plug_is_digest(reference) ? '@' : ':', reference);
}

/** A call about one manifest; `texts` keeps what it borrows. */
struct manifest_call {
    struct oci_call call;
    char *what;
    char *url;
    char *scope;
};

static int begin(struct oci *oci, struct manifest_call *out, const char *method, const char *verb,
                 const char *actions, const char *repository, const char *reference,
                 struct strake_err *err)
{
    *out = (struct manifest_call){ 0 };
    int rc = oci_check_name(oci, repository, reference, err);
    if (rc < 0)
        return rc;
    out->what = describe(oci, verb, repository, reference);
    out->url = oci_url(oci, repository, "manifests", reference);
    out->scope = oci_scope(repository, actions);
    if (!out->what || !out->url || !out->scope)
        return plug_fail_nomem(oci->host, err);
    out->call = (struct oci_call){
        .what = out->what,
        .repository = repository,
        .scopes = out->scope,
        .method = method,
        .url = out->url,
        .max_bytes = OCI_MANIFEST_MAX,
        .max_redirects = OCI_REDIRECTS,
        .idempotent = true,
    };
    return 0;
}

static void end(struct oci *oci, struct manifest_call *call)
{
    oci_call_dispose(oci, &call->call);
    free(call->what);
    free(call->url);
    free(call->scope);
}

void oci_content_type(const char *headers, char *type, size_t size)
{
    size_t pos = 0;
    size_t len = 0;
    const char *value = plug_header(headers, "content-type", &pos, &len);
    size_t used = 0;
    for (; used < len && used + 1 < size && !strchr("; \t", value[used]); used++)
        type[used] =
            (char)(value[used] >= 'A' && value[used] <= 'Z' ? value[used] + 32 : value[used]);
    type[used] = '\0';
}

static int set_digest(const struct oci_call *call, const struct oci *oci, const char *digest,
                      struct strake_descriptor *out, struct strake_err *err)
{
    if (plug_copy(out->digest, sizeof(out->digest), digest))
        return 0;
    return oci->host->fail(err, STRAKE_EREGISTRY, "%s: a digest of %zu characters", call->what,
                           strlen(digest));
}

/** The digest in the header `name`, into `out`; "" when there is none or it is malformed. */
static void claimed_digest(const char *headers, const char *name, char *out, size_t size)
{
    size_t pos = 0;
    size_t len = 0;
    const char *value = plug_header(headers, name, &pos, &len);
    *out = '\0';
    if (!value || len >= size)
        return;
    memcpy(out, value, len);
    out[len] = '\0';
    if (!plug_is_digest(out))
        *out = '\0';
}

static int fail_type(const struct oci *oci, const struct oci_call *call, const char *type,
                     struct strake_err *err)
{
    oci->host->fail(err, STRAKE_EREGISTRY, "%s: it is of a type that is not known here: %s",
                    call->what, *type ? type : "none was given");
    if (strcmp(type, "text/html") == 0)
        oci->host->err_hint(err,
                            "a web page answered: is %s a registry, and does a proxy or a login "
                            "page stand before it?",
                            oci_name(oci));
    else
        oci->host->err_hint(err, "images are OCI manifests and indexes, or Docker's of schema 2");
    return STRAKE_EREGISTRY;
}

/** What HEAD said. @return 1 when it was enough, 0 when the bytes must be asked for. */
static int read_head(const struct oci *oci, const struct oci_call *call, const char *reference,
                     struct strake_descriptor *out, struct strake_err *err)
{
    const char *headers = oci_call_headers(oci, call);
    oci_content_type(headers, out->media_type, sizeof(out->media_type));
    if (is_vague_type(out->media_type))
        return 0;
    if (!is_known_type(out->media_type))
        return fail_type(oci, call, out->media_type, err);
    char digest[sizeof(out->digest)];
    claimed_digest(headers, "docker-content-digest", digest, sizeof(digest));
    bool asked_by_digest = plug_is_digest(reference);
    if (asked_by_digest && *digest && strncmp(digest, reference, 7) == 0 &&
        strcmp(digest, reference) != 0)
        return oci->host->fail(err, STRAKE_ECORRUPT, "%s: %s answered with another one, %s",
                               call->what, oci_name(oci), digest);
    if (!asked_by_digest && !*digest)
        return 0;
    int rc = set_digest(call, oci, asked_by_digest ? reference : digest, out, err);
    out->size_bytes = oci_header_number(headers, "content-length");
    return rc < 0 ? rc : 1;
}

/** The type that the document gives itself, or has by its looks. */
static const char *inner_type(const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "mediaType"));
    if (type)
        return type;
    if (json_is_array(json_object_get(root, "manifests")))
        return OCI_INDEX;
    return json_is_object(json_object_get(root, "config")) ? OCI_MANIFEST : "";
}

/** The media type of the bytes: Content-Type where it says something, else the document. That the
 *  two differ is an attack or a defect: what is one thing here is another elsewhere. */
static int read_type(const struct oci *oci, const struct oci_call *call, const char *bytes,
                     size_t len, struct strake_descriptor *out, struct strake_err *err)
{
    oci_content_type(oci_call_headers(oci, call), out->media_type, sizeof(out->media_type));
    bool vague = is_vague_type(out->media_type);
    if (!vague && !is_known_type(out->media_type))
        return fail_type(oci, call, out->media_type, err);
    json_t *root = json_loadb(bytes, len, 0, NULL);
    const char *inner = inner_type(root);
    const char *said = json_string_value(json_object_get(root, "mediaType"));
    int rc = 0;
    if (!json_is_object(root))
        rc = oci->host->fail(err, STRAKE_EREGISTRY, "%s: %s answered something that is no manifest",
                             call->what, oci_name(oci));
    else if (vague && !is_known_type(inner))
        rc = fail_type(oci, call, strlen(inner) < 200 ? inner : "", err);
    else if (!vague && said && strcmp(said, out->media_type) != 0)
        rc = oci->host->fail(err, STRAKE_EREGISTRY,
                             "%s: %s calls it %s, and the document calls itself %.200s", call->what,
                             oci_name(oci), out->media_type, said);
    else if (vague)
        (void)plug_copy(out->media_type, sizeof(out->media_type), inner); /* a known one fits */
    json_decref(root);
    return rc;
}

/** The digest of the bytes, which is the one that was asked for, or claimed. Said here, before somebody
 *  wonders what the bytes of another document mean. */
static int read_digest(const struct oci *oci, const struct oci_call *call, const char *reference,
                       const char *bytes, size_t len, struct strake_descriptor *out,
                       struct strake_err *err)
{
    char claimed[sizeof(out->digest)];
    char digest[72];
    bool by_digest = plug_is_digest(reference);
    if (by_digest && strncmp(reference, "sha256:", 7) != 0)
        return set_digest(call, oci, reference, out, err);
    claimed_digest(oci_call_headers(oci, call), "docker-content-digest", claimed, sizeof(claimed));
    int rc = oci->host->digest(bytes, len, digest);
    if (rc < 0)
        return plug_fail_nomem(oci->host, err);
    if (by_digest && strcmp(reference, digest) != 0) {
        oci->host->fail(err, STRAKE_ECORRUPT, "%s: %s sent other bytes: their digest is %s",
                        call->what, oci_name(oci), digest);
        oci->host->err_hint(
            err, "the registry or something on the way to it is damaged; nothing was used");
        return STRAKE_ECORRUPT;
    }
    if (!by_digest && strncmp(claimed, "sha256:", 7) == 0 && strcmp(claimed, digest) != 0)
        return oci->host->fail(err, STRAKE_ECORRUPT, "%s: %s sent bytes with digest %s as %s",
                               call->what, oci_name(oci), digest, claimed);
    return set_digest(call, oci, digest, out, err);
}

/** GET; `bytes` may be NULL when only the descriptor is wanted. */
static int get(struct oci *oci, struct strake_job *job, const char *repository,
               const char *reference, struct strake_buf *bytes, struct strake_descriptor *out,
               struct strake_err *err)
{
    struct manifest_call get;
    int rc = begin(oci, &get, "GET", "reading", "pull", repository, reference, err);
    if (rc < 0)
        goto out;
    get.call.accept = accepted;
    rc = oci_call_run(oci, job, &get.call, err);
    if (rc == STRAKE_ETOOBIG)
        rc = oci->host->fail(err, rc, "%s: it is larger than %zu MiB, which no manifest is",
                             get.what, OCI_MANIFEST_MAX / 1024 / 1024);
    if (rc == 0 && get.call.status != 200)
        rc = oci_answer_fail(oci, &get.call, err);
    if (rc < 0)
        goto out;
    size_t len;
    const char *data = oci_call_answer(oci, &get.call, &len);
    out->size_bytes = (int64_t)len;
    rc = read_digest(oci, &get.call, reference, data, len, out, err);
    if (rc == 0)
        rc = read_type(oci, &get.call, data, len, out, err);
    if (rc == 0 && bytes) {
        rc = oci->host->buf_append(bytes, data, len);
        if (rc < 0)
            oci->host->fail(err, rc, "%s: there is no room for its %zu bytes", get.what, len);
    }
out:
    end(oci, &get);
    return rc;
}

int oci_resolve(void *self, struct strake_job *job, const char *repository, const char *reference,
                struct strake_descriptor *out, struct strake_err *err)
{
    struct oci *oci = self;
    struct manifest_call head;
    int rc = begin(oci, &head, "HEAD", "reading", "pull", repository, reference, err);
    if (rc < 0)
        goto out;
    head.call.accept = accepted;
    rc = oci_call_run(oci, job, &head.call, err);
    if (rc < 0)
        goto out;
    int status = head.call.status;
    if (status == 200)
        rc = read_head(oci, &head.call, reference, out, err);
    else if (status != 405 && status != 400 && status != 501)
        rc = oci_answer_fail(oci, &head.call, err);
    if (rc == 0)
        rc = get(oci, job, repository, reference, NULL, out, err);
out:
    end(oci, &head);
    return rc < 0 ? rc : 0;
}

int oci_manifest_get(void *self, struct strake_job *job, const char *repository,
                     const char *reference, struct strake_buf *bytes, struct strake_descriptor *out,
                     struct strake_err *err)
{
    return get(self, job, repository, reference, bytes, out, err);
}

int oci_manifest_send(struct oci *oci, struct strake_job *job, const char *repository,
                      const char *reference, const char *media_type, const void *data, size_t len,
                      const char *subject, bool *kept, struct strake_descriptor *out,
                      struct strake_err *err)
{
    struct manifest_call put;
    int rc = begin(oci, &put, "PUT", "writing", "pull,push", repository, reference, err);
    if (rc < 0)
        goto out;
    if (!plug_copy(out->media_type, sizeof(out->media_type), media_type)) {
        rc = oci->host->fail(err, STRAKE_EUSAGE, "%s: its media type is too long", put.what);
        goto out;
    }
    put.call.content_type = media_type;
    put.call.body = data;
    put.call.body_len = len;
    rc = oci_call_run(oci, job, &put.call, err);
    if (rc == 0 && put.call.status != 201 && put.call.status != 200)
        rc = oci_answer_fail(oci, &put.call, err);
    if (rc < 0)
        goto out;
    const char *headers = oci_call_headers(oci, &put.call);
    char known[sizeof(out->digest)];
    claimed_digest(headers, "oci-subject", known, sizeof(known));
    *kept = strcmp(known, subject) == 0;
    out->size_bytes = (int64_t)len;
    claimed_digest(headers, "docker-content-digest", out->digest, sizeof(out->digest));
    /* A registry may say nothing; then it is the digest of what it took. */
    if (!*out->digest && oci->host->digest(data, len, out->digest) < 0)
        rc = plug_fail_nomem(oci->host, err);
out:
    end(oci, &put);
    return rc;
}

/** What the manifest refers to, with the digest of its bytes. */
static int find_subject(const struct oci *oci, const char *media_type, const void *data, size_t len,
                        char digest[static 72], struct plug_referrer *referrer,
                        struct strake_err *err)
{
    *referrer = (struct plug_referrer){ .subject = "" };
    if (!plug_may_refer(data, len))
        return 0;
    if (oci->host->digest(data, len, digest) < 0 ||
        plug_referrer_of(data, len, media_type, digest, referrer) < 0)
        return plug_fail_nomem(oci->host, err);
    return 0;
}

int oci_manifest_put(void *self, struct strake_job *job, const char *repository,
                     const char *reference, const char *media_type, const void *data, size_t len,
                     struct strake_descriptor *out, struct strake_err *err)
{
    struct oci *oci = self;
    struct plug_referrer referrer;
    char digest[72];
    bool kept = false;
    int rc = find_subject(oci, media_type, data, len, digest, &referrer, err);
    if (rc == 0)
        rc = oci_manifest_send(oci, job, repository, reference, media_type, data, len,
                               referrer.subject, &kept, out, err);
    if (rc == 0 && *referrer.subject && !kept)
        rc = oci_referrers_keep(oci, job, repository, &referrer, digest, false, err);
    plug_referrer_dispose(&referrer);
    return rc;
}

/** What the manifest that is about to be deleted refers to. That it is not there is no failure. */
static int find_deleted(struct oci *oci, struct strake_job *job, const char *repository,
                        const char *digest, struct plug_referrer *referrer, struct strake_err *err)
{
    *referrer = (struct plug_referrer){ .subject = "" };
    struct strake_descriptor out = { .size = sizeof(out) };
    struct strake_buf *bytes = oci->host->buf_new(OCI_MANIFEST_MAX);
    int rc = bytes ? get(oci, job, repository, digest, bytes, &out, err)
                   : plug_fail_nomem(oci->host, err);
    if (rc == 0) {
        size_t len;
        const char *data = oci->host->buf_data(bytes, &len);
        if (plug_may_refer(data, len) &&
            plug_referrer_of(data, len, out.media_type, digest, referrer) < 0)
            rc = plug_fail_nomem(oci->host, err);
    } else if (rc != STRAKE_ECANCELLED && rc != STRAKE_ETIMEOUT && rc != STRAKE_ENOMEM) {
        /* What cannot be read may still be deleted: the registry says so, or why not. */
        rc = 0;
    }
    oci->host->buf_free(bytes);
    return rc;
}

static int delete (struct oci *oci, struct strake_job *job, const char *repository,
                   const char *reference, struct strake_err *err)
{
    struct manifest_call call;
    int rc = begin(oci, &call, "DELETE", "deleting", "pull,delete", repository, reference, err);
    if (rc == 0)
        rc = oci_call_run(oci, job, &call.call, err);
    if (rc < 0)
        goto out;
    int status = call.call.status;
    if (status == 405 || status == 400) {
        rc = oci->host->fail(err, STRAKE_EUNSUPPORTED, "%s: %s does not allow it (%d)", call.what,
                             oci_name(oci), status);
        oci_answer_detail(oci, &call.call, err);
    } else if (status == 404 && call.call.retries > 0) {
        /* An earlier try did it, and its answer was lost. */
        rc = 0;
    } else if (status != 202 && status != 200 && status != 204) {
        rc = oci_answer_fail(oci, &call.call, err);
    }
out:
    end(oci, &call);
    return rc;
}

int oci_manifest_delete_by(struct oci *oci, struct strake_job *job, const char *repository,
                           const char *digest,
                           int (*remove)(struct oci *oci, struct strake_job *job,
                                         const char *repository, const char *digest,
                                         struct strake_err *err),
                           struct strake_err *err)
{
    struct plug_referrer referrer = { .subject = "" };
    int rc = find_deleted(oci, job, repository, digest, &referrer, err);
    if (rc == 0)
        rc = remove(oci, job, repository, digest, err);
    if (rc == 0 && *referrer.subject)
        rc = oci_referrers_keep(oci, job, repository, &referrer, digest, true, err);
    plug_referrer_dispose(&referrer);
    return rc;
}

int oci_manifest_delete(void *self, struct strake_job *job, const char *repository,
                        const char *reference, struct strake_err *err)
{
    /* A tag goes, and what it named stays. */
    return plug_is_digest(reference)
               ? oci_manifest_delete_by(self, job, repository, reference, delete, err)
               : delete (self, job, repository, reference, err);
}
