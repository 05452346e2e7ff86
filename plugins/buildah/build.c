/* A build from beginning to end: one image for each platform, then whatever leaves the storage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buildah/buildah.h"
#include "buildah/classify.h"

#define DOCKERFILE_MAX ((size_t)1024 * 1024)
#define ID_MAX ((size_t)256)
#define ANSWER_MAX ((size_t)64 * 1024)

/* ---- what went wrong ------------------------------------------------------------------------- */

static int no_program(const struct buildah *self, struct strake_err *err)
{
    self->host->fail(err, STRAKE_EBUILDER, "the program %s was not found or cannot be run",
                     self->program);
    self->host->err_hint(err, "install buildah, or give its path as the builder's option program");
    return STRAKE_EBUILDER;
}

/* buildah does not say where; the instruction's words do, when they stand there once. */
static void place(const struct buildah_build *build, const struct plug_failure *failure)
{
    const char *file = build->request->dockerfile;
    char *text = NULL;
    int line = 0;
    if (file[0] == '/' && failure->instruction[0] != '\0' &&
        plug_file_read(file, DOCKERFILE_MAX, &text, NULL) == 0)
        line = buildah_instruction_line(text, failure->instruction);
    free(text);
    if (line > 0 || failure->code == STRAKE_EDOCKERFILE)
        build->host->err_place(build->err, file, line);
}

/* From what buildah wrote to stderr. @return the code that it is. */
static int explain_words(const struct buildah_build *build, const struct plug_tail *words)
{
    size_t len;
    const char *text = plug_tail_text(words, &len);
    struct plug_failure failure;
    buildah_classify(text, len, &failure);
    plug_failure_report(&failure, build->host, build->err);
    place(build, &failure);
    return failure.code;
}

/* `rc` and `ended` are of process_run(). @return 0: it went well. */
static int explain(const struct buildah_build *build, int rc,
                   const struct strake_process_result *ended, const struct plug_tail *words)
{
    if (rc == STRAKE_ENOTFOUND)
        return no_program(build->self, build->err);
    if (rc == STRAKE_ETIMEOUT)
        return build->host->fail(build->err, STRAKE_EBUILD, "the build was not done in time");
    if (rc < 0)
        return rc;
    if (ended->signal != 0)
        return build->host->fail(build->err, STRAKE_EBUILDER, "%s was ended by signal %d",
                                 build->self->program, ended->signal);
    return ended->exit_code != 0 ? explain_words(build, words) : 0;
}

/* ---- short calls ----------------------------------------------------------------------------- */

struct answer {
    const struct strake_host *host;
    struct strake_buf *text;
};

static int keep_answer(void *ctx, const char *data, size_t len)
{
    struct answer *answer = ctx;
    return answer->host->buf_append(answer->text, data, len);
}

static char *trimmed(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && strchr(" \n\r\t", text[len - 1]) != NULL)
        len--;
    return plug_strndup(text, len);
}

int buildah_call(struct buildah_build *build, const char *const *words, char **output)
{
    const struct strake_host *host = build->host;
    struct plug_list argv = { 0 };
    struct plug_tail errors = { 0 };
    struct answer answer = { .host = host, .text = host->buf_new(ANSWER_MAX) };
    buildah_argv_begin(build->self, &argv);
    for (size_t i = 0; words[i] != NULL; i++)
        plug_list_add(&argv, words[i]);
    const struct strake_process_fd out = { .fd = 1, .data = keep_answer, .ctx = &answer };
    const struct strake_process_fd said = { .fd = 2, .data = plug_tail_keep, .ctx = &errors };
    const struct strake_process_fd *const fds[] = { &out, &said, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(&argv),
        .env = plug_list_view(&build->env),
        .fds = fds,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = argv.failed || answer.text == NULL
                 ? plug_fail_nomem(host, build->err)
                 : explain(build, host->process_run(build->job, &process, &ended, build->err),
                           &ended, &errors);
    if (rc == STRAKE_EBUILD || rc == STRAKE_EDOCKERFILE) {
        /* These calls build nothing: whatever it is, it is not the build that is at fault. */
        size_t len;
        const char *text = plug_tail_text(&errors, &len);
        rc =
            host->fail(build->err, STRAKE_EBUILDER, "%s %s failed", build->self->program, words[0]);
        host->err_detail(build->err, text, len);
    }
    if (rc == 0 && output != NULL) {
        *output = trimmed(plug_buf_text(host, answer.text));
        rc = *output != NULL ? 0 : plug_fail_nomem(host, build->err);
    }
    if (answer.text != NULL)
        host->buf_free(answer.text);
    plug_tail_dispose(&errors);
    plug_list_dispose(&argv);
    return rc;
}

/* ---- one image ------------------------------------------------------------------------------- */

/* What flows while `buildah bud` runs. */
struct bud {
    struct buildah_build *build;
    struct buildah_steps steps;
    struct plug_lines lines;
    struct plug_tail words;
};

static void on_step(void *ctx, const struct strake_step *step)
{
    const struct bud *bud = ctx;
    bud->build->host->job_step(bud->build->job, step);
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    const struct bud *bud = ctx;
    bud->build->host->job_step_log(bud->build->job, step, stream, data, len);
}

static const struct buildah_steps_sink sink = { .step = on_step, .log = on_log };

static int on_line(void *ctx, char *line, size_t len)
{
    struct bud *bud = ctx;
    return buildah_steps_line(&bud->steps, line, len);
}

static int on_output(void *ctx, const char *data, size_t len)
{
    struct bud *bud = ctx;
    return plug_lines_feed(&bud->lines, data, len);
}

static int on_errors(void *ctx, const char *data, size_t len)
{
    struct bud *bud = ctx;
    buildah_steps_log(&bud->steps, 2, data, len);
    return plug_tail_keep(&bud->words, data, len);
}

static int run_bud(struct bud *bud, const struct plug_list *argv)
{
    struct buildah_build *build = bud->build;
    const struct strake_process_fd out = { .fd = 1, .data = on_output, .ctx = bud };
    const struct strake_process_fd said = { .fd = 2, .data = on_errors, .ctx = bud };
    const struct strake_process_fd *const fds[] = { &out, &said, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(argv),
        .env = plug_list_view(&build->env),
        .fds = fds,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = build->host->process_run(build->job, &process, &ended, build->err);
    int last = plug_lines_finish(&bud->lines);
    if (rc == 0 && last < 0)
        rc = plug_fail_nomem(build->host, build->err);
    rc = explain(build, rc, &ended, &bud->words);
    buildah_steps_end(&bud->steps, rc < 0 ? build->host->err_message(build->err) : NULL);
    if (bud->lines.dropped > 0)
        build->host->log(STRAKE_LOG_WARN,
                         "%zu lines of output were longer than %zu bytes and are "
                         "left out",
                         bud->lines.dropped, BUILDAH_LINE_MAX);
    return rc;
}

/* Build for one platform, and leave the image's id in *id (free()). */
static int make_image(struct buildah_build *build, const char *platform, const char *label,
                      bool no_cache, char **id)
{
    char id_file[PATH_MAX + 16];
    snprintf(id_file, sizeof(id_file), "%s/image-id", build->dir.path);
    struct plug_list argv = { 0 };
    buildah_argv_bud(build->self, build->request, platform, id_file, no_cache, &argv);
    struct bud bud = {
        .build = build,
        .steps = { .sink = &sink, .label = label },
        .lines = { .max = BUILDAH_LINE_MAX, .line = on_line },
    };
    bud.steps.ctx = &bud;
    bud.lines.ctx = &bud;
    int rc = argv.failed ? plug_fail_nomem(build->host, build->err) : run_bud(&bud, &argv);
    char *text = NULL;
    if (rc == 0 && plug_file_read(id_file, ID_MAX, &text, NULL) == 0)
        *id = trimmed(text);
    if (rc == 0 && *id == NULL)
        rc = build->host->fail(build->err, STRAKE_EBUILDER,
                               "the build is done, but %s names no image", build->self->program);
    free(text);
    buildah_steps_dispose(&bud.steps);
    plug_tail_dispose(&bud.words);
    plug_list_dispose(&argv);
    return rc;
}

/* Is the image for that platform? buildah 1.28 takes what it built for another one out of its cache
 * when the base is scratch. A variant that the image does not name is none. */
static int check_platform(struct buildah_build *build, const char *id, const char *platform,
                          bool *right)
{
    static const char format[] = "{{.OCIv1.OS}}/{{.OCIv1.Architecture}}";
    const char *const words[] = { "inspect", "--type", "image", "--format", format, id, NULL };
    char *found = NULL;
    int rc = buildah_call(build, words, &found);
    if (rc == 0) {
        size_t len = strlen(found);
        *right =
            strncmp(platform, found, len) == 0 && (platform[len] == '\0' || platform[len] == '/');
    }
    free(found);
    return rc;
}

static int build_platform(struct buildah_build *build, const char *platform, bool several)
{
    const char *label = several ? platform : "";
    char *id = NULL;
    bool right = true;
    int rc = make_image(build, platform, label, build->request->no_cache, &id);
    if (rc == 0 && platform != NULL)
        rc = check_platform(build, id, platform, &right);
    if (rc == 0 && !right) {
        build->host->log(STRAKE_LOG_INFO,
                         "buildah's cache gave an image of another platform than "
                         "%s: built again without it",
                         platform);
        free(id);
        id = NULL;
        rc = make_image(build, platform, label, true, &id);
    }
    if (rc == 0)
        plug_list_take(&build->images, id);
    else
        free(id);
    return rc == 0 && build->images.failed ? plug_fail_nomem(build->host, build->err) : rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool has_other_caches(const char *const *records)
{
    for (size_t i = 0; records[i] != NULL; i++) {
        char *repository = buildah_cache_repository(records[i]);
        free(repository);
        if (repository == NULL)
            return true;
    }
    return false;
}

static void warn_of_caches(const struct buildah_build *build)
{
    const struct strake_step_warning warning = {
        .size = sizeof(warning),
        .text = "buildah reads and writes build caches in registries only: the others are left out",
    };
    if (!has_other_caches(build->request->cache_import) &&
        !has_other_caches(build->request->cache_export))
        return;
    build->host->job_warning(build->job, &warning);
}

static int build_all(struct buildah_build *build, struct strake_build_result *result)
{
    const char *const *platforms = build->request->platforms;
    int rc = plug_tempdir_make(build->host, &build->dir, build->err);
    if (rc == 0)
        rc = buildah_config_make(build);
    if (rc < 0)
        return rc;
    warn_of_caches(build);
    bool several = platforms[0] != NULL && platforms[1] != NULL;
    if (platforms[0] == NULL)
        rc = build_platform(build, NULL, false);
    for (size_t i = 0; rc == 0 && platforms[i] != NULL; i++)
        rc = build_platform(build, platforms[i], several);
    return rc == 0 ? buildah_output(build, result) : rc;
}

int buildah_build(void *instance, const struct strake_build_request *given, struct strake_job *job,
                  struct strake_build_result *result, struct strake_err *err)
{
    const struct buildah *self = instance;
    struct strake_build_request request;
    plug_request_read(given, &request);
    struct buildah_build build = {
        .self = self,
        .host = self->host,
        .request = &request,
        .job = job,
        .err = err,
    };
    struct strake_build_result made = { .size = sizeof(made) };
    int rc = buildah_request_check(self, &request, err);
    if (rc == 0 && request.output == STRAKE_OUTPUT_STAGE && request.layout_dir[0] == '\0')
        rc = self->host->fail(
            err, STRAKE_EUNSUPPORTED,
            "buildah does not push by digest, and no folder to write to was given");
    const char *dest = request.output_dest;
    char *part = NULL;
    if (rc == 0 && request.output == STRAKE_OUTPUT_FILE &&
        strcmp(request.output_type, "local") != 0) {
        rc = plug_part_begin(dest, &part) < 0 ? plug_fail_nomem(self->host, err) : 0;
        request.output_dest = part != NULL ? part : dest;
    }
    if (rc == 0)
        rc = build_all(&build, &made);
    rc = plug_part_end(self->host, part, dest, rc, err);
    if (rc == 0) {
        uint32_t size = result->size < sizeof(made) ? result->size : (uint32_t)sizeof(made);
        made.size = result->size;
        memcpy(result, &made, size);
    }
    plug_tempdir_remove(self->host, &build.dir);
    plug_list_dispose(&build.env);
    plug_list_dispose(&build.images);
    return rc;
}
