/* The layout plugin: registry/1 on an OCI image layout folder (image-layout.md of the OCI image
 * specification). A tag is an entry of index.json with the annotation
 * org.opencontainers.image.ref.name.
 *
 *   layout.c  the plugin, manifests and tags
 *   referrers.c  what refers to a manifest: what index.json names, and what fallback tags list
 *   blobs.c   the files below blobs/
 *   index.c   index.json and its changes, one at a time
 *   files.c   reading whole files; writing them so that a crash leaves the old or the new one */
#ifndef LAYOUT_LAYOUT_H
#define LAYOUT_LAYOUT_H

#include <jansson.h>

#include "common/options.h"
#include "common/referrers.h"

#define LAYOUT_FILE_MAX ((size_t)8 * 1024 * 1024)
#define LAYOUT_TAG "org.opencontainers.image.ref.name"

struct layout_options {
    char *path;
};

/** An instance: one folder. Constant after open(). */
struct layout {
    const struct strake_host *host;
    struct layout_options options;
};

/* ---- files.c --------------------------------------------------------------------------------- */

/** Open a plain file of the layout, "index.json". @return a descriptor, or STRAKE_ENOTFOUND,
 *  STRAKE_EIO, STRAKE_ENOMEM described. */
int layout_open_file(const struct layout *layout, const char *name, int64_t *size_bytes,
                     struct strake_err *err);
/** The whole of a file, at most LAYOUT_FILE_MAX. @return also STRAKE_ETOOBIG. */
int layout_read_file(const struct layout *layout, const char *name, struct plug_text *bytes,
                     struct strake_err *err);

/** A file that is being written beside its place. Zero-initialised is none. */
struct layout_draft {
    int fd;
    char *path; /**< where it is now; NULL: nothing begun */
};
/** Begin a file in the layout's folder. */
int layout_draft_begin(const struct layout *layout, struct layout_draft *draft,
                       struct strake_err *err);
int layout_draft_write(const struct layout *layout, struct layout_draft *draft, const void *data,
                       size_t len, struct strake_err *err);
/** Sync it and let it take the place of `name`. The draft is ended. */
int layout_draft_commit(const struct layout *layout, struct layout_draft *draft, const char *name,
                        struct strake_err *err);
/** End a draft that was not committed; otherwise nothing. */
void layout_draft_drop(struct layout_draft *draft);

/** Make the folder and what every layout has. */
int layout_make_folder(const struct layout *layout, struct strake_err *err);

/* ---- blobs.c --------------------------------------------------------------------------------- */

/** @return STRAKE_ECANCELLED, STRAKE_ETIMEOUT, described; 0: go on. `job` may be NULL. */
int layout_check_job(const struct layout *layout, const struct strake_job *job,
                     struct strake_err *err);
/** "sha256:" and 64 hexadecimal digits in lower case: what Strake works with. */
bool layout_is_digest(const char *text);
/** "blobs/sha256/…", free it; NULL: out of memory. */
char *layout_blob_name(const char *digest);
int layout_blob_stat(void *self, struct strake_job *job, const char *repository, const char *digest,
                     int64_t *size_bytes, struct strake_err *err);
int layout_blob_get(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                    struct strake_err *err);
int layout_blob_put(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                    int (*rewind)(void *ctx), void *ctx, struct strake_err *err);

/* ---- index.c --------------------------------------------------------------------------------- */

/** index.json, checked: "manifests" is a list of objects with a digest, a type and a size.
 *  @return 0 with a new reference; STRAKE_ENOTFOUND: no layout there; STRAKE_EREGISTRY. */
int layout_index_load(const struct layout *layout, json_t **index, struct strake_err *err);
/** The tag that an entry stands for, borrowed; NULL: none. The last part of a whole reference, as
 *  some tools write it: "docker.io/library/app:1.2" is "1.2". */
const char *layout_entry_tag(const json_t *entry);

/** What to do to the list of manifests. @return 0, or negative to leave all as it was. */
typedef int layout_change(const struct layout *layout, json_t *manifests, void *ctx,
                          struct strake_err *err);
/** Change index.json while nobody else does (flock on the folder): the change is on disk when this
 *  returns 0. The layout is made when it is not there; `change` NULL does no more than that. */
int layout_index_change(const struct layout *layout, struct strake_job *job, layout_change *change,
                        void *ctx, struct strake_err *err);

/* ---- layout.c -------------------------------------------------------------------------------- */

/** The entry for a tag or digest; the latest one of a tag counts. NULL: none. */
const json_t *layout_find_entry(const json_t *manifests, const char *reference);
/** Give a tag to what `descriptor` says, and take it from what had it. */
int layout_set_tag(const struct layout *layout, json_t *manifests, const char *tag,
                   const struct strake_descriptor *descriptor, struct strake_err *err);
/** A blob from memory. */
int layout_write_blob(const struct layout *layout, const char *digest, const void *data, size_t len,
                      struct strake_err *err);

/* ---- referrers.c ----------------------------------------------------------------------------- */

int layout_referrers_of(void *self, struct strake_job *job, const char *repository,
                        const char *digest, const char *artifact_type, struct strake_buf *bytes,
                        struct strake_err *err);
/** As a part of layout_index_change(): `referrer` stands in its subject's fallback tag afterwards,
 *  or (`drop`) no longer. */
int layout_referrers_keep(const struct layout *layout, json_t *manifests,
                          const struct plug_referrer *referrer, const char *digest, bool drop,
                          struct strake_err *err);

#endif
