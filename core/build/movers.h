/* Tags of many repositories moved side by side: while they move readers see a mix, which a long unit
 * makes short so. */
#ifndef STRAKE_BUILD_MOVERS_H
#define STRAKE_BUILD_MOVERS_H

#include "build/publish.h"

/** Moves that may be done in any order. */
struct strake_movers {
    const struct strake_move *moves; /**< references that end in ":TAG" */
    size_t begin;                    /**< the first */
    size_t end;                      /**< and the one after the last */
    bool *taken;                     /**< as long as `moves`; false from begin to end */
    /** Do moves[at]. Called on several threads; those of one repository on one, in their order, with
     *  the same `kept`. @return 0, or a code, described: nobody begins another move then. */
    int (*move)(void *ctx, size_t at, struct strake_manifest_kept *kept, struct strake_err *err);
    void *ctx;
};

/** Do them all. A few are done one after the other, as they stand there; `kept` is the caller's.
 *  Blocks. @return 0, or the first failure. */
int strake_movers_run(const struct strake_movers *movers, struct strake_manifest_kept *kept,
                      struct strake_err *err);

#endif
