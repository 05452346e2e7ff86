/* docker-credential-NAME: programs that keep credentials in a keychain. */
#ifndef OCI_HELPER_H
#define OCI_HELPER_H

#include "common/util.h"

/** Which program, and whose credentials. */
struct oci_helper {
    const char *name;   /**< of docker-credential-NAME */
    const char *server; /**< "ghcr.io", "https://index.docker.io/v1/" */
    int64_t timeout_ms; /**< 0: 30 s */
};

/** What a helper said. secret NULL: it has none for that server, or `trouble` says why not. */
struct oci_helper_answer {
    char *username;
    char *secret;
    char *trouble;
};

/** Ask docker-credential-NAME (blocks, 30 s at most). That it is missing or fails is told in
 *  answer->trouble. @return 0, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int oci_helper_get(const struct strake_host *host, struct strake_job *job,
                   const struct oci_helper *helper, struct oci_helper_answer *answer,
                   struct strake_err *err);
void oci_helper_dispose(struct oci_helper_answer *answer);

/** Have it keep these: name and secret go over its standard input, never into its arguments.
 *  @param username "<token>" with an identity token as the secret
 *  @param trouble  why it did not, free it; NULL: it says that it did
 *  @return 0, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int oci_helper_store(const struct strake_host *host, struct strake_job *job,
                     const struct oci_helper *helper, const char *username, const char *secret,
                     char **trouble, struct strake_err *err);
/** Have it forget the server. That it had nothing is no trouble: *had says whether it did. */
int oci_helper_erase(const struct strake_host *host, struct strake_job *job,
                     const struct oci_helper *helper, bool *had, char **trouble,
                     struct strake_err *err);

#endif
