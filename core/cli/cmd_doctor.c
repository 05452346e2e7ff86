/* strake doctor: is everything there that the builds here need, and does it answer? */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "plugin/instance.h"
#include "project/make.h"
#include "util/json.h"
#include "util/process.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

#define PROBE_MS 3000

/* All checks run on one worker thread; what they found is printed afterwards. */
struct examination {
    struct cli *cli;
    json_t *checks;
    int worst; /* 9 over 8 over 7, as design §5 says */
};

static int add_check(struct examination *e, const char *group, const char *name, const char *status,
                     const char *detail, const char *hint, int64_t started_ms)
{
    json_t *entry = json_object();
    int rc = 0;

    if (!entry || strake_json_set_str(entry, "name", name) < 0 ||
        strake_json_set_str(entry, "group", group) < 0 ||
        strake_json_set_str(entry, "status", status) < 0 ||
        strake_json_set_str(entry, "detail", detail) < 0 ||
        strake_json_set_str(entry, "hint", hint ? hint : "") < 0 ||
        strake_json_set_int(entry, "duration_ms", strake_time_mono_ms() - started_ms) < 0 ||
        json_array_append(e->checks, entry) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(entry);
    return rc;
}

static void failed(struct examination *e, int exit)
{
    if (exit > e->worst)
        e->worst = exit;
}

/* ---- builders ---- */

static int check_builder(struct examination *e, const struct strake_plan_build *build,
                         struct strake_job *job)
{
    int64_t started = strake_time_mono_ms();
    struct strake_builder_info info = { .size = sizeof(info) };
    struct strake_instance *builder = NULL;
    struct strake_err err = { 0 };
    struct strake_job *bounded = strake_job_new(job, NULL, NULL);
    char *detail = NULL;
    int rc = bounded ? strake_instance_open(build->plugin, build->builder, "builder/1",
                                            build->options, &builder, &err)
                     : strake_fail_nomem(&err);

    if (rc == 0) {
        strake_job_set_timeout(bounded, PROBE_MS);
        rc = strake_builder_probe(builder, bounded, &info, &err);
    }
    if (rc == 0)
        detail = strake_asprintf("%s %s, %s", build->plugin, info.version,
                                 info.platforms[0] ? info.platforms : "platforms not told");
    if (rc < 0)
        failed(e, 9);
    rc = add_check(e, "builder", build->builder, rc < 0 ? "fail" : "ok",
                   rc < 0   ? strake_err_message(&err)
                   : detail ? detail
                            : "",
                   err.hint, started);
    strake_instance_unref(builder);
    strake_job_free(bounded);
    strake_err_dispose(&err);
    strake_free(detail);
    return rc;
}

static int check_builders(struct examination *e, struct strake_job *job)
{
    struct strake_plan_target found = { 0 };
    struct strake_strings none = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_choose_builders(e->cli->session.project, &none, &found, NULL, &err);

    if (rc < 0) {
        failed(e, 9);
        rc = add_check(e, "builder", "any", "fail", strake_err_message(&err), err.hint,
                       strake_time_mono_ms());
    }
    for (size_t i = 0; rc == 0 && i < found.build_count; i++)
        rc = check_builder(e, &found.builds[i], job);
    strake_plan_target_dispose(&found);
    strake_err_dispose(&err);
    return rc;
}

/* ---- registries ---- */

/* Hosts of registry blocks and of the targets' images. */
static int collect_hosts(struct examination *e, struct strake_strings *repositories)
{
    const struct strake_project *project = e->cli->session.project;
    struct strake_strings hosts = { 0 };
    int rc = strake_stores_hosts(e->cli->session.stores, &hosts);

    for (size_t i = 0; rc == 0 && i < hosts.count; i++) {
        char *name = strake_asprintf("%s/doctor", hosts.items[i]);
        rc = name ? strake_strings_take(repositories, name) : STRAKE_ENOMEM;
    }
    for (size_t i = 0; rc == 0 && i < project->target_count; i++) {
        const struct strake_strings *images = &project->targets[i]->images;
        for (size_t k = 0; rc == 0 && k < images->count; k++)
            rc = strake_strings_add(repositories, images->items[k]);
    }
    strake_strings_dispose(&hosts);
    return rc;
}

static int check_registry(struct examination *e, const char *repository,
                          struct strake_strings *seen, struct strake_job *job)
{
    int64_t started = strake_time_mono_ms();
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_buf detail = STRAKE_BUF(4096);
    struct strake_err err = { 0 };
    int rc = strake_stores_open(e->cli->session.stores, repository, &ref, &place, &err);
    const char *name = rc == 0 && ref.store == STRAKE_STORE_REGISTRY ? ref.host : repository;

    if (rc == 0 && strake_strings_has(seen, name))
        goto out;
    if (strake_strings_add(seen, name) < 0)
        rc = strake_fail_nomem(&err);
    if (rc == 0)
        rc = strake_registry_ping(place.instance, job, &detail, &err);
    if (rc < 0)
        failed(e, 8);
    rc = add_check(e, "registry", name, rc < 0 ? "fail" : "ok",
                   rc < 0 ? strake_err_message(&err) : strake_buf_text(&detail), err.hint, started);
out:
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_buf_dispose(&detail);
    strake_err_dispose(&err);
    return rc;
}

static int check_registries(struct examination *e, struct strake_job *job)
{
    struct strake_strings repositories = { 0 }, seen = { 0 };
    int rc = collect_hosts(e, &repositories);

    for (size_t i = 0; rc == 0 && i < repositories.count; i++)
        rc = check_registry(e, repositories.items[i], &seen, job);
    strake_strings_dispose(&repositories);
    strake_strings_dispose(&seen);
    return rc;
}

/* ---- notifiers, credentials, tools ---- */

static int check_notifier(struct examination *e, const struct strake_block *block,
                          struct strake_job *job)
{
    int64_t started = strake_time_mono_ms();
    struct strake_instance *notifier = NULL;
    struct strake_buf detail = STRAKE_BUF(4096);
    struct strake_err err = { 0 };
    int rc = strake_instance_open(block->type, block->name, "notifier/1", block->options, &notifier,
                                  &err);

    if (rc == 0)
        rc = strake_notifier_ping(notifier, job, &detail, &err);
    if (rc < 0)
        failed(e, 7);
    rc = add_check(e, "notifier", block->name, rc < 0 ? "fail" : "ok",
                   rc < 0 ? strake_err_message(&err) : strake_buf_text(&detail), err.hint, started);
    strake_instance_unref(notifier);
    strake_buf_dispose(&detail);
    strake_err_dispose(&err);
    return rc;
}

static int check_notifiers(struct examination *e, struct strake_job *job)
{
    const struct strake_project *project = e->cli->session.project;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        if (project->blocks[i]->kind == STRAKE_BLOCK_NOTIFIER)
            rc = check_notifier(e, project->blocks[i], job);
    }
    return rc;
}

static int check_credentials(struct examination *e)
{
    const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
    int64_t started = strake_time_mono_ms();
    char *path = config ? strake_asprintf("%s/config.json", config)
                        : strake_asprintf("%s/.docker/config.json", home ? home : "");
    const char *status = "skip", *detail = "no credential file; anonymous access";
    int rc;

    if (!path)
        return STRAKE_ENOMEM;
    if (getenv("DOCKER_AUTH_CONFIG")) {
        status = "ok";
        detail = "DOCKER_AUTH_CONFIG in the environment";
    } else if (access(path, R_OK) == 0) {
        status = "ok";
        detail = path;
    } else if (access(path, F_OK) == 0) {
        status = "warn";
        detail = "the credential file cannot be read";
    }
    rc = add_check(e, "credentials", "docker config", status, detail, NULL, started);
    strake_free(path);
    return rc;
}

static int check_tools(struct examination *e)
{
    static const char *const tools[] = { "git", "buildctl", "buildah", "docker", NULL };
    int rc = 0;

    for (size_t i = 0; rc == 0 && tools[i]; i++) {
        int64_t started = strake_time_mono_ms();
        char *path = strake_process_which(tools[i]);
        rc = add_check(e, "tool", tools[i], path ? "ok" : "skip", path ? path : "not installed",
                       NULL, started);
        strake_free(path);
    }
    return rc;
}

static int examine(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct examination *e = ctx;

    if (check_builders(e, job) < 0 || check_registries(e, job) < 0 || check_notifiers(e, job) < 0 ||
        check_credentials(e) < 0 || check_tools(e) < 0)
        return strake_fail_nomem(err);
    return strake_job_check(job, err);
}

/* ---- the command ---- */

static void print_checks(const json_t *checks)
{
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check) {
        const char *hint = strake_json_str(check, "hint");
        printf("%-5s %-12s %-24s %s\n", strake_json_str(check, "status"),
               strake_json_str(check, "group"), strake_json_str(check, "name"),
               strake_json_str(check, "detail"));
        if (hint && *hint)
            printf("      %-12s %s\n", "", hint);
    }
}

static int run(struct cli *cli)
{
    struct examination e = { .cli = cli, .checks = json_array() };
    int rc = e.checks ? cli_open(cli, CLI_NEED_PROJECT) : strake_fail_nomem(&cli->err);

    if (rc == 0)
        rc = cli_await(cli, examine, &e);
    if (rc == 0 && cli->json) {
        json_t *doc = json_object();
        if (!doc || strake_json_set_str(doc, "schema", "strake.doctor/1") < 0 ||
            json_object_set(doc, "checks", e.checks) < 0) {
            json_decref(doc);
            doc = NULL;
        }
        rc = cli_print_json(cli, doc);
    } else if (rc == 0) {
        print_checks(e.checks);
        rc = cli_finish_stdout(cli);
    }
    json_decref(e.checks);
    cli->exit = rc == 0 ? e.worst : 0;
    return rc;
}

const struct cli_command cli_doctor = {
    .name = "doctor",
    .summary = "check builders, registries, notifiers, credentials and tools",
    .usage = "[OPTIONS]",
    .help = "Exits 9 when a builder failed, else 8 for a registry, else 7.",
    .options = options,
    .http = true,
    .run = run,
};
