/* WWW-Authenticate (RFC 9110, 11.6.1) and Link (RFC 8288): what registries say in headers. Pure. */
#ifndef OCI_CHALLENGE_H
#define OCI_CHALLENGE_H

#include "common/http.h"

/** How a registry wants to be asked: the first usable Bearer challenge, and whether Basic does. */
struct oci_challenge {
    bool basic;
    char *realm; /**< URL of the token server; NULL: no Bearer challenge */
    char *service;
    char *scope;
    char *error; /**< why a token was not enough: "insufficient_scope" */
};

/** Read all WWW-Authenticate headers of `lines` (as http_request() gives them); several headers and
 *  several challenges in one are walked, what is malformed is left out.
 *  @return 0 or STRAKE_ENOMEM. */
int oci_challenge_parse(const char *lines, struct oci_challenge *out);
void oci_challenge_dispose(struct oci_challenge *challenge);

/** The target of the Link with rel="next", as written (it may be relative).
 *  @return 0 with *target NULL when there is none, else the caller's (free()); STRAKE_ENOMEM. */
int oci_link_next(const char *lines, char **target);

#endif
