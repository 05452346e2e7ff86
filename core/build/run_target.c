/* One target: its builder is opened and asked whether it is able, builds, and what it made is
 * staged by digest where the target's image lives. */
#include <string.h>

#include "build/copy.h"
#include "build/inspect.h"
#include "build/request.h"
#include "build/reuse.h"
#include "build/run.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

/* What one build needs while it runs. */
struct building {
    const struct strake_plan_target *target;
    const struct strake_run_options *options;
    struct strake_stores *stores;
    struct strake_job *job;
    const struct strake_run_result *others;
    struct strake_target_result *result;
    struct strake_err *err;
    struct strake_instance *builder;
    struct strake_reference image; /* of the first repository; `name` NULL when there is none */
    struct strake_pairs contexts;
    struct strake_buf auth;
    char *layout_dir; /* a temporary folder of ours, or NULL */
};

static void building_dispose(struct building *b)
{
    struct strake_err ignored = { 0 };

    if (b->layout_dir && strake_fs_remove_tree(b->layout_dir, &ignored) < 0)
        strake_log(STRAKE_LOG_WARN, "%s", strake_err_message(&ignored));
    strake_err_dispose(&ignored);
    strake_free(b->layout_dir);
    strake_instance_unref(b->builder);
    strake_reference_dispose(&b->image);
    strake_pairs_dispose(&b->contexts);
    strake_buf_dispose(&b->auth);
}

/* A Dockerfile that needs what the builder lacks is refused before anything runs. */
static int check_needs(struct building *b)
{
    const struct strake_plan_target *target = b->target;
    uint32_t features = strake_builder_features(b->builder);
    uint32_t wanted = STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK;
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    uint32_t missing;
    int line = 0;
    int rc = 0;

    if ((features & wanted) == wanted || strstr(target->context, "://"))
        return 0;
    rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &text, b->err);
    if (rc == 0)
        rc = strake_dockerfile_parse(strake_buf_text(&text), text.len, target->dockerfile,
                                     &dockerfile, b->err);
    if (rc < 0)
        goto out;
    missing = strake_dockerfile_needs(&dockerfile, wanted & ~features, &line);
    if (missing) {
        rc = strake_fail(b->err, STRAKE_EUNSUPPORTED, "builder %s (%s) cannot build %s",
                         strake_instance_name(b->builder), strake_instance_type(b->builder),
                         missing & STRAKE_BUILDER_HEREDOC ? "here-documents" : "COPY --link");
        strake_err_place(b->err, target->dockerfile, line);
        strake_err_hint(b->err, "use a BuildKit builder: set BUILDKIT_HOST, or builder \"NAME\" "
                                "{ type = \"buildctl\", address = … }");
    }
out:
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}

/* "target:base" becomes the image that base was staged as. */
static int resolve_contexts(struct building *b)
{
    const struct strake_pairs *given = &b->target->contexts;

    for (size_t i = 0; i < given->count; i++) {
        const char *name = given->items[i]->name, *value = given->items[i]->value;
        char *text = NULL;
        if (strncmp(value, "target:", 7) != 0) {
            text = strake_strdup(value);
        } else {
            for (size_t k = 0; k < b->others->count; k++) {
                const struct strake_target_result *other = &b->others->targets[k];
                if (strcmp(other->name, value + 7) == 0 && other->digest[0])
                    text = strake_asprintf("docker-image://%s@%s", other->image, other->digest);
            }
            if (!text) {
                strake_fail(b->err, STRAKE_ECONFIG,
                            "target %s is built on target %s, which has no image in a registry",
                            b->target->name, value + 7);
                strake_err_hint(b->err, "give target %s an `image`, so that it can be staged",
                                value + 7);
                return STRAKE_ECONFIG;
            }
        }
        if (!text || strake_pairs_set(&b->contexts, name, text) < 0) {
            strake_free(text);
            return strake_fail_nomem(b->err);
        }
        strake_free(text);
    }
    return 0;
}

/* Is some other target built on this one's image? Then it has to be staged whatever the output
 * is. */
static bool is_base(const struct building *b, const struct strake_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct strake_pairs *contexts = &plan->targets[i].contexts;
        for (size_t k = 0; k < contexts->count; k++) {
            const char *value = contexts->items[k]->value;
            if (strncmp(value, "target:", 7) == 0 && strcmp(value + 7, b->target->name) == 0)
                return true;
        }
    }
    return false;
}

/* Where the image goes first: a folder of ours for a builder that cannot push, or for a layout. */
static int choose_place(struct building *b, struct strake_build_request *request)
{
    int rc;

    if (b->image.store == STRAKE_STORE_REGISTRY &&
        (strake_builder_features(b->builder) & STRAKE_BUILDER_PUSH))
        return 0;
    request->image = "";
    rc = strake_fs_tempdir(&b->layout_dir, b->err);
    request->layout_dir = b->layout_dir;
    return rc;
}

/* Base images may come from a registry that wants credentials, whatever leaves the builder. */
static int add_credentials(struct building *b, struct strake_build_request *request)
{
    int rc = strake_stores_auth_json(b->stores, &b->auth, b->err);

    if (rc == 0 && b->auth.len)
        request->auth_json = strake_buf_text(&b->auth);
    return rc;
}

/* What a builder wrote to a folder is uploaded by our own client, blobs first, no tag. */
static int upload(struct building *b, const char *digest)
{
    struct strake_reference layout = { 0 };
    struct strake_place_in_store from = { 0 }, to = { 0 };
    struct strake_copy_report report = { 0 };
    char *name = strake_asprintf("oci:%s", b->layout_dir);
    int rc = name ? strake_stores_open(b->stores, name, &layout, &from, b->err)
                  : strake_fail_nomem(b->err);

    if (rc == 0)
        rc = strake_stores_find(b->stores, &b->image, &to, b->err);
    if (rc == 0)
        rc = strake_copy_image(&from, digest, &to, NULL, NULL, b->job, &report, b->err);
    strake_copy_report_dispose(&report);
    strake_place_in_store_dispose(&from);
    strake_place_in_store_dispose(&to);
    strake_reference_dispose(&layout);
    strake_free(name);
    return rc;
}

/* What the builder has told is not asked of the registry again. */
static int find_platforms(struct building *b, const struct strake_build_result *built)
{
    struct strake_target_result *result = b->result;
    char platform[STRAKE_PLATFORM_TEXT];

    if (!strake_media_is_manifest(built->media_type) || !built->platform[0] ||
        strake_platform_parse(built->platform, platform, b->err) < 0) {
        strake_err_dispose(b->err);
        return strake_inspect_platforms(b->stores, b->image.name, built->digest, b->job,
                                        &result->platforms, &result->media_type, b->err);
    }
    result->media_type = strake_strdup(built->media_type);
    if (!result->media_type || strake_pairs_set(&result->platforms, platform, built->digest) < 0)
        return strake_fail_nomem(b->err);
    return 0;
}

static int keep_result(struct building *b, const struct strake_build_result *built)
{
    struct strake_target_result *result = b->result;
    json_t *data;
    int rc;

    memcpy(result->digest, built->digest, sizeof(result->digest) - 1);
    strake_free(result->image);
    result->image = strake_strdup(b->image.name);
    strake_free(result->media_type);
    result->media_type = NULL;
    if (!result->image)
        return strake_fail_nomem(b->err);
    rc = find_platforms(b, built);
    if (!result->media_type)
        result->media_type = strake_strdup("");
    if (rc < 0 || !result->media_type)
        return rc < 0 ? rc : strake_fail_nomem(b->err);
    data = json_object();
    if (data && strake_json_set_str(data, "ref", b->image.name) == 0 &&
        strake_json_set_str(data, "digest", built->digest) == 0 &&
        strake_json_set(data, "platforms",
                        strake_json_pairs(strake_pairs_view(&result->platforms))) == 0)
        strake_job_event(b->job, STRAKE_EVENT_IMAGE_STAGED, data);
    else
        json_decref(data);
    return 0;
}

/* BuildKit pushes the image and exports its cache at the same time. Of a new blob that both hold
 * the image's push may take the other's upload for done, and its manifest is refused (v0.32, one
 * push in ten). By then the blob is there, and the steps come from the cache. */
static bool overtook_its_cache(const struct building *b, int rc)
{
    return rc == STRAKE_EREGISTRY && b->target->cache_export.count > 0 &&
           strstr(strake_err_message(b->err), "blob unknown to registry");
}

static int call_builder(struct building *b, const struct strake_build_request *request,
                        struct strake_build_result *built)
{
    int rc = strake_builder_build(b->builder, request, b->job, built, b->err);

    if (!overtook_its_cache(b, rc))
        return rc;
    strake_log(STRAKE_LOG_INFO, "the push overtook the cache's export; once more");
    strake_err_dispose(b->err);
    *built = (struct strake_build_result){ .size = sizeof(*built) };
    return strake_builder_build(b->builder, request, b->job, built, b->err);
}

static int build(struct building *b, const struct strake_plan *plan)
{
    const bool stage = b->options->output == STRAKE_OUTPUT_STAGE || is_base(b, plan);
    struct strake_build_result built = { .size = sizeof(built) };
    struct strake_strings refs = { 0 };
    struct strake_request made;
    int rc =
        strake_request_make(&made, b->target, &b->contexts,
                            stage ? STRAKE_OUTPUT_STAGE : b->options->output, b->stores, b->err);

    if (rc < 0)
        return rc;
    rc = add_credentials(b, &made.request);
    if (rc == 0 && stage) {
        rc = choose_place(b, &made.request);
    } else if (rc == 0 && b->options->output == STRAKE_OUTPUT_FILE) {
        made.request.output_type = b->options->output_type;
        made.request.output_dest = b->options->output_dest;
        rc = strake_plan_refs(b->target, &refs);
        if (rc == 0 && refs.count)
            made.request.image = refs.items[0];
    }
    if (rc == 0)
        rc = call_builder(b, &made.request, &built);
    strake_request_dispose(&made);
    strake_strings_dispose(&refs);
    if (rc < 0 || !stage)
        return rc;
    if (!built.digest[0])
        return strake_fail(b->err, STRAKE_EBUILDER, "builder %s staged %s but named no digest",
                           strake_instance_name(b->builder), b->target->name);
    if (!built.pushed)
        rc = upload(b, built.digest);
    return rc < 0 ? rc : keep_result(b, &built);
}

static int prepare(struct building *b)
{
    const struct strake_plan_build *chosen = &b->target->builds[0];
    int rc = strake_instance_open(chosen->plugin, chosen->builder, "builder/1", chosen->options,
                                  &b->builder, b->err);

    if (rc == 0 && b->target->images.count)
        rc = strake_reference_parse(b->target->images.items[0], &b->image, b->err);
    if (rc == 0)
        rc = check_needs(b);
    return rc < 0 ? rc : resolve_contexts(b);
}

int strake_run_target(const struct strake_plan *plan, const struct strake_plan_target *target,
                      const struct strake_run_options *options, struct strake_stores *stores,
                      struct strake_job *job, const struct strake_run_result *others,
                      struct strake_target_result *result)
{
    struct building b = { .target = target,
                          .options = options,
                          .stores = stores,
                          .job = job,
                          .others = others,
                          .result = result,
                          .err = &result->err,
                          .auth = { .secret = true } };
    int rc = strake_reuse_image(target, stores, job, result);

    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = prepare(&b);
    if (rc == 0)
        rc = build(&b, plan);
    building_dispose(&b);
    return rc;
}
