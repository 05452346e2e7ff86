/* One method of a plugin, called on a thread of its own and on copies of its arguments, so that it
 * can be left behind when it does not come back. */
#ifndef STRAKE_PLUGIN_CALL_H
#define STRAKE_PLUGIN_CALL_H

#include <stdatomic.h>

#include "plugin/instance.h"
#include "util/buf.h"

/** How long methods may take: what asks one question of a person's network, … */
#define STRAKE_CALL_LIMIT_MS 60000
/** … a request to a registry, tried again and again, … */
#define STRAKE_CALL_REGISTRY_LIMIT_MS ((int64_t)15 * 60 * 1000)
/** … and what only its job bounds. */
#define STRAKE_CALL_NO_LIMIT (-1)
/** How long a method may take to stop once its job is cancelled. */
#define STRAKE_CALL_GRACE_MS 5000

/** The first member of a call's struct, which holds the arguments and the results behind it. */
struct strake_call {
    struct strake_instance *instance;
    const char *method;          /**< its name, for messages */
    struct strake_job *job;      /**< the call's own, a child of the caller's */
    struct strake_strings texts; /**< copies of arguments */
    struct strake_err err;
    int rc;
    int timeout_code; /**< what a deadline that the method kept is to callers; 0: STRAKE_ETIMEOUT */
    atomic_int references;                /**< the caller's, and the thread's while it is out */
    int (*run)(struct strake_call *call); /**< on the thread: call the method */
    void (*dispose)(struct strake_call *call); /**< of what lies behind; may be NULL */
};

/** A call in `size` zeroed bytes. `job` may be NULL. NULL: out of memory. */
void *strake_call_new(size_t size, struct strake_instance *instance, const char *method,
                      struct strake_job *job, int (*run)(struct strake_call *call),
                      void (*dispose)(struct strake_call *call));
/** *copy is a copy of `text` (NULL: "") that lives as long as the call. @return 0, STRAKE_ENOMEM */
int strake_call_copy(struct strake_call *call, const char *text, const char **copy);
/** Make it, and wait for its end, for `limit_ms`, for the job's deadline, or for a grace after its
 *  cancellation. Results behind the call may be read when this is 0.
 *  @return what the method returned, described; STRAKE_ETIMEOUT or STRAKE_ECANCELLED */
int strake_call_make(struct strake_call *call, int64_t limit_ms, struct strake_err *err);
/** Append what a call brought to the caller's buffer. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM */
int strake_call_give(struct strake_buf *from, struct strake_buf *to, struct strake_err *err);
/** The caller's end of it, after strake_call_make() or instead. NULL does nothing. */
void strake_call_unref(struct strake_call *call);

#endif
