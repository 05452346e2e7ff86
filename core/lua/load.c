/* Loading: the layers' files, each compiled as text only and run once within its budget. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua/engine_impl.h"
#include "util/fs.h"

/* Registry: the environment of each layer. */
static const char env_keys[STRAKE_LAYER_PROJECT + 1];

/* ---- compiling ---- */

/* How Lua shortens a chunk's name in messages: asked of Lua itself. */
static void short_name(lua_State *L, const char *chunk, char *out, size_t cap)
{
    lua_Debug ar = { 0 };

    out[0] = '\0';
    if (luaL_loadbufferx(L, "", 0, chunk, "t") != LUA_OK) {
        lua_pop(L, 1);
        return;
    }
    lua_getinfo(L, ">S", &ar);
    snprintf(out, cap, "%s:", ar.short_src);
}

/* "f.lua:3: unexpected symbol near 'x'": the place apart. A few messages ("C stack overflow") have
 * none. */
static void describe_syntax(lua_State *L, const char *chunk, struct strake_err *err)
{
    const char *message = lua_tostring(L, -1);
    char prefix[LUA_IDSIZE + 8];
    char *end = NULL;
    long line = 0;

    short_name(L, chunk, prefix, sizeof(prefix));
    if (prefix[0] && strncmp(message, prefix, strlen(prefix)) == 0) {
        line = strtol(message + strlen(prefix), &end, 10);
        if (end && *end == ':')
            message = end + (end[1] == ' ' ? 2 : 1);
    }
    strake_fail(err, STRAKE_ECONFIG, "%s", message);
    strake_err_place(err, chunk + 1, (int)line);
}

int strake_lua_compile(lua_State *L, const char *text, size_t len, const char *chunk,
                       struct strake_err *err)
{
    const size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    const int status = luaL_loadbufferx(L, text + bom, len - bom, chunk, "t");

    if (status == LUA_OK) {
        lua_insert(L, -2);
        lua_setupvalue(L, -2, 1);
        return 0;
    }
    if (status == LUA_ERRSYNTAX && lua_type(L, -1) == LUA_TSTRING)
        describe_syntax(L, chunk, err);
    else if (strake_lua_describe(L, status == LUA_ERRMEM, err) != STRAKE_ENOMEM)
        strake_err_place(err, chunk + 1, 0);
    lua_pop(L, 2);
    return err->code;
}

char *strake_lua_shown(const char *path)
{
    char cwd[4096];
    size_t len;

    if (!getcwd(cwd, sizeof(cwd)))
        return strake_strdup(path);
    len = strlen(cwd);
    if (strncmp(path, cwd, len) != 0 || path[len] != '/')
        return strake_strdup(path);
    return strake_strdup(path + len + 1);
}

/* ---- running a file ---- */

struct loading {
    struct strake_engine *engine;
    const char *shown;
    struct strake_buf text;
    struct strake_err *err;
    int rc;
};

static void push_layer_env(lua_State *L, enum strake_layer layer)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &env_keys[layer]) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    strake_lua_push_layer_env(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_keys[layer]);
}

void strake_lua_push_current_env(lua_State *L)
{
    push_layer_env(L, strake_lua_engine(L)->layer);
}

static struct strake_task *new_load_task(lua_State *L, const char *shown)
{
    struct strake_task *task = strake_task_new(L, 0, NULL);

    task->context = STRAKE_LUA_LOAD;
    task->own.limit = STRAKE_LUA_LOAD_INSTRUCTIONS;
    task->own.limit_us = (int64_t)STRAKE_LUA_LOAD_MS * 1000;
    snprintf(task->own.what, sizeof(task->own.what), "the top level of %s", shown);
    return task;
}

/* Protected: only a lack of memory raises here. */
static int run_file(lua_State *L)
{
    struct loading *loading = lua_touserdata(L, 1);
    struct strake_task *task;

    lua_pushfstring(L, "@%s", loading->shown);
    push_layer_env(L, loading->engine->layer);
    loading->rc = strake_lua_compile(L, strake_buf_text(&loading->text), loading->text.len,
                                     lua_tostring(L, 2), loading->err);
    if (loading->rc < 0)
        return 0;
    task = new_load_task(L, loading->shown);
    strake_task_start(L, task, 0);
    if (task->outcome != STRAKE_OUTCOME_DONE)
        loading->rc =
            strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, loading->err);
    strake_task_drop(L, task);
    return 0;
}

static int run_text(struct strake_engine *engine, struct loading *loading)
{
    lua_State *L = engine->L;

    lua_settop(L, 0);
    lua_pushcfunction(L, run_file);
    lua_pushlightuserdata(L, loading);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        loading->rc = strake_lua_describe(L, true, loading->err);
    lua_settop(L, 0);
    if (loading->rc == 0 && engine->load_error.code) {
        loading->rc = engine->load_error.code;
        strake_err_move(loading->err, &engine->load_error);
    }
    strake_err_dispose(&engine->load_error);
    return loading->rc;
}

/* A file that is not there is no error, unless it was named. */
static int load_file(struct strake_engine *engine, enum strake_layer layer, const char *root,
                     const char *path, bool named, bool *found, struct strake_err *err)
{
    struct loading loading = { .engine = engine,
                               .text = STRAKE_BUF(STRAKE_LUA_SOURCE_MAX),
                               .err = err };
    char *shown = strake_lua_shown(path);
    int rc = shown ? strake_fs_read(path, STRAKE_LUA_SOURCE_MAX, &loading.text, err)
                   : strake_fail_nomem(err);

    *found = rc == 0;
    if (rc == STRAKE_ENOTFOUND && !named) {
        strake_err_dispose(err);
        rc = 0;
    } else if (rc < 0 && rc != STRAKE_ENOMEM) {
        rc = strake_err_recode(err, STRAKE_ECONFIG);
    } else if (rc == 0) {
        loading.shown = shown;
        engine->layer = layer;
        engine->layer_root = root;
        rc = run_text(engine, &loading);
        engine->layer_root = NULL;
    }
    strake_buf_dispose(&loading.text);
    strake_free(shown);
    return rc;
}

/* ---- layers ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_lua_files(const char *dir, struct strake_strings *files)
{
    DIR *handle = opendir(dir);
    const struct dirent *entry;
    int rc = 0;

    if (!handle)
        return 0;
    while (rc == 0 && (entry = readdir(handle))) {
        const size_t len = strlen(entry->d_name);
        if (entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0)
            rc = strake_strings_add(files, entry->d_name);
    }
    closedir(handle);
    if (files->count > 1)
        qsort(files->items, files->count, sizeof(*files->items), compare_names);
    return rc;
}

static int load_system(struct strake_engine *engine, struct strake_err *err)
{
    struct strake_strings files = { 0 };
    bool found;
    int rc = list_lua_files(engine->system_dir, &files);

    if (rc < 0)
        strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < files.count; i++) {
        char *path = strake_fs_join(engine->system_dir, files.items[i]);
        /* Named: a file that vanished between the listing and now may hold the policies. */
        rc = path ? load_file(engine, STRAKE_LAYER_SYSTEM, engine->system_dir, path, true, &found,
                              err)
                  : strake_fail_nomem(err);
        strake_free(path);
    }
    strake_strings_dispose(&files);
    return rc;
}

static int load_user(struct strake_engine *engine, struct strake_err *err)
{
    char *root = strake_strdup(engine->user_file);
    char *slash = root ? strrchr(root, '/') : NULL;
    bool found;
    int rc;

    if (slash)
        *slash = '\0';
    rc = root ? load_file(engine, STRAKE_LAYER_USER, root, engine->user_file, false, &found, err)
              : strake_fail_nomem(err);
    strake_free(root);
    return rc;
}

static int load_project(struct strake_engine *engine, struct strake_err *err)
{
    const char *name = engine->project_file ? engine->project_file : "strake.lua";
    char *path = strake_fs_join(engine->project_dir, name);
    bool found = false;
    int rc = path ? load_file(engine, STRAKE_LAYER_PROJECT, engine->project_dir, path,
                              engine->project_file != NULL, &found, err)
                  : strake_fail_nomem(err);

    if (found) {
        engine->project->file = path;
        return rc;
    }
    strake_free(path);
    return rc;
}

int strake_engine_load(struct strake_engine *engine, struct strake_project **project,
                       struct strake_err *err)
{
    int rc = engine->system_dir ? load_system(engine, err) : 0;

    if (rc == 0 && engine->user_file)
        rc = load_user(engine, err);
    if (rc == 0)
        rc = load_project(engine, err);
    if (rc == 0)
        rc = strake_lua_check_handles(engine->L, err);
    *project = engine->project;
    return rc;
}

int strake_engine_load_file(struct strake_engine *engine, const char *path, struct strake_err *err)
{
    bool found;
    int rc = load_file(engine, STRAKE_LAYER_PROJECT, engine->project_dir, path, true, &found, err);

    return rc < 0 ? rc : strake_lua_check_handles(engine->L, err);
}
