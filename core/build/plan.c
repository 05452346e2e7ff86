/* The plan's data: ownership, look-ups, and the references that its tags make. */
#include "build/plan.h"

#include <string.h>

void strake_plan_build_dispose(struct strake_plan_build *build)
{
    strake_free(build->builder);
    strake_free(build->plugin);
    json_decref(build->options);
    json_decref(build->command);
}

static void plan_secret_dispose(struct strake_plan_secret *secret)
{
    strake_free(secret->id);
    strake_free(secret->file);
    strake_free(secret->name);
}

void strake_plan_inputs_dispose(struct strake_plan_inputs *inputs)
{
    strake_pairs_dispose(&inputs->bases);
    strake_free(inputs->doubt);
    *inputs = (struct strake_plan_inputs){ 0 };
}

void strake_plan_past_free(struct strake_plan_past *past)
{
    if (!past)
        return;
    strake_free(past->why);
    strake_free(past->run);
    strake_free(past->image);
    strake_free(past->media_type);
    strake_pairs_dispose(&past->platforms);
    strake_free(past);
}

static void cache_ask_dispose(struct strake_plan_cache_ask *ask)
{
    strake_free(ask->type);
    strake_free(ask->options);
    strake_free(ask->branch);
    strake_free(ask->main_branch);
}

void strake_plan_target_dispose(struct strake_plan_target *target)
{
    strake_free(target->name);
    strake_free(target->file);
    strake_free(target->context);
    strake_free(target->dockerfile);
    strake_free(target->stage);
    strake_free(target->source_policy);
    strake_strings_dispose(&target->images);
    strake_strings_dispose(&target->tags);
    strake_strings_dispose(&target->refs);
    strake_strings_dispose(&target->platforms);
    strake_pairs_dispose(&target->args);
    strake_pairs_dispose(&target->labels);
    strake_pairs_dispose(&target->annotations);
    strake_pairs_dispose(&target->contexts);
    strake_strings_dispose(&target->after);
    strake_strings_dispose(&target->cache_import);
    strake_strings_dispose(&target->cache_export);
    strake_strings_dispose(&target->cache_part_import);
    strake_strings_dispose(&target->cache_part_export);
    for (size_t i = 0; i < target->cache_ask_count; i++)
        cache_ask_dispose(&target->cache_asks[i]);
    strake_free(target->cache_asks);
    for (size_t i = 0; i < target->secret_count; i++)
        plan_secret_dispose(&target->secrets[i]);
    strake_free(target->secrets);
    for (size_t i = 0; i < target->build_count; i++)
        strake_plan_build_dispose(&target->builds[i]);
    strake_free(target->builds);
    strake_extras_dispose(&target->extras);
    strake_plan_inputs_dispose(&target->inputs);
    strake_plan_past_free(target->past);
    json_decref(target->policies);
    *target = (struct strake_plan_target){ 0 };
}

void strake_plan_free(struct strake_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->count; i++)
        strake_plan_target_dispose(&plan->targets[i]);
    strake_free(plan->targets);
    strake_free(plan->dir);
    strake_free(plan->why_builder);
    json_decref(plan->document);
    strake_free(plan);
}

struct strake_plan_target *strake_plan_find(const struct strake_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->targets[i].name, name) == 0)
            return &plan->targets[i];
    }
    return NULL;
}

int strake_plan_refs(const struct strake_plan_target *target, struct strake_strings *refs)
{
    if (target->refs.count)
        return strake_strings_copy(refs, &target->refs);
    for (size_t i = 0; i < target->images.count; i++) {
        for (size_t k = 0; k < target->tags.count; k++) {
            char *ref = strake_asprintf("%s:%s", target->images.items[i], target->tags.items[k]);
            int rc = ref ? strake_strings_take(refs, ref) : STRAKE_ENOMEM;
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}
