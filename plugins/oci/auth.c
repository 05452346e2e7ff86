/* Which Authorization a request gets (auth.h). */
#include "auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "challenge.h"
#include "realm.h"
#include "scope.h"

/** An Authorization that holds for some scopes until a time. Their number is bounded by what the
 *  user asks for, not by what a registry answers. */
struct grant {
    struct grant *next;
    char *key; /**< scopes; for Basic the repository */
    char *header;
    int64_t expires_ms;
};

struct known_credentials {
    struct known_credentials *next;
    char *repository;
    struct oci_credentials credentials;
};

struct oci_auth {
    pthread_mutex_t lock;
    bool basic;  /**< the registry wants Basic */
    char *realm; /**< or a token from here, checked already */
    char *service;
    struct grant *grants;
    struct oci_credentials *trial;         /**< instead of any that could be found */
    char *identity;                        /**< what a token server gave for them */
    struct known_credentials *credentials; /**< only ever grows: what it holds may be borrowed */
};

struct oci_auth *oci_auth_new(void)
{
    struct oci_auth *auth = calloc(1, sizeof(*auth));
    if (auth)
        pthread_mutex_init(&auth->lock, NULL);
    return auth;
}

static void grant_free(struct grant *grant)
{
    free(grant->key);
    plug_wipe(grant->header);
    free(grant);
}

void oci_auth_free(struct oci_auth *auth)
{
    if (!auth)
        return;
    while (auth->grants) {
        struct grant *grant = auth->grants;
        auth->grants = grant->next;
        grant_free(grant);
    }
    while (auth->credentials) {
        struct known_credentials *known = auth->credentials;
        auth->credentials = known->next;
        oci_credentials_dispose(&known->credentials);
        free(known->repository);
        free(known);
    }
    if (auth->trial)
        oci_credentials_dispose(auth->trial);
    free(auth->trial);
    plug_wipe(auth->identity);
    free(auth->realm);
    free(auth->service);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

struct oci_auth *oci_auth_on_trial(struct oci_credentials *credentials)
{
    struct oci_auth *auth = oci_auth_new();
    if (auth && !(auth->trial = calloc(1, sizeof(*auth->trial)))) {
        oci_auth_free(auth);
        return NULL;
    }
    if (auth) {
        *auth->trial = *credentials;
        *credentials = (struct oci_credentials){ 0 }; /* moved */
    }
    return auth;
}

const char *oci_auth_trial(const struct oci *oci)
{
    return oci->auth->trial ? oci->auth->trial->username : NULL;
}

void oci_auth_keep_identity(struct oci *oci, const char *token)
{
    char *copy = strdup(token);
    pthread_mutex_lock(&oci->auth->lock);
    plug_wipe(oci->auth->identity);
    oci->auth->identity = copy;
    pthread_mutex_unlock(&oci->auth->lock);
}

char *oci_auth_take_identity(struct oci *oci)
{
    pthread_mutex_lock(&oci->auth->lock);
    char *token = oci->auth->identity;
    oci->auth->identity = NULL;
    pthread_mutex_unlock(&oci->auth->lock);
    return token;
}

/** A copy of what was granted for `key`, *found false when nothing was. */
static char *recall(struct oci_auth *auth, const char *key, bool *found)
{
    char *header = NULL;
    *found = false;
    int64_t now = plug_now_ms();
    for (const struct grant *grant = auth->grants; grant && !*found; grant = grant->next) {
        if (oci_scope_serves(grant->key, key) && now < grant->expires_ms) {
            header = strdup(grant->header);
            *found = true;
        }
    }
    return header;
}

static void forget(struct oci_auth *auth, const char *header)
{
    for (struct grant **at = &auth->grants; *at;) {
        struct grant *grant = *at;
        if (header && strcmp(grant->header, header) == 0) {
            *at = grant->next;
            grant_free(grant);
        } else {
            at = &grant->next;
        }
    }
}

static int remember(struct oci *oci, const char *key, const char *header, int64_t lifetime_ms,
                    struct strake_err *err)
{
    struct grant *grant = calloc(1, sizeof(*grant));
    char *own_key = strdup(key);
    char *own_header = strdup(header);
    if (!grant || !own_key || !own_header) {
        free(grant);
        free(own_key);
        plug_wipe(own_header);
        return plug_fail_nomem(oci->host, err);
    }
    int64_t now = plug_now_ms();
    *grant = (struct grant){ NULL, own_key, own_header, now + lifetime_ms };
    pthread_mutex_lock(&oci->auth->lock);
    for (struct grant **at = &oci->auth->grants; *at;) {
        struct grant *old = *at;
        if (old->expires_ms <= now || strcmp(old->key, key) == 0) {
            *at = old->next;
            grant_free(old);
        } else {
            at = &old->next;
        }
    }
    grant->next = oci->auth->grants;
    oci->auth->grants = grant;
    pthread_mutex_unlock(&oci->auth->lock);
    return 0;
}

const char *oci_auth_scheme(struct oci *oci)
{
    pthread_mutex_lock(&oci->auth->lock);
    const char *scheme = oci->auth->basic ? "basic" : oci->auth->realm ? "bearer" : "";
    pthread_mutex_unlock(&oci->auth->lock);
    return scheme;
}

/** The block's own username and password. */
static int configured(struct oci *oci, struct oci_credentials *out, struct strake_err *err)
{
    struct strake_buf *value = oci->host->buf_new((size_t)64 * 1024);
    if (!value)
        return plug_fail_nomem(oci->host, err);
    int rc = plug_secret_read(oci->host, &oci->options.password, value, err);
    if (rc == 0) {
        out->username = strdup(oci->options.username);
        out->password = strdup(plug_buf_text(oci->host, value));
        out->source = plug_format("registry \"%s\" { … }", oci_name(oci));
        if (!out->username || !out->password || !out->source) {
            oci_credentials_dispose(out);
            rc = plug_fail_nomem(oci->host, err);
        }
    }
    oci->host->buf_free(value);
    return rc;
}

static const struct oci_credentials *lookup(struct oci_auth *auth, const char *repository)
{
    if (auth->trial)
        return auth->trial;
    for (struct known_credentials *known = auth->credentials; known; known = known->next)
        if (strcmp(known->repository, repository) == 0)
            return &known->credentials;
    return NULL;
}

int oci_auth_credentials(struct oci *oci, struct strake_job *job, const char *repository,
                         const struct oci_credentials **out, struct strake_err *err)
{
    struct oci_auth *auth = oci->auth;
    pthread_mutex_lock(&auth->lock);
    *out = lookup(auth, repository);
    pthread_mutex_unlock(&auth->lock);
    if (*out)
        return 0;

    struct known_credentials *known = calloc(1, sizeof(*known));
    if (!known || !(known->repository = strdup(repository))) {
        free(known);
        return plug_fail_nomem(oci->host, err);
    }
    int rc = oci->options.username ? configured(oci, &known->credentials, err)
                                   : oci_credentials_find(oci->host, job, oci_name(oci), repository,
                                                          &known->credentials, err);
    if (rc < 0) {
        free(known->repository);
        free(known);
        return rc;
    }
    /* Two threads may have looked at once; both results stay, either may be borrowed. */
    pthread_mutex_lock(&auth->lock);
    known->next = auth->credentials;
    auth->credentials = known;
    pthread_mutex_unlock(&auth->lock);
    *out = &known->credentials;
    return 0;
}

/** Fetch a token, keep it for the call's scopes, and make its header. */
static int bearer(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                  const char *realm, const char *service, const char *scopes, char **header,
                  struct strake_err *err)
{
    const struct oci_credentials *credentials;
    char *token = NULL;
    int64_t lifetime_ms = 0;
    int rc = oci_auth_credentials(oci, job, call->repository, &credentials, err);
    if (rc == 0 && credentials->registry_token) {
        token = strdup(credentials->registry_token);
        rc = token ? 0 : plug_fail_nomem(oci->host, err);
    } else if (rc == 0) {
        rc = oci_token_fetch(oci, job, realm, service, scopes, credentials, &token, &lifetime_ms,
                             err);
        if (rc == STRAKE_EAUTH)
            oci_auth_hint(oci, call->repository, err);
    }
    if (rc < 0)
        return rc;
    *header = plug_format("Bearer %s", token);
    plug_wipe(token);
    if (!*header)
        return plug_fail_nomem(oci->host, err);
    if (lifetime_ms > 0)
        rc = remember(oci, call->scopes, *header, lifetime_ms, err);
    if (rc < 0) {
        plug_wipe(*header);
        *header = NULL;
    }
    return rc;
}

/** *header NULL: there are no credentials that Basic could take. */
static int basic(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                 char **header, struct strake_err *err)
{
    const struct oci_credentials *credentials;
    int rc = oci_auth_credentials(oci, job, call->repository, &credentials, err);
    if (rc < 0)
        return rc;
    if (credentials->registry_token) {
        *header = plug_format("Bearer %s", credentials->registry_token);
    } else if (credentials->username && credentials->password) {
        char *coded =
            oci_credentials_basic(oci->host, credentials->username, credentials->password);
        *header = coded ? plug_format("Basic %s", coded) : NULL;
        plug_wipe(coded);
    } else {
        return 0;
    }
    return *header ? 0 : plug_fail_nomem(oci->host, err);
}

int oci_auth_header(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                    char **header, struct strake_err *err)
{
    struct oci_auth *auth = oci->auth;
    bool found = false;
    *header = NULL;
    pthread_mutex_lock(&auth->lock);
    bool wants_basic = auth->basic;
    if (!wants_basic)
        *header = recall(auth, call->scopes, &found);
    char *realm = auth->realm ? strdup(auth->realm) : NULL;
    char *service = auth->service ? strdup(auth->service) : NULL;
    bool nomem = (auth->realm && !realm) || (auth->service && !service) || (found && !*header);
    pthread_mutex_unlock(&auth->lock);

    int rc = 0;
    if (nomem)
        rc = plug_fail_nomem(oci->host, err);
    else if (wants_basic)
        rc = basic(oci, job, call, header, err);
    else if (!found && realm && *call->scopes)
        rc = bearer(oci, job, call, realm, service, call->scopes, header, err);
    free(realm);
    free(service);
    return rc;
}

/** May credentials go there? A challenge is learnt only when they may. */
static int check_realm(struct oci *oci, const char *realm, struct strake_err *err)
{
    struct plug_url url;
    int rc = plug_url_split(realm, &url);
    if (rc == STRAKE_ENOMEM)
        return plug_fail_nomem(oci->host, err);
    const char *reason = rc < 0 ? "it is not a URL to ask"
                                : oci_realm_refusal(&oci->origin, &url, oci_address_classify);
    plug_url_dispose(&url);
    if (!reason)
        return 0;
    oci->host->fail(err, STRAKE_EAUTH, "%s names a token server that is not to be trusted: %s",
                    oci_name(oci), reason);
    oci->host->err_detail(err, realm, strlen(realm));
    oci->host->err_hint(err, "nothing was sent there; ask whoever runs %s", oci_name(oci));
    return STRAKE_EAUTH;
}

static int learn_bearer(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                        const struct oci_challenge *challenge, char **header,
                        struct strake_err *err)
{
    struct oci_auth *auth = oci->auth;
    int rc = check_realm(oci, challenge->realm, err);
    if (rc < 0)
        return rc;
    char *realm = strdup(challenge->realm);
    char *service = challenge->service ? strdup(challenge->service) : NULL;
    char *scopes = oci_scope_join(call->scopes, challenge->scope);
    if (!realm || !scopes || (challenge->service && !service)) {
        free(realm);
        free(service);
        free(scopes);
        return plug_fail_nomem(oci->host, err);
    }
    pthread_mutex_lock(&auth->lock);
    free(auth->realm);
    free(auth->service);
    auth->realm = realm;
    auth->service = service;
    auth->basic = false;
    pthread_mutex_unlock(&auth->lock);
    rc = bearer(oci, job, call, challenge->realm, challenge->service, scopes, header, err);
    free(scopes);
    return rc;
}

int oci_auth_challenged(struct oci *oci, struct strake_job *job, const struct oci_call *call,
                        const char *used, char **header, struct strake_err *err)
{
    struct oci_auth *auth = oci->auth;
    struct oci_challenge challenge;
    *header = NULL;
    int rc = oci_challenge_parse(oci_call_headers(oci, call), &challenge);
    if (rc < 0)
        return plug_fail_nomem(oci->host, err);
    pthread_mutex_lock(&auth->lock);
    forget(auth, used);
    pthread_mutex_unlock(&auth->lock);

    if (challenge.realm) {
        rc = learn_bearer(oci, job, call, &challenge, header, err);
    } else if (challenge.basic) {
        pthread_mutex_lock(&auth->lock);
        auth->basic = true;
        pthread_mutex_unlock(&auth->lock);
        rc = basic(oci, job, call, header, err);
    }
    oci_challenge_dispose(&challenge);
    /* The same again would be refused the same. */
    if (*header && used && strcmp(*header, used) == 0) {
        plug_wipe(*header);
        *header = NULL;
    }
    return rc;
}

void oci_auth_hint(struct oci *oci, const char *repository, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    pthread_mutex_lock(&oci->auth->lock);
    const struct oci_credentials *credentials = lookup(oci->auth, repository);
    pthread_mutex_unlock(&oci->auth->lock);
    const char *advice = credentials && oci->advice ? oci->advice(credentials) : NULL;
    if (advice)
        host->err_hint(err, "%s", advice);
    else if (credentials && oci_credentials_given(credentials))
        host->err_hint(err, "check the credentials for %s in %s, and what they may do there",
                       oci_name(oci), credentials->source);
    else if (credentials && credentials->trouble)
        host->err_hint(err, "no credentials for %s could be read: %s", oci_name(oci),
                       credentials->trouble);
    else
        host->err_hint(err,
                       "there are no credentials for %s: `strake login %s`, or username and "
                       "password in registry "
                       "\"%s\" { … }",
                       oci_name(oci), oci_name(oci), oci_name(oci));
}
