/* The files of an image, layer by layer: what each layer adds, changes and deletes (OCI image
 * specification, layer.md), and what of it no container ever sees. In memory: a few dozen bytes a
 * path, bounded. */
#ifndef STRAKE_IMAGE_TREE_H
#define STRAKE_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

/** Paths of all layers together, and the bytes of their names. */
#define STRAKE_TREE_PATHS_MAX 4000000
#define STRAKE_TREE_NAMES_MAX ((size_t)256 * 1024 * 1024)

/** What one layer did. Files are all that is no folder; a link or a device has 0 bytes. */
struct strake_tree_layer {
    int64_t unpacked_bytes; /**< of all files in it, one that stands in it twice once */
    size_t added, changed, deleted;
    int64_t wasted_bytes;      /**< of files that stand in two or more layers */
    int64_t reclaimable_bytes; /**< of files that a later layer replaces or deletes */
};

/** All layers together. */
struct strake_tree_totals {
    double
        efficiency; /**< sum of each path's smallest size, by the sum of all its sizes; 1: best */
    int64_t wasted_bytes, reclaimable_bytes;
    int64_t final_bytes; /**< of what a container sees */
    size_t final_files;
};

struct strake_tree;

/** `keep_changes`: for strake_tree_change(). NULL: no memory. */
struct strake_tree *strake_tree_new(bool keep_changes);
/** A copy of all of it but the changes. NULL: no memory. */
struct strake_tree *strake_tree_clone(const struct strake_tree *tree);
void strake_tree_free(struct strake_tree *tree);

/** Begin the next layer. @return 0, STRAKE_ENOMEM */
int strake_tree_begin(struct strake_tree *tree, struct strake_err *err);
/** An entry of the layer; `path` is clean (strake_tar_clean()). Whiteouts are known by their names.
 *  @param content what tells its content from another's, or NULL: 16 bytes
 *  @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM */
int strake_tree_file(struct strake_tree *tree, const char *path, int64_t size_bytes, bool symlink,
                     const unsigned char *content, struct strake_err *err);
int strake_tree_folder(struct strake_tree *tree, const char *path, struct strake_err *err);
/** The layer is through. @return 0, STRAKE_ENOMEM */
int strake_tree_end(struct strake_tree *tree, struct strake_err *err);
/** After the last layer: the sums are final then. */
void strake_tree_finish(struct strake_tree *tree, struct strake_tree_totals *totals);

size_t strake_tree_layers(const struct strake_tree *tree);
const struct strake_tree_layer *strake_tree_layer(const struct strake_tree *tree, size_t layer);

enum strake_tree_kind { STRAKE_TREE_ADDED, STRAKE_TREE_CHANGED, STRAKE_TREE_DELETED };

/** One file that a layer changed. */
struct strake_tree_change {
    uint32_t node;
    enum strake_tree_kind kind;
    int64_t was_bytes;  /**< 0 when it is new */
    int64_t size_bytes; /**< 0 when it is deleted */
};
/** The changes of a layer, in the order in which the layer names them. */
const struct strake_tree_change *strake_tree_changes(const struct strake_tree *tree, size_t layer,
                                                     size_t *count);
/** A node's path into `out` (cleared first). @return 0, STRAKE_ENOMEM */
int strake_tree_path(const struct strake_tree *tree, uint32_t node, struct strake_buf *out);
/** Is there a file (true) at this path in the end? */
bool strake_tree_has(const struct strake_tree *tree, const char *path);

/** The 16 bytes that were given with what is there now, or NULL. */
const unsigned char *strake_tree_content(const struct strake_tree *tree, const char *path);

/** Compare what two trees show in the end: `b` is a clone of what `a` was after some layers, or has
 *  none in common with it. @param each is given a path's sizes, -1 where it is not there; a code
 *  ends it. @return 0, that code, STRAKE_ENOMEM */
typedef int (*strake_tree_each_fn)(void *ctx, const char *path, int64_t a_bytes, int64_t b_bytes);
int strake_tree_compare(const struct strake_tree *a, const struct strake_tree *b,
                        strake_tree_each_fn each, void *ctx);

#endif
