/* One layer: its bytes made plain, read as a tar, into a tree. */
#include <stdio.h>
#include <string.h>

#include "build/inflate.h"
#include "build/layer_log.h"
#include "build/layers.h"
#include "image/digest.h"

/* How often a cancelled job is noticed within a large file. */
#define PIECES_PER_CHECK 64

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

/* ---- plain bytes ---- */

/* What all layers bring together is bounded. */
struct plain {
    struct strake_inflate *inflate;
    struct strake_layer_reading *reading;
    struct strake_hash *hash; /* of all of it, or NULL */
    const char *what;
};

static ssize_t read_plain(void *ctx, const void **data, struct strake_err *err)
{
    struct plain *plain = ctx;
    ssize_t got = strake_inflate_read(plain->inflate, data, err);

    if (got > 0 && atomic_fetch_add(&plain->reading->bytes, got) > STRAKE_LAYERS_BYTES_MAX - got)
        return strake_fail(err, STRAKE_ETOOBIG,
                           "the image's layers unpack to more than %lld GiB (in %s)",
                           (long long)(STRAKE_LAYERS_BYTES_MAX >> 30), plain->what);
    if (got > 0 && plain->hash && strake_hash_update(plain->hash, *data, (size_t)got) < 0)
        return strake_fail_nomem(err);
    return got;
}

/* ---- entries ---- */

struct layer {
    struct strake_layer_reading *reading;
    struct strake_layer_place *at;
    struct strake_layer_log log;
    struct strake_kept_files kept; /* its own */
    struct plain plain;
    struct strake_tar *tar;
    struct strake_job *job;
    struct strake_err *err;
};

static int check(struct layer *layer)
{
    if (layer->at->turns && strake_turns_ended(layer->at->turns))
        return STRAKE_ECANCELLED;
    return strake_job_check(layer->job, layer->err);
}

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
            rc = check(layer);
        if (rc == 0 && hash && strake_hash_update(hash, data, (size_t)got) < 0)
            rc = strake_fail_nomem(layer->err);
        if (rc == 0 && kept && strake_buf_append(kept, data, (size_t)got) < 0)
            rc = strake_fail_nomem(layer->err);
    }
    return rc;
}

static int take_file(struct layer *layer, const struct strake_tar_entry *entry, const char *path)
{
    struct strake_hash *hash = NULL;
    struct strake_buf *kept = NULL;
    unsigned char content[16];
    int rc = 0;

    if (entry->kind == STRAKE_TAR_FILE && layer->kept.wants && layer->kept.wants(path))
        rc = strake_kept_files_add(&layer->kept, path, entry->size_bytes, &kept, layer->err);
    if (rc == 0 && layer->reading->contents)
        rc = begin_hash(entry, &hash, layer->err);
    if (rc == 0)
        rc = read_content(layer, kept, hash);
    if (rc == 0 && hash)
        rc = end_hash(hash, content, layer->err);
    if (rc == 0)
        rc = strake_layer_log_add(&layer->log, entry, path, "", hash ? content : NULL, layer->err);
    strake_hash_free(hash);
    return rc;
}

static int take_entry(struct layer *layer, const struct strake_tar_entry *entry)
{
    static const unsigned char nothing[16];
    char path[STRAKE_TAR_PATH_MAX], link[STRAKE_TAR_PATH_MAX] = "";

    if (atomic_fetch_add(&layer->reading->entries, 1) >= STRAKE_LAYERS_ENTRIES_MAX)
        return strake_fail(layer->err, STRAKE_ETOOBIG,
                           "the image's layers have more than %d entries",
                           STRAKE_LAYERS_ENTRIES_MAX);
    layer->at->outside += strake_tar_clean(entry->path, path);
    if (entry->kind != STRAKE_TAR_FOLDER && entry->kind != STRAKE_TAR_HARDLINK)
        return take_file(layer, entry, path);
    if (entry->kind == STRAKE_TAR_HARDLINK)
        layer->at->outside += strake_tar_clean(entry->link, link);
    return strake_layer_log_add(&layer->log, entry, path, link,
                                layer->reading->contents ? nothing : NULL, layer->err);
}

/* What stands behind the tar's end says nothing, but the sum of all does. */
static int read_rest(struct layer *layer)
{
    const void *data;
    ssize_t got = 1;
    int rc = 0;

    while (rc == 0 && got > 0) {
        rc = check(layer);
        if (rc == 0)
            got = read_plain(&layer->plain, &data, layer->err);
    }
    return got < 0 ? (int)got : rc;
}

/* The configuration says what a layer unpacks to, and who unpacks it to use it refuses another. */
static int check_diff_id(struct layer *layer)
{
    char digest[STRAKE_DIGEST_TEXT];

    if (!layer->plain.hash)
        return 0;
    if (strake_hash_final(layer->plain.hash, digest) < 0)
        return strake_fail_nomem(layer->err);
    if (strcmp(digest, layer->at->diff_id) == 0)
        return 0;
    strake_fail(layer->err, STRAKE_ECORRUPT,
                "%s unpacks to %s, but the image's configuration says %s", layer->plain.what,
                digest, layer->at->diff_id);
    strake_err_hint(layer->err,
                    "the image is broken where it was made: engines refuse to unpack it");
    return STRAKE_ECORRUPT;
}

static int take_entries(struct layer *layer)
{
    struct strake_tar_entry entry;
    int rc = 0, more = 1;

    while (rc == 0 && more > 0) {
        rc = check(layer);
        if (rc == 0)
            more = strake_tar_next(layer->tar, &entry, layer->err);
        if (more < 0)
            rc = more;
        else if (rc == 0 && more > 0)
            rc = take_entry(layer, &entry);
    }
    if (rc == 0)
        rc = read_rest(layer);
    if (rc == 0)
        rc = check_diff_id(layer);
    if (rc == 0)
        rc = strake_layer_log_end(&layer->log, layer->err);
    if (rc == 0 && layer->reading->kept)
        rc = strake_kept_files_move(layer->reading->kept, &layer->kept, layer->err);
    return rc;
}

int strake_layer_take(struct strake_layer_reading *reading, struct strake_layer_place *at,
                      strake_tar_read_fn read, void *ctx, const char *what, struct strake_job *job,
                      struct strake_err *err)
{
    struct layer layer = {
        .reading = reading,
        .at = at,
        .log = { .tree = reading->tree, .turns = at->turns, .layer = at->layer },
        .kept = { .wants = reading->kept ? reading->kept->wants : NULL },
        .plain = { .reading = reading, .what = what },
        .job = job,
        .err = err,
    };
    int rc = strake_inflate_new(read, ctx, what, &layer.plain.inflate, err);

    at->outside = 0;
    if (rc < 0)
        return rc;
    if (at->diff_id)
        rc = strake_hash_new(&layer.plain.hash, err);
    layer.tar = strake_tar_new(read_plain, &layer.plain, what);
    if (rc == 0)
        rc = layer.tar ? take_entries(&layer) : strake_fail_nomem(err);
    strake_hash_free(layer.plain.hash);
    strake_kept_files_dispose(&layer.kept);
    strake_layer_log_dispose(&layer.log);
    strake_tar_free(layer.tar);
    strake_inflate_free(layer.plain.inflate);
    return rc;
}
