/* All layers of an image, into the document that `image show` has. */
#include "build/layers.h"

#include <string.h>

#include "build/inspect.h"
#include "image/platform.h"
#include "util/json.h"
#include "util/mem.h"

/* ---- platforms ---- */

static json_t *find_platform(const json_t *platforms, const char *platform)
{
    json_t *entry;
    size_t i;

    json_array_foreach(platforms, i, entry) {
        const char *name = strake_json_str(entry, "platform");
        if (name && strcmp(name, platform) == 0)
            return entry;
    }
    return NULL;
}

static json_t *has_none(const json_t *document, const char *platform, struct strake_err *err)
{
    struct strake_buf list = STRAKE_BUF(4096);
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(document, "platforms"), i, entry)
        strake_buf_printf(&list, "%s%s", i ? ", " : "", strake_json_str(entry, "platform"));
    strake_fail(err, STRAKE_ENOTFOUND, "%s has no image for %s", strake_json_str(document, "ref"),
                platform);
    strake_err_hint(err, "it has %s", list.len ? strake_buf_text(&list) : "none at all");
    strake_buf_dispose(&list);
    return NULL;
}

json_t *strake_layers_pick(const json_t *document, const char *platform, struct strake_err *err)
{
    const json_t *platforms = json_object_get(document, "platforms");
    json_t *found = find_platform(platforms, platform ? platform : strake_platform_host());

    if (!found && !platform)
        found = json_array_get(platforms, 0);
    return found ? found : has_none(document, platform ? platform : "any platform", err);
}

/* Leave what was asked for in the document. */
static int choose(json_t *document, const char *platform, struct strake_err *err)
{
    json_t *chosen = json_array(), *entry;
    int rc = 0;

    if (platform && strcmp(platform, "all") == 0) {
        json_decref(chosen);
        return 0;
    }
    entry = strake_layers_pick(document, platform, err);
    if (!entry)
        rc = err->code;
    else if (!chosen || json_array_append(chosen, entry) < 0 ||
             json_object_set(document, "platforms", chosen) < 0)
        rc = strake_fail_nomem(err);
    json_decref(chosen);
    return rc;
}

/* ---- layers ---- */

static int note_layer(json_t *entry, const struct strake_tree_layer *layer)
{
    return strake_json_set_int(entry, "unpacked_bytes", layer->unpacked_bytes) < 0 ||
                   strake_json_set_int(entry, "added", (int64_t)layer->added) < 0 ||
                   strake_json_set_int(entry, "changed", (int64_t)layer->changed) < 0 ||
                   strake_json_set_int(entry, "deleted", (int64_t)layer->deleted) < 0 ||
                   strake_json_set_int(entry, "wasted_bytes", layer->wasted_bytes) < 0 ||
                   strake_json_set_int(entry, "reclaimable_bytes", layer->reclaimable_bytes) < 0
               ? STRAKE_ENOMEM
               : 0;
}

static int note_platform(json_t *entry, struct strake_tree *tree)
{
    const json_t *layers = json_object_get(entry, "layers");
    struct strake_tree_totals totals;
    int64_t unpacked = 0;
    int rc = 0;

    strake_tree_finish(tree, &totals);
    for (size_t i = 0; rc == 0 && i < strake_tree_layers(tree); i++) {
        rc = note_layer(json_array_get(layers, i), strake_tree_layer(tree, i));
        unpacked += strake_tree_layer(tree, i)->unpacked_bytes;
    }
    if (rc < 0 || strake_json_set_int(entry, "unpacked_bytes", unpacked) < 0 ||
        strake_json_set_int(entry, "final_bytes", totals.final_bytes) < 0 ||
        strake_json_set_int(entry, "final_files", (int64_t)totals.final_files) < 0 ||
        strake_json_set(entry, "efficiency", json_real(totals.efficiency)) < 0 ||
        strake_json_set_int(entry, "wasted_bytes", totals.wasted_bytes) < 0 ||
        strake_json_set_int(entry, "reclaimable_bytes", totals.reclaimable_bytes) < 0)
        return STRAKE_ENOMEM;
    return 0;
}

static int read_platform(const struct strake_place_in_store *place,
                         struct strake_layers_platform *platform, struct strake_job *job,
                         struct strake_err *err)
{
    struct strake_layer_reading reading = { .tree = platform->tree };
    const json_t *layers = json_object_get(platform->entry, "layers");
    int rc = strake_layers_take(&reading, place, layers, 0, json_array_size(layers), job, err);

    if (rc < 0)
        return rc;
    return note_platform(platform->entry, platform->tree) < 0 ? strake_fail_nomem(err) : 0;
}

static int read_all(const struct strake_place_in_store *place, bool files, struct strake_job *job,
                    struct strake_layers *out, struct strake_err *err)
{
    const json_t *platforms = json_object_get(out->document, "platforms");
    const size_t count = json_array_size(platforms);
    int rc = 0;

    out->platforms = strake_calloc(count ? count : 1, sizeof(*out->platforms));
    if (!out->platforms)
        return strake_fail_nomem(err);
    for (; rc == 0 && out->count < count; out->count++) {
        struct strake_layers_platform *platform = &out->platforms[out->count];
        platform->entry = json_array_get(platforms, out->count);
        platform->tree = strake_tree_new(files);
        rc = platform->tree ? read_platform(place, platform, job, err) : strake_fail_nomem(err);
    }
    return rc;
}

static void drop_platforms(struct strake_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        strake_tree_free(layers->platforms[i].tree);
    strake_free(layers->platforms);
    layers->platforms = NULL;
    layers->count = 0;
}

int strake_layers_read(struct strake_stores *stores, const char *ref, const char *platform,
                       bool files, struct strake_job *job, struct strake_layers *out,
                       struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_inspect(stores, ref, job, &out->document, err);

    if (rc == 0)
        rc = choose(out->document, platform, err);
    if (rc == 0)
        rc = strake_stores_open_to_read(stores, ref, &parsed, &place, err);
    if (rc == 0)
        rc = read_all(&place, files, job, out, err);
    if (rc < 0 && strake_place_leave_mirrors(&place, rc)) {
        drop_platforms(out);
        strake_err_dispose(err);
        rc = read_all(&place, files, job, out, err);
    }
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    if (rc < 0)
        strake_layers_dispose(out);
    return rc;
}

void strake_layers_dispose(struct strake_layers *layers)
{
    drop_platforms(layers);
    json_decref(layers->document);
    *layers = (struct strake_layers){ 0 };
}
