/* core.bake: what `buildx bake` says of bake files, for scripts/bake.lua, which decides what it means.
 * Only while strake.lua is read: the call does not wait, as git's facts do not. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image/digest.h"
#include "image/platform.h"
#include "lua/engine_impl.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/process.h"
#include "util/secret.h"

#define BAKE_TIMEOUT_MS 60000
#define BAKE_OUTPUT_MAX ((size_t)16 * 1024 * 1024)
#define BAKE_ERRORS_MAX ((size_t)1024 * 1024)

#define WATCH_MS 50

static const char bake_type[] = "strake.bake";

/* Lives in a userdata: whatever raises, it is tidied up. */
struct bake {
    struct strake_strings argv, env;
    char *program;
    char *config; /* a folder for buildx of its own: the user's builders have no say in this */
    struct strake_buf output, errors;
    json_t *value;
};

static void remove_config(struct bake *bake)
{
    struct strake_err err = { 0 };

    if (bake->config)
        strake_fs_remove_tree(bake->config, &err);
    strake_err_dispose(&err);
    strake_free(bake->config);
    bake->config = NULL;
}

static int bake_gc(lua_State *L)
{
    struct bake *bake = lua_touserdata(L, 1);

    remove_config(bake);
    strake_strings_dispose(&bake->argv);
    strake_strings_dispose(&bake->env);
    strake_buf_dispose(&bake->output);
    strake_buf_dispose(&bake->errors);
    json_decref(bake->value);
    strake_free(bake->program);
    *bake = (struct bake){ 0 };
    return 0;
}

static struct bake *push_bake(lua_State *L)
{
    struct bake *bake = lua_newuserdatauv(L, sizeof(*bake), 0);

    *bake = (struct bake){ .output = STRAKE_BUF(BAKE_OUTPUT_MAX),
                           .errors = STRAKE_BUF(BAKE_ERRORS_MAX) };
    luaL_setmetatable(L, bake_type);
    return bake;
}

/* ---- the program ---- */

/* buildx itself, or Docker with it as a plugin. */
static int find_program(struct bake *bake, struct strake_err *err)
{
    static const char *const names[] = { "buildx", "docker-buildx", "docker", NULL };
    const char *found = NULL;
    int rc = 0;

    for (size_t i = 0; names[i] && !bake->program; i++) {
        found = names[i];
        bake->program = strake_process_which(found);
    }
    if (!bake->program) {
        strake_fail(err, STRAKE_ENOTRUN, "neither buildx nor docker is on PATH");
        strake_err_hint(err, "bake files are read by buildx: install it from "
                             "https://github.com/docker/buildx/releases");
        return STRAKE_ENOTRUN;
    }
    rc = strake_strings_add(&bake->argv, bake->program);
    if (rc == 0 && strcmp(found, "docker") == 0)
        rc = strake_strings_add(&bake->argv, "buildx");
    return rc < 0 ? strake_fail_nomem(err) : 0;
}

static int add_config(struct bake *bake, struct strake_err *err)
{
    char *entry;
    int rc = strake_fs_tempdir(&bake->config, err);

    if (rc < 0)
        return rc;
    entry = strake_asprintf("BUILDX_CONFIG=%s", bake->config);
    if (!entry || strake_strings_take(&bake->env, entry) < 0)
        return strake_fail_nomem(err);
    return 0;
}

static int keep(void *ctx, const char *data, size_t len)
{
    return strake_buf_append(ctx, data, len);
}

/* ---- Ctrl-C ---- */

/* While a file is read no loop runs that would cancel the job: a thread looks for the signal. */
struct watch {
    struct strake_engine *engine;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over, runs;
};

static void *watch_main(void *ctx)
{
    struct watch *watch = ctx;

    pthread_mutex_lock(&watch->lock);
    while (!watch->over) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&watch->ended, &watch->lock, &until);
        if (atomic_load(&watch->engine->interrupted))
            strake_job_cancel(watch->engine->job);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

/* Without the thread a second Ctrl-C still ends it all. */
static void watch_begin(struct watch *watch, struct strake_engine *engine)
{
    pthread_condattr_t clock;

    *watch = (struct watch){ .engine = engine };
    pthread_mutex_init(&watch->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->ended, &clock);
    pthread_condattr_destroy(&clock);
    watch->runs = engine->job && pthread_create(&watch->thread, NULL, watch_main, watch) == 0;
}

static void watch_end(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->over = true;
    pthread_cond_signal(&watch->ended);
    pthread_mutex_unlock(&watch->lock);
    if (watch->runs)
        pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->ended);
    pthread_mutex_destroy(&watch->lock);
}

/* ---- running it ---- */

static int run(struct strake_engine *engine, struct bake *bake,
               struct strake_process_result *result, struct strake_err *err)
{
    const struct strake_process_fd output = { .fd = 1, .data = keep, .ctx = &bake->output };
    const struct strake_process_fd errors = { .fd = 2, .data = keep, .ctx = &bake->errors };
    const struct strake_process_fd *const fds[] = { &output, &errors, NULL };
    const struct strake_process process = { .size = sizeof(process),
                                            .argv = strake_strings_view(&bake->argv),
                                            .env = strake_strings_view(&bake->env),
                                            .cwd = engine->layer_root,
                                            .fds = fds,
                                            .timeout_ms = BAKE_TIMEOUT_MS };
    struct watch watch;
    int rc;

    watch_begin(&watch, engine);
    rc = strake_process_run(engine->job, &process, result, err);
    watch_end(&watch);
    if (rc == STRAKE_ETOOBIG && !err->code)
        rc = strake_fail(err, STRAKE_ECONFIG, "buildx bake wrote more than %zu MiB",
                         BAKE_OUTPUT_MAX >> 20);
    else if (rc == STRAKE_ENOTFOUND || rc == STRAKE_ETIMEOUT)
        rc = strake_err_recode(err, STRAKE_ENOTRUN);
    else if (rc < 0 && !err->code)
        rc = strake_fail(err, rc, "%s could not be run", bake->argv.items[0]);
    return rc;
}

/* A docker without the plugin fails too, but no bake file is at fault then. */
static int check_plugin(struct strake_engine *engine, const struct bake *bake,
                        struct strake_err *err)
{
    const char *argv[] = { bake->program, "buildx", "version", NULL };
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_buf output = STRAKE_BUF(BAKE_ERRORS_MAX);
    struct strake_buf errors = STRAKE_BUF(BAKE_ERRORS_MAX);
    int rc = strake_process_capture(engine->job, argv, NULL, &output, &errors, BAKE_TIMEOUT_MS,
                                    &result, err);

    if (rc == 0 && result.exit_code != 0) {
        rc = strake_fail(err, STRAKE_ENOTRUN, "docker is here, but not its plugin buildx");
        strake_err_hint(err, "bake files are read by buildx: install it from "
                             "https://github.com/docker/buildx/releases");
        strake_err_detail(err, strake_buf_text(&errors), errors.len);
    }
    strake_buf_dispose(&output);
    strake_buf_dispose(&errors);
    return rc;
}

/* What it says of a file may quote the file's bytes; errors are texts. */
static void mend_utf8(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t sequence = strake_json_utf8_length(text + i, len - i);
        if (sequence == 0)
            text[i] = '?';
        i += sequence ? sequence : 1;
    }
}

/* ---- in Lua ---- */

/* The texts of the list at `index`, behind what is in `list`. Raises nothing. */
static int take_words(lua_State *L, int index, struct strake_strings *list)
{
    const lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    int rc = 0;

    for (lua_Integer i = 1; rc == 0 && i <= count; i++) {
        rc = lua_rawgeti(L, index, i) == LUA_TSTRING ? strake_strings_add(list, lua_tostring(L, -1))
                                                     : STRAKE_EINTERNAL;
        lua_pop(L, 1);
    }
    return rc;
}

/* At the top level of a project's strake.lua: elsewhere nothing can be declared. */
static void check_caller(lua_State *L)
{
    strake_lua_allow(L, STRAKE_LUA_LOAD, "bake.import");
    if (strake_lua_engine(L)->layer != STRAKE_LAYER_PROJECT)
        strake_lua_fail(L, STRAKE_ECONFIG, NULL, "bake.import belongs into a project's strake.lua");
}

/* bake(words, environment) -> value | nil, stderr. `words` come behind `buildx bake`, `environment` is
 * a list of NAME=VALUE. The value is the JSON that it prints; nil: it ended with a failure. */
static int core_bake(lua_State *L)
{
    struct strake_engine *engine = strake_lua_engine(L);
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_err err = { 0 };
    struct bake *bake;
    int rc;

    check_caller(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    bake = push_bake(L);
    rc = find_program(bake, &err);
    if (rc == 0 && (strake_strings_add(&bake->argv, "bake") < 0 ||
                    take_words(L, 1, &bake->argv) < 0 || take_words(L, 2, &bake->env) < 0))
        rc = strake_fail_nomem(&err);
    if (rc == 0)
        rc = add_config(bake, &err);
    if (rc == 0)
        rc = run(engine, bake, &result, &err);
    if (rc == 0 && result.exit_code != 0 && strcmp(bake->argv.items[1], "buildx") == 0)
        rc = check_plugin(engine, bake, &err);
    if (rc == 0 && result.exit_code == 0) {
        bake->value = strake_json_parse(strake_buf_text(&bake->output), bake->output.len,
                                        "what buildx bake printed", STRAKE_ECONFIG, &err);
        rc = bake->value ? 0 : err.code;
    }
    remove_config(bake);
    if (rc < 0)
        strake_lua_raise(L, &err);
    strake_lua_charge(L, bake->output.len / 16);
    if (bake->value) {
        strake_lua_push_json(L, bake->value);
        return 1;
    }
    mend_utf8(bake->errors.data, bake->errors.len);
    lua_pushnil(L);
    lua_pushlstring(L, strake_buf_text(&bake->errors), bake->errors.len);
    return 2;
}

/* bake_group(name, names): the group can be named where targets are */
static int core_bake_group(lua_State *L)
{
    struct bake *bake;
    struct strake_err err = { 0 };
    const char *file = "?";
    int line = 0, rc;

    check_caller(L);
    luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    bake = push_bake(L);
    strake_lua_place(L, &file, &line);
    rc = take_words(L, 2, &bake->argv) < 0
             ? strake_fail_nomem(&err)
             : strake_project_add_group(strake_lua_project(L), lua_tostring(L, 1), &bake->argv,
                                        file, line, &err);
    if (rc < 0)
        strake_lua_raise(L, &err);
    return 0;
}

/* A builder reads Dockerfiles from folders: a text gets one below the state's, named by what it says,
 * so that the same text is the same file in each plan. */
static int keep_dockerfile(const char *text, size_t len, char **path, struct strake_err *err)
{
    char digest[STRAKE_DIGEST_TEXT];
    char *state = strake_fs_state_dir(), *folder = NULL;
    int rc = strake_digest_of(text, len, digest, err);

    *path = NULL;
    if (rc == 0 && !state) {
        rc = strake_fail(err, STRAKE_ECONFIG, "there is no home to keep an inline Dockerfile in");
        strake_err_hint(err, "set HOME or XDG_STATE_HOME");
    }
    if (rc == 0)
        folder = strake_asprintf("%s/dockerfiles/%.32s", state, strchr(digest, ':') + 1);
    if (folder)
        *path = strake_asprintf("%s/Dockerfile", folder);
    if (rc == 0 && !*path)
        rc = strake_fail_nomem(err);
    if (rc == 0 && !strake_fs_is_file(*path))
        rc = strake_fs_mkdirs(folder, 0700, err);
    if (rc == 0 && !strake_fs_is_file(*path))
        rc = strake_fs_write(*path, text, len, 0600, false, err);
    if (rc < 0) {
        strake_free(*path);
        *path = NULL;
    }
    strake_free(state);
    strake_free(folder);
    return rc;
}

/* bake_dockerfile(text) -> the path of a file that holds it */
static int core_bake_dockerfile(lua_State *L)
{
    struct strake_err err = { 0 };
    struct bake *bake;
    size_t len;

    check_caller(L);
    luaL_checklstring(L, 1, &len);
    bake = push_bake(L);
    if (keep_dockerfile(lua_tostring(L, 1), len, &bake->program, &err) < 0)
        strake_lua_raise(L, &err);
    lua_pushstring(L, bake->program);
    return 1;
}

/* bake_reveals(text) -> the name of the secret whose value is in it, or false. Bake reads variables of
 * the environment whatever strake.lua calls them. */
static int core_bake_reveals(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);

    for (char **entry = environ; *entry; entry++) {
        const char *value = strchr(*entry, '=');
        if (!value || strlen(value + 1) < 4 || !strstr(text, value + 1))
            continue;
        lua_pushlstring(L, *entry, (size_t)(value - *entry));
        if (strake_secret_is_env(lua_tostring(L, -1)))
            return 1;
        lua_pop(L, 1);
    }
    lua_pushboolean(L, 0);
    return 1;
}

/* bake_platform() -> this machine's */
static int core_bake_platform(lua_State *L)
{
    lua_pushstring(L, strake_platform_host());
    return 1;
}

/* bake_folder() -> where buildx runs, absolute: relative paths that it prints begin there. */
static int core_bake_folder(lua_State *L)
{
    check_caller(L);
    lua_pushstring(L, strake_lua_engine(L)->project_dir);
    return 1;
}

/* script(name) -> what another script that ships returned */
static int core_script(lua_State *L)
{
    strake_lua_push_script(L, luaL_checkstring(L, 1));
    return 1;
}

void strake_lua_open_bake(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "bake", core_bake },
        { "bake_group", core_bake_group },
        { "bake_dockerfile", core_bake_dockerfile },
        { "bake_reveals", core_bake_reveals },
        { "bake_platform", core_bake_platform },
        { "bake_folder", core_bake_folder },
        { "script", core_script },
        { NULL, NULL },
    };

    luaL_newmetatable(L, bake_type);
    lua_pushcfunction(L, bake_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    strake_lua_core_add(L, functions);
    lua_createtable(L, 0, 1);
    strake_lua_push_stub(L, "bake", "import", ~0u);
    lua_setfield(L, -2, "import");
    strake_lua_protect(L, "bake");
    strake_lua_define(L, "bake");
}
