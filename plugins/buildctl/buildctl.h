/* The inside of the buildctl plugin: builds through BuildKit's command-line client.
 *   plugin.c    the descriptor, options and the interface's methods that are short
 *   argv.c      the command line and environment of a build
 *   probe.c     what the daemon says of itself
 *   build.c     a build from beginning to end
 *   usage.c     what the daemon keeps of earlier builds
 * What it shares with other ways to BuildKit is in common/buildkit_*.c. */
#ifndef BUILDCTL_H
#define BUILDCTL_H

#include "common/buildkit_build.h"
#include "common/buildkit_env.h"
#include "common/buildkit_output.h"
#include "common/buildkit_reach.h"
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
    int64_t timeout_ms;  /**< to be answered at all */
    int64_t liveness_ms; /**< of silence in a build, before the daemon is listened to; 0: never */
};

/** Its daemon. */
static inline struct buildkit_peer buildctl_peer(const struct buildctl *self)
{
    return (struct buildkit_peer){ .host = self->host,
                                   .address = self->address,
                                   .tls = self->ca != NULL || self->cert != NULL,
                                   .timeout_ms = self->timeout_ms };
}

/* ---- argv.c ---------------------------------------------------------------------------------- */

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

/* ---- probe.c --------------------------------------------------------------------------------- */

/** builder/1's probe(). */
int buildctl_probe(void *self, struct strake_job *job, struct strake_builder_info *info,
                   struct strake_err *err);
/** Read what `debug workers --format json` prints. @return 0, STRAKE_EBUILDER: not a list of
 *  workers; nothing is described. */
int buildctl_workers_parse(const char *json, size_t len, struct strake_builder_info *info);

/* ---- build.c --------------------------------------------------------------------------------- */

/** How it differs from other clients of BuildKit. */
extern const struct buildkit_client buildctl_client;

/** builder/1's build(). */
int buildctl_build(void *self, const struct strake_build_request *request, struct strake_job *job,
                   struct strake_build_result *result, struct strake_err *err);
/** buildctl itself is missing. @return STRAKE_EBUILDER */
int buildctl_no_program(const struct buildctl *self, struct strake_err *err);

/* ---- usage.c --------------------------------------------------------------------------------- */

#define BUILDCTL_RECORDS_MAX ((size_t)64 * 1024 * 1024)

/** builder/1's usage() and prune(). */
int buildctl_usage(void *self, struct strake_job *job, struct strake_buf *entries,
                   struct strake_err *err);
int buildctl_prune(void *self, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                   struct strake_buf *report, struct strake_err *err);

#endif
