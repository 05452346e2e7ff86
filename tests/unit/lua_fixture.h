/* An engine on a temporary project: files are written, layers loaded, code run in a flow or a
 * policy. To be included after cmocka.h. */
#ifndef STRAKE_TESTS_LUA_FIXTURE_H
#define STRAKE_TESTS_LUA_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lua_api.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/secret.h"

struct fixture {
    char *dir;
    char *system_dir;
    char *user_file;
    char scripts[512];
    struct strake_job *job;
    struct strake_engine *engine;
    struct strake_project *project;
    struct strake_err err;
};

/* scripts/ of the source tree, from where this file is. */
static inline void fixture_scripts(char *out, size_t cap)
{
    snprintf(out, cap, "%s", __FILE__);
    char *end = strstr(out, "tests/unit/");
    assert_non_null(end);
    snprintf(end, cap - (size_t)(end - out), "scripts");
}

static inline void fixture_write(const struct fixture *fixture, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_fs_join(fixture->dir, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(strake_fs_mkdirs(path, 0755, &err), 0);
    *slash = '/';
    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    strake_free(path);
}

static inline void fixture_open(struct fixture *fixture)
{
    struct strake_err err = { 0 };
    strake_json_setup();
    *fixture = (struct fixture){ 0 };
    assert_int_equal(strake_fs_tempdir(&fixture->dir, &err), 0);
    fixture->system_dir = strake_fs_join(fixture->dir, "system");
    fixture->user_file = strake_fs_join(fixture->dir, "user/config.lua");
    fixture->job = strake_job_new(NULL, NULL, NULL);
    fixture_scripts(fixture->scripts, sizeof(fixture->scripts));
}

static inline int fixture_start(struct fixture *fixture)
{
    struct strake_engine_options options = {
        .project_dir = fixture->dir,
        .scripts_dir = fixture->scripts,
        .system_dir = fixture->system_dir,
        .user_file = fixture->user_file,
        .job = fixture->job,
    };
    return strake_engine_new(&options, &fixture->engine, &fixture->err);
}

static inline void fixture_stop(struct fixture *fixture)
{
    strake_engine_free(fixture->engine);
    fixture->engine = NULL;
    strake_err_dispose(&fixture->err);
}

static inline void fixture_close(struct fixture *fixture)
{
    struct strake_err err = { 0 };
    fixture_stop(fixture);
    strake_job_free(fixture->job);
    assert_int_equal(strake_fs_remove_tree(fixture->dir, &err), 0);
    strake_free(fixture->dir);
    strake_free(fixture->system_dir);
    strake_free(fixture->user_file);
    strake_secret_reset();
}

/* Load `source` as strake.lua in a fresh engine. */
static inline int fixture_load(struct fixture *fixture, const char *source)
{
    int rc;
    fixture_stop(fixture);
    fixture_write(fixture, "strake.lua", source);
    rc = fixture_start(fixture);
    return rc < 0 ? rc : strake_engine_load(fixture->engine, &fixture->project, &fixture->err);
}

/* Load `source`, then call function `function` of the test's own script,
 * tests/lua/shipped/probe.lua. */
static inline int fixture_call(struct fixture *fixture, const char *source, const char *function,
                               const json_t *args, json_t **result)
{
    int rc;
    char *end = strstr(fixture->scripts, "scripts");
    if (end && strcmp(end, "scripts") == 0)
        snprintf(end, sizeof(fixture->scripts) - (size_t)(end - fixture->scripts),
                 "tests/lua/shipped");
    rc = fixture_load(fixture, source);
    return rc < 0 ? rc
                  : strake_engine_call(fixture->engine, "probe", function, args, result,
                                       &fixture->err);
}

/* Run the body of a flow and give its result as one line of JSON, or "KIND: MESSAGE" of its error.
 */
static inline const char *fixture_flow(struct fixture *fixture, const char *prelude,
                                       const char *body, char *out, size_t cap)
{
    struct strake_buf text = { 0 }, source = { 0 };
    json_t *result = NULL, *args = json_pack("{s:s, s:[]}", "flow", "f", "args");
    strake_buf_printf(&source, "%s\nflow \"f\" { run = function() %s end }\n", prelude, body);
    if (fixture_call(fixture, strake_buf_text(&source), "run", args, &result) == 0) {
        strake_json_dump_sorted(result, &text);
        snprintf(out, cap, "%s", strake_buf_text(&text));
    } else {
        snprintf(out, cap, "%s: %s", strake_code_kind(fixture->err.code),
                 strake_err_message(&fixture->err));
    }
    json_decref(result);
    json_decref(args);
    strake_buf_dispose(&text);
    strake_buf_dispose(&source);
    return out;
}

/* Ask the policies of `source` at a point about a subject; the result is {subject, decisions}. */
static inline json_t *fixture_ask(struct fixture *fixture, const char *source, const char *point,
                                  const char *subject)
{
    json_t *result = NULL;
    json_t *args = json_pack("{s:s, s:o}", "point", point, "subject", json_loads(subject, 0, NULL));
    if (fixture_call(fixture, source, "ask", args, &result) < 0)
        result = NULL;
    json_decref(args);
    return result;
}

#endif
