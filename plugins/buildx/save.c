/* An engine without the containerd image store keeps what it builds, and writes no archive of it.
 * docker does: the image goes into the engine's store, as `docker build` would put it there, and is
 * saved from it. */
#include <jansson.h>
#include <string.h>

#include "buildx/buildx.h"
#include "common/stream.h"

bool buildx_is_saved(const struct buildx *self, const struct strake_build_request *request)
{
    return atomic_load(&self->stores) && request->output == STRAKE_OUTPUT_FILE &&
           strcmp(request->output_type, "docker") == 0 && request->output_dest[0] != '\0';
}

/* By its name, or as buildx says: the digest of its configuration is the image's id. */
static const char *what_to_save(const struct strake_build_request *request, const json_t *metadata)
{
    if (request->image[0] != '\0')
        return request->image;
    return json_string_value(json_object_get(metadata, "containerimage.config.digest"));
}

static void add_command(const struct buildx *self, const char *dest, const char *image,
                        struct plug_list *argv)
{
    plug_list_add(argv, buildx_is_docker(self->program) ? self->program : "docker");
    if (self->builder != NULL && strcmp(self->builder, "default") != 0) {
        plug_list_add(argv, "--context"); /* which the engine's own builder is named by */
        plug_list_add(argv, self->builder);
    }
    plug_list_add(argv, "save");
    plug_list_add(argv, "--output");
    plug_list_add(argv, dest);
    plug_list_add(argv, "--");
    plug_list_add(argv, image);
}

static int run(const struct buildx *self, const struct plug_list *argv, struct strake_job *job,
               struct strake_err *err)
{
    struct plug_tail words = { 0 };
    const struct strake_process_fd errors = { .fd = 2, .data = plug_tail_keep, .ctx = &words };
    const struct strake_process_fd *const fds[] = { &errors, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = plug_list_view(argv),
        .fds = fds,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = argv->failed ? plug_fail_nomem(self->host, err)
                          : self->host->process_run(job, &process, &ended, err);
    if (rc == STRAKE_ENOTFOUND) {
        rc = self->host->fail(err, STRAKE_EUNSUPPORTED,
                              "the Docker engine writes no archives itself, and there is no docker "
                              "to save one with");
        self->host->err_hint(err, "install the docker client, or turn on the engine's containerd "
                                  "image store");
    } else if (rc == 0 && ended.exit_code != 0) {
        size_t len;
        const char *text = plug_tail_text(&words, &len);
        rc = self->host->fail(err, STRAKE_EBUILDER, "docker save ended with exit code %d",
                              ended.exit_code);
        self->host->err_detail(err, text, len);
    }
    plug_tail_dispose(&words);
    return rc;
}

int buildx_save(const struct buildx *self, const struct strake_build_request *request,
                const char *metadata, size_t len, struct strake_job *job, struct strake_err *err)
{
    if (!buildx_is_saved(self, request))
        return 0;
    json_t *root = json_loadb(metadata, len, 0, NULL);
    const char *image = what_to_save(request, root);
    struct plug_list argv = { 0 };
    int rc;
    if (image == NULL) {
        rc = self->host->fail(err, STRAKE_EBUILDER,
                              "the build is done, but buildx does not say what the image is");
    } else {
        add_command(self, request->output_dest, image, &argv);
        rc = run(self, &argv, job, err);
    }
    plug_list_dispose(&argv);
    json_decref(root);
    return rc;
}
