/* git.*: facts about the commit in the project's folder, asked of git once and only when one is
 * read. A fact that does not exist is false; outside of a repository, or without git, all of them
 * are. */
#include <stdlib.h>
#include <string.h>

#include "lua/engine_impl.h"
#include "util/json.h"
#include "util/process.h"
#include "util/suggest.h"
#include "util/time.h"

#define GIT_TIMEOUT_MS 10000
#define GIT_OUTPUT_MAX ((size_t)1024 * 1024)

/* `dirty`, `main_branch` and `remote` have a call of their own: the first one reads the whole work
 * tree. */
static const char *const facts[] = { "branch", "commit_time", "dirty", "main_branch", "remote",
                                     "sha",    "short_sha",   "tag",   NULL };

/* ---- running git ---- */

/* Run git in the project's folder with up to four words; output without the last newline.
 * @return true when it ended well */
static bool run_git(struct strake_engine *engine, const char *const *words,
                    struct strake_buf *output)
{
    /* A repository's own configuration must not make git run something else. */
    const char *argv[16] = { "git", "--no-optional-locks",    "-c", "core.fsmonitor=false",
                             "-c",  "log.showSignature=false" };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_err err = { 0 };
    size_t count = 6;
    int rc;

    while (*words && count < 15)
        argv[count++] = *words++;
    rc = strake_process_capture(engine->job, argv, engine->project_dir, output, NULL,
                                GIT_TIMEOUT_MS, &result, &err);
    strake_err_dispose(&err);
    if (output->len && output->data[output->len - 1] == '\n')
        output->data[--output->len] = '\0';
    return rc == 0 && result.exit_code == 0;
}

/* One decoration of HEAD: "HEAD -> refs/heads/main" or "tag: refs/tags/v1". Of several tags the
 * highest version counts. */
static int take_decoration(json_t *git, const char *text)
{
    static const char branch[] = "HEAD -> refs/heads/", tag[] = "tag: refs/tags/";
    const char *known = strake_json_str(git, "tag");

    if (strncmp(text, branch, sizeof(branch) - 1) == 0)
        return strake_json_set_str(git, "branch", text + sizeof(branch) - 1);
    if (strncmp(text, tag, sizeof(tag) - 1) != 0)
        return 0;
    text += sizeof(tag) - 1;
    return known && strverscmp(known, text) >= 0 ? 0 : strake_json_set_str(git, "tag", text);
}

/* "SHA\nSECONDS\nDECORATION, DECORATION…": no name of a branch or tag has a space. */
static int parse_log(json_t *git, char *text)
{
    char *seconds = strchr(text, '\n');
    char *refs = seconds ? strchr(seconds + 1, '\n') : NULL;
    char time[STRAKE_TIME_TEXT], short_sha[8];
    int rc;

    if (!refs || strlen(text) < 40)
        return 0;
    *seconds++ = '\0';
    *refs++ = '\0';
    strake_time_format(strtoll(seconds, NULL, 10) * 1000000, time);
    snprintf(time + 19, sizeof(time) - 19, "Z"); /* commits have whole seconds */
    snprintf(short_sha, sizeof(short_sha), "%.7s", text);
    rc = strake_json_set_str(git, "sha", text);
    if (rc == 0)
        rc = strake_json_set_str(git, "short_sha", short_sha);
    if (rc == 0)
        rc = strake_json_set_str(git, "commit_time", time);
    while (rc == 0 && refs) {
        char *next = strstr(refs, ", ");
        if (next) {
            *next = '\0';
            next += 2;
        }
        rc = take_decoration(git, refs);
        refs = next;
    }
    return rc;
}

static int ask_log(struct strake_engine *engine, json_t *git)
{
    static const char *const words[] = { "log", "-1", "--decorate=full", "--format=%H%n%ct%n%D",
                                         NULL };
    struct strake_buf output = STRAKE_BUF(GIT_OUTPUT_MAX);
    int rc = 0;

    if (run_git(engine, words, &output) && output.len)
        rc = parse_log(git, output.data);
    strake_buf_dispose(&output);
    return rc;
}

static int ask_dirty(struct strake_engine *engine, json_t *git)
{
    static const char *const words[] = { "status", "--porcelain", NULL };
    struct strake_buf output = STRAKE_BUF(GIT_OUTPUT_MAX);
    const bool ok = run_git(engine, words, &output);
    const int rc = strake_json_set_bool(git, "dirty", ok && output.len > 0);

    strake_buf_dispose(&output);
    return rc;
}

/* The URL without what logs somebody in: all that stands before the host of http and https (a
 * token may be the name), elsewhere the password. `git@host:path` has none. */
static void drop_credentials(struct strake_buf *url)
{
    char *user = strstr(strake_buf_text(url), "://"), *at = NULL, *from;
    const bool web = strncmp(strake_buf_text(url), "http", 4) == 0;

    if (!user)
        return;
    user += 3;
    for (char *c = user; *c && !strchr("/?#", *c); c++)
        at = *c == '@' ? c : at;
    if (!at)
        return;
    from = web ? user : memchr(user, ':', (size_t)(at - user));
    if (!from)
        return;
    at += web;
    memmove(from, at, strlen(at) + 1);
    url->len -= (size_t)(at - from);
}

static int ask_remote(struct strake_engine *engine, json_t *git)
{
    static const char *const words[] = { "config", "--get", "remote.origin.url", NULL };
    struct strake_buf output = STRAKE_BUF(GIT_OUTPUT_MAX);
    int rc;

    if (run_git(engine, words, &output) && output.len) {
        drop_credentials(&output);
        rc = strake_json_set_str(git, "remote", strake_buf_text(&output));
    } else {
        rc = strake_json_set_bool(git, "remote", false);
    }
    strake_buf_dispose(&output);
    return rc;
}

int64_t strake_lua_git_commit_us(struct strake_engine *engine, const char *sha)
{
    const char *words[] = { "show", "--no-patch", "--format=%ct", sha, "--", NULL };
    struct strake_buf output = STRAKE_BUF(GIT_OUTPUT_MAX);
    const size_t len = strlen(sha);
    int64_t us = -1;

    if ((len == 40 || len == 64) && strspn(sha, "0123456789abcdef") == len &&
        run_git(engine, words, &output) && output.len)
        us = strtoll(output.data, NULL, 10) * 1000000;
    strake_buf_dispose(&output);
    return us;
}

/* What the remote calls its main branch, or else one that is usually called so. */
static int ask_main_branch(struct strake_engine *engine, json_t *git)
{
    static const char *const words[] = { "for-each-ref",
                                         "--format=%(refname) %(symref)",
                                         "refs/remotes/origin/HEAD",
                                         "refs/heads/main",
                                         "refs/heads/master",
                                         "refs/remotes/origin/main",
                                         "refs/remotes/origin/master",
                                         NULL };
    static const char *const remote = "refs/remotes/origin/HEAD refs/remotes/origin/";
    struct strake_buf output = STRAKE_BUF(GIT_OUTPUT_MAX);
    const bool ok = run_git(engine, words, &output);
    const char *text = ok ? strake_buf_text(&output) : "", *named = strstr(text, remote);
    int rc;

    if (named)
        rc = strake_json_set_strn(git, "main_branch", named + strlen(remote),
                                  strcspn(named + strlen(remote), "\n"));
    else if (strstr(text, "/main ") || strstr(text, "/master "))
        rc = strake_json_set_str(git, "main_branch", strstr(text, "/main ") ? "main" : "master");
    else
        rc = strake_json_set_bool(git, "main_branch", false);
    strake_buf_dispose(&output);
    return rc;
}

/* Have the fact in engine->git. */
static int ask(struct strake_engine *engine, const char *fact)
{
    int rc = 0;

    if (!engine->git) {
        engine->git = json_object();
        rc = engine->git ? ask_log(engine, engine->git) : STRAKE_ENOMEM;
        if (rc < 0) {
            json_decref(engine->git);
            engine->git = NULL;
        }
    }
    if (rc < 0 || json_object_get(engine->git, fact))
        return rc;
    if (strcmp(fact, "dirty") == 0)
        return ask_dirty(engine, engine->git);
    if (strcmp(fact, "main_branch") == 0)
        return ask_main_branch(engine, engine->git);
    return strcmp(fact, "remote") == 0 ? ask_remote(engine, engine->git) : 0;
}

const char *strake_lua_git_fact(void *engine, const char *name)
{
    if (ask(engine, name) < 0)
        return NULL;
    return strake_json_str(((struct strake_engine *)engine)->git, name);
}

/* ---- in Lua ---- */

/* git.FACT -> string | boolean */
static int git_index(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);
    const char *name = luaL_checkstring(L, 2), *near;
    size_t i = 0;

    while (facts[i] && strcmp(facts[i], name) != 0)
        i++;
    near = facts[i] ? NULL : strake_suggest(name, facts);
    if (near)
        strake_lua_fail(L, STRAKE_ECONFIG, NULL, "unknown name 'git.%s'; did you mean 'git.%s'?",
                        name, near);
    if (!facts[i])
        strake_lua_fail(L, STRAKE_ECONFIG, NULL, "unknown name 'git.%s'", name);
    if (ask(engine, name) < 0)
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    if (json_object_get(engine->git, name))
        strake_lua_push_json(L, json_object_get(engine->git, name));
    else
        lua_pushboolean(L, 0);
    return 1;
}

static int git_newindex(lua_State *L)
{
    return luaL_error(L, "'git' belongs to Strake and cannot be changed");
}

void strake_lua_open_git(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 5);
    lua_pushcfunction(L, git_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, git_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_newtable(L);
    for (size_t i = 0; facts[i]; i++) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, facts[i]);
    }
    lua_setfield(L, -2, "strake.fields");
    strake_lua_mark_protected(L);
    lua_setmetatable(L, -2);
    strake_lua_define(L, "git");
}
