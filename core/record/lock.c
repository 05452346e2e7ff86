/* Who is alive: a run holds a lock on its own file as long as its process lives, whatever ends it. Who
 * only looks takes the lock shared and for a moment: two that look do not see each other as the run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/record_impl.h"
#include "util/fs.h"

static char *lock_path(const struct strake_record *record, const char *run)
{
    return strake_asprintf("%s/runs/%s.lock", record->dir, run);
}

bool strake_run_is_held(const struct strake_record *record, const char *run)
{
    char *path = lock_path(record, run);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    /* Whoever cannot be looked at (no memory, no descriptor) is not declared dead. */
    bool held = fd < 0 && !(path && errno == ENOENT);

    if (fd >= 0) {
        held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
        close(fd);
    }
    strake_free(path);
    return held;
}

/* Another process may have swept the file away between open and lock. */
static bool is_at(const char *path, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

int strake_run_hold(struct strake_record *record, const char *run, struct strake_err *err)
{
    char *folder = strake_asprintf("%s/runs", record->dir);
    int rc = folder ? strake_fs_mkdirs(folder, 0700, err) : strake_fail_nomem(err);

    strake_free(folder);
    if (rc < 0)
        return rc;
    record->run_lock_path = lock_path(record, run);
    if (!record->run_lock_path)
        return strake_fail_nomem(err);
    for (;;) {
        record->run_lock = open(record->run_lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (record->run_lock < 0 || flock(record->run_lock, LOCK_EX) < 0)
            return strake_fail_errno(err, STRAKE_EINTERNAL,
                                     "the run cannot be marked as alive: %s", record->run_lock_path);
        if (is_at(record->run_lock_path, record->run_lock))
            return 0;
        close(record->run_lock);
    }
}

static void sweep_one(int folder, const char *name)
{
    const char *dot = strrchr(name, '.');
    int fd = dot && strcmp(dot, ".lock") == 0 ? openat(folder, name, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(fd);
}

void strake_run_sweep(const struct strake_record *record)
{
    char *path = strake_asprintf("%s/runs", record->dir);
    DIR *folder = path ? opendir(path) : NULL;
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        sweep_one(dirfd(folder), entry->d_name);
    if (folder)
        closedir(folder);
    strake_free(path);
}

void strake_run_release(struct strake_record *record)
{
    if (record->run_lock >= 0) {
        unlink(record->run_lock_path);
        close(record->run_lock);
        record->run_lock = -1;
    }
    strake_free(record->run_lock_path);
    record->run_lock_path = NULL;
}
