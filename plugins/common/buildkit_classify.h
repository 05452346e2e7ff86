/* What the last words of BuildKit's clients mean: whose fault it is, where, and what to do. Pure, so that it is
 * tested on recorded words of the real program. */
#ifndef BUILDKIT_CLASSIFY_H
#define BUILDKIT_CLASSIFY_H

#include "common/buildkit_build.h"

/** @param output what the client wrote to stderr, `len` bytes and a NUL; `out` borrows from it
 *  @param step   name of the step that failed last, or ""
 *  @param client whose words they are: its name, and its own rule, are used */
void buildkit_classify(const char *output, size_t len, const char *step,
                       const struct buildkit_client *client, struct plug_failure *out);

/** The part of an error that says what happened in the end; borrowed from `text`. */
const char *buildkit_last_reason(const char *text);

#endif
