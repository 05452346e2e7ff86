/* One index out of what several builders pushed. Entries are copied as they are, so that
 * annotations, attestations and fields that are not known here stay. */
#include <string.h>

#include "image/manifest.h"
#include "util/json.h"
#include "util/mem.h"

struct merge {
    json_t *entries;     /* an array, new references */
    json_t *annotations; /* an object: those of the parts, the first of a key stays */
    json_t *seen;        /* platform and os.version -> the part that brought it */
    bool docker;         /* no entry has another type than Docker's */
};

/* Indexes for Windows have an entry for each os.version. */
static char *entry_key(const char *platform, const json_t *entry)
{
    const char *version = strake_json_str(json_object_get(entry, "platform"), "os.version");
    return strake_asprintf("%s %s", platform, version != NULL ? version : "");
}

static int note_platform(struct merge *merge, const char *platform, const json_t *entry,
                         const char *digest, struct strake_err *err)
{
    int rc = 0;
    char *key = entry_key(platform, entry);
    if (key == NULL)
        return strake_fail_nomem(err);
    const char *other = strake_json_str(merge->seen, key);
    if (other != NULL) {
        rc = strake_fail(err, STRAKE_EREGISTRY, "two builders gave an image for %s: %s and %s",
                         platform, other, digest);
        strake_err_hint(err, "route each platform to one builder");
    } else if (strake_json_set_str(merge->seen, key, digest) < 0) {
        rc = strake_fail_nomem(err);
    }
    strake_free(key);
    return rc;
}

static int add_index(struct merge *merge, const struct strake_index_part *part,
                     const struct strake_manifest *parsed, struct strake_err *err)
{
    json_t *root = strake_json_parse(part->data, part->len, part->digest, STRAKE_EREGISTRY, err);
    if (root == NULL)
        return err->code;
    json_t *entries = json_object_get(root, "manifests");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < parsed->count; i++) {
        const struct strake_content *item = &parsed->items[i];
        json_t *entry = json_array_get(entries, i);
        if (!item->attestation && item->platform[0] != '\0')
            rc = note_platform(merge, item->platform, entry, item->digest, err);
        if (rc == 0 && json_array_append(merge->entries, entry) < 0)
            rc = strake_fail_nomem(err);
        if (strncmp(item->media_type, "application/vnd.docker.", 23) != 0)
            merge->docker = false;
    }
    if (rc == 0 && parsed->annotations != NULL &&
        json_object_update_missing(merge->annotations, parsed->annotations) < 0)
        rc = strake_fail_nomem(err);
    json_decref(root);
    return rc;
}

/* {"os","architecture","variant"} of "os/arch/variant". */
static json_t *platform_object(const char *platform)
{
    static const char *const fields[] = { "os", "architecture", "variant" };
    json_t *object = json_object();
    for (size_t i = 0; object != NULL && i < 3; i++) {
        size_t len = strcspn(platform, "/");
        if (strake_json_set_strn(object, fields[i], platform, len) < 0) {
            json_decref(object);
            return NULL;
        }
        if (platform[len] == '\0')
            break;
        platform += len + 1;
    }
    return object;
}

static int add_manifest(struct merge *merge, const struct strake_index_part *part,
                        const struct strake_manifest *parsed, struct strake_err *err)
{
    if (part->platform == NULL || *part->platform == '\0')
        return strake_fail(err, STRAKE_EREGISTRY, "%s: no platform is known for this manifest",
                           part->digest);
    int rc =
        strake_digest_verify(part->digest, part->data, part->len, "a manifest to be joined", err);
    if (rc == 0)
        rc = note_platform(merge, part->platform, NULL, part->digest, err);
    if (rc < 0)
        return rc;

    json_t *entry = json_object();
    if (entry == NULL || json_array_append_new(merge->entries, entry) < 0 ||
        strake_json_set_str(entry, "mediaType", parsed->media_type) < 0 ||
        strake_json_set_str(entry, "digest", part->digest) < 0 ||
        strake_json_set_int(entry, "size", (int64_t)part->len) < 0 ||
        strake_json_set(entry, "platform", platform_object(part->platform)) < 0)
        return strake_fail_nomem(err);
    if (strcmp(parsed->media_type, STRAKE_MEDIA_DOCKER_MANIFEST) != 0)
        merge->docker = false;
    return 0;
}

static int add_part(struct merge *merge, const struct strake_index_part *part,
                    struct strake_err *err)
{
    struct strake_manifest parsed;
    int rc =
        strake_manifest_parse(part->data, part->len, part->media_type, part->digest, &parsed, err);
    if (rc < 0)
        return rc;
    rc = parsed.index ? add_index(merge, part, &parsed, err)
                      : add_manifest(merge, part, &parsed, err);
    strake_manifest_dispose(&parsed);
    return rc;
}

static int write_index(const struct merge *merge, const char *media_type, struct strake_buf *out,
                       struct strake_err *err)
{
    json_t *index = json_object();
    int rc = STRAKE_ENOMEM;
    if (index != NULL && strake_json_set_int(index, "schemaVersion", 2) == 0 &&
        strake_json_set_str(index, "mediaType", media_type) == 0 &&
        strake_json_set(index, "manifests", json_incref(merge->entries)) == 0 &&
        (json_object_size(merge->annotations) == 0 ||
         strake_json_set(index, "annotations", json_incref(merge->annotations)) == 0))
        rc = strake_json_dump(index, out);
    json_decref(index);
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(err);
    if (rc < 0)
        return strake_fail(err, STRAKE_EREGISTRY, "the joined index is too large");
    return 0;
}

int strake_index_merge(const struct strake_index_part *parts, size_t count, struct strake_buf *out,
                       const char **media_type, struct strake_err *err)
{
    struct merge merge = { .entries = json_array(),
                           .annotations = json_object(),
                           .seen = json_object(),
                           .docker = count > 0 };
    int rc = 0;
    if (merge.entries == NULL || merge.annotations == NULL || merge.seen == NULL)
        rc = strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_part(&merge, &parts[i], err);
    if (rc == 0) {
        *media_type = merge.docker ? STRAKE_MEDIA_DOCKER_LIST : STRAKE_MEDIA_OCI_INDEX;
        rc = write_index(&merge, *media_type, out, err);
    }
    json_decref(merge.entries);
    json_decref(merge.annotations);
    json_decref(merge.seen);
    return rc;
}
