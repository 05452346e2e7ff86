/* Files: bounded reads, atomic writes, folders. */
#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- reading ---- */

static int open_failed(const char *path, struct strake_err *err)
{
    const int code = errno == ENOENT || errno == ENOTDIR ? STRAKE_ENOTFOUND : STRAKE_EIO;

    if (errno == ENOMEM)
        return strake_fail_nomem(err);
    return strake_fail_errno(err, code, "%s cannot be read", path);
}

/* Read an open file and close it. */
static int read_open(int fd, const char *path, size_t max_bytes, struct strake_buf *out,
                     struct strake_err *err)
{
    struct stat st;
    size_t got = 0;
    int rc = 0;

    if (fstat(fd, &st) < 0) {
        rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be read", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = strake_fail(err, STRAKE_EIO, "%s is not a regular file", path);
    }
    while (rc == 0) {
        char part[16384];
        ssize_t n = read(fd, part, sizeof(part));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be read", path);
        if (n <= 0)
            break;
        got += (size_t)n;
        rc = got > max_bytes ? STRAKE_ETOOBIG : strake_buf_append(out, part, (size_t)n);
        if (rc == STRAKE_ETOOBIG)
            strake_fail(err, rc, "%s is larger than %zu bytes", path, max_bytes);
        else if (rc < 0)
            strake_fail_nomem(err);
    }
    close(fd);
    return rc;
}

int strake_fs_read(const char *path, size_t max_bytes, struct strake_buf *out,
                   struct strake_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    return fd < 0 ? open_failed(path, err) : read_open(fd, path, max_bytes, out, err);
}

/* Kernels without openat2: no component may be a link or lead upwards. */
static int open_by_hand(int root, const char *path)
{
    char *copy = strake_strdup(path), *rest = NULL, *part;
    int fd = copy ? fcntl(root, F_DUPFD_CLOEXEC, 0) : -1;

    if (!copy)
        errno = ENOMEM;
    for (part = copy ? strtok_r(copy, "/", &rest) : NULL; part && fd >= 0;) {
        char *next = strtok_r(NULL, "/", &rest);
        int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
        int inner = -1;
        if (strcmp(part, "..") == 0)
            errno = EXDEV;
        else
            inner = openat(fd, part, next ? flags | O_DIRECTORY : flags);
        close(fd);
        fd = inner;
        part = next;
    }
    strake_free(copy);
    return fd;
}

static int open_beneath(const char *root, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd, saved;

    if (dir < 0)
        return -1;
    fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    for (int again = 0; fd < 0 && errno == EAGAIN && again < 16; again++) /* a rename meanwhile */
        fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* a sandbox may answer EPERM */
        fd = open_by_hand(dir, path);
    saved = errno;
    close(dir);
    errno = saved;
    return fd;
}

int strake_fs_read_beneath(const char *root, const char *path, size_t max_bytes,
                           struct strake_buf *out, struct strake_err *err)
{
    int fd;

    if (path[0] == '/') {
        return strake_fail(err, STRAKE_EIO, "%s is not below %s", path, root);
    }
    fd = open_beneath(root, path);
    if (fd < 0 && errno == EXDEV)
        return strake_fail(err, STRAKE_EIO, "%s leads out of %s", path, root);
    return fd < 0 ? open_failed(path, err) : read_open(fd, path, max_bytes, out, err);
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A rename is on disk only once its folder is. */
static int sync_folder(const char *path)
{
    char *folder = strake_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    int fd, rc;

    if (!folder) {
        errno = ENOMEM;
        return -1;
    }
    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strake_free(folder);
    if (fd < 0)
        return -1;
    rc = fsync(fd);
    close(fd);
    return rc;
}

int strake_fs_write(const char *path, const void *data, size_t len, unsigned mode, bool durable,
                    struct strake_err *err)
{
    char *temp = strake_asprintf("%s.XXXXXX", path);
    int rc = 0, fd;

    if (!temp)
        return strake_fail_nomem(err);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be written", path);
        goto out;
    }
    if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0 || (durable && fsync(fd) < 0))
        rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be written", path);
    if (close(fd) < 0 && rc == 0)
        rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be written", path);
    if (rc == 0 && (rename(temp, path) < 0 || (durable && sync_folder(path) < 0)))
        rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be written", path);
    if (rc < 0)
        unlink(temp);
out:
    strake_free(temp);
    return rc;
}

int strake_fs_mkdirs(const char *path, unsigned mode, struct strake_err *err)
{
    char *copy = strake_strdup(path);
    int rc = 0;

    if (!copy)
        return strake_fail_nomem(err);
    for (char *at = copy + 1; rc == 0 && *copy; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            rc = strake_fail_errno(err, STRAKE_EIO, "the folder %s cannot be made", path);
        *at = kept;
        if (kept == '\0')
            break;
    }
    if (rc == 0 && !strake_fs_is_dir(path))
        rc = strake_fail(err, STRAKE_EIO, "%s is not a folder", path);
    strake_free(copy);
    return rc;
}

int strake_fs_tempdir(char **path, struct strake_err *err)
{
    const char *base = getenv("TMPDIR");
    char *template = strake_asprintf("%s/strake-XXXXXX", base && base[0] == '/' ? base : "/tmp");

    if (!template)
        return strake_fail_nomem(err);
    if (!mkdtemp(template)) {
        int rc = strake_fail_errno(err, STRAKE_EIO, "no temporary folder can be made in %s",
                                   base && base[0] == '/' ? base : "/tmp");
        strake_free(template);
        return rc;
    }
    *path = template;
    return 0;
}

/* ---- removing ---- */

static int remove_at(int parent, const char *name);

/* Takes `fd` over. */
static int remove_children(int fd)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int rc = 0;

    if (!dir) {
        close(fd);
        return -1;
    }
    while (rc == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = remove_at(dirfd(dir), entry->d_name);
    }
    closedir(dir);
    return rc;
}

static int remove_at(int parent, const char *name)
{
    int fd;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || remove_children(fd) < 0)
        return -1;
    return unlinkat(parent, name, AT_REMOVEDIR);
}

int strake_fs_remove_tree(const char *path, struct strake_err *err)
{
    if (remove_at(AT_FDCWD, path) < 0)
        return strake_fail_errno(err, STRAKE_EIO, "%s cannot be removed", path);
    return 0;
}

/* ---- paths ---- */

bool strake_fs_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool strake_fs_is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *strake_fs_absolute(const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = real ? strake_strdup(real) : NULL;

    free(real);
    return copy;
}

char *strake_fs_join(const char *a, const char *b)
{
    size_t len = strlen(a);

    if (b[0] == '/' || len == 0)
        return strake_strdup(b);
    return strake_asprintf("%s%s%s", a, a[len - 1] == '/' ? "" : "/", b);
}

/* $VARIABLE/strake, or `fallback` below the home folder. */
static char *xdg_dir(const char *variable, const char *fallback)
{
    const char *base = getenv(variable), *home = getenv("HOME");

    if (base && base[0] == '/')
        return strake_asprintf("%s/strake", base);
    return home && home[0] == '/' ? strake_asprintf("%s/%s/strake", home, fallback) : NULL;
}

char *strake_fs_state_dir(void)
{
    return xdg_dir("XDG_STATE_HOME", ".local/state");
}

char *strake_fs_config_dir(void)
{
    return xdg_dir("XDG_CONFIG_HOME", ".config");
}
