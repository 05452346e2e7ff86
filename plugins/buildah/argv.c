/* Command lines of buildah. */
#include <stdio.h>
#include <string.h>

#include "buildah/buildah.h"

static void add_option(struct plug_list *argv, const char *option, const char *value)
{
    plug_list_add(argv, option);
    plug_list_add(argv, value);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- what it cannot do ----------------------------------------------------------------------- */

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    return count;
}

static int check_file_output(const struct buildah *self, const struct strake_build_request *request,
                             struct strake_err *err)
{
    const char *type = request->output_type;
    bool archive = strcmp(type, "oci") == 0 || strcmp(type, "docker") == 0;
    if (!archive && strcmp(type, "local") != 0 && strcmp(type, "tar") != 0)
        return self->host->fail(err, STRAKE_EUNSUPPORTED, "buildah cannot write type=%s", type);
    if (request->output_dest[0] == '\0')
        return self->host->fail(err, STRAKE_EUSAGE, "type=%s needs a dest", type);
    if (strcmp(type, "oci") != 0 && count_of(request->platforms) > 1)
        return self->host->fail(err, STRAKE_EUNSUPPORTED,
                                "buildah cannot write several platforms as type=%s", type);
    /* Both have a syntax of their own that has no way to quote. */
    if (strpbrk(request->output_dest, archive ? ":" : ",\"") != NULL)
        return self->host->fail(err, STRAKE_EUNSUPPORTED, "buildah cannot write to the path %s",
                                request->output_dest);
    return 0;
}

int buildah_request_check(const struct buildah *self, const struct strake_build_request *request,
                          struct strake_err *err)
{
    const struct strake_host *host = self->host;
    for (size_t i = 0; request->contexts[i] != NULL; i++) {
        const char *value = request->contexts[i]->value;
        if (begins(value, "oci-layout:") || begins(value, "target:"))
            return host->fail(err, STRAKE_EUNSUPPORTED, "context %s: buildah cannot take %s",
                              request->contexts[i]->name, value);
    }
    for (size_t i = 0; request->secrets[i] != NULL; i++) {
        const struct strake_build_secret *secret = request->secrets[i];
        if (secret->file == NULL && secret->name == NULL)
            return host->fail(err, STRAKE_EUSAGE, "secret %s has neither a file nor a name",
                              secret->id);
        if (strchr(secret->id, ',') != NULL ||
            (secret->file != NULL && strchr(secret->file, ',') != NULL))
            return host->fail(err, STRAKE_EUNSUPPORTED,
                              "secret %s: buildah takes no comma in its id or path", secret->id);
    }
    int rc = buildah_more_check(self, request, err);
    if (rc < 0)
        return rc;
    switch (request->output) {
    case STRAKE_OUTPUT_NONE:
        return 0;
    case STRAKE_OUTPUT_STAGE:
        if (strchr(request->layout_dir, ':') != NULL)
            return host->fail(err, STRAKE_EUNSUPPORTED, "buildah cannot write to the path %s",
                              request->layout_dir);
        return 0;
    case STRAKE_OUTPUT_FILE:
        return check_file_output(self, request, err);
    }
    return host->fail(err, STRAKE_EUNSUPPORTED, "buildah does not know output %d",
                      (int)request->output);
}

/* ---- command lines --------------------------------------------------------------------------- */

void buildah_argv_begin(const struct buildah *self, struct plug_list *argv)
{
    plug_list_add(argv, self->program);
    if (self->root != NULL) {
        add_option(argv, "--root", self->root);
        plug_list_add(argv, "--runroot");
        plug_list_addf(argv, "%s/run", self->root);
    }
    if (self->storage_driver != NULL)
        add_option(argv, "--storage-driver", self->storage_driver);
}

static void add_context_options(const struct strake_build_request *request, struct plug_list *argv)
{
    for (size_t i = 0; request->contexts[i] != NULL; i++) {
        const char *path = plug_context_path(request->contexts[i]->value);
        plug_list_add(argv, "--build-context");
        plug_list_addf(argv, "%s=%s", request->contexts[i]->name,
                       path != NULL ? path : request->contexts[i]->value);
    }
    for (size_t i = 0; request->secrets[i] != NULL; i++) {
        const struct strake_build_secret *secret = request->secrets[i];
        plug_list_add(argv, "--secret");
        if (secret->file != NULL)
            plug_list_addf(argv, "id=%s,src=%s", secret->id, secret->file);
        else
            plug_list_addf(argv, "id=%s,env=STRAKE_SECRET_%zu", secret->id, i);
    }
}

void buildah_argv_bud(const struct buildah *self, const struct strake_build_request *request,
                      const char *platform, const char *id_file, bool no_cache,
                      struct plug_list *argv)
{
    buildah_argv_begin(self, argv);
    plug_list_add(argv, "bud");
    plug_list_add(argv, "--layers");
    plug_list_add(argv, "--force-rm");             /* a failed build leaves no container behind */
    plug_list_add(argv, "--identity-label=false"); /* its own version is no part of an image */
    add_option(argv, "--format", "oci");
    add_option(argv, "--isolation", self->isolation);
    if (self->runtime != NULL)
        add_option(argv, "--runtime", self->runtime);
    if (platform != NULL)
        add_option(argv, "--platform", platform);
    if (request->stage[0] != '\0')
        add_option(argv, "--target", request->stage);
    for (size_t i = 0; request->args[i] != NULL; i++) {
        plug_list_add(argv, "--build-arg");
        plug_list_addf(argv, "%s=%s", request->args[i]->name, request->args[i]->value);
    }
    for (size_t i = 0; request->labels[i] != NULL; i++) {
        plug_list_add(argv, "--label");
        plug_list_addf(argv, "%s=%s", request->labels[i]->name, request->labels[i]->value);
    }
    add_context_options(request, argv);
    buildah_argv_more(request, argv);
    if (no_cache)
        plug_list_add(argv, "--no-cache");
    if (request->output == STRAKE_OUTPUT_FILE &&
        (strcmp(request->output_type, "local") == 0 || strcmp(request->output_type, "tar") == 0)) {
        plug_list_add(argv, "--output");
        plug_list_addf(argv, "type=%s,dest=%s", request->output_type, request->output_dest);
    }
    add_option(argv, "--iidfile", id_file);
    add_option(argv, "--file", request->dockerfile[0] != '\0' ? request->dockerfile : "Dockerfile");
    plug_list_add(argv, request->context);
}
