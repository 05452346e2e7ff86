/* The inside of the buildctl plugin: builds through BuildKit's command-line client.
 *   plugin.c    the descriptor, options and the interface's methods that are short
 *   reach.c     is somebody there, before a program is started
 *   argv.c      the command line and environment of a build
 *   probe.c     what the daemon says of itself
 *   events.c    what buildctl tells while it builds
 *   classify.c  what its last words mean
 *   build.c     a build from beginning to end
 *   usage.c     what the daemon keeps of earlier builds */
#ifndef BUILDCTL_H
#define BUILDCTL_H

#include "common/command.h"
#include "common/stream.h"

/** An instance. Never changed after open(), so that methods need no lock. */
struct buildctl {
    const struct strake_host *host;
    char *program;
    char *address; /**< tcp://…, unix://…, docker-container://… */
    char *ca;      /**< file; NULL without TLS, as the next three */
    char *cert;
    char *key;
    char *server_name;
    int64_t timeout_ms; /**< to be answered at all */
};

/* ---- reach.c --------------------------------------------------------------------------------- */

/** The parts of a tcp:// address. */
struct buildctl_tcp {
    char host[256]; /**< an IPv6 address without its brackets */
    char port[6];
};

/** False: it is no tcp:// address with a host and a port. */
bool buildctl_tcp_parse(const char *address, struct buildctl_tcp *out);

/** Wait until the daemon has said its first bytes, at most `timeout_ms`. A daemon on another than a
 *  tcp or unix socket is not asked. Blocks; any thread.
 *  @return 0, STRAKE_EBUILDER, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int buildctl_reach(const struct buildctl *self, struct strake_job *job, struct strake_err *err);

/* ---- argv.c ---------------------------------------------------------------------------------- */

/** Stands in a command line for the folder that a build is given later. */
#define BUILDCTL_LAYOUT "LAYOUT"

/** Append program, address and TLS options: how every call of buildctl begins. */
void buildctl_argv_begin(const struct buildctl *self, struct plug_list *argv);
/** Append the command line of a build; `metadata_file` takes what it says of the result.
 *  @return 0; STRAKE_EUNSUPPORTED, STRAKE_EUSAGE: buildctl cannot do that; STRAKE_ENOMEM. */
int buildctl_argv_build(const struct buildctl *self, const struct strake_build_request *request,
                        const char *metadata_file, struct plug_list *argv, struct strake_err *err);
/** argv_more.c: the words that most builds do without. Failures are kept in the list. */
void buildctl_argv_more(const struct strake_build_request *request, struct plug_list *argv);
/** What the image exporter is told beside its place: annotations, compression, timestamps.
 *  @return 0, STRAKE_EUNSUPPORTED, STRAKE_ENOMEM. */
int buildctl_output_more(const struct buildctl *self, const struct strake_build_request *request,
                         struct plug_text *record, struct strake_err *err);
/** Append the changes to the environment of a build; secrets are in them.
 *  @return 0, STRAKE_ECONFIG, STRAKE_EUNSUPPORTED, STRAKE_ENOMEM. */
int buildctl_env_build(const struct buildctl *self, const struct strake_build_request *request,
                       struct plug_list *env, struct strake_err *err);

/* ---- probe.c --------------------------------------------------------------------------------- */

/** builder/1's probe(). */
int buildctl_probe(void *self, struct strake_job *job, struct strake_builder_info *info,
                   struct strake_err *err);
/** Read what `debug workers --format json` prints. @return 0, STRAKE_EBUILDER: not a list of
 *  workers; nothing is described. */
int buildctl_workers_parse(const char *json, size_t len, struct strake_builder_info *info);

/* ---- build.c --------------------------------------------------------------------------------- */

/** builder/1's build(). */
int buildctl_build(void *self, const struct strake_build_request *request, struct strake_job *job,
                   struct strake_build_result *result, struct strake_err *err);
/** buildctl itself is missing. @return STRAKE_EBUILDER */
int buildctl_no_program(const struct buildctl *self, struct strake_err *err);
/** Read the result's digest from a metadata file's text. False: it names none that is valid. */
bool buildctl_metadata_parse(const char *json, size_t len, struct strake_build_result *result);

/* ---- usage.c --------------------------------------------------------------------------------- */

#define BUILDCTL_RECORDS_MAX ((size_t)64 * 1024 * 1024)

/** builder/1's usage() and prune(). */
int buildctl_usage(void *self, struct strake_job *job, struct strake_buf *entries,
                   struct strake_err *err);
int buildctl_prune(void *self, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                   struct strake_buf *report, struct strake_err *err);

#endif
