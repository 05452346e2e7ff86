/* Claims: what only one process on this machine may do at a time. A locked file in the state folder;
 * the kernel gives the lock back, whatever ends the process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/record_impl.h"
#include "util/fs.h"

struct strake_claim {
    char *path;
    int fd;
};

/* FNV-1a: a name of a file, not a secret. Two texts of one hash would only wait for each other. */
static uint64_t hash(const char *text)
{
    uint64_t value = 14695981039346656037u;

    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 1099511628211u;
    return value;
}

/* The holder may have taken its file away between open and lock. */
static bool is_at(const char *path, int fd)
{
    struct stat here, there;

    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

static int take(struct strake_claim *claim, char **holder, struct strake_err *err)
{
    for (;;) {
        claim->fd = open(claim->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (claim->fd < 0)
            return strake_fail_errno(err, STRAKE_EINTERNAL, "%s cannot be made", claim->path);
        if (flock(claim->fd, LOCK_EX | LOCK_NB) < 0) {
            char run[64];
            ssize_t n = errno == EWOULDBLOCK ? pread(claim->fd, run, sizeof(run) - 1, 0) : -1;
            if (n < 0)
                return strake_fail_errno(err, STRAKE_EINTERNAL, "%s cannot be locked", claim->path);
            *holder = strake_strndup(run, (size_t)n);
            return *holder ? strake_fail(err, STRAKE_ECONFLICT, "another process has it")
                           : strake_fail_nomem(err);
        }
        if (is_at(claim->path, claim->fd))
            return 0;
        close(claim->fd);
        claim->fd = -1;
    }
}

int strake_record_claim(struct strake_record *record, const char *run, const char *what,
                        struct strake_claim **out, char **holder, struct strake_err *err)
{
    struct strake_claim *claim = strake_calloc(1, sizeof(*claim));
    char *folder = strake_asprintf("%s/claims", record->dir);
    int rc = claim && folder ? strake_fs_mkdirs(folder, 0700, err) : strake_fail_nomem(err);

    *holder = NULL;
    if (claim) {
        claim->fd = -1;
        claim->path =
            strake_asprintf("%s/claims/%016llx.lock", record->dir, (unsigned long long)hash(what));
        if (rc == 0 && !claim->path)
            rc = strake_fail_nomem(err);
    }
    strake_free(folder);
    if (rc == 0)
        rc = take(claim, holder, err);
    if (rc == 0 && (ftruncate(claim->fd, 0) < 0 ||
                    pwrite(claim->fd, run, strlen(run), 0) != (ssize_t)strlen(run)))
        rc = strake_fail_errno(err, STRAKE_EINTERNAL, "%s cannot be written", claim->path);
    if (rc < 0) {
        if (claim && claim->fd >= 0)
            close(claim->fd); /* somebody else's file: it stays */
        if (claim)
            strake_free(claim->path);
        strake_free(claim);
        return rc;
    }
    *out = claim;
    return 0;
}

void strake_claim_free(struct strake_claim *claim)
{
    if (!claim)
        return;
    unlink(claim->path);
    close(claim->fd);
    strake_free(claim->path);
    strake_free(claim);
}
