/* What the files of this room know of the engine and of each other. */
#ifndef STRAKE_LUA_ENGINE_IMPL_H
#define STRAKE_LUA_ENGINE_IMPL_H

#include <stdatomic.h>

#include "lua/budget.h"
#include "lua/lua_api.h"

enum strake_trip {
    STRAKE_TRIP_NONE,
    STRAKE_TRIP_INSTRUCTIONS,
    STRAKE_TRIP_TIME,
    STRAKE_TRIP_DENIED /**< a policy has said no: nothing that it does afterwards counts */
};

/** What a task may use up, and what it has. One over all coroutines of the task. */
struct strake_meter {
    uint64_t limit; /**< instructions; 0: none */
    uint64_t used;
    uint64_t unseen;  /**< used since the clock was last looked at */
    int64_t limit_us; /**< of the thread's own time; 0: none */
    int64_t used_us;
    int64_t since_us; /**< when it began to run, while depth > 0 */
    int depth;
    enum strake_trip tripped; /**< sticky: pcall does not stop it */
    char what[160];           /**< `policy "no root"`, for messages */
};

/** The one enumeration of what comes out of a resume. */
enum strake_outcome {
    STRAKE_OUTCOME_WAITS,
    STRAKE_OUTCOME_DONE,
    STRAKE_OUTCOME_FAILED,
    STRAKE_OUTCOME_NOMEM
};

/** A coroutine that the scheduler runs. Lives in a userdata that the table of tasks anchors. */
struct strake_task {
    lua_State *co;
    struct strake_task *parent; /**< waits for this one; NULL: nobody */
    struct strake_task *policy; /**< the policy that it belongs to (itself), or NULL */
    enum strake_lua_context context;
    bool may_wait;
    int blocked; /**< inside of coroutines that were resumed where nothing may yield */
    struct strake_meter *meter; /**< its own or its parent's */
    struct strake_meter own;
    size_t pending; /**< works and children that it waits for */
    bool waiting;   /**< its yield is for the scheduler */
    enum strake_outcome outcome;
    int results; /**< how many values its end left on `co` */
};

struct strake_engine {
    lua_State *L;
    uv_loop_t loop;
    bool loop_open;
    struct strake_work *work;
    struct strake_job *job; /**< the command's; may be NULL */
    struct strake_project *project;
    char *project_dir, *project_file, *scripts_dir, *system_dir, *user_file;
    void *session;
    const struct strake_lua_hooks *hooks;
    struct strake_task *running;
    size_t waits; /**< works that are out */
    atomic_bool interrupted;
    /* memory */
    size_t used_bytes, limit_bytes;
    bool over_limit; /**< the cap refused, rather than the system */
    /* what a raise may interrupt is parked here, so that nothing leaks */
    struct strake_err raising;
    struct strake_lua_call parked;
    /* loading */
    enum strake_layer layer;
    const char *layer_root;       /**< what include() may read */
    struct strake_err load_error; /**< the first failed declaration: pcall does not hide it */
    json_t *git;                  /**< what git said, or NULL: not asked yet */
    json_t *event; /**< what started the workflow of GitHub Actions, or NULL: not read yet */
    bool stress;   /**< collect garbage at every look at the clock */
};

/* ---- alloc.c ---- */

/** lua_Alloc within the engine's limit. */
void *strake_lua_alloc(void *engine, void *ptr, size_t old_size, size_t new_size);

/* ---- meter.c ---- */

void strake_meter_enter(struct strake_meter *meter);
void strake_meter_leave(struct strake_meter *meter);
/** Count `n` instructions of the running task, and raise when it has used up what it may, or when
 * the command was cancelled. For loops in C, where no hook runs. */
void strake_lua_charge(lua_State *L, size_t n);
/** True when an error must not be caught here: the budget is used up, or the command is cancelled.
 */
bool strake_lua_must_stop(lua_State *L);
void strake_lua_set_hook(lua_State *L);
/** As must_stop, for shipped code: cancellation is something that it tidies up after. */
bool strake_lua_tripped(lua_State *L);

/* ---- task.c ---- */

/** Push a new task for the function below its `nargs` arguments on top of the stack of L (they are
 *  moved into it). `parent` gives context, meter and policy; NULL: the caller sets them. */
struct strake_task *strake_task_new(lua_State *L, int nargs, struct strake_task *parent);
/** Run it until it waits or ends; a parent is told by the scheduler. */
void strake_task_start(lua_State *L, struct strake_task *task, int nargs);
/** Raise unless the running code may wait here. */
void strake_task_check_wait(lua_State *L);
/** Leave `ctx` to the engine until strake_lua_await() takes it: what raises in between drops it.
 * Sets call->ctx. */
void strake_lua_park(lua_State *L, struct strake_lua_call *call, void *ctx);
/** Wait in the running task until nothing is pending, then go on in `k`. Yields. */
int strake_task_wait(lua_State *L, lua_KFunction k, lua_KContext ctx);
/** A task whose results were taken: let go of it. */
void strake_task_drop(lua_State *L, struct strake_task *task);
/** Push the userdata of a task. */
void strake_task_push(lua_State *L, struct strake_task *task);
/** Run the loop until the task has ended and no work is out. */
int strake_task_finish(struct strake_engine *engine, struct strake_task *task,
                       struct strake_err *err);
/** all { f, g } -> first results. Yields. */
int strake_lua_all(lua_State *L);

/* ---- lua_error.c ---- */

void strake_lua_open_error(lua_State *L);
/** The failure behind a raised structured error at `index`, or NULL. Borrowed. */
const struct strake_err *strake_lua_error_at(lua_State *L, int index);
/** Describe the error value on top of the stack of `L`, whose frames are still there. @return code
 */
int strake_lua_describe(lua_State *L, bool out_of_memory, struct strake_err *err);
/** File and line of the innermost frame of the team's own files. False: there is none. */
bool strake_lua_place(lua_State *L, const char **file, int *line);
/** Raise a structured error of this code, with the place of the team's own code. */
_Noreturn void strake_lua_fail(lua_State *L, int code, const char *hint, const char *fmt, ...)
    STRAKE_PRINTF(4, 5);

/* ---- names.c ---- */

/** Give the value on top to users under `name`; pops it. */
void strake_lua_define(lua_State *L, const char *name);
/** Replace the table on top by a read-only one of the same content, called `name` in messages. */
void strake_lua_protect(lua_State *L, const char *name);
/** Give the metatable on top the marks of a table that is ours. */
void strake_lua_mark_protected(lua_State *L);
/** Is the table at `index` one of ours (library, environment)? */
bool strake_lua_is_protected(lua_State *L, int index);
/** Push a fresh environment for a layer, or the one that shipped scripts share. */
void strake_lua_push_layer_env(lua_State *L);
void strake_lua_push_shipped_env(lua_State *L);
void strake_lua_open_names(lua_State *L);
/** Push a function that loads the shipped script on first use and calls its function `name`. */
void strake_lua_push_stub(lua_State *L, const char *script, const char *name, unsigned allowed);
/** Run a shipped script, each time; push what it returned, or nil. Raises. */
void strake_lua_run_script(lua_State *L, const char *script);
/** Push what the shipped script returned; loads it on first use. Raises. */
void strake_lua_push_script(lua_State *L, const char *script);

/* ---- load.c ---- */

/** Compile `text` with chunk name `chunk` and the environment on top of the stack, which the
 * function replaces. @return 0 or the described failure (stack: environment removed). */
int strake_lua_compile(lua_State *L, const char *text, size_t len, const char *chunk,
                       struct strake_err *err);
/** Push the environment of the layer that is being loaded. */
void strake_lua_push_current_env(lua_State *L);
/** The path as messages show it: relative to the working folder where it is below. NULL: no memory.
 */
char *strake_lua_shown(const char *path);

/* ---- the rest: one opener a file ---- */

void strake_lua_open_base(lua_State *L);      /* sandbox.c */
void strake_lua_open_coroutine(lua_State *L); /* sandbox_coroutine.c */
void strake_lua_open_string(lua_State *L);    /* sandbox_string.c */
void strake_lua_open_table(lua_State *L);     /* sandbox_table.c */
void strake_lua_open_declare(lua_State *L);
void strake_lua_open_policy(lua_State *L);
void strake_lua_open_flow(lua_State *L);
void strake_lua_open_env(lua_State *L);
void strake_lua_open_git(lua_State *L);
/** strake_project's `fact`: what git.NAME is; `engine` is the struct strake_engine. */
const char *strake_lua_git_fact(void *engine, const char *name);
/** When the commit with the whole name `sha` was committed, in microseconds; -1: git does not know it. */
int64_t strake_lua_git_commit_us(struct strake_engine *engine, const char *sha);
void strake_lua_open_fs(lua_State *L);
void strake_lua_open_json(lua_State *L);
void strake_lua_open_log(lua_State *L);
void strake_lua_open_secret(lua_State *L);
void strake_lua_open_exec(lua_State *L);
void strake_lua_open_http(lua_State *L);
void strake_lua_open_image(lua_State *L);
void strake_lua_open_include(lua_State *L);
void strake_lua_open_bake(lua_State *L);
void strake_lua_open_dockerfile(lua_State *L);
void strake_lua_open_check(lua_State *L);
void strake_lua_open_tags(lua_State *L);

/** lua_fs.c: push a buffer that is disposed of whatever raises; dispose of it early where it can be
 *  large. */
struct strake_buf *strake_lua_new_buffer(lua_State *L, size_t max);
/** lua_tags.c: what tags.rules and the like remember of the list at `index`, pushed; false, and nothing
 *  pushed, for a list of somebody's own. */
bool strake_lua_push_tags_outcome(lua_State *L, int index);

/** A `log` event of the run, or a line of the program's log. `text` ends with NUL too. */
void strake_lua_log(lua_State *L, enum strake_level level, const char *name, const char *text,
                    size_t len);
/** Push the secret NAME as its own type. */
void strake_lua_push_secret(lua_State *L, const char *name);
/** The name of the secret at `index`, or NULL. */
const char *strake_lua_secret_at(lua_State *L, int index);
/** At the end of a load: every handle became a declaration or names one. */
int strake_lua_check_handles(lua_State *L, struct strake_err *err);
/** The name of the target that the handle at `index` stands for, or NULL. */
const char *strake_lua_target_at(lua_State *L, int index);
/** The type of the value at `index` as messages say it: "a number", "nothing". */
const char *strake_lua_type_text(lua_State *L, int index);

#endif
