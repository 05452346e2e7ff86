/* The inside of an instance, for the files that call into its interface. */
#ifndef STRAKE_PLUGIN_INSTANCE_IMPL_H
#define STRAKE_PLUGIN_INSTANCE_IMPL_H

#include <stdatomic.h>

#include "plugin/instance.h"
#include "plugin/interfaces.h"

struct strake_instance {
    char *name;
    const struct strake_loaded *plugin;
    void *self;
    atomic_int references;
    union strake_vtable as; /**< of the interface that it was opened for, cut to our size */
    /** What follows is for registries with mirrors (mirrors.c). */
    struct strake_instance *origin; /**< whose plugin's instance it is; NULL: its own */
    struct strake_instance_mirror *mirrors;
    size_t mirror_count;
};

/** What a method returned, made presentable: a failure without a description gets one, a positive
 *  result is a defect, and a success leaves no failure behind. @return the result */
int strake_instance_told(const struct strake_instance *instance, const char *method, int rc,
                         struct strake_err *err);

#endif
