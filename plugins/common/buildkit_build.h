/* A build through one of BuildKit's clients from beginning to end: reach the daemon, run the client,
 * pass on what it tells, read what came out or explain what went wrong. */
#ifndef BUILDKIT_BUILD_H
#define BUILDKIT_BUILD_H

#include "common/command.h"
#include "common/failure.h"

/** What one client does in its own way. Methods get the plugin's instance as `self`. */
struct buildkit_client {
    const char *name; /**< for messages: "buildctl" */
    /** Mandatory. Is the daemon there? @return 0, STRAKE_EBUILDER, … */
    int (*reach)(const void *self, struct strake_job *job, struct strake_err *err);
    /** Mandatory. The command line; `metadata_file` takes what it says of the result. */
    int (*argv)(const void *self, const struct strake_build_request *request,
                const char *metadata_file, struct plug_list *argv, struct strake_err *err);
    /** Mandatory. The changes to its environment; secrets are in them. */
    int (*env)(const void *self, const struct strake_build_request *request, struct plug_list *env,
               struct strake_err *err);
    /** Mandatory. The program is missing. @return STRAKE_EBUILDER, described. */
    int (*no_program)(const void *self, struct strake_err *err);
    /** How the client is given a source policy's file: an option, or a variable of its environment. */
    const char *policy_option, *policy_variable;
    /** Optional. A rule of its own for buildkit_classify(): false when it does not know `error`,
     *  which is all that the client said when it named no error. */
    bool (*rule)(const char *error, const char *step, struct plug_failure *out);
    /** Optional. What its options add to what its words mean, in `failure`. */
    void (*refine)(const void *self, struct plug_failure *failure);
    /** Optional. True: this step shows that the daemon is not reached; the client, which would go
     *  on trying, is ended. */
    bool (*is_lost)(const struct strake_step *step);
    /** With is_lost: why. @return a negative code, described. */
    int (*why_lost)(const void *self, struct strake_job *job, struct strake_err *err);
    /** Optional. The build is done, and its file has not taken its place yet; `metadata` is what the
     *  client says of the result, "" when it said nothing. @return 0, or a code, described. */
    int (*finish)(const void *self, const struct strake_build_request *request,
                  const char *metadata, size_t len, struct strake_job *job, struct strake_err *err);
};

/** One call of a builder's build(). */
struct buildkit_call {
    const struct strake_host *host;
    const struct buildkit_client *client;
    const void *self;
    const char *program; /**< for messages */
    const char *where;   /**< the builder's address or name, for messages */
    const struct strake_build_request *request;
    /** After so long without an event the client's `reach` is asked whether the daemon is still there,
     *  and a daemon that is not is lost. 0: never. */
    int64_t liveness_ms;
    struct strake_job *job;
    struct strake_build_result *result;
    struct strake_err *err;
};

/** builder/1's build(). Blocks; the worker thread's. */
int buildkit_build(const struct buildkit_call *call);

/** Read the result's digest from a metadata file's text. False: it names none that is valid. */
bool buildkit_metadata_parse(const char *json, size_t len, struct strake_build_result *result);

#endif
