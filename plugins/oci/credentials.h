/* Finding the credentials for a registry where docker and podman keep them. */
#ifndef OCI_CREDENTIALS_H
#define OCI_CREDENTIALS_H

#include <jansson.h>

#include "common/util.h"

/** What was found; every value is marked for redaction already. All NULL: nobody's credentials. */
struct oci_credentials {
    char *username;
    char *password;
    char *identity_token; /**< an OAuth2 refresh token */
    char *registry_token; /**< a Bearer token as it is */
    char *source;         /**< where they are from, for messages: "~/.docker/config.json" */
    char *trouble;        /**< why a place could not be asked, for hints; or NULL */
};

static inline bool oci_credentials_given(const struct oci_credentials *credentials)
{
    return credentials->password || credentials->identity_token || credentials->registry_token;
}

/** Look in DOCKER_AUTH_CONFIG; credHelpers, credsStore and auths of docker's config.json; podman's
 *  auth.json files (REGISTRY_AUTH_FILE first); the first place that has some wins, within a file of podman the longest path.
 *  Reads files and may run a docker-credential program (blocks). A place that is broken is told in
 *  the log and in `trouble`, and the next one is asked.
 *  @param registry   "docker.io", "ghcr.io", "127.0.0.1:5000"
 *  @param repository within it
 *  @return 0, also when there are none; STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int oci_credentials_find(const struct strake_host *host, struct strake_job *job,
                         const char *registry, const char *repository, struct oci_credentials *out,
                         struct strake_err *err);
void oci_credentials_dispose(struct oci_credentials *credentials);

/** Docker's own file: $DOCKER_CONFIG/config.json, or ~/.docker/config.json. Free it; NULL: no memory,
 *  or neither a DOCKER_CONFIG nor a home folder. */
char *oci_credentials_docker_file(void);
/** What docker's file and helpers call a registry: "https://index.docker.io/v1/" for docker.io. */
const char *oci_credentials_server(const char *registry);
/** A key of docker's file as "host" or "host/path": without scheme, "/v1/" and the like, Docker Hub
 *  under one name. Free it; NULL: no memory. */
char *oci_credentials_normalise(const char *key);
/** The entry of `table` (auths, credHelpers) for this registry: the longest key that is a prefix of
 *  `path` ("registry/repository"), and of two spellings the plain one. Borrowed; NULL: none. */
json_t *oci_credentials_entry(json_t *table, const char *registry, const char *path);

/** "user:password" in base64, as Basic wants it, marked for redaction. NULL: out of memory. */
char *oci_credentials_basic(const struct strake_host *host, const char *username,
                            const char *password);

#endif
