/* The layers of an image, read as streams from wherever it is: nothing is unpacked, and only their
 * files' names and sizes are kept. */
#ifndef STRAKE_BUILD_LAYERS_H
#define STRAKE_BUILD_LAYERS_H

#include "build/store.h"
#include "image/tree.h"

/** What all layers of an image may unpack to, and how many entries they may have. */
#define STRAKE_LAYERS_BYTES_MAX ((int64_t)256 * 1024 * 1024 * 1024)
#define STRAKE_LAYERS_ENTRIES_MAX 20000000

/** Files whose content is wanted too: the databases of package managers. */
struct strake_kept_file {
    char *path;
    struct strake_buf bytes;
};
struct strake_kept_files {
    bool (*wants)(const char *path);
    struct strake_kept_file *items;
    size_t count;
};
/** A large one is not kept; what a later layer has in its place wins. */
#define STRAKE_KEPT_FILE_MAX ((size_t)64 * 1024 * 1024)
#define STRAKE_KEPT_FILES_MAX 10000
void strake_kept_files_dispose(struct strake_kept_files *kept);
/** @return 0 or STRAKE_ENOMEM; `to` is empty before, and to be disposed of either way. */
int strake_kept_files_copy(struct strake_kept_files *to, const struct strake_kept_files *from);

/** The layers that are read into one tree, and what they may still bring. */
struct strake_layer_reading {
    struct strake_tree *tree;
    struct strake_kept_files *kept; /**< may be NULL */
    bool contents;                  /**< tell contents apart: they are hashed */
    int64_t bytes;                  /**< read so far, of STRAKE_LAYERS_BYTES_MAX */
    size_t entries;
    size_t outside; /**< of the last layer: names that are absolute or have `..` in them */
};

/** Read the next layer. Its digest is verified. Blocks; any thread.
 *  @return 0, what the store says, STRAKE_ECORRUPT: other bytes, or no layer; STRAKE_ETOOBIG,
 *          STRAKE_ECANCELLED, STRAKE_ENOMEM */
int strake_layer_read(struct strake_layer_reading *reading,
                      const struct strake_place_in_store *place, const char *digest,
                      int64_t size_bytes, struct strake_job *job, struct strake_err *err);
/** Read one whose bytes come from anywhere: a `strake_tar_read_fn`. The digest is not looked at. */
int strake_layer_take(struct strake_layer_reading *reading,
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
