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

/** The helper ran: what came of it? */
static void judge(const struct plug_text *output, const struct strake_process_result *result,
                  struct oci_helper_answer *answer, const char *name)
{
    if (result->exit_code == 0) {
        if (!parse(output, answer))
            answer->trouble =
                plug_format("docker-credential-%s answered something else than it should", name);
        return;
    }
    if (strstr(plug_text_view(output), "credentials not found"))
        return;
    if (result->signal)
        answer->trouble =
            plug_format("docker-credential-%s was ended by signal %d", name, result->signal);
    else
        answer->trouble =
            plug_format("docker-credential-%s failed with exit code %d", name, result->exit_code);
}

int oci_helper_get(const struct strake_host *host, struct strake_job *job, const char *name,
                   const char *server, struct oci_helper_answer *answer, struct strake_err *err)
{
    *answer = (struct oci_helper_answer){ 0 };
    if (!is_name(name)) {
        answer->trouble = strdup("the name of its credential helper is not a program's name");
        return answer->trouble ? 0 : plug_fail_nomem(host, err);
    }
    struct plug_text output = { 0 };
    char *program = plug_format("docker-credential-%s", name);
    struct strake_err *own = host->err_new();
    if (!program || !own) {
        free(program);
        host->err_free(own);
        return plug_fail_nomem(host, err);
    }
    const struct strake_process_fd out = { .fd = 1, .data = collect, .ctx = &output };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = (const char *const[]){ program, "get", NULL },
        .input = server,
        .input_len = strlen(server),
        .fds = (const struct strake_process_fd *const[]){ &out, NULL },
        .timeout_ms = TIMEOUT_MS,
    };
    struct strake_process_result result = { .size = sizeof(result) };
    int rc = host->process_run(job, &process, &result, own);
    if (rc == 0)
        judge(&output, &result, answer, name);
    else if (rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM)
        host->fail(err, rc, "%s", host->err_message(own));
    else
        answer->trouble = plug_format("docker-credential-%s: %s", name, host->err_message(own));
    if (rc != STRAKE_ECANCELLED && rc != STRAKE_ENOMEM)
        rc = 0;
    plug_text_dispose(&output);
    host->err_free(own);
    free(program);
    return rc;
}

void oci_helper_dispose(struct oci_helper_answer *answer)
{
    plug_wipe(answer->username);
    plug_wipe(answer->secret);
    free(answer->trouble);
    *answer = (struct oci_helper_answer){ 0 };
}
