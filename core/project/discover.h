/* What this machine has to build with. Looks at files and the environment only; nobody is asked. */
#ifndef STRAKE_DISCOVER_H
#define STRAKE_DISCOVER_H

#include <jansson.h>

#include "util/err.h"

/** A builder that nobody configured. */
struct strake_discovered {
    const char *plugin; /**< static */
    json_t *options;
    char *why; /**< how it was chosen, for people */
};

/** BuildKit at $BUILDKIT_HOST or its usual socket, else Docker's buildx, else buildah. The caller
 *  disposes of `out`. @return 0; STRAKE_EBUILDER: there is nothing; STRAKE_ENOMEM. */
int strake_discover(struct strake_discovered *out, struct strake_err *err);
void strake_discovered_dispose(struct strake_discovered *discovered);

/** A builder of type buildctl whose program is not installed is served by buildx, when that is: its
 *  options, and the program's name for people. The caller owns both; NULL: nobody stands in.
 *  @return 0 or STRAKE_ENOMEM. */
int strake_builder_stand_in(const char *type, const json_t *options, json_t **replaced,
                            char **program, struct strake_err *err);
/** The same question alone. */
bool strake_builder_has_stand_in(const char *type, const json_t *options);
/** What buildx is told of a builder of type buildctl, whether it stands in or not. The caller's;
 *  NULL: no memory. */
json_t *strake_stand_in_options(const json_t *options);

#endif
