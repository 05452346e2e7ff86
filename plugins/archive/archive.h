/* The archive plugin: registry/1 on what `docker save` writes. The manifest that such a file lacks
 * is made from what it says: Docker's schema 2, with the layers as they lie in it.
 *
 *   archive.c  the plugin
 *   members.c  the files of the tar, found by their headers, read where they lie
 *   image.c    manifest.json and the configuration, made a manifest
 *   write.c    another file in its place */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include <jansson.h>
#include <pthread.h>

#include "common/options.h"
#include "common/util.h"

#define ARCHIVE_TEXT_MAX ((int64_t)8 * 1024 * 1024)
#define ARCHIVE_MEMBERS_MAX 100000

struct archive_options {
    char *path;
};

/** A plain file within the tar. */
struct archive_member {
    char name[256];
    char link[101]; /**< of a symbolic link; "" for a file */
    int64_t offset, size_bytes;
};

/** A blob of the image that was made. */
struct archive_blob {
    char digest[72];
    const struct archive_member *member;
};

/** The file that will take the place of ours. */
struct archive_draft {
    int fd;
    char *path;               /**< NULL: nothing begun */
    struct plug_list digests; /**< of the blobs in it */
};

/** An instance: one file. */
struct archive {
    const struct strake_host *host;
    struct archive_options options;
    pthread_mutex_t writing; /**< guards `draft` */
    struct archive_draft draft;
    pthread_rwlock_t lock; /**< guards all below: they change when a draft is done */
    int fd;                /**< -1: there is no file */
    struct archive_member *members;
    size_t member_count;
    struct archive_blob *blobs; /**< the configuration, then the layers */
    size_t blob_count;
    char *manifest;
    char digest[72]; /**< of the manifest */
    json_t *tags;    /**< RepoTags */
};

/** Find all members. @return 0, STRAKE_EREGISTRY: no tar, or a damaged one; STRAKE_ETOOBIG */
int archive_members_read(struct archive *archive, struct strake_err *err);
/** Links are followed. NULL: none of that name. */
const struct archive_member *archive_member_find(const struct archive *archive, const char *name);
/** The whole of a small one. @return 0, STRAKE_ETOOBIG, STRAKE_EIO, STRAKE_ENOMEM */
int archive_member_text(const struct archive *archive, const struct archive_member *member,
                        struct plug_text *text, struct strake_err *err);
/** Exactly these bytes. @return 0 or STRAKE_EIO, described */
int archive_pread(const struct archive *archive, void *data, size_t len, int64_t offset,
                  struct strake_err *err);

/** Make the manifest. @return 0, STRAKE_EREGISTRY: none, or several */
int archive_image_make(struct archive *archive, struct strake_err *err);

/** The member that a blob lies in. NULL: none, described. */
const struct archive_member *archive_blob_find(const struct archive *archive, const char *digest,
                                               struct strake_err *err);
/** @return 0, STRAKE_ECANCELLED, STRAKE_ETIMEOUT */
int archive_check_job(const struct archive *archive, const struct strake_job *job,
                      struct strake_err *err);

/** Write a blob into the draft, and begin one. The caller holds `writing`. */
int archive_blob_write(struct archive *archive, struct strake_job *job, const char *digest,
                       int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                       void *ctx, struct strake_err *err);
/** End it with the image of this manifest, and put it into the file's place; `name` with a tag is
 *  what the image is called in it. The caller holds both
 *  locks. @return also STRAKE_EUSAGE: it is an index; STRAKE_ENOTFOUND: a blob is missing */
int archive_write(struct archive *archive, struct strake_job *job, const char *name,
                  const void *data, size_t len, struct strake_err *err);
/** Leave nothing of it. */
void archive_draft_drop(struct archive *archive);

#endif
