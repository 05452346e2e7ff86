/* Who is alive: a run holds a lock on its own file as long as its process lives, whatever ends it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
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
        held = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
        close(fd);
    }
    strake_free(path);
    return held;
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
    record->run_lock = open(record->run_lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (record->run_lock < 0 || flock(record->run_lock, LOCK_EX | LOCK_NB) < 0)
        return strake_fail_errno(err, STRAKE_EINTERNAL, "the run cannot be marked as alive: %s",
                                 record->run_lock_path);
    return 0;
}

void strake_run_forget(const struct strake_record *record, const char *run)
{
    char *path = lock_path(record, run);

    if (path)
        unlink(path);
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
