/* Rules: `rule "NAME" { … }` and `check { … }` as they are declared, and what scripts/check.lua needs
 * to ask them: report(), and running a team's rule within its budget. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/context.h"
#include "dockerfile/dockerfile.h"
#include "lua/schema.h"
#include "util/fs.h"
#include "util/suggest.h"
#include "util/time.h"

#define REPORT_TEXT_MAX 4096
#define RULE_FILES_MAX 4096

static const char rules_key;   /* registry: the rules that were declared, a list */
static const char options_key; /* registry: what check { … } said, a table */
static const char sink_key;    /* registry: where report() puts findings */

static void push_kept(lua_State *L, const char *key)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* ---- rule "NAME" { … } ---- */

/* A rule in the making is a table; each key is checked and copied into it. */
struct rule {
    int table;
};

static void keep(lua_State *L, const struct rule *rule, const char *key, int index)
{
    lua_pushvalue(L, index);
    lua_setfield(L, rule->table, key);
}

static int take_severity(struct strake_decl *decl, const char *key, int index, void *object)
{
    static const char *const known[] = { "error", "warning", "info", "style", NULL };
    const char *text = lua_type(decl->L, index) == LUA_TSTRING ? lua_tostring(decl->L, index) : "";

    for (const char *const *one = known; *one; one++) {
        if (strcmp(*one, text) == 0) {
            keep(decl->L, object, key, index);
            return 0;
        }
    }
    return strake_decl_expected(decl, key, "\"error\", \"warning\", \"info\" or \"style\"", index);
}

/* A text, which may have several lines. */
static int take_prose(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (lua_type(decl->L, index) != LUA_TSTRING)
        return strake_decl_expected(decl, key, "a string", index);
    keep(decl->L, object, key, index);
    return 0;
}

static int take_flag(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (!lua_isboolean(decl->L, index))
        return strake_decl_expected(decl, key, "true or false", index);
    keep(decl->L, object, key, index);
    return 0;
}

static int take_function(struct strake_decl *decl, const char *key, int index, void *object)
{
    if (!lua_isfunction(decl->L, index))
        return strake_decl_expected(decl, key, "a function", index);
    keep(decl->L, object, key, index);
    return 0;
}

/* A text or a list of them becomes a list of its own. */
static int take_names(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_strings names = { 0 };
    const struct rule *rule = object;
    const int rc = strake_take_texts(decl, key, index, &names);

    if (rc < 0) {
        strake_strings_dispose(&names);
        return rc;
    }
    strake_strings_dispose(&names); /* they are texts: nothing below may raise for another reason */
    lua_newtable(decl->L);
    if (lua_type(decl->L, index) == LUA_TSTRING) {
        lua_pushvalue(decl->L, index);
        lua_rawseti(decl->L, -2, 1);
    } else {
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(decl->L, index); i++) {
            lua_rawgeti(decl->L, index, i);
            lua_rawseti(decl->L, -2, i);
        }
    }
    lua_setfield(decl->L, rule->table, key);
    return 0;
}

static int take_on(struct strake_decl *decl, const char *key, int index, void *object)
{
    static const char *const known[] = {
        "file", "stage",  "ADD",        "ARG",         "CMD",    "COPY",       "ENTRYPOINT",
        "ENV",  "EXPOSE", "FROM",       "HEALTHCHECK", "LABEL",  "MAINTAINER", "ONBUILD",
        "RUN",  "SHELL",  "STOPSIGNAL", "USER",        "VOLUME", "WORKDIR",    NULL
    };
    lua_State *L = decl->L;
    const int rc = take_names(decl, key, index, object);

    if (rc < 0)
        return rc;
    lua_getfield(L, ((struct rule *)object)->table, key);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
        const char *name, *near;
        bool found = false;
        lua_rawgeti(L, -1, i);
        name = lua_tostring(L, -1);
        for (const char *const *one = known; *one; one++)
            found = found || strcmp(*one, name) == 0;
        if (!found) {
            near = strake_suggest(name, known);
            return near ? strake_decl_fail(decl, "on: there is no '%s'; did you mean '%s'?", name,
                                           near)
                        : strake_decl_fail(decl, "on: there is no '%s'", name);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return 0;
}

static void set_text(lua_State *L, int table, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, table, key);
}

int strake_declare_rule(struct strake_decl *decl, int index)
{
    static const struct strake_field fields[] = {
        { "severity", take_severity, true },
        { "aliases", take_names, false },
        { "summary", take_prose, true },
        { "reason", take_prose, false },
        { "bad", take_prose, false },
        { "good", take_prose, false },
        { "calls", take_names, false },
        { "on", take_on, false },
        { "off", take_flag, false },
        { "check", take_function, true },
        { NULL, NULL, false },
    };
    static const char *const layers[] = { "organisation", "user", "project" };
    lua_State *L = decl->L;
    const bool ships = strake_lua_context(L) == STRAKE_LUA_INTERNAL;
    struct rule rule;
    int rc;

    lua_newtable(L);
    rule.table = lua_gettop(L);
    rc = strake_schema_read(decl, index, fields, &rule);
    if (rc < 0)
        return rc;
    set_text(L, rule.table, "name", decl->name);
    set_text(L, rule.table, "layer", ships ? "strake" : layers[decl->engine->layer]);
    set_text(L, rule.table, "file", decl->file);
    lua_pushinteger(L, decl->line);
    lua_setfield(L, rule.table, "line");
    push_kept(L, &rules_key);
    lua_pushvalue(L, rule.table);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

/* ---- check { … } ---- */

/* check { enable, disable, severity, registries, labels, … }: kept by layer, the innermost last. */
static int declare_check(lua_State *L)
{
    static const char *const layers[] = { "organisation", "user", "project" };
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_err *err = &engine->raising;
    json_t *value = NULL;
    const char *file = "";
    int line = 0;

    strake_lua_allow(L, STRAKE_LUA_LOAD, "check");
    luaL_checktype(L, 1, LUA_TTABLE);
    strake_err_dispose(err);
    strake_lua_place(L, &file, &line);
    if (strake_lua_to_json(L, 1, &value, err) < 0) {
        struct strake_err raised = { 0 };
        strake_err_move(&raised, err);
        strake_lua_raise(L, &raised);
    }
    json_decref(value); /* plain data: it can be kept as it is */
    push_kept(L, &options_key);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "options");
    set_text(L, lua_gettop(L), "layer", layers[engine->layer]);
    set_text(L, lua_gettop(L), "file", file);
    lua_pushinteger(L, line);
    lua_setfield(L, -2, "line");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

/* ---- report(node, text [, options]) ---- */

static void copy_int(lua_State *L, int from, const char *key, int to, const char *as)
{
    if (!lua_istable(L, from))
        return;
    lua_pushstring(L, key);
    if (lua_rawget(L, from) == LUA_TNUMBER && lua_isinteger(L, -1))
        lua_setfield(L, to, as);
    else
        lua_pop(L, 1);
}

static void copy_text(lua_State *L, int from, const char *key, int to)
{
    lua_pushstring(L, key);
    if (lua_rawget(L, from) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(L, -1, &len);
        lua_pushlstring(L, text, len > REPORT_TEXT_MAX ? REPORT_TEXT_MAX : len);
        lua_setfield(L, to, key);
    }
    lua_pop(L, 1);
}

/* report(node, text, { fix = text, edit = { … } }): a finding at an instruction, a command, a stage,
 * or a line's number. */
static int report(lua_State *L)
{
    size_t len;
    const char *text;

    strake_lua_allow(L, STRAKE_LUA_RULE | STRAKE_LUA_INTERNAL, "report");
    lua_settop(L, 3);
    luaL_argcheck(L, lua_istable(L, 1) || lua_isinteger(L, 1), 1,
                  "an instruction, a stage, a command or a line expected");
    text = luaL_checklstring(L, 2, &len);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sink_key) != LUA_TTABLE)
        return luaL_error(L, "no file is being checked");
    lua_createtable(L, 0, 8);
    if (lua_istable(L, 1)) {
        static const char *const places[] = { "line", "end_line", "column", "end_column", NULL };
        for (const char *const *key = places; *key; key++)
            copy_int(L, 1, *key, 5, *key);
    } else {
        lua_pushvalue(L, 1);
        lua_setfield(L, 5, "line");
    }
    lua_pushlstring(L, text, len > REPORT_TEXT_MAX ? REPORT_TEXT_MAX : len);
    lua_setfield(L, 5, "message");
    if (lua_istable(L, 3)) {
        copy_text(L, 3, "fix", 5);
        lua_pushliteral(L, "edit");
        if (lua_rawget(L, 3) == LUA_TTABLE) {
            lua_newtable(L);
            copy_int(L, 6, "line", 7, "line");
            copy_int(L, 6, "column", 7, "column");
            copy_int(L, 6, "remove", 7, "remove");
            copy_text(L, 6, "insert", 7);
            lua_setfield(L, 5, "edit");
        }
        lua_settop(L, 5);
    }
    lua_rawseti(L, 4, (lua_Integer)lua_rawlen(L, 4) + 1);
    return 0;
}

/* ---- for scripts/check.lua ---- */

/* unmetered(): what ships is asked without the hook that counts instructions, which costs each of them
 * as much again; a team's rules run in coroutines with hooks of their own. */
static int core_unmetered(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_INTERNAL, "unmetered");
    lua_sethook(L, NULL, 0, 0);
    return 0;
}

/* collect(list): from now on report() appends to it */
static int core_collect(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &sink_key);
    return 0;
}

/* declared_rules() -> the rules that were declared, in order */
static int core_declared_rules(lua_State *L)
{
    push_kept(L, &rules_key);
    return 1;
}

/* check_options() -> list of { options, layer, file, line } */
static int core_check_options(lua_State *L)
{
    push_kept(L, &options_key);
    return 1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_lua(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0;
}

/* shipped_rules() -> names of the files in scripts/rules, without .lua */
static int core_shipped_rules(lua_State *L)
{
    struct dirent **entries = NULL;
    char path[4096];
    int count;

    snprintf(path, sizeof(path), "%s/rules", strake_lua_engine(L)->scripts_dir);
    count = scandir(path, &entries, is_lua, by_name);
    lua_createtable(L, count > 0 ? count : 0, 0);
    for (int i = 0; i < count && i < RULE_FILES_MAX; i++) {
        lua_pushlstring(L, entries[i]->d_name, strlen(entries[i]->d_name) - 4);
        lua_rawseti(L, -2, i + 1);
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return 1;
}

/* today() -> "2026-12-01", in UTC */
static int core_today(lua_State *L)
{
    char now[STRAKE_TIME_TEXT];

    strake_time_format(strake_time_now_us(), now);
    lua_pushlstring(L, now, 10);
    return 1;
}

/* load_rule(name): run scripts/rules/NAME.lua, which declares */
static int core_load_rule(lua_State *L)
{
    char script[300];

    snprintf(script, sizeof(script), "rules/%.250s", luaL_checkstring(L, 1));
    strake_lua_run_script(L, script);
    return 0;
}

/* read_dockerfile(path) -> text, or nil and why not */
static int core_read_dockerfile(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct strake_buf *text = strake_lua_new_buffer(L, STRAKE_DOCKERFILE_MAX);
    struct strake_err err = { 0 };
    int rc;

    strake_lua_charge(L, STRAKE_LUA_HOOK_COUNT); /* a cancellation is seen between two files */
    rc = strake_fs_read(path, STRAKE_DOCKERFILE_MAX, text, &err);
    if (rc == STRAKE_ENOMEM)
        strake_lua_raise(L, &err);
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushstring(L, strake_err_message(&err));
        strake_err_dispose(&err);
        return 2;
    }
    lua_pushlstring(L, strake_buf_text(text), text->len);
    strake_buf_dispose(text);
    return 1;
}

/* ---- what stands beside a Dockerfile ---- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strake_strndup(path, slash == path ? 1 : (size_t)(slash - path))
                 : strake_strdup(".");
}

/* ignored(path, names) -> list of booleans: which of them .dockerignore leaves out of the context,
 * that being the Dockerfile's folder */
static int core_ignored(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct strake_ignore *ignore = NULL;
    struct strake_err err = { 0 };
    char *folder;
    lua_Integer count;

    luaL_checktype(L, 2, LUA_TTABLE);
    count = (lua_Integer)lua_rawlen(L, 2);
    lua_createtable(L, (int)count, 0);
    if (count == 0 || strcmp(path, "-") == 0)
        return 1;
    luaL_checkstack(L, 4, NULL);
    folder = folder_of(path);
    /* One that is wrong is told by the builder. From here on nothing raises. */
    if (!folder || strake_ignore_load(folder, path, &ignore, &err) < 0)
        ignore = NULL;
    for (lua_Integer i = 1; ignore && i <= count; i++) {
        lua_rawgeti(L, 2, i);
        lua_pushboolean(L, lua_type(L, -1) == LUA_TSTRING &&
                               strake_ignore_matches(ignore, lua_tostring(L, -1)));
        lua_rawseti(L, 3, i);
        lua_pop(L, 1);
    }
    strake_ignore_free(ignore);
    strake_err_dispose(&err);
    strake_free(folder);
    return 1;
}

static bool same_file(const struct strake_project *project, const struct strake_target *target,
                      const char *path)
{
    const char *name = *target->dockerfile ? target->dockerfile : "Dockerfile";
    char *context, *joined, *one, *other;
    bool same;

    if (strstr(target->context, "://"))
        return false;
    context = strake_fs_join(project->dir, target->context);
    joined = context ? strake_fs_join(context, name) : NULL;
    one = joined ? strake_fs_absolute(joined) : NULL;
    other = strake_fs_absolute(path);
    same = one && other && strcmp(one, other) == 0;
    strake_free(context);
    strake_free(joined);
    strake_free(one);
    strake_free(other);
    return same;
}

static void push_texts(lua_State *L, const struct strake_strings *texts)
{
    lua_createtable(L, (int)texts->count, 0);
    for (size_t i = 0; i < texts->count; i++) {
        lua_pushstring(L, texts->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* targets_of(path) -> list of { name, stage, platforms, tags } of the targets with this Dockerfile */
static int core_targets_of(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const struct strake_project *project = strake_lua_project(L);

    lua_newtable(L);
    for (size_t i = 0; i < project->target_count; i++) {
        const struct strake_target *target = project->targets[i];
        if (!same_file(project, target, path))
            continue;
        lua_createtable(L, 0, 4);
        set_text(L, 3, "name", target->name);
        set_text(L, 3, "stage", target->stage);
        push_texts(L, &target->platforms);
        lua_setfield(L, 3, "platforms");
        push_texts(L, &target->tags);
        lua_setfield(L, 3, "tags");
        lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
    }
    return 1;
}

/* run_rule(rule, subject) -> nil, or the message, file and line of its failure. A team's rule, in a
 * coroutine and within a budget of its own. */
static int core_run_rule(lua_State *L)
{
    struct strake_err err = { 0 };
    struct strake_task *task;
    const char *name;

    lua_settop(L, 2);
    lua_getfield(L, 1, "name");
    name = lua_tostring(L, -1);
    lua_getfield(L, 1, "check");
    lua_pushvalue(L, 2);
    task = strake_task_new(L, 1, strake_lua_engine(L)->running);
    task->context = STRAKE_LUA_RULE;
    task->may_wait = false;
    task->meter = &task->own;
    task->own.limit = STRAKE_LUA_POLICY_INSTRUCTIONS;
    task->own.limit_us = (int64_t)STRAKE_LUA_POLICY_MS * 1000;
    snprintf(task->own.what, sizeof(task->own.what), "rule \"%.100s\"", name);
    strake_task_start(L, task, 1);
    if (task->outcome == STRAKE_OUTCOME_DONE) {
        strake_task_drop(L, task);
        return 0;
    }
    strake_lua_describe(task->co, task->outcome == STRAKE_OUTCOME_NOMEM, &err);
    strake_task_drop(L, task);
    if (err.code == STRAKE_ECANCELLED || err.code == STRAKE_ENOMEM)
        strake_lua_raise(L, &err);
    lua_pushstring(L, strake_err_message(&err));
    lua_pushstring(L, err.file ? err.file : "");
    lua_pushinteger(L, err.line);
    strake_err_dispose(&err);
    return 3;
}

void strake_lua_open_check(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "unmetered", core_unmetered },
        { "collect", core_collect },
        { "declared_rules", core_declared_rules },
        { "check_options", core_check_options },
        { "shipped_rules", core_shipped_rules },
        { "load_rule", core_load_rule },
        { "today", core_today },
        { "read_dockerfile", core_read_dockerfile },
        { "ignored", core_ignored },
        { "targets_of", core_targets_of },
        { "run_rule", core_run_rule },
        { NULL, NULL },
    };

    strake_lua_core_add(L, functions);
    lua_pushcfunction(L, report);
    strake_lua_define(L, "report");
    lua_pushcfunction(L, declare_check);
    strake_lua_define(L, "check");
}
