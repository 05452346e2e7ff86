/* What a target may ask of its builder beside the Dockerfile's own words: one struct for a
 * declaration, a wish of the command line and a plan, and one reader for all three. */
#ifndef STRAKE_BUILD_EXTRAS_H
#define STRAKE_BUILD_EXTRAS_H

#include <jansson.h>

#include "util/err.h"
#include "util/mem.h"

/** Fields as in struct strake_build_request. Zero-initialised asks for nothing. */
struct strake_build_extras {
    struct strake_strings ssh;
    struct strake_strings entitlements;
    struct strake_pairs add_hosts;
    struct strake_pairs ulimits;
    struct strake_pairs attestations; /**< "provenance", "sbom" -> options; "disabled": none */
    struct strake_strings no_cache_stages;
    char *network;           /**< or NULL */
    char *compression;       /**< or NULL */
    char *source_date_epoch; /**< or NULL */
    int64_t shm_size_bytes;
    int compression_level;
    bool force_compression;
    bool rewrite_timestamp;
    bool pull;
};

/** The names of all keys, NULL-terminated. */
extern const char *const strake_extras_keys[];

/** Set one key from its JSON value, checked:
 *  ssh, entitlements, no_cache_stages: a text or a list of texts; add_hosts, ulimits: a map;
 *  attestations: a map of provenance and sbom to true, false or options; network: default, none,
 *  host; compression; compression_level 1–22; force_compression; source_date_epoch: seconds;
 *  shm_size: bytes or "64m"; rewrite_timestamp; pull; reproducible: true stands for rewrite_timestamp and
 *  source_date_epoch 0 where none was said.
 *  @return 0; STRAKE_ENOTFOUND: no such key; STRAKE_ECONFIG "KEY must be …"; STRAKE_ENOMEM. */
int strake_extras_set(struct strake_build_extras *extras, const char *key, const json_t *value,
                      struct strake_err *err);
/** Each key of an object. An unknown one is STRAKE_ECONFIG. */
int strake_extras_read(struct strake_build_extras *extras, const json_t *object,
                       struct strake_err *err);
/** Only what is asked for; strake_extras_read() takes it back. A new reference; NULL: no memory. */
json_t *strake_extras_json(const struct strake_build_extras *extras);
/** Lists and maps of `from` are added, texts and numbers replace. @return 0 or STRAKE_ENOMEM. */
int strake_extras_merge(struct strake_build_extras *to, const struct strake_build_extras *from);
void strake_extras_dispose(struct strake_build_extras *extras);

#endif
