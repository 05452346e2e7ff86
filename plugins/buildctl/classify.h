/* What buildctl's last words mean: whose fault it is, where, and what to do. Pure, so that it is
 * tested on recorded words of the real program. */
#ifndef BUILDCTL_CLASSIFY_H
#define BUILDCTL_CLASSIFY_H

#include "common/failure.h"

/** @param output what buildctl wrote to stderr, `len` bytes and a NUL; `out` borrows from it
 *  @param step   name of the step that failed last, or "" */
void buildctl_classify(const char *output, size_t len, const char *step, struct plug_failure *out);

#endif
