/* Nodes are indices into one array, names lie in another: a million paths are three allocations. */
#include <string.h>

#include "image/tree_impl.h"
#include "util/mem.h"

/* Nodes that deletions may walk over: who nests them in each other gets no further. */
#define STEPS_MAX 2000000000

static int too_big(struct strake_err *err, const char *what, long long limit)
{
    return strake_fail(err, STRAKE_ETOOBIG, "the image's layers have more than %lld %s", limit,
                       what);
}

struct strake_tree *strake_tree_new(bool keep_changes)
{
    struct strake_tree *tree = strake_calloc(1, sizeof(*tree));

    if (!tree)
        return NULL;
    tree->cap = 256;
    tree->slot_count = 1024;
    tree->nodes = strake_calloc(tree->cap, sizeof(*tree->nodes));
    tree->slots = strake_calloc(tree->slot_count, sizeof(*tree->slots));
    tree->keep_changes = keep_changes;
    if (!tree->nodes || !tree->slots) {
        strake_tree_free(tree);
        return NULL;
    }
    tree->nodes[TREE_ROOT] = (struct tree_node){
        .parent = TREE_NONE, .next = TREE_NONE, .child = TREE_NONE, .state = TREE_FOLDER
    };
    tree->count = 1;
    return tree;
}

void strake_tree_free(struct strake_tree *tree)
{
    if (!tree)
        return;
    for (size_t i = 0; tree->changes && i < tree->layer_count; i++)
        strake_free(tree->changes[i].items);
    strake_free(tree->changes);
    strake_free(tree->layers);
    strake_free(tree->touched);
    strake_free(tree->contents);
    strake_free(tree->slots);
    strake_free(tree->names);
    strake_free(tree->nodes);
    strake_free(tree);
}

static void *copy_of(const void *data, size_t count, size_t size, bool *failed)
{
    void *copy = data ? strake_calloc(count ? count : 1, size) : NULL;

    if (copy)
        memcpy(copy, data, count * size);
    else if (data)
        *failed = true;
    return copy;
}

struct strake_tree *strake_tree_clone(const struct strake_tree *tree)
{
    struct strake_tree *copy = strake_calloc(1, sizeof(*copy));
    bool failed = false;

    if (!copy)
        return NULL;
    *copy = *tree;
    copy->cap = copy->count;
    copy->names_cap = copy->names_len;
    copy->contents_cap = tree->contents_cap < tree->count ? tree->contents_cap : tree->count;
    copy->layer_cap = copy->layer_count;
    copy->keep_changes = false;
    copy->touched = NULL;
    copy->touched_count = copy->touched_cap = 0;
    copy->nodes = copy_of(tree->nodes, copy->cap, sizeof(*copy->nodes), &failed);
    copy->names = copy_of(tree->names, copy->names_cap, 1, &failed);
    copy->slots = copy_of(tree->slots, copy->slot_count, sizeof(*copy->slots), &failed);
    copy->contents = copy_of(tree->contents, copy->contents_cap, sizeof(*copy->contents), &failed);
    copy->layers = copy_of(tree->layers, copy->layer_cap, sizeof(*copy->layers), &failed);
    copy->changes = strake_calloc(copy->layer_cap ? copy->layer_cap : 1, sizeof(*copy->changes));
    if (failed || !copy->changes) {
        strake_tree_free(copy);
        return NULL;
    }
    return copy;
}

/* ---- names ---- */

static size_t hash_of(uint32_t parent, const char *name, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u ^ parent;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
    hash ^= hash >> 29;
    hash *= 0xbf58476d1ce4e5b9u;
    return (size_t)(hash ^ hash >> 32);
}

/* The slot that holds the node, or the empty one where it would be put. */
static size_t slot_of(const struct strake_tree *tree, uint32_t parent, const char *name, size_t len)
{
    size_t at = hash_of(parent, name, len) & (tree->slot_count - 1);

    for (;; at = (at + 1) & (tree->slot_count - 1)) {
        const struct tree_node *node;
        if (tree->slots[at] == 0)
            return at;
        node = &tree->nodes[tree->slots[at] - 1];
        if (node->parent == parent && node->name_len == len &&
            memcmp(tree->names + node->name, name, len) == 0)
            return at;
    }
}

uint32_t strake_tree_find(const struct strake_tree *tree, uint32_t parent, const char *name,
                          size_t len)
{
    uint32_t found = tree->slots[slot_of(tree, parent, name, len)];

    return found ? found - 1 : TREE_NONE;
}

static int grow_slots(struct strake_tree *tree)
{
    uint32_t *old = tree->slots;
    uint32_t *slots = strake_calloc(tree->slot_count * 2, sizeof(*slots));

    if (!slots)
        return STRAKE_ENOMEM;
    tree->slots = slots;
    tree->slot_count *= 2;
    for (uint32_t i = 1; i < tree->count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        slots[slot_of(tree, node->parent, tree->names + node->name, node->name_len)] = i + 1;
    }
    strake_free(old);
    return 0;
}

/* Room for one more node with a name of this length. */
static int make_room(struct strake_tree *tree, size_t len)
{
    if (tree->count == tree->cap) {
        uint32_t cap = tree->cap + tree->cap / 2 + 1;
        struct tree_node *nodes = strake_reallocarray(tree->nodes, cap, sizeof(*nodes));
        if (!nodes)
            return STRAKE_ENOMEM;
        tree->nodes = nodes;
        tree->cap = cap;
    }
    if (tree->names_len + len > tree->names_cap) {
        size_t cap = tree->names_cap + tree->names_cap / 2 + len + 4096;
        char *names = strake_realloc(tree->names, cap);
        if (!names)
            return STRAKE_ENOMEM;
        tree->names = names;
        tree->names_cap = cap;
    }
    return (size_t)tree->count * 4 >= tree->slot_count * 3 ? grow_slots(tree) : 0;
}

static int add_node(struct strake_tree *tree, uint32_t parent, const char *name, size_t len,
                    uint32_t *out, struct strake_err *err)
{
    struct tree_node *node;

    if (tree->count >= STRAKE_TREE_PATHS_MAX)
        return too_big(err, "paths", STRAKE_TREE_PATHS_MAX);
    if (tree->names_len + len > STRAKE_TREE_NAMES_MAX)
        return too_big(err, "bytes of names", (long long)STRAKE_TREE_NAMES_MAX);
    if (make_room(tree, len) < 0)
        return strake_fail_nomem(err);
    node = &tree->nodes[tree->count];
    *node = (struct tree_node){ .parent = parent,
                                .next = tree->nodes[parent].child,
                                .child = TREE_NONE,
                                .name = (uint32_t)tree->names_len,
                                .name_len = (uint32_t)len };
    if (len)
        memcpy(tree->names + tree->names_len, name, len);
    tree->names_len += len;
    tree->slots[slot_of(tree, parent, name, len)] = tree->count + 1;
    tree->nodes[parent].child = tree->count;
    *out = tree->count++;
    return 0;
}

/* ---- what a layer does to a path ---- */

static uint32_t current(const struct strake_tree *tree)
{
    return (uint32_t)tree->layer_count - 1;
}

/* Note what the path was before this layer, and close its account with the layer before. */
static int touch(struct strake_tree *tree, uint32_t at, struct strake_err *err)
{
    struct tree_node *node = &tree->nodes[at];
    struct strake_tree_layer *before = &tree->layers[node->account];

    if (tree->touched_count == tree->touched_cap) {
        size_t cap = tree->touched_cap ? tree->touched_cap * 2 : 256;
        struct strake_tree_change *touched =
            strake_reallocarray(tree->touched, cap, sizeof(*touched));
        if (!touched)
            return strake_fail_nomem(err);
        tree->touched = touched;
        tree->touched_cap = cap;
    }
    tree->touched[tree->touched_count++] = (struct strake_tree_change){
        .node = at,
        .kind = node->state == TREE_FILE ? STRAKE_TREE_CHANGED : STRAKE_TREE_ADDED,
        .was_bytes = node->state == TREE_FILE ? node->size : 0,
    };
    if (node->appearances > 0) {
        before->wasted_bytes += node->size; /* it stands in this layer too */
        before->reclaimable_bytes += node->size;
        node->lower_least = node->appearances == 1 || node->size < node->lower_least
                                ? node->size
                                : node->lower_least;
        node->lower_sum += node->size;
    }
    node->appearances++;
    node->size = 0;
    return 0;
}

/* The path is a file from now on, or (size < 0) none any more. */
static int set_file(struct strake_tree *tree, uint32_t at, int64_t size, bool symlink,
                    struct strake_err *err)
{
    struct tree_node *node = &tree->nodes[at];
    int rc = 0;

    if (node->appearances == 0 || node->account != current(tree))
        rc = touch(tree, at, err);
    if (rc < 0)
        return rc;
    node->layer = node->account = current(tree);
    node->state = size < 0 ? TREE_ABSENT : TREE_FILE;
    node->symlink = symlink;
    node->size = size < 0 ? 0 : size;
    return 0;
}

/* Delete what lower layers put below a folder; what this layer put there stays. */
static int clear(struct strake_tree *tree, uint32_t top, bool all, struct strake_err *err)
{
    uint32_t at = tree->nodes[top].child, layer = current(tree);
    int rc = 0;

    if (tree->nodes[top].cleared == layer + 1 && !all)
        return 0;
    tree->nodes[top].cleared = layer + 1;
    while (rc == 0 && at != TREE_NONE) {
        struct tree_node *node = &tree->nodes[at];
        bool lower = node->layer != layer || all;
        bool down = node->child != TREE_NONE && (node->cleared != layer + 1 || all);
        if (++tree->steps > STEPS_MAX)
            return too_big(err, "deletions within deletions", STEPS_MAX);
        if (down)
            node->cleared = layer + 1;
        if (lower && node->state == TREE_FILE)
            rc = set_file(tree, at, -1, false, err);
        else if (lower && node->state == TREE_FOLDER)
            node->state = TREE_ABSENT;
        if (down) {
            at = tree->nodes[at].child;
            continue;
        }
        while (at != top && tree->nodes[at].next == TREE_NONE)
            at = tree->nodes[at].parent;
        at = at == top ? TREE_NONE : tree->nodes[at].next;
    }
    return rc;
}

static int whiteout(struct strake_tree *tree, uint32_t folder, const char *name, size_t len,
                    struct strake_err *err)
{
    uint32_t at;

    if (len == 0 || (len == 1 && *name == '.') || (len == 2 && memcmp(name, "..", 2) == 0))
        return 0;
    at = strake_tree_find(tree, folder, name, len);
    if (at == TREE_NONE)
        return 0;
    if (tree->nodes[at].state == TREE_FILE)
        return tree->nodes[at].layer == current(tree) ? 0 : set_file(tree, at, -1, false, err);
    if (tree->nodes[at].state == TREE_FOLDER && tree->nodes[at].layer != current(tree))
        tree->nodes[at].state = TREE_ABSENT;
    return clear(tree, at, false, err);
}

/* ---- paths ---- */

/* A folder on the way, which a layer need not name. A symbolic link may lead to one. */
static int pass(struct strake_tree *tree, uint32_t at, struct strake_err *err)
{
    struct tree_node *node = &tree->nodes[at];
    int rc = 0;

    if (node->state == TREE_FILE && node->symlink)
        return 0;
    if (node->state == TREE_FILE)
        rc = set_file(tree, at, -1, false, err);
    node->state = TREE_FOLDER;
    node->layer = current(tree);
    return rc;
}

/* The folder that a path lies in, made where nothing is. *name is its last part. */
static int find_parent(struct strake_tree *tree, const char *path, bool make, uint32_t *out,
                       const char **name, struct strake_err *err)
{
    uint32_t at = TREE_ROOT;
    const char *slash;
    int rc = 0;

    while (rc == 0 && at != TREE_NONE && (slash = strchr(path, '/')) != NULL) {
        uint32_t next = strake_tree_find(tree, at, path, (size_t)(slash - path));
        if (next == TREE_NONE && make)
            rc = add_node(tree, at, path, (size_t)(slash - path), &next, err);
        if (rc == 0 && make)
            rc = pass(tree, next, err);
        at = next;
        path = slash + 1;
    }
    *out = at;
    *name = path;
    return rc;
}

static bool is_whiteout(const char *name)
{
    return strncmp(name, ".wh.", 4) == 0;
}

static int take_whiteout(struct strake_tree *tree, const char *path, struct strake_err *err)
{
    const char *name;
    uint32_t folder;
    int rc = find_parent(tree, path, false, &folder, &name, err);

    if (rc < 0 || folder == TREE_NONE)
        return rc;
    if (strcmp(name, ".wh..wh..opq") == 0)
        return clear(tree, folder, false, err);
    if (strncmp(name, ".wh..wh.", 8) == 0) /* what AUFS kept for itself */
        return 0;
    return whiteout(tree, folder, name + 4, strlen(name + 4), err);
}

static int open_path(struct strake_tree *tree, const char *path, uint32_t *at,
                     struct strake_err *err)
{
    const char *name;
    uint32_t folder;
    int rc = find_parent(tree, path, true, &folder, &name, err);

    if (rc < 0)
        return rc;
    *at = strake_tree_find(tree, folder, name, strlen(name));
    return *at == TREE_NONE ? add_node(tree, folder, name, strlen(name), at, err) : 0;
}

static int set_content(struct strake_tree *tree, uint32_t at, const unsigned char *content)
{
    if (tree->contents_cap <= at) {
        unsigned char(*contents)[16] =
            strake_reallocarray(tree->contents, tree->cap, sizeof(*contents));
        if (!contents)
            return STRAKE_ENOMEM;
        memset(contents + tree->contents_cap, 0,
               (size_t)(tree->cap - tree->contents_cap) * sizeof(*contents));
        tree->contents = contents;
        tree->contents_cap = tree->cap;
    }
    memcpy(tree->contents[at], content, 16);
    return 0;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int strake_tree_file(struct strake_tree *tree, const char *path, int64_t size_bytes, bool symlink,
                     const unsigned char *content, struct strake_err *err)
{
    uint32_t at;
    int rc;

    if (is_whiteout(last_part(path)))
        return take_whiteout(tree, path, err);
    if (!*path)
        return 0; /* the root is a folder, whatever an entry says */
    rc = open_path(tree, path, &at, err);
    if (rc == 0 && tree->nodes[at].state == TREE_FOLDER)
        rc = clear(tree, at, true, err);
    if (rc == 0)
        rc = set_file(tree, at, size_bytes, symlink, err);
    if (rc == 0 && content && set_content(tree, at, content) < 0)
        rc = strake_fail_nomem(err);
    return rc;
}

int strake_tree_folder(struct strake_tree *tree, const char *path, struct strake_err *err)
{
    uint32_t at;
    int rc;

    if (is_whiteout(last_part(path)))
        return take_whiteout(tree, path, err);
    if (!*path)
        return 0;
    rc = open_path(tree, path, &at, err);
    if (rc == 0 && tree->nodes[at].state == TREE_FILE)
        rc = set_file(tree, at, -1, false, err);
    if (rc == 0) {
        tree->nodes[at].state = TREE_FOLDER;
        tree->nodes[at].layer = current(tree);
    }
    return rc;
}

/* ---- layers ---- */

int strake_tree_begin(struct strake_tree *tree, struct strake_err *err)
{
    if (tree->layer_count == tree->layer_cap) {
        size_t cap = tree->layer_cap * 2 + 16;
        struct strake_tree_layer *layers = strake_reallocarray(tree->layers, cap, sizeof(*layers));
        struct tree_changes *changes;
        if (!layers)
            return strake_fail_nomem(err);
        tree->layers = layers;
        changes = strake_reallocarray(tree->changes, cap, sizeof(*changes));
        if (!changes)
            return strake_fail_nomem(err);
        tree->changes = changes;
        tree->layer_cap = cap;
    }
    tree->layers[tree->layer_count] = (struct strake_tree_layer){ 0 };
    tree->changes[tree->layer_count++] = (struct tree_changes){ 0 };
    tree->touched_count = 0;
    return 0;
}

/* What became of a path that was touched. @return false: nothing (a file that came and went) */
static bool settle(struct strake_tree *tree, struct strake_tree_change *change)
{
    struct strake_tree_layer *layer = &tree->layers[current(tree)];
    const struct tree_node *node = &tree->nodes[change->node];
    bool is = node->state == TREE_FILE;

    if (change->kind == STRAKE_TREE_ADDED && !is)
        return false;
    if (change->kind == STRAKE_TREE_CHANGED && !is)
        change->kind = STRAKE_TREE_DELETED;
    change->size_bytes = node->size;
    layer->unpacked_bytes += node->size;
    layer->added += change->kind == STRAKE_TREE_ADDED;
    layer->changed += change->kind == STRAKE_TREE_CHANGED;
    layer->deleted += change->kind == STRAKE_TREE_DELETED;
    return true;
}

int strake_tree_end(struct strake_tree *tree, struct strake_err *err)
{
    struct tree_changes *kept = &tree->changes[current(tree)];
    size_t count = 0;

    for (size_t i = 0; i < tree->touched_count; i++) {
        if (settle(tree, &tree->touched[i]))
            tree->touched[count++] = tree->touched[i];
    }
    tree->touched_count = 0;
    if (!tree->keep_changes || count == 0)
        return 0;
    kept->items = strake_calloc(count, sizeof(*kept->items));
    if (!kept->items)
        return strake_fail_nomem(err);
    memcpy(kept->items, tree->touched, count * sizeof(*kept->items));
    kept->count = count;
    return 0;
}

void strake_tree_finish(struct strake_tree *tree, struct strake_tree_totals *totals)
{
    int64_t least = 0, sum = 0;

    *totals = (struct strake_tree_totals){ 0 };
    for (uint32_t i = 1; i < tree->count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        int64_t total = node->lower_sum + node->size;
        if (node->appearances == 0)
            continue;
        least += node->appearances == 1 || node->size < node->lower_least ? node->size
                                                                          : node->lower_least;
        sum += total;
        if (node->appearances > 1) {
            totals->wasted_bytes += total;
            tree->layers[node->account].wasted_bytes += node->size;
        }
        totals->reclaimable_bytes += node->lower_sum;
        totals->final_bytes += node->size;
        totals->final_files += node->state == TREE_FILE;
    }
    totals->efficiency = sum ? (double)least / (double)sum : 1;
}
