/* The formats are POSIX.1-2001's pax, its ustar, and GNU tar's own; what a reader in Go's library,
 * which every container engine uses, makes of a doubtful header is what is made of it here. */
#include "image/tar.h"

#include <inttypes.h>
#include <string.h>

#include "util/mem.h"

#define BLOCK 512
/* Headers of headers: a name, a link and a pax header may stand before an entry, not a chain. */
#define CHAIN_MAX 16

struct strake_tar {
    strake_tar_read_fn read;
    void *ctx;
    char *what;
    const char *at; /* what was read and not used yet */
    size_t len;
    bool ended;      /* of the source */
    int64_t left;    /* of the current content */
    int64_t padding; /* behind it */
    char header[BLOCK];
    struct strake_buf path, link; /* of the entry to come, from headers before it */
    struct strake_buf extra;      /* a pax header's records */
    char short_path[100 + 1 + 155 + 1];
    char short_link[100 + 1];
    int64_t pax_size, pax_uid, pax_gid; /* -1: not given */
};

struct strake_tar *strake_tar_new(strake_tar_read_fn read, void *ctx, const char *what)
{
    struct strake_tar *tar = strake_calloc(1, sizeof(*tar));

    if (!tar)
        return NULL;
    tar->read = read;
    tar->ctx = ctx;
    tar->what = strake_strdup(what);
    tar->path = tar->link = STRAKE_BUF(STRAKE_TAR_EXTRA_MAX);
    tar->extra = STRAKE_BUF(STRAKE_TAR_EXTRA_MAX);
    if (!tar->what) {
        strake_tar_free(tar);
        return NULL;
    }
    return tar;
}

void strake_tar_free(struct strake_tar *tar)
{
    if (!tar)
        return;
    strake_buf_dispose(&tar->path);
    strake_buf_dispose(&tar->link);
    strake_buf_dispose(&tar->extra);
    strake_free(tar->what);
    strake_free(tar);
}

static int damaged(const struct strake_tar *tar, const char *why, struct strake_err *err)
{
    return strake_fail(err, STRAKE_ECORRUPT, "%s is no tar that can be read: %s", tar->what, why);
}

/* ---- bytes ---- */

/* Have some unused bytes. @return 1, 0 at the end, or a code. */
static int fill(struct strake_tar *tar, struct strake_err *err)
{
    const void *data = NULL;
    ssize_t got;

    if (tar->len)
        return 1;
    if (tar->ended)
        return 0;
    got = tar->read(tar->ctx, &data, err);
    if (got < 0)
        return (int)got;
    tar->at = data;
    tar->len = (size_t)got;
    tar->ended = got == 0;
    return got > 0;
}

/* @return how many of `len` bytes came before the end, or a code */
static ssize_t take(struct strake_tar *tar, char *out, size_t len, struct strake_err *err)
{
    size_t done = 0;

    while (done < len) {
        int rc = fill(tar, err);
        size_t n = tar->len < len - done ? tar->len : len - done;
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        memcpy(out + done, tar->at, n);
        tar->at += n;
        tar->len -= n;
        done += n;
    }
    return (ssize_t)done;
}

static int skip(struct strake_tar *tar, int64_t len, struct strake_err *err)
{
    while (len > 0) {
        int rc = fill(tar, err);
        size_t n = (int64_t)tar->len < len ? tar->len : (size_t)len;
        if (rc < 0)
            return rc;
        if (rc == 0)
            return damaged(tar, "it ends within an entry", err);
        tar->at += n;
        tar->len -= n;
        len -= (int64_t)n;
    }
    return 0;
}

static int64_t padding_of(int64_t size)
{
    return (BLOCK - size % BLOCK) % BLOCK;
}

/* ---- numbers ---- */

/* Octal digits, or big-endian with the top bit set, as GNU tar writes what is too large for those.
 * @return the number, or -1: none that may stand there */
static int64_t number(const char *field, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)field;
    size_t i = 0;
    int64_t value = 0;

    if (bytes[0] & 0x80) {
        value = bytes[0] & 0x7f;
        if (bytes[0] & 0x40)
            return -1;
        for (i = 1; i < len; i++) {
            if (value > INT64_MAX >> 8)
                return -1;
            value = value << 8 | bytes[i];
        }
        return value;
    }
    while (i < len && (bytes[i] == ' ' || bytes[i] == '\0'))
        i++;
    for (; i < len && bytes[i] >= '0' && bytes[i] <= '7'; i++)
        value = value * 8 + (bytes[i] - '0'); /* at most 12 digits */
    return i == len || bytes[i] == ' ' || bytes[i] == '\0' ? value : -1;
}

/* The header's own sum: of its bytes, those of the sum counted as blanks; some old writers took
 * them as signed. */
static bool sum_holds(const char *header)
{
    int64_t told = number(header + 148, 8), plain = 0, with_sign = 0;

    for (size_t i = 0; i < BLOCK; i++) {
        char c = i >= 148 && i < 156 ? ' ' : header[i];
        plain += (unsigned char)c;
        with_sign += (signed char)c;
    }
    return told == plain || told == with_sign;
}

static bool is_zero(const char *header)
{
    for (size_t i = 0; i < BLOCK; i++) {
        if (header[i])
            return false;
    }
    return true;
}

/* ---- headers before an entry ---- */

/* A record's decimal value. @return it, or -1 */
static int64_t decimal(const char *text, size_t len)
{
    int64_t value = 0;

    if (len == 0 || len > 18)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static bool key_is(const char *key, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(key, name, len) == 0;
}

static int set_text(struct strake_tar *tar, struct strake_buf *text, const char *value, size_t len,
                    struct strake_err *err)
{
    if (memchr(value, '\0', len))
        return damaged(tar, "a name has a NUL in it", err);
    strake_buf_clear(text);
    return strake_buf_append(text, value, len) < 0 ? strake_fail_nomem(err) : 0;
}

static int pax_record(struct strake_tar *tar, const char *key, size_t key_len, const char *value,
                      size_t len, struct strake_err *err)
{
    if (key_is(key, key_len, "path") || key_is(key, key_len, "GNU.sparse.name"))
        return set_text(tar, &tar->path, value, len, err);
    if (key_is(key, key_len, "linkpath"))
        return set_text(tar, &tar->link, value, len, err);
    if (key_is(key, key_len, "size")) {
        tar->pax_size = decimal(value, len);
        return tar->pax_size < 0 ? damaged(tar, "a pax header has no usable size", err) : 0;
    }
    if (key_is(key, key_len, "uid"))
        tar->pax_uid = decimal(value, len);
    else if (key_is(key, key_len, "gid"))
        tar->pax_gid = decimal(value, len);
    return 0;
}

/* "LENGTH KEY=VALUE\n", the length of all of it. */
static int pax_records(struct strake_tar *tar, struct strake_err *err)
{
    const char *at = strake_buf_text(&tar->extra), *end = at + tar->extra.len;
    int rc = 0;

    while (rc == 0 && at < end) {
        const char *blank = memchr(at, ' ', (size_t)(end - at)), *equal;
        int64_t len = blank ? decimal(at, (size_t)(blank - at)) : -1;
        if (len < 4 || len > end - at || at[len - 1] != '\n')
            return damaged(tar, "a pax header is malformed", err);
        equal =
            memchr(blank + 1, '=', (size_t)(at + len - 1 > blank ? at + len - 1 - blank - 1 : 0));
        if (!equal)
            return damaged(tar, "a pax header has a record without a value", err);
        rc = pax_record(tar, blank + 1, (size_t)(equal - blank - 1), equal + 1,
                        (size_t)(at + len - 1 - equal - 1), err);
        at += len;
    }
    return rc;
}

static int read_extra(struct strake_tar *tar, struct strake_buf *out, int64_t size,
                      struct strake_err *err)
{
    char *place;
    ssize_t got;

    strake_buf_clear(out);
    if (size > (int64_t)STRAKE_TAR_EXTRA_MAX - 1)
        return damaged(tar, "a header is larger than a megabyte", err);
    place = strake_buf_reserve(out, (size_t)size + 1);
    if (!place)
        return strake_fail_nomem(err);
    got = take(tar, place, (size_t)size, err);
    if (got < 0)
        return (int)got;
    if (got < size)
        return damaged(tar, "it ends within a header", err);
    strake_buf_grew(out, (size_t)size);
    return skip(tar, padding_of(size), err);
}

/* @return 1: it was one, and is read; 0: it is an entry of its own; or a code */
static int read_special(struct strake_tar *tar, struct strake_err *err)
{
    int64_t size = number(tar->header + 124, 12);
    struct strake_buf *name;
    int rc;

    switch (tar->header[156]) {
    case 'x':
    case 'g':
        rc = read_extra(tar, &tar->extra, size, err);
        if (rc == 0 && tar->header[156] == 'x') /* what holds for all entries says nothing of use */
            rc = pax_records(tar, err);
        return rc < 0 ? rc : 1;
    case 'L':
    case 'K':
        name = tar->header[156] == 'L' ? &tar->path : &tar->link;
        rc = read_extra(tar, name, size, err);
        if (rc == 0)
            name->len = strlen(strake_buf_text(name)); /* it ends with a NUL */
        return rc < 0 ? rc : 1;
    default:
        return 0;
    }
}

/* ---- entries ---- */

static enum strake_tar_kind kind_of(const char *header, const char *path)
{
    size_t len = strlen(path);

    switch (header[156]) {
    case '1':
        return STRAKE_TAR_HARDLINK;
    case '2':
        return STRAKE_TAR_SYMLINK;
    case '3':
    case '4':
    case '6':
        return STRAKE_TAR_OTHER;
    case '5':
        return STRAKE_TAR_FOLDER;
    case '\0':
        return len && path[len - 1] == '/' ? STRAKE_TAR_FOLDER : STRAKE_TAR_FILE;
    default:
        return STRAKE_TAR_FILE;
    }
}

static const char *path_of(struct strake_tar *tar)
{
    const char *header = tar->header;
    size_t prefix = 0;

    if (tar->path.len)
        return strake_buf_text(&tar->path);
    /* GNU's own format keeps times where ustar has the front of a long name. */
    if (memcmp(header + 257, "ustar\0", 6) == 0 && header[345]) {
        prefix = strnlen(header + 345, 155);
        memcpy(tar->short_path, header + 345, prefix);
        tar->short_path[prefix++] = '/';
    }
    memcpy(tar->short_path + prefix, header, 100);
    tar->short_path[prefix + 100] = '\0';
    return tar->short_path;
}

static const char *link_of(struct strake_tar *tar)
{
    if (tar->link.len)
        return strake_buf_text(&tar->link);
    memcpy(tar->short_link, tar->header + 157, 100);
    tar->short_link[100] = '\0';
    return tar->short_link;
}

/* GNU's old sparse files: more of the map may stand before the content. */
static int skip_sparse_map(struct strake_tar *tar, struct strake_err *err)
{
    char more = tar->header[482];

    while (tar->header[156] == 'S' && more) {
        char block[BLOCK];
        ssize_t got = take(tar, block, BLOCK, err);
        if (got < 0)
            return (int)got;
        if (got < BLOCK)
            return damaged(tar, "it ends within a header", err);
        more = block[504];
    }
    return 0;
}

static int make_entry(struct strake_tar *tar, struct strake_tar_entry *entry,
                      struct strake_err *err)
{
    const char *header = tar->header;
    int64_t size = tar->pax_size >= 0 ? tar->pax_size : number(header + 124, 12);

    *entry = (struct strake_tar_entry){ .path = path_of(tar), .link = "" };
    if (strlen(entry->path) >= STRAKE_TAR_PATH_MAX)
        return damaged(tar, "a path has more than 4095 bytes", err);
    entry->kind = kind_of(header, entry->path);
    if (entry->kind == STRAKE_TAR_SYMLINK || entry->kind == STRAKE_TAR_HARDLINK)
        entry->link = link_of(tar);
    /* What has no content may state a size all the same. */
    entry->size_bytes = entry->kind == STRAKE_TAR_FILE ? size : 0;
    entry->mode = (uint32_t)(number(header + 100, 8) & 07777);
    entry->uid = tar->pax_uid >= 0 ? tar->pax_uid : number(header + 108, 8);
    entry->gid = tar->pax_gid >= 0 ? tar->pax_gid : number(header + 116, 8);
    if (header[156] == '3' || header[156] == '4') {
        entry->major = (uint32_t)number(header + 329, 8);
        entry->minor = (uint32_t)number(header + 337, 8);
    }
    tar->left = entry->size_bytes;
    tar->padding = padding_of(entry->size_bytes);
    return skip_sparse_map(tar, err);
}

/* @return 1: a header is there; 0 at the end; or a code */
static int read_header(struct strake_tar *tar, struct strake_err *err)
{
    ssize_t got = take(tar, tar->header, BLOCK, err);

    if (got <= 0)
        return (int)got;
    if (got < BLOCK)
        return damaged(tar, "it ends within a header", err);
    if (is_zero(tar->header))
        return 0;
    if (!sum_holds(tar->header))
        return damaged(tar, "the sum of a header is wrong", err);
    if (number(tar->header + 124, 12) < 0)
        return damaged(tar, "an entry has no usable size", err);
    return 1;
}

int strake_tar_next(struct strake_tar *tar, struct strake_tar_entry *entry, struct strake_err *err)
{
    int rc = skip(tar, tar->left, err);

    if (rc == 0)
        rc = skip(tar, tar->padding, err);
    if (rc < 0)
        return rc;
    tar->left = tar->padding = 0;
    strake_buf_clear(&tar->path);
    strake_buf_clear(&tar->link);
    tar->pax_size = tar->pax_uid = tar->pax_gid = -1;
    for (int chain = 0; chain < CHAIN_MAX; chain++) {
        rc = read_header(tar, err);
        if (rc <= 0)
            return rc;
        rc = read_special(tar, err);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            rc = make_entry(tar, entry, err);
            return rc < 0 ? rc : 1;
        }
    }
    return damaged(tar, "too many headers stand before an entry", err);
}

ssize_t strake_tar_data(struct strake_tar *tar, const void **data, struct strake_err *err)
{
    size_t n;
    int rc;

    if (tar->left == 0)
        return 0;
    rc = fill(tar, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return damaged(tar, "it ends within an entry", err);
    n = (int64_t)tar->len < tar->left ? tar->len : (size_t)tar->left;
    *data = tar->at;
    tar->at += n;
    tar->len -= n;
    tar->left -= (int64_t)n;
    return (ssize_t)n;
}

bool strake_tar_clean(const char *name, char *out)
{
    bool odd = *name == '/';
    size_t len = 0;

    for (const char *at = name; *at;) {
        size_t part = strcspn(at, "/");
        if (part == 2 && at[0] == '.' && at[1] == '.') {
            odd = true;
            while (len > 0 && out[--len] != '/')
                ;
        } else if (part > 0 && !(part == 1 && *at == '.') && len + part + 2 < STRAKE_TAR_PATH_MAX) {
            if (len)
                out[len++] = '/';
            memcpy(out + len, at, part);
            len += part;
        }
        at += part + (at[part] == '/');
    }
    out[len] = '\0';
    return odd;
}
