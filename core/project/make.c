/* Making a plan: which targets, in which order, and what each of them is. */
#include "project/make.h"

#include <string.h>

#include "image/platform.h"
#include "image/reference.h"
#include "project/cache.h"
#include "project/contexts.h"
#include "util/fs.h"
#include "util/json.h"

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

struct making {
    const struct strake_project *project;
    const struct strake_wish *wish;
    struct strake_plan *plan;
    struct strake_caching caching;
    enum visit *visited;                /* by position in the project */
    const struct strake_target **chain; /* those that are open, the outermost first */
    size_t depth;
    size_t cap;
    struct strake_err *err;
};

static struct strake_plan_target *add_target(struct making *making)
{
    struct strake_plan *plan = making->plan;
    struct strake_plan_target *target;

    if (plan->count == making->cap) {
        size_t cap = making->cap ? making->cap * 2 : 8;
        struct strake_plan_target *targets =
            strake_reallocarray(plan->targets, cap, sizeof(*targets));
        if (!targets)
            return NULL;
        plan->targets = targets;
        making->cap = cap;
    }
    target = &plan->targets[plan->count++];
    *target = (struct strake_plan_target){ .policies = json_array() };
    return target->policies ? target : NULL;
}

/* ---- what is decided of one target ---- */

static int check_image(struct making *making, struct strake_plan_target *target, const char *image)
{
    struct strake_reference ref = { 0 };
    int rc = strake_reference_parse(image, &ref, making->err);

    if (rc == 0 && (ref.tag[0] || ref.digest[0])) {
        rc = strake_fail(making->err, STRAKE_ECONFIG,
                         "target %s: `image` is a repository, without tag or digest: %s",
                         target->name, image);
        strake_err_hint(making->err, "write the tags under `tags`");
    } else if (rc == STRAKE_EUSAGE) {
        rc = strake_err_recode(making->err, STRAKE_ECONFIG);
    }
    if (rc < 0)
        strake_err_place(making->err, target->file, target->line);
    strake_reference_dispose(&ref);
    return rc;
}

static int check_tags(struct making *making, struct strake_plan_target *target)
{
    for (size_t i = 0; i < target->tags.count; i++) {
        if (strake_tag_valid(target->tags.items[i]))
            continue;
        strake_fail(making->err, STRAKE_ECONFIG, "target %s: '%s' is not a tag", target->name,
                    target->tags.items[i]);
        strake_err_hint(making->err, "letters, digits, `_`, `.` and `-`, 128 at most, and neither "
                                     "`.` nor `-` first");
        strake_err_place(making->err, target->file, target->line);
        return STRAKE_ECONFIG;
    }
    return 0;
}

static int take_platforms(struct making *making, struct strake_plan_target *target,
                          const struct strake_strings *from)
{
    for (size_t i = 0; i < from->count; i++) {
        char platform[STRAKE_PLATFORM_TEXT];
        int rc = strake_platform_parse(from->items[i], platform, making->err);
        if (rc < 0)
            return rc;
        if (!strake_strings_has(&target->platforms, platform) &&
            strake_strings_add(&target->platforms, platform) < 0)
            return strake_fail_nomem(making->err);
    }
    return 0;
}

/* What the command line says of every chosen target, over its declaration. */
static int apply_wish(struct making *making, struct strake_plan_target *target, bool chosen)
{
    const struct strake_wish *wish = making->wish;
    int rc = 0;

    target->no_cache = target->no_cache || wish->no_cache;
    if (!chosen)
        return 0;
    if (wish->refs.count) {
        rc = strake_refs_split(&wish->refs, &target->refs, &target->images, &target->tags,
                               making->err);
        if (rc < 0)
            strake_err_prefix(making->err, "-t: ");
    } else if (wish->set_tags) {
        strake_strings_dispose(&target->refs); /* the tags are others now */
    }
    if (rc == 0 && wish->set_tags) {
        strake_strings_dispose(&target->tags);
        rc = strake_strings_copy(&target->tags, &wish->tags) < 0 ? strake_fail_nomem(making->err)
                                                                 : 0;
    }
    if (rc == 0 && wish->platforms.count) {
        strake_strings_dispose(&target->platforms);
        rc = take_platforms(making, target, &wish->platforms);
    }
    if (rc < 0)
        return rc;
    if (wish->stage) {
        strake_free(target->stage);
        target->stage = strake_strdup(wish->stage);
    }
    if (wish->dockerfile) {
        strake_free(target->dockerfile);
        target->dockerfile = strake_strdup(wish->dockerfile);
    }
    if (!target->stage || !target->dockerfile ||
        strake_pairs_copy(&target->args, &wish->args) < 0 ||
        strake_pairs_copy(&target->labels, &wish->labels) < 0 ||
        strake_pairs_copy(&target->contexts, &wish->contexts) < 0 ||
        strake_pairs_copy(&target->annotations, &wish->annotations) < 0 ||
        strake_extras_merge(&target->extras, &wish->extras) < 0)
        return strake_fail_nomem(making->err);
    return 0;
}

static int copy_secret(struct strake_plan_secret *to, const char *id, const char *file,
                       const char *name)
{
    to->id = strake_strdup(id);
    to->file = strake_strdup(file);
    to->name = strake_strdup(name);
    return to->id && (!file || to->file) && (!name || to->name) ? 0 : STRAKE_ENOMEM;
}

static int take_secrets(struct making *making, struct strake_plan_target *target,
                        const struct strake_target *declared)
{
    const struct strake_wish *wish = making->wish;
    size_t count = (declared ? declared->secret_count : 0) + wish->secret_count;
    int rc = 0;

    if (!count)
        return 0;
    target->secrets = strake_calloc(count, sizeof(*target->secrets));
    if (!target->secrets)
        return strake_fail_nomem(making->err);
    for (size_t i = 0; rc == 0 && declared && i < declared->secret_count; i++)
        rc = copy_secret(&target->secrets[target->secret_count++], declared->secrets[i].id,
                         declared->secrets[i].file, declared->secrets[i].name);
    for (size_t i = 0; rc == 0 && i < wish->secret_count; i++)
        rc = copy_secret(&target->secrets[target->secret_count++], wish->secrets[i].id,
                         wish->secrets[i].file, wish->secrets[i].name);
    return rc < 0 ? strake_fail_nomem(making->err) : 0;
}

/* Folders and files are looked at now: a typing error is told before anything starts. */
static int check_paths(struct making *making, struct strake_plan_target *target, bool declared)
{
    int rc = 0;

    if (strake_context_is_url(target->context))
        return 0;
    if (!strake_fs_is_dir(target->context)) {
        rc =
            strake_fail(making->err, declared ? STRAKE_ECONFIG : STRAKE_EUSAGE,
                        "target %s: the context %s is not a folder", target->name, target->context);
        strake_err_hint(making->err, declared ? "`context` is relative to the folder of strake.lua"
                                              : "name a target, a folder or a URL");
    } else if (!strake_fs_is_file(target->dockerfile)) {
        rc = strake_fail(making->err, STRAKE_EDOCKERFILE, "target %s: there is no Dockerfile %s",
                         target->name, target->dockerfile);
        strake_err_hint(making->err, "make it, or name another one: dockerfile = \"…\" or -f FILE");
    }
    if (rc < 0)
        strake_err_place(making->err, target->file, target->line);
    return rc;
}

/* Paths become absolute; for a URL the Dockerfile is one within it. */
static int set_paths(struct making *making, struct strake_plan_target *target, const char *base,
                     const char *context, const char *dockerfile)
{
    const char *name = dockerfile && *dockerfile ? dockerfile : "Dockerfile";
    char *joined;

    if (strake_context_is_url(context)) {
        target->context = strake_strdup(context);
        target->dockerfile = strake_strdup(name);
    } else {
        joined = strake_fs_join(base, context);
        target->context = joined ? strake_fs_absolute(joined) : NULL;
        if (joined && !target->context)
            target->context = strake_strdup(joined);
        strake_free(joined);
        if (target->context)
            target->dockerfile = strake_fs_join(target->context, name);
    }
    return target->context && target->dockerfile ? 0 : strake_fail_nomem(making->err);
}

/* What is written as records goes for parts of the platforms alike. */
static int add_given(const struct strake_plan_target *target, const struct strake_strings *given,
                     struct strake_strings *list, struct strake_strings *part)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < given->count; i++) {
        rc = strake_strings_add(list, given->items[i]);
        if (rc == 0 && target->platforms.count > 1)
            rc = strake_strings_add(part, given->items[i]);
    }
    return rc;
}

static int set_caches(struct making *making, struct strake_plan_target *target,
                      const struct strake_target *declared)
{
    const struct strake_strings *const from[] = { declared ? &declared->cache_from : NULL,
                                                  &making->wish->cache_from };
    const struct strake_strings *const to[] = { declared ? &declared->cache_to : NULL,
                                                &making->wish->cache_to };
    int rc =
        declared ? strake_cache_decide(&making->caching, declared->cache, target, making->err) : 0;

    for (size_t i = 0; rc == 0 && i < 2; i++) {
        if (from[i])
            rc = add_given(target, from[i], &target->cache_import, &target->cache_part_import);
        if (rc == 0 && to[i])
            rc = add_given(target, to[i], &target->cache_export, &target->cache_part_export);
    }
    return rc < 0 && !making->err->code ? strake_fail_nomem(making->err) : rc;
}

static int finish_target(struct making *making, struct strake_plan_target *target,
                         const struct strake_target *declared)
{
    struct strake_strings pinned = { 0 };
    int rc = check_paths(making, target, declared != NULL);

    for (size_t i = 0; rc == 0 && i < target->images.count; i++)
        rc = check_image(making, target, target->images.items[i]);
    if (rc == 0)
        rc = check_tags(making, target);
    if (rc == 0)
        rc = set_caches(making, target, declared);
    if (rc == 0)
        rc = take_secrets(making, target, declared);
    if (rc == 0 && making->wish->builder)
        rc = strake_strings_add(&pinned, making->wish->builder);
    else if (rc == 0 && declared)
        rc = strake_strings_copy(&pinned, &declared->builders);
    if (rc == 0)
        rc = strake_choose_builders(making->project, &pinned, target, &making->plan->why_builder,
                                    making->err);
    strake_strings_dispose(&pinned);
    return rc < 0 && !making->err->code ? strake_fail_nomem(making->err) : rc;
}

static int copy_declared(struct making *making, struct strake_plan_target *target,
                         const struct strake_target *declared)
{
    target->name = strake_strdup(declared->name);
    target->file = strake_strdup(declared->place.file);
    target->line = declared->place.line;
    target->stage = strake_strdup(declared->stage ? declared->stage : "");
    target->no_cache = declared->no_cache;
    if (!target->name || !target->stage ||
        strake_strings_copy(&target->images, &declared->images) < 0 ||
        strake_strings_copy(&target->tags, &declared->tags) < 0 ||
        strake_strings_copy(&target->refs, &declared->refs) < 0 ||
        strake_strings_copy(&target->platforms, &declared->platforms) < 0 ||
        strake_pairs_copy(&target->args, &declared->args) < 0 ||
        strake_pairs_copy(&target->labels, &declared->labels) < 0 ||
        strake_pairs_copy(&target->annotations, &declared->annotations) < 0 ||
        strake_pairs_copy(&target->contexts, &declared->contexts) < 0 ||
        strake_extras_merge(&target->extras, &declared->extras) < 0 ||
        strake_strings_copy(&target->after, &declared->after) < 0)
        return strake_fail_nomem(making->err);
    return set_paths(making, target, making->project->dir,
                     declared->context ? declared->context : ".", declared->dockerfile);
}

/* ---- choosing ---- */

static int visit(struct making *making, const struct strake_target *declared, bool chosen);

/* What another target stands on has to be somewhere: without an image of its own it is staged, and
 * gets no tag, in that one's repository. */
static int lend_image(struct making *making, const struct strake_plan_target *target,
                      const char *name)
{
    struct strake_plan_target *other;
    bool context = false;

    for (size_t i = 0; i < target->contexts.count; i++) {
        const char *value = target->contexts.items[i]->value;
        context = context || (strncmp(value, "target:", 7) == 0 && strcmp(value + 7, name) == 0);
    }
    other = context && target->images.count ? strake_plan_find(making->plan, name) : NULL;
    if (!other || other->images.count || other->tags.count)
        return 0;
    return strake_strings_add(&other->images, target->images.items[0]) < 0
               ? strake_fail_nomem(making->err)
               : 0;
}

static int visit_needs(struct making *making, const struct strake_plan_target *target)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->after.count; i++) {
        const struct strake_target *other =
            strake_project_target(making->project, target->after.items[i]);
        if (!other) {
            strake_project_no_target(making->project, target->after.items[i], making->err);
            strake_err_prefix(making->err, "target %s: ", target->name);
            strake_err_place(making->err, target->file, target->line);
            return strake_err_recode(making->err, STRAKE_ECONFIG);
        }
        rc = visit(making, other, false);
        if (rc == 0)
            rc = lend_image(making, target, target->after.items[i]);
    }
    return rc;
}

/* "a needs itself: a -> b -> a" */
static int refuse_cycle(struct making *making, const struct strake_target *declared)
{
    struct strake_buf path = STRAKE_BUF(65536);
    size_t first = making->depth;
    int rc = 0;

    while (first > 0 && making->chain[first - 1] != declared)
        first--;
    for (size_t i = first ? first - 1 : 0; rc == 0 && i < making->depth; i++)
        rc = strake_buf_printf(&path, "%s -> ", making->chain[i]->name);
    rc = strake_fail(making->err, STRAKE_ECONFIG, "target %s needs itself: %s%s", declared->name,
                     strake_buf_text(&path), declared->name);
    strake_err_place(making->err, declared->place.file, declared->place.line);
    strake_buf_dispose(&path);
    return rc;
}

/* Depth first: what a target needs comes before it. */
static int visit(struct making *making, const struct strake_target *declared, bool chosen)
{
    enum visit *state = &making->visited[declared->position];
    struct strake_plan_target target = { .policies = json_array() };
    struct strake_plan_target *kept;
    int rc = target.policies ? 0 : strake_fail_nomem(making->err);

    if (*state == VISIT_DONE || rc < 0) {
        json_decref(target.policies);
        return rc;
    }
    if (*state == VISIT_OPEN) {
        json_decref(target.policies);
        return refuse_cycle(making, declared);
    }
    *state = VISIT_OPEN;
    making->chain[making->depth++] = declared;
    rc = copy_declared(making, &target, declared);
    if (rc == 0)
        rc = apply_wish(making, &target, chosen);
    if (rc == 0)
        rc = strake_contexts_place(&target, making->project->dir, chosen ? making->wish : NULL,
                                   making->err);
    if (rc == 0)
        rc = finish_target(making, &target, declared);
    if (rc == 0)
        rc = visit_needs(making, &target);
    kept = rc == 0 ? add_target(making) : NULL;
    if (!kept) {
        strake_plan_target_dispose(&target);
        return rc < 0 ? rc : strake_fail_nomem(making->err);
    }
    json_decref(kept->policies);
    *kept = target;
    *state = VISIT_DONE;
    making->depth--;
    return 0;
}

/* A context of the command line: a target without a declaration. */
static int visit_context(struct making *making, const char *context)
{
    struct strake_plan_target *target = add_target(making);
    const char *cwd = making->wish->cwd ? making->wish->cwd : making->project->dir;
    int rc;

    if (!target)
        return strake_fail_nomem(making->err);
    target->name = strake_strdup("default");
    target->stage = strake_strdup("");
    if (!target->name || !target->stage)
        return strake_fail_nomem(making->err);
    rc = set_paths(making, target, cwd, context, NULL);
    if (rc == 0)
        rc = apply_wish(making, target, true);
    if (rc == 0)
        rc = strake_contexts_place(target, cwd, making->wish, making->err);
    return rc < 0 ? rc : finish_target(making, target, NULL);
}

static int choose_default(struct making *making)
{
    const struct strake_project *project = making->project;
    int rc = 0;
    bool any = false;

    for (size_t i = 0; rc == 0 && i < project->target_count; i++) {
        if (project->targets[i]->is_default) {
            rc = visit(making, project->targets[i], true);
            any = true;
        }
    }
    if (rc < 0 || any)
        return rc;
    if (project->target_count == 1)
        return visit(making, project->targets[0], true);
    if (project->target_count == 0)
        return visit_context(making, ".");
    rc = strake_fail(making->err, STRAKE_EUSAGE, "%s declares %zu targets and none is the default",
                     project->file ? project->file : "strake.lua", project->target_count);
    strake_err_hint(making->err, "name targets, or mark one: default = true; `strake plan --all` "
                                 "plans every one");
    return rc;
}

static int choose_all(struct making *making)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < making->project->target_count; i++)
        rc = visit(making, making->project->targets[i], true);
    return rc;
}

static int choose_name(struct making *making, const char *name);

static int choose_group(struct making *making, const struct strake_group *group)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < group->targets.count; i++)
        rc = choose_name(making, group->targets.items[i]);
    return rc;
}

static int choose_name(struct making *making, const char *name)
{
    const struct strake_target *declared = strake_project_target(making->project, name);
    const char *cwd = making->wish->cwd ? making->wish->cwd : making->project->dir;
    char *path;
    bool folder;

    const struct strake_group *group = strake_project_group(making->project, name);

    if (declared)
        return visit(making, declared, true);
    if (group)
        return choose_group(making, group);
    if (strcmp(name, "-") == 0) {
        strake_fail(making->err, STRAKE_EUSAGE,
                    "only `strake build` takes a context from standard input");
        strake_err_hint(making->err, "it can be read once, and no plan carries it: unpack it into "
                                     "a folder and name that");
        return STRAKE_EUSAGE;
    }
    path = strake_context_is_url(name) ? NULL : strake_fs_join(cwd, name);
    folder = path && strake_fs_is_dir(path);
    strake_free(path);
    if (strake_context_is_url(name) || folder)
        return visit_context(making, name);
    if (making->project->target_count == 0) {
        strake_fail(making->err, STRAKE_EUSAGE, "%s is neither a folder nor a URL", name);
        strake_err_hint(making->err, "name the folder that is the build's context, such as `.`");
        return STRAKE_EUSAGE;
    }
    strake_project_no_target(making->project, name, making->err);
    return making->err->code;
}

int strake_plan_make(const struct strake_project *project, const struct strake_wish *wish,
                     struct strake_plan **out, struct strake_err *err)
{
    struct making making = {
        .project = project, .wish = wish, .caching = { .project = project }, .err = err
    };
    int rc = 0;

    making.plan = strake_calloc(1, sizeof(*making.plan));
    making.visited = strake_calloc(project->target_count + 1, sizeof(*making.visited));
    making.chain = strake_calloc(project->target_count + 1, sizeof(*making.chain));
    if (making.plan)
        making.plan->dir = strake_strdup(project->dir);
    if (!making.plan || !making.visited || !making.chain || !making.plan->dir)
        rc = strake_fail_nomem(err);
    else if (wish->all)
        rc = choose_all(&making);
    else if (wish->names.count == 0)
        rc = choose_default(&making);
    for (size_t i = 0; rc == 0 && i < wish->names.count; i++)
        rc = choose_name(&making, wish->names.items[i]);
    strake_free(making.visited);
    strake_caching_dispose(&making.caching);
    strake_free(making.chain);
    if (rc < 0) {
        strake_plan_free(making.plan);
        return rc;
    }
    *out = making.plan;
    return 0;
}
