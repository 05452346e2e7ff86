/* Methods that do not come back until the file that the option `gate` names is there; their
 * cancellation they look at only when the option `obeys` is given. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

static void pause_ms(long ms)
{
    struct timespec pause = { .tv_nsec = ms * 1000000 };

    nanosleep(&pause, NULL);
}

static int wait_at_gate(const struct fixture *fixture, const struct strake_job *job,
                        struct strake_err *err)
{
    char *gate = fixture_option(fixture, "gate");
    bool obeys = strstr(fixture->options, "obeys") != NULL;
    int rc = 0;

    while (rc == 0 && gate && access(gate, F_OK) != 0) {
        pause_ms(5);
        if (obeys && fixture->host->job_cancelled(job))
            rc = fixture->host->fail(err, STRAKE_ECANCELLED, "cancelled");
    }
    free(gate);
    return rc;
}

/* A trace for the tests that the method did end: the file that the option `trace` names. */
static void leave_trace(const struct fixture *fixture, const char *text)
{
    char *path = fixture_option(fixture, "trace");
    FILE *file = path ? fopen(path, "w") : NULL;

    if (file) {
        fputs(text, file);
        fclose(file);
    }
    free(path);
}

static int block_send(void *self, const struct strake_message *message, struct strake_job *job,
                      struct strake_buf *receipt, struct strake_err *err)
{
    const struct fixture *fixture = self;
    int rc = wait_at_gate(fixture, job, err);

    /* All of these are the call's own still. */
    if (rc == 0)
        rc = fixture->host->buf_append(receipt, message->text, strlen(message->text));
    leave_trace(fixture, message->tags[0] ? message->tags[0] : "");
    return rc;
}

static int block_probe(void *self, struct strake_job *job, struct strake_builder_info *info,
                       struct strake_err *err)
{
    memset(info->version, 'v', sizeof(info->version)); /* no NUL: the host ends it */
    return wait_at_gate(self, job, err);
}

static int block_command(void *self, const struct strake_build_request *request,
                         struct strake_buf *command, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)request, (void)err;
    return fixture->host->buf_append(command, "{\"no\":\"list\"}", 13);
}

static int block_build(void *self, const struct strake_build_request *request,
                       struct strake_job *job, struct strake_build_result *result,
                       struct strake_err *err)
{
    const struct fixture *fixture = self;
    struct strake_step step = { .size = sizeof(step),
                                .id = "s",
                                .name = "[1/1] RUN true",
                                .started_us = 1,
                                .completed_us = 2 };
    int rc = wait_at_gate(fixture, job, err);

    fixture->host->job_step(job, &step);
    memcpy(result->digest, "sha256:none", 12);
    leave_trace(fixture, request->args[0] ? request->args[0]->value : "");
    return rc;
}

static const struct strake_notifier_v1 notifier = { .size = sizeof(notifier), .send = block_send };
static const struct strake_builder_v1 builder = {
    .size = sizeof(builder),
    .probe = block_probe,
    .command = block_command,
    .build = block_build,
    .features = STRAKE_BUILDER_PUSH,
};
static const struct strake_interface interfaces[] = {
    { "notifier/1", &notifier },
    { "builder/1", &builder },
    { NULL, NULL },
};
static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "blocks",
    .version = "1",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
