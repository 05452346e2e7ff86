/* A refused request in words: what the server said, what it means, what to do next. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "ntfy/ntfy.h"

/* The codes that say more than their HTTP status (ntfy's server/errors.go). */
enum {
    CODE_REQUESTS = 42901,  /* too many requests just now */
    CODE_BANDWIDTH = 42905, /* of attachments, for a day */
    CODE_MESSAGES = 42908,  /* the day's messages are used up */
    CODE_AUTH_TRIES = 42909 /* too many wrong passwords */
};

/* What the server says of itself, or NULL. */
static json_t *read_answer(const char *answer)
{
    json_t *doc = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_string(json_object_get(doc, "error")))
        return doc;
    json_decref(doc);
    return NULL;
}

static int code_for(int status, json_int_t code)
{
    if (status == 401 || status == 403 || code == CODE_AUTH_TRIES)
        return STRAKE_EAUTH;
    /* Without ntfy's own code a proxy before it asks for patience. */
    if (code == CODE_REQUESTS || (status == 429 && code == 0) || status == 408 || status >= 500)
        return STRAKE_ENETWORK;
    return STRAKE_ENOTIFY;
}

static const char *auth_hint(const struct ntfy *ntfy, int status)
{
    bool given = plug_secret_given(&ntfy->token) || plug_secret_given(&ntfy->password);
    if (!given)
        return "give the notifier a token: token = secret.env \"NTFY_TOKEN\"";
    return status == 403
               ? "its user may not publish to this topic: `ntfy access` on the server shows why"
               : "the token or the password is wrong, or no longer valid";
}

static const char *hint_for(const struct ntfy *ntfy, int status, json_int_t code)
{
    if (code == CODE_AUTH_TRIES)
        return "the server waits because of wrong passwords: correct them first";
    if (status == 401 || status == 403)
        return auth_hint(ntfy, status);
    if (code == CODE_BANDWIDTH || code == CODE_MESSAGES)
        return "the quota of this day is used up: send fewer events with `on`, or use a server of "
               "your "
               "own";
    if (status == 404 || status == 405 || (status < 400 && code == 0))
        return "is the option 'url' right? It is https://HOST/TOPIC";
    return NULL;
}

/* A page of HTML is no detail that helps. */
static void tell_detail(const struct ntfy *ntfy, const json_t *doc, struct strake_err *err)
{
    const char *error = json_string_value(json_object_get(doc, "error"));
    const char *link = json_string_value(json_object_get(doc, "link"));
    if (error != NULL)
        ntfy->host->err_detail(err, error, strlen(error));
    if (link != NULL && link[0] != '\0') {
        ntfy->host->err_detail(err, "\n", 1);
        ntfy->host->err_detail(err, link, strlen(link));
    }
}

static int redirected(const struct ntfy *ntfy, int status, const char *headers,
                      struct strake_err *err)
{
    char *location = plug_header_copy(headers, "location");
    ntfy->host->fail(err, STRAKE_ENOTIFY, "%s answers from elsewhere (%d): %s", ntfy->url, status,
                     location != NULL ? location : "it does not say where");
    ntfy->host->err_hint(err, "give the option 'url' the address that it leads to");
    free(location);
    return STRAKE_ENOTIFY;
}

int ntfy_refused(const struct ntfy *ntfy, int status, const char *answer, const char *headers,
                 struct strake_err *err)
{
    if (status >= 300 && status < 400)
        return redirected(ntfy, status, headers, err);
    json_t *doc = read_answer(answer);
    json_int_t own = json_integer_value(json_object_get(doc, "code"));
    const char *error = json_string_value(json_object_get(doc, "error"));
    int code = code_for(status, own);
    const char *hint = hint_for(ntfy, status, own);

    if (error != NULL)
        ntfy->host->fail(err, code, "%s refused the message to %s: %.200s (%d)", ntfy->url,
                         ntfy->topic, error, own != 0 ? (int)own : status);
    else
        ntfy->host->fail(err, code, "%s does not answer as ntfy does (%d)", ntfy->url, status);
    if (hint != NULL)
        ntfy->host->err_hint(err, "%s", hint);
    tell_detail(ntfy, doc, err);
    json_decref(doc);
    return code;
}
