/* The request that a builder gets, from the target of a plan. */
#include "build/request.h"

#include "image/reference.h"

static int add_secrets(struct strake_request *out, const struct strake_plan_target *target)
{
    out->secrets = strake_calloc(target->secret_count + 1, sizeof(*out->secrets));
    out->secret_list =
        strake_calloc(target->secret_count + 1, sizeof(const struct strake_build_secret *));
    if (!out->secrets || !out->secret_list)
        return STRAKE_ENOMEM;
    for (size_t i = 0; i < target->secret_count; i++) {
        const struct strake_plan_secret *secret = &target->secrets[i];
        out->secrets[i] = (struct strake_build_secret){ .id = secret->id,
                                                        .file = secret->file,
                                                        .name = secret->name };
        out->secret_list[i] = &out->secrets[i];
    }
    out->request.secrets = out->secret_list;
    return 0;
}

/* A registry's repository is pushed to by digest; a layout is written by Strake itself. */
static int add_image(struct strake_request *out, const struct strake_plan_target *target,
                     const struct strake_stores *stores, struct strake_err *err)
{
    struct strake_reference ref = { 0 };
    int rc;

    if (target->images.count == 0) {
        rc = strake_fail(err, STRAKE_EUSAGE, "target %s has no image to stage it in", target->name);
        strake_err_place(err, target->file, target->line);
        strake_err_hint(err, "add image = \"REGISTRY/REPOSITORY\" to it, or use -t REF");
        return rc;
    }
    rc = strake_reference_parse(target->images.items[0], &ref, err);
    if (rc == 0 && ref.store == STRAKE_STORE_DOCKER_ARCHIVE) {
        rc = strake_fail(err, STRAKE_EUSAGE,
                         "target %s: an image cannot be staged in a docker archive", target->name);
        strake_err_place(err, target->file, target->line);
        strake_err_hint(err, "--output type=docker,dest=FILE writes one; oci:DIR is a layout");
    } else if (rc == 0 && ref.store == STRAKE_STORE_REGISTRY) {
        out->request.image = target->images.items[0];
        out->request.plain_http = strake_stores_plain_http(stores, ref.host);
    }
    strake_reference_dispose(&ref);
    return rc;
}

static const char *text_of(const char *text)
{
    return text ? text : "";
}

static void add_extras(struct strake_build_request *request,
                       const struct strake_build_extras *extras)
{
    request->ssh = strake_strings_view(&extras->ssh);
    request->entitlements = strake_strings_view(&extras->entitlements);
    request->add_hosts = strake_pairs_view(&extras->add_hosts);
    request->ulimits = strake_pairs_view(&extras->ulimits);
    request->attestations = strake_pairs_view(&extras->attestations);
    request->no_cache_stages = strake_strings_view(&extras->no_cache_stages);
    request->network = text_of(extras->network);
    request->compression = text_of(extras->compression);
    request->source_date_epoch = text_of(extras->source_date_epoch);
    request->shm_size_bytes = extras->shm_size_bytes;
    request->compression_level = extras->compression_level;
    request->force_compression = extras->force_compression;
    request->rewrite_timestamp = extras->rewrite_timestamp;
    request->pull = extras->pull;
}

int strake_request_make(struct strake_request *out, const struct strake_plan_target *target,
                        const struct strake_pairs *contexts, enum strake_output output,
                        const struct strake_stores *stores, struct strake_err *err)
{
    *out = (struct strake_request){ .request = {
                                        .size = sizeof(out->request),
                                        .target = target->name,
                                        .context = target->context,
                                        .dockerfile = target->dockerfile,
                                        .stage = target->stage,
                                        .platforms = strake_strings_view(&target->platforms),
                                        .args = strake_pairs_view(&target->args),
                                        .labels = strake_pairs_view(&target->labels),
                                        .contexts = strake_pairs_view(contexts),
                                        .cache_import = strake_strings_view(&target->cache_import),
                                        .cache_export = strake_strings_view(&target->cache_export),
                                        .no_cache = target->no_cache,
                                        .output = output,
                                        .image = "",
                                        .layout_dir = "",
                                        .output_type = "",
                                        .output_dest = "",
                                    } };
    out->request.annotations = strake_pairs_view(&target->annotations);
    out->request.source_policy = text_of(target->source_policy);
    add_extras(&out->request, &target->extras);
    if (add_secrets(out, target) < 0) {
        strake_request_dispose(out);
        return strake_fail_nomem(err);
    }
    if (output == STRAKE_OUTPUT_STAGE) {
        int rc = add_image(out, target, stores, err);
        if (rc < 0) {
            strake_request_dispose(out);
            return rc;
        }
    }
    return 0;
}

void strake_request_dispose(struct strake_request *request)
{
    strake_free(request->secrets);
    strake_free(request->secret_list);
    *request = (struct strake_request){ 0 };
}
