/* tags.*, whose languages are scripts/tags.lua and scripts/tags/: the primitives that Lua has not itself
 * (regular expressions, time zones, the event of GitHub Actions), and what is remembered of a list of
 * tags, so that a declaration takes its labels and `strake tags --explain` its reasons. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/jsregex.h"
#include "util/time.h"
#include "util/zone.h"

/* GitHub sends events of 25 MiB at most. */
#define EVENT_MAX ((size_t)32 * 1024 * 1024)

static const char outcomes_key; /* registry: list of tags -> what is remembered of it; weak */
static const char regex_type[] = "strake.regex";

/* ---- regular expressions ---- */

static int regex_gc(lua_State *L)
{
    struct strake_jsregex **regex = lua_touserdata(L, 1);

    strake_jsregex_free(*regex);
    *regex = NULL;
    return 0;
}

/* Each match from `from` on, as JavaScript's flag g has them. */
static int push_all(lua_State *L, struct strake_jsregex *regex, const char *text, size_t len)
{
    struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
    struct strake_err err = { 0 };
    lua_Integer count = 0;
    size_t from = 0;
    int rc;

    lua_newtable(L);
    while ((rc = strake_jsregex_match(regex, text, len, from, spans, &err)) > 0) {
        strake_lua_charge(L, 1000);
        lua_pushlstring(L, text + spans[0].begin, spans[0].end - spans[0].begin);
        lua_rawseti(L, -2, ++count);
        from = spans[0].end;
        if (spans[0].end == spans[0].begin) /* on by one character */
            from += from < len ? strake_json_utf8_length(text + from, len - from) : 1;
    }
    if (rc < 0)
        strake_lua_raise(L, &err);
    if (count == 0)
        lua_pushnil(L);
    return 1;
}

/* regex(pattern, flags, text) -> the groups of the first match, the whole match before them and false
 * for a group without a part in it; with the flag g all matches; nil without one. Raises. */
static int core_regex(lua_State *L)
{
    struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
    const char *pattern = luaL_checkstring(L, 1), *flags = luaL_checkstring(L, 2);
    struct strake_jsregex **regex;
    struct strake_err err = { 0 };
    const char *text;
    size_t len;
    int rc;

    text = luaL_checklstring(L, 3, &len);
    regex = lua_newuserdatauv(L, sizeof(struct strake_jsregex *), 0);
    *regex = NULL;
    luaL_setmetatable(L, regex_type);
    rc = strake_jsregex_new(pattern, flags, regex, &err);
    if (rc == 0 && strake_jsregex_is_global(*regex))
        return push_all(L, *regex, text, len);
    if (rc == 0)
        rc = strake_jsregex_match(*regex, text, len, 0, spans, &err);
    if (rc < 0)
        strake_lua_raise(L, &err);
    strake_lua_charge(L, 1000);
    if (rc == 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_newtable(L);
    for (size_t i = 0; i < strake_jsregex_groups(*regex); i++) {
        if (spans[i].begin == STRAKE_JSREGEX_UNSET)
            lua_pushboolean(L, 0);
        else
            lua_pushlstring(L, text + spans[i].begin, spans[i].end - spans[i].begin);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- time ---- */

/* zone(name, seconds) -> seconds to be added to UTC, "JST". Raises for a zone that there is not. */
static int core_zone(lua_State *L)
{
    struct strake_zone_time time;
    struct strake_err err = { 0 };

    if (strake_zone_at(luaL_checkstring(L, 1), luaL_checkinteger(L, 2), &time, &err) < 0)
        strake_lua_raise(L, &err);
    lua_pushinteger(L, time.offset_seconds);
    lua_pushstring(L, time.abbreviation);
    return 2;
}

/* now() -> milliseconds since the epoch: SOURCE_DATE_EPOCH when it is set. Raises when that is no number of
 * seconds. */
static int core_now(lua_State *L)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    long long seconds;

    if (!epoch || !*epoch) {
        lua_pushinteger(L, strake_time_now_us() / 1000);
        return 1;
    }
    errno = 0;
    seconds = strtoll(epoch, &end, 10);
    if (errno || *end || end == epoch || seconds < 0 || seconds > 253402300799) /* the year 9999 */
        strake_lua_fail(L, STRAKE_ECONFIG,
                        "it is a number of seconds since 1970: git log -1 --format=%ct",
                        "SOURCE_DATE_EPOCH is no time: %s", epoch);
    lua_pushinteger(L, seconds * 1000);
    return 1;
}

/* time(text) -> milliseconds since the epoch, or nil for what is no RFC 3339 */
static int core_time(lua_State *L)
{
    int64_t us;

    if (strake_time_parse(luaL_checkstring(L, 1), &us) < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, us / 1000);
    return 1;
}

/* commit_time(sha) -> milliseconds since the epoch, or nil: git does not know that commit */
static int core_commit_time(lua_State *L)
{
    const int64_t us = strake_lua_git_commit_us(strake_lua_engine(L), luaL_checkstring(L, 1));

    if (us < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, us / 1000);
    return 1;
}

/* ---- the event of GitHub Actions ---- */

static json_t *read_event(struct strake_err *err)
{
    const char *path = getenv("GITHUB_EVENT_PATH");
    struct strake_buf text = STRAKE_BUF(EVENT_MAX);
    char *what = NULL;
    json_t *event = NULL;
    int rc;

    if (!path || !*path)
        return json_object();
    rc = strake_fs_read(path, EVENT_MAX, &text, err);
    if (rc == STRAKE_ENOTFOUND) {
        strake_err_dispose(err);
        event = json_object();
    } else if (rc == 0) {
        what = strake_asprintf("GITHUB_EVENT_PATH (%s)", path);
        event = what
                    ? strake_json_parse(strake_buf_text(&text), text.len, what, STRAKE_ECONFIG, err)
                    : NULL;
        if (event && !json_is_object(event)) {
            json_decref(event);
            event = NULL;
            strake_fail(err, STRAKE_ECONFIG, "%s is no JSON object", what);
        }
    } else {
        strake_err_prefix(err, "GITHUB_EVENT_PATH: ");
        strake_err_recode(err, rc == STRAKE_ENOMEM ? rc : STRAKE_ECONFIG);
    }
    strake_free(what);
    strake_buf_dispose(&text);
    if (!event && !err->code)
        strake_fail_nomem(err);
    return event;
}

static json_t *event_of(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_err err = { 0 };

    if (!engine->event)
        engine->event = read_event(&err);
    if (!engine->event)
        strake_lua_raise(L, &err);
    return engine->event;
}

/* workflow_event(key, key…) -> the text or number under these keys of $GITHUB_EVENT_PATH, or nil. A file that is
 * not there is an empty event. Raises for one that is no JSON. */
static int core_workflow_event(lua_State *L)
{
    const int count = lua_gettop(L);
    const json_t *at = event_of(L);

    for (int i = 1; i <= count; i++)
        at = json_object_get(at, luaL_checkstring(L, i));
    if (json_is_string(at))
        lua_pushlstring(L, json_string_value(at), json_string_length(at));
    else if (json_is_integer(at))
        lua_pushinteger(L, json_integer_value(at));
    else
        lua_pushnil(L);
    return 1;
}

/* workflow_commit_time(sha) -> what the event says of when this commit was made, or nil */
static int core_workflow_commit_time(lua_State *L)
{
    const char *sha = luaL_checkstring(L, 1), *time = NULL, *id;
    const json_t *event = event_of(L), *head = json_object_get(event, "head_commit"), *commit;
    size_t i;

    json_array_foreach(json_object_get(event, "commits"), i, commit) {
        id = strake_json_str(commit, "id");
        if (!time && id && strcmp(id, sha) == 0)
            time = strake_json_str(commit, "timestamp");
    }
    id = strake_json_str(head, "id");
    if (!time && id && strcmp(id, sha) == 0)
        time = strake_json_str(head, "timestamp");
    lua_pushstring(L, time); /* NULL: nil */
    return 1;
}

/* ---- what is remembered ---- */

static void push_outcomes(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &outcomes_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &outcomes_key);
}

/* tags_keep(list, outcome): { explain = function, version, labels, annotations, images } of a list that is
 * given to the team's file */
static int core_tags_keep(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    push_outcomes(L);
    lua_insert(L, 1);
    lua_rawset(L, 1);
    return 0;
}

bool strake_lua_push_tags_outcome(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (!lua_istable(L, index) || lua_rawgetp(L, LUA_REGISTRYINDEX, &outcomes_key) != LUA_TTABLE) {
        lua_settop(L, lua_istable(L, index) ? -2 : -1);
        return false;
    }
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) != LUA_TTABLE) {
        lua_pop(L, 2);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

/* tags_kept(list) -> what is remembered of it, or nil */
static int core_tags_kept(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!strake_lua_push_tags_outcome(L, 1))
        lua_pushnil(L);
    return 1;
}

/* target_tags(name) -> its tags, and what is remembered of the list or nil */
static int core_target_tags(lua_State *L)
{
    const struct strake_target *target =
        strake_project_target(strake_lua_project(L), luaL_checkstring(L, 1));

    luaL_argcheck(L, target, 1, "no such target");
    lua_createtable(L, (int)target->tags.count, 0);
    for (size_t i = 0; i < target->tags.count; i++) {
        lua_pushstring(L, target->tags.items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (target->tags_ref)
        lua_rawgeti(L, LUA_REGISTRYINDEX, target->tags_ref);
    else
        lua_pushnil(L);
    return 2;
}

void strake_lua_open_tags(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "regex", core_regex },
        { "zone", core_zone },
        { "now", core_now },
        { "time", core_time },
        { "commit_time", core_commit_time },
        { "workflow_event", core_workflow_event },
        { "workflow_commit_time", core_workflow_commit_time },
        { "tags_keep", core_tags_keep },
        { "tags_kept", core_tags_kept },
        { "target_tags", core_target_tags },
        { NULL, NULL },
    };
    static const char *const stubs[][2] = {
        { "tags", "rules" },
        { "tags", "default" },
        { "tags", "session" },
        { "tags/metadata", "metadata" },
    };

    luaL_newmetatable(L, regex_type);
    lua_pushcfunction(L, regex_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    strake_lua_core_add(L, functions);
    lua_createtable(L, 0, sizeof(stubs) / sizeof(stubs[0]));
    for (size_t i = 0; i < sizeof(stubs) / sizeof(stubs[0]); i++) {
        strake_lua_push_stub(L, stubs[i][0], stubs[i][1], ~0u);
        lua_setfield(L, -2, stubs[i][1]);
    }
    strake_lua_protect(L, "tags");
    strake_lua_define(L, "tags");
}
