/* Values between Lua and JSON. Lua's are read raw: reading must not run the code of who wrote them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/json.h"

/* ---- JSON to Lua ---- */

void strake_lua_push_json(lua_State *L, const json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    luaL_checkstack(L, 4, "JSON nested too deep");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(value));
        json_object_foreach((json_t *)value, key, item) {
            lua_pushstring(L, key);
            strake_lua_push_json(L, item);
            lua_rawset(L, -3);
        }
        break;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(value), 0);
        json_array_foreach(value, i, item) {
            strake_lua_push_json(L, item);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    default:
        lua_pushboolean(L, json_is_true(value));
        break;
    }
}

/* ---- Lua to JSON ---- */

/* Where the reader is: for messages, and to find cycles. */
struct reading {
    const void *above[STRAKE_LUA_JSON_DEPTH];
    char path[256];
    int depth;
    size_t bytes; /* what was read: a table that is named twice is written twice */
    struct strake_err *err;
};

/* About what one value costs beside its text. */
enum { VALUE_BYTES = 64 };

static int read_value(lua_State *L, int index, struct reading *reading, json_t **out);

static int refuse(struct reading *reading, const char *what)
{
    if (reading->path[0])
        return strake_fail(reading->err, STRAKE_ECONFIG, "%s: %s", reading->path, what);
    return strake_fail(reading->err, STRAKE_ECONFIG, "%s", what);
}

/* How many entries the table has; -1 unless they are exactly 1..n. */
static lua_Integer sequence_length(lua_State *L, int index, size_t *entries)
{
    lua_Integer largest = 0;
    bool sequence = true;

    *entries = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        ++*entries;
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0)
            largest = lua_tointeger(L, -2) > largest ? lua_tointeger(L, -2) : largest;
        else
            sequence = false;
    }
    return sequence && (size_t)largest == *entries ? largest : -1;
}

static int read_array(lua_State *L, int index, lua_Integer count, struct reading *reading,
                      json_t *array)
{
    const size_t len = strlen(reading->path);

    for (lua_Integer i = 1; i <= count; i++) {
        json_t *item = NULL;
        int rc;
        snprintf(reading->path + len, sizeof(reading->path) - len, "[%lld]", (long long)i);
        lua_rawgeti(L, index, i);
        rc = read_value(L, lua_gettop(L), reading, &item);
        lua_pop(L, 1);
        if (rc == 0 && json_array_append_new(array, item) < 0)
            rc = strake_fail_nomem(reading->err);
        if (rc < 0)
            return rc;
    }
    reading->path[len] = '\0';
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same object with its names in order: Lua's own order changes from run to run, and digests are
 * computed over what is read here. */
static int sort_object(json_t **object, struct strake_err *err)
{
    const size_t count = json_object_size(*object);
    const char **keys = strake_calloc(count, sizeof(*keys));
    json_t *sorted = json_object(), *value;
    const char *key;
    size_t n = 0;
    int rc = keys && sorted ? 0 : STRAKE_ENOMEM;

    json_object_foreach(*object, key, value) {
        if (rc == 0)
            keys[n++] = key;
    }
    if (n > 1)
        qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = json_object_set(sorted, keys[i], json_object_get(*object, keys[i]));
    strake_free(keys);
    if (rc < 0) {
        json_decref(sorted);
        return strake_fail_nomem(err);
    }
    json_decref(*object);
    *object = sorted;
    return 0;
}

static int read_object(lua_State *L, int index, struct reading *reading, json_t **object)
{
    const size_t len = strlen(reading->path);

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *key;
        size_t key_len;
        json_t *item = NULL;
        int rc;
        if (lua_type(L, -2) != LUA_TSTRING)
            return refuse(reading, lua_type(L, -2) == LUA_TNUMBER
                                       ? "a table with names and numbers, or a list with holes"
                                       : "the names in a table must be strings");
        key = lua_tolstring(L, -2, &key_len);
        if (strlen(key) != key_len)
            return refuse(reading, "a name with a NUL byte");
        snprintf(reading->path + len, sizeof(reading->path) - len, "%s%s", len ? "." : "", key);
        rc = read_value(L, lua_gettop(L), reading, &item);
        if (rc < 0)
            return rc;
        if (json_object_set_new(*object, key, item) < 0)
            return refuse(reading, "the name is not valid UTF-8, or there is no memory");
        reading->path[len] = '\0';
    }
    return sort_object(object, reading->err);
}

static int read_table(lua_State *L, int index, struct reading *reading, json_t **out)
{
    const void *self = lua_topointer(L, index);
    size_t entries;
    lua_Integer count;
    int rc;

    if (lua_getmetatable(L, index))
        return refuse(reading, "a table with a metatable");
    if (reading->depth == STRAKE_LUA_JSON_DEPTH)
        return refuse(reading, "tables nested too deep");
    for (int i = 0; i < reading->depth; i++) {
        if (reading->above[i] == self)
            return refuse(reading, "a table that contains itself");
    }
    if (!lua_checkstack(L, 8))
        return strake_fail_nomem(reading->err);
    reading->above[reading->depth++] = self;
    count = sequence_length(L, index, &entries);
    *out = count > 0 ? json_array() : json_object();
    if (!*out)
        return strake_fail_nomem(reading->err);
    rc = count > 0 ? read_array(L, index, count, reading, *out)
                   : read_object(L, index, reading, out);
    reading->depth--;
    return rc;
}

static int read_number(lua_State *L, int index, struct reading *reading, json_t **out)
{
    const double number = lua_tonumber(L, index);

    if (!lua_isinteger(L, index) && !isfinite(number))
        return refuse(reading, "a number that is not finite");
    *out = lua_isinteger(L, index) ? json_integer(lua_tointeger(L, index)) : json_real(number);
    return *out ? 0 : strake_fail_nomem(reading->err);
}

static int read_string(lua_State *L, int index, struct reading *reading, json_t **out)
{
    json_t *probe;
    const char *text;
    size_t len;

    text = lua_tolstring(L, index, &len);
    *out = json_stringn(text, len);
    if (*out)
        return 0;
    /* jansson says NULL for both: without memory this fails as well */
    probe = json_stringn("", 0);
    json_decref(probe);
    return probe ? refuse(reading, "a string that is not valid UTF-8")
                 : strake_fail_nomem(reading->err);
}

static int read_value(lua_State *L, int index, struct reading *reading, json_t **out)
{
    const char *secret;
    int rc = 0;

    reading->bytes += VALUE_BYTES + (lua_type(L, index) == LUA_TSTRING ? lua_rawlen(L, index) : 0);
    if (reading->bytes > STRAKE_LUA_JSON_BYTES)
        return strake_fail(reading->err, STRAKE_ECONFIG, "too much for one value, written out");
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        *out = json_boolean(lua_toboolean(L, index));
        break;
    case LUA_TNUMBER:
        rc = read_number(L, index, reading, out);
        break;
    case LUA_TSTRING:
        rc = read_string(L, index, reading, out);
        break;
    case LUA_TTABLE:
        rc = read_table(L, index, reading, out);
        break;
    case LUA_TUSERDATA:
        secret = strake_lua_secret_at(L, index);
        if (!secret)
            return refuse(reading, "a value that cannot be written as data");
        *out = json_object();
        if (!*out || strake_json_set_str(*out, "secret", secret) < 0)
            rc = strake_fail_nomem(reading->err);
        break;
    case LUA_TNIL:
        *out = json_null();
        break;
    default:
        return refuse(reading, lua_type(L, index) == LUA_TFUNCTION ? "a function" : "a coroutine");
    }
    if (rc < 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

int strake_lua_to_json(lua_State *L, int index, json_t **out, struct strake_err *err)
{
    struct reading reading = { .err = err };
    const int top = lua_gettop(L);
    int rc;

    *out = NULL;
    if (!lua_checkstack(L, 8))
        return strake_fail_nomem(err);
    rc = read_value(L, lua_absindex(L, index), &reading, out);
    lua_settop(L, top);
    return rc;
}
