/* Publishing: tags move to staged images as one unit, as design §2 promises, journal included. */
#ifndef STRAKE_BUILD_PUBLISH_H
#define STRAKE_BUILD_PUBLISH_H

#include "build/store.h"
#include "record/journal.h"

/** A tag to be moved. */
struct strake_publish_tag {
    const char *ref;    /**< host/repository:tag or oci:DIR:TAG */
    const char *source; /**< repository in which `digest` is staged (may be ref's own) */
    const char *digest;
};

/** What tags point to before anything is moved; read while the build runs. */
struct strake_tag_state;
/** Read the tags. Blocks; on a worker thread. A tag that does not exist is no error. */
int strake_tags_read(struct strake_stores *stores, const char *const *refs, struct strake_job *job,
                     struct strake_tag_state **out, struct strake_err *err);
void strake_tag_state_free(struct strake_tag_state *state);
/** Where a tag was: its digest, "" when it did not exist, NULL when it was not read. Borrowed. */
const char *strake_tag_state_digest(const struct strake_tag_state *state, const char *ref);

/** The manifest that was fetched last: several tags of one image need its bytes once.
 *  Zero-initialised is empty. */
struct strake_manifest_kept {
    struct strake_instance *instance; /**< borrowed: only compared */
    char *repository;
    char *media_type;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_buf bytes;
};
void strake_manifest_kept_dispose(struct strake_manifest_kept *kept);

struct strake_publish_options {
    const char *run;                   /**< id of the run */
    const char *kind;                  /**< publish, tag, rollback */
    bool force;                        /**< move also a tag that somebody else moved meanwhile */
    struct strake_manifest_kept *kept; /**< a manifest that was read already; may be NULL */
};

/** Move the tags. Blocks; on a worker thread. `record` NULL: no journal (and the caller said so).
 *  `before` may be NULL: read now. *moves takes [{"ref","from","to","status"}] in any case.
 *  @return 0; STRAKE_ECONFLICT: a tag was moved by somebody else; STRAKE_EREGISTRY … with what was
 *  moved back and what could not be. */
int strake_publish(struct strake_stores *stores, struct strake_record *record,
                   const struct strake_publish_tag *tags, size_t count,
                   const struct strake_tag_state *before,
                   const struct strake_publish_options *options, struct strake_job *job,
                   json_t **moves, struct strake_err *err);

/** Settle every unit that a killed run left behind, forward or back. *report takes
 *  [{"run","kind","outcome":"done|rolled-back|partial","moves":[…]}], in any case. A unit that can go
 *  neither way now (no connection, a refusal) stays for the next command; with `give_up` it is
 *  ended as partial. Blocks. @return 0, or the failure of the first unit that stays, the others
 *  settled; STRAKE_ECONFLICT: another process is settling. */
int strake_publish_settle(struct strake_stores *stores, struct strake_record *record, bool give_up,
                          struct strake_job *job, json_t **report, struct strake_err *err);

/* ---- within the room ---- */

/** Digest and media type of a tag now: "" when it does not exist. */
int strake_tag_resolve(struct strake_stores *stores, const char *ref, struct strake_job *job,
                       char *digest, char **media_type, struct strake_err *err);
/** Fetch the manifest that a reference (a tag or a digest) names into `kept`, whose digest is that of
 *  what is to be moved: one request, where resolving the tag first would be two. Blocks. */
int strake_tag_take(struct strake_stores *stores, const char *ref, struct strake_job *job,
                    struct strake_manifest_kept *kept, struct strake_err *err);
/** Put the manifest `digest` of the ref's repository under the ref's tag. `kept` (may be NULL) is
 *  asked for its bytes first, and keeps them. What was answered is not believed before it was read
 *  back. */
int strake_tag_send(struct strake_stores *stores, const char *ref, const char *digest,
                    struct strake_manifest_kept *kept, struct strake_job *job,
                    struct strake_err *err);
/** Is the tag at `digest`? @return STRAKE_EREGISTRY: it is elsewhere, although that was confirmed */
int strake_tag_read_back(struct strake_stores *stores, const char *ref, const char *digest,
                         struct strake_job *job, struct strake_err *err);
/** Both. */
int strake_tag_put(struct strake_stores *stores, const char *ref, const char *digest,
                   struct strake_job *job, struct strake_err *err);
/** Take a tag away without touching other tags of its digest: DELETE of the tag, else a unique
 *  dummy manifest that is put under it and deleted by digest; when that is refused, the old
 *  manifest is put back. A tag that does not exist is no error. */
int strake_tag_delete(struct strake_stores *stores, const char *ref, struct strake_job *job,
                      struct strake_err *err);
/** Delete a manifest by its digest, and with it every tag that shows it; one that is gone is no error.
 *  What it names, and who names it, is the caller's to know. @return 0; STRAKE_EREGISTRY: the
 *  registry does not allow it, … */
int strake_manifest_delete(struct strake_stores *stores, const char *repository, const char *digest,
                           struct strake_job *job, struct strake_err *err);
/** Move one move of a unit back: its old digest, or no tag where it was new. */
int strake_move_undo(struct strake_stores *stores, const struct strake_move *move,
                     struct strake_job *job, struct strake_err *err);

#endif
