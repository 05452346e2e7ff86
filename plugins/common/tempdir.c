/* A private folder for the files of one call. */
#include "common/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int plug_tempdir_make(const struct strake_host *host, struct plug_tempdir *dir,
                      struct strake_err *err)
{
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/')
        base = "/tmp";
    int len = snprintf(dir->path, sizeof(dir->path), "%s/strake-XXXXXX", base);
    if (len < 0 || (size_t)len >= sizeof(dir->path)) {
        dir->path[0] = '\0';
        return host->fail(err, STRAKE_EIO, "TMPDIR is too long a path");
    }
    if (mkdtemp(dir->path) == NULL) {
        int saved = errno;
        dir->path[0] = '\0';
        host->fail(err, STRAKE_EIO, "no temporary folder can be made in %s: %s", base,
                   strerror(saved));
        host->err_hint(err, "set TMPDIR to a folder that can be written to");
        return STRAKE_EIO;
    }
    return 0;
}

int plug_tempdir_make_small(const struct strake_host *host, struct plug_tempdir *dir,
                            struct strake_err *err)
{
    static const char memory[] = "/dev/shm";
    const char *wanted = getenv("TMPDIR");
    struct statfs fs;
    bool free_choice = wanted == NULL || wanted[0] != '/';
    if (free_choice && statfs(memory, &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
        snprintf(dir->path, sizeof(dir->path), "%s/strake-XXXXXX", memory);
        if (mkdtemp(dir->path) != NULL)
            return 0;
    }
    return plug_tempdir_make(host, dir, err);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, data, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        data += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

int plug_tempdir_write(const struct strake_host *host, const struct plug_tempdir *dir,
                       const char *name, const void *data, size_t len, struct strake_err *err)
{
    char path[PATH_MAX];
    int path_len = snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    if (path_len < 0 || (size_t)path_len >= sizeof(path))
        return host->fail(err, STRAKE_EIO, "TMPDIR is too long a path");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = fd >= 0 ? write_all(fd, data, len) : -1;
    int saved = errno;
    if (fd >= 0 && close(fd) < 0 && rc == 0) {
        saved = errno;
        rc = -1;
    }
    if (rc < 0)
        return host->fail(err, STRAKE_EIO, "%s cannot be written: %s", path, strerror(saved));
    return 0;
}

int plug_file_read(const char *path, size_t max, char **data, size_t *len)
{
    *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STRAKE_EIO;
    struct stat st;
    int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : STRAKE_EIO;
    if (rc == 0 && (uintmax_t)st.st_size > max)
        rc = STRAKE_ETOOBIG;
    size_t size = rc == 0 ? (size_t)st.st_size : 0;
    char *read_data = rc == 0 ? malloc(size + 1) : NULL;
    if (rc == 0 && read_data == NULL)
        rc = STRAKE_ENOMEM;
    size_t done = 0;
    while (rc == 0 && done < size) {
        ssize_t got = read(fd, read_data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            rc = STRAKE_EIO; /* it shrank meanwhile, or cannot be read */
        else
            done += (size_t)got;
    }
    close(fd);
    if (rc < 0) {
        free(read_data);
        return rc;
    }
    read_data[size] = '\0';
    *data = read_data;
    if (len != NULL)
        *len = size;
    return 0;
}

int plug_part_begin(const char *dest, char **part)
{
    struct stat st;
    *part = NULL;
    if (lstat(dest, &st) == 0 && !S_ISREG(st.st_mode))
        return 0;
    if (asprintf(part, "%s.part", dest) < 0) {
        *part = NULL;
        return STRAKE_ENOMEM;
    }
    unlink(*part); /* if there is one, and cannot be removed, writing it says so */
    return 0;
}

int plug_part_end(const struct strake_host *host, char *part, const char *dest, int rc,
                  struct strake_err *err)
{
    if (part == NULL)
        return rc;
    if (rc == 0 && rename(part, dest) < 0)
        rc = host->fail(err, STRAKE_EIO, "%s cannot be written: %s", dest, strerror(errno));
    if (rc < 0)
        unlink(part);
    free(part);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void plug_tempdir_remove(const struct strake_host *host, struct plug_tempdir *dir)
{
    if (dir->path[0] == '\0')
        return;
    if (nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
        host->log(STRAKE_LOG_WARN, "the temporary folder %s is left behind: %s", dir->path,
                  strerror(errno));
    dir->path[0] = '\0';
}
