/* One request to GitHub's REST API (ghcr.h; docs.github.com/rest/packages). */
#include <stdlib.h>
#include <string.h>

#include "ghcr.h"
#include "oci/auth.h"

#define HEADERS_MAX ((size_t)64 * 1024)
#define WORDS_MAX 500

static const char scopes[] = "read:packages, write:packages and delete:packages";

const char *ghcr_advice(const struct oci_credentials *credentials)
{
    if (credentials->password && strncmp(credentials->password, "github_pat_", 11) == 0)
        return "GitHub's packages take no fine-grained token (github_pat_…): make a classic one "
               "with the scopes read:packages, write:packages and delete:packages at "
               "https://github.com/settings/tokens, or take GITHUB_TOKEN in a workflow";
    return NULL;
}

void ghcr_call_dispose(const struct ghcr *ghcr, struct ghcr_call *call)
{
    ghcr->oci.host->buf_free(call->headers);
    ghcr->oci.host->buf_free(call->answer);
    json_decref(call->json);
    call->headers = call->answer = NULL;
    call->json = NULL;
}

/** "Bearer TOKEN", the registry's own credentials: a token of GitHub's is its password. */
static int authorization(struct ghcr *ghcr, struct strake_job *job, const struct ghcr_call *call,
                         char **header, struct strake_err *err)
{
    const struct strake_host *host = ghcr->oci.host;
    const struct oci_credentials *credentials = NULL;
    int rc = oci_auth_credentials(&ghcr->oci, job, call->repository, &credentials, err);
    if (rc < 0)
        return rc;
    const char *advice = ghcr_advice(credentials);
    if (advice || !credentials->password) {
        host->fail(err, STRAKE_EAUTH, "%s: %s", call->what,
                   advice ? "a fine-grained token is not accepted"
                          : "GitHub's API wants a token, and there is none");
        if (advice)
            host->err_hint(err, "%s", advice);
        else
            oci_auth_hint(&ghcr->oci, call->repository, err);
        return STRAKE_EAUTH;
    }
    *header = plug_format("Bearer %s", credentials->password);
    return *header ? 0 : plug_fail_nomem(host, err);
}

static void add_words(const struct ghcr *ghcr, const struct ghcr_call *call, struct strake_err *err)
{
    size_t len;
    const char *text = ghcr->oci.host->buf_data(call->answer, &len);
    json_t *root = text ? json_loadb(text, len, 0, NULL) : NULL;
    const char *words = json_string_value(json_object_get(root, "message"));
    if (words)
        ghcr->oci.host->err_detail(err, words, strnlen(words, WORDS_MAX));
    json_decref(root);
}

static int refused(struct ghcr *ghcr, const struct ghcr_call *call, struct strake_err *err)
{
    const struct strake_host *host = ghcr->oci.host;
    const char *headers = plug_buf_text(host, call->headers);
    int status = call->status;
    int code = status == 401 || status == 403 ? STRAKE_EAUTH
               : status == 404                ? STRAKE_ENOTFOUND
                                              : STRAKE_EREGISTRY;
    bool limited = status == 429 ||
                   (status == 403 && oci_header_number(headers, "x-ratelimit-remaining") == 0);
    if (limited)
        code = STRAKE_EREGISTRY;
    host->fail(err, code, "%s: GitHub's API answered %d%s", call->what, status,
               status == 404                   ? " (not there, or not visible with this token)"
               : status >= 300 && status < 400 ? " (it leads elsewhere, and the token does not go "
                                                 "along)"
                                               : "");
    add_words(ghcr, call, err);
    char *has = plug_header_copy(headers, "x-oauth-scopes");
    if (limited)
        host->err_hint(err, "GitHub limits how often it may be asked: try again later");
    else if ((code == STRAKE_EAUTH || code == STRAKE_ENOTFOUND) && has)
        host->err_hint(err, "the token has the scopes \"%.200s\"; it takes %s", has, scopes);
    else if (code == STRAKE_EAUTH || code == STRAKE_ENOTFOUND)
        host->err_hint(err,
                       "it takes a classic token with %s, or in a workflow GITHUB_TOKEN with "
                       "`permissions: packages: write` and admin of the package",
                       scopes);
    free(has);
    return code;
}

static int read_answer(struct ghcr *ghcr, struct ghcr_call *call, struct strake_err *err)
{
    size_t len;
    if (call->status == 204 ||
        (call->status == 404 && call->retries > 0 && strcmp(call->method, "DELETE") == 0))
        return 0; /* of a deletion the earlier try did it, and its answer was lost */
    if (call->status != 200)
        return refused(ghcr, call, err);
    const char *text = ghcr->oci.host->buf_data(call->answer, &len);
    call->json = text ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!call->json)
        return ghcr->oci.host->fail(err, STRAKE_EREGISTRY, "%s: GitHub's API answered no JSON",
                                    call->what);
    return 0;
}

int ghcr_call_run(struct ghcr *ghcr, struct strake_job *job, struct ghcr_call *call,
                  struct strake_err *err)
{
    const struct strake_host *host = ghcr->oci.host;
    if (!ghcr->api) {
        host->fail(err, STRAKE_ECONFIG, "%s: where GitHub's API is for %s is not known", call->what,
                   oci_name(&ghcr->oci));
        host->err_hint(err, "registry \"%s\" { type = \"ghcr\", api = \"https://HOST/api/v3\" }",
                       oci_name(&ghcr->oci));
        return STRAKE_ECONFIG;
    }
    char *header = NULL;
    char *url = plug_format("%s%s", ghcr->api, call->path);
    call->headers = host->buf_new(HEADERS_MAX);
    call->answer = host->buf_new(GHCR_ANSWER_MAX);
    int rc = url && call->headers && call->answer ? authorization(ghcr, job, call, &header, err)
                                                  : plug_fail_nomem(host, err);
    if (rc == 0) {
        const struct strake_pair token = { "Authorization", header };
        const struct strake_pair accept = { "Accept", "application/vnd.github+json" };
        const struct strake_pair version = { "X-GitHub-Api-Version", "2022-11-28" };
        const struct strake_pair *headers[] = { &token, &accept, &version, NULL };
        struct strake_http_request request = {
            .size = sizeof(request),
            .method = call->method,
            .url = url,
            .headers = headers,
            .response = call->answer,
            .timeout_ms = call->limit_ms > 0 ? call->limit_ms : ghcr->oci.options.timeout_ms,
            .ca_file = ghcr->oci.options.ca,
            .idempotent = true, /* and no redirects: the token is for this host */
        };
        struct strake_http_response response = { .size = sizeof(response),
                                                 .headers = call->headers };
        rc = host->http_request(job, &request, &response, err);
        call->status = response.status;
        call->retries = response.retries;
    }
    if (rc == 0)
        rc = read_answer(ghcr, call, err);
    plug_wipe(header);
    free(url);
    return rc;
}
