/* A piece of running work: its cancellation, its deadline, and where what it reports goes.
 * The opaque strake_job of plugin.h. */
#ifndef STRAKE_UTIL_JOB_H
#define STRAKE_UTIL_JOB_H

#include "strake/plugin.h"
#include "util/err.h"
#include "util/event.h"

/** A new job. With a `parent` it is cancelled with it, ends no later, and reports to its bus; the
 *  parent must live longer. `target` (may be NULL) is put on each event. NULL: no memory or no
 *  descriptors. Any thread, as all functions here but free. */
struct strake_job *strake_job_new(struct strake_job *parent, struct strake_bus *bus,
                                  const char *target);
void strake_job_free(struct strake_job *job);
/** Cancel it and cut it off from its family and its bus, which may end before it does: what
 *  it still reports is dropped. For work that is left behind. It has no children. */
void strake_job_detach(struct strake_job *job);

/** Ask it and all its children to stop. Safe from any thread, any number of times. */
void strake_job_cancel(struct strake_job *job);
bool strake_job_cancelled(const struct strake_job *job);
/** Readable once cancelled; never read or close it. */
int strake_job_cancel_fd(const struct strake_job *job);
/** End no later than this many milliseconds from now (an earlier deadline stays). */
void strake_job_set_timeout(struct strake_job *job, int64_t timeout_ms);
/** Milliseconds left, 0 when passed, -1 without a deadline. */
int64_t strake_job_remaining_ms(const struct strake_job *job);
/** 0, or STRAKE_ECANCELLED / STRAKE_ETIMEOUT with `err` filled. */
int strake_job_check(const struct strake_job *job, struct strake_err *err);
const char *strake_job_target(const struct strake_job *job); /**< "" when none */
/** Put `scope` before the ids of its steps: two builders that work for one target may count alike.
 *  Before the first step. @return 0 or STRAKE_ENOMEM. */
int strake_job_set_scope(struct strake_job *job, const char *scope);
struct strake_bus *strake_job_bus(const struct strake_job *job);

/** What plugin.h's job_step… functions do: turn into events of the job's target and post them. */
void strake_job_step(struct strake_job *job, const struct strake_step *step);
void strake_job_step_log(struct strake_job *job, const char *step, int stream, const char *data,
                         size_t len);
void strake_job_step_progress(struct strake_job *job, const struct strake_step_progress *progress);
void strake_job_warning(struct strake_job *job, const struct strake_step_warning *warning);
void strake_job_cache_exported(struct strake_job *job, const char *place, int64_t duration_ms);
/** How many instructions ran and how many of them came from the cache: steps named `[…] …` but
 *  `[internal] …` and `[…] FROM …`, which fetch and read rather than build. Those of children that
 *  have ended count too. */
void strake_job_steps_count(struct strake_job *job, int *total, int *cached);
/** Any other event; steals `data` (an object, may be NULL). */
void strake_job_event(struct strake_job *job, enum strake_event_type type, json_t *data);

#endif
