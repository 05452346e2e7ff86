/* buildx is a program of its own, and a plugin of docker's: both are the same, and docker looks for
 * its plugins in several places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buildx/buildx.h"
#include "common/stream.h"

/* ---- which one ------------------------------------------------------------------------------- */

static bool is_on_path(const char *name)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        char file[4096];
        int n = snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, name);
        if (len > 0 && n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

char *buildx_program_find(void)
{
    static const char *const alone[] = { "buildx", "docker-buildx" };
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (is_on_path(alone[i]))
            return strdup(alone[i]);
    }
    return strdup(is_on_path("docker") ? "docker" : "buildx");
}

bool buildx_is_docker(const char *program)
{
    const char *slash = strrchr(program, '/');
    return strcmp(slash != NULL ? slash + 1 : program, "docker") == 0;
}

int buildx_no_program(const struct buildx *self, struct strake_err *err)
{
    self->host->fail(err, STRAKE_EBUILDER, "the program %s was not found or cannot be run",
                     self->program);
    self->host->err_hint(err, "install Docker with its buildx plugin, or buildx alone, or give its "
                              "path as the builder's option program");
    return STRAKE_EBUILDER;
}

/* ---- how a call begins ----------------------------------------------------------------------- */

void buildx_argv_begin(const struct buildx *self, struct plug_list *argv)
{
    plug_list_add(argv, self->program);
    if (buildx_is_docker(self->program))
        plug_list_add(argv, "buildx");
}

void buildx_argv_builder(const struct buildx *self, struct plug_list *argv)
{
    const char *name = self->address != NULL ? BUILDX_OWN : self->builder;
    if (name == NULL)
        return;
    plug_list_add(argv, "--builder");
    plug_list_add(argv, name);
}

void buildx_env_begin(const struct buildx *self, struct plug_list *env)
{
    /* What these would add to a build, nobody has asked for. */
    static const char *const foreign[] = { "BUILDX_GIT_LABELS", "BUILDX_GIT_CHECK_DIRTY",
                                           "BUILDX_METADATA_WARNINGS" };
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        plug_list_add(env, foreign[i]);
    plug_list_add(env, "BUILDX_GIT_INFO=false");
    plug_list_add(env, "BUILDX_METADATA_PROVENANCE=disabled");
    plug_list_add(env, "BUILDX_NO_DEFAULT_ATTESTATIONS=true");
    if (self->config != NULL)
        plug_list_addf(env, "BUILDX_CONFIG=%s", self->config);
}

const char *buildx_where(const struct buildx *self)
{
    if (self->address != NULL)
        return self->address;
    return self->builder != NULL ? self->builder : "buildx's current builder";
}

/* ---- short calls ----------------------------------------------------------------------------- */

/* Output of the program, kept as far as there is room. */
struct answer {
    const struct strake_host *host;
    struct strake_buf *text;
};

static int keep_answer(void *ctx, const char *data, size_t len)
{
    struct answer *answer = ctx;
    return answer->text != NULL ? answer->host->buf_append(answer->text, data, len) : 0;
}

int buildx_ask(const struct buildx *self, const struct plug_list *argv, const struct plug_list *env,
               struct strake_job *job, struct strake_buf *text, struct plug_tail *errors,
               int *exit_code, struct strake_err *err)
{
    struct answer answer = { .host = self->host, .text = text };
    const struct strake_process_fd out = { .fd = 1, .data = keep_answer, .ctx = &answer };
    const struct strake_process_fd words = { .fd = 2, .data = plug_tail_keep, .ctx = errors };
    const struct strake_process_fd *const fds[] = { &out, &words, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(argv),
        .env = plug_list_view(env),
        .fds = fds,
        .timeout_ms = self->timeout_ms,
        .grace_ms = 100,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    if (argv->failed || env->failed)
        return plug_fail_nomem(self->host, err);
    int rc = self->host->process_run(job, &process, &ended, err);
    *exit_code = ended.exit_code;
    if (rc == STRAKE_ENOTFOUND)
        return buildx_no_program(self, err);
    if (rc == STRAKE_ETIMEOUT) {
        self->host->fail(err, STRAKE_EBUILDER, "buildx did not say within %lld ms what %s is",
                         (long long)self->timeout_ms, buildx_where(self));
        self->host->err_hint(err, "is it overloaded, or just being started? the builder's option "
                                  "timeout gives it longer");
        return STRAKE_EBUILDER;
    }
    if (rc == STRAKE_ETOOBIG)
        return self->host->fail(err, STRAKE_EBUILDER, "buildx said too much of %s",
                                buildx_where(self));
    return rc;
}
