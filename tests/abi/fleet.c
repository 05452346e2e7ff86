/* A builder that is what its options say: "platforms" that it names, "slow" milliseconds until it
 * answers, "down" why it does not; "build" ends as `down` says too. For tests of choosing. */
#include <poll.h>
#include <stdio.h>

#include "fixture.h"

static int probe(void *self, struct strake_job *job, struct strake_builder_info *info,
                 struct strake_err *err)
{
    const struct fixture *fixture = self;
    char *platforms = fixture_option(fixture, "platforms");
    char *slow = fixture_option(fixture, "slow");
    char *down = fixture_option(fixture, "down");
    struct pollfd cancelled = { .fd = fixture->host->job_cancel_fd(job), .events = POLLIN };
    int rc = 0;

    if (slow && poll(&cancelled, 1, atoi(slow)) > 0)
        rc = fixture->host->fail(err, STRAKE_ECANCELLED, "cancelled");
    else if (down)
        rc = fixture->host->fail(err, STRAKE_EBUILDER, "%s", down);
    else
        snprintf(info->platforms, sizeof(info->platforms), "%s", platforms ? platforms : "");
    free(platforms);
    free(slow);
    free(down);
    return rc;
}

static int command(void *self, const struct strake_build_request *request, struct strake_buf *out,
                   struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)request;
    (void)err;
    return fixture->host->buf_append(out, "[\"fleet\"]", 9);
}

static int build(void *self, const struct strake_build_request *request, struct strake_job *job,
                 struct strake_build_result *result, struct strake_err *err)
{
    const struct fixture *fixture = self;

    (void)request;
    (void)job;
    (void)result;
    return fixture->host->fail(err, STRAKE_EBUILD, "it builds nothing");
}

static const struct strake_builder_v1 builder = {
    .size = sizeof(builder),
    .probe = probe,
    .command = command,
    .build = build,
    .features = STRAKE_BUILDER_PUSH | STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK,
};

static const struct strake_interface interfaces[] = { { "builder/1", &builder }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "fleet",
    .version = "1",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
