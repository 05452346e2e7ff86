/* The platforms of a target on their builders: each share on a thread of its own, on to the next
 * builder when one is lost or not able. */
#include <string.h>

#include "build/copy.h"
#include "build/inspect.h"
#include "build/run_impl.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/log.h"

/* One builder's share while it is built. */
struct share {
    struct strake_building *b;
    struct strake_pool_member *member;
    const struct strake_strings *platforms;
    struct strake_instance *builder;
    struct strake_job *job;
    char *layout_dir;                                 /* a temporary folder of ours, or NULL */
    struct strake_strings cache_import, cache_export; /* of these platforms */
    struct strake_build_result built;
    struct strake_err err;
    pthread_t thread;
    bool has_thread;
    int rc;
};

/* ---- able or not ---- */

/* A Dockerfile that needs what the builder lacks is refused before anything runs. */
static int check_needs(struct share *share)
{
    const struct strake_plan_target *target = share->b->target;
    uint32_t features = strake_builder_features(share->builder);
    uint32_t wanted = STRAKE_BUILDER_HEREDOC | STRAKE_BUILDER_COPY_LINK;
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    uint32_t missing;
    int line = 0;
    int rc = 0;

    if ((features & wanted) == wanted || strstr(target->context, "://"))
        return 0;
    rc = strake_fs_read(target->dockerfile, STRAKE_DOCKERFILE_MAX, &text, &share->err);
    if (rc == 0)
        rc = strake_dockerfile_parse(strake_buf_text(&text), text.len, target->dockerfile,
                                     &dockerfile, &share->err);
    if (rc < 0)
        goto out;
    missing = strake_dockerfile_needs(&dockerfile, wanted & ~features, &line);
    if (missing) {
        rc = strake_fail(&share->err, STRAKE_EUNSUPPORTED, "builder %s (%s) cannot build %s",
                         strake_instance_name(share->builder), strake_instance_type(share->builder),
                         missing & STRAKE_BUILDER_HEREDOC ? "here-documents" : "COPY --link");
        strake_err_place(&share->err, target->dockerfile, line);
        strake_err_hint(&share->err, "use a BuildKit builder: set BUILDKIT_HOST, or builder "
                                     "\"NAME\" { type = \"buildctl\", address = … }");
    }
out:
    strake_dockerfile_dispose(&dockerfile);
    strake_buf_dispose(&text);
    return rc;
}

/* What policies at `source` said holds only where the builder enforces it, or where every source has a
 * digest already. */
static int check_sources(struct share *share)
{
    const struct strake_plan_target *target = share->b->target;
    int rc;

    if (!target->source_policy || target->sources_pinned ||
        (strake_builder_features(share->builder) & STRAKE_BUILDER_SOURCE_POLICY))
        return 0;
    rc = strake_fail(&share->err, STRAKE_EUNSUPPORTED,
                     "builder %s (%s) cannot enforce what policies at `source` say",
                     strake_instance_name(share->builder), strake_instance_type(share->builder));
    strake_err_place(&share->err, target->file, target->line);
    strake_err_hint(&share->err,
                    "use a BuildKit builder, or name every base image with its digest");
    return rc;
}

/* ---- one call ---- */

/* Where the image goes first: a folder of ours for a builder that cannot push, or for a layout. */
static int choose_place(struct share *share, struct strake_build_request *request)
{
    const uint32_t features = strake_builder_features(share->builder);
    const bool pushes =
        share->b->image.store == STRAKE_STORE_REGISTRY && (features & STRAKE_BUILDER_PUSH);
    int rc;

    if (pushes && !(features & STRAKE_BUILDER_EITHER))
        return 0;
    if (!pushes)
        request->image = "";
    rc = strake_fs_tempdir(&share->layout_dir, &share->err);
    request->layout_dir = share->layout_dir;
    return rc;
}

/* What a builder wrote to a folder is uploaded by our own client, blobs first, no tag. */
static int upload(struct share *share)
{
    struct strake_stores *stores = share->b->run->stores;
    struct strake_reference layout = { 0 };
    struct strake_place_in_store from = { 0 }, to = { 0 };
    struct strake_copy_report report = { 0 };
    char *name = strake_asprintf("oci:%s", share->layout_dir);
    int rc = name ? strake_stores_open(stores, name, &layout, &from, &share->err)
                  : strake_fail_nomem(&share->err);

    if (rc == 0)
        rc = strake_stores_find(stores, &share->b->image, &to, &share->err);
    if (rc == 0)
        rc = strake_copy_image(&from, share->built.digest, &to, NULL, share->job, &report,
                               &share->err);
    strake_copy_report_dispose(&report);
    strake_place_in_store_dispose(&from);
    strake_place_in_store_dispose(&to);
    strake_reference_dispose(&layout);
    strake_free(name);
    return rc;
}

static int make_request(struct share *share, struct strake_request *made,
                        struct strake_strings *refs)
{
    struct strake_building *b = share->b;
    const struct strake_run_options *options = b->run->options;
    int rc = strake_request_make(made, b->target, &b->contexts,
                                 b->stage ? STRAKE_OUTPUT_STAGE : options->output, b->run->stores,
                                 &share->err);

    if (rc < 0)
        return rc;
    made->request.platforms = strake_strings_view(share->platforms);
    if (strake_plan_cache(b->target, share->platforms, &share->cache_import, &share->cache_export) <
        0)
        return strake_fail_nomem(&share->err);
    made->request.cache_import = strake_strings_view(&share->cache_import);
    made->request.cache_export = strake_strings_view(&share->cache_export);
    made->request.multi_platform = share->platforms->count < b->target->platforms.count;
    if (b->auth.len)
        made->request.auth_json = strake_buf_text(&b->auth);
    if (b->stage)
        return choose_place(share, &made->request);
    if (options->output == STRAKE_OUTPUT_FILE) {
        made->request.output_type = options->output_type;
        made->request.output_dest = options->output_dest;
        rc = strake_plan_refs(b->target, refs);
        if (rc == 0 && refs->count)
            made->request.image = refs->items[0];
    }
    return rc < 0 ? strake_fail_nomem(&share->err) : 0;
}

static int build_share(struct share *share)
{
    struct strake_building *b = share->b;
    struct strake_strings refs = { 0 };
    struct strake_request made = { 0 };
    int rc = strake_pool_instance(share->member, &share->builder, &share->err);

    if (rc == 0)
        rc = check_needs(share);
    if (rc == 0)
        rc = check_sources(share);
    if (rc == 0)
        rc = make_request(share, &made, &refs);
    if (rc == 0)
        rc = strake_builder_build(share->builder, &made.request, share->job, &share->built,
                                  &share->err);
    strake_request_dispose(&made);
    strake_strings_dispose(&refs);
    if (rc < 0 || !b->stage)
        return rc;
    if (!share->built.digest[0])
        return strake_fail(&share->err, STRAKE_EBUILDER, "builder %s staged %s but named no digest",
                           strake_instance_name(share->builder), b->target->name);
    return share->built.pushed ? 0 : upload(share);
}

/* ---- what was made ---- */

/* What the builder has told is not asked of the registry again. */
static int find_platforms(struct share *share, struct strake_built *built)
{
    const struct strake_build_result *result = &share->built;
    char platform[STRAKE_PLATFORM_TEXT];

    if (!strake_media_is_manifest(result->media_type) || !result->platform[0] ||
        strake_platform_parse(result->platform, platform, &share->err) < 0) {
        strake_err_dispose(&share->err);
        return strake_inspect_platforms(share->b->run->stores, share->b->image.name, result->digest,
                                        share->job, &built->platforms, &built->media_type,
                                        &built->manifest, &share->err);
    }
    built->media_type = strake_strdup(result->media_type);
    if (!built->media_type || strake_pairs_set(&built->platforms, platform, result->digest) < 0)
        return strake_fail_nomem(&share->err);
    return 0;
}

static int keep_built(struct share *share)
{
    struct strake_building *b = share->b;
    struct strake_built *list, built = { .result = share->built };
    int rc = b->stage ? find_platforms(share, &built) : 0;

    built.builder = strake_strdup(strake_pool_name(share->member));
    if (rc == 0 && !built.builder)
        rc = strake_fail_nomem(&share->err);
    if (rc == 0) {
        pthread_mutex_lock(&b->lock);
        list = strake_reallocarray(b->built, b->count + 1, sizeof(*list));
        if (list) {
            b->built = list;
            list[b->count++] = built;
        }
        pthread_mutex_unlock(&b->lock);
        if (list)
            return 0;
        rc = strake_fail_nomem(&share->err);
    }
    strake_pairs_dispose(&built.platforms);
    strake_free(built.media_type);
    strake_buf_dispose(&built.manifest);
    strake_free(built.builder);
    return rc;
}

/* ---- a share, and who takes over ---- */

/* The first failure is the target's, and the other shares stop: what they make is of no use. */
static int fail_target(struct share *share, int rc)
{
    struct strake_building *b = share->b;

    pthread_mutex_lock(&b->lock);
    if (!b->err.code)
        strake_err_move(&b->err, &share->err);
    pthread_mutex_unlock(&b->lock);
    strake_job_cancel(b->job);
    strake_pool_wake(b->run->pool);
    return rc;
}

/* Another builder takes these platforms: this one is lost, or cannot build the target. */
static int pass_on(struct share *share, int rc)
{
    struct strake_building *b = share->b;
    const size_t most = 2 * b->target->build_count + 4;
    bool known;

    if (rc == STRAKE_EBUILDER)
        strake_pool_lost(b->run->pool, share->member, &share->err);
    strake_log(STRAKE_LOG_WARN, "target %s leaves builder %s: %s", b->target->name,
               strake_pool_name(share->member), strake_err_message(&share->err));
    pthread_mutex_lock(&b->lock);
    known = rc == STRAKE_EBUILDER
                ? (size_t)++b->losses <= most
                : strake_refusals_add(b->run->pool, &b->refusals, share->member, &share->err) == 0;
    pthread_mutex_unlock(&b->lock);
    if (!known)
        return fail_target(share, rc);
    strake_err_dispose(&share->err);
    return strake_build_platforms(b, share->platforms);
}

static void share_end(struct share *share)
{
    struct strake_err ignored = { 0 };

    if (share->layout_dir && strake_fs_remove_tree(share->layout_dir, &ignored) < 0)
        strake_log(STRAKE_LOG_WARN, "%s", strake_err_message(&ignored));
    strake_err_dispose(&ignored);
    strake_free(share->layout_dir);
    strake_strings_dispose(&share->cache_import);
    strake_strings_dispose(&share->cache_export);
    strake_job_free(share->job);
    strake_err_dispose(&share->err);
}

/* Several builders may count their steps alike. */
static int name_steps(struct share *share)
{
    const struct strake_building *b = share->b;
    char *scope;
    int rc;

    if (b->target->build_count < 2)
        return 0;
    scope = strake_asprintf("%s/", strake_pool_name(share->member));
    rc = scope ? strake_job_set_scope(share->job, scope) : STRAKE_ENOMEM;
    strake_free(scope);
    return rc < 0 ? strake_fail_nomem(&share->err) : 0;
}

static int run_share(struct share *share)
{
    struct strake_building *b = share->b;
    int rc;

    share->job = strake_job_new(b->job, NULL, b->target->name);
    rc = share->job ? name_steps(share) : strake_fail_nomem(&share->err);
    if (rc == 0)
        rc = strake_pool_enter(b->run->pool, share->member, share->job, &share->err);
    if (rc == 0) {
        rc = build_share(share);
        if (rc == 0)
            rc = keep_built(share);
        strake_pool_leave(b->run->pool, share->member);
    }
    if (rc == 0)
        return 0;
    if ((rc == STRAKE_EBUILDER || rc == STRAKE_EUNSUPPORTED) && b->target->build_count > 1 &&
        !strake_job_cancelled(b->job))
        return pass_on(share, rc);
    return fail_target(share, rc);
}

static void *share_thread(void *ctx)
{
    struct share *share = ctx;

    share->rc = run_share(share);
    return NULL;
}

/* The calling thread builds the first share, and those that got no thread. */
static int run_shares(struct share *shares, size_t count)
{
    int rc = 0;

    for (size_t i = 1; i < count; i++)
        shares[i].has_thread =
            pthread_create(&shares[i].thread, NULL, share_thread, &shares[i]) == 0;
    for (size_t i = 0; i < count; i++) {
        if (!shares[i].has_thread)
            shares[i].rc = run_share(&shares[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (shares[i].has_thread)
            pthread_join(shares[i].thread, NULL);
        rc = rc < 0 ? rc : shares[i].rc;
        share_end(&shares[i]);
    }
    return rc;
}

int strake_build_platforms(struct strake_building *b, const struct strake_strings *platforms)
{
    const bool together = !b->stage && b->run->options->output == STRAKE_OUTPUT_FILE;
    struct strake_refusals *refusals = &b->refusals;
    struct strake_route route = { 0 };
    struct share failed = { .b = b };
    struct share *shares;
    int rc = strake_pool_route(b->run->pool, b->target, platforms, together, refusals, b->job,
                               &route, &failed.err);

    if (rc < 0)
        return fail_target(&failed, rc);
    shares = strake_calloc(route.count, sizeof(*shares));
    if (!shares) {
        strake_route_dispose(b->run->pool, &route);
        return fail_target(&failed, strake_fail_nomem(&failed.err));
    }
    for (size_t i = 0; i < route.count; i++)
        shares[i] = (struct share){ .b = b,
                                    .member = route.parts[i].member,
                                    .platforms = &route.parts[i].platforms };
    rc = run_shares(shares, route.count);
    strake_free(shares);
    strake_route_dispose(b->run->pool, &route);
    return rc;
}
