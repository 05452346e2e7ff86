/* The command line of a build. Nothing is asked here, so that the same request
 * always gives the same words. */
#include <stdio.h>
#include <string.h>

#include "buildctl/buildctl.h"

void buildctl_argv_begin(const struct buildctl *self, struct plug_list *argv)
{
    const char *const options[][2] = {
        { "--addr", self->address },
        { "--tlscacert", self->ca },
        { "--tlscert", self->cert },
        { "--tlskey", self->key },
        { "--tlsservername", self->server_name },
    };
    plug_list_add(argv, self->program);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i][1] == NULL)
            continue;
        plug_list_add(argv, options[i][0]);
        plug_list_add(argv, options[i][1]);
    }
}

static void add_option(struct plug_list *argv, const char *option, const char *value)
{
    plug_list_add(argv, option);
    plug_list_add(argv, value);
}

/* ---- context and Dockerfile ------------------------------------------------------------------ */

/* A folder that holds `path`, as `--local NAME=FOLDER`. */
static void add_local_of(struct plug_list *argv, const char *name, const char *path)
{
    const char *slash = strrchr(path, '/');
    int len = slash == path ? 1 : (int)(slash - path);
    plug_list_add(argv, "--local");
    plug_list_addf(argv, "%s=%.*s", name, len, path);
}

static void add_context(const struct strake_build_request *request, struct plug_list *argv)
{
    bool folder = plug_context_is_folder(request->context);
    bool own_file = request->dockerfile[0] == '/'; /* else it is a path within the context */
    const char *name = own_file ? strrchr(request->dockerfile, '/') + 1 : request->dockerfile;
    plug_list_add(argv, folder ? "--local" : "--opt");
    plug_list_addf(argv, "context=%s", request->context);
    if (own_file) {
        add_local_of(argv, "dockerfile", request->dockerfile);
    } else if (folder) {
        plug_list_add(argv, "--local");
        plug_list_addf(argv, "dockerfile=%s", request->context);
    }
    if (own_file && !folder)
        add_option(argv, "--opt", "dockerfilekey=dockerfile"); /* ours, not the one of the URL */
    plug_list_add(argv, "--opt");
    plug_list_addf(argv, "filename=%s", name[0] != '\0' ? name : "Dockerfile");
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Named contexts: folders and layouts are sent by us, the daemon fetches all others. `i` gives what
 * is sent a name that none of a Dockerfile's own can be taken for. */
static int add_named_context(const struct buildctl *self, const struct strake_pair *context,
                             size_t i, struct plug_list *argv, struct strake_err *err)
{
    static const char layout[] = "oci-layout://";
    const char *path = plug_context_path(context->value);
    if (path != NULL) {
        plug_list_add(argv, "--local");
        plug_list_addf(argv, "context-%zu=%s", i, path);
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "context:%s=local:context-%zu", context->name, i);
        return 0;
    }
    if (!begins(context->value, layout)) {
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "context:%s=%s", context->name, context->value);
        return 0;
    }
    path = context->value + strlen(layout);
    const char *at = strrchr(path, '@');
    if (at == NULL) {
        self->host->fail(err, STRAKE_EUNSUPPORTED, "context %s: %s names no digest", context->name,
                         context->value);
        self->host->err_hint(err, "buildctl takes oci-layout://FOLDER@sha256:…");
        return STRAKE_EUNSUPPORTED;
    }
    plug_list_add(argv, "--oci-layout");
    plug_list_addf(argv, "context-%zu=%.*s", i, (int)(at - path), path);
    plug_list_add(argv, "--opt");
    plug_list_addf(argv, "context:%s=oci-layout://context-%zu%s", context->name, i, at);
    return 0;
}

/* ---- what goes into the build ---------------------------------------------------------------- */

static void add_pairs(struct plug_list *argv, const char *kind,
                      const struct strake_pair *const *pairs)
{
    for (size_t i = 0; pairs[i] != NULL; i++) {
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "%s:%s=%s", kind, pairs[i]->name, pairs[i]->value);
    }
}

static void add_platforms(struct plug_list *argv, const char *const *platforms)
{
    if (platforms[0] == NULL)
        return;
    struct plug_text list = { 0 };
    for (size_t i = 0; platforms[i] != NULL; i++)
        plug_text_addf(&list, "%s%s", i > 0 ? "," : "platform=", platforms[i]);
    plug_list_add(argv, "--opt");
    plug_list_take(argv, plug_text_take(&list));
}

/* ---- what comes out of it -------------------------------------------------------------------- */

static int add_output(const struct buildctl *self, const struct strake_build_request *request,
                      struct plug_list *argv, struct strake_err *err)
{
    struct plug_text record = { 0 };
    int rc = 0;
    switch (request->output) {
    case STRAKE_OUTPUT_NONE:
        return 0;
    case STRAKE_OUTPUT_STAGE:
        buildkit_output_stage(request, &record);
        break;
    case STRAKE_OUTPUT_FILE:
        rc = buildkit_output_file(self->host, "buildctl", request, &record, err);
        break;
    default:
        rc = self->host->fail(err, STRAKE_EUNSUPPORTED, "buildctl does not know output %d",
                              (int)request->output);
    }
    if (rc == 0 && buildkit_output_is_image(request))
        rc = buildctl_output_more(self, request, &record, err);
    if (rc < 0) {
        plug_text_dispose(&record);
        return rc;
    }
    plug_list_add(argv, "--output");
    plug_list_take(argv, plug_text_take(&record));
    return 0;
}

int buildctl_argv_build(const struct buildctl *self, const struct strake_build_request *request,
                        const char *metadata_file, struct plug_list *argv, struct strake_err *err)
{
    buildctl_argv_begin(self, argv);
    plug_list_add(argv, "build");
    plug_list_add(argv, "--progress=rawjson");
    add_option(argv, "--frontend", "dockerfile.v0");
    add_context(request, argv);
    if (request->stage[0] != '\0') {
        plug_list_add(argv, "--opt");
        plug_list_addf(argv, "target=%s", request->stage);
    }
    add_platforms(argv, request->platforms);
    add_pairs(argv, "build-arg", request->args);
    add_pairs(argv, "label", request->labels);
    int rc = 0;
    for (size_t i = 0; rc == 0 && request->contexts[i] != NULL; i++)
        rc = add_named_context(self, request->contexts[i], i, argv, err);
    if (rc < 0)
        return rc;
    buildkit_argv_secrets(argv, request->secrets);
    buildctl_argv_more(request, argv);
    for (size_t i = 0; request->cache_import[i] != NULL; i++)
        add_option(argv, "--import-cache", request->cache_import[i]);
    for (size_t i = 0; request->cache_export[i] != NULL; i++)
        add_option(argv, "--export-cache", request->cache_export[i]);
    rc = add_output(self, request, argv, err);
    if (rc < 0)
        return rc;
    add_option(argv, "--metadata-file", metadata_file);
    return argv->failed ? plug_fail_nomem(self->host, err) : 0;
}
