/* How buildctl builds; what is common to all clients of BuildKit is in common/buildkit_build.c. */
#include <string.h>

#include "buildctl/buildctl.h"

static int reach(const void *instance, struct strake_job *job, struct strake_err *err)
{
    const struct buildkit_peer peer = buildctl_peer(instance);
    return buildkit_reach(&peer, job, err);
}

static int argv(const void *instance, const struct strake_build_request *request,
                const char *metadata_file, struct plug_list *words, struct strake_err *err)
{
    return buildctl_argv_build(instance, request, metadata_file, words, err);
}

static int env(const void *instance, const struct strake_build_request *request,
               struct plug_list *variables, struct strake_err *err)
{
    const struct buildctl *self = instance;
    return buildkit_env(self->host, request, variables, err);
}

static int no_program(const void *instance, struct strake_err *err)
{
    return buildctl_no_program(instance, err);
}

/* The alert that says why a daemon does not take a client gets lost when the client still writes: the
 * line is only closed then, at once. */
static void refine(const void *instance, struct plug_failure *failure)
{
    static const char *const closed[] = { "broken pipe", "connection reset", "EOF" };
    const struct buildctl *self = instance;
    bool hung_up = false;
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        hung_up = hung_up || strstr(failure->message, closed[i]) != NULL;
    if (failure->code != STRAKE_EBUILDER || self->ca == NULL || !hung_up ||
        strncmp(failure->message, "the builder cannot be used: ", 28) != 0)
        return;
    if (self->cert == NULL)
        plug_failure_tell(failure, STRAKE_EBUILDER,
                          "give the builder's options cert and key, if it wants a certificate of "
                          "its clients",
                          "the builder at %s hung up on a client without a certificate",
                          self->address);
    else
        plug_failure_tell(failure, STRAKE_EBUILDER,
                          "check the options cert and key, and which authority the builder trusts",
                          "the builder at %s hung up, as one does that does not take our "
                          "certificate %s",
                          self->address, self->cert);
}

int buildctl_no_program(const struct buildctl *self, struct strake_err *err)
{
    self->host->fail(err, STRAKE_EBUILDER, "the program %s was not found or cannot be run",
                     self->program);
    self->host->err_hint(err, "install BuildKit's buildctl, or give its path as the builder's "
                              "option program");
    return STRAKE_EBUILDER;
}

const struct buildkit_client buildctl_client = {
    .name = "buildctl",
    .reach = reach,
    .argv = argv,
    .env = env,
    .no_program = no_program,
    .policy_option = "--source-policy-file",
    .refine = refine,
};

int buildctl_build(void *instance, const struct strake_build_request *request,
                   struct strake_job *job, struct strake_build_result *result,
                   struct strake_err *err)
{
    const struct buildctl *self = instance;
    return buildkit_build(&(const struct buildkit_call){
        .host = self->host,
        .client = &buildctl_client,
        .self = self,
        .program = self->program,
        .where = self->address,
        .liveness_ms = self->liveness_ms,
        .request = request,
        .job = job,
        .result = result,
        .err = err,
    });
}
