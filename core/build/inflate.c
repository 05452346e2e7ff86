/* Decompression through libarchive, as a raw stream: what lies in it is read by image/tar.c, whose
 * bounds are ours. */
#include "build/inflate.h"

#include <archive.h>
#include <archive_entry.h>
#include <pthread.h>

#include "util/lazy.h"
#include "util/mem.h"

static struct {
    struct archive *(*read_new)(void);
    int (*read_free)(struct archive *);
    int (*support_raw)(struct archive *);
    int (*support_empty)(struct archive *);
    int (*support_gzip)(struct archive *);
    int (*support_zstd)(struct archive *);
    int (*open)(struct archive *, void *, archive_open_callback *, archive_read_callback *,
                archive_close_callback *);
    int (*next_header)(struct archive *, struct archive_entry **);
    int (*data_block)(struct archive *, const void **, size_t *, la_int64_t *);
    const char *(*error_string)(struct archive *);
} lib;

static pthread_mutex_t lib_lock = PTHREAD_MUTEX_INITIALIZER;
static bool lib_ready; /* guarded by lib_lock */

/* A lock and not pthread_once: a load that failed for want of memory may succeed the next time. */
static int lib_load(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "archive_read_new", &lib.read_new },
        { "archive_read_free", &lib.read_free },
        { "archive_read_support_format_raw", &lib.support_raw },
        { "archive_read_support_format_empty", &lib.support_empty },
        { "archive_read_support_filter_gzip", &lib.support_gzip },
        { "archive_read_support_filter_zstd", &lib.support_zstd },
        { "archive_read_open", &lib.open },
        { "archive_read_next_header", &lib.next_header },
        { "archive_read_data_block", &lib.data_block },
        { "archive_error_string", &lib.error_string },
    };
    int rc = 0;

    pthread_mutex_lock(&lib_lock);
    if (!lib_ready) {
        rc = strake_lazy_open("libarchive.so.13", "libarchive13", symbols,
                              sizeof(symbols) / sizeof(symbols[0]), err);
        lib_ready = rc == 0;
    }
    pthread_mutex_unlock(&lib_lock);
    return rc;
}

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
    const char *why = lib.error_string(inflate->archive);

    if (inflate->err->code)
        return inflate->err->code;
    return strake_fail(inflate->err, STRAKE_ECORRUPT, "%s cannot be unpacked: %s", inflate->what,
                       why ? why : "it is damaged");
}

int strake_inflate_new(strake_tar_read_fn read, void *ctx, int64_t bytes_max, const char *what,
                       struct strake_inflate **out, struct strake_err *err)
{
    struct strake_inflate *inflate;
    int rc = lib_load(err);

    if (rc < 0)
        return rc;
    inflate = strake_calloc(1, sizeof(*inflate));
    if (!inflate)
        return strake_fail_nomem(err);
    inflate->read = read;
    inflate->ctx = ctx;
    inflate->bytes_max = bytes_max;
    inflate->what = strake_strdup(what);
    inflate->archive = lib.read_new();
    if (!inflate->what || !inflate->archive) {
        strake_inflate_free(inflate);
        return strake_fail_nomem(err);
    }
    lib.support_gzip(inflate->archive);
    lib.support_zstd(inflate->archive);
    lib.support_raw(inflate->archive);
    lib.support_empty(inflate->archive);
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
        lib.read_free(inflate->archive);
    strake_free(inflate->what);
    strake_free(inflate);
}

static int begin(struct strake_inflate *inflate)
{
    struct archive_entry *entry;
    int got;

    if (lib.open(inflate->archive, inflate, NULL, feed, NULL) != ARCHIVE_OK)
        return failed(inflate);
    inflate->open = true;
    got = lib.next_header(inflate->archive, &entry);
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
        got = lib.data_block(inflate->archive, data, &len, &at);
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
