/* exec { "git", "push", env = {…} }: a program, run without a shell, in flows only. */
#include <string.h>

#include "lua/schema.h"
#include "util/fs.h"
#include "util/process.h"
#include "util/secret.h"
#include "util/time.h"

#define EXEC_OUTPUT_MAX ((size_t)16 * 1024 * 1024)
#define EXEC_TIMEOUT_MS (60 * 60 * 1000)

/* A running program. */
struct exec {
    struct strake_strings argv;
    struct strake_pairs env;     /* plain values */
    struct strake_pairs secrets; /* variable -> name of a secret */
    char *cwd;
    char *input;
    size_t input_len;
    char *input_secret; /* name of the secret that stdin gets */
    int64_t timeout_ms;
    bool check;
    struct strake_buf output, errors;
    struct strake_process_result result;
};

static void exec_drop(void *ctx)
{
    struct exec *exec = ctx;

    strake_strings_dispose(&exec->argv);
    strake_pairs_dispose(&exec->env);
    strake_pairs_dispose(&exec->secrets);
    strake_free(exec->cwd);
    strake_free(exec->input);
    strake_free(exec->input_secret);
    strake_buf_dispose(&exec->output);
    strake_buf_dispose(&exec->errors);
    strake_free(exec);
}

/* ---- on the worker thread ---- */

static int keep(void *ctx, const char *data, size_t len)
{
    return strake_buf_append(ctx, data, len);
}

/* NAME=value of each variable; those of secrets are marked for wiping by the buffer that held them.
 */
static int make_environment(const struct exec *exec, struct strake_strings *env,
                            struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < exec->env.count; i++) {
        char *entry = strake_asprintf("%s=%s", exec->env.items[i]->name, exec->env.items[i]->value);
        rc = entry ? strake_strings_take(env, entry) : STRAKE_ENOMEM;
    }
    if (rc < 0)
        return strake_fail_nomem(err);
    for (size_t i = 0; rc == 0 && i < exec->secrets.count; i++) {
        struct strake_buf value = { .max = (size_t)1 << 20, .secret = true };
        rc = strake_buf_printf(&value, "%s=", exec->secrets.items[i]->name);
        if (rc == 0)
            rc = strake_secret_get(exec->secrets.items[i]->value, &value, err);
        if (rc == 0 && strake_strings_add_len(env, value.data, value.len) < 0)
            rc = strake_fail_nomem(err);
        strake_buf_dispose(&value);
    }
    return rc;
}

static void wipe(struct strake_strings *env)
{
    for (size_t i = 0; i < env->count; i++)
        explicit_bzero(env->items[i], strlen(env->items[i]));
    strake_strings_dispose(env);
}

static int check_exit(const struct exec *exec, struct strake_err *err)
{
    const char *program = exec->argv.items[0];

    if (!exec->check || exec->result.exit_code == 0)
        return 0;
    if (exec->result.signal)
        strake_fail(err, STRAKE_EINTERNAL, "%s was ended by signal %d", program,
                    exec->result.signal);
    else
        strake_fail(err, STRAKE_EINTERNAL, "%s ended with exit code %d", program,
                    exec->result.exit_code);
    strake_err_hint(err, "check = false makes the exit code a result");
    strake_err_detail(err, strake_buf_text(&exec->errors), exec->errors.len);
    return err->code;
}

static int exec_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct exec *exec = ctx;
    struct strake_strings env = { 0 };
    struct strake_buf input = { .max = (size_t)1 << 20, .secret = true };
    const struct strake_process_fd output = { .fd = 1, .data = keep, .ctx = &exec->output };
    const struct strake_process_fd errors = { .fd = 2, .data = keep, .ctx = &exec->errors };
    const struct strake_process_fd *const fds[] = { &output, &errors, NULL };
    struct strake_process process = { .size = sizeof(process),
                                      .argv = strake_strings_view(&exec->argv),
                                      .cwd = exec->cwd,
                                      .fds = fds,
                                      .input = exec->input,
                                      .input_len = exec->input_len,
                                      .timeout_ms = exec->timeout_ms };
    int rc = make_environment(exec, &env, err);

    if (rc == 0 && exec->input_secret) {
        rc = strake_secret_get(exec->input_secret, &input, err);
        process.input = input.data;
        process.input_len = input.len;
    }
    process.env = strake_strings_view(&env);
    exec->result.size = sizeof(exec->result);
    if (rc == 0)
        rc = strake_process_run(job, &process, &exec->result, err);
    if (rc == 0)
        rc = check_exit(exec, err);
    else if (rc == STRAKE_ETOOBIG && !err->code)
        strake_fail(err, STRAKE_EINTERNAL, "%s wrote more than 16 MiB", exec->argv.items[0]);
    else if (rc == STRAKE_ENOTFOUND)
        rc = strake_err_recode(err, STRAKE_ENOTRUN);
    wipe(&env);
    strake_buf_dispose(&input);
    return rc;
}

/* { exit, stdout, stderr } */
static int exec_push(lua_State *L, void *ctx)
{
    const struct exec *exec = ctx;

    lua_createtable(L, 0, 3);
    lua_pushinteger(L, exec->result.signal ? 128 + exec->result.signal : exec->result.exit_code);
    lua_setfield(L, -2, "exit");
    lua_pushlstring(L, strake_buf_text(&exec->output), exec->output.len);
    lua_setfield(L, -2, "stdout");
    lua_pushlstring(L, strake_buf_text(&exec->errors), exec->errors.len);
    lua_setfield(L, -2, "stderr");
    return 1;
}

/* ---- options ---- */

static int take_env(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct exec *exec = object;
    lua_State *L = decl->L;
    int rc = 0;

    if (!lua_istable(L, index))
        return strake_decl_expected(decl, key, "a table: NAME = VALUE", index);
    for (lua_pushnil(L); rc == 0 && lua_next(L, index); lua_pop(L, 1)) {
        const char *secret = strake_lua_secret_at(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING || strchr(lua_tostring(L, -2), '='))
            return strake_decl_fail(decl, "env must be a table: NAME = VALUE");
        if (!secret && lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
            return strake_decl_expected(decl, lua_tostring(L, -2), "a string or a secret",
                                        lua_gettop(L));
        if (secret ? strake_pairs_set(&exec->secrets, lua_tostring(L, -2), secret) < 0
                   : strake_pairs_set(&exec->env, lua_tostring(L, -2), lua_tostring(L, -1)) < 0)
            rc = strake_fail_nomem(decl->err);
    }
    return rc;
}

static int take_stdin(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct exec *exec = object;
    const char *secret = strake_lua_secret_at(decl->L, index), *text;

    if (secret) {
        exec->input_secret = strake_strdup(secret);
        return exec->input_secret ? 0 : strake_fail_nomem(decl->err);
    }
    if (lua_type(decl->L, index) != LUA_TSTRING)
        return strake_decl_expected(decl, key, "a string or a secret", index);
    text = lua_tolstring(decl->L, index, &exec->input_len);
    exec->input = strake_malloc(exec->input_len);
    if (!exec->input)
        return strake_fail_nomem(decl->err);
    memcpy(exec->input, text, exec->input_len);
    return 0;
}

static int take_cwd(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct exec *exec = object;
    char *written = NULL;
    int rc = strake_take_text(decl, key, index, &written);

    if (rc == 0) {
        strake_free(exec->cwd);
        exec->cwd = strake_fs_join(decl->engine->project_dir, written);
        rc = exec->cwd ? 0 : strake_fail_nomem(decl->err);
    }
    strake_free(written);
    return rc;
}

static int take_check(struct strake_decl *decl, const char *key, int index, void *object)
{
    return strake_take_bool(decl, key, index, &((struct exec *)object)->check);
}

static int take_timeout(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct exec *exec = object;

    if (lua_type(decl->L, index) != LUA_TSTRING ||
        strake_duration_parse(lua_tostring(decl->L, index), &exec->timeout_ms) < 0)
        return strake_decl_expected(decl, key, "a duration such as \"30s\"", index);
    return 0;
}

static const struct strake_field exec_fields[] = {
    { "env", take_env, false },     { "stdin", take_stdin, false },     { "cwd", take_cwd, false },
    { "check", take_check, false }, { "timeout", take_timeout, false }, { NULL, NULL, false },
};

/* The words 1..n of the table at 1; the named keys are left to the schema, in the table at 3. */
static int take_words(struct strake_decl *decl, struct exec *exec)
{
    lua_State *L = decl->L;
    const lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    int rc = 0;

    for (lua_Integer i = 1; rc == 0 && i <= count; i++) {
        const char *word;
        size_t len;
        lua_rawgeti(L, 1, i);
        if (strake_lua_secret_at(L, -1)) {
            strake_decl_fail(decl, "word %lld is a secret, which everybody could see there",
                             (long long)i);
            strake_err_hint(decl->err, "give it by env = { NAME = … } or by stdin = …");
            return STRAKE_ECONFIG;
        }
        if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
            return strake_decl_expected(decl, "each word", "a string", lua_gettop(L));
        word = lua_tolstring(L, -1, &len);
        if (strlen(word) != len)
            return strake_decl_fail(decl, "word %lld has a NUL byte", (long long)i);
        if (strake_strings_add(&exec->argv, word) < 0)
            rc = strake_fail_nomem(decl->err);
        lua_pop(L, 1);
    }
    if (rc == 0 && exec->argv.count == 0)
        return strake_decl_fail(decl, "a program is missing: exec { \"PROGRAM\", \"ARGUMENT\" }");
    return rc;
}

/* Copy what is not a word into a table at 3. */
static void split_options(lua_State *L)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2))
            continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 3);
    }
}

/* exec { word, …, env =, stdin =, cwd =, check =, timeout = } -> { exit, stdout, stderr }. Yields.
 */
static int lua_exec(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_err err = { 0 };
    struct strake_decl decl = {
        .L = L, .engine = engine, .kind = "exec", .name = "", .file = "?", .err = &err
    };
    struct strake_lua_call call = { .run = exec_run, .push = exec_push, .drop = exec_drop };
    struct exec *exec;
    int rc;

    strake_lua_allow(L, STRAKE_LUA_FLOW | STRAKE_LUA_INTERNAL, "exec");
    if (lua_type(L, 1) == LUA_TSTRING)
        return luaL_error(L, "exec takes a list of words, no command line: exec { \"git\", "
                             "\"status\" }");
    luaL_checktype(L, 1, LUA_TTABLE);
    strake_task_check_wait(L);
    lua_settop(L, 1);
    lua_pushnil(L);
    split_options(L);
    luaL_checkstack(L, 16, NULL);
    strake_lua_place(L, &decl.file, &decl.line);
    exec = strake_calloc(1, sizeof(*exec));
    if (!exec)
        strake_lua_fail(L, STRAKE_ENOMEM, NULL, "out of memory");
    strake_lua_park(L, &call, exec); /* whatever raises from here on, the engine drops it */
    exec->check = true;
    exec->timeout_ms = EXEC_TIMEOUT_MS;
    exec->output = exec->errors = STRAKE_BUF(EXEC_OUTPUT_MAX);
    decl.name = "";
    rc = take_words(&decl, exec);
    if (rc == 0) {
        decl.name = exec->argv.items[0];
        exec->cwd = strake_strdup(engine->project_dir);
        rc = exec->cwd ? strake_schema_read(&decl, 3, exec_fields, exec) : strake_fail_nomem(&err);
    }
    if (rc < 0)
        strake_lua_raise(L, &err);
    return strake_lua_await(L, &call);
}

void strake_lua_open_exec(lua_State *L)
{
    lua_pushcfunction(L, lua_exec);
    strake_lua_define(L, "exec");
}
