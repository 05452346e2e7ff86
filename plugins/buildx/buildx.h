/* The inside of the buildx plugin: builds through `docker buildx`, or buildx alone.
 *   plugin.c   the descriptor, options and the interface's methods that are short
 *   program.c  which program that is
 *   argv.c     the command line of a build
 *   own.c      a builder of our own for an address
 *   probe.c    what buildx says of a builder
 *   build.c    a build, where it differs from other clients of BuildKit
 *   save.c     a file of an engine that writes none itself
 *   words.c    what its last words mean
 *   usage.c    what a builder keeps of earlier builds
 * What it shares with buildctl is in common/buildkit_*.c. */
#ifndef BUILDX_H
#define BUILDX_H

#include <jansson.h>
#include <stdatomic.h>

#include "common/buildkit_build.h"
#include "common/buildkit_env.h"
#include "common/buildkit_output.h"
#include "common/buildkit_reach.h"
#include "common/command.h"
#include "common/stream.h"

/** An instance. Never changed after open() but for what it turned out to be, so that methods need no
 *  lock. */
struct buildx {
    const struct strake_host *host;
    char *program; /**< buildx, docker-buildx or docker */
    char *builder; /**< a builder that buildx knows; NULL: its current one, or our own */
    char *address; /**< of a daemon that we make a builder for; NULL: none */
    char *ca;      /**< file; NULL without TLS, as the next three */
    char *cert;
    char *key;
    char *server_name;
    int64_t timeout_ms;  /**< to be answered at all */
    int64_t liveness_ms; /**< of silence in a build, before an address is listened to; 0: never */
    char *config;        /**< BUILDX_CONFIG of our own builder; NULL without an address */
    /** It turned out that this builder cannot push by digest, and writes layouts. */
    atomic_bool layouts;
    /** It turned out that this engine writes no archives: docker saves them from its store. */
    atomic_bool stores;
};

/** The name of a builder of our own, in a BUILDX_CONFIG that holds no other. */
#define BUILDX_OWN "strake"

/** The builder's name or address, for messages. */
const char *buildx_where(const struct buildx *self);

/* ---- program.c ------------------------------------------------------------------------------- */

/** The program to use when none is named: buildx or docker-buildx on PATH, else docker.
 *  @return a string of the caller's (free()), or NULL: out of memory. */
char *buildx_program_find(void);
/** Is the program docker itself, and not docker-buildx? */
bool buildx_is_docker(const char *program);
/** Append the program, and `buildx` after docker: how every call begins. */
void buildx_argv_begin(const struct buildx *self, struct plug_list *argv);
/** Append `--builder NAME`, when it is not the current one. */
void buildx_argv_builder(const struct buildx *self, struct plug_list *argv);
/** Append what every call's environment differs in from ours. */
void buildx_env_begin(const struct buildx *self, struct plug_list *env);
/** The program is missing. @return STRAKE_EBUILDER */
int buildx_no_program(const struct buildx *self, struct strake_err *err);

/** Run a short command of buildx's, within timeout_ms; `argv` and `env` are complete. What it says
 *  goes to `text` (NULL: nowhere), its last words to `errors`.
 *  @return 0: it ran, `exit_code` says how it ended; STRAKE_EBUILDER, STRAKE_ECANCELLED, … */
int buildx_ask(const struct buildx *self, const struct plug_list *argv, const struct plug_list *env,
               struct strake_job *job, struct strake_buf *text, struct plug_tail *errors,
               int *exit_code, struct strake_err *err);

/* ---- argv.c ---------------------------------------------------------------------------------- */

/** Append the command line of a build; `metadata_file` takes what it says of the result.
 *  @return 0; STRAKE_EUNSUPPORTED, STRAKE_EUSAGE: buildx cannot do that; STRAKE_ENOMEM. */
int buildx_argv_build(const struct buildx *self, const struct strake_build_request *request,
                      const char *metadata_file, struct plug_list *argv, struct strake_err *err);

/* ---- own.c ----------------------------------------------------------------------------------- */

/** Where the builder for this address is kept: below $XDG_STATE_HOME/strake. It depends on the
 *  address and the certificates' paths only. @return 0, STRAKE_ECONFIG: no home, STRAKE_ENOMEM. */
int buildx_own_folder(struct buildx *self, struct strake_err *err);
/** Make that builder unless it is there; without an address nothing. Blocks.
 *  @return 0, STRAKE_EBUILDER, STRAKE_EIO, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int buildx_own_make(const struct buildx *self, struct strake_job *job, struct strake_err *err);
/** Remove what buildx keeps of each build there, which nobody asks for. */
void buildx_own_sweep(const struct buildx *self);

/* ---- probe.c --------------------------------------------------------------------------------- */

/** What `buildx inspect` prints of a builder. */
struct buildx_inspected {
    char driver[64];  /**< docker, docker-container, kubernetes, remote, cloud */
    char status[64];  /**< of the first node that runs, else of the first */
    char error[512];  /**< what keeps it from being used, or "" */
    char version[64]; /**< of BuildKit, or "" */
    char platforms[512];
    bool containerd; /**< docker's own, on the containerd image store */
};

/** False: it is no description of a builder. */
bool buildx_inspect_parse(const char *text, struct buildx_inspected *out);
/** What the builder can, bits of strake_builder_feature. */
uint32_t buildx_features(const struct buildx_inspected *inspected);

/** builder/1's probe(). */
int buildx_probe(void *self, struct strake_job *job, struct strake_builder_info *info,
                 struct strake_err *err);
/** Why a builder that buildx waits for is not reached. @return a negative code, described. */
int buildx_why_unreached(const struct buildx *self, struct strake_job *job, struct strake_err *err);

/* ---- save.c ---------------------------------------------------------------------------------- */

/** Does this request's archive go by the engine's store? */
bool buildx_is_saved(const struct buildx *self, const struct strake_build_request *request);
/** For buildkit_client's finish(): `docker save` of what was built, when it does.
 *  @return 0, STRAKE_EUNSUPPORTED, STRAKE_EBUILDER, STRAKE_ECANCELLED, … */
int buildx_save(const struct buildx *self, const struct strake_build_request *request,
                const char *metadata, size_t len, struct strake_job *job, struct strake_err *err);

/* ---- words.c --------------------------------------------------------------------------------- */

/** A rule for buildkit_classify(): what only buildx says. */
bool buildx_rule(const char *error, const char *step, struct plug_failure *out);

/* ---- usage.c --------------------------------------------------------------------------------- */

/** Records, as `--verbose` prints them, on their way into a JSON array. Set the first two; what is
 *  left of `entry` is the caller's to free. */
struct buildx_records {
    const struct strake_host *host;
    struct strake_buf *out;
    json_t *entry; /**< one that has begun, or NULL */
    size_t count;
};

/** One line, for plug_lines; `ctx` is a struct buildx_records.
 *  @return 0, STRAKE_ENOMEM, or what buf_append() says. */
int buildx_records_line(void *ctx, char *line, size_t len);
int buildx_records_finish(struct buildx_records *records);
/** "4.096kB" in bytes; -1: no size. */
int64_t buildx_size_parse(const char *text);
/** "2026-11-25 23:10:20.2 +0000 UTC" as RFC 3339. False: no such time. */
bool buildx_time_parse(const char *text, char *out, size_t size);

/** builder/1's usage() and prune(). */
int buildx_usage(void *self, struct strake_job *job, struct strake_buf *entries,
                 struct strake_err *err);
int buildx_prune(void *self, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                 struct strake_buf *report, struct strake_err *err);

/* ---- build.c --------------------------------------------------------------------------------- */

/** How it differs from other clients of BuildKit. */
extern const struct buildkit_client buildx_client;

/** builder/1's build(). */
int buildx_build(void *self, const struct strake_build_request *request, struct strake_job *job,
                 struct strake_build_result *result, struct strake_err *err);

#endif
