/* Opening what a command works with, and closing it all in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/inspect.h"
#include "cli/cli.h"
#include "image/reference.h"
#include "plugin/loader.h"
#include "record/journal.h"
#include "util/fs.h"
#include "util/http.h"
#include "util/json.h"
#include "util/log.h"
#include "util/time.h"

#define FLUSH_MS 10000

/* ---- the bus ---- */

static void wake_loop(void *ctx)
{
    struct cli *cli = ctx;

    uv_async_send(&cli->wake);
}

static void on_wake(uv_async_t *handle)
{
    struct cli *cli = handle->data;

    strake_bus_drain(cli->session.bus);
}

/* The lines of --events. A reader that is gone ends the writing, not the run. */
static void write_event(void *ctx, const struct strake_event *event)
{
    struct cli *cli = ctx;
    struct strake_buf line = { 0 };

    if (!cli->events)
        return;
    if (strake_event_line(event, cli->session.run, &line) == 0 &&
        strake_buf_putc(&line, '\n') == 0 &&
        (fwrite(strake_buf_text(&line), 1, line.len, cli->events) != line.len ||
         fflush(cli->events) != 0)) {
        strake_log(STRAKE_LOG_WARN, "events cannot be written any more: %s", strerror(errno));
        if (cli->events != stdout)
            fclose(cli->events);
        cli->events = NULL;
    }
    strake_buf_dispose(&line);
}

static int open_events(struct cli *cli)
{
    const char *where = cli_text(&cli->args, "events");
    char *end;
    long number;
    int fd;

    if (!where)
        return 0;
    if (strcmp(where, "-") == 0) {
        cli->events = stdout;
    } else if (strncmp(where, "fd:", 3) == 0) {
        number = strtol(where + 3, &end, 10);
        if (end == where + 3 || *end || number < 0 || number > 1023)
            return strake_fail(&cli->err, STRAKE_EUSAGE, "--events %s is no descriptor", where);
        /* A descriptor of our own: closing it must not close stderr, where a failure is told after
         * it. */
        fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
        cli->events = fd < 0 ? NULL : fdopen(fd, "w");
    } else {
        cli->events = fopen(where, "we");
    }
    return cli->events ? 0 : strake_fail_errno(&cli->err, STRAKE_EUSAGE, "--events %s", where);
}

/* ---- opening ---- */

static int image_inspect(void *session, const char *ref, struct strake_job *job, json_t **out,
                         struct strake_err *err)
{
    return strake_inspect(((struct strake_session *)session)->stores, ref, job, out, err);
}

static const struct strake_lua_hooks hooks = { .image_inspect = image_inspect };

/* From PREFIX/bin/strake to PREFIX/share/strake/scripts; the caller frees. */
static char *scripts_folder(const char *program)
{
    char *copy = strake_strdup(program), *folder = NULL, *slash;

    for (int i = 0; copy && i < 2; i++) {
        slash = strrchr(copy, '/');
        if (slash)
            *slash = '\0';
    }
    if (copy)
        folder = strake_asprintf("%s/share/strake/scripts", copy);
    strake_free(copy);
    return folder;
}

static const char *system_folder(void)
{
#ifdef STRAKE_DEV
    const char *given = getenv("STRAKE_SYSTEM_CONFIG");
    if (given)
        return given;
#endif
    return STRAKE_SYSTEM_CONFIG_DIR;
}

static char *program_path(void)
{
    return strake_fs_absolute("/proc/self/exe");
}

int cli_new_engine(struct cli *cli, struct strake_engine **out, struct strake_err *err)
{
    char *cwd = getcwd(NULL, 0), *program = program_path();
    char *scripts = program ? scripts_folder(program) : NULL;
    char *config = strake_fs_config_dir();
    char *user_file = config ? strake_fs_join(config, "config.lua") : NULL;
    struct strake_engine_options options = {
        .project_dir = cwd,
        .project_file = cli_text(&cli->args, "config"),
        .scripts_dir = scripts,
        .system_dir = system_folder(),
        .user_file = user_file,
        .job = cli->session.job,
    };
    int rc =
        cwd && program && scripts ? strake_engine_new(&options, out, err) : strake_fail_nomem(err);

    free(cwd);
    strake_free(program);
    strake_free(scripts);
    strake_free(config);
    strake_free(user_file);
    return rc;
}

static int open_engine(struct cli *cli)
{
    char *program = program_path();
    int rc = program ? strake_loader_setup(program, &cli->err) : strake_fail_nomem(&cli->err);

    if (rc == 0)
        rc = cli_new_engine(cli, &cli->engine, &cli->err);
    if (rc == 0) {
        strake_engine_set_session(cli->engine, &cli->session);
        strake_engine_set_hooks(cli->engine, &hooks);
    }
    strake_free(program);
    return rc;
}

static int open_loop(struct cli *cli)
{
    uv_loop_t *loop = strake_engine_loop(cli->engine);

    if (uv_async_init(loop, &cli->wake, on_wake) < 0 ||
        uv_async_init(loop, &cli->signalled, cli_on_signal) < 0)
        return strake_fail(&cli->err, STRAKE_EINTERNAL, "the loop cannot be made ready");
    cli->wake.data = cli;
    cli->signalled.data = cli;
    uv_unref((uv_handle_t *)&cli->wake);
    uv_unref((uv_handle_t *)&cli->signalled);
    cli->handles_open = true;
    strake_bus_set_owner_thread(cli->session.bus);
    cli_signals_open(cli);
    return 0;
}

static int open_project(struct cli *cli)
{
    struct strake_session *session = &cli->session;
    int rc = strake_engine_load(cli->engine, &session->project, &cli->err);

    session->stores = rc == 0 ? strake_stores_new(cli_duration(&cli->args, "timeout", 0),
                                                  cli_text(&cli->args, "ca"))
                              : NULL;
    if (rc == 0 && !session->stores)
        rc = strake_fail_nomem(&cli->err);
    return rc < 0 ? rc : strake_session_configure(session, &cli->err);
}

/* ---- the record ---- */

static void say_interrupted(const struct strake_strings *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        strake_log(STRAKE_LOG_WARN, "run %s was interrupted", runs->items[i]);
}

static int begin_run(struct cli *cli)
{
    struct strake_strings interrupted = { 0 };
    int rc;

    cli_know_secrets(cli);
    rc = strake_record_run_begin(cli->session.record, cli->session.run, cli->command->name,
                                 (const char *const *)cli->argv, cli->session.project->dir,
                                 &interrupted, &cli->err);
    say_interrupted(&interrupted);
    strake_strings_dispose(&interrupted);
    return rc;
}

/* Without a place for the record the run goes on, unless the record was asked for. */
static int open_run(struct cli *cli)
{
    struct strake_session *session = &cli->session;
    json_t *data = json_object();
    int rc;

    strake_run_id(session->run);
    rc = strake_record_open(NULL, true, &session->record, &cli->err);
    if (rc == 0)
        rc = begin_run(cli);
    if (rc < 0) {
        struct strake_err ignored = { 0 };
        strake_record_close(session->record, &ignored); /* not tried again at the end */
        strake_err_dispose(&ignored);
        session->record = NULL;
    }
    if (rc < 0 && cli_flag(&cli->args, "require-record")) {
        json_decref(data);
        return rc;
    }
    if (rc < 0) {
        strake_log(STRAKE_LOG_WARN, "this run is not recorded: %s", strake_err_message(&cli->err));
        if (cli->err.hint)
            strake_log(STRAKE_LOG_WARN, "%s", cli->err.hint);
        strake_err_dispose(&cli->err);
    }
    if (data && strake_json_set_str(data, "command", cli->command->name) == 0 &&
        strake_json_set_str(data, "version", STRAKE_VERSION) == 0)
        strake_bus_post(session->bus, STRAKE_EVENT_RUN_STARTED, NULL, data);
    else
        json_decref(data);
    return 0;
}

static int open_history(struct cli *cli)
{
    int rc = strake_record_open(NULL, false, &cli->session.record, &cli->err);

    if (rc == STRAKE_ENOTFOUND) { /* nothing ran yet: an empty history */
        strake_err_dispose(&cli->err);
        return 0;
    }
    return rc;
}

static int add_sinks(struct cli *cli)
{
    struct strake_bus *bus = cli->session.bus;

    if (strake_bus_add_sink(bus, strake_session_record, &cli->session) < 0 ||
        strake_bus_add_sink(bus, write_event, cli) < 0 ||
        strake_bus_add_sink(bus, strake_session_announce, &cli->session) < 0)
        return strake_fail(&cli->err, STRAKE_EINTERNAL, "too many observers");
    return cli_view_open(cli);
}

/* While the Lua files are read there is no view yet, and a command without a run never has one: what scripts
 * warn of is said all the same. */
static void say_warning(void *ctx, const struct strake_event *event)
{
    const struct cli *cli = ctx;
    const bool shown = event->type == STRAKE_EVENT_LOG && !cli->view;
    const char *level = shown ? strake_json_str(event->data, "level") : NULL;
    const char *text = level ? strake_json_str(event->data, "text") : NULL;

    if (text && strcmp(level, "info") != 0)
        strake_log(strcmp(level, "error") == 0 ? STRAKE_LOG_ERROR : STRAKE_LOG_WARN, "%s", text);
}

static void say_failure(const json_t *error)
{
    const char *hint = strake_json_str(error, "hint");

    strake_log(STRAKE_LOG_WARN, "%s%s%s", strake_json_str(error, "message"), hint ? "; " : "",
               hint ? hint : "");
}

/* What a killed run left behind, before this one moves a tag. What cannot be settled now (a
 * registry that is gone) does not stop this command: settling never touches a tag that moved on
 * meanwhile. */
static int settle_first(struct cli *cli)
{
    json_t *result = NULL, *error, *unit;
    size_t i;
    int rc;

    if (!cli->session.record || !strake_journal_waits(cli->session.record))
        return 0;
    rc = cli_way(cli, "settle", json_object(), &result);
    json_array_foreach(json_object_get(result, "units"), i, unit)
        strake_log(STRAKE_LOG_WARN, "the publish of run %s was settled: %s",
                   strake_json_str(unit, "run"), strake_json_str(unit, "outcome"));
    error = json_object_get(result, "error");
    if (json_is_object(error))
        say_failure(error);
    json_decref(result);
    return rc;
}

/* A command that moves no tag only says that something waits. One that does not use the history
 * opens it only where a killed run left its mark. */
static void report_waiting(struct cli *cli)
{
    struct strake_record *record = cli->session.record, *looked_at = NULL;
    struct strake_err ignored = { 0 };

    if (!record && strake_record_marks_left() &&
        strake_record_open(NULL, false, &looked_at, &ignored) == 0)
        record = looked_at;
    if (record && strake_journal_waits(record))
        strake_log(STRAKE_LOG_WARN, "a killed run left tags half moved: `strake publish --settle` "
                                    "settles it");
    strake_record_close(looked_at, &ignored);
    strake_err_dispose(&ignored);
}

/* Loading libcurl costs milliseconds: they pass while the Lua files are read. What fails here fails
 * again, and is told, with the first request. */
static void *warm_http(void *ctx)
{
    struct strake_err ignored = { 0 };

    (void)ctx;
    strake_http_warm(&ignored);
    strake_err_dispose(&ignored);
    return NULL;
}

/* An image in a folder or a file wants no registry. */
static bool wants_http(const struct cli *cli)
{
    const struct strake_strings *words = &cli->args.rest;
    bool remote = words->count < 2;

    for (size_t i = 1; i < words->count; i++)
        remote = remote || !strake_reference_is_local(words->items[i]);
    return cli->command->http && remote;
}

int cli_open(struct cli *cli, unsigned needs)
{
    struct strake_session *session = &cli->session;
    int rc;

    if (wants_http(cli))
        cli->warming_runs = pthread_create(&cli->warming, NULL, warm_http, NULL) == 0;
    session->bus = strake_bus_new(wake_loop, cli);
    session->job = session->bus ? strake_job_new(NULL, session->bus, NULL) : NULL;
    if (!session->job)
        return strake_fail_nomem(&cli->err);
    rc = open_events(cli);
    if (rc == 0)
        rc = open_engine(cli);
    if (rc == 0)
        rc = open_loop(cli);
    if (rc == 0 && strake_bus_add_sink(session->bus, say_warning, cli) < 0)
        rc = strake_fail(&cli->err, STRAKE_EINTERNAL, "too many observers");
    if (rc == 0)
        rc = open_project(cli);
    if (rc == 0 && (needs & CLI_NEED_RUN))
        rc = add_sinks(cli);
    if (rc == 0 && (needs & CLI_NEED_RUN))
        rc = open_run(cli);
    if (rc == 0 && (needs & CLI_NEED_RECORD))
        rc = open_history(cli);
    if (rc == 0 && (needs & CLI_NEED_SETTLE))
        rc = settle_first(cli);
    else if (rc == 0 && !(needs & CLI_SETTLES))
        report_waiting(cli);
    return rc;
}

/* ---- waiting ---- */

struct waiting {
    struct cli *cli;
    int (*run)(void *ctx, struct strake_job *job, struct strake_err *err);
    void *ctx;
    struct strake_err err;
    bool done;
};

static int waiting_run(void *ctx)
{
    struct waiting *waiting = ctx;

    return waiting->run(waiting->ctx, waiting->cli->session.job, &waiting->err);
}

static void waiting_done(void *ctx, int rc)
{
    struct waiting *waiting = ctx;

    (void)rc;
    waiting->done = true;
    uv_stop(strake_engine_loop(waiting->cli->engine));
}

int cli_await(struct cli *cli,
              int (*run)(void *ctx, struct strake_job *job, struct strake_err *err), void *ctx)
{
    struct waiting waiting = { .cli = cli, .run = run, .ctx = ctx };

    if (strake_work_start(strake_engine_work(cli->engine), waiting_run, waiting_done, &waiting) < 0)
        return strake_fail_nomem(&cli->err);
    while (!waiting.done)
        uv_run(strake_engine_loop(cli->engine), UV_RUN_DEFAULT);
    strake_bus_drain(cli->session.bus);
    cli_view_settle(cli);
    if (waiting.err.code)
        strake_err_move(&cli->err, &waiting.err);
    return cli->err.code;
}

int cli_way(struct cli *cli, const char *function, json_t *args, json_t **result)
{
    int rc = args ? strake_engine_call(cli->engine, "way", function, args, result, &cli->err)
                  : strake_fail_nomem(&cli->err);

    json_decref(args);
    strake_bus_drain(cli->session.bus);
    cli_view_settle(cli);
    return rc;
}

/* ---- closing ---- */

static void post_end(struct cli *cli, int rc, const json_t *error)
{
    enum strake_event_type type = rc == 0                   ? STRAKE_EVENT_RUN_DONE
                                  : rc == STRAKE_ECANCELLED ? STRAKE_EVENT_RUN_CANCELLED
                                                            : STRAKE_EVENT_RUN_FAILED;
    json_t *data = json_object();

    if (data && strake_json_set_str(data, "command", cli->command->name) == 0 &&
        strake_json_set_str(data, "status", cli_status(rc)) == 0 &&
        strake_json_set_int(data, "exit", cli_exit_code(cli)) == 0 &&
        strake_json_set_int(data, "duration_ms", strake_time_mono_ms() - cli->started_ms) == 0 &&
        (!error || json_object_set(data, "error", (json_t *)error) == 0))
        strake_bus_post(cli->session.bus, type, NULL, data);
    else
        json_decref(data);
}

static int flush(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct cli *cli = ctx;

    (void)job; /* a cancelled run still notifies */
    return strake_session_flush(&cli->session, FLUSH_MS, NULL, err);
}

static bool has_messages(struct cli *cli)
{
    const struct strake_project *project = cli->session.project;

    for (size_t i = 0; project && i < project->block_count; i++) {
        if (project->blocks[i]->kind == STRAKE_BLOCK_NOTIFIER)
            return true;
    }
    return cli->session.record && strake_outbox_waiting(cli->session.record);
}

static void end_run(struct cli *cli, int rc)
{
    struct strake_session *session = &cli->session;
    struct strake_err first = { 0 }, late = { 0 };
    json_t *error;

    if (!session->run[0])
        return;
    if (rc < 0)
        strake_err_copy(&first, &cli->err);
    error = rc < 0 ? strake_err_json(&first) : NULL;
    strake_bus_drain(session->bus);
    post_end(cli, rc, error);
    strake_bus_drain(session->bus);
    if (session->waiting || has_messages(cli)) {
        strake_err_dispose(&cli->err);
        if (cli_await(cli, flush, cli) < 0)
            strake_log(STRAKE_LOG_WARN, "messages wait for the next command: %s",
                       strake_err_message(&cli->err));
        strake_err_dispose(&cli->err);
        strake_err_move(&cli->err, &first);
    }
    strake_err_dispose(&first);
    if (session->record && strake_record_run_end(session->record, session->run, cli_status(rc),
                                                 cli_exit_code(cli), error, &late) < 0)
        strake_log(STRAKE_LOG_WARN, "the end of this run is not recorded: %s",
                   strake_err_message(&late));
    strake_err_dispose(&late);
    json_decref(error);
}

void cli_close(struct cli *cli, int rc)
{
    struct strake_session *session = &cli->session;

    if (cli->warming_runs)
        pthread_join(cli->warming, NULL);
    end_run(cli, rc);
    cli_view_close(cli);
    strake_stdin_context_dispose(&cli->stdin_context);
    if (cli->handles_open) {
        cli_signals_close();
        uv_close((uv_handle_t *)&cli->wake, NULL);
        uv_close((uv_handle_t *)&cli->signalled, NULL);
        uv_run(strake_engine_loop(cli->engine), UV_RUN_NOWAIT);
    }
    strake_session_dispose(session);
    strake_engine_free(cli->engine);
    cli->engine = NULL;
    strake_job_free(session->job);
    strake_bus_free(session->bus);
    if (cli->events && cli->events != stdout)
        fclose(cli->events);
    cli->events = NULL;
}
