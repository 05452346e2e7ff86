/* The environment of a BuildKit client, and how its command line names what is in it. */
#include "common/buildkit_env.h"

#include <stdio.h>
#include <string.h>

/* What one string of the environment may hold (MAX_ARG_STRLEN), less its name. */
#define VARIABLE_MAX ((size_t)120 * 1024)

/* A secret's value goes by a variable of the child, whose name depends on its place only. */
void buildkit_argv_secrets(struct plug_list *argv, const struct strake_build_secret *const *secrets)
{
    for (size_t i = 0; secrets[i] != NULL; i++) {
        struct plug_text record = { 0 };
        plug_csv_add(&record, "id", secrets[i]->id);
        if (secrets[i]->file != NULL) {
            plug_csv_add(&record, "src", secrets[i]->file);
        } else {
            char name[48];
            snprintf(name, sizeof(name), BUILDKIT_SECRET_VARIABLE, i);
            plug_csv_add(&record, "env", name);
        }
        plug_list_add(argv, "--secret");
        plug_list_take(argv, plug_text_take(&record));
    }
}

static int add_secret_value(const struct strake_host *host,
                            const struct strake_build_secret *secret, size_t i,
                            struct plug_list *env, struct strake_err *err)
{
    struct strake_buf *value = host->buf_new(VARIABLE_MAX);
    if (value == NULL)
        return plug_fail_nomem(host, err);
    int rc = host->secret_get(secret->name, value, err);
    if (rc == 0) {
        size_t len;
        const char *text = host->buf_data(value, &len);
        if (strlen(text) == len)
            plug_list_addf(env, BUILDKIT_SECRET_VARIABLE "=%s", i, text);
        else
            rc = host->fail(err, STRAKE_EUNSUPPORTED,
                            "secret %s holds a NUL byte: give it as a file", secret->id);
    } else if (rc == STRAKE_ETOOBIG) {
        rc = host->fail(err, STRAKE_EUNSUPPORTED,
                        "secret %s is longer than %zu bytes: give it as a file", secret->id,
                        VARIABLE_MAX);
    }
    host->buf_free(value);
    return rc;
}

int buildkit_env(const struct strake_host *host, const struct strake_build_request *request,
                 struct plug_list *env, struct strake_err *err)
{
    /* The clients make this a build argument by itself; who wants it names it as one. */
    plug_list_add(env, "SOURCE_DATE_EPOCH");
    if (request->auth_json[0] != '\0') {
        if (strlen(request->auth_json) > VARIABLE_MAX)
            return host->fail(err, STRAKE_EUNSUPPORTED,
                              "the registry credentials are longer than %zu bytes", VARIABLE_MAX);
        plug_list_addf(env, "DOCKER_AUTH_CONFIG=%s", request->auth_json);
    }
    for (size_t i = 0; request->secrets[i] != NULL; i++) {
        const struct strake_build_secret *secret = request->secrets[i];
        if (secret->file != NULL)
            continue;
        if (secret->name == NULL)
            return host->fail(err, STRAKE_EUSAGE, "secret %s has neither a file nor a name",
                              secret->id);
        int rc = add_secret_value(host, secret, i, env, err);
        if (rc < 0)
            return rc;
    }
    return env->failed ? plug_fail_nomem(host, err) : 0;
}
