/* Builders: what they are, what they build for, what they hold. */
#include <string.h>

#include "doctor/probe.h"
#include "image/platform.h"
#include "plugin/instance.h"
#include "project/discover.h"
#include "project/make.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/time.h"

#define EXIT_BUILDER 9

/* ---- platforms ---- */

/* Kept for the targets, too (targets.c). */
static int take_platforms(struct doctor_probe *probe, const char *platforms)
{
    int rc = 0;

    probe->answered = true;
    for (const char *at = platforms; rc == 0 && *at;) {
        const size_t len = strcspn(at, ",");
        if (len)
            rc = strake_strings_add_len(&probe->platforms, at, len);
        at += len + (at[len] == ',');
    }
    return rc;
}

static int tell_platforms(struct doctor_probe *probe)
{
    const struct strake_strings *has = &probe->platforms;
    struct strake_buf native = { 0 }, emulated = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < has->count; i++)
        rc = strake_buf_printf(strake_platform_native(has->items[0], has->items[i]) ? &native
                                                                                    : &emulated,
                               " %s", has->items[i]);
    if (rc == 0)
        rc = doctor_tell(probe, "platforms", DOCTOR_OK, NULL, "native%s; emulated%s",
                         strake_buf_text(&native),
                         emulated.len ? strake_buf_text(&emulated) : " none");
    strake_buf_dispose(&native);
    strake_buf_dispose(&emulated);
    return rc;
}

/* ---- what it holds ---- */

static int tell_disk(struct doctor_probe *probe, const json_t *entries)
{
    int64_t total = 0, idle = 0;
    const json_t *entry;
    char total_text[32], idle_text[32];
    size_t i;

    json_array_foreach(entries, i, entry) {
        const int64_t bytes = strake_json_int(entry, "size_bytes", 0);
        total += bytes;
        if (!strake_json_bool(entry, "in_use", false))
            idle += bytes;
    }
    strake_size_format(total, total_text, sizeof(total_text));
    strake_size_format(idle, idle_text, sizeof(idle_text));
    return doctor_tell(probe, "disk", DOCTOR_OK, NULL,
                       "%s in %zu records of earlier builds, of which %s could go", total_text,
                       json_array_size(entries), idle_text);
}

static int check_disk(struct doctor_probe *probe, struct strake_instance *builder,
                      struct strake_job *job)
{
    struct strake_job *bounded = doctor_bound(probe, job);
    struct strake_err err = { 0 };
    json_t *entries = NULL;
    int rc =
        bounded ? strake_builder_usage(builder, bounded, &entries, &err) : strake_fail_nomem(&err);

    if (rc == 0)
        rc = tell_disk(probe, entries);
    else if (rc == STRAKE_EUNSUPPORTED)
        rc = doctor_tell(probe, "disk", DOCTOR_SKIP, NULL, "a builder of type %s does not say",
                         probe->type);
    else if (rc != STRAKE_ENOMEM)
        rc = doctor_tell_err(probe, "disk", DOCTOR_WARN, &err);
    json_decref(entries);
    strake_job_free(bounded);
    strake_err_dispose(&err);
    return rc;
}

/* ---- what it is ---- */

static int tell_workers(struct doctor_probe *probe, const struct strake_builder_info *info)
{
    if (info->workers == 0)
        return 0;
    return doctor_tell(probe, "workers", DOCTOR_OK, NULL, "%u: %s", info->workers, info->worker);
}

static int tell_builder(struct doctor_probe *probe, const struct strake_builder_info *info,
                        int64_t took_ms)
{
    int rc =
        doctor_tell(probe, NULL, DOCTOR_OK, NULL, "%s %s, %s, answered after %lld ms", probe->type,
                    info->version, info->platforms[0] ? info->platforms : "platforms not told",
                    (long long)took_ms);

    if (rc == 0)
        rc = tell_workers(probe, info);
    if (rc == 0)
        rc = take_platforms(probe, info->platforms);
    if (rc == 0 && probe->platforms.count)
        rc = tell_platforms(probe);
    return rc;
}

/* What `buildctl debug info` and `debug workers` say, through the plugin. */
static int run_builder(struct doctor_probe *probe, struct strake_job *job)
{
    const int64_t begin = strake_time_mono_ms();
    struct strake_builder_info info = { .size = sizeof(info) };
    struct strake_instance *builder = NULL;
    struct strake_err err = { 0 };
    struct strake_job *bounded = doctor_bound(probe, job);
    int rc = bounded ? strake_instance_open(probe->type, probe->name, "builder/1", probe->options,
                                            &builder, &err)
                     : strake_fail_nomem(&err);

    if (rc == 0)
        rc = strake_builder_probe(builder, bounded, &info, &err);
    if (rc == 0) {
        rc = tell_builder(probe, &info, strake_time_mono_ms() - begin);
        if (rc == 0)
            rc = check_disk(probe, builder, job);
    } else {
        rc = doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err);
    }
    strake_instance_unref(builder);
    strake_job_free(bounded);
    strake_err_dispose(&err);
    return rc;
}

/* ---- the list ---- */

static int add(const struct strake_doctor *doctor, struct doctor_probes *probes, const char *name,
               const char *type, const json_t *options)
{
    int rc = doctor_probe_add(probes, doctor, "builder", EXIT_BUILDER, name, type, options,
                              run_builder, NULL);

    return rc < 0 ? rc
                  : doctor_probe_add(probes, doctor, "builder", EXIT_BUILDER, name, type, options,
                                     doctor_reach_builder, NULL);
}

static int run_nothing(struct doctor_probe *probe, struct strake_job *job)
{
    (void)job;
    return doctor_tell(probe, NULL, DOCTOR_FAIL, strake_json_str(probe->options, "hint"), "%s",
                       strake_json_str(probe->options, "message"));
}

/* Nothing is declared: what this machine has. */
static int add_found(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    struct strake_plan_target found = { 0 };
    const struct strake_strings none = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_choose_builders(doctor->project, &none, &found, NULL, &err);

    if (rc < 0 && rc != STRAKE_ENOMEM) {
        json_t *error = strake_err_json(&err);
        rc = error ? doctor_probe_add(probes, doctor, "builder", EXIT_BUILDER, "any", NULL, error,
                                      run_nothing, NULL)
                   : STRAKE_ENOMEM;
        json_decref(error);
    }
    for (size_t i = 0; rc == 0 && i < found.build_count; i++)
        rc = add(doctor, probes, found.builds[i].builder, found.builds[i].plugin,
                 found.builds[i].options);
    strake_plan_target_dispose(&found);
    strake_err_dispose(&err);
    return rc;
}

/* As a build would: with buildx where buildctl is missing. */
static int add_block(const struct strake_doctor *doctor, struct doctor_probes *probes,
                     const struct strake_block *block)
{
    struct strake_err err = { 0 };
    json_t *replaced = NULL;
    char *program = NULL;
    int rc = strake_builder_stand_in(block->type, block->options, &replaced, &program, &err);

    if (rc == 0)
        rc = add(doctor, probes, block->name, program ? "buildx" : block->type,
                 program ? replaced : block->options);
    json_decref(replaced);
    strake_free(program);
    strake_err_dispose(&err);
    return rc;
}

int doctor_add_builders(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    const struct strake_project *project = doctor->project;
    bool declared = false;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind != STRAKE_BLOCK_BUILDER)
            continue;
        declared = true;
        rc = add_block(doctor, probes, block);
    }
    return rc < 0 || declared ? rc : add_found(doctor, probes);
}
