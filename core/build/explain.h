/* Why the steps of a build were not cached: the newest build of a target on record is compared with
 * the one before. No cause is told that these two do not prove. */
#ifndef STRAKE_BUILD_EXPLAIN_H
#define STRAKE_BUILD_EXPLAIN_H

#include "dockerfile/runes.h"
#include "record/materials.h"

/** The `strake.explain/1` document about the newest build of `target` in the project folder `dir`.
 *  Blocks. @return 0 with a new reference; STRAKE_EUSAGE: no build of it is on record. */
int strake_explain(struct strake_record *record, const char *dir, const char *target, json_t **out,
                   struct strake_err *err);

/** A step's name as builders write it: "[linux/arm64 build 2/5] RUN make". */
struct strake_step_name {
    struct strake_span platform; /**< "linux/arm64", or empty */
    struct strake_span stage;    /**< "build", "stage-1", or empty */
    int number;                  /**< which stage of those that are built, 1 …; 0: not told */
    int index;                   /**< which step of the stage, 1 … */
    int total;
    bool onbuild;            /**< it comes from the base image */
    struct strake_span text; /**< the instruction, without ONBUILD and LINK before it */
};
/** Read one. The spans point into `name`. @return false: it is no instruction's, or FROM's */
bool strake_step_name_parse(const char *name, struct strake_step_name *out);
/** "[build 1/5] FROM ref@sha256:…", or without the brackets. `out` may be NULL.
 *  @return false: it is no such step */
bool strake_step_name_base(const char *name, struct strake_step_name *out, struct strake_span *ref,
                           struct strake_span *digest);
/** Which cache a step reads: "importing cache manifest from NAME". @return NAME within it, or NULL */
const char *strake_step_name_import(const char *name);
/** That step ended with `error` (may be NULL) because there is no such cache yet: a branch's first
 *  build has none of its own, and nothing has failed. */
bool strake_step_name_absent(const char *name, const char *error);

#endif
