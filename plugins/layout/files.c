/* Reading and writing the files of a layout (layout.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"
#include "layout.h"

static const char version_file[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

static int fail_errno(const struct layout *layout, struct strake_err *err, const char *what,
                      const char *name)
{
    int error = errno;
    int code = error == ENOENT || error == ENOTDIR ? STRAKE_ENOTFOUND : STRAKE_EIO;
    return layout->host->fail(err, code, "%s/%s cannot be %s: %s", layout->options.path, name, what,
                              strerror(error));
}

int layout_open_file(const struct layout *layout, const char *name, int64_t *size_bytes,
                     struct strake_err *err)
{
    char *path = plug_format("%s/%s", layout->options.path, name);
    if (!path)
        return plug_fail_nomem(layout->host, err);
    /* A pipe in the place of a file must not hold us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(path);
    if (fd < 0)
        return fail_errno(layout, err, "read", name);
    struct stat facts;
    if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        return layout->host->fail(err, STRAKE_EREGISTRY, "%s/%s is not a plain file",
                                  layout->options.path, name);
    }
    *size_bytes = facts.st_size;
    return fd;
}

int layout_read_file(const struct layout *layout, const char *name, struct plug_text *bytes,
                     struct strake_err *err)
{
    int64_t size;
    int fd = layout_open_file(layout, name, &size, err);
    if (fd < 0)
        return fd;
    char chunk[16384];
    int rc = 0;
    while (rc == 0) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        if (got < 0) {
            rc = fail_errno(layout, err, "read", name);
        } else if (bytes->len + (size_t)got > LAYOUT_FILE_MAX) {
            rc = layout->host->fail(err, STRAKE_ETOOBIG, "%s/%s is larger than %zu MiB",
                                    layout->options.path, name, LAYOUT_FILE_MAX / 1024 / 1024);
        } else {
            plug_text_add_len(bytes, chunk, (size_t)got);
            rc = bytes->failed ? plug_fail_nomem(layout->host, err) : 0;
        }
    }
    close(fd);
    return rc;
}

int layout_draft_begin(const struct layout *layout, struct layout_draft *draft,
                       struct strake_err *err)
{
    *draft = (struct layout_draft){ .fd = -1 };
    draft->fd = plug_draft_open(layout->options.path, ".draft-", &draft->path);
    return draft->fd < 0 ? fail_errno(layout, err, "written", "") : 0;
}

int layout_draft_write(const struct layout *layout, struct layout_draft *draft, const void *data,
                       size_t len, struct strake_err *err)
{
    const char *at = data;
    while (len > 0) {
        ssize_t done = write(draft->fd, at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_errno(layout, err, "written", "");
        at += done;
        len -= (size_t)done;
    }
    return 0;
}

/** A new name is on disk once its folder is. */
static int sync_folder(const char *path)
{
    char *folder = strdup(path);
    if (!folder)
        return -1;
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

int layout_draft_commit(const struct layout *layout, struct layout_draft *draft, const char *name,
                        struct strake_err *err)
{
    char *path = plug_format("%s/%s", layout->options.path, name);
    if (!path) {
        layout_draft_drop(draft);
        return plug_fail_nomem(layout->host, err);
    }
    int rc = 0;
    bool renamed = fsync(draft->fd) == 0 && rename(draft->path, path) == 0;
    if (!renamed || sync_folder(path) < 0)
        rc = fail_errno(layout, err, "written", name);
    free(path);
    if (renamed) {
        close(draft->fd);
        free(draft->path);
        *draft = (struct layout_draft){ .fd = -1 };
    }
    layout_draft_drop(draft);
    return rc;
}

void layout_draft_drop(struct layout_draft *draft)
{
    if (!draft->path)
        return;
    unlink(draft->path);
    if (draft->fd >= 0)
        close(draft->fd);
    free(draft->path);
    *draft = (struct layout_draft){ .fd = -1 };
}

/** mkdir for PATH/name; there already is fine. */
static int make_folder(const struct layout *layout, const char *name, struct strake_err *err)
{
    char *path = plug_format("%s/%s", layout->options.path, name);
    if (!path)
        return plug_fail_nomem(layout->host, err);
    int rc = 0;
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        rc = fail_errno(layout, err, "made", name);
    free(path);
    return rc;
}

/** oci-layout, which says that the folder is one. */
static int make_version_file(const struct layout *layout, struct strake_err *err)
{
    char *path = plug_format("%s/oci-layout", layout->options.path);
    if (!path)
        return plug_fail_nomem(layout->host, err);
    bool there = access(path, F_OK) == 0;
    free(path);
    if (there)
        return 0;
    struct layout_draft draft = { .fd = -1 };
    int rc = layout_draft_begin(layout, &draft, err);
    if (rc == 0)
        rc = layout_draft_write(layout, &draft, version_file, strlen(version_file), err);
    if (rc == 0)
        rc = layout_draft_commit(layout, &draft, "oci-layout", err);
    layout_draft_drop(&draft);
    return rc;
}

int layout_make_folder(const struct layout *layout, struct strake_err *err)
{
    static const char *const folders[] = { "", "blobs", "blobs/sha256" };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
        rc = make_folder(layout, folders[i], err);
    return rc < 0 ? rc : make_version_file(layout, err);
}
