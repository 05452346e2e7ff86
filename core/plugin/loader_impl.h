/* What loader.c shares with list.c and check.c. */
#ifndef STRAKE_PLUGIN_LOADER_IMPL_H
#define STRAKE_PLUGIN_LOADER_IMPL_H

#include "strake/plugin.h"
#include "util/err.h"
#include "util/mem.h"

/** Folders in the order in which they are searched. */
const struct strake_strings *strake_loader_folders(void);
/** "ntfy" for "/x/ntfy.so"; NULL for another name or without memory. */
char *strake_loader_name_of(const char *path);
/** Is something of this path there, whatever it is? */
bool strake_loader_exists(const char *path);
/** The names of all plugins in all folders. @return 0 or STRAKE_ENOMEM. */
int strake_loader_names(struct strake_strings *names);
/** Lower-case letters, digits, "-" and "_", at most 64. */
bool strake_loader_name_valid(const char *name);
/** dlopen() with every symbol resolved; the library stays for good. */
int strake_loader_open(const char *path, void **library, struct strake_err *err);
/** Call its strake_plugin_main(). */
int strake_loader_main(const char *path, void *library, const struct strake_plugin **out,
                       struct strake_err *err);
/** The rules of a descriptor, in this order: it is there and of our ABI; … */
int strake_loader_check_abi(const char *path, const struct strake_plugin *given,
                            struct strake_err *err);
/** … its fields are sound, and `copy` is filled with them; … */
int strake_loader_check_descriptor(const char *path, const char *name,
                                   const struct strake_plugin *given, struct strake_plugin *copy,
                                   struct strake_err *err);
/** … its interfaces are, and we know one of them. */
int strake_loader_check_interfaces(const char *path, const struct strake_plugin *copy,
                                   struct strake_err *err);

#endif
