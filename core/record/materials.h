/* What builds were made of: what the caches are explained by. Every function may be called from any
 * thread. */
#ifndef STRAKE_RECORD_MATERIALS_H
#define STRAKE_RECORD_MATERIALS_H

#include "record/record.h"

/** Of how many builds of a target of a project the materials are kept. */
#define STRAKE_MATERIALS_KEPT 20

/** What one target of a run is built from. The caller has redacted all of it. */
struct strake_materials {
    const char *run;
    const char *target;
    const json_t *data;        /**< arguments, stage … (docs/interfaces.md, materials) */
    const char *dockerfile_id; /**< digest of the text, or NULL: it is not known */
    const char *dockerfile;
    const char *files_id; /**< likewise, of the list of files */
    const char *files;
};

/** Keep them; of older builds than the last STRAKE_MATERIALS_KEPT they are dropped. A text that is
 *  there already is not kept twice. */
int strake_record_materials(struct strake_record *record, const struct strake_materials *materials,
                            struct strake_err *err);

/** Builds of a target, newest first, at most `limit`: runs of the project in `dir` that recorded a
 *  step of it. An array of {"run", "started", "builder", "steps": [{"name", "started",
 *  "completed", "cached", "error"}], "materials", "dockerfile", "files"}, the last two being ids of
 *  texts; what is not on record is left out. A new reference. */
int strake_record_builds(struct strake_record *record, const char *dir, const char *target,
                         int limit, json_t **out, struct strake_err *err);
/** The targets that the newest run with steps built in `dir`, sorted; none: nothing is added. */
int strake_record_built(struct strake_record *record, const char *dir,
                        struct strake_strings *targets, struct strake_err *err);
/** A text by its id, appended. STRAKE_ENOTFOUND when it is gone. */
int strake_record_text(struct strake_record *record, const char *id, struct strake_buf *out,
                       struct strake_err *err);

#endif
