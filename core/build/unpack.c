/* Unpacking through libarchive, which is loaded when it is first needed. It only reads: every file
 * is made by us, from the folder's descriptor downwards and through no link. */
#include "build/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/libarchive.h"
#include "util/mem.h"

#define NAME_BYTES_MAX 4096

/* ---- what it is ---- */

/* The header's own sum: of its bytes, those of the sum counted as blanks. */
static bool is_tar_header(const unsigned char *head)
{
    unsigned long sum = 0, told = 0;
    size_t i = 148;

    for (size_t k = 0; k < STRAKE_UNPACK_MAGIC; k++)
        sum += k >= 148 && k < 156 ? ' ' : head[k];
    while (i < 156 && head[i] == ' ')
        i++;
    for (; i < 156 && head[i] >= '0' && head[i] <= '7'; i++)
        told = told * 8 + (unsigned long)(head[i] - '0');
    return sum == told;
}

bool strake_unpack_is_archive(const void *head, size_t len)
{
    static const struct {
        const char *bytes;
        size_t len;
    } magics[] = { { "\x1f\x8b", 2 },
                   { "BZh", 3 },
                   { "\xfd"
                     "7zXZ\0",
                     6 },
                   { "\x28\xb5\x2f\xfd", 4 } };
    const unsigned char *bytes = head;
    bool whole = len >= STRAKE_UNPACK_MAGIC, empty = whole; /* a tar of nothing is zeros alone */

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (len >= magics[i].len && memcmp(bytes, magics[i].bytes, magics[i].len) == 0)
            return true;
    }
    for (size_t i = 0; empty && i < STRAKE_UNPACK_MAGIC; i++)
        empty = bytes[i] == 0;
    return empty || (whole && is_tar_header(bytes));
}

/* ---- the work ---- */

/* Folders get their modes and times when all is in them. */
struct folder {
    char *path;
    mode_t mode;
    struct timespec mtime;
};

struct unpacking {
    const struct strake_unpack *given;
    struct strake_job *job;
    struct strake_err *err;
    struct archive *archive;
    size_t entries;
    int64_t bytes_left;
    struct folder *folders;
    size_t folder_count, folder_cap;
};

static int refuse(struct unpacking *u, const char *path, const char *why)
{
    strake_fail(u->err, STRAKE_EUSAGE, "the archive's %.200s %s", path, why);
    strake_err_hint(u->err, "if it is meant so, unpack it into a folder and name that");
    return STRAKE_EUSAGE;
}

static int system_failed(struct unpacking *u, const char *path)
{
    return strake_fail_errno(u->err, STRAKE_EIO, "the archive's %.200s cannot be unpacked", path);
}

static int too_big(struct unpacking *u, const char *what, long long limit)
{
    strake_fail(u->err, STRAKE_ETOOBIG, "the archive holds more than %lld %s", limit, what);
    strake_err_hint(u->err, "unpack it into a folder and name that");
    return STRAKE_ETOOBIG;
}

static la_ssize_t feed(struct archive *archive, void *ctx, const void **data)
{
    struct unpacking *u = ctx;
    ssize_t got;

    (void)archive;
    if (u->err->code)
        return ARCHIVE_FATAL;
    got = u->given->read(u->given->ctx, data, u->err);
    return got < 0 ? ARCHIVE_FATAL : got;
}

/* What libarchive says, unless it only passes on what we said ourselves. */
static int archive_failed(struct unpacking *u)
{
    const char *why = strake_archive.error_string(u->archive);

    if (u->err->code)
        return u->err->code;
    strake_fail(u->err, STRAKE_EUSAGE, "the archive cannot be read: %s",
                why ? why : "it is damaged");
    strake_err_hint(u->err, "a tar is expected: plain, or by gzip, bzip2, xz or zstd");
    return STRAKE_EUSAGE;
}

/* ---- names ---- */

/* "./a//b/." is a/b; "" is the folder itself. @return 0, or refused. */
static int clean_name(struct unpacking *u, const char *name, char *out)
{
    size_t len = 0;

    if (!name || !*name || strlen(name) >= NAME_BYTES_MAX)
        return refuse(u, name && *name ? name : "entry", "has no usable name");
    if (name[0] == '/')
        return refuse(u, name, "is an absolute path");
    for (const char *at = name; *at;) {
        size_t part = strcspn(at, "/");
        if (part == 2 && strncmp(at, "..", 2) == 0)
            return refuse(u, name, "leads out of the context: `..`");
        if (part > 0 && !(part == 1 && *at == '.')) {
            if (len)
                out[len++] = '/';
            memcpy(out + len, at, part);
            len += part;
        }
        at += part + (at[part] == '/');
    }
    out[len] = '\0';
    return 0;
}

/* A link may point to where it could be written from: `..` only in front, and no more of them than
 * there are folders above it, so that no other link on its way can lead it further up. */
static bool link_stays(const char *path, const char *to)
{
    size_t above = 0;

    if (!*to || *to == '/')
        return false;
    for (const char *at = path; (at = strchr(at, '/')) != NULL; at++)
        above++;
    while (strncmp(to, "..", 2) == 0 && (to[2] == '/' || to[2] == '\0')) {
        if (above-- == 0)
            return false;
        to += 2;
        to += strspn(to, "/");
    }
    for (; *to; to += strspn(to, "/")) {
        size_t part = strcspn(to, "/");
        if (part == 2 && strncmp(to, "..", 2) == 0)
            return false;
        to += part;
    }
    return true;
}

/* @return 0, or STRAKE_ETOOBIG, described: folders that are only named on the way count too. */
static int count_entry(struct unpacking *u)
{
    if (u->entries == u->given->entries_max)
        return too_big(u, "files", (long long)u->given->entries_max);
    u->entries++;
    return 0;
}

/* @return a descriptor of the caller's, or a code. */
static int enter(struct unpacking *u, int dir, const char *part, bool make, const char *path)
{
    int next, rc = 0;

    if (make && mkdirat(dir, part, 0755) == 0)
        rc = count_entry(u);
    else if (make && errno != EEXIST)
        rc = system_failed(u, path);
    if (rc < 0)
        return rc;
    next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next >= 0)
        return next;
    return errno == ELOOP || errno == ENOTDIR
               ? refuse(u, path, "lies beneath something that is no folder")
               : system_failed(u, path);
}

/* Open the folder that `path` lies in, made where it is missing, and never through a link.
 * @return a descriptor of the caller's, or a code; *name is the last part. */
static int open_parent(struct unpacking *u, const char *path, bool make, const char **name)
{
    int dir = fcntl(u->given->dir, F_DUPFD_CLOEXEC, 3);
    const char *at = path, *slash;

    if (dir < 0)
        return system_failed(u, path);
    while ((slash = strchr(at, '/')) != NULL) {
        char part[NAME_BYTES_MAX];
        int next;
        memcpy(part, at, (size_t)(slash - at));
        part[slash - at] = '\0';
        next = enter(u, dir, part, make, path);
        close(dir);
        if (next < 0)
            return next;
        dir = next;
        at = slash + 1;
    }
    *name = at;
    return dir;
}

/* ---- folders ---- */

static int remember_folder(struct unpacking *u, const char *path, mode_t mode,
                           const struct timespec *mtime)
{
    struct folder *folder;

    if (u->folder_count == u->folder_cap) {
        size_t cap = u->folder_cap ? u->folder_cap * 2 : 64;
        struct folder *folders = strake_reallocarray(u->folders, cap, sizeof(*folders));
        if (!folders)
            return strake_fail_nomem(u->err);
        u->folders = folders;
        u->folder_cap = cap;
    }
    folder = &u->folders[u->folder_count];
    folder->path = strake_strdup(path);
    folder->mode = mode | S_IRWXU; /* we go in, and remove it in the end */
    folder->mtime = *mtime;
    if (!folder->path)
        return strake_fail_nomem(u->err);
    u->folder_count++;
    return 0;
}

static int settle_folder(struct unpacking *u, const struct folder *folder)
{
    const struct timespec times[2] = { folder->mtime, folder->mtime };
    const char *name;
    int parent = open_parent(u, folder->path, false, &name), fd, rc = 0;

    if (parent < 0)
        return parent;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, folder->mode) < 0 || futimens(fd, times) < 0)
        rc = system_failed(u, folder->path);
    if (fd >= 0)
        close(fd);
    close(parent);
    return rc;
}

static int settle_folders(struct unpacking *u)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < u->folder_count; i++)
        rc = settle_folder(u, &u->folders[i]);
    return rc;
}

/* ---- entries ---- */

/* A later entry of the same name wins, as with tar itself; a folder stays one. */
static int make_room(struct unpacking *u, int parent, const char *name, const char *path)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    return errno == EISDIR ? refuse(u, path, "is a folder and something else")
                           : system_failed(u, path);
}

static int put_folder(struct unpacking *u, int parent, const char *name, const char *path)
{
    struct stat st;

    if (mkdirat(parent, name, 0755) == 0)
        return 0;
    if (errno == EEXIST && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(st.st_mode) ? 0 : refuse(u, path, "is a folder and something else");
    return system_failed(u, path);
}

static int write_all(struct unpacking *u, int fd, const char *data, size_t len, off_t at,
                     const char *path)
{
    while (len > 0) {
        ssize_t put = pwrite(fd, data, len, at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return system_failed(u, path);
        data += put;
        len -= (size_t)put;
        at += put;
    }
    return 0;
}

/* @param size where the file ends when its last bytes are a hole */
static int write_blocks(struct unpacking *u, int fd, int64_t size, const char *path)
{
    int64_t end = 0;

    for (;;) {
        const void *data;
        size_t len;
        la_int64_t at;
        int rc = strake_job_check(u->job, u->err), got;
        if (rc < 0)
            return rc;
        got = strake_archive.data_block(u->archive, &data, &len, &at);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return archive_failed(u);
        if (at < end || at > u->bytes_left || (int64_t)len > u->bytes_left - at)
            return too_big(u, "bytes", (long long)u->given->bytes_max);
        rc = write_all(u, fd, data, len, at, path);
        if (rc < 0)
            return rc;
        end = at + (int64_t)len;
    }
    end = size > end ? size : end;
    u->bytes_left -= end;
    return ftruncate(fd, end) < 0 ? system_failed(u, path) : 0;
}

static int put_file(struct unpacking *u, int parent, const char *name, const char *path,
                    struct archive_entry *entry, const struct timespec *mtime)
{
    const struct timespec times[2] = { *mtime, *mtime };
    int64_t size = strake_archive.size(entry);
    int fd, rc = make_room(u, parent, name, path);

    if (rc < 0)
        return rc;
    if (size > u->bytes_left)
        return too_big(u, "bytes", (long long)u->given->bytes_max);
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return system_failed(u, path);
    rc = write_blocks(u, fd, size, path);
    if (rc == 0 &&
        (fchmod(fd, (strake_archive.perm(entry) & 07777) | S_IRUSR) < 0 || futimens(fd, times) < 0))
        rc = system_failed(u, path);
    if (close(fd) < 0 && rc == 0)
        rc = system_failed(u, path);
    return rc;
}

static int put_symlink(struct unpacking *u, int parent, const char *name, const char *path,
                       const char *to, const struct timespec *mtime)
{
    const struct timespec times[2] = { *mtime, *mtime };
    int rc;

    if (!to || !link_stays(path, to))
        return refuse(u, path, "is a link that leads out of the context");
    rc = make_room(u, parent, name, path);
    if (rc < 0)
        return rc;
    if (symlinkat(to, parent, name) < 0 || utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return system_failed(u, path);
    return 0;
}

static int put_hardlink(struct unpacking *u, int parent, const char *name, const char *path,
                        const char *to)
{
    char clean[NAME_BYTES_MAX];
    const char *old;
    struct stat st;
    int other, rc = clean_name(u, to, clean);

    if (rc < 0)
        return rc;
    if (strcmp(clean, path) == 0)
        return 0;
    other = open_parent(u, clean, false, &old);
    if (other < 0)
        return other;
    if (fstatat(other, old, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        rc = refuse(u, path, "is a link to a file that the archive does not hold");
    if (rc == 0)
        rc = make_room(u, parent, name, path);
    if (rc == 0 && linkat(other, old, parent, name, 0) < 0)
        rc = system_failed(u, path);
    close(other);
    return rc;
}

static int put_entry(struct unpacking *u, struct archive_entry *entry)
{
    const struct timespec mtime = { .tv_sec = strake_archive.mtime(entry),
                                    .tv_nsec = strake_archive.mtime_nsec(entry) };
    const char *hardlink = strake_archive.hardlink(entry), *name;
    char path[NAME_BYTES_MAX];
    int parent, rc = clean_name(u, strake_archive.pathname(entry), path);

    if (rc < 0)
        return rc;
    if (!path[0]) /* the folder itself, as `tar c .` has it */
        return !hardlink && strake_archive.filetype(entry) == AE_IFDIR
                   ? 0
                   : refuse(u, strake_archive.pathname(entry), "has no usable name");
    parent = open_parent(u, path, true, &name);
    if (parent < 0)
        return parent;
    if (hardlink) {
        rc = put_hardlink(u, parent, name, path, hardlink);
    } else if (strake_archive.filetype(entry) == AE_IFREG) {
        rc = put_file(u, parent, name, path, entry, &mtime);
    } else if (strake_archive.filetype(entry) == AE_IFDIR) {
        rc = put_folder(u, parent, name, path);
        if (rc == 0)
            rc = remember_folder(u, path, strake_archive.perm(entry) & 07777, &mtime);
    } else if (strake_archive.filetype(entry) == AE_IFLNK) {
        rc = put_symlink(u, parent, name, path, strake_archive.symlink(entry), &mtime);
    } else {
        rc = refuse(u, path, "is a device, a socket or a FIFO");
    }
    close(parent);
    return rc;
}

static int put_all(struct unpacking *u)
{
    for (;;) {
        struct archive_entry *entry;
        int rc = strake_job_check(u->job, u->err), got;
        if (rc < 0)
            return rc;
        got = strake_archive.next_header(u->archive, &entry);
        if (got == ARCHIVE_EOF)
            return u->err->code; /* what the source said of its end stays */
        /* A warning is about names that are not in our character set: they are kept as bytes. */
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return archive_failed(u);
        rc = count_entry(u);
        if (rc == 0)
            rc = put_entry(u, entry);
        if (rc < 0)
            return rc;
    }
}

static int open_archive(struct unpacking *u)
{
    u->archive = strake_archive.read_new();
    if (!u->archive)
        return strake_fail_nomem(u->err);
    /* Of these each may be left out of a library's build: what cannot be read is told then. */
    strake_archive.support_gzip(u->archive);
    strake_archive.support_bzip2(u->archive);
    strake_archive.support_xz(u->archive);
    strake_archive.support_zstd(u->archive);
    strake_archive.support_tar(u->archive);
    return strake_archive.open(u->archive, u, NULL, feed, NULL) == ARCHIVE_OK ? 0
                                                                              : archive_failed(u);
}

int strake_unpack(const struct strake_unpack *unpack, struct strake_job *job,
                  struct strake_err *err)
{
    struct unpacking u = {
        .given = unpack, .job = job, .err = err, .bytes_left = unpack->bytes_max
    };
    int rc = strake_archive_load(err);

    if (rc < 0)
        return rc;
    rc = open_archive(&u);
    if (rc == 0)
        rc = put_all(&u);
    if (rc == 0)
        rc = settle_folders(&u);
    if (u.archive)
        strake_archive.read_free(u.archive);
    for (size_t i = 0; i < u.folder_count; i++)
        strake_free(u.folders[i].path);
    strake_free(u.folders);
    return rc;
}
