/* Kept files: few, so that a list is enough. */
#include "build/layer_kept.h"

#include <string.h>

#include "util/mem.h"

static void dispose(struct strake_kept_file *file)
{
    strake_free(file->path);
    strake_buf_dispose(&file->bytes);
}

void strake_kept_files_dispose(struct strake_kept_files *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        dispose(&kept->items[i]);
    strake_free(kept->items);
    kept->items = NULL;
    kept->count = kept->cap = 0;
}

int strake_kept_files_copy(struct strake_kept_files *to, const struct strake_kept_files *from)
{
    *to = (struct strake_kept_files){ .wants = from->wants };
    to->items = strake_calloc(from->count ? from->count : 1, sizeof(*to->items));
    if (!to->items)
        return STRAKE_ENOMEM;
    to->cap = from->count;
    for (; to->count < from->count; to->count++) {
        const struct strake_kept_file *file = &from->items[to->count];
        struct strake_kept_file *copy = &to->items[to->count];
        copy->path = strake_strdup(file->path);
        copy->left_out = file->left_out;
        copy->bytes = STRAKE_BUF(STRAKE_KEPT_FILE_MAX);
        if (!copy->path ||
            strake_buf_append(&copy->bytes, strake_buf_text(&file->bytes), file->bytes.len) < 0) {
            to->count++;
            return STRAKE_ENOMEM;
        }
    }
    return 0;
}

static struct strake_kept_file *find(struct strake_kept_files *kept, const char *path)
{
    for (size_t i = 0; i < kept->count; i++) {
        if (strcmp(kept->items[i].path, path) == 0)
            return &kept->items[i];
    }
    return NULL;
}

/* Room for one more. */
static int grow(struct strake_kept_files *kept, struct strake_err *err)
{
    struct strake_kept_file *items;

    if (kept->count == STRAKE_KEPT_FILES_MAX)
        return strake_fail(err, STRAKE_ETOOBIG,
                           "the image has more than %d databases of package managers",
                           STRAKE_KEPT_FILES_MAX);
    if (kept->count < kept->cap)
        return 0;
    items = strake_reallocarray(kept->items, kept->cap * 2 + 4, sizeof(*items));
    if (!items)
        return strake_fail_nomem(err);
    kept->items = items;
    kept->cap = kept->cap * 2 + 4;
    return 0;
}

static size_t bytes_of(const struct strake_kept_files *kept)
{
    size_t bytes = 0;

    for (size_t i = 0; i < kept->count; i++)
        bytes += kept->items[i].bytes.len;
    return bytes;
}

int strake_kept_files_add(struct strake_kept_files *kept, const char *path, int64_t size_bytes,
                          struct strake_buf **out, struct strake_err *err)
{
    struct strake_kept_file *file = find(kept, path);
    int rc;

    *out = NULL;
    if (!file) {
        rc = grow(kept, err);
        if (rc < 0)
            return rc;
        file = &kept->items[kept->count];
        *file = (struct strake_kept_file){ .path = strake_strdup(path),
                                           .bytes = STRAKE_BUF(STRAKE_KEPT_FILE_MAX) };
        if (!file->path)
            return strake_fail_nomem(err);
        kept->count++;
    }
    strake_buf_clear(&file->bytes);
    file->left_out = size_bytes > (int64_t)(STRAKE_KEPT_FILE_MAX - 1) ||
                     (size_t)size_bytes > STRAKE_KEPT_BYTES_MAX - bytes_of(kept);
    if (!file->left_out)
        *out = &file->bytes;
    return 0;
}

int strake_kept_files_move(struct strake_kept_files *to, struct strake_kept_files *from,
                           struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < from->count; i++) {
        struct strake_kept_file *file = &from->items[i], *old = find(to, file->path);
        if (!old) {
            rc = grow(to, err);
            if (rc < 0)
                break;
            old = &to->items[to->count++];
        } else {
            dispose(old);
        }
        *old = *file;
        *file = (struct strake_kept_file){ 0 };
        if (bytes_of(to) > STRAKE_KEPT_BYTES_MAX) {
            strake_buf_dispose(&old->bytes);
            old->bytes = STRAKE_BUF(STRAKE_KEPT_FILE_MAX);
            old->left_out = true;
        }
    }
    strake_kept_files_dispose(from);
    return rc;
}
