/* The interfaces that this program knows: their names, sizes and mandatory methods. */
#ifndef STRAKE_PLUGIN_INTERFACES_H
#define STRAKE_PLUGIN_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>

#include "strake/plugin.h"

/** A mandatory method of an interface. */
struct strake_method {
    const char *name;
    size_t offset;
};

struct strake_interface_kind {
    const char *name;                      /**< "builder/1" */
    size_t size;                           /**< of our struct */
    const struct strake_method *mandatory; /**< ends with a NULL name */
};

/** Room for the vtable of any of them. */
union strake_vtable {
    struct strake_builder_v1 builder;
    struct strake_registry_v1 registry;
    struct strake_cache_v1 cache;
    struct strake_scanner_v1 scanner;
    struct strake_notifier_v1 notifier;
    struct strake_workflow_v1 workflow;
    struct strake_deployer_v1 deployer;
};

/** A plugin that lists more has forgotten to end its list. */
#define STRAKE_INTERFACES_MAX 64

/** May a struct of a plugin be this large? At least `least` bytes, no more than 64 KiB, and made of
 *  whole fields: a size in the middle of a pointer would cut it in half. */
bool strake_struct_size_valid(uint32_t size, size_t least);

/** Their names, NULL-terminated. */
const char *const *strake_interface_names(void);

/** NULL for an interface that this program does not know. */
const struct strake_interface_kind *strake_interface_find(const char *name);

/** Copy min(the plugin's size, ours) of a vtable into `out` of kind->size bytes, zeroes behind it.
 *  @return the name of a mandatory method that is NULL, "size" when the size makes no sense, or
 * NULL: all is well. */
const char *strake_interface_copy(const struct strake_interface_kind *kind, const void *vtable,
                                  void *out);

#endif
