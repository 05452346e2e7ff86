/* The publish journal: what a unit is going to do to tags, on disk before the first PUT, so that a
 * run killed at any moment can be settled (design §2, publish). In the history's database,
 * synced. */
#ifndef STRAKE_RECORD_JOURNAL_H
#define STRAKE_RECORD_JOURNAL_H

#include "record/record.h"

/** One tag of a unit. Strings are borrowed on the way in, the list's on the way out. */
struct strake_move {
    char *ref;             /**< host/repository:tag, as parsed (normal form) */
    char *from;            /**< digest that the tag had, "" when it did not exist */
    char *to;              /**< digest that it shall have */
    char *media_type;      /**< of `to` */
    char *from_media_type; /**< of `from`, or "" */
    bool done;             /**< the PUT was answered and read back */
};

struct strake_unit {
    int64_t id;
    char *run;
    char *kind; /**< publish, tag, rollback */
    struct strake_move *moves;
    size_t count;
};

/** Commit a unit with all its moves (fsynced). *id is its number. */
int strake_journal_begin(struct strake_record *record, const char *run, const char *kind,
                         const struct strake_move *moves, size_t count, int64_t *id,
                         struct strake_err *err);
/** Say that the moves at these positions are done (or moved back); not synced. */
int strake_journal_mark(struct strake_record *record, int64_t id, size_t position, bool done,
                        struct strake_err *err);
/** The unit is over: "done", "rolled-back", or "partial" with what could not be undone. Also writes
 *  the tag moves that stand into the history. Synced, unless it is "done". */
int strake_journal_end(struct strake_record *record, int64_t id, const char *outcome,
                       struct strake_err *err);
/** Units that were begun, not ended, and whose run nobody holds any more. `count` 0: none. */
int strake_journal_pending(struct strake_record *record, struct strake_unit **units, size_t *count,
                           struct strake_err *err);
/** Is there any such unit? One quick read; false when it cannot be read. */
bool strake_journal_waits(struct strake_record *record);
void strake_units_free(struct strake_unit *units, size_t count);

#endif
