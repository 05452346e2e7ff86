/* Which builders may take a target: those it names, those of the project, or what this machine
 * has. */
#include <string.h>

#include "project/discover.h"
#include "project/make.h"
#include "util/json.h"
#include "util/log.h"

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

/* A client that is missing is replaced by another one of the same daemon. */
static int add_able(struct strake_plan_target *target, const char *name, const char *plugin,
                    const json_t *options, int slots, char **why, struct strake_err *err)
{
    json_t *replaced = NULL;
    char *program = NULL;
    int rc = strake_builder_stand_in(plugin, options, &replaced, &program, err);

    if (rc < 0)
        return rc;
    rc = add_builder(target, name, program ? "buildx" : plugin, program ? replaced : options, slots,
                     err);
    if (rc == 0 && program && why && !*why)
        *why = strake_asprintf("builder %s through %s: buildctl is not installed", name, program);
    json_decref(replaced);
    strake_free(program);
    return rc;
}

/* ---- what this machine has ---- */

static int discover(struct strake_plan_target *target, char **why, struct strake_err *err)
{
    struct strake_discovered found;
    char *stands_in = NULL;
    int rc = strake_discover(&found, err);

    if (rc < 0)
        return rc;
    rc = add_able(target, "default", found.plugin, found.options, 0, &stands_in, err);
    if (rc == 0 && why && !*why)
        *why =
            stands_in ? strake_asprintf("%s; %s", found.why, stands_in) : strake_strdup(found.why);
    strake_free(stands_in);
    strake_discovered_dispose(&found);
    return rc;
}

/* ---- what is configured ---- */

static int add_block(const struct strake_project *project, const char *name,
                     struct strake_plan_target *target, char **why, struct strake_err *err)
{
    const struct strake_block *block = strake_project_block(project, STRAKE_BLOCK_BUILDER, name);
    int rc;

    if (block)
        return add_able(target, name, block->type, block->options, block->slots, why, err);
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
        rc = add_block(project, pinned->items[i], target, why, err);
    if (rc < 0 || pinned->count)
        return rc;
    for (size_t i = 0; rc == 0 && i < project->block_count; i++) {
        const struct strake_block *block = project->blocks[i];
        if (block->kind == STRAKE_BLOCK_BUILDER && (declared == 1 || is_installed(block)))
            rc = add_able(target, block->name, block->type, block->options, block->slots, why, err);
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
