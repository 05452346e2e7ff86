/* Walking through folders for Dockerfiles. */
#include "dockerfile/find.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOUND_MAX 100000

static bool ends_with(const char *name, size_t len, const char *end)
{
    const size_t n = strlen(end);
    return len > n && strcmp(name + len - n, end) == 0;
}

static bool is_dockerfile(const char *name)
{
    const size_t len = strlen(name);

    if (ends_with(name, len, ".dockerignore") || ends_with(name, len, ".orig") ||
        ends_with(name, len, "~"))
        return false;
    return strcmp(name, "Dockerfile") == 0 || strcmp(name, "Containerfile") == 0 ||
           strncmp(name, "Dockerfile.", 11) == 0 || ends_with(name, len, ".Dockerfile");
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int take(const FTSENT *entry, struct strake_strings *out, struct strake_err *err)
{
    const char *path = entry->fts_path;

    if (out->count == FOUND_MAX)
        return strake_fail(err, STRAKE_ETOOBIG, "there are more than %d Dockerfiles", FOUND_MAX);
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    return strake_strings_add(out, path) < 0 ? strake_fail_nomem(err) : 0;
}

static int walk(FTS *tree, struct strake_strings *out, struct strake_err *err)
{
    const FTSENT *entry;
    int rc = 0;

    while (rc == 0 && (errno = 0, entry = fts_read(tree)) != NULL) {
        switch (entry->fts_info) {
        case FTS_D:
            if (strcmp(entry->fts_name, ".git") == 0)
                fts_set(tree, (FTSENT *)entry, FTS_SKIP);
            break;
        case FTS_F:
        case FTS_NSOK: /* no folder: more was not asked */
            if (is_dockerfile(entry->fts_name))
                rc = take(entry, out, err);
            break;
        case FTS_DNR:
        case FTS_ERR:
            errno = entry->fts_errno;
            rc = strake_fail_errno(err, STRAKE_EIO, "%s cannot be read", entry->fts_path);
            break;
        default:
            break;
        }
    }
    if (rc == 0 && errno != 0)
        rc = strake_fail_errno(err, STRAKE_EIO, "a folder cannot be read");
    return rc;
}

int strake_dockerfile_find(const char *path, struct strake_strings *out, struct strake_err *err)
{
    char *paths[2] = { (char *)path, NULL };
    struct stat status;
    FTS *tree;
    int rc;

    /* fts follows a link that is named itself, as stat() does. */
    if (stat(path, &status) < 0)
        return strake_fail_errno(err, errno == ENOENT ? STRAKE_ENOTFOUND : STRAKE_EIO, "%s", path);
    if (!S_ISDIR(status.st_mode))
        return strake_strings_add(out, path) < 0 ? strake_fail_nomem(err) : 0;
    tree = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_NOSTAT, by_name);
    if (!tree)
        return strake_fail_errno(err, STRAKE_EIO, "%s", path);
    rc = walk(tree, out, err);
    fts_close(tree);
    return rc;
}
