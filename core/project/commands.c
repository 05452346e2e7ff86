/* The commands that a plan shows: what each builder of each target would run, for reading. */
#include <string.h>

#include "build/request.h"
#include "plugin/instance.h"
#include "project/make.h"
#include "util/log.h"

/* All builds of a plan that one builder may take. */
struct asked {
    struct strake_instance *builder;
    struct strake_plan_build **builds;
    const struct strake_build_request **requests;
    struct strake_plan_target **targets;
    size_t count;
};

struct finishing {
    struct strake_plan *plan;
    const struct strake_stores *stores;
    bool stage;
    struct strake_request *requests; /* one a target */
    struct asked *asked;
    size_t count;
    struct strake_err why;                   /* a builder was left out last, and … */
    const struct strake_plan_target *why_of; /* … of this target */
    struct strake_err *err;
};

/* BuildKit would say so too, but only when the step comes. */
static int check_network(const struct strake_plan_target *target, struct strake_err *err)
{
    const char *network = target->extras.network;

    if (!network || strcmp(network, "host") != 0 ||
        strake_strings_has(&target->extras.entitlements, "network.host"))
        return 0;
    strake_fail(err, STRAKE_ECONFIG,
                "target %s: network \"host\" needs the entitlement network.host", target->name);
    strake_err_hint(err, "add entitlements = { \"network.host\" }, or --allow network.host");
    strake_err_place(err, target->file, target->line);
    return STRAKE_ECONFIG;
}

/* Instances are opened once a builder, not once a target. */
static struct asked *find_builder(struct finishing *finishing,
                                  const struct strake_plan_build *build)
{
    struct asked *asked;

    for (size_t i = 0; i < finishing->count; i++) {
        if (strcmp(strake_instance_name(finishing->asked[i].builder), build->builder) == 0)
            return &finishing->asked[i];
    }
    asked = &finishing->asked[finishing->count];
    if (strake_instance_open(build->plugin, build->builder, "builder/1", build->options,
                             &asked->builder, finishing->err) < 0)
        return NULL;
    finishing->count++;
    asked->builds = strake_calloc(finishing->plan->count, sizeof(*asked->builds));
    asked->requests =
        strake_calloc(finishing->plan->count, sizeof(const struct strake_build_request *));
    asked->targets = strake_calloc(finishing->plan->count, sizeof(*asked->targets));
    if (asked->builds && asked->requests && asked->targets)
        return asked;
    strake_fail_nomem(finishing->err);
    return NULL;
}

static int collect_target(struct finishing *finishing, size_t at)
{
    struct strake_plan_target *target = &finishing->plan->targets[at];
    struct strake_request *made = &finishing->requests[at];
    int rc = strake_request_make(made, target, &target->contexts,
                                 finishing->stage && target->images.count ? STRAKE_OUTPUT_STAGE
                                                                          : STRAKE_OUTPUT_NONE,
                                 finishing->stores, finishing->err);

    if (rc == 0)
        rc = check_network(target, finishing->err);
    for (size_t i = 0; rc == 0 && i < target->build_count; i++) {
        struct asked *asked = find_builder(finishing, &target->builds[i]);
        if (!asked)
            return finishing->err->code;
        asked->builds[asked->count] = &target->builds[i];
        asked->targets[asked->count] = target;
        asked->requests[asked->count++] = &made->request;
    }
    return rc;
}

/* Another builder of the target may do what this one cannot: it is left out of the plan. */
static int take_command(struct finishing *finishing, struct strake_plan_target *target,
                        struct strake_plan_build *build, struct strake_command *command)
{
    json_decref(build->command);
    build->command = command->command;
    command->command = NULL;
    if (command->rc == STRAKE_EUNSUPPORTED && target->build_count > 1) {
        strake_log(STRAKE_LOG_INFO, "target %s passes builder %s over: %s", target->name,
                   build->builder, strake_err_message(&command->err));
        strake_err_dispose(&finishing->why);
        strake_err_move(&finishing->why, &command->err);
        finishing->why_of = target;
        return 0;
    }
    if (command->rc < 0)
        strake_err_move(finishing->err, &command->err);
    return command->rc;
}

static int ask_builder(struct finishing *finishing, struct asked *asked)
{
    struct strake_command *commands = strake_calloc(asked->count, sizeof(*commands));
    int rc = commands ? strake_builder_commands(asked->builder, asked->requests, asked->count,
                                                commands, finishing->err)
                      : strake_fail_nomem(finishing->err);

    for (size_t i = 0; rc == 0 && i < asked->count; i++)
        rc = take_command(finishing, asked->targets[i], asked->builds[i], &commands[i]);
    for (size_t i = 0; commands && i < asked->count; i++) {
        json_decref(commands[i].command);
        strake_err_dispose(&commands[i].err);
    }
    strake_free(commands);
    return rc;
}

/* Builds without a command are of builders that cannot; the last one's reason is the target's. */
static int drop_unable(struct finishing *finishing, struct strake_plan_target *target)
{
    size_t kept = 0;

    for (size_t i = 0; i < target->build_count; i++) {
        if (target->builds[i].command)
            target->builds[kept++] = target->builds[i];
        else
            strake_plan_build_dispose(&target->builds[i]);
    }
    target->build_count = kept;
    if (kept)
        return 0;
    if (finishing->why_of == target) {
        strake_err_move(finishing->err, &finishing->why);
        strake_err_prefix(finishing->err, "no builder of target %s can build it: ", target->name);
        return finishing->err->code;
    }
    strake_fail(finishing->err, STRAKE_EUNSUPPORTED, "no builder of target %s can build it",
                target->name);
    strake_err_place(finishing->err, target->file, target->line);
    return STRAKE_EUNSUPPORTED;
}

static void dispose(struct finishing *finishing)
{
    for (size_t i = 0; finishing->requests && i < finishing->plan->count; i++)
        strake_request_dispose(&finishing->requests[i]);
    for (size_t i = 0; i < finishing->count; i++) {
        strake_instance_unref(finishing->asked[i].builder);
        strake_free(finishing->asked[i].builds);
        strake_free(finishing->asked[i].requests);
        strake_free(finishing->asked[i].targets);
    }
    strake_err_dispose(&finishing->why);
    strake_free(finishing->requests);
    strake_free(finishing->asked);
}

int strake_plan_finish(struct strake_plan *plan, const struct strake_stores *stores, bool stage,
                       struct strake_err *err)
{
    struct finishing finishing = { .plan = plan, .stores = stores, .stage = stage, .err = err };
    size_t builds = 1;
    int rc = 0;

    for (size_t i = 0; i < plan->count; i++)
        builds += plan->targets[i].build_count;
    finishing.requests = strake_calloc(plan->count + 1, sizeof(*finishing.requests));
    finishing.asked = strake_calloc(builds, sizeof(*finishing.asked));
    if (!finishing.requests || !finishing.asked)
        rc = strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = collect_target(&finishing, i);
    for (size_t i = 0; rc == 0 && i < finishing.count; i++)
        rc = ask_builder(&finishing, &finishing.asked[i]);
    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = drop_unable(&finishing, &plan->targets[i]);
    dispose(&finishing);
    return rc;
}
