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

/* The dynamic linker's words, in ours. */
static int loading_failed(const char *path, const char *why, struct strake_err *err)
{
    static const char undefined[] = "undefined symbol: ",
                      missing[] = ": cannot open shared object file";
    const char *symbol = strstr(why, undefined), *library = strstr(why, missing);

    if (symbol) {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s needs a symbol that nothing offers: %s",
                    path, symbol + sizeof(undefined) - 1);
        strake_err_hint(err, "link it with -Wl,-z,defs, which finds this when it is built");
    } else if (library && strncmp(why, path, strlen(path)) != 0) {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s needs the library %.*s, which is not there",
                    path, (int)(library - why), why);
        strake_err_hint(err, "install it, or build the plugin against what this system has");
    } else {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s cannot be loaded", path);
        strake_err_hint(err, "the dynamic linker's own words are below");
    }
    strake_err_detail(err, why, strlen(why));
    return STRAKE_ECONFIG;
}

int strake_loader_open(const char *path, void **library, struct strake_err *err)
{
    const char *why;

    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (*library)
        return 0;
    why = dlerror();
    return loading_failed(path, why ? why : "it does not say why", err);
}

int strake_loader_main(const char *path, void *library, const struct strake_plugin **out,
                       struct strake_err *err)
{
    const struct strake_plugin *(*main_function)(void);
    void *symbol = dlsym(library, "strake_plugin_main");

    if (!symbol) {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s does not export strake_plugin_main()",
                    path);
        strake_err_hint(err,
                        "declare it with STRAKE_EXPORT, and build it as C or inside extern \"C\"");
        return STRAKE_ECONFIG;
    }
    memcpy(&main_function, &symbol, sizeof(main_function));
    *out = main_function();
    return 0;
}

static int load_file(const char *path, const char *name, struct entry **out, struct strake_err *err)
{
    const struct strake_plugin *given = NULL;
    struct entry *entry;
    void *library;
    int rc = strake_elf_check_owner(path, err);

    if (rc == 0)
        rc = strake_elf_check(path, err);
    if (rc == 0)
        rc = strake_loader_open(path, &library, err);
    if (rc == 0)
        rc = strake_loader_main(path, library, &given, err);
    if (rc < 0)
        return rc;
    entry = strake_calloc(1, sizeof(*entry));
    if (!entry)
        return strake_fail_nomem(err);
    rc = strake_loader_check_abi(path, given, err);
    if (rc == 0)
        rc = strake_loader_check_descriptor(path, name, given, &entry->copy, err);
    if (rc == 0)
        rc = strake_loader_check_interfaces(path, &entry->copy, err);
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

bool strake_loader_name_valid(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= NAME_MAX_LEN &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static void not_found(const char *name, struct strake_err *err)
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
}

/* NULL: a failure, described. The lock is held. */
static struct entry *find_and_load(const char *name, struct strake_err *err)
{
    for (size_t i = 0; i < folders.count; i++) {
        char *path = strake_asprintf("%s/%s.so", folders.items[i], name);
        struct entry *entry = NULL;
        if (!path) {
            strake_fail_nomem(err);
            return NULL;
        }
        if (!strake_loader_exists(path)) {
            strake_free(path);
            continue;
        }
        if (load_file(path, name, &entry, err) < 0)
            entry = NULL;
        strake_free(path);
        return entry;
    }
    not_found(name, err);
    return NULL;
}

int strake_loader_load(const char *name, const struct strake_loaded **out, struct strake_err *err)
{
    struct entry *entry;

    if (!strake_loader_name_valid(name))
        return strake_fail(err, STRAKE_ECONFIG, "'%s' is not the name of a plugin", name);
    pthread_mutex_lock(&loader_lock);
    for (entry = entries; entry && strcmp(entry->loaded.name, name) != 0;)
        entry = entry->next;
    if (!entry) {
        entry = find_and_load(name, err);
        if (entry) {
            entry->next = entries;
            entries = entry;
        }
    }
    pthread_mutex_unlock(&loader_lock);
    if (!entry)
        return err->code;
    *out = &entry->loaded;
    return 0;
}

int strake_loader_interface(const struct strake_loaded *plugin, const char *name, void *vtable,
                            size_t size, struct strake_err *err)
{
    const struct strake_interface_kind *kind = strake_interface_find(name);

    for (size_t i = 0; kind && kind->size == size && i < STRAKE_INTERFACES_MAX; i++) {
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
