/* Asking a token server (distribution specification, token and OAuth2 flows). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"

#define DEFAULT_LIFETIME_S 60
#define MAX_LIFETIME_S 86400
#define CLIENT_ID "strake"

/** One request to the token server. */
struct token_request {
    struct oci *oci;
    struct strake_job *job;
    const char *realm;
    const char *service;
    const char *scopes;
    const struct oci_credentials *credentials;
    struct strake_buf *answer;
    int status;
    struct strake_err *err;
};

static int send(struct token_request *request, const char *method, const char *url,
                const char *authorization, const struct plug_text *form)
{
    struct oci *oci = request->oci;
    const struct strake_pair auth = { "Authorization", authorization };
    const struct strake_pair type = { "Content-Type", "application/x-www-form-urlencoded" };
    const struct strake_pair accept = { "Accept", "application/json" };
    const struct strake_pair *headers[4] = { &accept };
    size_t count = 1;
    if (authorization)
        headers[count++] = &auth;
    if (form)
        headers[count++] = &type;
    struct strake_http_request http = oci_http_request(oci);
    http.method = method;
    http.url = url;
    http.headers = headers;
    http.body = form ? plug_text_view(form) : NULL;
    http.body_len = form ? form->len : 0;
    http.response = request->answer;
    http.idempotent = true;
    struct strake_http_response response = { .size = sizeof(response) };
    oci->host->buf_clear(request->answer);
    int rc = oci->host->http_request(request->job, &http, &response, request->err);
    request->status = response.status;
    return rc;
}

/** Append "&name=value". */
static void add_field(struct plug_text *text, const char *separator, const char *name,
                      const char *value)
{
    plug_text_addf(text, "%s%s=", separator, name);
    plug_url_escape(text, value);
}

/** GET realm?service=…&scope=…&scope=…, with Basic where there are credentials. */
static int ask_by_get(struct token_request *request)
{
    const struct oci_credentials *credentials = request->credentials;
    struct plug_text url = { 0 };
    plug_text_add(&url, request->realm);
    const char *separator = strchr(request->realm, '?') ? "&" : "?";
    if (request->service) {
        add_field(&url, separator, "service", request->service);
        separator = "&";
    }
    for (const char *scope = request->scopes; *scope;) {
        size_t len = strcspn(scope, " ");
        char *one = plug_strndup(scope, len);
        if (!one)
            url.failed = true;
        else if (len > 0)
            add_field(&url, separator, "scope", one);
        separator = len > 0 ? "&" : separator;
        free(one);
        scope += len + (scope[len] == ' ');
    }
    /* Who logs in would rather keep a token than a password, where there are such. */
    if (oci_auth_trial(request->oci)) {
        add_field(&url, separator, "account", oci_auth_trial(request->oci));
        plug_text_add(&url, "&client_id=" CLIENT_ID "&offline_token=true");
    }
    const char *secret =
        credentials->password ? credentials->password : credentials->identity_token;
    char *basic = NULL;
    char *header = NULL;
    if (secret && credentials->username) {
        basic = oci_credentials_basic(request->oci->host, credentials->username, secret);
        header = basic ? plug_format("Basic %s", basic) : NULL;
        url.failed = url.failed || !header;
    }
    int rc = url.failed ? plug_fail_nomem(request->oci->host, request->err)
                        : send(request, "GET", plug_text_view(&url), header, NULL);
    plug_wipe(basic);
    plug_wipe(header);
    plug_text_dispose(&url);
    return rc;
}

/** The OAuth2 way: with the identity token, which is made for it, or with name and password. */
static int ask_by_post(struct token_request *request)
{
    const struct oci_credentials *credentials = request->credentials;
    struct plug_text form = { 0 };
    plug_text_addf(&form, "grant_type=%s&client_id=" CLIENT_ID,
                   credentials->identity_token ? "refresh_token" : "password");
    if (request->service)
        add_field(&form, "&", "service", request->service);
    if (*request->scopes)
        add_field(&form, "&", "scope", request->scopes);
    if (credentials->identity_token) {
        add_field(&form, "&", "refresh_token", credentials->identity_token);
    } else {
        add_field(&form, "&", "username", credentials->username);
        add_field(&form, "&", "password", credentials->password);
        if (oci_auth_trial(request->oci))
            plug_text_add(&form, "&access_type=offline");
    }
    int rc = form.failed ? plug_fail_nomem(request->oci->host, request->err)
                         : send(request, "POST", request->realm, NULL, &form);
    plug_text_dispose(&form);
    return rc;
}

/** A token goes into a header: visible characters only. */
static bool is_token(const char *token)
{
    if (!token || !*token)
        return false;
    for (const char *c = token; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f)
            return false;
    return true;
}

static int parse(struct token_request *request, char **token, int64_t *lifetime_ms)
{
    const struct strake_host *host = request->oci->host;
    size_t len;
    const char *text = host->buf_data(request->answer, &len);
    json_t *root = json_loadb(text ? text : "", text ? len : 0, 0, NULL);
    const char *value = json_string_value(json_object_get(root, "token"));
    if (!value || !*value)
        value = json_string_value(json_object_get(root, "access_token"));
    int rc = 0;
    if (!is_token(value)) {
        rc = host->fail(request->err, STRAKE_EREGISTRY,
                        "the token server of %s (%s) answered without a token",
                        oci_name(request->oci), request->realm);
    } else {
        host->secret_mark(value, strlen(value));
        *token = strdup(value);
        rc = *token ? 0 : plug_fail_nomem(host, request->err);
    }
    const char *identity = json_string_value(json_object_get(root, "refresh_token"));
    if (rc == 0 && oci_auth_trial(request->oci) && is_token(identity)) {
        host->secret_mark(identity, strlen(identity));
        oci_auth_keep_identity(request->oci, identity);
    }
    const json_t *expires = json_object_get(root, "expires_in");
    double seconds = json_is_number(expires) ? json_number_value(expires) : 0;
    if (seconds <= 0)
        seconds = DEFAULT_LIFETIME_S;
    if (seconds > MAX_LIFETIME_S)
        seconds = MAX_LIFETIME_S;
    /* A fifth less than it holds: a long upload begins with it. */
    *lifetime_ms = (int64_t)(seconds * 800);
    json_decref(root);
    return rc;
}

static int refused(struct token_request *request)
{
    struct oci *oci = request->oci;
    const struct oci_credentials *credentials = request->credentials;
    bool denied = request->status == 401 || request->status == 403 || request->status == 400;
    size_t len;
    const char *words = oci->host->buf_data(request->answer, &len);
    int code = denied ? STRAKE_EAUTH : STRAKE_EREGISTRY;
    oci->host->fail(request->err, code, "the token server of %s (%s) answered %d%s%s",
                    oci_name(oci), request->realm, request->status,
                    credentials->source ? " to the credentials from " : "",
                    credentials->source ? credentials->source : "");
    if (words && len > 0)
        oci->host->err_detail(request->err, words, len > 2000 ? 2000 : len);
    return code;
}

/** Is this way of asking unknown there? */
static bool knows_not(int status)
{
    return status == 404 || status == 405;
}

int oci_token_fetch(struct oci *oci, struct strake_job *job, const char *realm, const char *service,
                    const char *scopes, const struct oci_credentials *credentials, char **token,
                    int64_t *lifetime_ms, struct strake_err *err)
{
    *token = NULL;
    struct token_request request = {
        .oci = oci,
        .job = job,
        .realm = realm,
        .service = service,
        .scopes = scopes,
        .credentials = credentials,
        .answer = oci->host->buf_new(OCI_ANSWER_MAX),
        .err = err,
    };
    if (!request.answer)
        return plug_fail_nomem(oci->host, err);
    int rc = 0;
    if (credentials->identity_token)
        rc = ask_by_post(&request);
    /* Not every token server knows both ways. */
    bool no_post = knows_not(request.status) || request.status == 401;
    if (rc == 0 && (!credentials->identity_token || no_post))
        rc = ask_by_get(&request);
    bool named = credentials->username && credentials->password;
    if (rc == 0 && !credentials->identity_token && named && knows_not(request.status))
        rc = ask_by_post(&request);
    if (rc == 0)
        rc = request.status == 200 ? parse(&request, token, lifetime_ms) : refused(&request);
    oci->host->buf_free(request.answer);
    return rc;
}
