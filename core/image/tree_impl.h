/* What tree.c and those that read a tree share. */
#ifndef STRAKE_IMAGE_TREE_IMPL_H
#define STRAKE_IMAGE_TREE_IMPL_H

#include "image/tree.h"

#define TREE_ROOT 0
#define TREE_NONE UINT32_MAX

enum tree_state { TREE_ABSENT, TREE_FILE, TREE_FOLDER };

/* A path that some layer names. Sizes of its layers but the last are summed up in `lower_…`: a
 * layer may name it twice, and only the last of these counts. */
struct tree_node {
    uint32_t parent, next, child; /* next: the next child of the parent */
    uint32_t name, name_len;      /* in `names` */
    uint32_t layer;               /* the last that names it, or something below it */
    uint32_t cleared;             /* the last that emptied it of what lower ones put there, + 1 */
    uint32_t appearances;         /* in how many layers it is a file, or deleted as one */
    uint32_t account;             /* the last of these */
    uint8_t state;                /* enum tree_state */
    uint8_t symlink;
    int64_t size;                   /* in its last layer, 0 once deleted */
    int64_t lower_sum, lower_least; /* in the layers before */
};

struct tree_changes {
    struct strake_tree_change *items;
    size_t count;
};

struct strake_tree {
    struct tree_node *nodes;
    uint32_t count, cap;
    char *names;
    size_t names_len, names_cap;
    uint32_t *slots; /* of the hash by parent and name: a node's index + 1 */
    size_t slot_count;
    unsigned char (*contents)[16]; /* by node; NULL while none was given */
    uint32_t contents_cap;
    struct strake_tree_layer *layers;
    struct tree_changes *changes; /* one a layer */
    size_t layer_count, layer_cap;
    struct strake_tree_change *touched; /* of the current layer */
    size_t touched_count, touched_cap;
    int64_t steps; /* nodes walked over by deletions */
    bool keep_changes;
};

/** The node of a name below another, or TREE_NONE. */
uint32_t strake_tree_find(const struct strake_tree *tree, uint32_t parent, const char *name,
                          size_t len);

#endif
