/* The end of a plan: what policies may change of it, and builders for one that was read from a file. */
#include <string.h>

#include "image/platform.h"
#include "image/reference.h"
#include "project/discover.h"
#include "project/make.h"
#include "util/json.h"

/* ---- what a policy sees and may change ---- */

json_t *strake_plan_view(const struct strake_plan_target *target)
{
    json_t *view = json_object(), *cache = json_object();

    if (!view || !cache || strake_json_set_str(view, "name", target->name) < 0 ||
        strake_json_set_str(view, "image", target->images.count ? target->images.items[0] : "") <
            0 ||
        strake_json_set(view, "tags", strake_json_strings(strake_strings_view(&target->tags))) <
            0 ||
        strake_json_set(view, "labels", strake_json_pairs(strake_pairs_view(&target->labels))) <
            0 ||
        strake_json_set(view, "args", strake_json_pairs(strake_pairs_view(&target->args))) < 0 ||
        strake_json_set(view, "platforms",
                        strake_json_strings(strake_strings_view(&target->platforms))) < 0 ||
        strake_json_set(cache, "import",
                        strake_json_strings(strake_strings_view(&target->cache_import))) < 0 ||
        strake_json_set(cache, "export",
                        strake_json_strings(strake_strings_view(&target->cache_export))) < 0 ||
        strake_json_set(view, "options", strake_extras_json(&target->extras)) < 0 ||
        json_object_set(view, "cache", cache) < 0) {
        json_decref(view);
        view = NULL;
    }
    json_decref(cache);
    return view;
}

static int bad_field(const struct strake_plan_target *target, const char *field, int rc,
                     struct strake_err *err)
{
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(err);
    return strake_fail(err, STRAKE_ECONFIG,
                       "a plan policy left `%s` of target %s in a form that "
                       "cannot be used",
                       field, target->name);
}

/* Lua has one empty table: it stands for an empty list and an empty map alike. */
static bool is_empty(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* As strake.lua may say it: without a NUL, without a newline. */
static bool is_line(const char *text, size_t len)
{
    return text && strlen(text) == len && !strpbrk(text, "\r\n");
}

static int take_list(const json_t *value, struct strake_strings *out)
{
    struct strake_strings list = { 0 };
    const json_t *item;
    size_t i;

    if (!json_is_array(value) && !is_empty(value))
        return STRAKE_ECONFIG;
    json_array_foreach(value, i, item) {
        const char *text = json_string_value(item);
        int rc = is_line(text, json_string_length(item)) ? strake_strings_add(&list, text)
                                                         : STRAKE_ECONFIG;
        if (rc < 0) {
            strake_strings_dispose(&list);
            return rc;
        }
    }
    strake_strings_dispose(out);
    *out = list;
    return 0;
}

static int take_map(json_t *value, struct strake_pairs *out)
{
    struct strake_pairs map = { 0 };
    const char *name;
    json_t *item;

    if (!json_is_object(value) && !is_empty(value))
        return STRAKE_ECONFIG;
    json_object_foreach(value, name, item) {
        const char *text = json_string_value(item);
        int rc = *name && is_line(name, strlen(name)) && is_line(text, json_string_length(item))
                     ? strake_pairs_set(&map, name, text)
                     : STRAKE_ECONFIG;
        if (rc < 0) {
            strake_pairs_dispose(&map);
            return rc;
        }
    }
    strake_pairs_dispose(out);
    *out = map;
    return 0;
}

/* A policy that leaves `options` alone, or that knows none, changes none. */
static int take_options(const json_t *value, struct strake_plan_target *target,
                        struct strake_err *err)
{
    struct strake_build_extras extras = { 0 };
    int rc;

    if (!json_is_object(value) && !is_empty(value))
        return bad_field(target, "options", STRAKE_ECONFIG, err);
    rc = strake_extras_read(&extras, value, err);
    if (rc < 0) {
        strake_extras_dispose(&extras);
        strake_err_prefix(err,
                          "a plan policy left `options` of target %s unusable: ", target->name);
        return rc;
    }
    strake_extras_dispose(&target->extras);
    target->extras = extras;
    return 0;
}

static int check_applied(const struct strake_plan_target *target, struct strake_err *err)
{
    char platform[STRAKE_PLATFORM_TEXT];

    for (size_t i = 0; i < target->tags.count; i++) {
        if (!strake_tag_valid(target->tags.items[i]))
            return bad_field(target, "tags", STRAKE_ECONFIG, err);
    }
    for (size_t i = 0; i < target->platforms.count; i++) {
        int rc = strake_platform_parse(target->platforms.items[i], platform, err);
        if (rc < 0)
            return bad_field(target, "platforms", rc, err);
    }
    return 0;
}

static bool same_list(const struct strake_strings *list, const json_t *value)
{
    if (json_array_size(value) != list->count)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = json_string_value(json_array_get(value, i));
        if (!text || strcmp(text, list->items[i]) != 0)
            return false;
    }
    return true;
}

int strake_plan_apply(struct strake_plan_target *target, const json_t *view, struct strake_err *err)
{
    const json_t *cache = json_object_get(view, "cache");
    int rc;

    /* -t REF named whole references: a policy that changes the tags decides anew. */
    if (!same_list(&target->tags, json_object_get(view, "tags")))
        strake_strings_dispose(&target->refs);
    rc = take_list(json_object_get(view, "tags"), &target->tags);
    if (rc < 0)
        return bad_field(target, "tags", rc, err);
    rc = take_list(json_object_get(view, "platforms"), &target->platforms);
    if (rc < 0)
        return bad_field(target, "platforms", rc, err);
    rc = take_map(json_object_get(view, "labels"), &target->labels);
    if (rc < 0)
        return bad_field(target, "labels", rc, err);
    rc = take_map(json_object_get(view, "args"), &target->args);
    if (rc < 0)
        return bad_field(target, "args", rc, err);
    if (!same_list(&target->cache_import, json_object_get(cache, "import")) ||
        !same_list(&target->cache_export, json_object_get(cache, "export"))) {
        strake_strings_dispose(&target->cache_part_import); /* the policy's word is for all */
        strake_strings_dispose(&target->cache_part_export);
    }
    rc = take_list(json_object_get(cache, "import"), &target->cache_import);
    if (rc == 0)
        rc = take_list(json_object_get(cache, "export"), &target->cache_export);
    if (rc < 0)
        return bad_field(target, "cache", rc, err);
    rc = take_options(json_object_get(view, "options"), target, err);
    return rc < 0 ? rc : check_applied(target, err);
}

/* ---- a plan from a file ---- */

static int attach_build(struct strake_plan_build *build, const struct strake_project *project,
                        const struct strake_plan_target *target, struct strake_err *err)
{
    const struct strake_block *block =
        strake_project_block(project, STRAKE_BLOCK_BUILDER, build->builder);

    /* Where buildctl was missing when the plan was made, buildx stood in for it. */
    const bool stands_in =
        block && strcmp(block->type, "buildctl") == 0 && strcmp(build->plugin, "buildx") == 0;

    if (block && (stands_in || strcmp(block->type, build->plugin) == 0)) {
        build->options =
            stands_in ? strake_stand_in_options(block->options) : json_deep_copy(block->options);
        build->slots = block->slots;
        return build->options ? 0 : strake_fail_nomem(err);
    }
    if (!block && strcmp(build->builder, "default") == 0) {
        struct strake_plan_target found = { .name = target->name };
        struct strake_strings none = { 0 };
        int rc = strake_choose_builders(project, &none, &found, NULL, err);
        if (rc == 0 && strcmp(found.builds[0].plugin, build->plugin) == 0)
            build->options = json_incref(found.builds[0].options);
        for (size_t i = 0; i < found.build_count; i++) {
            strake_free(found.builds[i].builder);
            strake_free(found.builds[i].plugin);
            json_decref(found.builds[i].options);
        }
        strake_free(found.builds);
        if (rc < 0 || build->options)
            return rc;
    }
    strake_fail(err, STRAKE_ESTALE, "the plan no longer fits: of target %s changed the builder %s",
                target->name, build->builder);
    strake_err_hint(err, "make a new plan with `strake plan --save`");
    return STRAKE_ESTALE;
}

int strake_plan_attach(struct strake_plan *plan, const struct strake_project *project,
                       struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        for (size_t k = 0; rc == 0 && k < plan->targets[i].build_count; k++)
            rc = attach_build(&plan->targets[i].builds[k], project, &plan->targets[i], err);
    }
    return rc;
}
