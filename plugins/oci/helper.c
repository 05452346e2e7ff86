/* Asking docker-credential programs (helper.h). */
#include "helper.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)64 * 1024)
#define TIMEOUT_MS 30000

/** Collects what the helper writes; what is past the bound is no answer of a helper. */
static int collect(void *ctx, const char *data, size_t len)
{
    struct plug_text *text = ctx;
    if (text->len + len > OUTPUT_MAX)
        return STRAKE_ETOOBIG;
    plug_text_add_len(text, data, len);
    return text->failed ? STRAKE_ENOMEM : 0;
}

/** The name becomes part of a program's name: nothing that could lead elsewhere. */
static bool is_name(const char *name)
{
    return *name && *name != '.' && *name != '-' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               strlen(name);
}

static bool parse(const struct plug_text *output, struct oci_helper_answer *answer)
{
    json_t *root = json_loadb(plug_text_view(output), output->len, 0, NULL);
    const char *username = json_string_value(json_object_get(root, "Username"));
    const char *secret = json_string_value(json_object_get(root, "Secret"));
    bool good = json_is_object(root) && secret;
    if (good && *secret) {
        answer->username = strdup(username ? username : "");
        answer->secret = strdup(secret);
    }
    json_decref(root);
    return good;
}

/** One run of a helper. */
struct run {
    const struct strake_host *host;
    struct strake_job *job;
    const struct oci_helper *helper;
    struct plug_text output;
    struct strake_process_result result;
    char *trouble;
    struct strake_err *err;
};

static bool knows_nothing(const struct run *run)
{
    return run->result.exit_code != 0 &&
           strstr(plug_text_view(&run->output), "credentials not found");
}

/** Its own words, on one line: helpers write what went wrong on stdout. */
static char *failure(const struct run *run)
{
    const char *words = plug_text_view(&run->output);
    size_t len = strcspn(words, "\r\n");
    const char *name = run->helper->name;
    if (run->result.signal)
        return plug_format("docker-credential-%s was ended by signal %d", name, run->result.signal);
    return plug_format("docker-credential-%s failed with exit code %d%s%.*s", name,
                       run->result.exit_code, len ? ": " : "", (int)(len < 300 ? len : 300), words);
}

/** It could not be run, or did not end. @return 0 with the trouble, or what ends the search. */
static int unrun(struct run *run, int code, const struct strake_err *own)
{
    const struct strake_host *host = run->host;
    if (code == STRAKE_ECANCELLED || code == STRAKE_ENOMEM)
        return host->fail(run->err, code, "%s", host->err_message(own));
    if (code == STRAKE_ENOTFOUND)
        run->trouble = plug_format("docker-credential-%s is not installed", run->helper->name);
    else
        run->trouble =
            plug_format("docker-credential-%s: %s", run->helper->name, host->err_message(own));
    return run->trouble ? 0 : plug_fail_nomem(host, run->err);
}

/** Run `docker-credential-NAME VERB` with `input`. @return 0, also with trouble */
static int start(struct run *run, const char *verb, const void *input, size_t len)
{
    const struct strake_host *host = run->host;
    const struct oci_helper *helper = run->helper;
    if (!is_name(helper->name)) {
        run->trouble = strdup("the name of its credential helper is not a program's name");
        return run->trouble ? 0 : plug_fail_nomem(host, run->err);
    }
    char *program = plug_format("docker-credential-%s", helper->name);
    struct strake_err *own = host->err_new();
    if (!program || !own) {
        free(program);
        host->err_free(own);
        return plug_fail_nomem(host, run->err);
    }
    const struct strake_process_fd out = { .fd = 1, .data = collect, .ctx = &run->output };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = (const char *const[]){ program, verb, NULL },
        .input = input,
        .input_len = len,
        .fds = (const struct strake_process_fd *const[]){ &out, NULL },
        .timeout_ms = helper->timeout_ms > 0 && helper->timeout_ms < TIMEOUT_MS ? helper->timeout_ms
                                                                                : TIMEOUT_MS,
    };
    run->result.size = sizeof(run->result);
    int rc = host->process_run(run->job, &process, &run->result, own);
    if (rc < 0)
        rc = unrun(run, rc, own);
    host->err_free(own);
    free(program);
    return rc;
}

int oci_helper_get(const struct strake_host *host, struct strake_job *job,
                   const struct oci_helper *helper, struct oci_helper_answer *answer,
                   struct strake_err *err)
{
    *answer = (struct oci_helper_answer){ 0 };
    struct run run = { .host = host, .job = job, .helper = helper, .err = err };
    int rc = start(&run, "get", helper->server, strlen(helper->server));
    bool ran = rc == 0 && !run.trouble;
    if (ran && run.result.exit_code == 0 && !parse(&run.output, answer))
        run.trouble = plug_format("docker-credential-%s answered something else than it should",
                                  helper->name);
    else if (ran && run.result.exit_code != 0 && !knows_nothing(&run))
        run.trouble = failure(&run);
    answer->trouble = run.trouble;
    plug_text_dispose(&run.output);
    return rc;
}

static int add_json(const char *data, size_t len, void *ctx)
{
    plug_text_add_len(ctx, data, len);
    return 0;
}

int oci_helper_store(const struct strake_host *host, struct strake_job *job,
                     const struct oci_helper *helper, const char *username, const char *secret,
                     char **trouble, struct strake_err *err)
{
    *trouble = NULL;
    struct run run = { .host = host, .job = job, .helper = helper, .err = err };
    struct plug_text input = { 0 };
    json_t *document = json_pack("{s:s,s:s,s:s}", "ServerURL", helper->server, "Username", username,
                                 "Secret", secret);
    if (!document) {
        *trouble =
            plug_format("docker-credential-%s takes UTF-8 alone, and this is none", helper->name);
        return *trouble ? 0 : plug_fail_nomem(host, err);
    }
    json_dump_callback(document, add_json, &input, JSON_COMPACT);
    json_decref(document);
    int rc = input.failed ? plug_fail_nomem(host, err)
                          : start(&run, "store", plug_text_view(&input), input.len);
    if (rc == 0 && !run.trouble && run.result.exit_code != 0)
        run.trouble = failure(&run);
    *trouble = run.trouble;
    plug_text_dispose(&input);
    plug_text_dispose(&run.output);
    return rc;
}

int oci_helper_erase(const struct strake_host *host, struct strake_job *job,
                     const struct oci_helper *helper, bool *had, char **trouble,
                     struct strake_err *err)
{
    struct oci_helper_answer before;
    *had = false;
    *trouble = NULL;
    /* Helpers answer an erasure of nothing in as many ways as there are helpers. */
    int rc = oci_helper_get(host, job, helper, &before, err);
    bool nothing = rc == 0 && !before.secret && !before.trouble;
    oci_helper_dispose(&before);
    if (rc < 0 || nothing)
        return rc;
    struct run run = { .host = host, .job = job, .helper = helper, .err = err };
    rc = start(&run, "erase", helper->server, strlen(helper->server));
    if (rc == 0 && !run.trouble && run.result.exit_code != 0 && !knows_nothing(&run))
        run.trouble = failure(&run);
    *had = rc == 0 && !run.trouble && run.result.exit_code == 0;
    *trouble = run.trouble;
    plug_text_dispose(&run.output);
    return rc;
}

void oci_helper_dispose(struct oci_helper_answer *answer)
{
    plug_wipe(answer->username);
    plug_wipe(answer->secret);
    free(answer->trouble);
    *answer = (struct oci_helper_answer){ 0 };
}
