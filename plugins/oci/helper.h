/* docker-credential-NAME: programs that keep credentials in a keychain. */
#ifndef OCI_HELPER_H
#define OCI_HELPER_H

#include "common/util.h"

/** What a helper said. secret NULL: it has none for that server, or `trouble` says why not. */
struct oci_helper_answer {
    char *username;
    char *secret;
    char *trouble;
};

/** Ask docker-credential-NAME for `server` (blocks, 30 s at most). That it is missing or fails is
 *  told in answer->trouble. @return 0, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int oci_helper_get(const struct strake_host *host, struct strake_job *job, const char *name,
                   const char *server, struct oci_helper_answer *answer, struct strake_err *err);
void oci_helper_dispose(struct oci_helper_answer *answer);

#endif
