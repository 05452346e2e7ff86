/* Which builders may take a target: those it names, those of the project, or what this machine
 * has. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "project/make.h"
#include "util/json.h"
#include "util/log.h"
#include "util/process.h"

static int add_builder(struct strake_plan_target *target, const char *name, const char *plugin,
                       const json_t *options, int slots, struct strake_err *err)
{
    struct strake_plan_build *builds =
        strake_reallocarray(target->builds, target->build_count + 1, sizeof(*builds));
    struct strake_plan_build *build;

    if (!builds)
        return strake_fail_nomem(err);
    target->builds = builds;
    build = &builds[target->build_count++];
    *build = (struct strake_plan_build){ .builder = strake_strdup(name),
                                         .plugin = strake_strdup(plugin),
                                         .options = json_deep_copy(options),
                                         .slots = slots };
    return build->builder && build->plugin && build->options ? 0 : strake_fail_nomem(err);
}

/* ---- what this machine has ---- */

static bool is_socket(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int add_buildctl(struct strake_plan_target *target, const char *address,
                        struct strake_err *err)
{
    json_t *options = json_object();
    int rc = options && strake_json_set_str(options, "address", address) == 0
                 ? add_builder(target, "default", "buildctl", options, 0, err)
                 : strake_fail_nomem(err);

    json_decref(options);
    return rc;
}

/* BuildKit's usual sockets: the system's, then a rootless one. The caller frees. */
static char *usual_socket(void)
{
    static const char system_socket[] = "/run/buildkit/buildkitd.sock";
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char *path, *address = NULL;

    if (is_socket(system_socket))
        return strake_asprintf("unix://%s", system_socket);
    if (!runtime || runtime[0] != '/')
        return NULL;
    path = strake_asprintf("%s/buildkit/buildkitd.sock", runtime);
    if (path && is_socket(path))
        address = strake_asprintf("unix://%s", path);
    strake_free(path);
    return address;
}

static int nothing_to_build_with(struct strake_err *err)
{
    strake_fail(err, STRAKE_EBUILDER,
                "there is nothing to build with: no builder is configured, "
                "BUILDKIT_HOST is not set, no BuildKit socket exists and buildah is not installed");
    strake_err_hint(err, "start buildkitd and set BUILDKIT_HOST, or install buildah, or write "
                         "builder \"NAME\" { type = \"buildctl\", address = \"tcp://HOST:PORT\" }");
    return STRAKE_EBUILDER;
}

static int discover(struct strake_plan_target *target, char **why, struct strake_err *err)
{
    const char *host = getenv("BUILDKIT_HOST");
    char *address = host && *host ? strake_strdup(host) : usual_socket();
    char *program = NULL;
    int rc;

    if (address) {
        rc = add_buildctl(target, address, err);
        if (rc == 0 && why && !*why)
            *why = strake_asprintf("BuildKit at %s, %s", address,
                                   host && *host ? "as BUILDKIT_HOST says" : "its usual socket");
        strake_free(address);
        return rc;
    }
    program = strake_process_which("buildah");
    if (program) {
        json_t *options = json_object();
        rc = options ? add_builder(target, "default", "buildah", options, 0, err)
                     : strake_fail_nomem(err);
        json_decref(options);
        if (rc == 0 && why && !*why)
            *why = strake_asprintf("%s: BUILDKIT_HOST is not set and no BuildKit socket exists",
                                   program);
        strake_free(program);
        return rc;
    }
    return nothing_to_build_with(err);
}

/* ---- what is configured ---- */

static int add_block(const struct strake_project *project, const char *name,
                     struct strake_plan_target *target, struct strake_err *err)
{
    const struct strake_block *block = strake_project_block(project, STRAKE_BLOCK_BUILDER, name);
    int rc;

    if (block)
        return add_builder(target, name, block->type, block->options, block->slots, err);
    rc = strake_fail(err, STRAKE_ECONFIG, "target %s names the builder %s, which is not declared",
                     target->name, name);
    strake_err_place(err, target->file, target->line);
    strake_err_hint(err, "declare it: builder \"%s\" { type = \"buildctl\", address = … }", name);
    return rc;
}

/* A block of a type that is not installed is passed over while another one is there. */
static bool is_installed(const struct strake_block *block)
{
    const struct strake_loaded *loaded;
    struct strake_err err = { 0 };
    int rc = strake_loader_load(block->type, &loaded, &err);

    if (rc < 0)
        strake_log(STRAKE_LOG_INFO, "builder %s is passed over: %s", block->name,
                   strake_err_message(&err));
    strake_err_dispose(&err);
    return rc == 0;
}

static size_t count_builders(const struct strake_project *project)
{
    size_t count = 0;

    for (size_t i = 0; i < project->block_count; i++)
        count += project->blocks[i]->kind == STRAKE_BLOCK_BUILDER;
    return count;
}

int strake_choose_builders(const struct strake_project *project,
                           const struct strake_strings *pinned, struct strake_plan_target *target,
                           char **why, struct strake_err *err)
{
    const size_t declared = count_builders(project);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < pinned->count; i++)
        rc = add_block(project, pinned->items[i], target, err);
    if (rc < 0 || pinned->count)
        return rc;
    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind == STRAKE_BLOCK_BUILDER && (declared == 1 || is_installed(block)))
            rc = add_builder(target, block->name, block->type, block->options, block->slots, err);
    }
    if (rc == 0 && target->build_count == 0)
        rc = declared ? strake_fail(err, STRAKE_EBUILDER,
                                    "none of the %zu declared builders has its plugin installed",
                                    declared)
                      : discover(target, why, err);
    return rc;
}

int strake_plan_add_machine(const struct strake_project *project, struct strake_plan *plan,
                            struct strake_err *err)
{
    const struct strake_strings none = { 0 };
    struct strake_plan_target *target = strake_calloc(1, sizeof(*target));

    if (!target)
        return strake_fail_nomem(err);
    plan->targets = target;
    plan->count = 1;
    target->name = strake_strdup("");
    target->policies = json_array();
    if (!target->name || !target->policies)
        return strake_fail_nomem(err);
    return strake_choose_builders(project, &none, target, &plan->why_builder, err);
}
