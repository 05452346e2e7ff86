/* Writing: blobs go into a draft beside the file as they come; the manifest under a tag ends it, and
 * it takes the file's place. Docker finds by manifest.json what it needs, whatever the names are:
 * ours are those of an OCI layout's blobs, so that packed layers keep their digests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "common/draft.h"

#define BLOCK 512
#define CHUNK ((size_t)256 * 1024)

static int fail_errno(const struct archive *archive, struct strake_err *err)
{
    return archive->host->fail(err, STRAKE_EIO, "%s cannot be written: %s", archive->options.path,
                               strerror(errno));
}

static int draft_write(struct archive *archive, const void *data, size_t len,
                       struct strake_err *err)
{
    const char *at = data;

    while (len > 0) {
        ssize_t put = write(archive->draft.fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail_errno(archive, err);
        at += put;
        len -= (size_t)put;
    }
    return 0;
}

static int draft_begin(struct archive *archive, struct strake_err *err)
{
    struct archive_draft *draft = &archive->draft;
    const char *path = archive->options.path, *slash;
    char *folder, *prefix;
    int rc = 0;

    if (draft->path)
        return 0;
    slash = strrchr(path, '/');
    folder = !slash          ? strdup(".")
             : slash == path ? strdup("/")
                             : strndup(path, (size_t)(slash - path));
    prefix = plug_format("%s.draft-", slash ? slash + 1 : path);
    if (!folder || !prefix)
        rc = plug_fail_nomem(archive->host, err);
    if (rc == 0) {
        draft->fd = plug_draft_open(folder, prefix, &draft->path);
        rc = draft->fd < 0 ? fail_errno(archive, err) : 0;
    }
    free(folder);
    free(prefix);
    return rc;
}

void archive_draft_drop(struct archive *archive)
{
    struct archive_draft *draft = &archive->draft;

    if (draft->fd >= 0) {
        unlink(draft->path);
        close(draft->fd);
    }
    free(draft->path);
    plug_list_dispose(&draft->digests);
    *draft = (struct archive_draft){ .fd = -1 };
}

/* ---- members --------------------------------------------------------------------------------- */

static int write_header(struct archive *archive, const char *name, int64_t size,
                        struct strake_err *err)
{
    char head[BLOCK] = "";
    unsigned sum = 0;

    memcpy(head, name, strnlen(name, 100));
    memcpy(head + 100, "0000644", 8);
    memcpy(head + 108, "0000000", 8);
    memcpy(head + 116, "0000000", 8);
    if (size <= 077777777777) {
        snprintf(head + 124, 12, "%011llo", (unsigned long long)size);
    } else { /* as GNU tar and Go's write it */
        head[124] = (char)0x80;
        for (int i = 0; i < 8; i++)
            head[135 - i] = (char)((uint64_t)size >> (8 * i));
    }
    memcpy(head + 136, "00000000000", 12);
    memset(head + 148, ' ', 8);
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)head[i];
    snprintf(head + 148, 8, "%06o", sum);
    return draft_write(archive, head, BLOCK, err);
}

static int write_padding(struct archive *archive, int64_t size, struct strake_err *err)
{
    static const char zeros[BLOCK];

    return draft_write(archive, zeros, (size_t)((BLOCK - size % BLOCK) % BLOCK), err);
}

/* "blobs/sha256/…" of a digest, `out` has 80 bytes. */
static void blob_name(const char *digest, char *out)
{
    snprintf(out, 80, "blobs/sha256/%.64s", digest + strlen("sha256:"));
}

static bool draft_has(const struct archive *archive, const char *digest)
{
    return plug_list_has(&archive->draft.digests, digest);
}

static int fill(struct archive *archive, struct strake_job *job, int64_t size_bytes,
                int64_t (*source)(void *ctx, void *data, size_t cap), void *ctx,
                struct strake_err *err)
{
    char *chunk = malloc(CHUNK);
    int64_t total = 0, got = 1;
    int rc = chunk ? 0 : plug_fail_nomem(archive->host, err);

    while (rc == 0 && (got = source(ctx, chunk, CHUNK)) > 0) {
        total += got;
        rc = total > size_bytes ? STRAKE_ECORRUPT : draft_write(archive, chunk, (size_t)got, err);
        if (rc == 0)
            rc = archive_check_job(archive, job, err);
    }
    free(chunk);
    if (rc == 0 && got < 0)
        rc = (int)got;
    if (rc == 0 && total != size_bytes)
        rc = STRAKE_ECORRUPT;
    if (rc < 0 && archive->host->err_code(err) == 0)
        archive->host->fail(err, rc, "%s: what should be written could not be read",
                            archive->options.path);
    return rc;
}

/* What was not written to its end goes again. */
static int write_blob(struct archive *archive, struct strake_job *job, const char *digest,
                      int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                      void *ctx, struct strake_err *err)
{
    char name[80];
    int rc = draft_begin(archive, err);
    off_t start = rc == 0 ? lseek(archive->draft.fd, 0, SEEK_CUR) : 0;

    if (rc < 0)
        return rc;
    blob_name(digest, name);
    rc = write_header(archive, name, size_bytes, err);
    if (rc == 0)
        rc = fill(archive, job, size_bytes, source, ctx, err);
    if (rc == 0)
        rc = write_padding(archive, size_bytes, err);
    if (rc == 0) {
        plug_list_add(&archive->draft.digests, digest);
        rc = archive->draft.digests.failed ? plug_fail_nomem(archive->host, err) : 0;
    }
    if (rc < 0 && (start < 0 || ftruncate(archive->draft.fd, start) < 0 ||
                   lseek(archive->draft.fd, start, SEEK_SET) < 0))
        archive_draft_drop(archive);
    return rc;
}

int archive_blob_write(struct archive *archive, struct strake_job *job, const char *digest,
                       int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                       void *ctx, struct strake_err *err)
{
    if (draft_has(archive, digest))
        return 0;
    return write_blob(archive, job, digest, size_bytes, source, ctx, err);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A blob of the file that is replaced. */
struct old_blob {
    const struct archive *archive;
    const struct archive_member *member;
    int64_t at;
    struct strake_err *err;
};

static int64_t old_source(void *ctx, void *data, size_t cap)
{
    struct old_blob *old = ctx;
    int64_t left = old->member->size_bytes - old->at;
    size_t n = left < (int64_t)cap ? (size_t)left : cap;
    int rc = archive_pread(old->archive, data, n, old->member->offset + old->at, old->err);

    old->at += (int64_t)n;
    return rc < 0 ? rc : (int64_t)n;
}

/* "blobs/…" of what the manifest names, which the draft has then. NULL: failed */
static json_t *need_blob(struct archive *archive, struct strake_job *job, const json_t *content,
                         struct strake_err *err)
{
    const char *digest = json_string_value(json_object_get(content, "digest"));
    struct old_blob old = { .archive = archive, .err = err };
    char name[80];

    if (!digest || strlen(digest) != 71 || strncmp(digest, "sha256:", 7) != 0) {
        archive->host->fail(err, STRAKE_EREGISTRY, "%s: the manifest has a malformed digest",
                            archive->options.path);
        return NULL;
    }
    if (!draft_has(archive, digest)) {
        old.member = archive_blob_find(archive, digest, err);
        if (!old.member ||
            write_blob(archive, job, digest, old.member->size_bytes, old_source, &old, err) < 0)
            return NULL;
    }
    blob_name(digest, name);
    return json_string(name);
}

/* `name` is what docker load calls the image; one without a repository is none. */
static char *make_listing(struct archive *archive, struct strake_job *job, const char *name,
                          const json_t *manifest, struct strake_err *err)
{
    const json_t *layers = json_object_get(manifest, "layers");
    json_t *config = need_blob(archive, job, json_object_get(manifest, "config"), err);
    json_t *names = json_array(), *listing = NULL;
    char *text = NULL;
    bool whole = config && names;

    for (size_t i = 0; whole && i < json_array_size(layers); i++) {
        json_t *layer = need_blob(archive, job, json_array_get(layers, i), err);
        whole = layer && json_array_append_new(names, layer) == 0;
    }
    if (whole)
        listing =
            json_pack("[{s:O, s:o, s:O}]", "Config", config, "RepoTags",
                      strchr(name, ':') ? json_pack("[s]", name) : json_array(), "Layers", names);
    if (listing)
        text = json_dumps(listing, JSON_COMPACT);
    if (!text && archive->host->err_code(err) == 0)
        plug_fail_nomem(archive->host, err);
    json_decref(listing);
    json_decref(config);
    json_decref(names);
    return text;
}

static int commit(struct archive *archive, const char *listing, struct strake_err *err)
{
    static const char end[2 * BLOCK];
    const int64_t len = (int64_t)strlen(listing);
    int rc = write_header(archive, "manifest.json", len, err);

    if (rc == 0)
        rc = draft_write(archive, listing, (size_t)len, err);
    if (rc == 0)
        rc = write_padding(archive, len, err);
    if (rc == 0)
        rc = draft_write(archive, end, sizeof(end), err);
    if (rc == 0 &&
        (fsync(archive->draft.fd) < 0 || rename(archive->draft.path, archive->options.path) < 0))
        rc = fail_errno(archive, err);
    if (rc == 0) {
        close(archive->draft.fd);
        archive->draft.fd = -1;
    }
    archive_draft_drop(archive);
    return rc;
}

int archive_write(struct archive *archive, struct strake_job *job, const char *name,
                  const void *data, size_t len, struct strake_err *err)
{
    json_t *manifest = json_loadb(data, len, 0, NULL);
    char *listing = NULL;
    int rc = 0;

    if (!json_is_object(json_object_get(manifest, "config"))) {
        rc = archive->host->fail(err, STRAKE_EUSAGE,
                                 "%s: a docker archive holds the image of one platform",
                                 archive->options.path);
        archive->host->err_hint(err, "choose it with --platform, or write a layout: oci:DIR");
    }
    if (rc == 0)
        rc = draft_begin(archive, err);
    if (rc == 0) {
        listing = make_listing(archive, job, name, manifest, err);
        rc = listing ? commit(archive, listing, err) : archive->host->err_code(err);
    }
    free(listing);
    json_decref(manifest);
    return rc;
}
