/* A registry that holds one blob and takes one, and whose faults the option `fault` names. Its blob
 * is `size` bytes of a pattern; what it was given last goes to the file `into`. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define PIECE 10007 /* does not divide anything */

static bool faulty(const struct fixture *fixture, const char *fault)
{
    char *own = fixture_option(fixture, "fault");
    bool is = own && strcmp(own, fault) == 0;

    free(own);
    return is;
}

static long size_of(const struct fixture *fixture)
{
    char *text = fixture_option(fixture, "size");
    long size = text ? strtol(text, NULL, 10) : 0;

    free(text);
    return size;
}

static void wait_for_gate(const struct fixture *fixture)
{
    char *gate = fixture_option(fixture, "gate");
    struct timespec pause = { .tv_nsec = 5000000 };

    while (gate && access(gate, F_OK) != 0)
        nanosleep(&pause, NULL);
    free(gate);
}

static int store_resolve(void *self, struct strake_job *job, const char *repository,
                         const char *reference, struct strake_descriptor *out,
                         struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)job, (void)repository, (void)err;
    memset(out->media_type, 'm', sizeof(out->media_type)); /* no NUL: the host ends it */
    if (faulty(fixture, "digest"))
        snprintf(out->digest, sizeof(out->digest), "sha256:%s", reference);
    else
        snprintf(out->digest, sizeof(out->digest), "sha256:%064d", 7);
    if (faulty(fixture, "stuck"))
        wait_for_gate(fixture);
    return faulty(fixture, "mute") ? STRAKE_EREGISTRY : faulty(fixture, "positive") ? 3 : 0;
}

static int store_manifest_get(void *self, struct strake_job *job, const char *repository,
                              const char *reference, struct strake_buf *bytes,
                              struct strake_descriptor *out, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)job, (void)repository, (void)reference, (void)err;
    snprintf(out->media_type, sizeof(out->media_type), "application/json");
    return fixture->host->buf_append(bytes, "{}", 2);
}

static int store_manifest_put(void *self, struct strake_job *job, const char *repository,
                              const char *reference, const char *media_type, const void *data,
                              size_t len, struct strake_descriptor *out, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)job, (void)repository, (void)reference, (void)media_type, (void)err;
    if (faulty(fixture, "digest"))
        data = "other", len = 5;
    return fixture->host->digest(data, len, out->digest);
}

static int store_tags(void *self, struct strake_job *job, const char *repository,
                      int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err)
{
    static const char *const tags[] = { "v2", "v1", "not a tag", "v2", "latest" };
    const struct fixture *fixture = self;
    char tag[32];
    int rc = 0;

    (void)job, (void)repository, (void)err;
    for (size_t i = 0; rc == 0 && i < sizeof(tags) / sizeof(tags[0]); i++)
        rc = each(ctx, tags[i]);
    for (int i = 0; rc == 0 && faulty(fixture, "endless"); i++) {
        snprintf(tag, sizeof(tag), "t%d", i);
        rc = each(ctx, tag);
    }
    return rc;
}

static int store_blob_stat(void *self, struct strake_job *job, const char *repository,
                           const char *digest, int64_t *size_bytes, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)job, (void)repository, (void)size_bytes;
    return fixture->host->fail(err, STRAKE_ENOTFOUND, "no blob %s", digest);
}

static int store_blob_get(void *self, struct strake_job *job, const char *repository,
                          const char *digest, int64_t offset,
                          int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                          struct strake_err *err)
{
    const struct fixture *fixture = self;
    long size = size_of(fixture), half = size / 2;
    char piece[PIECE];
    int rc = 0;

    (void)job, (void)repository, (void)digest, (void)offset;
    if (faulty(fixture, "short"))
        size--;
    if (faulty(fixture, "long"))
        size++;
    for (long at = 0; rc == 0 && at < size; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = (char)((at + (long)i) * 31 >> 3);
        if (faulty(fixture, "corrupt") && at + PIECE >= size)
            piece[n - 1] ^= 1; /* the very last byte */
        if (faulty(fixture, "broken") && at > half)
            return fixture->host->fail(err, STRAKE_ENETWORK, "the line broke");
        if (faulty(fixture, "stuck-get") && at > half)
            wait_for_gate(fixture);
        rc = sink(ctx, piece, n);
    }
    return rc;
}

static int store_blob_put(void *self, struct strake_job *job, const char *repository,
                          const char *digest, int64_t size_bytes,
                          int64_t (*source)(void *ctx, void *data, size_t cap),
                          int (*rewind)(void *ctx), void *ctx, struct strake_err *err)
{
    const struct fixture *fixture = self;
    char piece[PIECE + 1];
    char *path = fixture_option(fixture, "into");
    FILE *file = path ? fopen(path, "wb") : NULL;
    bool again = faulty(fixture, "again");
    int64_t taken = 0, n = 1;

    (void)job, (void)repository, (void)digest;
    free(path);
    if (!file)
        return fixture->host->fail(err, STRAKE_EIO, "no file to put it into");
    while (taken < size_bytes && n > 0) {
        n = source(ctx, piece, sizeof(piece));
        if (n > 0)
            fwrite(piece, 1, (size_t)n, file);
        taken += n > 0 ? n : 0;
        if (again && taken > size_bytes / 2) {
            again = false;
            taken = 0;
            n = rewind(ctx) < 0 ? -1 : 1;
            fseek(file, 0, SEEK_SET);
        }
        if (faulty(fixture, "stuck-put") && taken > size_bytes / 2)
            wait_for_gate(fixture);
    }
    fclose(file);
    return taken == size_bytes ? 0 : fixture->host->fail(err, STRAKE_EIO, "its bytes ended early");
}

static const struct strake_registry_v1 registry = {
    .size = sizeof(registry),
    .resolve = store_resolve,
    .manifest_get = store_manifest_get,
    .manifest_put = store_manifest_put,
    .tags = store_tags,
    .blob_stat = store_blob_stat,
    .blob_get = store_blob_get,
    .blob_put = store_blob_put,
};
static const struct strake_interface interfaces[] = { { "registry/1", &registry }, { NULL, NULL } };
static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "store",
    .version = "1",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
