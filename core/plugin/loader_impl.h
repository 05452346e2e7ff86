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
/** dlopen and call strake_plugin_main(). */
int strake_loader_descriptor(const char *path, const struct strake_plugin **out,
                             struct strake_err *err);
/** Every rule of a descriptor; `copy` is filled. */
int strake_loader_check_descriptor(const char *path, const char *name,
                                   const struct strake_plugin *given, struct strake_plugin *copy,
                                   struct strake_err *err);

#endif
