/* Configured instances of plugins, and checked calls into them: each result is bounded and checked
 * before the rest of Strake sees it, and a method that does not come back is left behind. */
#ifndef STRAKE_PLUGIN_INSTANCE_H
#define STRAKE_PLUGIN_INSTANCE_H

#include "image/manifest.h"
#include "plugin/loader.h"
#include "util/job.h"
#include "util/mem.h"

/** An instance: `builder "lab" { type = "buildctl", … }`. Counted references; any thread. */
struct strake_instance;

/** Load the plugin `type` and open it with `options` (a JSON object; secrets as {"secret":NAME}).
 *  `name` is what messages call it. @return 0, STRAKE_ECONFIG naming the option, … */
int strake_instance_open(const char *type, const char *name, const char *interface,
                         const json_t *options, struct strake_instance **out,
                         struct strake_err *err);
struct strake_instance *strake_instance_ref(struct strake_instance *instance);
/** NULL does nothing. The plugin's close() is called with the last one, unless a method is still
 * out. */
void strake_instance_unref(struct strake_instance *instance);
const char *strake_instance_name(const struct strake_instance *instance);
const char *strake_instance_type(const struct strake_instance *instance);

/** A registry that holds what another one does. */
struct strake_mirror {
    struct strake_instance *instance;
    const char *prefix; /**< path before the names of its repositories: "hub-proxy", or "" */
};
/** The same registry, but that resolve(), manifest_get() and blobs on their way out ask the mirrors
 *  first, in order: what a mirror has not, or has other bytes for, comes from the registry itself.
 *  A mirror that fails is left out from then on. Everything else is the registry's own.
 *  @return 0 with a new reference, STRAKE_ENOMEM */
int strake_instance_mirrored(struct strake_instance *origin, const struct strake_mirror *mirrors,
                             size_t count, struct strake_instance **out, struct strake_err *err);
/** The registry itself, without its mirrors; borrowed. */
struct strake_instance *strake_instance_origin(struct strake_instance *instance);

/* All below block; call them on worker threads. The job's deadline, or 60 s where a method has none
 * of its own (notifier, command, specs), bounds them: STRAKE_ETIMEOUT names the plugin and method.
 */

/** The vtable's `features`; no call into the plugin. */
uint32_t strake_builder_features(const struct strake_instance *builder);
int strake_builder_probe(struct strake_instance *builder, struct strake_job *job,
                         struct strake_builder_info *info, struct strake_err *err);
/** What one command() gave. */
struct strake_command {
    int rc;
    json_t *command;       /**< an array of strings, a new reference; NULL unless `rc` is 0 */
    struct strake_err err; /**< of `rc` */
};
/** Commands of many requests, into as many zeroed `out`.
 *  @return 0 when each was asked; else none of `out` is to be looked at: STRAKE_ENOMEM, … */
int strake_builder_commands(struct strake_instance *builder,
                            const struct strake_build_request *const *requests, size_t count,
                            struct strake_command *out, struct strake_err *err);
/** result->digest is "" or valid. */
int strake_builder_build(struct strake_instance *builder,
                         const struct strake_build_request *request, struct strake_job *job,
                         struct strake_build_result *result, struct strake_err *err);
/** What the builder keeps of earlier builds: an array of {"id","type","size_bytes","created",…}, a
 *  new reference. STRAKE_EUNSUPPORTED where the plugin cannot say. */
int strake_builder_usage(struct strake_instance *builder, struct strake_job *job, json_t **entries,
                         struct strake_err *err);
/** Have it remove what was not used for `older_ms` (0: at any time) until `keep_bytes` (-1: all)
 *  are left; what it removed in such an array. */
int strake_builder_prune(struct strake_instance *builder, struct strake_job *job, int64_t older_ms,
                         int64_t keep_bytes, json_t **removed, struct strake_err *err);

int strake_registry_resolve(struct strake_instance *registry, struct strake_job *job,
                            const char *repository, const char *reference,
                            struct strake_descriptor *out, struct strake_err *err);
/** The bytes and their digest, hashed here; with a digest as reference other bytes are
 *  STRAKE_ECORRUPT. At most STRAKE_MANIFEST_MAX. */
int strake_registry_manifest_get(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 struct strake_buf *bytes, struct strake_descriptor *out,
                                 struct strake_err *err);
/** The digest answered must be that of the bytes. */
int strake_registry_manifest_put(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 const char *media_type, const void *data, size_t len,
                                 struct strake_err *err);
/** Valid tags only, each once, at most 100,000 (then STRAKE_ETOOBIG). */
int strake_registry_tags(struct strake_instance *registry, struct strake_job *job,
                         const char *repository, struct strake_strings *tags,
                         struct strake_err *err);
int strake_registry_blob_stat(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, int64_t *size_bytes,
                              struct strake_err *err);
/** A whole small blob, hashed. */
int strake_registry_blob_read(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, size_t max_bytes,
                              struct strake_buf *bytes, struct strake_err *err);
/** Who wants to know how many bytes of a blob went over; negative: they go over once more. Called on
 *  a thread of the copy's, not after it has returned. */
struct strake_blob_watch {
    void (*moved)(void *ctx, int64_t bytes);
    void *ctx;
};
/** Stream a blob from one store to another, hashed on the way, memory independent of its size.
 * `watch` may be NULL. Mounted when both are the same registry; *how is 'p' present, 'm' mounted, 'c' copied. */
int strake_registry_blob_copy(struct strake_instance *from, const char *from_repository,
                              struct strake_instance *to, const char *to_repository,
                              struct strake_job *job, const char *digest, int64_t size_bytes,
                              const struct strake_blob_watch *watch, char *how,
                              struct strake_err *err);
/** Upload a small blob from memory; nothing happens when it is there. */
int strake_registry_blob_write(struct strake_instance *registry, struct strake_job *job,
                               const char *repository, const char *digest, const void *data,
                               size_t len, struct strake_err *err);
/** STRAKE_EUNSUPPORTED where the store cannot delete that. */
int strake_registry_manifest_delete(struct strake_instance *registry, struct strake_job *job,
                                    const char *repository, const char *reference,
                                    struct strake_err *err);
/** What refers to `digest`, from the store's own list or the fallback tag: an index, with no items
 *  where nothing does. A manifest with a `subject` that manifest_put() took is among them.
 *  @param artifact_type only these; "" for all
 *  @param out strake_manifest_dispose()
 *  @return 0; STRAKE_EUNSUPPORTED: such a store keeps none; STRAKE_ETOOBIG: more than 10,000 */
int strake_registry_referrers(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, const char *artifact_type,
                              struct strake_manifest *out, struct strake_err *err);
int strake_registry_ping(struct strake_instance *registry, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err);
/** Which of `actions` ("pull,push") the credentials allow in a repository; both "": whether they are
 *  accepted. STRAKE_EUNSUPPORTED where the plugin cannot say. */
int strake_registry_access(struct strake_instance *registry, struct strake_job *job,
                           const char *repository, const char *actions,
                           struct strake_registry_access *out, struct strake_err *err);

/** Try these credentials, and keep them when the registry takes them; with `repository` (else "") it must
 *  let them push there too. `where` gets "helper NAME" or a file's name.
 *  @return 0; STRAKE_EAUTH: refused or not kept; STRAKE_EUNSUPPORTED: the plugin keeps none; … */
int strake_registry_login(struct strake_instance *registry, struct strake_job *job,
                          const char *username, const struct strake_buf *password,
                          const char *repository, struct strake_buf *where, struct strake_err *err);
/** Forget them. `where` gets a line for each place that had some. */
int strake_registry_logout(struct strake_instance *registry, struct strake_job *job,
                           struct strake_buf *where, struct strake_err *err);

/** Cache specs for a target: arrays of CSV specs in *specs {"import":[],"export":[]}. */
int strake_cache_specs(struct strake_instance *cache, const struct strake_cache_request *request,
                       json_t **specs, struct strake_err *err);

/** What it holds for a target: an array of {"place","size_bytes","created"}, a new reference.
 *  STRAKE_EUNSUPPORTED where the plugin cannot say. */
int strake_cache_show(struct strake_instance *cache, struct strake_job *job,
                      const struct strake_cache_request *request, json_t **entries,
                      struct strake_err *err);
/** Have it let go of what the request's `older_ms` and `keep_bytes` say; such an array of that. */
int strake_cache_prune(struct strake_instance *cache, struct strake_job *job,
                       const struct strake_cache_request *request, json_t **removed,
                       struct strake_err *err);

int strake_notifier_send(struct strake_instance *notifier, const struct strake_message *message,
                         struct strake_job *job, struct strake_buf *receipt,
                         struct strake_err *err);
int strake_notifier_ping(struct strake_instance *notifier, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err);

#endif
