/* What is installed: the one place that lists folders. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/interfaces.h"
#include "plugin/loader.h"
#include "plugin/loader_impl.h"
#include "util/json.h"

bool strake_loader_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Paths of the plugins of one folder, sorted. A folder that is not there has none. */
static int folder_files(const char *folder, struct strake_strings *paths)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int rc = 0;

    while (dir && rc == 0 && (entry = readdir(dir))) {
        char *name = strake_loader_name_of(entry->d_name);
        if (name)
            rc = strake_strings_take(paths, strake_asprintf("%s/%s", folder, entry->d_name));
        strake_free(name);
    }
    if (dir)
        closedir(dir);
    if (paths->count)
        qsort(paths->items, paths->count, sizeof(*paths->items), compare_names);
    return rc;
}

int strake_loader_names(struct strake_strings *names)
{
    const struct strake_strings *folders = strake_loader_folders();
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < folders->count; i++) {
        struct strake_strings paths = { 0 };
        rc = folder_files(folders->items[i], &paths);
        for (size_t k = 0; rc == 0 && k < paths.count; k++)
            rc = strake_strings_take(names, strake_loader_name_of(paths.items[k]));
        strake_strings_dispose(&paths);
    }
    return rc;
}

/* ---- plugin list ---- */

static json_t *interfaces_json(const struct strake_plugin *plugin)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < STRAKE_INTERFACES_MAX && plugin->interfaces[i].name; i++) {
        if (strake_json_append_str(list, plugin->interfaces[i].name) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *good_json(const struct strake_loaded *loaded)
{
    const struct strake_plugin *plugin = loaded->descriptor;
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", loaded->name) < 0 ||
        strake_json_set_str(entry, "version", plugin->version) < 0 ||
        strake_json_set_str(entry, "path", loaded->path) < 0 ||
        strake_json_set_int(entry, "abi", plugin->abi) < 0 ||
        strake_json_set_str(entry, "summary", plugin->summary) < 0 ||
        strake_json_set(entry, "interfaces", interfaces_json(plugin)) < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

static json_t *other_json(const char *name, const char *path, const char *key, const char *text)
{
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", name) < 0 ||
        strake_json_set_str(entry, "version", "") < 0 ||
        strake_json_set_str(entry, "path", path) < 0 ||
        strake_json_set(entry, "interfaces", json_array()) < 0 ||
        strake_json_set_str(entry, key, text) < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

/* The first folder that has a name wins: what a later one has is only reported. */
static const char *shadowing(const json_t *list, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry) {
        if (strcmp(strake_json_str(entry, "name"), name) == 0)
            return strake_json_str(entry, "path");
    }
    return NULL;
}

static json_t *entry_json(const json_t *list, const char *path)
{
    const struct strake_loaded *loaded;
    struct strake_err err = { 0 };
    char *name = strake_loader_name_of(path);
    const char *first = name ? shadowing(list, name) : NULL;
    json_t *entry = NULL;

    if (first)
        entry = other_json(name, path, "shadowed_by", first);
    else if (name && strake_loader_load(name, &loaded, &err) == 0)
        entry = good_json(loaded);
    else if (name)
        entry = other_json(name, path, "error", strake_err_message(&err));
    strake_err_dispose(&err);
    strake_free(name);
    return entry;
}

json_t *strake_loader_list(struct strake_err *err)
{
    const struct strake_strings *folders = strake_loader_folders();
    json_t *doc = json_object(), *list = json_array();
    int rc = doc && list ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < folders->count; i++) {
        struct strake_strings paths = { 0 };
        rc = folder_files(folders->items[i], &paths);
        for (size_t k = 0; rc == 0 && k < paths.count; k++)
            rc = json_array_append_new(list, entry_json(list, paths.items[k])) < 0 ? STRAKE_ENOMEM
                                                                                   : 0;
        strake_strings_dispose(&paths);
    }
    if (rc == 0 && (strake_json_set_str(doc, "schema", "strake.plugins/1") < 0 ||
                    json_object_set(doc, "plugins", list) < 0))
        rc = STRAKE_ENOMEM;
    json_decref(list);
    if (rc < 0) {
        json_decref(doc);
        strake_fail_nomem(err);
        return NULL;
    }
    return doc;
}
