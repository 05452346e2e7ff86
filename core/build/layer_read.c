/* One layer: its blob out of the store, made plain, read as a tar, into a tree. */
#include <stdio.h>
#include <string.h>

#include "build/inflate.h"
#include "build/layers.h"
#include "image/digest.h"
#include "plugin/feed.h"
#include "util/mem.h"

#define CHUNK ((size_t)256 * 1024)
/* How often a cancelled job is noticed within a large file. */
#define PIECES_PER_CHECK 64

void strake_kept_files_dispose(struct strake_kept_files *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        strake_free(kept->items[i].path);
        strake_buf_dispose(&kept->items[i].bytes);
    }
    strake_free(kept->items);
    kept->items = NULL;
    kept->count = 0;
}

int strake_kept_files_copy(struct strake_kept_files *to, const struct strake_kept_files *from)
{
    *to = (struct strake_kept_files){ .wants = from->wants };
    to->items = strake_calloc(from->count ? from->count : 1, sizeof(*to->items));
    if (!to->items)
        return STRAKE_ENOMEM;
    for (; to->count < from->count; to->count++) {
        const struct strake_kept_file *file = &from->items[to->count];
        struct strake_kept_file *copy = &to->items[to->count];
        copy->path = strake_strdup(file->path);
        copy->bytes = STRAKE_BUF(STRAKE_KEPT_FILE_MAX);
        if (!copy->path ||
            strake_buf_append(&copy->bytes, strake_buf_text(&file->bytes), file->bytes.len) < 0) {
            to->count++;
            return STRAKE_ENOMEM;
        }
    }
    return 0;
}

/* Where its bytes go, empty; *out is NULL when it is not kept. */
static int keep_file(struct strake_kept_files *kept, const char *path, int64_t size,
                     struct strake_buf **out, struct strake_err *err)
{
    struct strake_kept_file *items;

    *out = NULL;
    if (!kept || !kept->wants(path))
        return 0;
    for (size_t i = 0; i < kept->count; i++) {
        if (strcmp(kept->items[i].path, path) == 0) {
            strake_buf_clear(&kept->items[i].bytes);
            *out = size <= (int64_t)STRAKE_KEPT_FILE_MAX ? &kept->items[i].bytes : NULL;
            return 0;
        }
    }
    if (size > (int64_t)STRAKE_KEPT_FILE_MAX || kept->count == STRAKE_KEPT_FILES_MAX)
        return 0;
    items = strake_reallocarray(kept->items, kept->count + 1, sizeof(*items));
    if (!items)
        return strake_fail_nomem(err);
    kept->items = items;
    items[kept->count] = (struct strake_kept_file){ .path = strake_strdup(path),
                                                    .bytes = STRAKE_BUF(STRAKE_KEPT_FILE_MAX) };
    if (!items[kept->count].path)
        return strake_fail_nomem(err);
    *out = &items[kept->count++].bytes;
    return 0;
}

/* ---- what tells contents apart ---- */

static int begin_hash(const struct strake_tar_entry *entry, struct strake_hash **hash,
                      struct strake_err *err)
{
    char head[160];
    int rc = strake_hash_new(hash, err), len;

    if (rc < 0)
        return rc;
    len = snprintf(head, sizeof(head), "%d %o %lld:%lld %u,%u ", (int)entry->kind, entry->mode,
                   (long long)entry->uid, (long long)entry->gid, entry->major, entry->minor);
    strake_hash_update(*hash, head, (size_t)len);
    return strake_hash_update(*hash, entry->link, strlen(entry->link) + 1);
}

static unsigned char hex_value(char c)
{
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Half of the digest is enough: nobody gains by two files that look the same to a reader. */
static int end_hash(struct strake_hash *hash, unsigned char *content, struct strake_err *err)
{
    char digest[STRAKE_DIGEST_TEXT];
    const char *hex = digest + strlen("sha256:");

    if (strake_hash_final(hash, digest) < 0)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < 16; i++)
        content[i] = (unsigned char)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    return 0;
}

/* ---- entries ---- */

struct layer {
    struct strake_layer_reading *reading;
    struct strake_tar *tar;
    struct strake_job *job;
    struct strake_err *err;
};

static int read_content(struct layer *layer, struct strake_buf *kept, struct strake_hash *hash)
{
    const void *data;
    ssize_t got;
    int rc = 0;

    for (unsigned n = 1; rc == 0 && (got = strake_tar_data(layer->tar, &data, layer->err)) != 0;
         n++) {
        if (got < 0)
            return (int)got;
        if (n % PIECES_PER_CHECK == 0)
            rc = strake_job_check(layer->job, layer->err);
        if (rc == 0 && hash && strake_hash_update(hash, data, (size_t)got) < 0)
            rc = strake_fail_nomem(layer->err);
        if (rc == 0 && kept && strake_buf_append(kept, data, (size_t)got) < 0)
            rc = strake_fail_nomem(layer->err);
    }
    return rc;
}

/* It is the file that it names, but takes no room. */
static int take_hardlink(struct layer *layer, const struct strake_tar_entry *entry,
                         const char *path)
{
    struct strake_tree *tree = layer->reading->tree;
    char target[STRAKE_TAR_PATH_MAX];
    unsigned char content[16] = "";
    const unsigned char *found;

    strake_tar_clean(entry->link, target);
    found = strake_tree_content(tree, target);
    if (found)
        memcpy(content, found, sizeof(content));
    return strake_tree_file(tree, path, 0, false, layer->reading->contents ? content : NULL,
                            layer->err);
}

static int take_file(struct layer *layer, const struct strake_tar_entry *entry, const char *path)
{
    struct strake_layer_reading *reading = layer->reading;
    struct strake_hash *hash = NULL;
    struct strake_buf *kept = NULL;
    unsigned char content[16];
    int rc = 0;

    if (entry->kind == STRAKE_TAR_FILE)
        rc = keep_file(reading->kept, path, entry->size_bytes, &kept, layer->err);
    if (rc == 0 && reading->contents)
        rc = begin_hash(entry, &hash, layer->err);
    if (rc == 0)
        rc = read_content(layer, kept, hash);
    if (rc == 0 && hash)
        rc = end_hash(hash, content, layer->err);
    if (rc == 0)
        rc = strake_tree_file(reading->tree, path, entry->size_bytes,
                              entry->kind == STRAKE_TAR_SYMLINK, hash ? content : NULL, layer->err);
    strake_hash_free(hash);
    return rc;
}

static int take_entry(struct layer *layer, const struct strake_tar_entry *entry)
{
    struct strake_layer_reading *reading = layer->reading;
    char path[STRAKE_TAR_PATH_MAX];

    if (++reading->entries > STRAKE_LAYERS_ENTRIES_MAX)
        return strake_fail(layer->err, STRAKE_ETOOBIG,
                           "the image's layers have more than %d entries",
                           STRAKE_LAYERS_ENTRIES_MAX);
    reading->outside += strake_tar_clean(entry->path, path);
    if (entry->kind == STRAKE_TAR_FOLDER)
        return strake_tree_folder(reading->tree, path, layer->err);
    return entry->kind == STRAKE_TAR_HARDLINK ? take_hardlink(layer, entry, path)
                                              : take_file(layer, entry, path);
}

static int take_entries(struct layer *layer)
{
    struct strake_tar_entry entry;
    int rc = strake_tree_begin(layer->reading->tree, layer->err), more = 1;

    layer->reading->outside = 0;
    while (rc == 0 && more > 0) {
        rc = strake_job_check(layer->job, layer->err);
        if (rc == 0)
            more = strake_tar_next(layer->tar, &entry, layer->err);
        if (more < 0)
            rc = more;
        else if (rc == 0 && more > 0)
            rc = take_entry(layer, &entry);
    }
    return rc < 0 ? rc : strake_tree_end(layer->reading->tree, layer->err);
}

int strake_layer_take(struct strake_layer_reading *reading, strake_tar_read_fn read, void *ctx,
                      const char *what, struct strake_job *job, struct strake_err *err)
{
    struct layer layer = { .reading = reading, .job = job, .err = err };
    struct strake_inflate *inflate = NULL;
    int rc = strake_inflate_new(read, ctx, STRAKE_LAYERS_BYTES_MAX - reading->bytes, what, &inflate,
                                err);

    if (rc < 0)
        return rc;
    layer.tar = strake_tar_new(strake_inflate_read, inflate, what);
    rc = layer.tar ? take_entries(&layer) : strake_fail_nomem(err);
    reading->bytes += strake_inflate_bytes(inflate);
    strake_tar_free(layer.tar);
    strake_inflate_free(inflate);
    return rc;
}

/* ---- out of a store ---- */

struct blob {
    struct strake_feed *feed;
    char *chunk;
};

static ssize_t next_chunk(void *ctx, const void **data, struct strake_err *err)
{
    struct blob *blob = ctx;
    int64_t got = strake_feed_take(blob->feed, blob->chunk, CHUNK);

    *data = blob->chunk;
    if (got < 0 && strake_feed_failure(blob->feed, err) == 0)
        strake_fail(err, (int)got, "the layer's bytes ended");
    return (ssize_t)got;
}

/* The blob to its end: only then is it known to be the right one. That tells more than what was
 * found to be wrong with the bytes. */
static int drain(struct blob *blob, struct strake_job *job, int rc, struct strake_err *err)
{
    struct strake_err cause = { 0 };
    const void *data;
    ssize_t got = 1;

    if (rc < 0 && rc != STRAKE_ECORRUPT)
        return rc;
    while (got > 0 && strake_job_check(job, &cause) == 0)
        got = next_chunk(blob, &data, &cause);
    if (cause.code) {
        strake_err_move(err, &cause);
        rc = err->code;
    }
    strake_err_dispose(&cause);
    return rc;
}

int strake_layer_read(struct strake_layer_reading *reading,
                      const struct strake_place_in_store *place, const char *digest,
                      int64_t size_bytes, struct strake_job *job, struct strake_err *err)
{
    struct blob blob = { .chunk = strake_malloc(CHUNK) };
    char *what = strake_asprintf("the layer %.19s…", digest);
    int rc = blob.chunk && what ? 0 : strake_fail_nomem(err);

    if (rc == 0)
        rc = strake_feed_start(place->instance, place->repository, digest, size_bytes, job,
                               &blob.feed, err);
    if (rc == 0) {
        rc = strake_layer_take(reading, next_chunk, &blob, what, job, err);
        rc = drain(&blob, job, rc, err);
        strake_feed_stop(blob.feed);
        strake_feed_unref(blob.feed);
    }
    strake_free(blob.chunk);
    strake_free(what);
    return rc;
}
