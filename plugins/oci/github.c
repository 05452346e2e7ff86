/* What a token of GitHub lacks: its container registry says no more than "denied". */
#include <stdlib.h>
#include <string.h>

#include "oci.h"

#define ASK_MS 10000
#define ANSWER_MAX ((size_t)256 * 1024)

/** An answer of GET /user. */
struct github {
    int status;
    char *scopes; /**< X-OAuth-Scopes; NULL: not a token that has scopes */
    char *sso;    /**< X-GitHub-SSO */
};

static const char *api_of(const struct oci *oci)
{
    if (oci->options.api)
        return oci->options.api;
    return strcmp(oci_name(oci), "ghcr.io") == 0 ? "https://api.github.com" : NULL;
}

static int ask(struct oci *oci, struct strake_job *job, const char *token, struct github *out)
{
    const struct strake_host *host = oci->host;
    struct strake_err *unheard = host->err_new();
    struct strake_buf *headers = host->buf_new(OCI_HEADERS_MAX);
    struct strake_buf *answer = host->buf_new(ANSWER_MAX);
    const char *api = api_of(oci);
    const size_t len = strlen(api);
    char *url = plug_format("%.*s/user", (int)(len - (len > 0 && api[len - 1] == '/')), api);
    char *bearer = plug_format("Bearer %s", token);
    int rc = unheard && headers && answer && url && bearer ? 0 : STRAKE_ENOMEM;
    if (rc == 0) {
        const struct strake_pair authorization = { "Authorization", bearer };
        const struct strake_pair accept = { "Accept", "application/vnd.github+json" };
        const struct strake_pair version = { "X-GitHub-Api-Version", "2022-11-28" };
        struct strake_http_request request = oci_http_request(oci);
        request.method = "GET";
        request.url = url;
        request.headers =
            (const struct strake_pair *const[]){ &authorization, &accept, &version, NULL };
        request.response = answer;
        request.timeout_ms =
            request.timeout_ms > 0 && request.timeout_ms < ASK_MS ? request.timeout_ms : ASK_MS;
        struct strake_http_response response = { .size = sizeof(response), .headers = headers };
        rc = host->http_request(job, &request, &response, unheard);
        if (rc < 0)
            host->log(STRAKE_LOG_DEBUG, "GitHub was not asked what the token may: %s",
                      host->err_message(unheard));
        out->status = response.status;
        out->scopes =
            rc == 0 ? plug_header_copy(plug_buf_text(host, headers), "x-oauth-scopes") : NULL;
        out->sso = rc == 0 ? plug_header_copy(plug_buf_text(host, headers), "x-github-sso") : NULL;
    }
    free(url);
    plug_wipe(bearer);
    host->buf_free(headers);
    host->buf_free(answer);
    host->err_free(unheard);
    return rc;
}

/** Is `scope` one of the comma-separated list? */
static bool has(const char *scopes, const char *scope)
{
    const size_t len = strlen(scope);
    while (*scopes) {
        scopes += strspn(scopes, ", ");
        size_t one = strcspn(scopes, ", ");
        if (one == len && strncmp(scopes, scope, len) == 0)
            return true;
        scopes += one;
    }
    return false;
}

static void hint_scopes(const struct oci *oci, const struct github *github, const char *repository,
                        struct strake_err *err)
{
    /* write:packages holds read:packages. */
    const bool writes = has(github->scopes, "write:packages");
    const bool reads = writes || has(github->scopes, "read:packages");
    const char *missing = *repository && !writes ? "write:packages"
                          : !reads               ? "read:packages"
                                                 : NULL;
    if (missing)
        oci->host->err_hint(err,
                            "the token lacks the scope %s (it has: %s): give it that one at "
                            "https://github.com/settings/tokens",
                            missing, *github->scopes ? github->scopes : "none");
    else if (github->sso)
        oci->host->err_hint(err, "the token has its scopes, but the organisation wants it to be "
                                 "authorised for single sign-on first");
    else
        oci->host->err_hint(err,
                            "the token has its scopes (%s): is the username its owner's, and has "
                            "that one the role of a writer in the settings of the package?",
                            github->scopes);
}

void oci_github_hint(struct oci *oci, struct strake_job *job, const char *token,
                     const char *repository, struct strake_err *err)
{
    struct github github = { 0 };
    /* A token goes into a header: visible characters only. */
    for (const char *c = token; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return;
    if (!api_of(oci))
        return;
    if (strncmp(token, "github_pat_", 11) == 0)
        oci->host->err_hint(err, "this is a fine-grained token, which GitHub's registry does not "
                                 "take: make a classic one with the scope write:packages");
    else if (ask(oci, job, token, &github) == 0 && github.scopes)
        hint_scopes(oci, &github, repository, err);
    else if (github.status == 401)
        oci->host->err_hint(err, "GitHub does not know this token: it was mistyped, has expired or "
                                 "was revoked");
    else if (github.status == 403 || strncmp(token, "ghs_", 4) == 0)
        oci->host->err_hint(err, "the token of a workflow may do what the workflow says: "
                                 "`permissions: packages: write`, and the package's settings must "
                                 "give its repository access");
    free(github.scopes);
    free(github.sso);
}
