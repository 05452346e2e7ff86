/* manifest.json says which files of the archive an image is made of; a layer's digest is that of
 * its plain tar in the configuration, or stands in its name, or is computed. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive.h"

#define LAYERS_MAX 10000

static int bad(const struct archive *archive, const char *why, struct strake_err *err)
{
    return archive->host->fail(err, STRAKE_EREGISTRY, "%s is no docker archive: %s",
                               archive->options.path, why);
}

static int read_json(const struct archive *archive, const char *name, json_t **out,
                     struct plug_text *text, struct strake_err *err)
{
    const struct archive_member *member = name ? archive_member_find(archive, name) : NULL;
    int rc;

    if (!member)
        return archive->host->fail(err, STRAKE_EREGISTRY,
                                   "%s is no docker archive: it has no %.120s",
                                   archive->options.path, name ? name : "configuration");
    rc = archive_member_text(archive, member, text, err);
    if (rc < 0)
        return rc;
    *out = json_loadb(plug_text_view(text), text->len, JSON_REJECT_DUPLICATES, NULL);
    return *out ? 0 : bad(archive, "its JSON is malformed", err);
}

/* ---- digests ---- */

static bool is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") == 64 && text[64] == '\0';
}

static int compute_digest(const struct archive *archive, const struct archive_member *member,
                          char *digest, struct strake_err *err)
{
    const int64_t page = sysconf(_SC_PAGESIZE), start = member->offset / page * page;
    const size_t len = (size_t)(member->offset + member->size_bytes - start);
    char *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, archive->fd, start);
    int rc;

    if (bytes == MAP_FAILED)
        return plug_fail_nomem(archive->host, err);
    rc =
        archive->host->digest(bytes + (member->offset - start), (size_t)member->size_bytes, digest);
    munmap(bytes, len);
    return rc < 0 ? plug_fail_nomem(archive->host, err) : 0;
}

static bool is_gzip(const struct archive *archive, const struct archive_member *member)
{
    unsigned char head[2] = "";

    return member->size_bytes > 2 &&
           pread(archive->fd, head, sizeof(head), member->offset) == (ssize_t)sizeof(head) &&
           head[0] == 0x1f && head[1] == 0x8b;
}

static int layer_digest(const struct archive *archive, const struct archive_member *member,
                        const char *diff_id, bool packed, char *digest, struct strake_err *err)
{
    static const char blobs[] = "blobs/sha256/";

    if (strncmp(member->name, blobs, strlen(blobs)) == 0 && is_hex(member->name + strlen(blobs))) {
        memcpy(digest, "sha256:", 7);
        memcpy(digest + 7, member->name + strlen(blobs), 65);
        return 0;
    }
    if (!packed && plug_copy(digest, 72, diff_id))
        return 0;
    return compute_digest(archive, member, digest, err);
}

/* ---- the image ---- */

static int add_blob(struct archive *archive, const struct archive_member *member,
                    const char *digest, const char *type, json_t *into, const char *key)
{
    struct archive_blob *blob = &archive->blobs[archive->blob_count++];
    json_t *entry = json_pack("{s:s, s:I, s:s}", "mediaType", type, "size",
                              (json_int_t)member->size_bytes, "digest", digest);

    (void)plug_copy(blob->digest, sizeof(blob->digest), digest);
    blob->member = member;
    return key ? json_object_set_new(into, key, entry) : json_array_append_new(into, entry);
}

static int add_layers(struct archive *archive, const json_t *names, const json_t *config,
                      json_t *layers, struct strake_err *err)
{
    const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *id = json_string_value(json_array_get(ids, i));
        const struct archive_member *member = name ? archive_member_find(archive, name) : NULL;
        char digest[72];
        bool packed;
        if (!member || !id)
            return bad(archive, "a layer is missing", err);
        packed = is_gzip(archive, member);
        rc = layer_digest(archive, member, id, packed, digest, err);
        if (rc == 0 && add_blob(archive, member, digest,
                                packed ? "application/vnd.docker.image.rootfs.diff.tar.gzip"
                                       : "application/vnd.docker.image.rootfs.diff.tar",
                                layers, NULL) < 0)
            rc = plug_fail_nomem(archive->host, err);
    }
    return rc;
}

static int make_manifest(struct archive *archive, const char *config_name, const json_t *names,
                         json_t *manifest, struct strake_err *err)
{
    struct plug_text text = { 0 };
    json_t *config = NULL;
    char digest[72];
    int rc = read_json(archive, config_name, &config, &text, err);

    if (rc == 0 && archive->host->digest(plug_text_view(&text), text.len, digest) < 0)
        rc = plug_fail_nomem(archive->host, err);
    if (rc == 0 &&
        add_blob(archive, archive_member_find(archive, config_name), digest,
                 "application/vnd.docker.container.image.v1+json", manifest, "config") < 0)
        rc = plug_fail_nomem(archive->host, err);
    if (rc == 0 && json_object_set_new(manifest, "layers", json_array()) < 0)
        rc = plug_fail_nomem(archive->host, err);
    if (rc == 0)
        rc = add_layers(archive, names, config, json_object_get(manifest, "layers"), err);
    json_decref(config);
    plug_text_dispose(&text);
    return rc;
}

static int take_image(struct archive *archive, const json_t *image, struct strake_err *err)
{
    const json_t *names = json_object_get(image, "Layers");
    json_t *manifest = json_pack("{s:i, s:s}", "schemaVersion", 2, "mediaType",
                                 "application/vnd.docker.distribution.manifest.v2+json");
    int rc = 0;

    if (json_array_size(names) > LAYERS_MAX) {
        json_decref(manifest);
        return bad(archive, "it has more than 10,000 layers", err);
    }
    archive->tags = json_incref(json_object_get(image, "RepoTags"));
    archive->blobs = calloc(json_array_size(names) + 1, sizeof(*archive->blobs));
    if (!manifest || !archive->blobs)
        rc = plug_fail_nomem(archive->host, err);
    if (rc == 0)
        rc = make_manifest(archive, json_string_value(json_object_get(image, "Config")), names,
                           manifest, err);
    if (rc == 0) {
        archive->manifest = json_dumps(manifest, JSON_COMPACT);
        if (!archive->manifest ||
            archive->host->digest(archive->manifest, strlen(archive->manifest), archive->digest) <
                0)
            rc = plug_fail_nomem(archive->host, err);
    }
    json_decref(manifest);
    return rc;
}

int archive_image_make(struct archive *archive, struct strake_err *err)
{
    struct plug_text text = { 0 };
    json_t *images = NULL;
    int rc = read_json(archive, "manifest.json", &images, &text, err);

    if (rc == 0 && !json_is_object(json_array_get(images, 0)))
        rc = bad(archive, "its manifest.json names no image", err);
    if (rc == 0 && json_array_size(images) > 1) {
        rc = archive->host->fail(err, STRAKE_EREGISTRY, "%s holds several images",
                                 archive->options.path);
        archive->host->err_hint(err, "save each into a file of its own");
    }
    if (rc == 0)
        rc = take_image(archive, json_array_get(images, 0), err);
    json_decref(images);
    plug_text_dispose(&text);
    return rc;
}
