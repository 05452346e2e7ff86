/* Which Authorization a request to the registry gets. All functions from any thread; none waits for
 * another one's request. */
#ifndef OCI_AUTH_H
#define OCI_AUTH_H

#include "credentials.h"
#include "oci.h"

struct oci_auth *oci_auth_new(void);
/** NULL does nothing. Secrets are wiped. */
void oci_auth_free(struct oci_auth *auth);

/** The header's value for this call from what is known by now: a token for its scopes (fetched when
 *  the registry's token server is known already), or Basic; *header NULL when nothing is known yet.
 *  @return 0, STRAKE_EAUTH, or what the token server's request returned. Free *header with
 *          plug_wipe(). */
int oci_auth_header(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                    char **header, struct strake_err *err);

/** The registry answered 401 to `call`, which was sent with `used` (or NULL): learn from its
 *  challenge. *header is what to try next, NULL when there is nothing better than `used`. */
int oci_auth_challenged(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                        const char *used, char **header, struct strake_err *err);

/** How the registry wants to know who asks, as far as it was heard: "bearer", "basic", or "". */
const char *oci_auth_scheme(struct oci *oci);

/** Credentials on trial, for a login: used for every repository instead of any that are kept, and a
 *  token server is asked for an identity token besides. Takes them over. NULL: no memory. */
struct oci_auth *oci_auth_on_trial(struct oci_credentials *credentials);
/** The name to log in, NULL when nobody is on trial. Borrowed. */
const char *oci_auth_trial(const struct oci *oci);
/** A token server gave an identity token. Out of memory it is as if it had not. */
void oci_auth_keep_identity(struct oci *oci, const char *token);
/** What it gave, or NULL; free it with plug_wipe(). */
char *oci_auth_take_identity(struct oci *oci);

/** The credentials for a repository, looked up once and kept until close(). */
int oci_auth_credentials(struct oci *oci, struct strake_job *job, const char *repository,
                         const struct oci_credentials **out, struct strake_err *err);

/** Say as the hint whose credentials were used and what to do about them. */
void oci_auth_hint(struct oci *oci, const char *repository, struct strake_err *err);

/** A token from the token server at `realm` (token.c). `scopes` space-separated. *lifetime_ms is
 * how long it holds. Free *token with plug_wipe(). */
int oci_token_fetch(struct oci *oci, struct strake_job *job, const char *realm, const char *service,
                    const char *scopes, const struct oci_credentials *credentials, char **token,
                    int64_t *lifetime_ms, struct strake_err *err);

#endif
