/* index.json of a layout (layout.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "layout.h"

#define LOOK_AGAIN_MS 50

static const char empty_index[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
    "\"manifests\":[]}";

static bool is_entry(const json_t *entry)
{
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    const char *type = json_string_value(json_object_get(entry, "mediaType"));
    /* A digest of another kind may stand there; it is only refused when somebody asks for it. */
    return digest && strlen(digest) < 136 && type && strlen(type) < 256 &&
           json_is_integer(json_object_get(entry, "size"));
}

static int parse(const struct layout *layout, const char *text, size_t len, json_t **index,
                 struct strake_err *err)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *manifests = json_object_get(root, "manifests");
    bool good = json_is_array(manifests);
    for (size_t i = 0; good && i < json_array_size(manifests); i++)
        good = is_entry(json_array_get(manifests, i));
    if (!good) {
        json_decref(root);
        return layout->host->fail(err, STRAKE_EREGISTRY,
                                  "%s/index.json is not the index of an OCI layout",
                                  layout->options.path);
    }
    *index = root;
    return 0;
}

/** oci-layout says that this is one, of a version that we know. */
static int check_version(const struct layout *layout, struct strake_err *err)
{
    struct plug_text text = { 0 };
    int rc = layout_read_file(layout, "oci-layout", &text, err);
    if (rc == STRAKE_ENOTFOUND) {
        layout->host->fail(err, rc, "%s is not an OCI layout: it has no file oci-layout",
                           layout->options.path);
    } else if (rc == 0) {
        json_t *root = json_loadb(plug_text_view(&text), text.len, 0, NULL);
        const char *version = json_string_value(json_object_get(root, "imageLayoutVersion"));
        if (!version || strncmp(version, "1.", 2) != 0)
            rc = layout->host->fail(err, STRAKE_EREGISTRY,
                                    "%s is an OCI layout of another version than 1.0.0: %.50s",
                                    layout->options.path, version ? version : "none");
        json_decref(root);
    }
    plug_text_dispose(&text);
    return rc;
}

int layout_index_load(const struct layout *layout, json_t **index, struct strake_err *err)
{
    struct plug_text text = { 0 };
    int rc = check_version(layout, err);
    if (rc == 0)
        rc = layout_read_file(layout, "index.json", &text, err);
    if (rc == 0)
        rc = parse(layout, plug_text_view(&text), text.len, index, err);
    plug_text_dispose(&text);
    return rc;
}

const char *layout_entry_tag(const json_t *entry)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(entry, "annotations"), LAYOUT_TAG));
    if (!name)
        return NULL;
    const char *slash = strrchr(name, '/');
    const char *colon = strrchr(slash ? slash : name, ':');
    const char *tag = colon ? colon + 1 : slash ? "" : name;
    return *tag ? tag : NULL;
}

/** Hold the folder against every other process and thread. @return a descriptor to close. */
static int lock(const struct layout *layout, struct strake_job *job, struct strake_err *err)
{
    int fd = open(layout->options.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return layout->host->fail(err, STRAKE_EIO, "%s cannot be opened: %s", layout->options.path,
                                  strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int rc = 0;
        if (errno == EWOULDBLOCK)
            rc = plug_wait_ms(layout->host, job, LOOK_AGAIN_MS, err);
        else if (errno != EINTR)
            rc = layout->host->fail(err, STRAKE_EIO, "%s cannot be locked: %s",
                                    layout->options.path, strerror(errno));
        if (rc < 0) {
            close(fd);
            return rc;
        }
    }
    return fd;
}

static int add_json(const char *data, size_t len, void *ctx)
{
    plug_text_add_len(ctx, data, len);
    return 0;
}

static int save(const struct layout *layout, const json_t *index, struct strake_err *err)
{
    struct plug_text text = { 0 };
    struct layout_draft draft = { .fd = -1 };
    int rc = 0;
    if (json_dump_callback(index, add_json, &text, JSON_COMPACT) < 0 || text.failed)
        rc = plug_fail_nomem(layout->host, err);
    if (rc == 0)
        rc = layout_draft_begin(layout, &draft, err);
    if (rc == 0)
        rc = layout_draft_write(layout, &draft, plug_text_view(&text), text.len, err);
    if (rc == 0)
        rc = layout_draft_commit(layout, &draft, "index.json", err);
    layout_draft_drop(&draft);
    plug_text_dispose(&text);
    return rc;
}

/** index.json, or an empty one where there is none yet (*made). */
static int load_or_new(const struct layout *layout, json_t **index, bool *made,
                       struct strake_err *err)
{
    struct strake_err *own = layout->host->err_new();
    if (!own)
        return plug_fail_nomem(layout->host, err);
    int rc = layout_index_load(layout, index, own);
    *made = rc == STRAKE_ENOTFOUND;
    if (*made)
        rc = parse(layout, empty_index, strlen(empty_index), index, err);
    else if (rc < 0)
        layout->host->fail(err, rc, "%s", layout->host->err_message(own));
    layout->host->err_free(own);
    return rc;
}

int layout_index_change(const struct layout *layout, struct strake_job *job, layout_change *change,
                        void *ctx, struct strake_err *err)
{
    json_t *index = NULL;
    int rc = layout_make_folder(layout, err);
    if (rc < 0)
        return rc;
    int fd = lock(layout, job, err);
    if (fd < 0)
        return fd;
    bool made = false;
    rc = load_or_new(layout, &index, &made, err);
    if (rc == 0 && change)
        rc = change(layout, json_object_get(index, "manifests"), ctx, err);
    if (rc == 0 && (change || made))
        rc = save(layout, index, err);
    json_decref(index);
    close(fd);
    return rc;
}
