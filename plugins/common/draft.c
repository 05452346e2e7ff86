/* Drafts and their locks (draft.h). */
#include "draft.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define RANDOM_LEN 6
#define TRIES 10

/* Remove it unless its maker lives. Never waits, and follows no link. */
static void remove_dead(int folder, const char *name)
{
    struct stat facts;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        (void)unlinkat(folder, name, 0);
    close(fd);
}

/* What cannot be swept is in nobody's way. */
static void sweep(const char *path, const char *prefix)
{
    const size_t len = strlen(prefix);
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        if (strncmp(entry->d_name, prefix, len) == 0 && strlen(entry->d_name) == len + RANDOM_LEN)
            remove_dead(dirfd(folder), entry->d_name);
    }
    if (folder)
        closedir(folder);
}

/* Between its making and its lock a file looks dead: another process may have swept it. */
static int make(char *path)
{
    struct stat facts;
    int error, fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &facts) == 0 && fchmod(fd, 0644) == 0) {
        if (facts.st_nlink > 0)
            return fd;
        errno = ESTALE;
    }
    error = errno;
    unlink(path);
    close(fd);
    errno = error;
    return -1;
}

int plug_draft_open(const char *folder, const char *prefix, char **path)
{
    int error = ESTALE, fd = -1;

    *path = NULL;
    sweep(folder, prefix);
    for (int i = 0; fd < 0 && error == ESTALE && i < TRIES; i++) {
        free(*path);
        *path = plug_format("%s/%sXXXXXX", folder, prefix);
        fd = *path ? make(*path) : -1;
        error = *path ? errno : ENOMEM;
    }
    if (fd < 0) {
        free(*path);
        *path = NULL;
        errno = error;
    }
    return fd;
}
