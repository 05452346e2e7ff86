/* Decompression through libarchive, as a raw stream: what lies in it is read by image/tar.c, whose
 * bounds are ours. */
#include "build/inflate.h"

#include "build/libarchive.h"
#include "util/mem.h"

struct strake_inflate {
    strake_tar_read_fn read;
    void *ctx;
    char *what;
    struct archive *archive;
    struct strake_err *err; /* of the call that is being made */
    int64_t bytes, bytes_max;
    bool open, ended;
};

static la_ssize_t feed(struct archive *archive, void *ctx, const void **data)
{
    struct strake_inflate *inflate = ctx;
    ssize_t got;

    (void)archive;
    if (inflate->err->code)
        return ARCHIVE_FATAL;
    got = inflate->read(inflate->ctx, data, inflate->err);
    return got < 0 ? ARCHIVE_FATAL : got;
}

/* What libarchive says, unless it only passes on what the source said. */
static int failed(struct strake_inflate *inflate)
{
    const char *why = strake_archive.error_string(inflate->archive);

    if (inflate->err->code)
        return inflate->err->code;
    return strake_fail(inflate->err, STRAKE_ECORRUPT, "%s cannot be unpacked: %s", inflate->what,
                       why ? why : "it is damaged");
}

int strake_inflate_new(strake_tar_read_fn read, void *ctx, int64_t bytes_max, const char *what,
                       struct strake_inflate **out, struct strake_err *err)
{
    struct strake_inflate *inflate;
    int rc = strake_archive_load(err);

    if (rc < 0)
        return rc;
    inflate = strake_calloc(1, sizeof(*inflate));
    if (!inflate)
        return strake_fail_nomem(err);
    inflate->read = read;
    inflate->ctx = ctx;
    inflate->bytes_max = bytes_max;
    inflate->what = strake_strdup(what);
    inflate->archive = strake_archive.read_new();
    if (!inflate->what || !inflate->archive) {
        strake_inflate_free(inflate);
        return strake_fail_nomem(err);
    }
    strake_archive.support_gzip(inflate->archive);
    strake_archive.support_zstd(inflate->archive);
    strake_archive.support_raw(inflate->archive);
    strake_archive.support_empty(inflate->archive);
    *out = inflate;
    return 0;
}

void strake_inflate_free(struct strake_inflate *inflate)
{
    struct strake_err err = { .code = STRAKE_ECANCELLED };

    if (!inflate)
        return;
    inflate->err = &err; /* it may ask for more when it is closed */
    if (inflate->archive)
        strake_archive.read_free(inflate->archive);
    strake_free(inflate->what);
    strake_free(inflate);
}

static int begin(struct strake_inflate *inflate)
{
    struct archive_entry *entry;
    int got;

    if (strake_archive.open(inflate->archive, inflate, NULL, feed, NULL) != ARCHIVE_OK)
        return failed(inflate);
    inflate->open = true;
    got = strake_archive.next_header(inflate->archive, &entry);
    inflate->ended = got == ARCHIVE_EOF;
    return got == ARCHIVE_OK || got == ARCHIVE_WARN || got == ARCHIVE_EOF ? inflate->err->code
                                                                          : failed(inflate);
}

ssize_t strake_inflate_read(void *ctx, const void **data, struct strake_err *err)
{
    struct strake_inflate *inflate = ctx;
    size_t len = 0;
    la_int64_t at;
    int got = ARCHIVE_OK;

    inflate->err = err;
    if (!inflate->open && begin(inflate) < 0)
        return err->code;
    while (!inflate->ended && len == 0) {
        got = strake_archive.data_block(inflate->archive, data, &len, &at);
        if (got == ARCHIVE_EOF)
            inflate->ended = true;
        else if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return failed(inflate);
    }
    if (err->code) /* the source's own end may be a failure */
        return err->code;
    inflate->bytes += (int64_t)len;
    if (inflate->bytes > inflate->bytes_max)
        return strake_fail(err, STRAKE_ETOOBIG, "%s unpacks to more than %lld bytes", inflate->what,
                           (long long)inflate->bytes_max);
    return inflate->ended ? 0 : (ssize_t)len;
}

int64_t strake_inflate_bytes(const struct strake_inflate *inflate)
{
    return inflate->bytes;
}
