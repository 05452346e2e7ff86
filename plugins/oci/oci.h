/* The oci plugin: registry/1 for every registry that speaks the OCI distribution protocol.
 *
 *   plugin.c       the plugin: options, vtable; all else is a library, which ghcr builds on, too
 *   oci.c          the instance: its address, and small things that every method needs
 *   request.c      one request, authorised, and asked again after a challenge
 *   auth.c         which Authorization a request gets: tokens by scope, Basic; scope.c
 *   token.c        the token server
 *   credentials.c  where docker and podman keep credentials; helper.c asks their programs
 *   access.c       what the credentials are worth, and ping()
 *   login.c        credentials tried, then kept; store.c where, config_file.c config_edit.c in docker's
 *                  file; github.c says what a token of GitHub lacks
 *   answer.c       a refused request in words; limits.c: how often one may ask
 *   manifests.c tags.c blobs.c upload.c   the methods; session.c and chunks.c for uploads
 *   referrers.c    what refers to an image, and the tag that tells it; pages.c: lists in pages
 *   challenge.c realm.c                   headers and addresses, pure */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include <stdatomic.h>

#include "common/http.h"
#include "common/options.h"
#include "common/referrers.h"

#define OCI_MANIFEST_MAX ((size_t)8 * 1024 * 1024)
#define OCI_ANSWER_MAX ((size_t)1024 * 1024)
#define OCI_HEADERS_MAX ((size_t)256 * 1024)
#define OCI_REDIRECTS 10

struct oci_auth;
struct oci_credentials;

struct oci_options {
    char *host;
    enum plug_flag plain_http;
    char *username;
    struct plug_secret password;
    char *ca;
    char *cert;
    char *key;
    char *api; /**< of the GitHub that the registry belongs to; NULL: ghcr.io's own, or none */
    int64_t timeout_ms;
};

/** The rows of an option table for `struct oci_options`. */
#define OCI_OPTIONS                                                                                \
    PLUG_OPTION(struct oci_options, host, .kind = PLUG_STRING, .required = true),                  \
        PLUG_OPTION(struct oci_options, plain_http, .kind = PLUG_FLAG),                            \
        PLUG_OPTION(struct oci_options, username, .kind = PLUG_STRING),                            \
        PLUG_OPTION(struct oci_options, password, .kind = PLUG_SECRET),                            \
        PLUG_OPTION(struct oci_options, ca, .kind = PLUG_STRING),                                  \
        PLUG_OPTION(struct oci_options, cert, .kind = PLUG_STRING),                                \
        PLUG_OPTION(struct oci_options, key, .kind = PLUG_STRING),                                 \
        PLUG_OPTION(struct oci_options, timeout_ms, .kind = PLUG_INT,                              \
                    .max = INT64_C(24) * 3600 * 1000)

/** An instance: one registry. Constant after open() but for `auth`, which guards itself, and
 *  what is atomic. */
struct oci {
    const struct strake_host *host;
    struct oci_options options;
    char *base;             /**< "https://registry-1.docker.io/v2/" */
    struct plug_url origin; /**< of `base` */
    struct oci_auth *auth;
    /** What is wrong with such credentials in any case, or NULL; may itself be NULL. */
    const char *(*advice)(const struct oci_credentials *credentials);
    atomic_bool limits_told;
};

/** The name people know the registry by: "docker.io", "127.0.0.1:5000". */
static inline const char *oci_name(const struct oci *oci)
{
    return oci->options.host;
}

/** Make an instance of `oci->options`, which stay the caller's to dispose. oci_dispose() in every
 *  case. @return 0, STRAKE_ECONFIG, STRAKE_ENOMEM */
int oci_init(struct oci *oci, const struct strake_host *host, struct strake_err *err);
void oci_dispose(struct oci *oci);

/** One request and its answer. Zero-initialised but for what is set. */
struct oci_call {
    const char *what;       /**< "reading the manifest ghcr.io/o/app:1": begins each message */
    const char *repository; /**< whose credentials count; "" for none in particular */
    const char *scopes;     /**< "repository:o/app:pull", space-separated; "" for none */
    const char *method;
    const char *url;    /**< without authorisation when it is of another origin */
    const char *accept; /**< NULL: whatever comes */
    const char *content_type;
    const char *range;         /**< "bytes=5-" */
    const char *content_range; /**< "0-1023" */
    const void *body;
    size_t body_len;
    int64_t (*read)(void *ctx, void *data, size_t cap);
    int (*rewind)(void *ctx);
    int (*write)(void *ctx, const char *data, size_t len);
    void *ctx;
    size_t max_bytes; /**< of the answer; 0: OCI_ANSWER_MAX */
    int64_t more_ms;  /**< beyond `timeout_ms`, for a body of that length */
    int64_t limit_ms; /**< instead of `timeout_ms`; 0: that */
    int max_redirects;
    bool idempotent;

    int status; /**< the answer from here on */
    int retries;
    struct strake_buf *headers;
    struct strake_buf *answer;
};

/** Make the request; a 401 is answered with credentials and the request made again. Blocks.
 *  @return 0 with an answer of any status; STRAKE_EAUTH when a token was refused; as
 * http_request(). oci_call_dispose() in every case. */
int oci_call_run(struct oci *oci, struct strake_job *job, struct oci_call *call,
                 struct strake_err *err);
void oci_call_dispose(const struct oci *oci, struct oci_call *call);
/** The answer's headers and body, never NULL. */
const char *oci_call_headers(const struct oci *oci, const struct oci_call *call);
const char *oci_call_answer(const struct oci *oci, const struct oci_call *call, size_t *len);

/** A request with this instance's settings for TLS and time. */
struct strake_http_request oci_http_request(const struct oci *oci);

/** Describe an answer that was not hoped for. @return STRAKE_EAUTH, STRAKE_ENOTFOUND,
 *  STRAKE_ECORRUPT (the registry found another digest), STRAKE_EREGISTRY. */
int oci_answer_fail(struct oci *oci, const struct oci_call *call, struct strake_err *err);
/** Put the registry's own words below a message of the caller's. */
void oci_answer_detail(const struct oci *oci, const struct oci_call *call, struct strake_err *err);
/** The registry's own code in the answer's body, "MANIFEST_UNKNOWN"; free it; NULL: none. */
char *oci_answer_code(const struct oci *oci, const struct oci_call *call);

/** "BASE<repository>/<kind>/<rest>", or NULL. */
char *oci_url(const struct oci *oci, const char *repository, const char *kind, const char *rest);
/** Refuse what could lead a URL elsewhere; the core's parser is stricter. `reference`: or NULL. */
int oci_check_name(const struct oci *oci, const char *repository, const char *reference,
                   struct strake_err *err);
/** "repository:NAME:pull", free it; NULL: out of memory. `actions` "pull" or "pull,push". */
char *oci_scope(const char *repository, const char *actions);
/** The header's number, or -1. */
int64_t oci_header_number(const char *lines, const char *name);

/** Manifest methods as the vtable has them, for referrers.c. manifest_put(), but what the manifest
 *  refers to is left alone; *kept: the registry keeps it in a list itself. */
int oci_manifest_send(struct oci *oci, struct strake_job *job, const char *repository,
                      const char *reference, const char *media_type, const void *data, size_t len,
                      const char *subject, bool *kept, struct strake_descriptor *out,
                      struct strake_err *err);
/** Content-Type without its parameters, in lower case, into `type`. */
void oci_content_type(const char *headers, char *type, size_t size);
/** Keep the fallback tag: `referrer` stands in it afterwards, or (`drop`) no longer. */
int oci_referrers_keep(struct oci *oci, struct strake_job *job, const char *repository,
                       const struct plug_referrer *referrer, const char *digest, bool drop,
                       struct strake_err *err);

/** manifest_delete() of a digest where `remove` does the deletion itself: what the manifest refers to is
 *  looked at before, and its fallback tag kept afterwards. */
int oci_manifest_delete_by(struct oci *oci, struct strake_job *job, const char *repository,
                           const char *digest,
                           int (*remove)(struct oci *oci, struct strake_job *job,
                                         const char *repository, const char *digest,
                                         struct strake_err *err),
                           struct strake_err *err);

/** The address of the page after the one that `call` got, which is the caller's; NULL at the end.
 *  @param seen   addresses of the pages so far, which none comes back to
 *  @return 0; STRAKE_EREGISTRY: it leads elsewhere or in circles; STRAKE_ENOMEM */
int oci_next_page(const struct oci *oci, const struct oci_call *call, const struct plug_list *seen,
                  char **next, struct strake_err *err);

int oci_ping(void *self, struct strake_job *job, struct strake_buf *detail, struct strake_err *err);
int oci_access(void *self, struct strake_job *job, const char *repository, const char *actions,
               struct strake_registry_access *out, struct strake_err *err);
/** May our credentials push there? An upload is begun and taken back. @return 0; STRAKE_EAUTH: no, as the
 *  registry says; what the requests returned */
int oci_access_push(struct oci *oci, struct strake_job *job, const char *repository,
                    struct strake_err *err);
/** GET /v2/ with the credentials: STRAKE_EAUTH when they are refused. */
int oci_access_base(struct oci *oci, struct strake_job *job, struct strake_registry_access *found,
                    struct strake_err *err);
/** Say as the hint what a token of GitHub lacks for `repository` (or "": for logging in), where the
 *  registry is one of GitHub's. Asks its API with the token; what fails there is not told. */
void oci_github_hint(struct oci *oci, struct strake_job *job, const char *token,
                     const char *repository, struct strake_err *err);
int oci_login(void *self, struct strake_job *job, const struct strake_registry_login *login,
              struct strake_buf *where, struct strake_err *err);
int oci_logout(void *self, struct strake_job *job, struct strake_buf *where,
               struct strake_err *err);
int oci_resolve(void *self, struct strake_job *job, const char *repository, const char *reference,
                struct strake_descriptor *out, struct strake_err *err);
int oci_manifest_get(void *self, struct strake_job *job, const char *repository,
                     const char *reference, struct strake_buf *bytes, struct strake_descriptor *out,
                     struct strake_err *err);
int oci_manifest_put(void *self, struct strake_job *job, const char *repository,
                     const char *reference, const char *media_type, const void *data, size_t len,
                     struct strake_descriptor *out, struct strake_err *err);
int oci_manifest_delete(void *self, struct strake_job *job, const char *repository,
                        const char *reference, struct strake_err *err);
int oci_referrers_of(void *self, struct strake_job *job, const char *repository, const char *digest,
                     const char *artifact_type, struct strake_buf *bytes, struct strake_err *err);
int oci_tags(void *self, struct strake_job *job, const char *repository,
             int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err);
int oci_blob_stat(void *self, struct strake_job *job, const char *repository, const char *digest,
                  int64_t *size_bytes, struct strake_err *err);
int oci_blob_get(void *self, struct strake_job *job, const char *repository, const char *digest,
                 int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                 struct strake_err *err);
int oci_blob_put(void *self, struct strake_job *job, const char *repository, const char *digest,
                 int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                 int (*rewind)(void *ctx), void *ctx, struct strake_err *err);
int oci_blob_mount(void *self, struct strake_job *job, const char *repository, const char *digest,
                   const char *from, bool *mounted, struct strake_err *err);

#endif
