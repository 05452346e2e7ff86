/* What a tree holds in the end, and where two of them differ. */
#include <string.h>

#include "image/tree_impl.h"
#include "util/mem.h"

size_t strake_tree_layers(const struct strake_tree *tree)
{
    return tree->layer_count;
}

const struct strake_tree_layer *strake_tree_layer(const struct strake_tree *tree, size_t layer)
{
    return &tree->layers[layer];
}

const struct strake_tree_change *strake_tree_changes(const struct strake_tree *tree, size_t layer,
                                                     size_t *count)
{
    *count = tree->changes[layer].count;
    return tree->changes[layer].items;
}

int strake_tree_path(const struct strake_tree *tree, uint32_t node, struct strake_buf *out)
{
    size_t len = 0;
    char *place;

    strake_buf_clear(out);
    for (uint32_t at = node; at != TREE_ROOT; at = tree->nodes[at].parent)
        len += tree->nodes[at].name_len + 1;
    if (len == 0)
        return 0;
    place = strake_buf_reserve(out, len);
    if (!place)
        return STRAKE_ENOMEM;
    for (uint32_t at = node, end = (uint32_t)len; at != TREE_ROOT; at = tree->nodes[at].parent) {
        end -= tree->nodes[at].name_len;
        memcpy(place + end, tree->names + tree->nodes[at].name, tree->nodes[at].name_len);
        place[--end] = '/';
    }
    strake_buf_grew(out, len);
    return 0;
}

/* The node of a path's file, or TREE_NONE. */
static uint32_t file_at(const struct strake_tree *tree, const char *path)
{
    uint32_t at = TREE_ROOT;

    while (*path && at != TREE_NONE) {
        size_t part = strcspn(path, "/");
        at = strake_tree_find(tree, at, path, part);
        path += part + (path[part] == '/');
    }
    return at != TREE_NONE && tree->nodes[at].state == TREE_FILE ? at : TREE_NONE;
}

bool strake_tree_has(const struct strake_tree *tree, const char *path)
{
    return file_at(tree, path) != TREE_NONE;
}

const unsigned char *strake_tree_content(const struct strake_tree *tree, const char *path)
{
    uint32_t at = file_at(tree, path);

    return at < tree->contents_cap ? tree->contents[at] : NULL;
}

/* ---- two trees ---- */

/* The node of `b` for each of `a`; parents come before what is below them. */
static uint32_t *match(const struct strake_tree *a, const struct strake_tree *b)
{
    uint32_t *nodes = strake_calloc(a->count, sizeof(*nodes));

    if (!nodes)
        return NULL;
    nodes[TREE_ROOT] = TREE_ROOT;
    for (uint32_t i = 1; i < a->count; i++) {
        const struct tree_node *node = &a->nodes[i];
        uint32_t parent = nodes[node->parent];
        nodes[i] = parent == TREE_NONE
                       ? TREE_NONE
                       : strake_tree_find(b, parent, a->names + node->name, node->name_len);
    }
    return nodes;
}

static int64_t size_of(const struct strake_tree *tree, uint32_t at)
{
    return at != TREE_NONE && tree->nodes[at].state == TREE_FILE ? tree->nodes[at].size : -1;
}

static bool same_content(const struct strake_tree *a, uint32_t at_a, const struct strake_tree *b,
                         uint32_t at_b)
{
    if (at_a >= a->contents_cap || at_b >= b->contents_cap) /* a link to nothing has none */
        return at_a >= a->contents_cap && at_b >= b->contents_cap;
    return memcmp(a->contents[at_a], b->contents[at_b], 16) == 0;
}

static int tell(const struct strake_tree *tree, uint32_t at, int64_t a_bytes, int64_t b_bytes,
                struct strake_buf *path, strake_tree_each_fn each, void *ctx)
{
    int rc = strake_tree_path(tree, at, path);

    return rc < 0 ? rc : each(ctx, strake_buf_text(path), a_bytes, b_bytes);
}

int strake_tree_compare(const struct strake_tree *a, const struct strake_tree *b,
                        strake_tree_each_fn each, void *ctx)
{
    uint32_t *in_b = match(a, b), *in_a = match(b, a);
    struct strake_buf path = { 0 };
    int rc = in_a && in_b ? 0 : STRAKE_ENOMEM;

    for (uint32_t i = 1; rc == 0 && i < a->count; i++) {
        int64_t a_bytes = size_of(a, i), b_bytes = size_of(b, in_b[i]);
        if (a_bytes >= 0 && (b_bytes < 0 || !same_content(a, i, b, in_b[i])))
            rc = tell(a, i, a_bytes, b_bytes, &path, each, ctx);
    }
    for (uint32_t i = 1; rc == 0 && i < b->count; i++) {
        if (size_of(b, i) >= 0 && size_of(a, in_a[i]) < 0)
            rc = tell(b, i, -1, size_of(b, i), &path, each, ctx);
    }
    strake_buf_dispose(&path);
    strake_free(in_a);
    strake_free(in_b);
    return rc;
}
