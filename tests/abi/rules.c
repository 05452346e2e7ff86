/* A notifier that keeps every rule of the ABI, unless it is compiled to break one of them. */
#include "fixture.h"

#ifndef ABI
#define ABI STRAKE_ABI
#endif
#ifndef NAME
#define NAME "good"
#endif
#ifndef VERSION
#define VERSION "1.2.3"
#endif
#ifndef INTERFACE
#define INTERFACE "notifier/1"
#endif
#ifndef VTABLE_SIZE
#define VTABLE_SIZE sizeof(notifier)
#endif
#ifndef DESCRIPTOR_SIZE
#define DESCRIPTOR_SIZE sizeof(plugin)
#endif
#ifndef SEND
#define SEND send
#endif
#ifndef OPEN
#define OPEN fixture_open
#endif
#ifndef RETURN
#define RETURN &plugin
#endif
#ifndef MAIN
#define MAIN strake_plugin_main
#endif

#ifdef UNRESOLVED
int nobody_offers_this(void);
#endif

static int send(void *self, const struct strake_message *message, struct strake_job *job,
                struct strake_buf *receipt, struct strake_err *err)
{
    const struct fixture *fixture = self;
    int rc = fixture->host->buf_append(receipt, message->text, strlen(message->text));

    (void)job;
#ifdef UNRESOLVED
    rc = nobody_offers_this();
#endif
    return rc < 0 ? fixture->host->fail(err, rc, "the receipt is too long") : 0;
}

static int open_anything(const struct strake_host *host, const char *options, void **self,
                         struct strake_err *err)
{
    (void)options;
    return fixture_open(host, "{}", self, err);
}

static int open_in_silence(const struct strake_host *host, const char *options, void **self,
                           struct strake_err *err)
{
    (void)host, (void)options, (void)self, (void)err;
    return STRAKE_ECONFIG;
}

static const struct strake_notifier_v1 notifier = {
    .size = (uint32_t)(VTABLE_SIZE),
    .send = SEND,
};

static const struct strake_interface interfaces[] = {
#ifdef NEWER_INTERFACE
    { "teleporter/7", &notifier },
#endif
    { INTERFACE, &notifier },
#ifdef TWICE
    { INTERFACE, &notifier },
#endif
    { NULL, NULL },
};

static const struct strake_plugin plugin = {
    .abi = ABI,
    .size = (uint32_t)(DESCRIPTOR_SIZE),
    .name = NAME,
    .version = VERSION,
    .open = OPEN,
    .close = fixture_close,
    .interfaces = interfaces,
    .summary = "for the tests of the ABI",
};

/* Not every variant uses all of the ways to open, and of the bodies of send(). */
void *const abi_unused[] = { (void *)(uintptr_t)open_anything, (void *)(uintptr_t)open_in_silence,
                             (void *)(uintptr_t)fixture_open, (void *)(uintptr_t)send };

STRAKE_EXPORT const struct strake_plugin *MAIN(void);
const struct strake_plugin *MAIN(void)
{
    (void)plugin;
    return RETURN;
}
