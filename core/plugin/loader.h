/* Finding and loading plugins: NAME.so, only when its type is first used, only from folders that
 * nobody else can write to. */
#ifndef STRAKE_PLUGIN_LOADER_H
#define STRAKE_PLUGIN_LOADER_H

#include <jansson.h>

#include "strake/plugin.h"
#include "util/err.h"

/** A loaded plugin; lives until the process ends. */
struct strake_loaded {
    char *name;
    char *path;
    const struct strake_plugin *descriptor; /**< a copy, zero-filled to our size */
};

/** Folders in order: beside the program (lib/strake/plugins from bin/), then STRAKE_PLUGIN_PATH;
 *  empty and relative elements are ignored. Once, before the first load; opens nothing. */
int strake_loader_setup(const char *program_path, struct strake_err *err);

/** Load `name` when it is not yet, and check it (docs/plugins.md lists each rule).
 *  Any thread. @return 0; STRAKE_ECONFIG: no such plugin, with the folders searched and the nearest
 *  name as the hint, or one that breaks a rule, naming it. */
int strake_loader_load(const char *name, const struct strake_loaded **out, struct strake_err *err);

/** The vtable of interface `name` ("builder/1"), copied into `vtable` of `size` bytes and
 * zero-filled behind what the plugin has; mandatory methods are there. @return 0 or STRAKE_ECONFIG.
 */
int strake_loader_interface(const struct strake_loaded *plugin, const char *name, void *vtable,
                            size_t size, struct strake_err *err);

/** Every plugin of every folder as `strake.plugins/1` has it, without running any code of them but
 *  strake_plugin_main(); a broken one has "error", a shadowed one "shadowed_by". */
json_t *strake_loader_list(struct strake_err *err);

/** `strake plugin check PATH`: every rule asked of one file:
 * {"schema":"strake.plugin-check/1","path", "checks":[{"name","status":"ok|fail|skip","detail"}]}.
 * *ok false when one failed. */
json_t *strake_loader_check(const char *path, bool *ok, struct strake_err *err);

/** The host table that plugins get. */
const struct strake_host *strake_host_table(void);

#endif
