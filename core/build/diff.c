/* Two images side by side: the layers that both begin with are read once, then each one's own. */
#include "build/diff.h"

#include <stdlib.h>
#include <string.h>

#include "build/inspect.h"
#include "image/packages.h"
#include "util/json.h"
#include "util/mem.h"

/* One of the two. */
struct side {
    const char *ref;
    json_t *document;
    const json_t *entry; /* of its platform */
    struct strake_reference parsed;
    struct strake_place_in_store place;
    struct strake_layer_reading reading;
    struct strake_kept_files kept;
    json_t *packages;
};

struct comparing {
    struct strake_stores *stores;
    struct strake_job *job;
    struct strake_err *err;
    struct strake_diff *out;
    struct side a, b;
    size_t common; /* layers at the bottom that are the same */
};

/* ---- reading ---- */

static int open_side(struct comparing *comparing, struct side *side, const char *platform)
{
    int rc = strake_inspect(comparing->stores, side->ref, comparing->job, &side->document,
                            comparing->err);

    if (rc < 0)
        return rc;
    side->entry = strake_layers_pick(side->document, platform, comparing->err);
    if (!side->entry)
        return comparing->err->code;
    return strake_stores_open_to_read(comparing->stores, side->ref, &side->parsed, &side->place,
                                      comparing->err);
}

static const json_t *layers_of(const struct side *side)
{
    return json_object_get(side->entry, "layers");
}

static const char *layer_digest(const json_t *layers, size_t at)
{
    const char *digest = strake_json_str(json_array_get(layers, at), "digest");

    return digest ? digest : "";
}

static size_t count_common(const json_t *a, const json_t *b)
{
    size_t count = 0;

    while (count < json_array_size(a) && count < json_array_size(b) &&
           strcmp(layer_digest(a, count), layer_digest(b, count)) == 0)
        count++;
    return count;
}

static int read_layers(struct comparing *comparing, struct side *side, size_t first, size_t last)
{
    return strake_layers_take(&side->reading, &side->place, layers_of(side), first, last,
                              comparing->job, comparing->err);
}

static int read_both(struct comparing *comparing)
{
    struct side *a = &comparing->a, *b = &comparing->b;
    int rc;

    a->kept.wants = strake_packages_wants;
    a->reading.tree = strake_tree_new(false);
    a->reading.kept = &a->kept;
    a->reading.contents = true;
    comparing->common = count_common(layers_of(a), layers_of(b));
    rc = a->reading.tree ? read_layers(comparing, a, 0, comparing->common)
                         : strake_fail_nomem(comparing->err);
    if (rc < 0)
        return rc;
    b->reading.kept = &b->kept;
    b->reading.contents = true;
    b->reading.bytes = a->reading.bytes;
    b->reading.entries = a->reading.entries;
    b->reading.tree = strake_tree_clone(a->reading.tree);
    if (!b->reading.tree || strake_kept_files_copy(&b->kept, &a->kept) < 0)
        return strake_fail_nomem(comparing->err);
    rc = read_layers(comparing, a, comparing->common, json_array_size(layers_of(a)));
    return rc < 0 ? rc
                  : read_layers(comparing, b, comparing->common, json_array_size(layers_of(b)));
}

/* ---- files and packages ---- */

static int add_file(void *ctx, const char *path, int64_t a_bytes, int64_t b_bytes)
{
    struct strake_diff *diff = ctx;
    char *copy;

    if (diff->count == diff->cap) {
        size_t cap = diff->cap ? diff->cap * 2 : 64;
        struct strake_diff_file *files = strake_reallocarray(diff->files, cap, sizeof(*files));
        if (!files)
            return STRAKE_ENOMEM;
        diff->files = files;
        diff->cap = cap;
    }
    copy = strake_strdup(path);
    if (!copy)
        return STRAKE_ENOMEM;
    diff->files[diff->count++] =
        (struct strake_diff_file){ .path = copy, .a_bytes = a_bytes, .b_bytes = b_bytes };
    return 0;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct strake_diff_file *)a)->path,
                  ((const struct strake_diff_file *)b)->path);
}

static int read_packages(struct side *side)
{
    side->packages = json_object();
    if (!side->packages)
        return STRAKE_ENOMEM;
    for (size_t i = 0; i < side->kept.count; i++) {
        const struct strake_kept_file *file = &side->kept.items[i];
        if (strake_tree_has(side->reading.tree, file->path) &&
            strake_packages_read(file->path, strake_buf_text(&file->bytes), file->bytes.len,
                                 side->packages) < 0)
            return STRAKE_ENOMEM;
    }
    return 0;
}

/* ---- the document ---- */

static json_t *two(int64_t a, int64_t b)
{
    json_t *list = json_array();

    if (list && (json_array_append_new(list, json_integer(a)) < 0 ||
                 json_array_append_new(list, json_integer(b)) < 0)) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* The layers that only one of them has. */
static json_t *own_layers(const struct side *side, size_t common)
{
    json_t *list = json_array();

    for (size_t i = common; list && i < json_array_size(layers_of(side)); i++) {
        if (json_array_append(list, json_array_get(layers_of(side), i)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *layers_json(const struct comparing *comparing)
{
    json_t *layers = json_object();

    if (!layers || strake_json_set_int(layers, "common", (int64_t)comparing->common) < 0 ||
        strake_json_set(layers, "a", own_layers(&comparing->a, comparing->common)) < 0 ||
        strake_json_set(layers, "b", own_layers(&comparing->b, comparing->common)) < 0) {
        json_decref(layers);
        layers = NULL;
    }
    return layers;
}

static int64_t final_bytes(struct strake_tree *tree)
{
    struct strake_tree_totals totals;

    strake_tree_finish(tree, &totals);
    return totals.final_bytes;
}

static int make_document(struct comparing *comparing)
{
    const json_t *a = comparing->a.entry, *b = comparing->b.entry;
    json_t *doc = json_object();

    comparing->out->document = doc;
    if (!doc || strake_json_set_str(doc, "schema", "strake.diff/1") < 0 ||
        strake_json_set_str(doc, "a", comparing->a.ref) < 0 ||
        strake_json_set_str(doc, "b", comparing->b.ref) < 0 ||
        strake_json_set(doc, "platforms", json_array()) < 0 ||
        strake_json_append_str(json_object_get(doc, "platforms"), strake_json_str(a, "platform")) <
            0 ||
        strake_json_append_str(json_object_get(doc, "platforms"), strake_json_str(b, "platform")) <
            0 ||
        strake_json_set(
            doc, "size_bytes",
            two(strake_json_int(a, "size_bytes", 0), strake_json_int(b, "size_bytes", 0))) < 0 ||
        strake_json_set(doc, "final_bytes",
                        two(final_bytes(comparing->a.reading.tree),
                            final_bytes(comparing->b.reading.tree))) < 0 ||
        strake_json_set(doc, "config", strake_diff_config(a, b)) < 0 ||
        strake_json_set(doc, "layers", layers_json(comparing)) < 0 ||
        strake_json_set(doc, "packages",
                        strake_diff_texts(comparing->a.packages, comparing->b.packages, "name")) <
            0)
        return STRAKE_ENOMEM;
    return 0;
}

static int compare(struct comparing *comparing)
{
    struct strake_diff *out = comparing->out;
    int rc =
        strake_tree_compare(comparing->a.reading.tree, comparing->b.reading.tree, add_file, out);

    if (rc == 0 && out->count)
        qsort(out->files, out->count, sizeof(*out->files), compare_files);
    if (rc == 0)
        rc = read_packages(&comparing->a);
    if (rc == 0)
        rc = read_packages(&comparing->b);
    if (rc == 0)
        rc = make_document(comparing);
    return rc < 0 ? strake_fail_nomem(comparing->err) : 0;
}

static void drop_reading(struct side *side)
{
    strake_kept_files_dispose(&side->kept);
    strake_tree_free(side->reading.tree);
    side->reading = (struct strake_layer_reading){ 0 };
}

/* Layers that mirrors had wrong are read once more, at the registries themselves. */
static bool leave_mirrors(struct comparing *comparing, int rc)
{
    bool a = strake_place_leave_mirrors(&comparing->a.place, rc);
    bool b = strake_place_leave_mirrors(&comparing->b.place, rc);

    if (!a && !b)
        return false;
    drop_reading(&comparing->a);
    drop_reading(&comparing->b);
    strake_err_dispose(comparing->err);
    return true;
}

static void close_side(struct side *side)
{
    drop_reading(side);
    strake_place_in_store_dispose(&side->place);
    strake_reference_dispose(&side->parsed);
    json_decref(side->document);
    json_decref(side->packages);
}

int strake_diff_read(struct strake_stores *stores, const char *a, const char *b,
                     const char *platform, struct strake_job *job, struct strake_diff *out,
                     struct strake_err *err)
{
    struct comparing comparing = {
        .stores = stores, .job = job, .err = err, .out = out, .a = { .ref = a }, .b = { .ref = b }
    };
    int rc = open_side(&comparing, &comparing.a, platform);

    if (rc == 0)
        rc = open_side(&comparing, &comparing.b, platform);
    if (rc == 0)
        rc = read_both(&comparing);
    if (rc < 0 && leave_mirrors(&comparing, rc))
        rc = read_both(&comparing);
    if (rc == 0)
        rc = compare(&comparing);
    close_side(&comparing.a);
    close_side(&comparing.b);
    if (rc < 0)
        strake_diff_dispose(out);
    return rc;
}

void strake_diff_dispose(struct strake_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++)
        strake_free(diff->files[i].path);
    strake_free(diff->files);
    json_decref(diff->document);
    *diff = (struct strake_diff){ 0 };
}
