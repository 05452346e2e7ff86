/* The environment of a BuildKit client: secrets and credentials reach it here, never by argv. */
#ifndef BUILDKIT_ENV_H
#define BUILDKIT_ENV_H

#include "common/command.h"

/** The variable that holds the value of the request's secret `i`: "STRAKE_SECRET_0". */
#define BUILDKIT_SECRET_VARIABLE "STRAKE_SECRET_%zu"

/** Append the changes to the environment of a build; secrets are in them.
 *  @return 0, STRAKE_ECONFIG, STRAKE_EUNSUPPORTED, STRAKE_EUSAGE, STRAKE_ENOMEM. */
int buildkit_env(const struct strake_host *host, const struct strake_build_request *request,
                 struct plug_list *env, struct strake_err *err);

/** Append `--secret id=…,src=FILE` or `--secret id=…,env=VARIABLE` of each secret. */
void buildkit_argv_secrets(struct plug_list *argv,
                           const struct strake_build_secret *const *secrets);

#endif
