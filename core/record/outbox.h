/* Messages on their way: at least once, with an expiry, over ends and kills of the program. In the
 * history's database. */
#ifndef STRAKE_RECORD_OUTBOX_H
#define STRAKE_RECORD_OUTBOX_H

#include "record/record.h"

/** A message for one notifier. `options` is that notifier's block (type, url, …; secrets by name
 *  with their source), so that a later command can send it without the project at hand. */
struct strake_outgoing {
    int64_t id;
    char *run;
    char *notifier;
    char *type;
    json_t *options;
    json_t *message; /**< {"id","event","title","text","click","priority","tags","data"} */
    int tries;
    int64_t not_before_us;
    int64_t expires_us;
};

/** Put a message in (synced with the next journal write or at close). `id` is set. */
int strake_outbox_put(struct strake_record *record, struct strake_outgoing *message,
                      struct strake_err *err);
/** Is anything in it, of whichever run? One quick read; false when it cannot be read. */
bool strake_outbox_waiting(struct strake_record *record);
/** Claim what is due, oldest first, at most `max`: claimed ones are not given to another process
 *  for two minutes. Expired ones are dropped and their ids put into the history as failed. */
int strake_outbox_claim(struct strake_record *record, struct strake_outgoing **messages,
                        size_t *count, size_t max, struct strake_err *err);
/** Sent, or failed for good (`final`), or to be tried again at `not_before_us`. What happened is
 *  told by the caller's notify.sent and notify.failed events. */
int strake_outbox_result(struct strake_record *record, int64_t id, bool sent, bool final,
                         int64_t not_before_us, struct strake_err *err);
void strake_outgoing_free(struct strake_outgoing *messages, size_t count);

#endif
