/* The inside of an instance, for the files that call into its interface. */
#ifndef STRAKE_PLUGIN_INSTANCE_IMPL_H
#define STRAKE_PLUGIN_INSTANCE_IMPL_H

#include <stdatomic.h>

#include "plugin/instance.h"

/** How long a method without a deadline of its own may take before it is left behind. */
#define STRAKE_METHOD_TIMEOUT_MS 60000

struct strake_instance {
    char *name;
    const struct strake_loaded *plugin;
    void *self;
    atomic_int references;
    union {
        struct strake_builder_v1 builder;
        struct strake_registry_v1 registry;
        struct strake_cache_v1 cache;
        struct strake_notifier_v1 notifier;
    } as; /**< the vtable of the interface that it was opened for, cut to our size */
};

/** A plugin that returned a failure without describing it gets a description. @return rc */
int strake_instance_told(const struct strake_instance *instance, const char *method, int rc,
                         struct strake_err *err);
/** STRAKE_ETIMEOUT: the method did not come back. */
int strake_instance_timed_out(const struct strake_instance *instance, const char *method,
                              int64_t timeout_ms, struct strake_err *err);

#endif
