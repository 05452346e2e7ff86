/* How buildx builds; what is common to all clients of BuildKit is in common/buildkit_build.c. */
#include <string.h>

#include "buildx/buildx.h"

static int reach(const void *instance, struct strake_job *job, struct strake_err *err)
{
    const struct buildx *self = instance;
    if (self->address == NULL)
        return 0; /* buildx knows where that builder is */
    const struct buildkit_peer peer = { .host = self->host,
                                        .address = self->address,
                                        .tls = self->ca != NULL || self->cert != NULL,
                                        .timeout_ms = self->timeout_ms };
    int rc = buildkit_reach(&peer, job, err);
    return rc < 0 ? rc : buildx_own_make(self, job, err);
}

static int argv(const void *instance, const struct strake_build_request *request,
                const char *metadata_file, struct plug_list *words, struct strake_err *err)
{
    return buildx_argv_build(instance, request, metadata_file, words, err);
}

static int env(const void *instance, const struct strake_build_request *request,
               struct plug_list *variables, struct strake_err *err)
{
    const struct buildx *self = instance;
    buildx_env_begin(self, variables);
    return buildkit_env(self->host, request, variables, err);
}

static int no_program(const void *instance, struct strake_err *err)
{
    return buildx_no_program(instance, err);
}

/* buildx tries for 20 s to get hold of a daemon that it did not find at once. */
static bool is_lost(const struct strake_step *step)
{
    return strcmp(step->name, "[internal] waiting for connection") == 0;
}

static int why_lost(const void *instance, struct strake_job *job, struct strake_err *err)
{
    return buildx_why_unreached(instance, job, err);
}

static int finish(const void *instance, const struct strake_build_request *request,
                  const char *metadata, size_t len, struct strake_job *job, struct strake_err *err)
{
    return buildx_save(instance, request, metadata, len, job, err);
}

const struct buildkit_client buildx_client = {
    .name = "buildx",
    .reach = reach,
    .argv = argv,
    .env = env,
    .no_program = no_program,
    .policy_variable = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY",
    .rule = buildx_rule,
    .is_lost = is_lost,
    .why_lost = why_lost,
    .finish = finish,
};

/* ---- the engine's own builder ---------------------------------------------------------------- */

static int build(struct buildx *self, const struct strake_build_request *request,
                 struct strake_job *job, struct strake_build_result *result, struct strake_err *err)
{
    int rc = buildkit_build(&(const struct buildkit_call){
        .host = self->host,
        .client = &buildx_client,
        .self = self,
        .program = self->program,
        .where = buildx_where(self),
        .liveness_ms = self->address != NULL ? self->liveness_ms : 0,
        .request = request,
        .job = job,
        .result = result,
        .err = err,
    });
    buildx_own_sweep(self);
    return rc;
}

/* The same build, into a folder. */
static int build_layout(struct buildx *self, const struct strake_build_request *given,
                        struct strake_job *job, struct strake_build_result *result,
                        struct strake_err *err)
{
    struct strake_build_request request;
    plug_request_read(given, &request);
    request.image = "";
    return build(self, &request, job, result, err);
}

/* buildx refuses what an engine's own builder cannot do at once, before it builds anything. */
static bool is_refused(const struct buildx *self, int rc, const char *thing, struct strake_err *err)
{
    return rc == STRAKE_EUNSUPPORTED && strstr(self->host->err_message(err), thing) != NULL;
}

int buildx_build(void *instance, const struct strake_build_request *given, struct strake_job *job,
                 struct strake_build_result *result, struct strake_err *err)
{
    struct buildx *self = instance;
    struct strake_build_request request;
    plug_request_read(given, &request);
    bool either = request.output == STRAKE_OUTPUT_STAGE && request.image[0] != '\0' &&
                  request.layout_dir[0] != '\0';
    if (either && atomic_load(&self->layouts))
        return build_layout(self, &request, job, result, err);
    int rc = build(self, &request, job, result, err);
    if (either && is_refused(self, rc, "push-by-digest ", err)) {
        atomic_store(&self->layouts, true);
        return build_layout(self, &request, job, result, err);
    }
    if (!is_refused(self, rc, "Docker exporter ", err) || atomic_load(&self->stores))
        return rc;
    atomic_store(&self->stores, true);
    return build(self, &request, job, result, err);
}
