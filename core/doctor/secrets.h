/* Files that hold secrets, and who may read them. */
#ifndef STRAKE_DOCTOR_SECRETS_H
#define STRAKE_DOCTOR_SECRETS_H

#include "doctor/probe.h"

/** docker's config.json: there, to be read, and by nobody else when credentials are in it. */
int doctor_docker_config(struct doctor_probe *probe, struct strake_job *job);
/** A probe for each secret of a block or target, for each one that stands in a Lua file in the clear,
 *  and for each private key. @return 0 or STRAKE_ENOMEM */
int doctor_add_secrets(const struct strake_doctor *doctor, struct doctor_probes *probes);

#endif
