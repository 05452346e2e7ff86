/* An image by its digest, looked at from top to bottom: manifests are read, blobs asked for, no layer
 * is pulled. */
#include "build/whole.h"

#include <string.h>

#include "image/manifest.h"
#include "util/each.h"
#include "util/json.h"

#define LABEL_CREATED "org.opencontainers.image.created"
#define LABEL_REVISION "org.opencontainers.image.revision"

/* An index in an index is allowed, one in itself impossible; deeper than this nobody builds. */
#define DEPTH_MAX 4

/* A connection costs as much as a few requests on one that is open. */
#define ASKERS 6

/* A blob that has to be there. */
struct wanted {
    char digest[STRAKE_DIGEST_TEXT];
    int64_t size_bytes;
    const char *what;
};

struct look {
    const struct strake_place_in_store *place;
    const char *digest; /* of the image, for messages */
    const char *name;
    struct strake_job *job;
    struct strake_err *err;
    struct strake_manifest_kept *kept; /* or NULL */
    bool whole;
    bool described;             /* a configuration was read */
    struct strake_strings seen; /* blobs that are known to be there, or wanted */
    struct wanted *wanted;
    size_t wanted_count, wanted_cap;
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

static int gone(const struct look *look, int rc, const char *what, const char *digest,
                struct strake_err *err)
{
    if (rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(err);
    strake_fail(err, STRAKE_ENOTFOUND, "%s@%s is not whole any more: %s %s is gone", look->name,
                look->digest, what, digest);
    strake_err_hint(err,
                    "it was deleted or pruned in the registry: go further back with --steps, or "
                    "choose another image with --to");
    return STRAKE_ENOTFOUND;
}

static int want_blob(struct look *look, const struct strake_content *blob, const char *what)
{
    struct wanted *grown;

    /* What lies outside of the registry by its type (foreign layers) was never pushed. */
    if (strake_strings_has(&look->seen, blob->digest) ||
        strstr(blob->media_type, "nondistributable") || strstr(blob->media_type, ".foreign."))
        return 0;
    if (look->wanted_count == look->wanted_cap) {
        const size_t cap = look->wanted_cap ? look->wanted_cap * 2 : 16;
        grown = strake_reallocarray(look->wanted, cap, sizeof(*grown));
        if (!grown)
            return strake_fail_nomem(look->err);
        look->wanted = grown;
        look->wanted_cap = cap;
    }
    if (strake_strings_add(&look->seen, blob->digest) < 0)
        return strake_fail_nomem(look->err);
    look->wanted[look->wanted_count] =
        (struct wanted){ .size_bytes = blob->size_bytes, .what = what };
    memcpy(look->wanted[look->wanted_count++].digest, blob->digest, STRAKE_DIGEST_TEXT);
    return 0;
}

static int check_blob(void *ctx, size_t i, struct strake_err *err)
{
    const struct look *look = ctx;
    const struct wanted *blob = &look->wanted[i];
    int64_t size_bytes = 0;
    int rc = strake_registry_blob_stat(look->place->instance, look->job, look->place->repository,
                                       blob->digest, &size_bytes, err);

    if (rc == 0 && size_bytes != blob->size_bytes)
        return strake_fail(err, STRAKE_ECORRUPT,
                           "%s@%s: the %s %s has %lld bytes in the registry, not %lld", look->name,
                           look->digest, blob->what, blob->digest, (long long)size_bytes,
                           (long long)blob->size_bytes);
    return gone(look, rc, blob->what, blob->digest, err);
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
    return gone(look, rc, "configuration", manifest->config.digest, look->err);
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
        rc = want_blob(look, &manifest->config, "configuration");
    for (size_t i = 0; rc == 0 && i < manifest->count; i++)
        rc = want_blob(look, &manifest->items[i], "layer");
    return rc;
}

/* The bytes that a tag will be put with: they need not be asked for again. */
static int keep(struct look *look, const struct strake_descriptor *found, struct strake_buf *bytes)
{
    struct strake_manifest_kept *kept = look->kept;

    strake_manifest_kept_dispose(kept);
    kept->instance = look->place->instance;
    kept->repository = strake_strdup(look->place->repository);
    kept->media_type = strake_strdup(found->media_type);
    memcpy(kept->digest, found->digest, STRAKE_DIGEST_TEXT - 1);
    if (!kept->repository || !kept->media_type) {
        strake_manifest_kept_dispose(kept);
        return strake_fail_nomem(look->err);
    }
    kept->bytes = *bytes;
    *bytes = (struct strake_buf){ 0 }; /* moved */
    return 0;
}

static int walk(struct look *look, const char *digest, int depth)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    struct strake_manifest manifest = { 0 };
    int rc = strake_registry_manifest_get(look->place->instance, look->job, look->place->repository,
                                          digest, &bytes, &found, look->err);

    rc = gone(look, rc, "manifest", digest, look->err);
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
    if (rc == 0 && depth == 0 && look->kept)
        rc = keep(look, &found, &bytes);
    strake_manifest_dispose(&manifest);
    strake_buf_dispose(&bytes);
    return rc;
}

int strake_image_look(struct strake_stores *stores, const char *repository, const char *digest,
                      bool whole, struct strake_manifest_kept *kept, struct strake_job *job,
                      json_t **out, struct strake_err *err)
{
    struct strake_reference parsed = { 0 };
    struct strake_place_in_store place = { 0 };
    struct look look = { .place = &place,
                         .digest = digest,
                         .name = repository,
                         .job = job,
                         .err = err,
                         .kept = kept,
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
        rc = strake_each(look.wanted_count, ASKERS, check_blob, &look, err);
    if (rc == 0)
        *out = json_incref(look.out);
    json_decref(look.out);
    strake_strings_dispose(&look.seen);
    strake_free(look.wanted);
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&parsed);
    return rc;
}
