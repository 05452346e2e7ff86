/* The layers of an image, read as streams from wherever it is: nothing is unpacked, and only their
 * files' names and sizes are kept. */
#ifndef STRAKE_BUILD_LAYERS_H
#define STRAKE_BUILD_LAYERS_H

#include <stdatomic.h>

#include "build/layer_kept.h"
#include "build/store.h"
#include "image/tree.h"

/** What all layers of an image may unpack to, and how many entries they may have. */
#define STRAKE_LAYERS_BYTES_MAX ((int64_t)256 * 1024 * 1024 * 1024)
#define STRAKE_LAYERS_ENTRIES_MAX 20000000

/** The layers that are read into one tree, and what they may still bring. */
struct strake_layer_reading {
    struct strake_tree *tree;
    struct strake_kept_files *kept; /**< may be NULL */
    bool contents;                  /**< tell contents apart: they are hashed */
    _Atomic int64_t bytes;          /**< read so far, of STRAKE_LAYERS_BYTES_MAX */
    atomic_size_t entries;          /**< of STRAKE_LAYERS_ENTRIES_MAX */
};

/** Read the layers from the first to before the last, several at once where there are processors
 *  for it, so that the tree has them in their order. Their digests are verified. A layer whose names
 *  are absolute or have `..` in them gets a number of those as `outside`. Blocks; any thread.
 *  @param layers objects of strake.image/1; not touched by others meanwhile
 *  @return 0, what the store says, STRAKE_ECORRUPT: other bytes, or no layer; STRAKE_ETOOBIG,
 *          STRAKE_ECANCELLED, STRAKE_ENOMEM: of the lowest layer that has failed */
int strake_layers_take(struct strake_layer_reading *reading,
                       const struct strake_place_in_store *place, const json_t *layers,
                       size_t first, size_t last, struct strake_job *job, struct strake_err *err);

struct strake_turns;
/** One layer of several (build/layer_log.h), or alone: `turns` is NULL. */
struct strake_layer_place {
    struct strake_turns *turns;
    size_t layer;
    const char *diff_id; /**< of what it unpacks to; NULL: not looked at */
    size_t outside;      /**< set: how many names lead out of the image */
};
/** Read one whose bytes come from anywhere: a `strake_tar_read_fn`. The digest is not looked at.
 *  @param what names it in messages */
int strake_layer_take(struct strake_layer_reading *reading, struct strake_layer_place *at,
                      ssize_t (*read)(void *ctx, const void **data, struct strake_err *err),
                      void *ctx, const char *what, struct strake_job *job, struct strake_err *err);

/** One platform of an image. */
struct strake_layers_platform {
    json_t *entry; /**< in the document; borrowed */
    struct strake_tree *tree;
};
/** `strake.image/1`, with what the layers hold, without the files themselves. */
struct strake_layers {
    json_t *document; /**< its `platforms` are those that were read */
    struct strake_layers_platform *platforms;
    size_t count;
};

/** Read the layers of a reference. Blocks; on a worker thread.
 *  @param platform one in normal form, "all", or NULL: this machine's, else the first
 *  @param files keep each layer's changes, for strake_tree_changes() */
int strake_layers_read(struct strake_stores *stores, const char *ref, const char *platform,
                       bool files, struct strake_job *job, struct strake_layers *out,
                       struct strake_err *err);
void strake_layers_dispose(struct strake_layers *layers);

/** The entry of a `strake.image/1` for a platform (NULL: this machine's, else the first).
 *  @return borrowed; NULL, described: it has none, or is no image */
json_t *strake_layers_pick(const json_t *document, const char *platform, struct strake_err *err);

#endif
