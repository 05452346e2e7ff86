/* Built against a newer minor of the ABI: more fields than this program knows. */
#include "fixture.h"

struct newer_notifier {
    struct strake_notifier_v1 known;
    int (*sing)(void *self);
    int (*dance)(void *self);
};

struct newer_plugin {
    struct strake_plugin known;
    const char *licence;
};

static int send(void *self, const struct strake_message *message, struct strake_job *job,
                struct strake_buf *receipt, struct strake_err *err)
{
    const struct fixture *fixture = self;
    const char *text = STRAKE_HAS(fixture->host, digest) ? "newer" : "host too old";

    (void)message, (void)job, (void)err;
    return fixture->host->buf_append(receipt, text, strlen(text));
}

static const struct newer_notifier notifier = {
    .known = { .size = sizeof(notifier), .send = send },
};
static const struct strake_interface interfaces[] = { { "notifier/1", &notifier }, { NULL, NULL } };
static const struct newer_plugin plugin = {
    .known = { .abi = STRAKE_ABI,
               .size = sizeof(plugin),
               .name = "newer",
               .version = "9.0",
               .open = fixture_open,
               .close = fixture_close,
               .interfaces = interfaces },
    .licence = "none",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin.known;
}
