/* Manifests, indexes and image configurations: parsed strictly, bounded; indexes made of parts. */
#ifndef STRAKE_IMAGE_MANIFEST_H
#define STRAKE_IMAGE_MANIFEST_H

#include <jansson.h>

#include "image/digest.h"
#include "image/platform.h"
#include "util/buf.h"
#include "util/err.h"

#define STRAKE_MANIFEST_MAX ((size_t)8 * 1024 * 1024)
#define STRAKE_CONFIG_MAX ((size_t)8 * 1024 * 1024)

#define STRAKE_MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define STRAKE_MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define STRAKE_MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define STRAKE_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"

bool strake_media_is_index(const char *media_type);
bool strake_media_is_manifest(const char *media_type);

/** One entry of an index, or a layer or config of a manifest. */
struct strake_content {
    char digest[STRAKE_DIGEST_TEXT];
    char *media_type;
    int64_t size_bytes;
    char platform[STRAKE_PLATFORM_TEXT]; /**< index entries; "" when the entry has none */
    bool attestation;                    /**< unknown/unknown with attestation annotations */
    json_t *annotations;                 /**< an object, or NULL */
};

/** A parsed manifest or index. */
struct strake_manifest {
    bool index;
    char *media_type;
    char *artifact_type;          /**< NULL when it has none */
    struct strake_content config; /**< of a manifest; digest "" in an index */
    struct strake_content *items; /**< layers of a manifest, entries of an index */
    size_t count;
    json_t *annotations;              /**< an object, or NULL */
    char subject[STRAKE_DIGEST_TEXT]; /**< "" when it has none */
};

/** Parse. `answered_type` is the registry's Content-Type ("" when it said none); a `mediaType`
 *  inside that differs is refused, an unknown type is named. At most 10,000 entries.
 *  @return 0, STRAKE_EREGISTRY naming `what`, STRAKE_ENOMEM. */
int strake_manifest_parse(const char *data, size_t len, const char *answered_type, const char *what,
                          struct strake_manifest *out, struct strake_err *err);
void strake_manifest_dispose(struct strake_manifest *manifest);

/** The parts of an image configuration that are shown (OCI image specification, config.md). */
struct strake_config {
    char platform[STRAKE_PLATFORM_TEXT];
    char *created;   /**< as written, or NULL */
    json_t *shown;   /**< {"user","entrypoint","cmd","env","working_dir","labels","exposed_ports",
                          "volumes","stop_signal","healthcheck"}, as `image show --json` has it */
    char **diff_ids; /**< NULL-terminated */
    size_t diff_count;
    char **created_by; /**< one a layer (empty_layer entries skipped), "" when unknown */
};
int strake_config_parse(const char *data, size_t len, const char *what, size_t layers,
                        struct strake_config *out, struct strake_err *err);
void strake_config_dispose(struct strake_config *config);

/** A part of an index to be made: raw index or manifest as some builder pushed it. */
struct strake_index_part {
    const char *data;
    size_t len;
    const char *media_type;
    const char *digest;
    const char *platform; /**< for a bare manifest; an index brings its own */
};
/** Join parts into one index: entries in order, attestation entries and annotations kept; a Docker
 *  list when every entry has Docker types, else an OCI index (facts: several builders, one image).
 *  Two entries of one platform are refused. @return 0, STRAKE_EREGISTRY, STRAKE_ENOMEM. */
int strake_index_merge(const struct strake_index_part *parts, size_t count, struct strake_buf *out,
                       const char **media_type, struct strake_err *err);

#endif
