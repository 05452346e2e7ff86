/* The interfaces that this program knows: their names, sizes and mandatory methods. */
#ifndef STRAKE_PLUGIN_INTERFACES_H
#define STRAKE_PLUGIN_INTERFACES_H

#include <stddef.h>

#include "strake/plugin.h"

/** A mandatory method of an interface. */
struct strake_method {
    const char *name;
    size_t offset;
};

struct strake_interface_kind {
    const char *name; /**< "builder/1" */
    size_t size;      /**< of our struct */
    const struct strake_method *mandatory; /**< ends with a NULL name */
};

/** NULL for an interface that this program does not know. */
const struct strake_interface_kind *strake_interface_find(const char *name);

/** Copy min(the plugin's size, ours) of a vtable into `out` of kind->size bytes, zeroes behind it.
 *  @return the name of a mandatory method that is NULL, "size" when the size makes no sense, or NULL:
 *  all is well. */
const char *strake_interface_copy(const struct strake_interface_kind *kind, const void *vtable,
                                  void *out);

#endif
