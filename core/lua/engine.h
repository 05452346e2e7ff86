/* The Lua engine: one state, a sandbox, coroutines on one libuv loop. Everything here belongs to
 * the main thread. */
#ifndef STRAKE_LUA_ENGINE_H
#define STRAKE_LUA_ENGINE_H

#include <jansson.h>
#include <uv.h>

#include "project/project.h"
#include "util/job.h"
#include "util/work.h"

struct strake_engine;

struct strake_engine_options {
    const char *project_dir;  /**< where strake.lua is looked for; absolute */
    const char *project_file; /**< another file than strake.lua (--config), or NULL */
    const char *scripts_dir;  /**< the Lua that ships */
    const char *system_dir;   /**< the organisation's folder */
    const char *user_file;    /**< ~/.config/strake/config.lua, or NULL */
    struct strake_job *job;   /**< cancelled by Ctrl-C; everything started here is below it */
};

int strake_engine_new(const struct strake_engine_options *options, struct strake_engine **out,
                      struct strake_err *err);
void strake_engine_free(struct strake_engine *engine);
uv_loop_t *strake_engine_loop(struct strake_engine *engine);
struct strake_work *strake_engine_work(struct strake_engine *engine);

/** For a signal handler: a busy loop in Lua starves the loop's own signal watcher, so the next look
 *  at the clock cancels the job. Async-signal-safe. */
void strake_engine_interrupt(struct strake_engine *engine);

/** Run the layers: the organisation's files in order of name, the user's, the project's. Missing
 *  files are no error. The project belongs to the engine. @return 0; STRAKE_ECONFIG with
 * file:line. */
int strake_engine_load(struct strake_engine *engine, struct strake_project **project,
                       struct strake_err *err);

/** Run one more file of the project's layer, named by the user. Before strake_engine_call(). */
int strake_engine_load_file(struct strake_engine *engine, const char *path, struct strake_err *err);

/** Call function `function` of the shipped script `script` ("way" is scripts/way.lua, which returns
 *  a table) in a coroutine with `args` as its one table, and run the loop until it is done. No
 *  budgets: shipped code. `result` takes its value as JSON (may be NULL).
 *  @return 0, or the error that it raised. */
int strake_engine_call(struct strake_engine *engine, const char *script, const char *function,
                       const json_t *args, json_t **result, struct strake_err *err);

/** The `strake policy list` document, and the Lua API as the engine registers it: an object of
 *  name -> kind ("function", "table") with dots ("git.branch"), for the test of the types file. */
json_t *strake_engine_api(struct strake_engine *engine);

/** What Lua modules need of the rooms above. */
struct strake_lua_hooks {
    /** image.inspect(ref): {"ref","repository","digest","platform","config",…}. On a worker
     * thread. */
    int (*image_inspect)(void *session, const char *ref, struct strake_job *job, json_t **out,
                         struct strake_err *err);
};
/** Borrowed for the engine's life; set by the command line before the first call, as the
 * session. */
void strake_engine_set_hooks(struct strake_engine *engine, const struct strake_lua_hooks *hooks);
void strake_engine_set_session(struct strake_engine *engine, void *session);
void *strake_engine_session(struct strake_engine *engine);

#endif
