/* What buildctl's last words mean: whose fault it is, where, and what to do. Pure, so that it is
 * tested on recorded words of the real program. */
#ifndef BUILDCTL_CLASSIFY_H
#define BUILDCTL_CLASSIFY_H

#include <stddef.h>

/** A failure as people should read it. */
struct buildctl_failure {
    int code;           /**< STRAKE_EDOCKERFILE, STRAKE_EBUILD, STRAKE_EBUILDER, STRAKE_EREGISTRY,
                             STRAKE_EAUTH, STRAKE_EUNSUPPORTED */
    char file[256];     /**< the Dockerfile as BuildKit names it, or "" */
    int line;           /**< in it; 0: unknown */
    char message[512];
    char hint[256];     /**< or "" */
    const char *detail; /**< the tool's own words, within `output` */
    size_t detail_len;
};

/** @param output what buildctl wrote to stderr, `len` bytes and a NUL
 *  @param step   name of the step that failed last, or "" */
void buildctl_classify(const char *output, size_t len, const char *step,
                       struct buildctl_failure *out);

#endif
