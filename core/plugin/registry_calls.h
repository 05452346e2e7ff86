/* What the files that call into registry/1 share. */
#ifndef STRAKE_PLUGIN_REGISTRY_CALLS_H
#define STRAKE_PLUGIN_REGISTRY_CALLS_H

#include "plugin/call.h"
#include "util/buf.h"

/** A call about one thing in one repository: copies of its arguments, and its results. */
struct strake_registry_call {
    struct strake_call call;
    const char *repository;
    const char *reference; /**< a tag or digest; "" when the method takes none */
    const char *media_type;
    const char *artifact_type; /**< referrers() */
    struct strake_buf bytes;   /**< what it sends or what came */
    struct strake_descriptor out;
    struct strake_strings tags;
    bool too_many;      /**< tags */
    int64_t size_bytes; /**< of the blob */
    size_t at;          /**< how much of `bytes` blob_put() has read */
    const char *from;   /**< blob_mount()'s other repository */
    bool mounted;
};

/** @return NULL: out of memory, described. strake_call_unref(&call->call) ends it. */
struct strake_registry_call *strake_registry_call_new(struct strake_instance *registry,
                                                      const char *method, struct strake_job *job,
                                                      int (*run)(struct strake_call *call),
                                                      const char *repository, const char *reference,
                                                      struct strake_err *err);

#endif
