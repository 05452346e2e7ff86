/* What buildah's last words mean. Pure, so that it is tested on recorded words of the real
 * program. */
#ifndef BUILDAH_CLASSIFY_H
#define BUILDAH_CLASSIFY_H

#include "common/failure.h"

/** @param output what buildah wrote to stderr, `len` bytes and a NUL; `out` borrows from it */
void buildah_classify(const char *output, size_t len, struct plug_failure *out);

/** The line on which an instruction begins, by its words: buildah does not say the line.
 *  @return 0: it is not there, or more than once. */
int buildah_instruction_line(const char *dockerfile, const char *instruction);

#endif
