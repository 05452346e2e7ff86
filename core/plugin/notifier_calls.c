/* Checked calls into notifier/1. A message is never worth waiting for without end: the call works on
 * copies, and is left behind at its deadline. */
#include <string.h>

#include "plugin/instance_impl.h"
#include "util/mem.h"
#include "util/work.h"

struct sending {
    struct strake_instance *notifier;
    struct strake_job *job;
    struct strake_message message;
    struct strake_strings texts; /* id, event, title, text, click, data */
    struct strake_strings tags;
    struct strake_buf answer;
    struct strake_err err;
    bool ping;
    int rc;
};

static void sending_drop(void *ctx)
{
    struct sending *sending = ctx;

    strake_instance_unref(sending->notifier);
    strake_job_free(sending->job);
    strake_strings_dispose(&sending->texts);
    strake_strings_dispose(&sending->tags);
    strake_buf_dispose(&sending->answer);
    strake_err_dispose(&sending->err);
    strake_free(sending);
}

/* The plugin's own result stays in `sending`: what strake_work_call() says is of the call alone. */
static int sending_run(void *ctx)
{
    struct sending *sending = ctx;
    const struct strake_notifier_v1 *notifier = &sending->notifier->as.notifier;
    void *self = sending->notifier->self;

    sending->rc = sending->ping
                      ? notifier->ping(self, sending->job, &sending->answer, &sending->err)
                      : notifier->send(self, &sending->message, sending->job, &sending->answer,
                                       &sending->err);
    return 0;
}

static struct sending *sending_new(struct strake_instance *notifier, int64_t timeout_ms)
{
    struct sending *sending = strake_calloc(1, sizeof(*sending));

    if (!sending)
        return NULL;
    sending->job = strake_job_new(NULL, NULL, NULL);
    if (!sending->job) {
        strake_free(sending);
        return NULL;
    }
    strake_job_set_timeout(sending->job, timeout_ms);
    sending->notifier = strake_instance_ref(notifier);
    sending->answer.max = 64 * 1024;
    return sending;
}

static int copy_message(struct sending *sending, const struct strake_message *message)
{
    const char *texts[] = { message->id, message->event, message->title,
                            message->text, message->click, message->data };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        rc = strake_strings_add(&sending->texts, texts[i] ? texts[i] : "");
    for (size_t i = 0; rc == 0 && message->tags && message->tags[i]; i++)
        rc = strake_strings_add(&sending->tags, message->tags[i]);
    if (rc < 0)
        return rc;
    sending->message = (struct strake_message){
        .size = sizeof(sending->message), .id = sending->texts.items[0],
        .event = sending->texts.items[1], .title = sending->texts.items[2],
        .text = sending->texts.items[3], .click = sending->texts.items[4],
        .data = sending->texts.items[5], .priority = message->priority,
        .tags = strake_strings_view(&sending->tags),
    };
    return 0;
}

/* Run it and take over what it left; `sending` is gone afterwards. */
static int finish(struct strake_instance *notifier, struct sending *sending, const char *method,
                  int64_t timeout_ms, struct strake_buf *answer, struct strake_err *err)
{
    int rc = strake_work_call(sending_run, sending_drop, sending, timeout_ms + 1000);

    if (rc == STRAKE_ETIMEOUT)
        return strake_instance_timed_out(notifier, method, timeout_ms, err);
    rc = rc == 0 ? sending->rc : strake_fail_nomem(&sending->err);
    strake_err_move(err, &sending->err);
    if (rc == 0 && strake_buf_append(answer, strake_buf_text(&sending->answer),
                                     sending->answer.len) < 0)
        rc = strake_fail_nomem(err);
    sending_drop(sending);
    return strake_instance_told(notifier, method, rc, err);
}

static int64_t time_limit(const struct strake_job *job)
{
    int64_t left = job ? strake_job_remaining_ms(job) : -1;

    return left >= 0 && left < STRAKE_METHOD_TIMEOUT_MS ? left : STRAKE_METHOD_TIMEOUT_MS;
}

int strake_notifier_send(struct strake_instance *notifier, const struct strake_message *message,
                         struct strake_job *job, struct strake_buf *receipt,
                         struct strake_err *err)
{
    int64_t timeout_ms = time_limit(job);
    struct sending *sending = sending_new(notifier, timeout_ms);

    if (!sending)
        return strake_fail_nomem(err);
    if (copy_message(sending, message) < 0) {
        sending_drop(sending);
        return strake_fail_nomem(err);
    }
    return finish(notifier, sending, "send", timeout_ms, receipt, err);
}

int strake_notifier_ping(struct strake_instance *notifier, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err)
{
    int64_t timeout_ms = time_limit(job);
    struct sending *sending;

    if (!notifier->as.notifier.ping)
        return strake_buf_puts(detail, "it cannot be asked without sending something") < 0
                   ? strake_fail_nomem(err)
                   : 0;
    sending = sending_new(notifier, timeout_ms);
    if (!sending)
        return strake_fail_nomem(err);
    sending->ping = true;
    return finish(notifier, sending, "ping", timeout_ms, detail, err);
}
