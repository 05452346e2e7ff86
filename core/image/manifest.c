/* Manifests and indexes: what a registry or a layout sends, parsed strictly. Which of the two a
 * document is follows from its media type alone; a document that could be read as the other is
 * refused, so that no two readers of it see different images. */
#include "image/manifest.h"

#include <string.h>

#include "util/json.h"
#include "util/mem.h"

#define ITEMS_MAX 10000
#define MEDIA_TYPE_MAX 255

bool strake_media_is_index(const char *media_type)
{
    return strcmp(media_type, STRAKE_MEDIA_OCI_INDEX) == 0 ||
           strcmp(media_type, STRAKE_MEDIA_DOCKER_LIST) == 0;
}

bool strake_media_is_manifest(const char *media_type)
{
    return strcmp(media_type, STRAKE_MEDIA_OCI_MANIFEST) == 0 ||
           strcmp(media_type, STRAKE_MEDIA_DOCKER_MANIFEST) == 0;
}

static int refuse(struct strake_err *err, const char *what, const char *field, const char *problem)
{
    return strake_fail(err, STRAKE_EREGISTRY, "%s: '%s' %s", what, field, problem);
}

/* An object of strings, or nothing. @return 0 with *out a new reference or NULL. */
static int read_annotations(const json_t *object, const char *what, json_t **out,
                            struct strake_err *err)
{
    json_t *annotations = json_object_get(object, "annotations");
    const char *key;
    json_t *value;

    *out = NULL;
    if (annotations == NULL || json_is_null(annotations))
        return 0;
    if (!json_is_object(annotations))
        return refuse(err, what, "annotations", "is no object");
    json_object_foreach(annotations, key, value) {
        if (!json_is_string(value))
            return refuse(err, what, "annotations", "has a value that is no text");
    }
    *out = json_incref(annotations);
    return 0;
}

static void content_dispose(struct strake_content *content)
{
    strake_free(content->media_type);
    json_decref(content->annotations);
}

static int read_platform(const json_t *entry, const char *what, struct strake_content *out,
                         struct strake_err *err)
{
    json_t *platform = json_object_get(entry, "platform");
    if (platform == NULL || json_is_null(platform))
        return 0;
    if (!json_is_object(platform))
        return refuse(err, what, "platform", "is no object");
    strake_platform_make(strake_json_str(platform, "os"), strake_json_str(platform, "architecture"),
                         strake_json_str(platform, "variant"), out->platform);
    const char *type = strake_json_str(out->annotations, "vnd.docker.reference.type");
    out->attestation = strcmp(out->platform, "unknown/unknown") == 0 && type != NULL &&
                       strcmp(type, "attestation-manifest") == 0;
    return 0;
}

/* A descriptor: media type, digest, size. */
static int read_content(const json_t *object, const char *what, const char *field,
                        struct strake_content *out, struct strake_err *err)
{
    if (!json_is_object(object))
        return refuse(err, what, field, "is no object");
    const char *media_type = strake_json_str(object, "mediaType");
    if (media_type == NULL || *media_type == '\0' || strlen(media_type) > MEDIA_TYPE_MAX)
        return refuse(err, what, field, "has no media type");
    const char *digest = strake_json_str(object, "digest");
    if (digest == NULL)
        return refuse(err, what, field, "has no digest");
    if (!strake_digest_valid(digest))
        return refuse(err, what, field, "has a digest that is no sha256 digest");
    const json_t *size = json_object_get(object, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return refuse(err, what, field, "has no size");

    memcpy(out->digest, digest, strlen(digest) + 1);
    out->size_bytes = json_integer_value(size);
    out->media_type = strake_strdup(media_type);
    if (out->media_type == NULL)
        return strake_fail_nomem(err);
    int rc = read_annotations(object, what, &out->annotations, err);
    return rc < 0 ? rc : read_platform(object, what, out, err);
}

static int read_items(const json_t *root, const char *what, struct strake_manifest *out,
                      struct strake_err *err)
{
    const char *field = out->index ? "manifests" : "layers";
    const json_t *items = json_object_get(root, field);
    if (!json_is_array(items))
        return refuse(err, what, field, "is no array");
    size_t count = json_array_size(items);
    if (count > ITEMS_MAX)
        return refuse(err, what, field, "has more than 10000 entries");
    out->items = strake_calloc(count, sizeof(*out->items));
    if (out->items == NULL)
        return strake_fail_nomem(err);
    for (; out->count < count; out->count++) {
        struct strake_content item = { 0 };
        int rc = read_content(json_array_get(items, out->count), what, field, &item, err);
        if (rc < 0) {
            content_dispose(&item);
            return rc;
        }
        out->items[out->count] = item;
    }
    return 0;
}

/* The media type that counts, borrowed from `root`, `answered` or a constant; NULL: refused.
 * `answered` has no parameters ("; charset=…") any more. */
static const char *choose_type(const json_t *root, const char *answered, const char *what,
                               struct strake_err *err)
{
    const char *inside = strake_json_str(root, "mediaType");
    if (inside != NULL && *answered != '\0' && strcmp(inside, answered) != 0) {
        strake_fail(err, STRAKE_EREGISTRY, "%s: was answered as %s but says that it is %s", what,
                    answered, inside);
        return NULL;
    }
    const char *type = inside != NULL ? inside : answered;
    if (*type == '\0') /* OCI leaves mediaType optional, and a layout has no Content-Type */
        type = json_object_get(root, "manifests") != NULL ? STRAKE_MEDIA_OCI_INDEX
                                                          : STRAKE_MEDIA_OCI_MANIFEST;
    if (strake_media_is_index(type) || strake_media_is_manifest(type))
        return type;
    strake_fail(err, STRAKE_EREGISTRY, "%s: unknown manifest type '%s'", what, type);
    strake_err_hint(err, "OCI and Docker schema 2 manifests and indexes are understood");
    return NULL;
}

static int read_subject(const json_t *root, const char *what, struct strake_manifest *out,
                        struct strake_err *err)
{
    const json_t *subject = json_object_get(root, "subject");
    struct strake_content content = { 0 };
    if (subject == NULL || json_is_null(subject))
        return 0;
    int rc = read_content(subject, what, "subject", &content, err);
    if (rc == 0)
        memcpy(out->subject, content.digest, sizeof(out->subject));
    content_dispose(&content);
    return rc;
}

/* What an artifact is; an image has none. */
static int read_artifact_type(const json_t *root, const char *what, struct strake_manifest *out,
                              struct strake_err *err)
{
    const json_t *type = json_object_get(root, "artifactType");
    if (type == NULL || json_is_null(type))
        return 0;
    if (!json_is_string(type) || json_string_length(type) > MEDIA_TYPE_MAX)
        return refuse(err, what, "artifactType", "is no media type");
    out->artifact_type = strake_strdup(json_string_value(type));
    return out->artifact_type != NULL ? 0 : strake_fail_nomem(err);
}

static int read_manifest(const json_t *root, const char *answered, const char *what,
                         struct strake_manifest *out, struct strake_err *err)
{
    if (!json_is_object(root))
        return strake_fail(err, STRAKE_EREGISTRY, "%s: is no JSON object", what);
    const char *type = choose_type(root, answered, what, err);
    if (type == NULL)
        return STRAKE_EREGISTRY;
    if (strake_json_int(root, "schemaVersion", 0) != 2)
        return refuse(err, what, "schemaVersion", "is not 2");

    out->index = strake_media_is_index(type);
    const char *foreign = out->index ? "layers" : "manifests";
    if (json_object_get(root, foreign) != NULL)
        return refuse(err, what, foreign,
                      out->index ? "stands in an index" : "stands in a manifest");
    out->media_type = strake_strdup(type);
    if (out->media_type == NULL)
        return strake_fail_nomem(err);

    int rc = read_artifact_type(root, what, out, err);
    if (rc == 0 && !out->index)
        rc = read_content(json_object_get(root, "config"), what, "config", &out->config, err);
    if (rc == 0)
        rc = read_items(root, what, out, err);
    if (rc == 0)
        rc = read_annotations(root, what, &out->annotations, err);
    if (rc == 0)
        rc = read_subject(root, what, out, err);
    return rc;
}

int strake_manifest_parse(const char *data, size_t len, const char *answered_type, const char *what,
                          struct strake_manifest *out, struct strake_err *err)
{
    *out = (struct strake_manifest){ 0 };
    if (len > STRAKE_MANIFEST_MAX)
        return strake_fail(err, STRAKE_EREGISTRY, "%s: has more than %zu bytes", what,
                           STRAKE_MANIFEST_MAX);
    /* "application/…+json; charset=utf-8" */
    char *answered = strake_strndup(answered_type, strcspn(answered_type, "; \t"));
    if (answered == NULL)
        return strake_fail_nomem(err);
    json_t *root = strake_json_parse(data, len, what, STRAKE_EREGISTRY, err);
    int rc = root == NULL ? err->code : read_manifest(root, answered, what, out, err);
    json_decref(root);
    strake_free(answered);
    if (rc < 0)
        strake_manifest_dispose(out);
    return rc;
}

void strake_manifest_dispose(struct strake_manifest *manifest)
{
    if (manifest == NULL)
        return;
    content_dispose(&manifest->config);
    for (size_t i = 0; i < manifest->count; i++)
        content_dispose(&manifest->items[i]);
    strake_free(manifest->items);
    strake_free(manifest->artifact_type);
    strake_free(manifest->media_type);
    json_decref(manifest->annotations);
    *manifest = (struct strake_manifest){ 0 };
}
