/* The secrets of a target, before a builder gets them. */
#ifndef STRAKE_BUILD_SECRETS_H
#define STRAKE_BUILD_SECRETS_H

#include "build/plan.h"

/** Can each of them be read? Their values are redacted from then on. Reads files; any thread.
 *  @return 0; STRAKE_ECONFIG naming the secret, with the target's place; STRAKE_ENOMEM. */
int strake_secrets_check(const struct strake_plan_target *target, struct strake_err *err);

#endif
