/* Asking a daemon what it is: which platforms it builds for, and which version it has. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "buildctl/buildctl.h"
#include "common/buildkit_classify.h"
#include "common/stream.h"

#define WORKERS_MAX ((size_t)4 * 1024 * 1024)

/* ---- what it answers ------------------------------------------------------------------------- */

/* "linux/arm/v7". False: not a platform. */
static bool add_platform(const json_t *platform, struct plug_text *list)
{
    const char *os = json_string_value(json_object_get(platform, "os"));
    const char *architecture = json_string_value(json_object_get(platform, "architecture"));
    const char *variant = json_string_value(json_object_get(platform, "variant"));
    if (os == NULL || architecture == NULL || os[0] == '\0' || architecture[0] == '\0')
        return false;
    plug_text_addf(list, "%s%s/%s", list->len > 0 ? "," : "", os, architecture);
    if (variant != NULL && variant[0] != '\0')
        plug_text_addf(list, "/%s", variant);
    return true;
}

/* What a daemon can that the Dockerfile frontend of its time needs. A version that a build of its
 * own does not say counts as new. */
static uint32_t features_of(const char *version)
{
    uint32_t features = STRAKE_BUILDER_PUSH | STRAKE_BUILDER_CACHE_EXPORT;
    int major, minor;
    bool known = sscanf(version, "v%d.%d", &major, &minor) == 2 && (major > 0 || minor > 0);
    if (!known || major > 0 || minor >= 10)
        features |= STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK;
    if (!known || major > 0 || minor >= 11)
        features |= STRAKE_BUILDER_SOURCE_POLICY;
    return features;
}

/* "oci, overlayfs, on HOST", from the labels of a worker. */
static void put_worker(const json_t *worker, char *out, size_t cap)
{
    static const struct {
        const char *label, *before;
    } parts[] = {
        { "org.mobyproject.buildkit.worker.executor", "" },
        { "org.mobyproject.buildkit.worker.snapshotter", "" },
        { "org.mobyproject.buildkit.worker.hostname", "on " },
    };
    const json_t *labels = json_object_get(worker, "labels");
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && used < cap; i++) {
        const char *value = json_string_value(json_object_get(labels, parts[i].label));
        if (value != NULL && value[0] != '\0')
            used += (size_t)snprintf(out + used, cap - used, "%s%s%s", used > 0 ? ", " : "",
                                     parts[i].before, value);
    }
}

int buildctl_workers_parse(const char *json, size_t len, struct strake_builder_info *info)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    /* BuildKit builds with its first worker, whatever others there are. */
    const json_t *worker = json_array_get(root, 0);
    struct plug_text platforms = { 0 };
    int rc = json_is_object(worker) ? 0 : STRAKE_EBUILDER;
    size_t i;
    json_t *platform;
    json_array_foreach(json_object_get(worker, "platforms"), i, platform) {
        if (!add_platform(platform, &platforms))
            rc = STRAKE_EBUILDER;
    }
    const char *version =
        json_string_value(json_object_get(json_object_get(worker, "buildkitVersion"), "version"));
    if (platforms.failed || platforms.len >= sizeof(info->platforms))
        rc = STRAKE_EBUILDER;
    if (rc == 0) {
        snprintf(info->platforms, sizeof(info->platforms), "%s", plug_text_view(&platforms));
        snprintf(info->version, sizeof(info->version), "%s", version != NULL ? version : "");
        info->features = features_of(info->version);
        info->workers = (uint32_t)json_array_size(root);
        put_worker(worker, info->worker, sizeof(info->worker));
    }
    plug_text_dispose(&platforms);
    json_decref(root);
    return rc;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Output of the program, kept up to WORKERS_MAX. */
struct answer {
    const struct strake_host *host;
    struct strake_buf *text;
};

static int keep_answer(void *ctx, const char *data, size_t len)
{
    struct answer *answer = ctx;
    return answer->host->buf_append(answer->text, data, len);
}

/* From its last words; whatever they are, it is the builder that cannot be used. */
static int explain_exit(const struct buildctl *self, const struct plug_tail *errors,
                        struct strake_err *err)
{
    size_t len;
    const char *text = plug_tail_text(errors, &len);
    struct plug_failure failure;
    buildkit_classify(text, len, "", &buildctl_client, &failure);
    failure.code = STRAKE_EBUILDER;
    buildctl_client.refine(self, &failure);
    plug_failure_report(&failure, self->host, err);
    return STRAKE_EBUILDER;
}

static int explain(const struct buildctl *self, int rc, int exit_code,
                   const struct plug_tail *errors, struct strake_err *err)
{
    if (rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM)
        return rc;
    if (rc == STRAKE_ENOTFOUND)
        return buildctl_no_program(self, err);
    if (rc == STRAKE_ETIMEOUT) {
        self->host->fail(err, STRAKE_EBUILDER,
                         "the builder at %s did not say within %lld ms what "
                         "it is",
                         self->address, (long long)self->timeout_ms);
        self->host->err_hint(err, "is it overloaded? the builder's option timeout gives it "
                                  "longer");
        return STRAKE_EBUILDER;
    }
    if (rc == 0 && exit_code != 0)
        return explain_exit(self, errors, err);
    return self->host->fail(err, STRAKE_EBUILDER,
                            "what answers at %s does not say what workers it has", self->address);
}

/* Ask with the program, within what is left of the time. */
static int ask(const struct buildctl *self, struct strake_job *job, struct strake_buf *text,
               struct strake_builder_info *info, struct strake_err *err)
{
    struct plug_list argv = { 0 };
    struct plug_tail errors = { 0 };
    buildctl_argv_begin(self, &argv);
    static const char *const words[] = { "debug", "workers", "--format", "{{json .}}" };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        plug_list_add(&argv, words[i]);
    struct answer answer = { .host = self->host, .text = text };
    const struct strake_process_fd out = { .fd = 1, .data = keep_answer, .ctx = &answer };
    const struct strake_process_fd words_of_it = { .fd = 2,
                                                   .data = plug_tail_keep,
                                                   .ctx = &errors };
    const struct strake_process_fd *const fds[] = { &out, &words_of_it, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(&argv),
        .fds = fds,
        .timeout_ms = self->timeout_ms,
        .grace_ms = 100,
    };
    struct strake_process_result result = { .size = sizeof(result) };
    int rc = argv.failed ? plug_fail_nomem(self->host, err)
                         : self->host->process_run(job, &process, &result, err);
    size_t len = 0;
    const char *json = rc == 0 ? self->host->buf_data(text, &len) : "";
    if (rc < 0 || result.exit_code != 0 || buildctl_workers_parse(json, len, info) < 0)
        rc = explain(self, rc, result.exit_code, &errors, err);
    plug_tail_dispose(&errors);
    plug_list_dispose(&argv);
    return rc;
}

int buildctl_probe(void *instance, struct strake_job *job, struct strake_builder_info *info,
                   struct strake_err *err)
{
    const struct buildctl *self = instance;
    struct strake_builder_info found = { .size = sizeof(found) };
    const struct buildkit_peer peer = buildctl_peer(self);
    int rc = buildkit_reach(&peer, job, err);
    if (rc < 0)
        return rc;
    struct strake_buf *text = self->host->buf_new(WORKERS_MAX);
    if (text == NULL)
        return plug_fail_nomem(self->host, err);
    rc = ask(self, job, text, &found, err);
    self->host->buf_free(text);
    if (rc == 0) {
        uint32_t size = info->size < sizeof(found) ? info->size : (uint32_t)sizeof(found);
        found.size = info->size;
        memcpy(info, &found, size);
    }
    return rc;
}
