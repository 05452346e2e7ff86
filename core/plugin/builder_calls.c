/* Checked calls into builder/1. */
#include <string.h>

#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/work.h"

uint32_t strake_builder_features(const struct strake_instance *builder)
{
    return builder->as.builder.features;
}

/* A probe that may be left behind: all that it touches is its own. */
struct probe {
    struct strake_instance *builder;
    struct strake_job *job;
    struct strake_builder_info info;
    struct strake_err err;
    int rc;
};

static int probe_run(void *ctx)
{
    struct probe *probe = ctx;

    probe->rc = probe->builder->as.builder.probe(probe->builder->self, probe->job, &probe->info,
                                                 &probe->err);
    return 0;
}

static void probe_drop(void *ctx)
{
    struct probe *probe = ctx;

    strake_instance_unref(probe->builder);
    strake_job_free(probe->job);
    strake_err_dispose(&probe->err);
    strake_free(probe);
}

int strake_builder_probe(struct strake_instance *builder, struct strake_job *job,
                         struct strake_builder_info *info, struct strake_err *err)
{
    int64_t left = strake_job_remaining_ms(job);
    int64_t timeout_ms = left >= 0 && left < STRAKE_METHOD_TIMEOUT_MS ? left : STRAKE_METHOD_TIMEOUT_MS;
    struct probe *probe = strake_calloc(1, sizeof(*probe));
    int rc = strake_job_check(job, err);

    if (probe)
        probe->job = strake_job_new(NULL, NULL, strake_job_target(job));
    if (!probe || !probe->job || rc < 0) {
        strake_free(probe);
        return rc < 0 ? rc : strake_fail_nomem(err);
    }
    strake_job_set_timeout(probe->job, timeout_ms);
    probe->builder = strake_instance_ref(builder);
    probe->info.size = sizeof(probe->info);
    /* A second more than the plugin's own deadline, so that its better words arrive first. */
    rc = strake_work_call(probe_run, probe_drop, probe, timeout_ms + 1000);
    if (rc == STRAKE_ETIMEOUT)
        return strake_instance_timed_out(builder, "probe", timeout_ms, err);
    rc = rc == 0 ? probe->rc : strake_fail_nomem(&probe->err);
    *info = probe->info;
    info->version[sizeof(info->version) - 1] = '\0';
    info->platforms[sizeof(info->platforms) - 1] = '\0';
    strake_err_move(err, &probe->err);
    probe_drop(probe);
    return strake_instance_told(builder, "probe", rc, err);
}

static bool all_strings(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_array_size(list) > 0;
}

int strake_builder_command(struct strake_instance *builder,
                           const struct strake_build_request *request, json_t **command,
                           struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(1024 * 1024);
    int rc = builder->as.builder.command(builder->self, request, &text, err);

    *command = NULL;
    rc = strake_instance_told(builder, "command", rc, err);
    if (rc == 0) {
        *command = strake_json_parse(strake_buf_text(&text), text.len, "the builder's command",
                                     STRAKE_EINTERNAL, err);
        if (!*command) {
            rc = err->code;
        } else if (!all_strings(*command)) {
            json_decref(*command);
            *command = NULL;
            rc = strake_fail(err, STRAKE_EINTERNAL, "the plugin %s: command() gave no list of strings",
                             builder->plugin->name);
        }
    }
    strake_buf_dispose(&text);
    return rc;
}

int strake_builder_build(struct strake_instance *builder, const struct strake_build_request *request,
                         struct strake_job *job, struct strake_build_result *result,
                         struct strake_err *err)
{
    int rc = strake_job_check(job, err);

    if (rc < 0)
        return rc;
    *result = (struct strake_build_result){ .size = sizeof(*result) };
    rc = builder->as.builder.build(builder->self, request, job, result, err);
    rc = strake_instance_told(builder, "build", rc, err);
    if (rc < 0)
        return rc;
    result->digest[sizeof(result->digest) - 1] = '\0';
    result->media_type[sizeof(result->media_type) - 1] = '\0';
    if (result->digest[0] && !strake_digest_valid(result->digest))
        return strake_fail(err, STRAKE_EBUILDER, "the builder %s named a digest that is none",
                           builder->name);
    return 0;
}
