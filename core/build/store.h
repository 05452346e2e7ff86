/* The stores of images that a command works with: a registry instance a host, a layout instance a
 * folder, an archive instance a file, opened when first used. Any thread. */
#ifndef STRAKE_BUILD_STORE_H
#define STRAKE_BUILD_STORE_H

#include "image/reference.h"
#include "plugin/instance.h"

struct strake_stores;

/** `timeout_ms` (0: the plugin's) and `ca` (may be NULL) are for registries that say nothing
 * else. */
struct strake_stores *strake_stores_new(int64_t timeout_ms, const char *ca);
void strake_stores_free(struct strake_stores *stores);

/** The plugin for a registry of which nobody says another: "ghcr" for ghcr.io, else "oci". */
const char *strake_registry_plugin(const char *host);

/** A registry block: which plugin, with which options, for a host; `mirrors` among them names
 *  mirrors (strake_mirror_parse()). @return 0 or STRAKE_ENOMEM. */
int strake_stores_configure(struct strake_stores *stores, const char *host, const char *type,
                            const json_t *options);

/** One store and the repository in it that a reference names. */
struct strake_place_in_store {
    struct strake_instance *instance; /**< a reference of the caller's: strake_instance_unref */
    char *repository;                 /**< the caller's; "" in a layout */
};
int strake_stores_find(struct strake_stores *stores, const struct strake_reference *ref,
                       struct strake_place_in_store *out, struct strake_err *err);
/** The same from text: "ghcr.io/o/app" or "oci:DIR"; `ref` is parsed into *parsed (caller
 *  disposes). */
int strake_stores_open(struct strake_stores *stores, const char *text,
                       struct strake_reference *parsed, struct strake_place_in_store *out,
                       struct strake_err *err);
/** As strake_stores_open(), for what is only read: the registry's mirrors are asked first. Not for a
 *  tag that is about to move, of which a mirror may know an older state. */
int strake_stores_open_to_read(struct strake_stores *stores, const char *text,
                               struct strake_reference *parsed, struct strake_place_in_store *out,
                               struct strake_err *err);
/** What was read by way of mirrors ended in `rc`, and is worth another try at the registry itself:
 *  the place leads there from now on. @return false: it did before, or nothing is gained by it */
bool strake_place_leave_mirrors(struct strake_place_in_store *place, int rc);
void strake_place_in_store_dispose(struct strake_place_in_store *place);

/** Does this host speak plain http (loopback without a CA, or plain_http = true)? */
bool strake_stores_plain_http(const struct strake_stores *stores, const char *host);
/** A docker config.json text with the credentials of the configured registries, for builders that
 *  push themselves; empty when none has any. `out` is marked secret. */
int strake_stores_auth_json(const struct strake_stores *stores, struct strake_buf *out,
                            struct strake_err *err);
/** A host's options as its plugin gets them, and its plugin as `type`. A new reference; NULL: no
 *  memory. */
json_t *strake_stores_options(const struct strake_stores *stores, const char *host);
/** Hosts that were configured, each with its mirrors behind it, in order and once. */
int strake_stores_hosts(const struct strake_stores *stores, struct strake_strings *hosts);

#endif
