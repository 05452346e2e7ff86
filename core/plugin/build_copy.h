/* A copy of a build request that lives as long as the call that carries it. */
#ifndef STRAKE_PLUGIN_BUILD_COPY_H
#define STRAKE_PLUGIN_BUILD_COPY_H

#include "plugin/call.h"

struct strake_build_copy {
    struct strake_build_request request;
    struct strake_strings platforms, cache_import, cache_export, ssh, entitlements, no_cache_stages;
    struct strake_pairs args, labels, contexts, annotations, add_hosts, ulimits, attestations;
    struct strake_build_secret *secrets;
    const struct strake_build_secret **secret_list;
    struct strake_buf auth; /**< wiped */
};

/** Fill `copy` (zeroed) with what `from` says; texts become the call's. @return 0, STRAKE_ENOMEM:
 *  dispose of it all the same. */
int strake_build_copy_make(struct strake_build_copy *copy, struct strake_call *call,
                           const struct strake_build_request *from);
void strake_build_copy_dispose(struct strake_build_copy *copy);

#endif
