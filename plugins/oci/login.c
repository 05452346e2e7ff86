/* Logging in: credentials are tried, and kept when the registry takes them. */
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "store.h"

/** Is what crossed the ABI what it should be? */
static int check(const struct oci *oci, const struct strake_registry_login *login,
                 struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    if (!STRAKE_HAS(login, repository) || !login->username || !login->password ||
        !login->repository)
        return host->fail(err, STRAKE_EUSAGE, "a login wants a username and a password");
    for (const char *c = login->username; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == ':')
            return host->fail(err, STRAKE_EUSAGE,
                              "a username has neither ':' nor control characters in it");
    if (!*login->username || !*login->password)
        return host->fail(err, STRAKE_EUSAGE, "a %s is not empty",
                          *login->username ? "password" : "username");
    return 0;
}

/** The registry as somebody with these credentials sees it: our own stay out of it. */
static int on_trial(const struct oci *oci, const char *username, const char *password,
                    const char *identity, struct oci *out, struct strake_err *err)
{
    struct oci_credentials credentials = {
        .username = strdup(username),
        .password = password ? strdup(password) : NULL,
        .identity_token = identity ? strdup(identity) : NULL,
        .source = strdup("this login"),
    };
    *out = *oci;
    out->auth = NULL;
    if (credentials.username && credentials.source &&
        (credentials.password || credentials.identity_token))
        out->auth = oci_auth_on_trial(&credentials);
    oci_credentials_dispose(&credentials);
    return out->auth ? 0 : plug_fail_nomem(oci->host, err);
}

/** Are they taken? */
static int try_base(struct oci *trial, struct strake_job *job,
                    const struct strake_registry_login *login, struct strake_err *err)
{
    struct strake_registry_access found = { .size = sizeof(found) };
    int rc = oci_access_base(trial, job, &found, err);
    if (rc == STRAKE_EAUTH) {
        trial->host->err_hint(err, "check the username and the password; where there are access "
                                   "tokens, one of these may be wanted in the password's place");
        oci_github_hint(trial, job, login->password, "", err);
    } else if (rc == 0 && !found.asked && !*login->repository) {
        trial->host->log(STRAKE_LOG_WARN,
                         "%s asks nobody for credentials: these could not be checked",
                         oci_name(trial));
    }
    return rc;
}

static int try_push(struct oci *trial, struct strake_job *job,
                    const struct strake_registry_login *login, struct strake_err *err)
{
    int rc = oci_access_push(trial, job, login->repository, err);
    if (rc == STRAKE_EAUTH) {
        trial->host->err_hint(err,
                              "%s takes the credentials: have %s allowed to push there, or log in "
                              "without --check to pull",
                              oci_name(trial), login->username);
        oci_github_hint(trial, job, login->password, login->repository, err);
    }
    return rc;
}

/** An identity token is kept only when it works: the password does. */
static int try_identity(const struct oci *oci, struct strake_job *job,
                        const struct strake_registry_login *login, char **identity,
                        struct strake_err *err)
{
    struct strake_registry_access found = { .size = sizeof(found) };
    struct strake_err *unheard = oci->host->err_new();
    struct oci trial;
    if (!unheard)
        return plug_fail_nomem(oci->host, err);
    int rc = on_trial(oci, login->username, NULL, *identity, &trial, err);
    if (rc == 0 && oci_access_base(&trial, job, &found, unheard) < 0) {
        oci->host->log(STRAKE_LOG_INFO, "%s gave an identity token that it does not take: %s",
                       oci_name(oci), oci->host->err_message(unheard));
        plug_wipe(*identity);
        *identity = NULL;
    }
    oci_auth_free(trial.auth);
    oci->host->err_free(unheard);
    return rc;
}

static int keep(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                const struct strake_registry_login *login, const char *identity,
                struct strake_buf *where, struct strake_err *err)
{
    struct oci_credentials credentials = {
        .username = strdup(login->username),
        .password = identity ? NULL : strdup(login->password),
        .identity_token = identity ? strdup(identity) : NULL,
    };
    int rc = credentials.username && (credentials.password || credentials.identity_token)
                 ? oci_store_put(oci, job, store, &credentials, where, err)
                 : plug_fail_nomem(oci->host, err);
    oci_credentials_dispose(&credentials);
    return rc;
}

int oci_login(void *self, struct strake_job *job, const struct strake_registry_login *login,
              struct strake_buf *where, struct strake_err *err)
{
    struct oci *oci = self;
    struct oci_store store = { 0 };
    struct oci trial = { 0 };
    char *identity = NULL;
    int rc = check(oci, login, err);
    if (rc < 0)
        return rc;
    oci->host->secret_mark(login->password, strlen(login->password));
    /* What could not be kept need not be tried. */
    rc = oci_store_find(oci, &store, err);
    if (rc == 0)
        rc = on_trial(oci, login->username, login->password, NULL, &trial, err);
    if (rc == 0)
        rc = try_base(&trial, job, login, err);
    if (rc == 0 && *login->repository)
        rc = try_push(&trial, job, login, err);
    if (rc == 0 && (identity = oci_auth_take_identity(&trial)))
        rc = try_identity(oci, job, login, &identity, err);
    if (rc == 0)
        rc = keep(oci, job, &store, login, identity, where, err);
    plug_wipe(identity);
    oci_auth_free(trial.auth);
    oci_store_dispose(&store);
    return rc;
}

int oci_logout(void *self, struct strake_job *job, struct strake_buf *where, struct strake_err *err)
{
    const struct oci *oci = self;
    struct oci_store store;
    int rc = oci_store_find(oci, &store, err);
    if (rc == 0)
        rc = oci_store_drop(oci, job, &store, where, err);
    oci_store_dispose(&store);
    return rc;
}
