/* From a target's `cache` to the records of BuildKit's --import-cache and --export-cache: asked of
 * the plugin `cache`, or of the one that is named as the type is. */
#include "project/cache.h"

#include <string.h>

#include "image/reference.h"
#include "util/json.h"

/* The plugin of a type. */
struct strake_cache_opened {
    char *type;
    struct strake_instance *plugin;
};

void strake_caching_dispose(struct strake_caching *caching)
{
    for (size_t i = 0; i < caching->count; i++) {
        strake_free(caching->opened[i].type);
        strake_instance_unref(caching->opened[i].plugin);
    }
    strake_free(caching->opened);
    strake_free(caching->branch);
    strake_free(caching->main_branch);
    *caching = (struct strake_caching){ 0 };
}

/* ---- the plugin of a type ---- */

static struct strake_instance *find_plugin(const struct strake_caching *caching, const char *type)
{
    for (size_t i = 0; i < caching->count; i++) {
        if (strcmp(caching->opened[i].type, type) == 0)
            return caching->opened[i].plugin;
    }
    return NULL;
}

/* Keep it for the next target. Takes the reference, also on failure. */
static int keep_plugin(struct strake_caching *caching, const char *type,
                       struct strake_instance *plugin)
{
    struct strake_cache_opened *opened =
        strake_reallocarray(caching->opened, caching->count + 1, sizeof(*opened));
    char *name = strake_strdup(type);

    if (opened)
        caching->opened = opened;
    if (!opened || !name) {
        strake_free(name);
        strake_instance_unref(plugin);
        return STRAKE_ENOMEM;
    }
    opened[caching->count++] = (struct strake_cache_opened){ .type = name, .plugin = plugin };
    return 0;
}

/* Is a plugin of that name installed, and a cache? */
static bool is_cache(const char *type)
{
    const struct strake_loaded *loaded;
    struct strake_cache_v1 vtable;
    struct strake_err ignored = { 0 };
    bool found = strake_loader_load(type, &loaded, &ignored) == 0 &&
                 strake_loader_interface(loaded, "cache/1", &vtable, sizeof(vtable), &ignored) == 0;

    strake_err_dispose(&ignored);
    return found;
}

static int open_plugin(struct strake_caching *caching, const char *type, const char *plugin,
                       struct strake_instance **out, struct strake_err *err)
{
    int rc = strake_instance_open(plugin, plugin, "cache/1", NULL, out, err);

    if (rc == 0 && keep_plugin(caching, type, *out) < 0)
        rc = strake_fail_nomem(err);
    return rc;
}

/* The types of the plugin `cache` first: a plugin cannot take the name of one. */
static int ask_plugin(struct strake_caching *caching, const char *type,
                      const struct strake_cache_request *request, json_t **specs,
                      struct strake_err *err)
{
    struct strake_instance *plugin = find_plugin(caching, type);
    struct strake_err unknown = { 0 };
    int rc;

    if (plugin)
        return strake_cache_specs(plugin, request, specs, err);
    plugin = find_plugin(caching, "");
    rc = plugin ? 0 : open_plugin(caching, "", "cache", &plugin, err);
    if (rc < 0)
        return rc;
    rc = strake_cache_specs(plugin, request, specs, err);
    if (rc != STRAKE_ENOTFOUND || strcmp(type, "cache") == 0 || strpbrk(type, "/."))
        return rc;
    strake_err_move(&unknown, err);
    if (is_cache(type)) {
        strake_err_dispose(&unknown);
        rc = open_plugin(caching, type, type, &plugin, err);
        return rc < 0 ? rc : strake_cache_specs(plugin, request, specs, err);
    }
    strake_err_move(err, &unknown);
    return rc;
}

/* ---- the question ---- */

/* Was the registry of the image declared to speak http? Of loopback BuildKit knows it itself. */
static bool declared_plain(const struct strake_project *project, const char *image)
{
    struct strake_reference ref = { 0 };
    struct strake_err ignored = { 0 };
    const struct strake_block *block = NULL;

    if (*image && strake_reference_parse(image, &ref, &ignored) == 0 &&
        ref.store == STRAKE_STORE_REGISTRY)
        block = strake_project_block(project, STRAKE_BLOCK_REGISTRY, ref.host);
    strake_reference_dispose(&ref);
    strake_err_dispose(&ignored);
    return block && strake_json_bool(block->options, "plain_http", false);
}

/* git is asked only where a name may depend on the branch: not where the user wrote one. */
static bool may_need_branch(const json_t *entry)
{
    const char *written = strake_json_str(entry, "ref");

    if (!written)
        written = strake_json_str(entry, "dest");
    return !written || strstr(written, "{branch}");
}

static int add_list(const json_t *list, struct strake_strings *to)
{
    const json_t *item;
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, item) {
        if (rc == 0 && !strake_strings_has(to, json_string_value(item)))
            rc = strake_strings_add(to, json_string_value(item));
    }
    return rc;
}

static int ask_for(struct strake_caching *caching, const char *type,
                   struct strake_cache_request *request, const char *platform,
                   struct strake_strings *import, struct strake_strings *export,
                   struct strake_err *err)
{
    json_t *specs = NULL;
    int rc;

    request->platform = platform;
    rc = ask_plugin(caching, type, request, &specs, err);
    if (rc == STRAKE_ENOTFOUND)
        rc = strake_err_recode(err, STRAKE_ECONFIG);
    if (rc == 0 && (add_list(json_object_get(specs, "import"), import) < 0 ||
                    add_list(json_object_get(specs, "export"), export) < 0))
        rc = strake_fail_nomem(err);
    json_decref(specs);
    return rc;
}

/* A plugin that has added the type may also show and prune. */
static int keep_ask(const struct strake_caching *caching, const char *type,
                    const struct strake_cache_request *request, struct strake_plan_target *target)
{
    struct strake_plan_cache_ask *asks, *ask;

    if (!find_plugin(caching, type))
        return 0;
    asks = strake_reallocarray(target->cache_asks, target->cache_ask_count + 1, sizeof(*asks));
    if (!asks)
        return STRAKE_ENOMEM;
    target->cache_asks = asks;
    ask = &asks[target->cache_ask_count++];
    *ask = (struct strake_plan_cache_ask){ .type = strake_strdup(type),
                                           .options = strake_strdup(request->options),
                                           .branch = strake_strdup(request->branch),
                                           .main_branch = strake_strdup(request->main_branch) };
    return ask->type && ask->options && ask->branch && ask->main_branch ? 0 : STRAKE_ENOMEM;
}

/* All platforms together, and of several also what a part of them uses: which builder takes which
 * of them is known when they have been asked. */
static int ask_entry(struct strake_caching *caching, const json_t *entry, const char *options,
                     struct strake_plan_target *target, struct strake_err *err)
{
    const char *image = target->images.count ? target->images.items[0] : "";
    const char *type = strake_json_str(entry, "type");
    char *one = target->platforms.count == 1 ? strake_plan_cache_key(&target->platforms) : NULL;
    struct strake_cache_request request = {
        .size = sizeof(request),
        .target = target->name,
        .image = image,
        .branch = caching->branch ? caching->branch : "",
        .options = options,
        .main_branch = caching->main_branch ? caching->main_branch : "",
        .plain_http = declared_plain(caching->project, image),
        .keep_bytes = -1,
        .tags = strake_strings_view(&target->tags),
        .project = caching->project->dir,
    };
    int rc = target->platforms.count == 1 && !one
                 ? strake_fail_nomem(err)
                 : ask_for(caching, type ? type : "", &request, one ? one : "",
                           &target->cache_import, &target->cache_export, err);

    if (rc == 0 && target->platforms.count > 1)
        rc = ask_for(caching, type, &request, STRAKE_CACHE_PLATFORM, &target->cache_part_import,
                     &target->cache_part_export, err);
    if (rc == 0 && keep_ask(caching, type, &request, target) < 0)
        rc = strake_fail_nomem(err);
    strake_free(one);
    return rc;
}

/* A text is short for a table with that type. */
static int decide_entry(struct strake_caching *caching, const json_t *given,
                        struct strake_plan_target *target, struct strake_err *err)
{
    json_t *entry =
        json_is_string(given) ? json_pack("{s:O}", "type", given) : json_incref((json_t *)given);
    struct strake_buf options = { 0 };
    int rc = entry ? 0 : strake_fail_nomem(err);

    if (rc == 0 && !json_is_object(entry)) {
        rc = strake_fail(err, STRAKE_ECONFIG, "`cache` has no type");
        strake_err_hint(err, "for example cache = \"auto\", or { type = \"registry\", ref = REPO "
                             ".. \":cache\" }");
    }
    if (rc == 0 && strake_json_dump(entry, &options) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0 && may_need_branch(entry) && strake_cache_ask_branches(caching) < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = ask_entry(caching, entry, strake_buf_text(&options), target, err);
    strake_buf_dispose(&options);
    json_decref(entry);
    if (rc < 0 && rc != STRAKE_ENOMEM)
        strake_err_prefix(err, "target %s: ", target->name);
    if (rc < 0 && !err->file)
        strake_err_place(err, target->file, target->line);
    return rc;
}

/* What a part uses may also come from what all platforms together have left, and the other way
 * round: when one builder does alone what two did before. */
static int add_singles(struct strake_plan_target *target)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->platforms.count; i++) {
        struct strake_strings one = { .items = &target->platforms.items[i], .count = 1 };
        for (size_t k = 0; rc == 0 && k < target->cache_part_import.count; k++)
            rc = strake_plan_cache_expand(target->cache_part_import.items[k], &one,
                                          &target->cache_import);
    }
    return rc;
}

int strake_cache_decide(struct strake_caching *caching, const json_t *cache,
                        struct strake_plan_target *target, struct strake_err *err)
{
    const json_t *entry;
    size_t i;
    int rc = 0;

    if (json_is_string(cache) || (json_is_object(cache) && json_object_size(cache)))
        rc = decide_entry(caching, cache, target, err);
    json_array_foreach(cache, i, entry) {
        if (rc == 0)
            rc = decide_entry(caching, entry, target, err);
    }
    if (rc == 0 && add_singles(target) < 0)
        rc = strake_fail_nomem(err);
    return rc;
}
