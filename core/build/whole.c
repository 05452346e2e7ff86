/* An image by its digest, looked at from top to bottom: manifests are read, blobs asked for, no layer
 * is pulled. */
#include "build/whole.h"

#include <string.h>

#include "image/manifest.h"
#include "util/json.h"

#define LABEL_CREATED "org.opencontainers.image.created"
#define LABEL_REVISION "org.opencontainers.image.revision"

/* An index in an index is allowed, one in itself impossible; deeper than this nobody builds. */
#define DEPTH_MAX 4

struct look {
    const struct strake_place_in_store *place;
    const char *digest; /* of the image, for messages */
    const char *name;
    struct strake_job *job;
    struct strake_err *err;
    bool whole;
    bool described;             /* a configuration was read */
    struct strake_strings seen; /* blobs and manifests that are known to be there */
    json_t *out;
};

/* Annotations go before labels: they are said first. */
static int take(json_t *out, const char *key, const char *value)
{
    const char *known = strake_json_str(out, key);

    return !value || !*value || (known && *known) ? 0 : strake_json_set_str(out, key, value);
}

static int take_words(struct look *look, const json_t *words)
{
    if (take(look->out, "created", strake_json_str(words, LABEL_CREATED)) < 0 ||
        take(look->out, "revision", strake_json_str(words, LABEL_REVISION)) < 0)
        return strake_fail_nomem(look->err);
    return 0;
}

static int gone(struct look *look, int rc, const char *what, const char *digest)
{
    if (rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(look->err);
    strake_fail(look->err, STRAKE_ENOTFOUND, "%s@%s is not whole any more: %s %s is gone",
                look->name, look->digest, what, digest);
    strake_err_hint(look->err,
                    "it was deleted or pruned in the registry: go further back with --steps, or "
                    "choose another image with --to");
    return STRAKE_ENOTFOUND;
}

static int check_blob(struct look *look, const struct strake_content *blob, const char *what)
{
    int64_t size_bytes = 0;
    int rc;

    /* What lies outside of the registry by its type (foreign layers) was never pushed. */
    if (strake_strings_has(&look->seen, blob->digest) ||
        strstr(blob->media_type, "nondistributable") || strstr(blob->media_type, ".foreign."))
        return 0;
    rc = strake_registry_blob_stat(look->place->instance, look->job, look->place->repository,
                                   blob->digest, &size_bytes, look->err);
    if (rc == 0 && size_bytes != blob->size_bytes)
        return strake_fail(look->err, STRAKE_ECORRUPT,
                           "%s@%s: the %s %s has %lld bytes in the registry, not %lld", look->name,
                           look->digest, what, blob->digest, (long long)size_bytes,
                           (long long)blob->size_bytes);
    if (rc == 0 && strake_strings_add(&look->seen, blob->digest) < 0)
        return strake_fail_nomem(look->err);
    return gone(look, rc, what, blob->digest);
}

/* Only an image's configuration is read; it is bounded, and a few hundred bytes as a rule. */
static int read_config(struct look *look, const struct strake_manifest *manifest)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_CONFIG_MAX);
    struct strake_config config = { 0 };
    int rc =
        strake_registry_blob_read(look->place->instance, look->job, look->place->repository,
                                  manifest->config.digest, STRAKE_CONFIG_MAX, &bytes, look->err);

    if (rc == 0)
        rc = strake_config_parse(strake_buf_text(&bytes), bytes.len, manifest->config.digest,
                                 manifest->count, &config, look->err);
    if (rc == 0)
        rc = take_words(look, json_object_get(config.shown, "labels"));
    if (rc == 0 && take(look->out, "created", config.created) < 0)
        rc = strake_fail_nomem(look->err);
    if (rc == 0 && strake_strings_add(&look->seen, manifest->config.digest) < 0)
        rc = strake_fail_nomem(look->err);
    look->described = true;
    strake_config_dispose(&config);
    strake_buf_dispose(&bytes);
    return gone(look, rc, "configuration", manifest->config.digest);
}

static bool is_image(const struct strake_manifest *manifest)
{
    const char *type = manifest->config.media_type;

    return strcmp(type, "application/vnd.oci.image.config.v1+json") == 0 ||
           strcmp(type, "application/vnd.docker.container.image.v1+json") == 0;
}

static int check_manifest(struct look *look, const struct strake_manifest *manifest)
{
    int rc = 0;

    if (!look->described && is_image(manifest))
        rc = read_config(look, manifest);
    if (!look->whole)
        return rc;
    if (rc == 0)
        rc = check_blob(look, &manifest->config, "configuration");
    for (size_t i = 0; rc == 0 && i < manifest->count; i++)
        rc = check_blob(look, &manifest->items[i], "layer");
    return rc;
}

static int walk(struct look *look, const char *digest, int depth)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    int rc = strake_registry_manifest_get(look->place->instance, look->job, look->place->repository,
                                          digest, &bytes, &found, look->err);

    rc = gone(look, rc, "manifest", digest);
    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&bytes), bytes.len, found.media_type, digest,
                                   &manifest, look->err);
    if (rc == 0)
        rc = take_words(look, manifest.annotations);
    if (rc == 0 && depth == 0 &&
        strake_json_set_str(look->out, "media_type", manifest.media_type) < 0)
        rc = strake_fail_nomem(look->err);
    if (rc == 0 && !manifest.index)
        rc = check_manifest(look, &manifest);
    if (rc == 0 && manifest.index && depth == DEPTH_MAX)
        rc = strake_fail(look->err, STRAKE_EREGISTRY, "%s@%s: indexes within indexes, too deep",
                         look->name, look->digest);
    for (size_t i = 0; rc == 0 && manifest.index && i < manifest.count; i++) {
        if (look->whole || (!look->described && !manifest.items[i].attestation))
            rc = walk(look, manifest.items[i].digest, depth + 1);
    }
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    return rc;
}

int strake_image_look(struct strake_stores *stores, const char *repository, const char *digest,
                      bool whole, struct strake_job *job, json_t **out, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct look look = { .place = &place,
                         .digest = digest,
                         .name = repository,
                         .job = job,
                         .err = err,
                         .whole = whole,
                         .out = json_object() };
    int rc = 0;

    if (!look.out || strake_json_set_str(look.out, "digest", digest) < 0 ||
        strake_json_set_str(look.out, "created", "") < 0 ||
        strake_json_set_str(look.out, "revision", "") < 0)
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_stores_open(stores, repository, &parsed, &place, err);
    if (rc == 0)
        rc = walk(&look, digest, 0);
    if (rc == 0)
        *out = json_incref(look.out);
    json_decref(look.out);
    strake_strings_dispose(&look.seen);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}
