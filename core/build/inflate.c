/* Decompression by zlib (RFC 1952) and libzstd (RFC 8878), each loaded when a layer needs it. One
 * level of it: what lies in a layer is a tar, and no further packing. */
#include "build/inflate.h"

#include <pthread.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "util/lazy.h"
#include "util/mem.h"

#define PIECE ((size_t)128 * 1024)
/* A frame says how far it looks back, and so much is kept: 128 MiB, as zstd(1) takes it unasked. */
#define WINDOW_LOG_MAX 27
/* zlib: a window of 32 KiB, and gzip's header and no other. */
#define GZIP_WINDOW_BITS (15 + 16)

enum kind { UNKNOWN, PLAIN, GZIP, ZSTD };

struct strake_inflate {
    strake_tar_read_fn read;
    void *ctx;
    char *what;
    enum kind kind;
    unsigned char head[4]; /* the first bytes, which tell what it is */
    size_t head_len;
    const unsigned char *in; /* what the source gave and was not used yet */
    size_t in_len;
    bool source_ended, whole; /* whole: a member or frame has just ended */
    unsigned char *piece;
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

/* ---- the libraries ---- */

static struct {
    int (*init)(z_stream *, int, const char *, int);
    int (*inflate)(z_stream *, int);
    int (*reset)(z_stream *);
    int (*end)(z_stream *);
} zlib;

static struct {
    ZSTD_DCtx *(*create)(void);
    size_t (*free)(ZSTD_DCtx *);
    size_t (*set)(ZSTD_DCtx *, ZSTD_dParameter, int);
    size_t (*decompress)(ZSTD_DCtx *, ZSTD_outBuffer *, ZSTD_inBuffer *);
    unsigned (*is_error)(size_t);
    const char *(*error_name)(size_t);
} libzstd;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool zlib_ready, libzstd_ready; /* guarded by lock */

/* A lock and not pthread_once: a load that failed for want of memory may succeed the next time. */
static int load(bool *ready, const char *soname, const char *package,
                const struct strake_lazy_symbol *symbols, size_t count, struct strake_err *err)
{
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (!*ready) {
        rc = strake_lazy_open(soname, package, symbols, count, err);
        *ready = rc == 0;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

static int load_zlib(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "inflateInit2_", &zlib.init },
        { "inflate", &zlib.inflate },
        { "inflateReset", &zlib.reset },
        { "inflateEnd", &zlib.end },
    };

    return load(&zlib_ready, "libz.so.1", "zlib1g", symbols, sizeof(symbols) / sizeof(symbols[0]),
                err);
}

static int load_zstd(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "ZSTD_createDCtx", &libzstd.create },
        { "ZSTD_freeDCtx", &libzstd.free },
        { "ZSTD_DCtx_setParameter", &libzstd.set },
        { "ZSTD_decompressStream", &libzstd.decompress },
        { "ZSTD_isError", &libzstd.is_error },
        { "ZSTD_getErrorName", &libzstd.error_name },
    };

    return load(&libzstd_ready, "libzstd.so.1", "libzstd1", symbols,
                sizeof(symbols) / sizeof(symbols[0]), err);
}

/* ---- what it is ---- */

int strake_inflate_new(strake_tar_read_fn read, void *ctx, const char *what,
                       struct strake_inflate **out, struct strake_err *err)
{
    struct strake_inflate *inflate = strake_calloc(1, sizeof(*inflate));

    if (!inflate)
        return strake_fail_nomem(err);
    inflate->read = read;
    inflate->ctx = ctx;
    inflate->what = strake_strdup(what);
    if (!inflate->what) {
        strake_inflate_free(inflate);
        return strake_fail_nomem(err);
    }
    *out = inflate;
    return 0;
}

void strake_inflate_free(struct strake_inflate *inflate)
{
    if (!inflate)
        return;
    if (inflate->gzip.state)
        zlib.end(&inflate->gzip);
    if (inflate->zstd)
        libzstd.free(inflate->zstd);
    strake_free(inflate->piece);
    strake_free(inflate->what);
    strake_free(inflate);
}

/* Have some unused bytes. @return 1, 0 at the source's end, or a code. */
static int fill(struct strake_inflate *inflate, struct strake_err *err)
{
    const void *data = NULL;
    ssize_t got;

    if (inflate->in_len)
        return 1;
    if (inflate->source_ended)
        return 0;
    got = inflate->read(inflate->ctx, &data, err);
    if (got < 0)
        return (int)got;
    inflate->in = data;
    inflate->in_len = (size_t)got;
    inflate->source_ended = got == 0;
    return got > 0;
}

static int start_gzip(struct strake_inflate *inflate, struct strake_err *err)
{
    int rc = load_zlib(err);

    if (rc < 0)
        return rc;
    if (zlib.init(&inflate->gzip, GZIP_WINDOW_BITS, ZLIB_VERSION, (int)sizeof(inflate->gzip)) !=
        Z_OK)
        return strake_fail_nomem(err);
    return 0;
}

static int start_zstd(struct strake_inflate *inflate, struct strake_err *err)
{
    int rc = load_zstd(err);

    if (rc < 0)
        return rc;
    inflate->zstd = libzstd.create();
    if (!inflate->zstd)
        return strake_fail_nomem(err);
    libzstd.set(inflate->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return 0;
}

/* zstd's own frames, and those that a reader skips. */
static bool is_zstd(const unsigned char *head, size_t len)
{
    return len == 4 &&
           ((head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd) ||
            ((head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18));
}

static int begin(struct strake_inflate *inflate, struct strake_err *err)
{
    unsigned char *head = inflate->head;
    int rc = 1;

    while (inflate->head_len < sizeof(inflate->head) && (rc = fill(inflate, err)) > 0) {
        head[inflate->head_len++] = *inflate->in++;
        inflate->in_len--;
    }
    if (rc < 0)
        return rc;
    inflate->kind = inflate->head_len >= 2 && head[0] == 0x1f && head[1] == 0x8b ? GZIP
                    : is_zstd(head, inflate->head_len)                           ? ZSTD
                                                                                 : PLAIN;
    if (inflate->kind == PLAIN)
        return 0;
    inflate->piece = strake_malloc(PIECE);
    if (!inflate->piece)
        return strake_fail_nomem(err);
    return inflate->kind == GZIP ? start_gzip(inflate, err) : start_zstd(inflate, err);
}

/* ---- plain bytes ---- */

static int damaged(const struct strake_inflate *inflate, const char *why, struct strake_err *err)
{
    return strake_fail(err, STRAKE_ECORRUPT, "%s cannot be unpacked: %s", inflate->what, why);
}

/* The next input for a decoder: the first bytes, then the source's. @return as fill() */
static int input(struct strake_inflate *inflate, const unsigned char **in, size_t *len,
                 struct strake_err *err)
{
    int rc = inflate->head_len ? 1 : fill(inflate, err);

    *in =
        inflate->head_len ? inflate->head + sizeof(inflate->head) - inflate->head_len : inflate->in;
    *len = inflate->head_len ? inflate->head_len : inflate->in_len;
    return rc;
}

static void used(struct strake_inflate *inflate, size_t len)
{
    if (inflate->head_len) {
        inflate->head_len -= len;
    } else {
        inflate->in += len;
        inflate->in_len -= len;
    }
}

static ssize_t read_plain(struct strake_inflate *inflate, const void **data, struct strake_err *err)
{
    const unsigned char *in;
    size_t len;
    int rc = input(inflate, &in, &len, err);

    if (rc <= 0)
        return rc;
    *data = in;
    used(inflate, len);
    return (ssize_t)len;
}

/* Members may follow each other, and nothing else may follow one. */
static ssize_t read_gzip(struct strake_inflate *inflate, struct strake_err *err)
{
    z_stream *gzip = &inflate->gzip;
    const unsigned char *in;
    size_t len;

    gzip->next_out = inflate->piece;
    gzip->avail_out = (uInt)PIECE;
    while (gzip->avail_out == PIECE) {
        int got = input(inflate, &in, &len, err);
        if (got < 0)
            return got;
        if (got == 0)
            return inflate->whole ? 0 : damaged(inflate, "it ends too early", err);
        if (inflate->whole)
            zlib.reset(gzip);
        gzip->next_in = in;
        gzip->avail_in = (uInt)(len < UINT32_MAX ? len : UINT32_MAX);
        got = zlib.inflate(gzip, Z_NO_FLUSH);
        used(inflate, (size_t)(gzip->next_in - in));
        inflate->whole = got == Z_STREAM_END;
        if (got == Z_MEM_ERROR)
            return strake_fail_nomem(err);
        if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
            return damaged(inflate, gzip->msg ? gzip->msg : "its gzip is damaged", err);
    }
    return (ssize_t)(PIECE - gzip->avail_out);
}

static ssize_t read_zstd(struct strake_inflate *inflate, struct strake_err *err)
{
    ZSTD_outBuffer out = { inflate->piece, PIECE, 0 };
    const unsigned char *in;
    size_t len;

    while (out.pos == 0) {
        ZSTD_inBuffer from = { 0 };
        size_t result;
        int got = input(inflate, &in, &len, err);
        if (got < 0)
            return got;
        if (got > 0)
            from = (ZSTD_inBuffer){ in, len, 0 };
        else if (inflate->whole)
            return 0;
        result = libzstd.decompress(inflate->zstd, &out, &from);
        used(inflate, from.pos);
        if (libzstd.is_error(result))
            return damaged(inflate, libzstd.error_name(result), err);
        inflate->whole = result == 0;
        if (got == 0 && out.pos == 0 && !inflate->whole)
            return damaged(inflate, "it ends too early", err);
    }
    return (ssize_t)out.pos;
}

ssize_t strake_inflate_read(void *ctx, const void **data, struct strake_err *err)
{
    struct strake_inflate *inflate = ctx;
    int rc;

    if (inflate->kind == UNKNOWN) {
        rc = begin(inflate, err);
        if (rc < 0)
            return rc;
        if (inflate->head_len < sizeof(inflate->head)) /* a tiny one: its bytes stand at the end */
            memmove(inflate->head + sizeof(inflate->head) - inflate->head_len, inflate->head,
                    inflate->head_len);
    }
    *data = inflate->piece;
    return inflate->kind == GZIP   ? read_gzip(inflate, err)
           : inflate->kind == ZSTD ? read_zstd(inflate, err)
                                   : read_plain(inflate, data, err);
}
