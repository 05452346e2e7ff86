/* A build from beginning to end. */
#include "common/buildkit_build.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buildkit_cache.h"
#include "common/buildkit_classify.h"
#include "common/buildkit_events.h"
#include "common/buildkit_watch.h"
#include "common/stream.h"
#include "common/tempdir.h"

#define METADATA_MAX ((size_t)4 * 1024 * 1024)

/* One running build. */
struct build {
    const struct buildkit_call *call;
    const struct strake_host *host;
    const struct strake_build_request *request;
    struct strake_job *job;
    struct strake_err *err;
    bool lost;      /* a step showed that the daemon is not reached */
    bool *overtook; /* NULL: told as any failure; else set in place of telling it */
    struct plug_tempdir dir;
    char metadata_file[PATH_MAX + 16];
    struct plug_list argv;
    struct plug_list env;
    struct buildkit_events events;
    struct plug_lines lines;
    struct plug_tail words; /* what else it writes to stderr */
    struct buildkit_exports exports;
    struct buildkit_watch watch;
};

/* ---- what it tells --------------------------------------------------------------------------- */

static void on_step(void *ctx, const struct strake_step *step)
{
    struct build *build = ctx;
    const struct buildkit_client *client = build->call->client;
    if (client->is_lost != NULL && client->is_lost(step))
        build->lost = true;
    else
        build->host->job_step(build->job, step);
    buildkit_note_export(&build->exports, step);
}

static void on_progress(void *ctx, const struct strake_step_progress *progress)
{
    const struct build *build = ctx;
    build->host->job_step_progress(build->job, progress);
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    const struct build *build = ctx;
    build->host->job_step_log(build->job, step, stream, data, len);
}

static void on_warning(void *ctx, const struct strake_step_warning *warning)
{
    const struct build *build = ctx;
    build->host->job_warning(build->job, warning);
}

static const struct buildkit_events_sink sink = {
    .step = on_step,
    .progress = on_progress,
    .log = on_log,
    .warning = on_warning,
};

/* Events and words come on one stream. `--trace` would keep them apart, but a client whose trace
 * nobody reads any more hangs for ever, and the build with it; one that cannot write to its stderr
 * ends. So when we are killed, nothing is left behind. */
static int on_line(void *ctx, char *line, size_t len)
{
    struct build *build = ctx;
    if (line[0] == '{') {
        int rc = buildkit_events_line(&build->events, line, len);
        return rc == 0 && build->lost ? STRAKE_EBUILDER : rc;
    }
    line[len] = '\n'; /* over its NUL */
    return plug_tail_keep(&build->words, line, len + 1);
}

static int on_output(void *ctx, const char *data, size_t len)
{
    struct build *build = ctx;
    buildkit_watch_heard(&build->watch);
    return plug_lines_feed(&build->lines, data, len);
}

/* ---- what went wrong ------------------------------------------------------------------------- */

/* The name that BuildKit knows the Dockerfile by. */
static const char *dockerfile_name(const struct strake_build_request *request)
{
    const char *slash = request->dockerfile[0] == '/' ? strrchr(request->dockerfile, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : request->dockerfile;
    return name[0] != '\0' ? name : "Dockerfile";
}

/* Which cache it was that had to be written, and could not be. */
static void name_cache(const struct build *build, struct plug_failure *failure)
{
    static const char begin[] = "the build cache could not be written";
    const char *step = plug_text_view(&build->events.failed);
    struct plug_text places = { 0 };
    struct plug_text message = { 0 };
    if (strncmp(failure->message, begin, strlen(begin)) != 0)
        return;
    buildkit_cache_places(build->request, step, &places);
    plug_text_addf(&message, "%s to %s%s", begin, plug_text_view(&places),
                   failure->message + strlen(begin));
    plug_shorten(failure->message, sizeof(failure->message), plug_text_view(&message), message.len);
    plug_text_dispose(&message);
    plug_text_dispose(&places);
}

/* BuildKit pushes the image and exports its cache at the same time. Of a new blob that both hold
 * the image's push may take the other's upload for done, and its manifest is refused (v0.32, one
 * push in ten). By then the blob is there, and the steps come from the cache. */
static bool overtook_its_cache(const struct build *build, const struct plug_failure *failure)
{
    return failure->code == STRAKE_EREGISTRY && build->request->cache_export[0] != NULL &&
           strstr(failure->message, "blob unknown to registry") != NULL;
}

/* From its last words. */
static int explain_exit(const struct build *build)
{
    const struct strake_build_request *request = build->request;
    size_t len;
    const char *text = plug_tail_text(&build->words, &len);
    struct plug_failure failure;
    buildkit_classify(text, len, plug_text_view(&build->events.failed), build->call->client,
                      &failure);
    if (build->call->client->refine != NULL)
        build->call->client->refine(build->call->self, &failure);
    if (build->overtook != NULL && overtook_its_cache(build, &failure)) {
        *build->overtook = true;
        return failure.code;
    }
    name_cache(build, &failure);
    bool nameless = failure.file[0] == '\0' && failure.code == STRAKE_EDOCKERFILE;
    bool ours = nameless || strcmp(failure.file, dockerfile_name(request)) == 0;
    if (ours)
        failure.file[0] = '\0'; /* people know it by its path */
    plug_failure_report(&failure, build->host, build->err);
    if (ours)
        build->host->err_place(build->err, request->dockerfile, failure.line);
    return failure.code;
}

static int explain(struct build *build, int rc, const struct strake_process_result *ended)
{
    const struct strake_host *host = build->host;
    const struct buildkit_call *call = build->call;
    if (build->lost && rc == STRAKE_EBUILDER)
        return call->client->why_lost(call->self, build->job, build->err);
    if (rc == STRAKE_ENOTFOUND)
        return call->client->no_program(call->self, build->err);
    if (rc == STRAKE_ETIMEOUT && build->events.lines == 0)
        return host->fail(build->err, STRAKE_EBUILDER, "the builder at %s began no build in time",
                          call->where);
    if (rc == STRAKE_ETIMEOUT)
        return host->fail(build->err, STRAKE_EBUILD, "the build was not done in time");
    if (rc < 0)
        return rc;
    if (ended->signal != 0)
        return host->fail(build->err, STRAKE_EBUILDER, "%s was ended by signal %d", call->program,
                          ended->signal);
    return explain_exit(build);
}

/* ---- what came out of it --------------------------------------------------------------------- */

/* An algorithm and as many hexadecimal digits as it has. */
static bool is_digest(const char *text)
{
    static const struct {
        const char *prefix;
        size_t digits;
    } kinds[] = { { "sha256:", 64 }, { "sha384:", 96 }, { "sha512:", 128 } };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t prefix = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, prefix) == 0)
            return strlen(text) == prefix + kinds[i].digits &&
                   strspn(text + prefix, "0123456789abcdef") == kinds[i].digits;
    }
    return false;
}

/* os/arch[/variant] of a single image, for a host that asks for it. */
static void read_platform(const json_t *platform, struct strake_build_result *result)
{
    const char *os = json_string_value(json_object_get(platform, "os"));
    const char *arch = json_string_value(json_object_get(platform, "architecture"));
    const char *variant = json_string_value(json_object_get(platform, "variant"));
    if (!STRAKE_HAS(result, platform) || os == NULL || arch == NULL)
        return;
    int len = snprintf(result->platform, sizeof(result->platform), "%s/%s%s%s", os, arch,
                       variant != NULL ? "/" : "", variant != NULL ? variant : "");
    if (len < 0 || (size_t)len >= sizeof(result->platform))
        result->platform[0] = '\0';
}

bool buildkit_metadata_parse(const char *json, size_t len, struct strake_build_result *result)
{
    json_t *root = json_loadb(json, len, 0, NULL);
    const json_t *descriptor = json_object_get(root, "containerimage.descriptor");
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));
    bool valid = digest != NULL && is_digest(digest) && strlen(digest) < sizeof(result->digest) &&
                 type != NULL && strlen(type) < sizeof(result->media_type);
    if (valid) {
        memcpy(result->digest, digest, strlen(digest) + 1);
        memcpy(result->media_type, type, strlen(type) + 1);
        read_platform(json_object_get(descriptor, "platform"), result);
    }
    json_decref(root);
    return valid;
}

static int read_result(struct build *build, struct strake_build_result *result)
{
    const struct strake_build_request *request = build->request;
    if (request->output == STRAKE_OUTPUT_NONE)
        return 0;
    char *json = NULL;
    size_t len = 0;
    int rc = plug_file_read(build->metadata_file, METADATA_MAX, &json, &len);
    bool named = rc == 0 && buildkit_metadata_parse(json, len, result);
    const struct buildkit_call *call = build->call;
    rc = call->client->finish != NULL
             ? call->client->finish(call->self, request, json != NULL ? json : "", len, build->job,
                                    build->err)
             : 0;
    free(json);
    if (rc < 0 || request->output != STRAKE_OUTPUT_STAGE)
        return rc; /* a folder or a plain tar has no digest */
    if (!named)
        return build->host->fail(build->err, STRAKE_EBUILDER,
                                 "the build is done, but %s names no digest of what it made",
                                 build->call->program);
    result->pushed = request->image[0] != '\0';
    return 0;
}

/* ---- the build ------------------------------------------------------------------------------- */

/* Is it one file that comes out? */
static bool writes_file(const struct strake_build_request *request)
{
    return request->output == STRAKE_OUTPUT_FILE && strcmp(request->output_type, "local") != 0 &&
           request->output_dest[0] != '\0';
}

/* What may be fetched, by a file. */
static int add_policy(struct build *build)
{
    const struct buildkit_client *client = build->call->client;
    const char *policy = build->request->source_policy;
    char path[PATH_MAX + 32];
    char *entry = NULL;
    if (policy[0] == '\0')
        return 0;
    int rc = plug_tempdir_write(build->host, &build->dir, "source-policy.json", policy,
                                strlen(policy), build->err);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "%s/source-policy.json", build->dir.path);
    if (client->policy_option != NULL) {
        plug_list_add(&build->argv, client->policy_option);
        plug_list_add(&build->argv, path);
        return 0;
    }
    if (asprintf(&entry, "%s=%s", client->policy_variable, path) < 0)
        return plug_fail_nomem(build->host, build->err);
    plug_list_take(&build->env, entry);
    return 0;
}

static int prepare(struct build *build)
{
    int rc = plug_tempdir_make_small(build->host, &build->dir, build->err);
    if (rc < 0)
        return rc;
    snprintf(build->metadata_file, sizeof(build->metadata_file), "%s/metadata.json",
             build->dir.path);
    const struct buildkit_call *call = build->call;
    rc = call->client->argv(call->self, build->request, build->metadata_file, &build->argv,
                            build->err);
    if (rc < 0)
        return rc;
    rc = call->client->env(call->self, build->request, &build->env, build->err);
    return rc < 0 ? rc : add_policy(build);
}

static int run(struct build *build)
{
    const struct strake_process_fd output = { .fd = 2, .data = on_output, .ctx = build };
    const struct strake_process_fd *const fds[] = { &output, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(&build->argv),
        .env = plug_list_view(&build->env),
        .fds = fds,
        .watch = build->call->liveness_ms > 0 ? buildkit_watch_look : NULL,
        .watch_ctx = &build->watch,
        .watch_ms = buildkit_watch_every(&build->watch),
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    buildkit_watch_heard(&build->watch);
    int rc = build->host->process_run(build->job, &process, &ended, build->err);
    int last = plug_lines_finish(&build->lines);
    if (build->events.bad_lines + build->lines.dropped > 0)
        build->host->log(STRAKE_LOG_WARN, "%zu of %s's %zu events were not understood",
                         build->events.bad_lines + build->lines.dropped, build->call->program,
                         build->events.lines);
    if (rc < 0 || ended.exit_code != 0)
        return explain(build, rc, &ended);
    return last < 0 ? plug_fail_nomem(build->host, build->err) : 0;
}

static int attempt(const struct buildkit_call *call, bool *overtook)
{
    const struct strake_host *host = call->host;
    struct strake_build_request request;
    plug_request_read(call->request, &request);
    struct build build = {
        .call = call,
        .host = host,
        .request = &request,
        .job = call->job,
        .err = call->err,
        .events = { .sink = &sink, .shown_as = request.dockerfile },
        .lines = { .max = BUILDKIT_EVENT_MAX, .line = on_line },
        .watch = { .call = call },
        .overtook = overtook,
    };
    build.events.ctx = &build;
    build.events.dockerfile = dockerfile_name(&request);
    build.lines.ctx = &build;
    struct strake_build_result made = { .size = sizeof(made) };
    const char *dest = request.output_dest;
    char *part = NULL;
    int rc = 0;
    if (writes_file(&request)) {
        rc = plug_part_begin(dest, &part) < 0 ? plug_fail_nomem(host, call->err) : 0;
        request.output_dest = part != NULL ? part : dest;
    }
    if (request.output == STRAKE_OUTPUT_STAGE && request.image[0] == '\0' &&
        request.layout_dir[0] == '\0')
        rc = host->fail(call->err, STRAKE_EUSAGE, "neither a repository nor a folder was named");
    if (rc == 0)
        rc = call->client->reach(call->self, call->job, call->err);
    if (rc == 0)
        rc = prepare(&build);
    if (rc == 0)
        rc = run(&build);
    if (rc == 0)
        rc = read_result(&build, &made);
    if (rc == 0)
        buildkit_tell_exports(&build.exports, host, &request, call->job);
    rc = plug_part_end(host, part, dest, rc, call->err);
    if (rc == 0) {
        struct strake_build_result *result = call->result;
        uint32_t size = result->size < sizeof(made) ? result->size : (uint32_t)sizeof(made);
        made.size = result->size;
        memcpy(result, &made, size);
    }
    plug_tempdir_remove(host, &build.dir);
    plug_list_dispose(&build.argv);
    plug_list_dispose(&build.env);
    buildkit_events_dispose(&build.events);
    plug_tail_dispose(&build.words);
    buildkit_exports_dispose(&build.exports);
    return rc;
}

int buildkit_build(const struct buildkit_call *call)
{
    bool overtook = false;
    int rc = attempt(call, &overtook);
    if (!overtook)
        return rc;
    call->host->log(STRAKE_LOG_INFO, "the push overtook the cache's export; once more");
    return attempt(call, NULL);
}
