/* Calls into plugins: made elsewhere, bounded, and left behind when they do not come back. */
#include "plugin/call.h"

#include "plugin/instance_impl.h"
#include "util/mem.h"
#include "util/time.h"
#include "util/work.h"

/* Host functions end at the job's deadline by themselves: so much later the method has returned,
 * with better words than ours. */
#define LATE_MS 1000

void *strake_call_new(size_t size, struct strake_instance *instance, const char *method,
                      struct strake_job *job, int (*run)(struct strake_call *call),
                      void (*dispose)(struct strake_call *call))
{
    struct strake_call *call = strake_calloc(1, size);

    if (!call)
        return NULL;
    call->job = strake_job_new(job, NULL, NULL);
    if (!call->job) {
        strake_free(call);
        return NULL;
    }
    call->instance = strake_instance_ref(instance);
    call->method = method;
    call->run = run;
    call->dispose = dispose;
    atomic_init(&call->references, 1);
    return call;
}

int strake_call_copy(struct strake_call *call, const char *text, const char **copy)
{
    int rc = strake_strings_add(&call->texts, text ? text : "");

    *copy = rc == 0 ? call->texts.items[call->texts.count - 1] : NULL;
    return rc;
}

void strake_call_unref(struct strake_call *call)
{
    if (!call || atomic_fetch_sub(&call->references, 1) > 1)
        return;
    if (call->dispose)
        call->dispose(call);
    strake_strings_dispose(&call->texts);
    strake_err_dispose(&call->err);
    strake_job_free(call->job);
    strake_instance_unref(call->instance);
    strake_free(call);
}

/* What the method returned stays in the call, apart from what strake_work_call() says of itself. */
static int call_run(void *ctx)
{
    struct strake_call *call = ctx;

    call->rc = call->run(call);
    return 0;
}

static void call_drop(void *ctx)
{
    strake_call_unref(ctx);
}

/* It is still out: whatever it touches from now on is its own. */
static int leave(struct strake_call *call, int64_t limit_ms, struct strake_err *err)
{
    bool cancelled = strake_job_cancelled(call->job);
    char limit[STRAKE_TIME_TEXT];

    strake_job_detach(call->job);
    strake_duration_format(cancelled ? STRAKE_CALL_GRACE_MS : limit_ms, limit, sizeof(limit));
    if (cancelled)
        return strake_fail(err, STRAKE_ECANCELLED,
                           "cancelled; the plugin %s did not stop %s() of %s "
                           "within %s, and it was left behind",
                           strake_instance_type(call->instance), call->method,
                           strake_instance_name(call->instance), limit);
    strake_fail(err, STRAKE_ETIMEOUT,
                "the plugin %s did not end %s() of %s within %s, and it was "
                "left behind",
                strake_instance_type(call->instance), call->method,
                strake_instance_name(call->instance), limit);
    strake_err_hint(err, "the fault is the plugin's: a method must look at its job while it waits");
    return STRAKE_ETIMEOUT;
}

int strake_call_make(struct strake_call *call, int64_t limit_ms, struct strake_err *err)
{
    int rc = strake_job_check(call->job, err);
    int64_t patience;

    if (rc < 0)
        return rc;
    if (limit_ms >= 0)
        strake_job_set_timeout(call->job, limit_ms);
    limit_ms = strake_job_remaining_ms(call->job);
    patience = limit_ms < 0 ? -1 : limit_ms + LATE_MS;
    atomic_fetch_add(&call->references, 1);
    rc = strake_work_call(call_run, call_drop, call, call->job, patience, STRAKE_CALL_GRACE_MS);
    if (rc == STRAKE_ETIMEOUT)
        return leave(call, limit_ms, err);
    strake_call_unref(call); /* the thread's */
    if (rc < 0)
        return strake_fail_nomem(err);
    strake_err_move(err, &call->err);
    rc = strake_instance_told(call->instance, call->method, call->rc, err);
    if (rc == STRAKE_ETIMEOUT && call->timeout_code)
        rc = strake_err_recode(err, call->timeout_code);
    return rc;
}

int strake_call_give(struct strake_buf *from, struct strake_buf *to, struct strake_err *err)
{
    int rc;

    if (to->len == 0 && from->len <= (to->max ? to->max : STRAKE_BUF_MAX)) {
        size_t max = to->max;
        strake_buf_dispose(to);
        *to = *from;
        to->max = max;
        *from = (struct strake_buf){ 0 }; /* moved */
        return 0;
    }
    rc = strake_buf_append(to, strake_buf_text(from), from->len);
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(err, rc, "an answer of %zu bytes is larger than asked for", from->len);
    return rc < 0 ? strake_fail_nomem(err) : 0;
}
