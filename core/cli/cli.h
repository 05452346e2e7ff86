/* What every command shares: its description, its open session, and how it tells results. */
#ifndef STRAKE_CLI_CLI_H
#define STRAKE_CLI_CLI_H

#include <pthread.h>

#include "build/stdin_context.h"
#include "cli/options.h"
#include "lua/engine.h"
#include "project/session.h"

struct cli;

/** One command, in a file cmd_<name>.c of its own. */
struct cli_command {
    const char *name;
    const char *summary; /**< one line */
    const char *usage;   /**< "[OPTIONS] [TARGET…]" */
    const char *help;    /**< what it does and an example; may be NULL */
    const struct cli_option *options;
    bool http; /**< it will talk to registries: libcurl is loaded while the rest is opened */
    /** @return 0 or the code of the failure, described in cli->err. */
    int (*run)(struct cli *cli);
};

/** Parts of a session that a command asks for. */
enum cli_need {
    CLI_NEED_PROJECT = 1 << 0, /**< engine, layers, stores */
    CLI_NEED_RUN = 1 << 1,     /**< a run in the history, told by events */
    CLI_NEED_RECORD = 1 << 2,  /**< the history for reading */
    CLI_NEED_SETTLE = 1 << 3, /**< the command publishes: what a killed run left is settled first */
    CLI_SETTLES = 1 << 4      /**< settling is the command: nobody has to be told of it */
};

struct cli_view; /* how progress is shown, view.c */

struct cli {
    const struct cli_command *command;
    struct cli_args args;
    int argc; /**< as given to the program */
    char **argv;
    bool json;
    bool colour; /**< on stderr */
    struct strake_session session;
    struct strake_engine *engine;
    struct strake_err err;
    int exit;  /**< 0: that of the failure's kind */
    bool told; /**< the command has printed its document, error included */
    pthread_t warming;
    bool warming_runs;
    uv_async_t wake;
    uv_async_t signalled;
    bool handles_open;
    struct cli_view *view;
    FILE *events;
    struct strake_stdin_context stdin_context; /* removed when the command ends */
    int64_t started_ms;
};

extern const struct cli_command cli_build, cli_plan, cli_run, cli_publish, cli_tags, cli_image,
    cli_history, cli_notify, cli_doctor, cli_plugin, cli_policy, cli_init, cli_cache, cli_rollback,
    cli_check, cli_login, cli_logout;
/** All commands, NULL at the end. */
extern const struct cli_command *const cli_commands[];
extern const struct cli_option cli_common_options[];

/* ---- session.c ---- */

/** Open what `needs` says. @return 0 or the failure in cli->err. */
int cli_open(struct cli *cli, unsigned needs);
/** Another engine with the same layers to come, for a thread of its own; the caller loads and frees
 *  it. @return 0 or the failure in `err` */
int cli_new_engine(struct cli *cli, struct strake_engine **out, struct strake_err *err);
/** End the run with the command's result, send what is due, close everything. Keeps the first
 *  failure. */
void cli_close(struct cli *cli, int rc);
/** Run blocking work on a thread while the loop turns (signals, progress). @return its result. */
int cli_await(struct cli *cli,
              int (*run)(void *ctx, struct strake_job *job, struct strake_err *err), void *ctx);
/** Call a function of scripts/way.lua. Steals args. *result (may be NULL) is a new reference. */
int cli_way(struct cli *cli, const char *function, json_t *args, json_t **result);

/* ---- signals.c ---- */

/** Catch signals for this command, from its loop's being ready on. */
void cli_signals_open(struct cli *cli);
void cli_signals_close(void);
/** What the loop does once one came. */
void cli_on_signal(uv_async_t *handle);

/* ---- output.c ---- */

/** Print a document on stdout, for --json. Steals it; NULL is out of memory. */
int cli_print_json(struct cli *cli, json_t *document);
/** A document whose lists are too long to be had in memory, piece by piece: the members of an object
 *  (of ours: its keys are plain) but `last`, which is opened as a list; the caller writes its items
 *  and the ends. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM */
int cli_put_members(struct strake_buf *text, json_t *object, const char *last);
/** Write what is there, secrets redacted, and clear it. */
int cli_put(struct strake_buf *text);
/** An empty list that went through Lua comes back as an empty object: make the list again where the
 *  document promises one. @return 0 or STRAKE_ENOMEM. */
int cli_mend_list(json_t *object, const char *key);
/** The document of a failure: {"schema":"strake.error/1","error":…}. */
void cli_print_error(struct cli *cli);
/** The status word of what ended with this code. */
const char *cli_status(int code);
/** The exit code of a command that ended with cli->err. */
int cli_exit_code(const struct cli *cli);
/** Flush stdout and notice what went wrong with it: a full disk, a reader that is gone. */
int cli_finish_stdout(struct cli *cli);
/** printf() for results: control characters of what came from outside become blanks (line ends and
 *  tabs stay), secrets are redacted. */
void cli_printf(const char *fmt, ...) STRAKE_PRINTF(1, 2);

/* ---- check_output.c ---- */

/** What `strake check` found, in one of its formats. */
struct cli_findings {
    json_t *list;        /**< as docs/interfaces.md has them, and `source`: the line's text */
    size_t files;        /**< that were looked at */
    const char *fail_on; /**< the lowest severity that counts, or "none" */
};
/** Print as "text", "github", "gcc" or "sarif". @return 0 or the failure in cli->err */
int cli_print_findings(struct cli *cli, const struct cli_findings *found, const char *format);
/** Does a finding count for this threshold? A waived one never does. */
bool cli_finding_counts(const json_t *finding, const char *fail_on);

/* ---- cmd_publish.c ---- */

/** What became of each tag, for people. */
void cli_print_moves(const json_t *moves);

/* ---- cmd_tags.c ---- */

/** The target of that name; with NULL the default one, or the only one. NULL with cli->err
 *  filled. */
const struct strake_target *cli_choose_target(struct cli *cli, const char *name);

/* ---- cmd_explain.c ---- */

/** `strake cache explain [TARGET]`; the project and the history are open. */
int cli_cache_explain(struct cli *cli);

/* ---- cmd_image_layers.c, cmd_image_diff.c ---- */

/** `strake image layers REF` and `image diff A B`; the project is open. */
int cli_image_layers(struct cli *cli);
int cli_image_diff(struct cli *cli);
/** `strake image copy SOURCE DESTINATION`; a run is open. */
int cli_image_copy(struct cli *cli);
/** `strake image list [--sizes] [--sort ORDER] REPOSITORY`, in cmd_image_list.c. */
int cli_image_list(struct cli *cli);
/** --platform in normal form into `out` (STRAKE_PLATFORM_TEXT bytes). @return 0 or STRAKE_EUSAGE;
 *  *platform is NULL when it was not given. "all" stays, where `all` allows it. */
int cli_image_platform(struct cli *cli, bool all, char *out, const char **platform);
/** Sizes beside each other on a terminal: a bar of at most `width` cells, blanks behind it. */
void cli_bar(int64_t value, int64_t most, int width, char *out, size_t cap);

/* ---- cmd_image_delete.c ---- */

/** `strake image delete REF`; the project and a run are open. */
int cli_image_delete(struct cli *cli);

/* ---- view.c ---- */

/** Show progress on stderr as --progress and the terminal ask for. */
int cli_view_open(struct cli *cli);
void cli_view_close(struct cli *cli);
/** Put what has ended into its final form: results are printed below it. */
void cli_view_settle(struct cli *cli);

/* ---- stdin.c ---- */

/** May standard input be what the words ask of it? @return 0 or STRAKE_EUSAGE. */
int cli_stdin_check(struct cli *cli);
/** Read it where a name or -f is `-`, once the command is open: the wish is of what was read. */
int cli_stdin_read(struct cli *cli);
/** The names given, `-` as the folder that was read. @return 0 or STRAKE_ENOMEM. */
int cli_stdin_names(const struct cli *cli, struct strake_strings *names);

/* ---- wish.c ---- */

/** The options that choose and change targets, of build, plan and publish. */
#define CLI_WISH_OPTIONS                                                                           \
    { "file", 'f', CLI_TEXT, "FILE", "the Dockerfile" },                                           \
        { "tag", 't', CLI_LIST, "REF", "name the image; instead of the target's tags" },           \
        { "target", 0, CLI_TEXT, "STAGE", "build this stage of the Dockerfile" },                  \
        { "platform", 0, CLI_LIST, "P[,P]", "platforms, such as linux/amd64,linux/arm64" },        \
        { "build-arg", 0, CLI_LIST, "K=V",                                                         \
          "a build argument; K alone takes it from the environment" },                             \
        { "label", 0, CLI_LIST, "K=V", "a label of the image" },                                   \
        { "build-context", 0, CLI_LIST, "N=V", "a named context" },                                \
        { "secret", 0, CLI_LIST, "SPEC", "id=NAME[,src=FILE | ,env=VARIABLE]" },                   \
        { "cache-from", 0, CLI_LIST, "SPEC", "import a build cache, as buildx writes it" },        \
        { "cache-to", 0, CLI_LIST, "SPEC", "export a build cache" },                               \
        { "no-cache", 0, CLI_FLAG, NULL, "use no cached step" },                                   \
        { "pull", 0, CLI_FLAG, NULL,                                                               \
          "ask registries for base images, also where the builder has them" },                     \
        { "no-cache-filter", 0, CLI_LIST, "STAGE", "use no cached step of this stage" },           \
        { "annotation", 0, CLI_LIST, "[LEVEL:]K=V", "an annotation of the image" },                \
        { "ssh", 0, CLI_LIST, "SPEC", "an SSH agent or key: default or ID[=SOCKET|KEY]" },         \
        { "allow", 0, CLI_LIST, "NAME", "an entitlement: network.host, security.insecure" },       \
        { "add-host", 0, CLI_LIST, "N=IP", "an address that RUN finds under a name" },             \
        { "ulimit", 0, CLI_LIST, "N=S[:H]", "a limit of RUN, such as nofile=1024" },               \
        { "network", 0, CLI_TEXT, "MODE", "network of RUN: default, none, host" },                 \
        { "shm-size", 0, CLI_TEXT, "SIZE", "size of /dev/shm, such as 64m" },                      \
        { "attest", 0, CLI_LIST, "SPEC", "type=provenance|sbom[,…]: attach an attestation" },      \
        { "provenance", 0, CLI_TEXT, "SPEC", "as --attest type=provenance,SPEC" },                 \
        { "sbom", 0, CLI_TEXT, "SPEC", "as --attest type=sbom,SPEC" },                             \
        { "builder", 0, CLI_TEXT, "NAME", "use this builder" },                                    \
    {                                                                                              \
        "all", 0, CLI_FLAG, NULL, "every target of the project"                                    \
    }

/** The name of an option of those that was given, or NULL. */
const char *cli_wish_given(const struct cli *cli);
/** Redact from now on what --secret takes from the environment, and credentials in URLs of contexts:
 *  the command line is put on record before its options are used. */
void cli_know_secrets(struct cli *cli);
/** The wish that the command line makes; NULL with cli->err filled. */
json_t *cli_wish(struct cli *cli);
/** wish_options.c: what is asked of the builder (build/extras.h) and annotations, into the wish. */
int cli_wish_options(struct cli *cli, json_t *wish);

#endif
