/* A refused request in words: what was asked, what was answered, what to do next. */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "limits.h"

#define ERRORS_MAX 5
#define WORDS_MAX ((size_t)500)

static json_t *load_answer(const struct oci *oci, const struct oci_call *call)
{
    size_t len;
    const char *text = oci_call_answer(oci, call, &len);
    return json_loadb(text, len, 0, NULL);
}

/** A registry's code is a word in capitals; anything else is not repeated in a message. */
static const char *code_of(const json_t *entry)
{
    const char *code = json_string_value(json_object_get(entry, "code"));
    if (!code || !*code || strlen(code) > 64)
        return NULL;
    for (const char *c = code; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            return NULL;
    return code;
}

char *oci_answer_code(const struct oci *oci, const struct oci_call *call)
{
    json_t *root = load_answer(oci, call);
    const char *code = code_of(json_array_get(json_object_get(root, "errors"), 0));
    char *copy = code ? strdup(code) : NULL;
    json_decref(root);
    return copy;
}

static void add_words(const struct oci *oci, struct strake_err *err, const char *code,
                      const char *message)
{
    struct plug_text line = { 0 };
    plug_text_addf(&line, "%s%s%.*s\n", code ? code : "", code ? ": " : "", (int)WORDS_MAX,
                   message);
    oci->host->err_detail(err, plug_text_view(&line), line.len);
    plug_text_dispose(&line);
}

void oci_answer_detail(const struct oci *oci, const struct oci_call *call, struct strake_err *err)
{
    json_t *root = load_answer(oci, call);
    const json_t *errors = json_object_get(root, "errors");
    size_t count = json_array_size(errors);
    for (size_t i = 0; i < count && i < ERRORS_MAX; i++) {
        const json_t *entry = json_array_get(errors, i);
        const char *message = json_string_value(json_object_get(entry, "message"));
        add_words(oci, err, code_of(entry), message ? message : "");
    }
    size_t len;
    const char *text = oci_call_answer(oci, call, &len);
    char *type = plug_header_copy(oci_call_headers(oci, call), "content-type");
    bool html = type && strncasecmp(type, "text/html", 9) == 0;
    /* A proxy's page of HTML says nothing that the status does not. */
    if (count == 0 && len > 0 && !html)
        oci->host->err_detail(err, text, len > WORDS_MAX ? WORDS_MAX : len);
    free(type);
    json_decref(root);
}

static bool is_one_of(const char *code, const char *const *list)
{
    for (; code && *list; list++)
        if (strcmp(code, *list) == 0)
            return true;
    return false;
}

static int kind_of(const struct oci_call *call, const char *code)
{
    static const char *const denied[] = { "UNAUTHORIZED", "DENIED", NULL };
    static const char *const wrong_bytes[] = { "DIGEST_INVALID", NULL };
    if (call->status == 401 || call->status == 403 || is_one_of(code, denied))
        return STRAKE_EAUTH;
    if (call->status == 404)
        return STRAKE_ENOTFOUND;
    if (is_one_of(code, wrong_bytes))
        return STRAKE_ECORRUPT;
    return STRAKE_EREGISTRY;
}

/** "docker.io limits how often it may be asked (100 in 6 h, 0 left): wait 30 s, or log in" */
static void add_limit_hint(const struct oci *oci, const struct oci_call *call,
                           struct strake_err *err)
{
    const char *headers = oci_call_headers(oci, call);
    struct oci_limits limits = oci_limits_read(headers);
    struct plug_text what = { 0 };
    struct plug_text wait = { 0 };
    oci_limits_text(&limits, &what);
    oci_limits_wait(headers, &wait);
    oci->host->err_hint(err, "%s limits how often it may be asked%s%s%s: %s, or log in",
                        oci_name(oci), what.len ? " (" : "", plug_text_view(&what),
                        what.len ? ")" : "", plug_text_view(&wait));
    plug_text_dispose(&what);
    plug_text_dispose(&wait);
}

static void add_hint(struct oci *oci, const struct oci_call *call, int kind, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    if (kind == STRAKE_EAUTH)
        oci_auth_hint(oci, call->repository, err);
    else if (kind == STRAKE_ENOTFOUND)
        host->err_hint(err, "check the name, and that the credentials for %s are those you mean",
                       oci_name(oci));
    else if (call->status == 429)
        add_limit_hint(oci, call, err);
    else if (call->status >= 500)
        host->err_hint(err, "%s has a problem of its own: try again later", oci_name(oci));
}

int oci_answer_fail(struct oci *oci, const struct oci_call *call, struct strake_err *err)
{
    const struct strake_host *host = oci->host;
    char *code = oci_answer_code(oci, call);
    int kind = kind_of(call, code);
    if (kind == STRAKE_ENOTFOUND)
        host->fail(err, kind, "%s: not found, or not visible with these credentials (%s: %d%s%s)",
                   call->what, oci_name(oci), call->status, code ? " " : "", code ? code : "");
    else
        host->fail(
            err, kind, "%s: %s answered %d%s%s%s%s", call->what, oci_name(oci), call->status,
            code ? " " : "", code ? code : "", call->retries ? ", each time it was asked" : "",
            call->status >= 300 && call->status < 400 ? " (a redirect that is not followed)" : "");
    oci_answer_detail(oci, call, err);
    add_hint(oci, call, kind, err);
    free(code);
    return kind;
}
