/* Reading declarations by table. Values are read raw: no code of the declaring file runs. */
#include "lua/schema.h"

#include <stdlib.h>
#include <string.h>

#include "util/suggest.h"

int strake_decl_fail(struct strake_decl *decl, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    strake_vfail(decl->err, STRAKE_ECONFIG, fmt, args);
    va_end(args);
    strake_err_prefix(decl->err, "%s \"%s\": ", decl->kind, decl->name);
    strake_err_place(decl->err, decl->file, decl->line);
    return STRAKE_ECONFIG;
}

int strake_decl_expected(struct strake_decl *decl, const char *key, const char *what, int index)
{
    return strake_decl_fail(decl, "%s must be %s, got %s", key, what,
                            strake_lua_type_text(decl->L, index));
}

int strake_decl_check_text(struct strake_decl *decl, const char *key, const char *text, size_t len)
{
    if (strlen(text) != len)
        return strake_decl_fail(decl, "%s has a NUL byte", key);
    if (strpbrk(text, "\r\n"))
        return strake_decl_fail(decl, "%s has a newline", key);
    return 0;
}

/* ---- single values ---- */

int strake_take_text(struct strake_decl *decl, const char *key, int index, char **out)
{
    const char *text;
    size_t len;
    int rc;

    if (lua_type(decl->L, index) != LUA_TSTRING)
        return strake_decl_expected(decl, key, "a string", index);
    text = lua_tolstring(decl->L, index, &len);
    rc = strake_decl_check_text(decl, key, text, len);
    if (rc < 0)
        return rc;
    strake_free(*out);
    *out = strake_strdup(text);
    return *out ? 0 : strake_fail_nomem(decl->err);
}

int strake_take_bool(struct strake_decl *decl, const char *key, int index, bool *out)
{
    if (!lua_isboolean(decl->L, index))
        return strake_decl_expected(decl, key, "true or false", index);
    *out = lua_toboolean(decl->L, index);
    return 0;
}

static int refuse_metatable(struct strake_decl *decl, const char *key, int index)
{
    if (!lua_getmetatable(decl->L, index))
        return 0;
    lua_pop(decl->L, 1);
    return strake_decl_fail(decl, "%s is a table with a metatable, which cannot be read safely",
                            key);
}

static int add_text(struct strake_decl *decl, const char *key, int index,
                    struct strake_strings *out)
{
    size_t len;
    const char *text = lua_tolstring(decl->L, index, &len);
    const int rc = strake_decl_check_text(decl, key, text, len);

    if (rc < 0)
        return rc;
    return strake_strings_add(out, text) < 0 ? strake_fail_nomem(decl->err) : 0;
}

int strake_take_texts(struct strake_decl *decl, const char *key, int index,
                      struct strake_strings *out)
{
    static const char expected[] = "a string or a list of strings";
    lua_State *L = decl->L;
    lua_Integer count, entries = 0;
    int rc = 0;

    if (lua_type(L, index) == LUA_TSTRING)
        return add_text(decl, key, index, out);
    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, expected, index);
    rc = refuse_metatable(decl, key, index);
    count = (lua_Integer)lua_rawlen(L, index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            return strake_decl_fail(decl, "%s must be %s, got a table with the name '%s'", key,
                                    expected, lua_tostring(L, -2));
        entries++;
    }
    if (rc == 0 && entries != count)
        return strake_decl_fail(decl, "%s must be %s, got a list with holes", key, expected);
    for (lua_Integer i = 1; rc == 0 && i <= count; i++) {
        lua_rawgeti(L, index, i);
        if (lua_type(L, -1) == LUA_TSTRING)
            rc = add_text(decl, key, lua_gettop(L), out);
        else
            rc = strake_decl_fail(decl, "%s must be a list of strings, got %s in it", key,
                                  strake_lua_type_text(L, -1));
        lua_pop(L, 1);
    }
    return rc;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp((*(struct strake_pair *const *)a)->name, (*(struct strake_pair *const *)b)->name);
}

void strake_pairs_sort(struct strake_pairs *pairs)
{
    if (pairs->count > 1)
        qsort(pairs->items, pairs->count, sizeof(struct strake_pair *), compare_pairs);
}

/* The value at the top of the stack under the name below it. */
static int add_pair(struct strake_decl *decl, const char *key, struct strake_pairs *out)
{
    lua_State *L = decl->L;
    char path[128];
    const char *name, *text;
    size_t len;
    int rc;

    if (lua_type(L, -2) != LUA_TSTRING)
        return strake_decl_fail(decl, "%s must be a table of names and values: NAME = \"VALUE\"",
                                key);
    name = lua_tolstring(L, -2, &len);
    snprintf(path, sizeof(path), "%s.%s", key, name);
    rc = strake_decl_check_text(decl, path, name, len);
    if (rc < 0)
        return rc;
    if (len == 0 || strchr(name, '='))
        return strake_decl_fail(decl, "%s has the name '%s', which is empty or has a `=`", key,
                                name);
    if (strake_lua_secret_at(L, -1)) {
        strake_decl_fail(decl, "%s is a secret, which would be readable in the image", path);
        strake_err_hint(
            decl->err, "use secrets = { %s = secret.env \"…\" } and RUN --mount=type=secret", name);
        return STRAKE_ECONFIG;
    }
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
        strake_decl_fail(decl, "%s is false", path);
        strake_err_hint(decl->err, "a fact that does not exist is false: write `… or nil` to leave "
                                   "it out, or \"false\" for the text");
        return STRAKE_ECONFIG;
    }
    if (lua_isboolean(L, -1)) {
        text = "true";
        len = 4;
    } else if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER) {
        text = lua_tolstring(L, -1, &len);
    } else {
        return strake_decl_expected(decl, path, "a string, a number or true", lua_gettop(L));
    }
    rc = strake_decl_check_text(decl, path, text, len);
    if (rc == 0 && strake_pairs_set(out, name, text) < 0)
        rc = strake_fail_nomem(decl->err);
    return rc;
}

int strake_take_pairs(struct strake_decl *decl, const char *key, int index,
                      struct strake_pairs *out)
{
    lua_State *L = decl->L;
    int rc;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a table of names and values", index);
    rc = refuse_metatable(decl, key, index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1))
        rc = add_pair(decl, key, out);
    strake_pairs_sort(out);
    return rc;
}

int strake_take_json(struct strake_decl *decl, const char *key, int index, json_t **out)
{
    json_t *value = NULL;
    const int rc = strake_lua_to_json(decl->L, index, &value, decl->err);

    if (rc < 0) {
        strake_err_prefix(decl->err, "%s \"%s\": %s: ", decl->kind, decl->name, key);
        strake_err_place(decl->err, decl->file, decl->line);
        return rc;
    }
    json_decref(*out);
    *out = value;
    return 0;
}

/* ---- a whole table ---- */

static const struct strake_field *find_field(const struct strake_field *fields, const char *key)
{
    for (; fields->key; fields++) {
        if (strcmp(fields->key, key) == 0)
            return fields;
    }
    return NULL;
}

static int unknown_key(struct strake_decl *decl, const struct strake_field *fields, const char *key)
{
    const char *known[64];
    const char *near;
    size_t count = 0;

    for (; fields->key && count < 63; fields++)
        known[count++] = fields->key;
    known[count] = NULL;
    near = strake_suggest(key, known);
    if (near)
        strake_fail(decl->err, STRAKE_ECONFIG, "unknown key '%s' in %s \"%s\"; did you mean '%s'?",
                    key, decl->kind, decl->name, near);
    else
        strake_fail(decl->err, STRAKE_ECONFIG, "unknown key '%s' in %s \"%s\"", key, decl->kind,
                    decl->name);
    strake_err_place(decl->err, decl->file, decl->line);
    return STRAKE_ECONFIG;
}

/* Unknown keys are told before wrong values: the first in order of names, whatever Lua's order. */
static int check_keys(struct strake_decl *decl, int index, const struct strake_field *fields)
{
    lua_State *L = decl->L;
    const char *first = NULL;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *key;
        if (lua_type(L, -2) != LUA_TSTRING)
            return strake_decl_fail(decl, "a value without a key; write KEY = VALUE");
        key = lua_tostring(L, -2);
        if (!find_field(fields, key) && (!first || strcmp(key, first) < 0))
            first = key;
    }
    return first ? unknown_key(decl, fields, first) : 0;
}

int strake_schema_read(struct strake_decl *decl, int index, const struct strake_field *fields,
                       void *object)
{
    lua_State *L = decl->L;
    int rc;

    luaL_checkstack(L, 16, NULL);
    rc = refuse_metatable(decl, "the declaration", index);
    if (rc == 0)
        rc = check_keys(decl, index, fields);
    for (; rc == 0 && fields->key; fields++) {
        lua_pushstring(L, fields->key);
        lua_rawget(L, index);
        if (!lua_isnil(L, -1))
            rc = fields->take(decl, fields->key, lua_gettop(L), object);
        else if (fields->required)
            rc = strake_decl_fail(decl, "%s is missing", fields->key);
        lua_pop(L, 1);
    }
    return rc;
}
