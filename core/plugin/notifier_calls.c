/* Checked calls into notifier/1. A message is never worth waiting for without end. */
#include "plugin/call.h"
#include "plugin/instance_impl.h"
#include "util/mem.h"

#define ANSWER_MAX ((size_t)64 * 1024)

struct message_call {
    struct strake_call call;
    struct strake_message message;
    struct strake_strings tags;
    struct strake_buf answer; /* the receipt, or what ping() says */
};

static int run_send(struct strake_call *call)
{
    struct message_call *sending = (struct message_call *)call;
    const struct strake_instance *notifier = call->instance;

    return notifier->as.notifier.send(notifier->self, &sending->message, call->job,
                                      &sending->answer, &call->err);
}

static int run_ping(struct strake_call *call)
{
    struct message_call *asking = (struct message_call *)call;
    const struct strake_instance *notifier = call->instance;

    return notifier->as.notifier.ping(notifier->self, call->job, &asking->answer, &call->err);
}

static void dispose(struct strake_call *call)
{
    struct message_call *message = (struct message_call *)call;

    strake_strings_dispose(&message->tags);
    strake_buf_dispose(&message->answer);
}

static int copy_message(struct message_call *sending, const struct strake_message *from)
{
    struct strake_message *to = &sending->message;
    const struct {
        const char *text;
        const char **copy;
    } texts[] = {
        { from->id, &to->id },     { from->event, &to->event }, { from->title, &to->title },
        { from->text, &to->text }, { from->click, &to->click }, { from->data, &to->data },
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = strake_call_copy(&sending->call, texts[i].text, texts[i].copy);
    for (size_t i = 0; rc == 0 && from->tags && from->tags[i]; i++)
        rc = strake_strings_add(&sending->tags, from->tags[i]);
    to->size = sizeof(*to);
    to->priority = from->priority < 1 || from->priority > 5 ? 3 : from->priority;
    to->tags = strake_strings_view(&sending->tags);
    return rc;
}

/* Make the call, append what it answered to `answer`, and end it. */
static int finish(struct message_call *call, struct strake_buf *answer, struct strake_err *err)
{
    int rc = strake_call_make(&call->call, STRAKE_CALL_LIMIT_MS, err);

    if (rc == 0)
        rc = strake_call_give(&call->answer, answer, err);
    strake_call_unref(&call->call);
    return rc;
}

int strake_notifier_send(struct strake_instance *notifier, const struct strake_message *message,
                         struct strake_job *job, struct strake_buf *receipt, struct strake_err *err)
{
    struct message_call *sending =
        strake_call_new(sizeof(*sending), notifier, "send", job, run_send, dispose);

    if (!sending)
        return strake_fail_nomem(err);
    sending->answer.max = ANSWER_MAX;
    if (copy_message(sending, message) < 0) {
        strake_call_unref(&sending->call);
        return strake_fail_nomem(err);
    }
    return finish(sending, receipt, err);
}

int strake_notifier_ping(struct strake_instance *notifier, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err)
{
    struct message_call *asking;

    if (!notifier->as.notifier.ping)
        return strake_buf_puts(detail, "it cannot be asked without sending something") < 0
                   ? strake_fail_nomem(err)
                   : 0;
    asking = strake_call_new(sizeof(*asking), notifier, "ping", job, run_ping, dispose);
    if (!asking)
        return strake_fail_nomem(err);
    asking->answer.max = ANSWER_MAX;
    return finish(asking, detail, err);
}
