/* Checked calls into builder/1. */
#include <string.h>

#include "image/digest.h"
#include "plugin/build_copy.h"
#include "plugin/call.h"
#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"

uint32_t strake_builder_features(const struct strake_instance *builder)
{
    return builder->as.builder.features;
}

/* ---- probe ---- */

struct probe_call {
    struct strake_call call;
    struct strake_builder_info info;
};

static int run_probe(struct strake_call *call)
{
    struct probe_call *probe = (struct probe_call *)call;
    const struct strake_instance *builder = call->instance;

    return builder->as.builder.probe(builder->self, call->job, &probe->info, &call->err);
}

int strake_builder_probe(struct strake_instance *builder, struct strake_job *job,
                         struct strake_builder_info *info, struct strake_err *err)
{
    struct probe_call *probe =
        strake_call_new(sizeof(*probe), builder, "probe", job, run_probe, NULL);
    int rc;

    if (!probe)
        return strake_fail_nomem(err);
    probe->info.size = sizeof(probe->info);
    rc = strake_call_make(&probe->call, STRAKE_CALL_LIMIT_MS, err);
    if (rc == 0) {
        *info = probe->info;
        info->version[sizeof(info->version) - 1] = '\0';
        info->platforms[sizeof(info->platforms) - 1] = '\0';
        info->worker[sizeof(info->worker) - 1] = '\0';
    }
    strake_call_unref(&probe->call);
    return rc;
}

/* ---- build ---- */

struct build_call {
    struct strake_call call;
    struct strake_build_copy copy;
    struct strake_build_result result;
};

static int run_build(struct strake_call *call)
{
    struct build_call *build = (struct build_call *)call;
    const struct strake_instance *builder = call->instance;

    return builder->as.builder.build(builder->self, &build->copy.request, call->job, &build->result,
                                     &call->err);
}

static void dispose_build(struct strake_call *call)
{
    struct build_call *build = (struct build_call *)call;

    strake_build_copy_dispose(&build->copy);
}

/* NULL: out of memory, described. */
static struct build_call *build_call_new(struct strake_instance *builder, struct strake_job *job,
                                         const struct strake_build_request *request,
                                         struct strake_err *err)
{
    struct build_call *build =
        strake_call_new(sizeof(*build), builder, "build", job, run_build, dispose_build);

    if (build && strake_build_copy_make(&build->copy, &build->call, request) == 0) {
        build->result.size = sizeof(build->result);
        return build;
    }
    if (build)
        strake_call_unref(&build->call);
    strake_fail_nomem(err);
    return NULL;
}

static int check_result(const struct strake_instance *builder, struct strake_build_result *result,
                        struct strake_err *err)
{
    result->digest[sizeof(result->digest) - 1] = '\0';
    result->media_type[sizeof(result->media_type) - 1] = '\0';
    result->platform[sizeof(result->platform) - 1] = '\0';
    if (!result->digest[0] || strake_digest_valid(result->digest))
        return 0;
    return strake_fail(err, STRAKE_EBUILDER, "the builder %s named a digest that is none: %s",
                       builder->name, result->digest);
}

int strake_builder_build(struct strake_instance *builder,
                         const struct strake_build_request *request, struct strake_job *job,
                         struct strake_build_result *result, struct strake_err *err)
{
    struct build_call *build = build_call_new(builder, job, request, err);
    int rc;

    *result = (struct strake_build_result){ .size = sizeof(*result) };
    if (!build)
        return STRAKE_ENOMEM;
    rc = strake_call_make(&build->call, STRAKE_CALL_NO_LIMIT, err);
    if (rc == 0)
        rc = check_result(builder, &build->result, err);
    if (rc == 0)
        *result = build->result;
    strake_call_unref(&build->call);
    return rc;
}
