/* The store behind project.h: what the layers declared, in order, and found by name in constant
 * time. */
#include "project/project.h"

#include <string.h>

#include "util/suggest.h"

/* The kinds of things share one index: a key is the kind's number and the name. */
enum kind { KIND_TARGET, KIND_FLOW, KIND_POLICY, KIND_GROUP, KIND_BLOCK };

/* Open addressing over slots; nothing is ever removed. */
struct slot {
    unsigned kind;
    const char *name; /* borrowed from the thing */
    void *thing;
};

/* The project as this file knows it: what others see comes first. */
struct store {
    struct strake_project project;
    struct slot *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t used;
    size_t target_cap, block_cap, policy_cap, flow_cap, group_cap;
};

static const char *const point_names[STRAKE_POINT_COUNT] = {
    [STRAKE_POINT_DOCKERFILE] = "dockerfile", [STRAKE_POINT_PLAN] = "plan",
    [STRAKE_POINT_SOURCE] = "source",         [STRAKE_POINT_IMAGE] = "image",
    [STRAKE_POINT_PUBLISH] = "publish",       [STRAKE_POINT_RETAG] = "retag",
    [STRAKE_POINT_DELETE] = "delete",         [STRAKE_POINT_DEPLOY] = "deploy",
};

static const char *const block_names[] = {
    [STRAKE_BLOCK_BUILDER] = "builder",   [STRAKE_BLOCK_REGISTRY] = "registry",
    [STRAKE_BLOCK_NOTIFIER] = "notifier", [STRAKE_BLOCK_SCANNER] = "scanner",
    [STRAKE_BLOCK_WORKFLOW] = "workflow", [STRAKE_BLOCK_DEPLOYER] = "deployer",
};

const char *strake_point_name(enum strake_point point)
{
    return point < STRAKE_POINT_COUNT ? point_names[point] : "";
}

int strake_point_parse(const char *name)
{
    for (int i = 0; i < STRAKE_POINT_COUNT; i++) {
        if (strcmp(point_names[i], name) == 0)
            return i;
    }
    return -1;
}

/* ---- the index ---- */

/* FNV-1a. Names come from the team's own files: no flooding to fear. */
static size_t hash(unsigned kind, const char *name)
{
    uint64_t h = 1469598103934665603u ^ kind;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot that holds the name, or the empty one where it belongs. */
static struct slot *find_slot(struct slot *slots, size_t count, unsigned kind, const char *name)
{
    size_t at = hash(kind, name) & (count - 1);

    while (slots[at].name && (slots[at].kind != kind || strcmp(slots[at].name, name) != 0))
        at = (at + 1) & (count - 1);
    return &slots[at];
}

static void *lookup(const struct store *store, unsigned kind, const char *name)
{
    return store->slot_count ? find_slot(store->slots, store->slot_count, kind, name)->thing : NULL;
}

/* Have room for one more, so that index_put() cannot fail. */
static int index_reserve(struct store *store)
{
    size_t count = store->slot_count ? store->slot_count * 2 : 64;
    struct slot *slots;

    if (store->slot_count && (store->used + 1) * 4 < store->slot_count * 3)
        return 0;
    slots = strake_calloc(count, sizeof(*slots));
    if (!slots)
        return STRAKE_ENOMEM;
    for (size_t i = 0; i < store->slot_count; i++) {
        const struct slot *old = &store->slots[i];
        if (old->name)
            *find_slot(slots, count, old->kind, old->name) = *old;
    }
    strake_free(store->slots);
    store->slots = slots;
    store->slot_count = count;
    return 0;
}

static void index_put(struct store *store, unsigned kind, const char *name, void *thing)
{
    struct slot *slot = find_slot(store->slots, store->slot_count, kind, name);

    store->used += slot->name == NULL;
    *slot = (struct slot){ .kind = kind, .name = name, .thing = thing };
}

/* Room for one more pointer in one of the lists. */
static int list_reserve(void *list, size_t count, size_t *cap)
{
    void **items, **old;
    size_t grown = *cap ? *cap * 2 : 8;

    if (count < *cap)
        return 0;
    memcpy(&old, list, sizeof(old));
    items = strake_reallocarray(old, grown, sizeof(*items));
    if (!items)
        return STRAKE_ENOMEM;
    memcpy(list, &items, sizeof(items));
    *cap = grown;
    return 0;
}

/* ---- life ---- */

static void place_dispose(struct strake_place *place)
{
    strake_free(place->file);
}

static void target_free(struct strake_target *target)
{
    if (!target)
        return;
    strake_free(target->name);
    place_dispose(&target->place);
    strake_free(target->context);
    strake_free(target->dockerfile);
    strake_free(target->stage);
    strake_strings_dispose(&target->platforms);
    strake_strings_dispose(&target->images);
    strake_strings_dispose(&target->tags);
    strake_strings_dispose(&target->refs);
    strake_strings_dispose(&target->cache_from);
    strake_strings_dispose(&target->cache_to);
    strake_free(target->version);
    strake_pairs_dispose(&target->args);
    strake_pairs_dispose(&target->labels);
    strake_pairs_dispose(&target->annotations);
    strake_pairs_dispose(&target->contexts);
    strake_strings_dispose(&target->after);
    strake_strings_dispose(&target->builders);
    for (size_t i = 0; i < target->secret_count; i++) {
        strake_free(target->secrets[i].id);
        strake_free(target->secrets[i].file);
        strake_free(target->secrets[i].name);
    }
    strake_free(target->secrets);
    strake_extras_dispose(&target->extras);
    json_decref(target->cache);
    strake_free(target);
}

static void block_dispose(struct strake_block *block)
{
    strake_free(block->name);
    strake_free(block->type);
    json_decref(block->options);
    strake_strings_dispose(&block->on);
    place_dispose(&block->place);
}

static void policy_free(struct strake_policy *policy)
{
    if (!policy)
        return;
    strake_free(policy->name);
    place_dispose(&policy->place);
    strake_free(policy);
}

static void flow_free(struct strake_flow *flow)
{
    if (!flow)
        return;
    strake_free(flow->name);
    strake_free(flow->summary);
    for (size_t i = 0; i < flow->arg_count; i++) {
        strake_free(flow->args[i].name);
        strake_free(flow->args[i].pattern);
        strake_free(flow->args[i].fallback);
        strake_free(flow->args[i].summary);
    }
    strake_free(flow->args);
    place_dispose(&flow->place);
    strake_free(flow);
}

static void group_free(struct strake_group *group)
{
    if (!group)
        return;
    strake_free(group->name);
    strake_strings_dispose(&group->targets);
    place_dispose(&group->place);
    strake_free(group);
}

struct strake_project *strake_project_new(const char *dir)
{
    struct store *store = strake_calloc(1, sizeof(*store));

    if (store)
        store->project.dir = strake_strdup(dir);
    if (store && !store->project.dir) {
        strake_free(store);
        return NULL;
    }
    return store ? &store->project : NULL;
}

void strake_project_free(struct strake_project *project)
{
    struct store *store = (struct store *)project;

    if (!project)
        return;
    for (size_t i = 0; i < project->target_count; i++)
        target_free(project->targets[i]);
    for (size_t i = 0; i < project->block_count; i++) {
        block_dispose(project->blocks[i]);
        strake_free(project->blocks[i]);
    }
    for (size_t i = 0; i < project->policy_count; i++)
        policy_free(project->policies[i]);
    for (size_t i = 0; i < project->flow_count; i++)
        flow_free(project->flows[i]);
    for (size_t i = 0; i < project->group_count; i++)
        group_free(project->groups[i]);
    strake_free(project->targets);
    strake_free(project->blocks);
    strake_free(project->policies);
    strake_free(project->flows);
    strake_free(project->groups);
    strake_free(store->slots);
    strake_free(project->dir);
    strake_free(project->file);
    strake_free(store);
}

/* ---- adding ---- */

static int declared_twice(struct strake_err *err, const char *kind, const char *name,
                          const char *file, int line, const struct strake_place *first)
{
    strake_fail(err, STRAKE_ECONFIG, "%s \"%s\" is declared twice: first at %s:%d", kind, name,
                first->file, first->line);
    strake_err_place(err, file, line);
    strake_err_hint(err, "give one of them another name, or remove it");
    return STRAKE_ECONFIG;
}

static int set_place(struct strake_place *place, const char *file, int line)
{
    place->file = strake_strdup(file);
    place->line = line;
    return place->file ? 0 : STRAKE_ENOMEM;
}

int strake_project_add_target(struct strake_project *project, const char *name, const char *file,
                              int line, struct strake_target **out, struct strake_err *err)
{
    struct store *store = (struct store *)project;
    const struct strake_target *known = lookup(store, KIND_TARGET, name);
    struct strake_target *target;

    if (known)
        return declared_twice(err, "target", name, file, line, &known->place);
    if (index_reserve(store) < 0 ||
        list_reserve(&project->targets, project->target_count, &store->target_cap) < 0)
        return strake_fail_nomem(err);
    target = strake_calloc(1, sizeof(*target));
    if (target)
        target->name = strake_strdup(name);
    if (!target || !target->name || set_place(&target->place, file, line) < 0) {
        target_free(target);
        return strake_fail_nomem(err);
    }
    target->position = project->target_count;
    project->targets[project->target_count++] = target;
    index_put(store, KIND_TARGET, target->name, target);
    *out = target;
    return 0;
}

/* Blocks know their layer by their file: the same file twice is a mistake, another file is an inner
 * layer that replaces an outer one's block, in its place in the order. */
static int replace_block(struct strake_block *block, const char *name, const char *file, int line,
                         struct strake_err *err)
{
    struct strake_block fresh = { .kind = block->kind, .name = block->name };

    if (strcmp(block->place.file, file) == 0)
        return declared_twice(err, block_names[block->kind], name, file, line, &block->place);
    if (set_place(&fresh.place, file, line) < 0)
        return strake_fail_nomem(err);
    block->name = NULL; /* the index borrows it: it stays */
    block_dispose(block);
    *block = fresh;
    return 0;
}

int strake_project_add_block(struct strake_project *project, enum strake_block_kind kind,
                             const char *name, const char *file, int line,
                             struct strake_block **out, struct strake_err *err)
{
    struct store *store = (struct store *)project;
    struct strake_block *block = lookup(store, KIND_BLOCK + kind, name);

    if (block) {
        *out = block;
        return replace_block(block, name, file, line, err);
    }
    if (index_reserve(store) < 0 ||
        list_reserve(&project->blocks, project->block_count, &store->block_cap) < 0)
        return strake_fail_nomem(err);
    block = strake_calloc(1, sizeof(*block));
    if (block)
        block->name = strake_strdup(name);
    if (!block || !block->name || set_place(&block->place, file, line) < 0) {
        if (block)
            block_dispose(block);
        strake_free(block);
        return strake_fail_nomem(err);
    }
    block->kind = kind;
    project->blocks[project->block_count++] = block;
    index_put(store, KIND_BLOCK + kind, block->name, block);
    *out = block;
    return 0;
}

/* A name is unique within its layer only: a project can neither replace an organisation's policy
 * nor be kept from using a word that it did not know of. */
int strake_project_add_policy(struct strake_project *project, const char *name,
                              enum strake_point at, enum strake_layer layer, const char *file,
                              int line, struct strake_policy **out, struct strake_err *err)
{
    struct store *store = (struct store *)project;
    struct strake_policy *policy;

    for (size_t i = 0; i < project->policy_count; i++) {
        const struct strake_policy *known = project->policies[i];
        if (known->layer == layer && strcmp(known->name, name) == 0)
            return declared_twice(err, "policy", name, file, line, &known->place);
    }
    if (list_reserve(&project->policies, project->policy_count, &store->policy_cap) < 0)
        return strake_fail_nomem(err);
    policy = strake_calloc(1, sizeof(*policy));
    if (policy)
        policy->name = strake_strdup(name);
    if (!policy || !policy->name || set_place(&policy->place, file, line) < 0) {
        policy_free(policy);
        return strake_fail_nomem(err);
    }
    policy->at = at;
    policy->layer = layer;
    project->policies[project->policy_count++] = policy;
    *out = policy;
    return 0;
}

int strake_project_add_flow(struct strake_project *project, const char *name, const char *file,
                            int line, struct strake_flow **out, struct strake_err *err)
{
    struct store *store = (struct store *)project;
    const struct strake_flow *known = lookup(store, KIND_FLOW, name);
    struct strake_flow *flow;

    if (known)
        return declared_twice(err, "flow", name, file, line, &known->place);
    if (index_reserve(store) < 0 ||
        list_reserve(&project->flows, project->flow_count, &store->flow_cap) < 0)
        return strake_fail_nomem(err);
    flow = strake_calloc(1, sizeof(*flow));
    if (flow)
        flow->name = strake_strdup(name);
    if (!flow || !flow->name || set_place(&flow->place, file, line) < 0) {
        flow_free(flow);
        return strake_fail_nomem(err);
    }
    project->flows[project->flow_count++] = flow;
    index_put(store, KIND_FLOW, flow->name, flow);
    *out = flow;
    return 0;
}

int strake_project_add_group(struct strake_project *project, const char *name,
                             const struct strake_strings *targets, const char *file, int line,
                             struct strake_err *err)
{
    struct store *store = (struct store *)project;
    const struct strake_group *known = lookup(store, KIND_GROUP, name);
    struct strake_group *group;

    if (known)
        return declared_twice(err, "group", name, file, line, &known->place);
    if (index_reserve(store) < 0 ||
        list_reserve(&project->groups, project->group_count, &store->group_cap) < 0)
        return strake_fail_nomem(err);
    group = strake_calloc(1, sizeof(*group));
    if (group)
        group->name = strake_strdup(name);
    if (!group || !group->name || strake_strings_copy(&group->targets, targets) < 0 ||
        set_place(&group->place, file, line) < 0) {
        group_free(group);
        return strake_fail_nomem(err);
    }
    project->groups[project->group_count++] = group;
    index_put(store, KIND_GROUP, group->name, group);
    return 0;
}

/* ---- finding ---- */

struct strake_target *strake_project_target(const struct strake_project *project, const char *name)
{
    return lookup((const struct store *)project, KIND_TARGET, name);
}

struct strake_block *strake_project_block(const struct strake_project *project,
                                          enum strake_block_kind kind, const char *name)
{
    return lookup((const struct store *)project, KIND_BLOCK + kind, name);
}

struct strake_flow *strake_project_flow(const struct strake_project *project, const char *name)
{
    return lookup((const struct store *)project, KIND_FLOW, name);
}

struct strake_group *strake_project_group(const struct strake_project *project, const char *name)
{
    return lookup((const struct store *)project, KIND_GROUP, name);
}

int strake_project_no_target(const struct strake_project *project, const char *name,
                             struct strake_err *err)
{
    struct strake_strings names = { 0 };
    const char *near;
    int rc = 0;

    strake_fail(err, STRAKE_EUSAGE, "no target %s", name);
    for (size_t i = 0; rc == 0 && i < project->target_count; i++)
        rc = strake_strings_add(&names, project->targets[i]->name);
    for (size_t i = 0; rc == 0 && i < project->group_count; i++)
        rc = strake_strings_add(&names, project->groups[i]->name);
    near = rc == 0 ? strake_suggest(name, strake_strings_view(&names)) : NULL;
    if (near)
        strake_err_hint(err, "did you mean %s?", near);
    else if (project->target_count == 0)
        strake_err_hint(err, "declare one: target \"%s\" { … }", name);
    else
        strake_err_hint(err, "`strake plan` lists the targets");
    strake_strings_dispose(&names);
    return STRAKE_EUSAGE;
}
