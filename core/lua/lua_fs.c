/* fs.read, fs.exists, fs.write: files beneath the project's folder and nowhere else. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lua/engine_impl.h"
#include "util/buf.h"
#include "util/fs.h"

static const char buffer_type[] = "strake.buffer";

static int buffer_gc(lua_State *L)
{
    strake_buf_dispose(lua_touserdata(L, 1));
    return 0;
}

struct strake_buf *strake_lua_new_buffer(lua_State *L, size_t max)
{
    struct strake_buf *buffer = lua_newuserdatauv(L, sizeof(*buffer), 0);

    *buffer = STRAKE_BUF(max);
    luaL_setmetatable(L, buffer_type);
    return buffer;
}

static const char *check_path(lua_State *L)
{
    size_t len;
    const char *path = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len > 0 && strlen(path) == len, 1, "a path without NUL expected");
    return path;
}

/* A layer reads beneath its own folder; what runs later, beneath the project's. */
static const char *root_of(const struct strake_engine *engine)
{
    return engine->layer_root ? engine->layer_root : engine->project_dir;
}

/* fs.read(path) -> string. At most 16 MiB. */
static int fs_read(lua_State *L)
{
    const char *path = check_path(L);
    struct strake_buf *buffer = strake_lua_new_buffer(L, STRAKE_LUA_STRING_MAX);
    struct strake_err err = { 0 };
    int rc;

    rc = strake_fs_read_beneath(root_of(strake_lua_engine(L)), path, STRAKE_LUA_STRING_MAX, buffer,
                                &err);
    if (rc < 0) {
        if (rc != STRAKE_ENOMEM)
            strake_err_recode(&err, STRAKE_ECONFIG);
        strake_lua_raise(L, &err);
    }
    lua_pushlstring(L, strake_buf_text(buffer), buffer->len);
    strake_buf_dispose(buffer);
    return 1;
}

static int open_beneath(const char *root, const char *path, int flags)
{
    struct open_how how = { .flags = (unsigned)(flags | O_CLOEXEC),
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    const int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd;

    if (dir < 0)
        return -1;
    fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
    close(dir);
    return fd;
}

/* fs.exists(path) -> boolean. What cannot be reached within the project does not exist. */
static int fs_exists(lua_State *L)
{
    const int fd = open_beneath(root_of(strake_lua_engine(L)), check_path(L), O_PATH);

    if (fd >= 0)
        close(fd);
    lua_pushboolean(L, fd >= 0);
    return 1;
}

/* Write beside and rename, in a folder that was opened beneath the root. */
static int write_beneath(const char *root, const char *path, const char *text, size_t len,
                         struct strake_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char folder[4096] = ".", target[4096];
    int dir, rc;

    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return strake_fail(err, STRAKE_ECONFIG, "%s is not the name of a file", path);
    if (slash && slash > path)
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    dir = open_beneath(root, slash == path ? "/" : folder, O_PATH | O_DIRECTORY);
    if (dir < 0)
        return strake_fail_errno(err, STRAKE_ECONFIG, "cannot write %s", path);
    snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", dir, name);
    rc = strake_fs_write(target, text, len, 0644, false, err);
    close(dir);
    if (rc < 0)
        strake_err_prefix(err, "%s: ", path);
    return rc;
}

/* fs.write(path, text). Flows only. */
static int fs_write(lua_State *L)
{
    const char *path, *text;
    struct strake_err err = { 0 };
    size_t len;

    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL, "fs.write");
    path = check_path(L);
    text = luaL_checklstring(L, 2, &len);
    if (write_beneath(strake_lua_engine(L)->project_dir, path, text, len, &err) < 0)
        strake_lua_raise(L, &err);
    return 0;
}

void strake_lua_open_fs(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "read", fs_read },
        { "exists", fs_exists },
        { "write", fs_write },
        { NULL, NULL },
    };

    luaL_newmetatable(L, buffer_type);
    lua_pushcfunction(L, buffer_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, functions);
    strake_lua_protect(L, "fs");
    strake_lua_define(L, "fs");
}
