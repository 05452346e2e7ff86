/* What our credentials are worth: are they accepted, and what do they allow in a repository? */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "upload.h"

/* ---- are they accepted? ---------------------------------------------------------------------- */

int oci_access_base(struct oci *oci, struct strake_job *job, struct strake_registry_access *found,
                    struct strake_err *err)
{
    const char *user = oci_auth_trial(oci);
    char *what = user ? plug_format("logging in to %s as %s", oci_name(oci), user)
                      : plug_format("asking %s whether it is there", oci_name(oci));
    if (!what)
        return plug_fail_nomem(oci->host, err);
    struct oci_call call = {
        .what = what,
        .repository = "",
        .scopes = "",
        .method = "GET",
        .url = oci->base,
        .idempotent = true,
    };
    const struct oci_credentials *credentials = NULL;
    int rc = oci_call_run(oci, job, &call, err);
    if (rc == 0)
        rc = oci_auth_credentials(oci, job, "", &credentials, err);
    found->given = credentials && oci_credentials_given(credentials);
    if (rc == 0 && call.status != 200 && (call.status != 401 || found->given))
        rc = oci_answer_fail(oci, &call, err);
    if (rc == 0) {
        const char *scheme = oci_auth_scheme(oci);
        found->asked = call.status == 401 || scheme[0] != '\0';
        snprintf(found->scheme, sizeof(found->scheme), "%s", scheme);
        snprintf(found->source, sizeof(found->source), "%s",
                 found->given && credentials->source ? credentials->source : "");
    }
    oci_call_dispose(oci, &call);
    free(what);
    return rc;
}

int oci_ping(void *self, struct strake_job *job, struct strake_buf *detail, struct strake_err *err)
{
    struct oci *oci = self;
    struct strake_registry_access found = { .size = sizeof(found) };
    struct plug_text text = { 0 };
    int rc = oci_access_base(oci, job, &found, err);
    if (rc < 0)
        return rc;
    plug_text_addf(&text, "%s, %s%s%s", oci->origin.https ? "https" : "http",
                   found.given ? "credentials from " : "no credentials", found.source,
                   found.asked && !found.given ? ", and it asks for some" : "");
    rc = text.failed ? plug_fail_nomem(oci->host, err)
                     : oci->host->buf_append(detail, plug_text_view(&text), text.len);
    plug_text_dispose(&text);
    return rc;
}

/* ---- what a token says ----------------------------------------------------------------------- */

/** The claims of a JSON web token, or NULL when it is none that can be read. */
static json_t *claims_of(const char *header)
{
    const char *begin = strchr(header, '.');
    size_t len = begin ? strcspn(begin + 1, ".") : 0;
    char *coded = begin && begin[1 + len] == '.' ? plug_strndup(begin + 1, len) : NULL;
    struct plug_text plain = { 0 };
    json_t *claims = NULL;
    for (char *at = coded; at && *at; at++)
        *at = *at == '-' ? '+' : *at == '_' ? '/' : *at;
    if (coded && plug_base64_decode(&plain, coded))
        claims = json_loadb(plug_text_view(&plain), plain.len, 0, NULL);
    plug_text_dispose(&plain);
    plug_wipe(coded);
    return claims;
}

static bool lists(const json_t *actions, const char *action)
{
    size_t i;
    json_t *one;
    json_array_foreach(actions, i, one) {
        const char *text = json_string_value(one);
        if (text && (strcmp(text, action) == 0 || strcmp(text, "*") == 0))
            return true;
    }
    return false;
}

/** @return 1 the token allows it, 0 it does not, -1 it does not say */
static int token_allows(const char *header, const char *repository, const char *action)
{
    json_t *claims = claims_of(header);
    const json_t *access = json_object_get(claims, "access");
    int verdict = json_is_array(access) ? 0 : -1;
    size_t i;
    json_t *entry;
    json_array_foreach(access, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, repository) == 0 &&
            lists(json_object_get(entry, "actions"), action))
            verdict = 1;
    }
    json_decref(claims);
    return verdict;
}

/* ---- what the registry does ------------------------------------------------------------------ */

/** One action in one repository. */
struct trial {
    struct oci *oci;
    struct strake_job *job;
    const char *repository;
    const char *action; /**< "pull" or "push" */
    bool believe;       /**< a token that says yes */
    char *what;
    char *scopes;
    struct strake_err *err;
};

/** Read its tags. @return 1 allowed (a repository that is not there yet too), 0, or negative */
static int try_pull(const struct trial *trial)
{
    struct oci *oci = trial->oci;
    char *url = oci_url(oci, trial->repository, "tags", "list?n=1");
    if (!url)
        return plug_fail_nomem(oci->host, trial->err);
    struct oci_call call = {
        .what = trial->what,
        .repository = trial->repository,
        .scopes = trial->scopes,
        .method = "GET",
        .url = url,
        .max_redirects = OCI_REDIRECTS,
        .idempotent = true,
    };
    int rc = oci_call_run(oci, trial->job, &call, trial->err);
    if (rc == 0 && (call.status == 200 || call.status == 404))
        rc = 1;
    else if (rc == 0)
        rc = oci_answer_fail(oci, &call, trial->err);
    oci_call_dispose(oci, &call);
    free(url);
    return rc;
}

/** Open an upload and end it at once: nothing is left of it. */
static int try_push(const struct trial *trial)
{
    static const char nothing[] =
        "sha256:"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct oci_upload upload = {
        .oci = trial->oci,
        .job = trial->job,
        .repository = trial->repository,
        .digest = nothing,
        .err = trial->err,
    };
    int rc = oci_upload_begin(&upload, NULL);
    if (rc == 0)
        rc = oci_session_open(&upload);
    if (rc == 0) {
        oci_session_drop(&upload);
        rc = 1;
    }
    oci_upload_end(&upload);
    return rc;
}

/** First what a token says that is asked for: its no is one. Its yes may be believed, though a registry
 *  can be read-only, or know better; where it does not say, whether it is done. */
static int ask_action(const struct trial *trial)
{
    struct oci *oci = trial->oci;
    struct oci_call call = {
        .what = trial->what,
        .repository = trial->repository,
        .scopes = trial->scopes,
        .method = "GET",
        .url = oci->base,
    };
    char *header = NULL;
    int rc = oci_auth_header(oci, trial->job, &call, &header, trial->err);
    if (rc == 0) {
        rc = header && strcmp(oci_auth_scheme(oci), "bearer") == 0
                 ? token_allows(header, trial->repository, trial->action)
                 : -1;
        if (rc < 0 || (rc > 0 && !trial->believe))
            rc = strcmp(trial->action, "push") == 0 ? try_push(trial) : try_pull(trial);
    }
    plug_wipe(header);
    return rc;
}

/** One of the actions. @return 1 allowed, 0 not, told in `why` (which may be `err`) unless a token said
 *  so, or negative */
static int allows(struct oci *oci, struct strake_job *job, const char *repository,
                  const char *action, bool believe, struct strake_err *why, struct strake_err *err)
{
    struct trial trial = {
        .oci = oci,
        .job = job,
        .repository = repository,
        .action = action,
        .believe = believe,
        .what = plug_format("asking for %s in %s/%s", action, oci_name(oci), repository),
        /* Whoever pushes also reads; some token servers give both or nothing. */
        .scopes = oci_scope(repository, strcmp(action, "push") == 0 ? "pull,push" : action),
        .err = why,
    };
    int rc = trial.what && trial.scopes ? ask_action(&trial) : STRAKE_ENOMEM;
    /* A refusal is an answer here; all else is a failure. */
    if (rc == STRAKE_EAUTH)
        rc = 0;
    else if (rc == STRAKE_ENOMEM)
        plug_fail_nomem(oci->host, err);
    else if (rc < 0 && why != err)
        oci->host->fail(err, rc, "%s", oci->host->err_message(why));
    free(trial.what);
    free(trial.scopes);
    return rc;
}

int oci_access_push(struct oci *oci, struct strake_job *job, const char *repository,
                    struct strake_err *err)
{
    int rc = oci_check_name(oci, repository, NULL, err);
    if (rc == 0)
        rc = allows(oci, job, repository, "push", false, err, err);
    if (rc == 0 && oci->host->err_code(err) == 0)
        oci->host->fail(err, STRAKE_EAUTH,
                        "the token that the token server of %s gives allows no push to %s",
                        oci_name(oci), repository);
    return rc == 0 ? STRAKE_EAUTH : rc < 0 ? rc : 0;
}

static int ask_actions(struct oci *oci, struct strake_job *job, const char *repository,
                       const char *actions, struct strake_registry_access *found,
                       struct strake_err *err)
{
    size_t used = 0;
    int rc = oci_check_name(oci, repository, NULL, err);
    while (rc == 0 && *actions) {
        size_t len = strcspn(actions, ",");
        char *action = plug_strndup(actions, len);
        struct strake_err *unheard = oci->host->err_new();
        int allowed = action && unheard ? allows(oci, job, repository, action, true, unheard, err)
                                        : plug_fail_nomem(oci->host, err);
        oci->host->err_free(unheard);
        if (allowed < 0)
            rc = allowed;
        else if (allowed > 0 && used + len + 2 < sizeof(found->actions))
            used += (size_t)snprintf(found->actions + used, sizeof(found->actions) - used, "%s%s",
                                     used ? "," : "", action);
        free(action);
        actions += len + (actions[len] == ',');
    }
    return rc;
}

int oci_access(void *self, struct strake_job *job, const char *repository, const char *actions,
               struct strake_registry_access *out, struct strake_err *err)
{
    struct oci *oci = self;
    struct strake_registry_access found = { .size = sizeof(found) };
    /* It also shows where tokens come from, which the scopes are asked of. */
    int rc = oci_access_base(oci, job, &found, err);
    if (rc == 0 && *repository) {
        const struct oci_credentials *credentials;
        rc = oci_auth_credentials(oci, job, repository, &credentials, err);
        if (rc == 0) {
            found.given = oci_credentials_given(credentials);
            snprintf(found.source, sizeof(found.source), "%s",
                     found.given && credentials->source ? credentials->source : "");
            rc = ask_actions(oci, job, repository, actions, &found, err);
        }
    }
    if (rc == 0) {
        uint32_t size = out->size < sizeof(found) ? out->size : (uint32_t)sizeof(found);
        found.size = out->size;
        memcpy(out, &found, size);
    }
    return rc;
}
