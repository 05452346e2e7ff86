/* Who is alive: a run holds a lock on its own file as long as its process lives, whatever ends it.
 * Who only looks takes the lock shared and for a moment: two that look do not see each other as the
 * run. */
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
            return strake_fail_errno(err, STRAKE_EINTERNAL, "the run cannot be marked as alive: %s",
                                     record->run_lock_path);
        if (is_at(record->run_lock_path, record->run_lock))
            return 0;
        close(record->run_lock);
    }
}

/* The mark of a run that is dead, locked so that it stays so; or -1. */
static int open_dead(int folder, const char *name)
{
    const char *dot = strrchr(name, '.');
    int fd = dot && strcmp(dot, ".lock") == 0 ? openat(folder, name, O_RDWR | O_CLOEXEC) : -1;

    if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int found_row(struct strake_record *record, sqlite3_stmt *stmt, void *ctx)
{
    (void)record;
    (void)stmt;
    *(bool *)ctx = true;
    return 0;
}

/* Does the run of this mark have a publish that is to be settled? Then it stays: by it, commands
 * that do not open the history see that there is something to report. */
static bool has_unit(struct strake_record *record, const char *name)
{
    struct strake_err ignored = { 0 };
    char *run = strake_strndup(name, strlen(name) - strlen(".lock"));
    bool found = false;
    int rc = run ? strake_sql(record, "SELECT 1 FROM units WHERE run=? AND outcome IS NULL",
                              STRAKE_VALUES(STRAKE_TEXT(run)), found_row, &found, &ignored)
                 : STRAKE_ENOMEM;

    strake_err_dispose(&ignored);
    strake_free(run);
    return found || rc < 0;
}

void strake_run_sweep(struct strake_record *record)
{
    char *path = strake_asprintf("%s/runs", record->dir);
    DIR *folder = path ? opendir(path) : NULL;
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        int fd = open_dead(dirfd(folder), entry->d_name);
        if (fd < 0)
            continue;
        if (!has_unit(record, entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
        close(fd);
    }
    if (folder)
        closedir(folder);
    strake_free(path);
}

bool strake_record_marks_left(void)
{
    char *dir = strake_fs_state_dir(), *path = dir ? strake_fs_join(dir, "runs") : NULL;
    DIR *folder = path ? opendir(path) : NULL;
    const struct dirent *entry;
    bool found = false;

    while (folder && !found && (entry = readdir(folder))) {
        int fd = open_dead(dirfd(folder), entry->d_name);
        found = fd >= 0;
        if (found)
            close(fd);
    }
    if (folder)
        closedir(folder);
    strake_free(path);
    strake_free(dir);
    return found;
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
