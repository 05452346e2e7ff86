/* Finding and loading plugins by name. A folder is only listed when somebody asks what there is. */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/elf_check.h"
#include "plugin/interfaces.h"
#include "plugin/loader_impl.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/suggest.h"

/* PREFIX/bin/strake has its plugins here below PREFIX. */
#define PLUGIN_FOLDER "lib/strake/plugins"
#define NAME_MAX_LEN 64

/* A plugin that was loaded; the list only grows. */
struct entry {
    struct strake_loaded loaded;
    struct strake_plugin copy;
    struct entry *next;
};

static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER;
static struct strake_strings folders;
static struct entry *entries;

/* ---- folders ---- */

static int add_folder(const char *path, size_t len)
{
    char *copy = strake_strndup(path, len);
    int rc = 0;

    if (!copy)
        return STRAKE_ENOMEM;
    if (copy[0] == '/' && !strake_strings_has(&folders, copy))
        rc = strake_strings_add(&folders, copy);
    strake_free(copy);
    return rc;
}

static int add_path(const char *list)
{
    int rc = 0;

    while (rc == 0 && list && *list) {
        size_t len = strcspn(list, ":");
        if (len)
            rc = add_folder(list, len);
        list += len + (list[len] == ':');
    }
    return rc;
}

/* From PREFIX/bin/strake to the plugins of PREFIX. */
static int add_beside(const char *program_path)
{
    char *copy = strake_strdup(program_path), *slash, *folder = NULL;
    int rc = STRAKE_ENOMEM;

    for (int i = 0; copy && i < 2; i++) {
        slash = strrchr(copy, '/');
        if (slash)
            *slash = '\0';
    }
    if (copy)
        folder = strake_asprintf("%s/" PLUGIN_FOLDER, copy);
    if (folder)
        rc = add_folder(folder, strlen(folder));
    strake_free(folder);
    strake_free(copy);
    return rc;
}

int strake_loader_setup(const char *program_path, struct strake_err *err)
{
    int rc = add_beside(program_path);

    if (rc == 0)
        rc = add_path(getenv("STRAKE_PLUGIN_PATH"));
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

const struct strake_strings *strake_loader_folders(void)
{
    return &folders;
}

/* ---- one file ---- */

char *strake_loader_name_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t len = strlen(base);

    return len > 3 && strcmp(base + len - 3, ".so") == 0 ? strake_strndup(base, len - 3) : NULL;
}

static int open_library(const char *path, void **library, struct strake_err *err)
{
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!*library) {
        const char *why = dlerror();
        const char *symbol = why ? strstr(why, "undefined symbol: ") : NULL;
        if (symbol)
            strake_fail(err, STRAKE_ECONFIG, "the plugin %s needs a symbol that nothing offers: %s",
                        path, symbol + strlen("undefined symbol: "));
        else
            strake_fail(err, STRAKE_ECONFIG, "the plugin %s cannot be loaded", path);
        strake_err_hint(err, symbol ? "link it with -Wl,-z,defs, which finds this when it is built"
                                    : "see the loader's own words below");
        if (why)
            strake_err_detail(err, why, strlen(why));
        return STRAKE_ECONFIG;
    }
    return 0;
}

static int refuse(struct strake_err *err, const char *path, const char *what)
{
    return strake_fail(err, STRAKE_ECONFIG, "the plugin %s breaks a rule: %s", path, what);
}

static int check_abi(const char *path, const struct strake_plugin *plugin, struct strake_err *err)
{
    if (plugin->abi == STRAKE_ABI)
        return 0;
    strake_fail(err, STRAKE_ECONFIG, "the plugin %s has ABI %u, this program has ABI %u", path,
                plugin->abi, STRAKE_ABI);
    strake_err_hint(err, plugin->abi < STRAKE_ABI
                             ? "build the plugin again with this program's strake/plugin.h"
                             : "install a newer strake, or build the plugin with an older header");
    return STRAKE_ECONFIG;
}

static int check_interfaces(const char *path, const struct strake_plugin *plugin,
                            struct strake_err *err)
{
    char room[1024];
    size_t known = 0;

    for (size_t i = 0; i < 64 && plugin->interfaces[i].name; i++) {
        const struct strake_interface *interface = &plugin->interfaces[i];
        const struct strake_interface_kind *kind = strake_interface_find(interface->name);
        const char *fault;
        if (!kind)
            continue; /* of a newer program: not for us */
        if (!interface->vtable)
            return strake_fail(err, STRAKE_ECONFIG, "the plugin %s offers %s without a vtable", path,
                               interface->name);
        fault = strake_interface_copy(kind, interface->vtable, room);
        if (fault && strcmp(fault, "size") == 0)
            return strake_fail(err, STRAKE_ECONFIG, "the plugin %s: the size of its %s makes no sense",
                               path, interface->name);
        if (fault)
            return strake_fail(err, STRAKE_ECONFIG, "the plugin %s: %s: %s is NULL, and it is mandatory",
                               path, interface->name, fault);
        known++;
    }
    return known ? 0 : refuse(err, path, "it offers no interface that this program knows");
}

int strake_loader_check_descriptor(const char *path, const char *name,
                                   const struct strake_plugin *given, struct strake_plugin *copy,
                                   struct strake_err *err)
{
    int rc;

    if (!given)
        return refuse(err, path, "strake_plugin_main() returned NULL");
    if (given->size < offsetof(struct strake_plugin, summary) || given->size > 65536)
        return refuse(err, path, "the size of its descriptor makes no sense");
    memset(copy, 0, sizeof(*copy));
    memcpy(copy, given, given->size < sizeof(*copy) ? given->size : sizeof(*copy));
    rc = check_abi(path, copy, err);
    if (rc < 0)
        return rc;
    if (!copy->name || strcmp(copy->name, name) != 0)
        return strake_fail(err, STRAKE_ECONFIG, "the plugin %s calls itself %s: name and file must "
                           "agree", path, copy->name ? copy->name : "nothing");
    if (!copy->version)
        return refuse(err, path, "it has no version");
    if (!copy->open || !copy->close)
        return refuse(err, path, copy->open ? "close is NULL" : "open is NULL");
    if (!copy->interfaces)
        return refuse(err, path, "it lists no interfaces");
    return check_interfaces(path, copy, err);
}

int strake_loader_descriptor(const char *path, const struct strake_plugin **out,
                             struct strake_err *err)
{
    const struct strake_plugin *(*main_function)(void);
    void *library, *symbol;
    int rc = open_library(path, &library, err);

    if (rc < 0)
        return rc;
    symbol = dlsym(library, "strake_plugin_main");
    if (!symbol) {
        rc = refuse(err, path, "it does not export strake_plugin_main()");
        strake_err_hint(err, "declare it with STRAKE_EXPORT");
        return rc;
    }
    memcpy(&main_function, &symbol, sizeof(main_function));
    *out = main_function();
    return 0;
}

static int load_file(const char *path, const char *name, struct entry **out, struct strake_err *err)
{
    const struct strake_plugin *given;
    struct entry *entry;
    int rc = strake_elf_check_owner(path, err);

    if (rc == 0)
        rc = strake_elf_check(path, err);
    if (rc == 0)
        rc = strake_loader_descriptor(path, &given, err);
    if (rc < 0)
        return rc;
    entry = strake_calloc(1, sizeof(*entry));
    if (!entry)
        return strake_fail_nomem(err);
    rc = strake_loader_check_descriptor(path, name, given, &entry->copy, err);
    entry->loaded.name = strake_strdup(name);
    entry->loaded.path = strake_strdup(path);
    entry->loaded.descriptor = &entry->copy;
    if (rc == 0 && (!entry->loaded.name || !entry->loaded.path))
        rc = strake_fail_nomem(err);
    if (rc < 0) {
        strake_free(entry->loaded.name);
        strake_free(entry->loaded.path);
        strake_free(entry);
        return rc;
    }
    *out = entry;
    return 0;
}

/* ---- by name ---- */

static bool name_valid(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= NAME_MAX_LEN &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static int not_found(const char *name, struct strake_err *err)
{
    struct strake_strings names = { 0 };
    struct strake_buf searched = STRAKE_BUF(8192);
    const char *near = NULL;

    for (size_t i = 0; i < folders.count; i++)
        strake_buf_printf(&searched, "%s%s", i ? ", " : "", folders.items[i]);
    strake_fail(err, STRAKE_ECONFIG, "there is no plugin %s; searched in %s", name,
                strake_buf_text(&searched));
    if (strake_loader_names(&names) == 0)
        near = strake_suggest(name, strake_strings_view(&names));
    if (near)
        strake_err_hint(err, "did you mean %s?", near);
    else
        strake_err_hint(err, "`strake plugin list` shows what is installed");
    strake_strings_dispose(&names);
    strake_buf_dispose(&searched);
    return STRAKE_ECONFIG;
}

/* The lock is held. */
static int find_and_load(const char *name, struct entry **out, struct strake_err *err)
{
    for (size_t i = 0; i < folders.count; i++) {
        char *path = strake_asprintf("%s/%s.so", folders.items[i], name);
        int rc;
        if (!path)
            return strake_fail_nomem(err);
        if (!strake_loader_exists(path)) {
            strake_free(path);
            continue;
        }
        rc = load_file(path, name, out, err);
        strake_free(path);
        return rc;
    }
    return not_found(name, err);
}

int strake_loader_load(const char *name, const struct strake_loaded **out, struct strake_err *err)
{
    struct entry *entry;
    int rc = 0;

    if (!name_valid(name))
        return strake_fail(err, STRAKE_ECONFIG, "'%s' is not the name of a plugin", name);
    pthread_mutex_lock(&loader_lock);
    for (entry = entries; entry && strcmp(entry->loaded.name, name) != 0;)
        entry = entry->next;
    if (!entry) {
        rc = find_and_load(name, &entry, err);
        if (rc == 0) {
            entry->next = entries;
            entries = entry;
        }
    }
    if (rc == 0)
        *out = &entry->loaded;
    pthread_mutex_unlock(&loader_lock);
    return rc;
}

int strake_loader_interface(const struct strake_loaded *plugin, const char *name, void *vtable,
                            size_t size, struct strake_err *err)
{
    const struct strake_interface_kind *kind = strake_interface_find(name);

    for (size_t i = 0; kind && kind->size == size && i < 64; i++) {
        const struct strake_interface *interface = &plugin->descriptor->interfaces[i];
        if (!interface->name)
            break;
        if (strcmp(interface->name, name) == 0) {
            strake_interface_copy(kind, interface->vtable, vtable);
            return 0;
        }
    }
    strake_fail(err, STRAKE_ECONFIG, "the plugin %s is no %.*s", plugin->name,
                (int)strcspn(name, "/"), name);
    strake_err_hint(err, "`strake plugin info %s` shows what it offers", plugin->name);
    return STRAKE_ECONFIG;
}
