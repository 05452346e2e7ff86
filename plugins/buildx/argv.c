/* The command line of a build. Nothing is asked here, so that the same request always gives the same
 * words. */
#include <stdio.h>
#include <string.h>

#include "buildx/buildx.h"

static void add_option(struct plug_list *argv, const char *option, const char *value)
{
    plug_list_add(argv, option);
    plug_list_add(argv, value);
}

static void add_options(struct plug_list *argv, const char *option, const char *const *values)
{
    for (size_t i = 0; values[i] != NULL; i++)
        add_option(argv, option, values[i]);
}

static void add_pairs(struct plug_list *argv, const char *option,
                      const struct strake_pair *const *pairs)
{
    for (size_t i = 0; pairs[i] != NULL; i++) {
        plug_list_add(argv, option);
        plug_list_addf(argv, "%s=%s", pairs[i]->name, pairs[i]->value);
    }
}

/* One option with all values between commas. */
static void add_joined(struct plug_list *argv, const char *option, const char *const *values)
{
    struct plug_text list = { 0 };
    if (values[0] == NULL)
        return;
    for (size_t i = 0; values[i] != NULL; i++)
        plug_text_addf(&list, "%s%s", i > 0 ? "," : "", values[i]);
    plug_list_add(argv, option);
    plug_list_take(argv, plug_text_take(&list));
}

/* An absolute path, or one within the context: buildx would look for that in our own folder. */
static void add_dockerfile(const struct strake_build_request *request, struct plug_list *argv)
{
    const char *name = request->dockerfile[0] != '\0' ? request->dockerfile : "Dockerfile";
    bool within = name[0] != '/' && plug_context_is_folder(request->context);
    plug_list_add(argv, "--file");
    plug_list_addf(argv, "%s%s%s", within ? request->context : "", within ? "/" : "", name);
}

/* A folder is named by its path alone. */
static void add_contexts(struct plug_list *argv, const struct strake_pair *const *contexts)
{
    for (size_t i = 0; contexts[i] != NULL; i++) {
        const char *path = plug_context_path(contexts[i]->value);
        plug_list_add(argv, "--build-context");
        plug_list_addf(argv, "%s=%s", contexts[i]->name, path != NULL ? path : contexts[i]->value);
    }
}

/* buildx attests by itself: what was not asked for is switched off. */
static void add_attestations(struct plug_list *argv, const struct strake_pair *const *attestations)
{
    static const char *const kinds[] = { "provenance", "sbom" };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        const char *value = "false";
        for (size_t i = 0; attestations[i] != NULL; i++) {
            if (strcmp(attestations[i]->name, kinds[k]) != 0)
                continue;
            value = attestations[i]->value[0] != '\0' ? attestations[i]->value : "true";
            if (strcmp(value, "disabled") == 0)
                value = "false";
        }
        plug_list_addf(argv, "--%s=%s", kinds[k], value);
    }
}

static void add_no_cache(const struct strake_build_request *request, struct plug_list *argv)
{
    if (request->no_cache)
        plug_list_add(argv, "--no-cache");
    else
        add_joined(argv, "--no-cache-filter", request->no_cache_stages);
}

/* What most builds do without. */
static void add_more(const struct strake_build_request *request, struct plug_list *argv)
{
    if (request->pull)
        plug_list_add(argv, "--pull");
    add_options(argv, "--ssh", request->ssh);
    add_options(argv, "--allow", request->entitlements);
    add_pairs(argv, "--add-host", request->add_hosts);
    add_pairs(argv, "--ulimit", request->ulimits);
    if (request->network[0] != '\0' && strcmp(request->network, "default") != 0)
        add_option(argv, "--network", request->network);
    if (request->shm_size_bytes > 0) {
        plug_list_add(argv, "--shm-size");
        plug_list_addf(argv, "%lld", (long long)request->shm_size_bytes);
    }
    if (request->source_date_epoch[0] != '\0') {
        plug_list_add(argv, "--build-arg");
        plug_list_addf(argv, "SOURCE_DATE_EPOCH=%s", request->source_date_epoch);
    }
    if (request->multi_platform)
        add_option(argv, "--build-arg", "BUILDKIT_MULTI_PLATFORM=true");
    if (buildkit_output_is_image(request))
        add_pairs(argv, "--annotation", request->annotations);
}

static int add_output(const struct buildx *self, const struct strake_build_request *request,
                      struct plug_list *argv, struct strake_err *err)
{
    struct plug_text record = { 0 };
    int rc = 0;
    switch (request->output) {
    case STRAKE_OUTPUT_NONE:
        plug_csv_add(&record, "type", "cacheonly"); /* an engine would keep the image */
        break;
    case STRAKE_OUTPUT_STAGE:
        buildkit_output_stage(request, &record);
        break;
    case STRAKE_OUTPUT_FILE:
        if (buildx_is_saved(self, request)) {
            plug_csv_add(&record, "type", "docker");
            if (request->image[0] != '\0')
                plug_csv_add(&record, "name", request->image);
            break;
        }
        rc = buildkit_output_file(self->host, "buildx", request, &record, err);
        break;
    default:
        rc = self->host->fail(err, STRAKE_EUNSUPPORTED, "buildx does not know output %d",
                              (int)request->output);
    }
    if (buildkit_output_is_image(request))
        buildkit_output_layers(request, &record);
    if (rc < 0) {
        plug_text_dispose(&record);
        return rc;
    }
    plug_list_add(argv, "--output");
    plug_list_take(argv, plug_text_take(&record));
    return 0;
}

int buildx_argv_build(const struct buildx *self, const struct strake_build_request *request,
                      const char *metadata_file, struct plug_list *argv, struct strake_err *err)
{
    buildx_argv_begin(self, argv);
    plug_list_add(argv, "build");
    buildx_argv_builder(self, argv);
    plug_list_add(argv, "--progress=rawjson");
    add_dockerfile(request, argv);
    if (request->stage[0] != '\0')
        add_option(argv, "--target", request->stage);
    add_joined(argv, "--platform", request->platforms);
    add_pairs(argv, "--build-arg", request->args);
    add_pairs(argv, "--label", request->labels);
    add_contexts(argv, request->contexts);
    buildkit_argv_secrets(argv, request->secrets);
    add_no_cache(request, argv);
    add_more(request, argv);
    add_attestations(argv, request->attestations);
    add_options(argv, "--cache-from", request->cache_import);
    add_options(argv, "--cache-to", request->cache_export);
    int rc = add_output(self, request, argv, err);
    if (rc < 0)
        return rc;
    add_option(argv, "--metadata-file", metadata_file);
    plug_list_add(argv, "--");
    plug_list_add(argv, request->context);
    return argv->failed ? plug_fail_nomem(self->host, err) : 0;
}
