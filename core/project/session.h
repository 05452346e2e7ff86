/* What one command works with: its project, stores, history, events and running job. Opened by the
 * command line, used by core/lua on its behalf. */
#ifndef STRAKE_PROJECT_SESSION_H
#define STRAKE_PROJECT_SESSION_H

#include "build/plan.h"
#include "build/publish.h"
#include "build/store.h"
#include "project/project.h"
#include "record/outbox.h"
#include "record/record.h"
#include "util/job.h"

struct strake_session {
    struct strake_project *project; /**< the engine's */
    struct strake_stores *stores;
    struct strake_record *record; /**< NULL: nothing is recorded, and that was said */
    struct strake_job *job;       /**< cancelled by Ctrl-C */
    struct strake_bus *bus;
    char run[40];                    /**< the run's id; "" for commands that are no run */
    bool force;                      /**< --force of publish */
    struct strake_plan *plan;        /**< what the command keeps of way.plan(); the session's */
    struct strake_tag_state *before; /**< tags as they were while the build ran, for publish */
    struct strake_manifest_kept
        taken;          /**< the manifest that was read last and is about to be put */
    json_t *waiting;    /**< messages of a run without a record: array of outgoing */
    bool record_failed; /**< a record could not be written; said once */
};

/** Configure the stores from the project's registry blocks. @return 0 or STRAKE_ENOMEM. */
int strake_session_configure(struct strake_session *session, struct strake_err *err);
void strake_session_dispose(struct strake_session *session);

/** Bus sink: write the event into the history. A history that cannot be written any more is said
 *  once, and the run goes on. */
void strake_session_record(void *session, const struct strake_event *event);

/* ---- announce.c ---- */

/** Bus sink: put a message for each notifier whose `on` has the event into the outbox. */
void strake_session_announce(void *session, const struct strake_event *event);
/** A message of notify{} or `strake notify`, for the notifier `to` or (NULL) for all of them.
 *  @return how many, STRAKE_ECONFIG when there is none of that name. */
int strake_session_notify(struct strake_session *session, const json_t *message, const char *to,
                          struct strake_err *err);
/** Send what is due. Blocks, `timeout_ms` at most; on a worker thread. What fails is told by events
 *  and kept for the next command; *failed (may be NULL) takes the first failure of this run's
 * own. */
int strake_session_flush(struct strake_session *session, int64_t timeout_ms,
                         struct strake_err *failed, struct strake_err *err);

#endif
