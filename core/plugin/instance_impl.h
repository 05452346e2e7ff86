/* The inside of an instance, for the files that call into its interface. */
#ifndef STRAKE_PLUGIN_INSTANCE_IMPL_H
#define STRAKE_PLUGIN_INSTANCE_IMPL_H

#include <stdatomic.h>

#include "plugin/instance.h"

struct strake_instance {
    char *name;
    const struct strake_loaded *plugin;
    void *self;
    atomic_int references;
    union {
        struct strake_builder_v1 builder;
        struct strake_registry_v1 registry;
        struct strake_cache_v1 cache;
        struct strake_scanner_v1 scanner;
        struct strake_notifier_v1 notifier;
        struct strake_workflow_v1 workflow;
        struct strake_deployer_v1 deployer;
    } as; /**< the vtable of the interface that it was opened for, cut to our size */
};

/** What a method returned, made presentable: a failure without a description gets one, a positive
 *  result is a defect, and a success leaves no failure behind. @return the result */
int strake_instance_told(const struct strake_instance *instance, const char *method, int rc,
                         struct strake_err *err);

#endif
