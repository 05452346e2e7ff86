/* Built against an older minor of the ABI: a descriptor without a summary, a vtable of one method.
 */
#include "fixture.h"

struct older_notifier {
    uint32_t size;
    int (*send)(void *self, const struct strake_message *message, struct strake_job *job,
                struct strake_buf *receipt, struct strake_err *err);
    void *guard; /* not the vtable's: a host that reads on finds this and calls it */
};

static int send(void *self, const struct strake_message *message, struct strake_job *job,
                struct strake_buf *receipt, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)message, (void)job, (void)err;
    return fixture->host->buf_append(receipt, "older", 5);
}

static const struct {
    struct older_notifier notifier;
    void *more[8];
} table = {
    .notifier = { .size = offsetof(struct older_notifier, guard),
                  .send = send,
                  .guard = (void *)1 },
    .more = { (void *)1, (void *)1, (void *)1, (void *)1 },
};

static const struct strake_interface interfaces[] = { { "notifier/1", &table }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = offsetof(struct strake_plugin, summary),
    .name = "older",
    .version = "0.9",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
    .summary = (const char *)1, /* past its size */
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
