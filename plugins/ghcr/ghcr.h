/* The ghcr plugin: registry/1 for GitHub's registry, ghcr.io and those of GitHub Enterprise Server.
 * It is the client of plugins/oci, but for what GitHub does in its own way:
 *
 *   plugin.c    the plugin: options, vtable, where the API is
 *   api.c       one request to the REST API, with the registry's own token, and its refusals in words
 *   versions.c  the versions of a package, and deleting one (the registry answers 405 to a DELETE)
 *   first.c     a package that was just made is private, and is told so */
#ifndef GHCR_GHCR_H
#define GHCR_GHCR_H

#include <jansson.h>
#include <pthread.h>

#include "oci/oci.h"

#define GHCR_ANSWER_MAX ((size_t)4 * 1024 * 1024)

/** An instance. `oci` stands first: the methods of plugins/oci are given this. */
struct ghcr {
    struct oci oci;
    char *api; /**< "https://api.github.com", without a "/" at its end; NULL: not known */
    pthread_mutex_t lock;    /**< guards what follows */
    struct plug_list owners; /**< "orgs/NAME" and "users/NAME", as they were heard */
    struct plug_list seen;   /**< repositories that had a tag before this command put one */
};

/** One request and its answer. Zero-initialised but for what is set; ghcr_call_dispose() in every
 *  case. */
struct ghcr_call {
    const char *what; /**< "deleting ghcr.io/o/app@sha256:…": begins each message */
    const char *repository;
    const char *method;
    const char *path; /**< behind the API's address, "/users/o" */
    int64_t limit_ms; /**< 0: as long as any request to the registry */

    int status; /**< the answer from here on */
    int retries;
    struct strake_buf *headers;
    struct strake_buf *answer;
    json_t *json; /**< of a 200; else NULL */
};

/** Make the request; 200, 204 and, after an earlier try, 404 are good. Blocks.
 *  @return 0; STRAKE_EAUTH: no token, or one that may not; STRAKE_ENOTFOUND; STRAKE_ECONFIG: nobody
 *          says where the API is; STRAKE_EREGISTRY, or as http_request() */
int ghcr_call_run(struct ghcr *ghcr, struct strake_job *job, struct ghcr_call *call,
                  struct strake_err *err);
void ghcr_call_dispose(const struct ghcr *ghcr, struct ghcr_call *call);

/** "/orgs/o/packages/container/a%2Fb" into *path, free it. Asks once whose the owner is. */
int ghcr_package_path(struct ghcr *ghcr, struct strake_job *job, const char *what,
                      const char *repository, int64_t limit_ms, char **path,
                      struct strake_err *err);

/** A version of a package: one manifest. */
struct ghcr_version {
    int64_t id;
    const char *digest;
    const json_t *tags; /**< an array */
};
/** Each version until `each` gives something else than 0, which is returned. At most 10,000. */
int ghcr_versions(struct ghcr *ghcr, struct strake_job *job, const char *what,
                  const char *repository, const char *package, int64_t limit_ms,
                  int (*each)(void *ctx, const struct ghcr_version *version), void *ctx,
                  struct strake_err *err);

/** The vtable's. By a tag it is STRAKE_EUNSUPPORTED: a version may have other tags. */
int ghcr_manifest_delete(void *self, struct strake_job *job, const char *repository,
                         const char *reference, struct strake_err *err);

/** first.c: resolve() and manifest_put() of the vtable. */
int ghcr_resolve(void *self, struct strake_job *job, const char *repository, const char *reference,
                 struct strake_descriptor *out, struct strake_err *err);
int ghcr_manifest_put(void *self, struct strake_job *job, const char *repository,
                      const char *reference, const char *media_type, const void *data, size_t len,
                      struct strake_descriptor *out, struct strake_err *err);

/** What is wrong with these credentials whatever they may do, or NULL. */
struct oci_credentials;
const char *ghcr_advice(const struct oci_credentials *credentials);

#endif
