/* The --output record of a build: the same words for all of BuildKit's clients. */
#ifndef BUILDKIT_OUTPUT_H
#define BUILDKIT_OUTPUT_H

#include "common/command.h"

/** Stands in a command line for the folder that a build is given later. */
#define BUILDKIT_LAYOUT "LAYOUT"

/** What STRAKE_OUTPUT_STAGE is written as: an image pushed by digest, or an OCI layout. */
void buildkit_output_stage(const struct strake_build_request *request, struct plug_text *record);
/** What STRAKE_OUTPUT_FILE is written as. `client` is the name for messages.
 *  @return 0, STRAKE_EUNSUPPORTED: a type that it cannot write, STRAKE_EUSAGE: no dest. */
int buildkit_output_file(const struct strake_host *host, const char *client,
                         const struct strake_build_request *request, struct plug_text *record,
                         struct strake_err *err);
/** Is it an image that leaves the builder, and not its files? */
bool buildkit_output_is_image(const struct strake_build_request *request);
/** What an image's layers shall be: compression and time stamps. */
void buildkit_output_layers(const struct strake_build_request *request, struct plug_text *record);

#endif
