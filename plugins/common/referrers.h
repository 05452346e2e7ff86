/* What refers to an image (OCI distribution specification 1.1, "Listing Referrers"): lists of it, and
 * the tag that names such a list where a store keeps none itself. Pure. */
#ifndef PLUG_REFERRERS_H
#define PLUG_REFERRERS_H

#include <jansson.h>

#include "common/util.h"

#define PLUG_INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define PLUG_REFERRERS_MAX 10000
/** Of the list as an index. */
#define PLUG_REFERRERS_BYTES ((size_t)8 * 1024 * 1024)
/** Bytes of a fallback tag with its NUL. */
#define PLUG_FALLBACK_TAG 72

/** "sha256:" and 64 hexadecimal digits, or "sha512:" and 128, in lower case. */
bool plug_is_digest(const char *text);
/** The fallback tag of a digest: "sha256-<hex>". */
void plug_fallback_tag(const char *digest, char *out);

/** A list: a JSON object of descriptors by digest, in their order. NULL: out of memory. */
json_t *plug_referrers_new(void);
/** Add what an index lists; of two descriptors with one digest the later counts.
 *  @return 0; STRAKE_EREGISTRY: it is no index that can be read; STRAKE_ETOOBIG: there would be more
 *          than PLUG_REFERRERS_MAX; STRAKE_ENOMEM. Not described. */
int plug_referrers_read(json_t *list, const char *data, size_t len);
/** Keep those of one artifact type ("": all) that Strake can ask for, by their sha256 digests. */
void plug_referrers_select(json_t *list, const char *artifact_type);
/** Add one. @return 1, 0 when it is there just so, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int plug_referrers_put(json_t *list, const char *digest, json_t *entry);
/** @return false: it was not there */
bool plug_referrers_drop(json_t *list, const char *digest);
/** Append the list as an index. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int plug_referrers_write(const json_t *list, struct plug_text *out);

/** What a manifest refers to, and how a list names it. */
struct plug_referrer {
    char subject[136]; /**< "" when it refers to nothing */
    json_t *entry;     /**< its descriptor with artifactType and annotations; NULL: as `subject` */
};
/** Look into the bytes of a manifest or index; `digest` is theirs. What cannot be read refers to
 *  nothing. @return 0 or STRAKE_ENOMEM. */
int plug_referrer_of(const void *data, size_t len, const char *media_type, const char *digest,
                     struct plug_referrer *out);
/** Could it refer to anything? Costs one look through the bytes, where parsing them costs more. */
bool plug_may_refer(const void *data, size_t len);
void plug_referrer_dispose(struct plug_referrer *referrer);

#endif
