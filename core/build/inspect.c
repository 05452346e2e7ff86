/* Looking at an image: its manifest or index, and each platform's configuration and layers. */
#include "build/inspect.h"

#include <string.h>

#include "util/json.h"

struct look {
    const struct strake_place_in_store *place;
    struct strake_job *job;
    struct strake_err *err;
};

/* `keep` takes over the bytes; NULL: nobody wants them. */
static int fetch(struct look *look, const char *object, struct strake_manifest *manifest,
                 struct strake_descriptor *found, struct strake_buf *keep)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    const char *repository = look->place->repository;
    int rc;

    *found = (struct strake_descriptor){ .size = sizeof(*found) };
    rc = strake_registry_manifest_get(look->place->instance, look->job, repository, object, &bytes,
                                      found, look->err);
    if (rc == 0) {
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, found->media_type, object,
                                   manifest, look->err);
        if (rc < 0)
            strake_err_prefix(look->err, "%s: ", repository);
    }
    if (rc == 0 && keep) {
        *keep = bytes;
        return 0;
    }
    strake_buf_dispose(&bytes);
    return rc;
}

static json_t *layer_json(const struct strake_content *layer, const struct strake_config *config,
                          size_t at)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "digest", layer->digest) < 0 ||
        (at < config->diff_count &&
         strake_json_set_str(entry, "diff_id", config->diff_ids[at]) < 0) ||
        strake_json_set_int(entry, "size_bytes", layer->size_bytes) < 0 ||
        (at < config->diff_count &&
         strake_json_set_str(entry, "created_by", config->created_by[at]) < 0)) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static int64_t total_bytes(const struct strake_manifest *manifest)
{
    int64_t total = manifest->config.size_bytes;

    for (size_t i = 0; i < manifest->count; i++)
        total += manifest->items[i].size_bytes;
    return total;
}

/* Not every manifest is an image: an artifact's configuration is not read. */
static bool is_image(const struct strake_manifest *manifest)
{
    const char *type = manifest->config.media_type;

    return strcmp(type, "application/vnd.oci.image.config.v1+json") == 0 ||
           strcmp(type, "application/vnd.docker.container.image.v1+json") == 0;
}

static int read_config(struct look *look, const struct strake_manifest *manifest,
                       struct strake_config *config)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_CONFIG_MAX);
    int rc;

    if (!is_image(manifest))
        return 0;
    rc = strake_registry_blob_read(look->place->instance, look->job, look->place->repository,
                                   manifest->config.digest, STRAKE_CONFIG_MAX, &bytes, look->err);
    if (rc == 0)
        rc = strake_config_parse(strake_buf_text(&bytes), bytes.len, manifest->config.digest,
                                 manifest->count, config, look->err);
    strake_buf_dispose(&bytes);
    return rc;
}

static json_t *platform_json(const struct strake_manifest *manifest, const char *digest,
                             const struct strake_config *config, const char *platform)
{
    json_t *entry = json_object(), *layers = json_array();

    for (size_t i = 0; layers && i < manifest->count; i++) {
        if (json_array_append_new(layers, layer_json(&manifest->items[i], config, i)) < 0) {
            json_decref(layers);
            layers = NULL;
        }
    }
    if (!entry || !layers || strake_json_set_str(entry, "platform", platform) < 0 ||
        strake_json_set_str(entry, "digest", digest) < 0 ||
        strake_json_set_int(entry, "size_bytes", total_bytes(manifest)) < 0 ||
        strake_json_set_str(entry, "created", config->created) < 0 ||
        json_object_set_new(entry, "config",
                            config->shown ? json_incref(config->shown) : json_object()) < 0 ||
        json_object_set(entry, "layers", layers) < 0) {
        json_decref(entry);
        entry = NULL;
    }
    json_decref(layers);
    return entry;
}

static int add_platform(struct look *look, const struct strake_manifest *manifest,
                        const char *digest, const char *platform, json_t *platforms)
{
    struct strake_config config = { 0 };
    int rc = read_config(look, manifest, &config);

    if (rc == 0 && json_array_append_new(
                       platforms, platform_json(manifest, digest, &config,
                                                platform[0] ? platform : config.platform)) < 0)
        rc = strake_fail_nomem(look->err);
    strake_config_dispose(&config);
    return rc;
}

static int add_all(struct look *look, const struct strake_manifest *top, const char *digest,
                   json_t *platforms)
{
    int rc = 0;

    if (!top->index)
        return add_platform(look, top, digest, "", platforms);
    for (size_t i = 0; rc == 0 && i < top->count; i++) {
        struct strake_manifest manifest = { 0 };
        struct strake_descriptor found;
        if (top->items[i].attestation)
            continue;
        rc = fetch(look, top->items[i].digest, &manifest, &found, NULL);
        if (rc == 0 && manifest.index)
            rc = strake_fail(look->err, STRAKE_EREGISTRY,
                             "%s: an index within an index is not shown", found.digest);
        if (rc == 0)
            rc = add_platform(look, &manifest, found.digest, top->items[i].platform, platforms);
        strake_manifest_dispose(&manifest);
    }
    return rc;
}

static int64_t sum_sizes(const json_t *platforms)
{
    int64_t total = 0;
    const json_t *entry;
    size_t i;

    json_array_foreach(platforms, i, entry)
        total += strake_json_int(entry, "size_bytes", 0);
    return total;
}

static int document(const char *ref, const struct strake_manifest *top,
                    const struct strake_descriptor *found, json_t *platforms, json_t **out)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "schema", "strake.image/1") < 0 ||
        strake_json_set_str(doc, "ref", ref) < 0 ||
        strake_json_set_str(doc, "digest", found->digest) < 0 ||
        strake_json_set_str(doc, "media_type", top->media_type) < 0 ||
        strake_json_set_int(doc, "size_bytes", sum_sizes(platforms)) < 0 ||
        json_object_set_new(doc, "annotations",
                            top->annotations ? json_incref(top->annotations) : json_object()) < 0 ||
        json_object_set(doc, "platforms", platforms) < 0) {
        json_decref(doc);
        return STRAKE_ENOMEM;
    }
    *out = doc;
    return 0;
}

int strake_inspect(struct strake_stores *stores, const char *ref, struct strake_job *job,
                   json_t **out, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_manifest top = { 0 };
    struct strake_descriptor found;
    struct look look = { .place = &place, .job = job, .err = err };
    json_t *platforms = json_array();
    int rc = platforms ? 0 : strake_fail_nomem(err);

    if (rc == 0)
        rc = strake_stores_open_to_read(stores, ref, &parsed, &place, err);
    if (rc == 0)
        rc = fetch(&look, strake_reference_object(&parsed), &top, &found, NULL);
    if (rc == 0)
        rc = add_all(&look, &top, found.digest, platforms);
    if (rc == 0 && document(ref, &top, &found, platforms, out) < 0)
        rc = strake_fail_nomem(err);
    json_decref(platforms);
    strake_manifest_dispose(&top);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}

/* A bare manifest says its platform only in its configuration. */
static int bare_platform(struct look *look, const struct strake_manifest *manifest,
                         const char *digest, struct strake_pairs *platforms)
{
    struct strake_config config = { 0 };
    int rc = read_config(look, manifest, &config);

    if (rc == 0 && config.platform[0] && strake_pairs_set(platforms, config.platform, digest) < 0)
        rc = strake_fail_nomem(look->err);
    strake_config_dispose(&config);
    return rc;
}

int strake_inspect_platforms(struct strake_stores *stores, const char *repository,
                             const char *digest, struct strake_job *job,
                             struct strake_pairs *platforms, char **media_type,
                             struct strake_buf *bytes, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct strake_manifest top = { 0 };
    struct strake_descriptor found;
    struct look look = { .place = &place, .job = job, .err = err };
    int rc = strake_stores_open_to_read(stores, repository, &parsed, &place, err);

    if (rc == 0)
        rc = fetch(&look, digest, &top, &found, bytes);
    if (rc == 0 && !top.index)
        rc = bare_platform(&look, &top, digest, platforms);
    for (size_t i = 0; rc == 0 && top.index && i < top.count; i++) {
        const struct strake_content *item = &top.items[i];
        if (!item->attestation && item->platform[0] &&
            strake_pairs_set(platforms, item->platform, item->digest) < 0)
            rc = strake_fail_nomem(err);
    }
    if (rc == 0 && media_type) {
        *media_type = strake_strdup(top.media_type);
        if (!*media_type)
            rc = strake_fail_nomem(err);
    }
    strake_manifest_dispose(&top);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}
