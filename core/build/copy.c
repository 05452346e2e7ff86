/* Copying an image: its manifests are read level by level, then all blobs that are missing go over,
 * then the manifests are put from the leaves up, because registries refuse one whose parts they do
 * not have. What is there already stays, which is how a copy that was killed is resumed. */
#include "build/copy.h"

#include <stdatomic.h>
#include <string.h>

#include "build/copy_progress.h"
#include "build/crew.h"
#include "image/manifest.h"
#include "util/json.h"

/* So many blobs or manifests at once: each blob has a megabyte under way. */
#define WIDTH 4
/* An index in an index is allowed, one in itself impossible; deeper than this nobody builds. */
#define DEPTH_MAX 4
#define NODES_MAX 20000
/* Referrers of referrers of … */
#define ROUNDS_MAX 4
/* Manifests beyond this are read a second time when they are put. */
#define KEPT_BYTES ((size_t)4 * 1024 * 1024)

/* A manifest or an index on its way. */
struct node {
    char digest[STRAKE_DIGEST_TEXT];
    char *media_type;
    struct strake_buf bytes; /* empty: read again */
    struct strake_manifest parsed;
    bool there; /* at the destination */
};

struct copy {
    const struct strake_place_in_store *from;
    const struct strake_place_in_store *to;
    const struct strake_copy_options *options;
    struct strake_job *job;
    struct strake_copy_report *report;
    struct strake_copy_progress *progress;
    struct node *nodes; /* the root first, then level by level */
    size_t count, cap;
    struct strake_content *blobs; /* their media types stay the manifests' */
    size_t blob_count, blob_cap;
    json_t *seen; /* digests of both */
    atomic_size_t kept;
    atomic_int copied, mounted, present;
    atomic_llong copied_bytes;
};

void strake_copy_report_dispose(struct strake_copy_report *report)
{
    strake_free(report->media_type);
    report->media_type = NULL;
}

/* ---- what there is to copy ---- */

static void node_dispose(struct node *node)
{
    strake_manifest_dispose(&node->parsed);
    strake_buf_dispose(&node->bytes);
    strake_free(node->media_type);
}

/* @return 1: it was not known, 0: it was, STRAKE_ENOMEM */
static int note(struct copy *copy, const char *digest)
{
    if (json_object_get(copy->seen, digest))
        return 0;
    return json_object_set_new(copy->seen, digest, json_true()) < 0 ? STRAKE_ENOMEM : 1;
}

static int add_node(struct copy *copy, const char *digest, struct strake_err *err)
{
    int rc = note(copy, digest);

    if (rc <= 0)
        return rc < 0 ? strake_fail_nomem(err) : 0;
    if (copy->count == NODES_MAX)
        return strake_fail(err, STRAKE_ETOOBIG, "the image has more than %d manifests", NODES_MAX);
    if (copy->count == copy->cap) {
        size_t cap = copy->cap ? copy->cap * 2 : 16;
        struct node *nodes = strake_reallocarray(copy->nodes, cap, sizeof(*nodes));
        if (!nodes)
            return strake_fail_nomem(err);
        copy->nodes = nodes;
        copy->cap = cap;
    }
    copy->nodes[copy->count] = (struct node){ .bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX) };
    memcpy(copy->nodes[copy->count++].digest, digest, strlen(digest) + 1);
    return 0;
}

/* What lies outside of registries by its type (foreign layers) was never pushed. */
static bool is_foreign(const struct strake_content *blob)
{
    return strstr(blob->media_type, "nondistributable") || strstr(blob->media_type, ".foreign.");
}

static int add_blob(struct copy *copy, const struct strake_content *blob, bool there,
                    struct strake_err *err)
{
    int rc = is_foreign(blob) ? 0 : note(copy, blob->digest);

    if (rc <= 0)
        return rc < 0 ? strake_fail_nomem(err) : 0;
    if (there) {
        atomic_fetch_add(&copy->present, 1);
        return 0;
    }
    if (copy->blob_count == copy->blob_cap) {
        size_t cap = copy->blob_cap ? copy->blob_cap * 2 : 64;
        struct strake_content *blobs = strake_reallocarray(copy->blobs, cap, sizeof(*blobs));
        if (!blobs)
            return strake_fail_nomem(err);
        copy->blobs = blobs;
        copy->blob_cap = cap;
    }
    copy->blobs[copy->blob_count++] = *blob;
    strake_copy_progress_expect(copy->progress, blob->size_bytes);
    return 0;
}

/* A registry takes a manifest when it has what it names, and keeps that: nobody asks for each. What
 * an index names can be deleted by itself, and a folder's files by anybody. */
static int add_parts(struct copy *copy, size_t at, struct strake_err *err)
{
    const struct strake_manifest manifest = copy->nodes[at].parsed; /* nodes may move */
    const bool there = copy->nodes[at].there && copy->to->repository[0] != '\0';
    int rc = manifest.index ? 0 : add_blob(copy, &manifest.config, there, err);

    for (size_t i = 0; rc == 0 && i < manifest.count; i++)
        rc = manifest.index ? add_node(copy, manifest.items[i].digest, err)
                            : add_blob(copy, &manifest.items[i], there, err);
    return rc;
}

static int get_bytes(const struct copy *copy, struct node *node, struct strake_job *job,
                     struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc = strake_registry_manifest_get(copy->from->instance, job, copy->from->repository,
                                          node->digest, &node->bytes, &found, err);

    if (rc == 0 && !node->media_type) {
        node->media_type = strake_strdup(found.media_type);
        rc = node->media_type ? 0 : strake_fail_nomem(err);
    }
    return rc;
}

/* Is it at the destination? Whoever cannot tell takes it. */
static int look_there(const struct copy *copy, struct node *node, struct strake_job *job,
                      struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc;

    if (copy->options->archive)
        return 0;
    rc = strake_registry_resolve(copy->to->instance, job, copy->to->repository, node->digest,
                                 &found, err);
    node->there = rc == 0 && strcmp(found.digest, node->digest) == 0;
    if (rc != STRAKE_ENOTFOUND)
        return rc;
    strake_err_dispose(err);
    return 0;
}

static int read_node(void *ctx, size_t at, struct strake_job *job, struct strake_err *err)
{
    struct copy *copy = ctx;
    struct node *node = &copy->nodes[at];
    int rc = node->bytes.len ? 0 : get_bytes(copy, node, job, err);

    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&node->bytes), node->bytes.len, node->media_type,
                                   node->digest, &node->parsed, err);
    if (rc == 0 && strcmp(node->media_type, node->parsed.media_type) != 0) {
        strake_free(node->media_type);
        node->media_type = strake_strdup(node->parsed.media_type);
        rc = node->media_type ? 0 : strake_fail_nomem(err);
    }
    if (rc == 0)
        rc = look_there(copy, node, job, err);
    /* The root of a choice is nowhere to be read again. */
    if (rc == 0 && at > 0 && atomic_fetch_add(&copy->kept, node->bytes.len) > KEPT_BYTES)
        strake_buf_dispose(&node->bytes);
    return rc;
}

/* ---- blobs ---- */

static int copy_blob(void *ctx, size_t at, struct strake_job *job, struct strake_err *err)
{
    struct copy *copy = ctx;
    const struct strake_content *blob = &copy->blobs[at];
    struct strake_blob_watch watch = { strake_copy_progress_moved, copy->progress };
    char how = 'c';
    int rc = strake_registry_blob_copy(copy->from->instance, copy->from->repository,
                                       copy->to->instance, copy->to->repository, job, blob->digest,
                                       blob->size_bytes, &watch, &how, err);

    if (rc < 0)
        return rc;
    if (how == 'c') {
        atomic_fetch_add(&copy->copied, 1);
        atomic_fetch_add(&copy->copied_bytes, blob->size_bytes);
        return 0;
    }
    atomic_fetch_add(how == 'm' ? &copy->mounted : &copy->present, 1);
    strake_copy_progress_moved(copy->progress, blob->size_bytes);
    return 0;
}

/* ---- manifests ---- */

/* A registry may answer 201 and keep nothing: only what is read back counts. Stores of this machine
 * have no repositories, and mean what they say. */
static int check_put(const struct copy *copy, const struct node *node, struct strake_job *job,
                     struct strake_err *err)
{
    struct strake_descriptor found = { .size = sizeof(found) };
    int rc;

    if (copy->to->repository[0] == '\0')
        return 0;
    rc = strake_registry_resolve(copy->to->instance, job, copy->to->repository, node->digest,
                                 &found, err);
    if (rc == STRAKE_ENOTFOUND) {
        rc = strake_fail(err, STRAKE_EREGISTRY,
                         "%s took the manifest %s of %s, and now says that it is not there",
                         strake_instance_name(copy->to->instance), node->digest,
                         copy->to->repository);
        strake_err_hint(err, "somebody else deleted it in this moment, or the registry does not "
                             "keep what it confirms");
    }
    return rc;
}

static int put_node(void *ctx, size_t at, struct strake_job *job, struct strake_err *err)
{
    struct copy *copy = ctx;
    struct node *node = &copy->nodes[at];
    const char *archive = copy->options->archive;
    int rc = 0;

    if (node->there)
        return 0;
    if (!node->bytes.len)
        rc = get_bytes(copy, node, job, err);
    if (rc == 0)
        rc = strake_registry_manifest_put(copy->to->instance, job, copy->to->repository,
                                          archive ? archive : node->digest, node->media_type,
                                          strake_buf_text(&node->bytes), node->bytes.len, err);
    if (rc == 0)
        rc = check_put(copy, node, job, err);
    if (at > 0)
        strake_buf_dispose(&node->bytes);
    return rc;
}

/* ---- a tree: what `begin` and the nodes after it name ---- */

static int crew(struct copy *copy, size_t begin, size_t end,
                int (*run)(void *ctx, size_t at, struct strake_job *job, struct strake_err *err),
                bool in_order, struct strake_err *err)
{
    const struct strake_crew work = {
        .begin = begin, .end = end, .width = in_order ? 1 : WIDTH, .run = run, .ctx = copy
    };

    return strake_crew_run(&work, copy->job, err);
}

static int refuse_index(const struct copy *copy, struct strake_err *err)
{
    if (!copy->options->archive || !copy->nodes[0].parsed.index)
        return 0;
    strake_fail(err, STRAKE_EUSAGE, "%s: a docker archive holds the image of one platform",
                strake_instance_name(copy->to->instance));
    strake_err_hint(err, "choose it with --platform, or write a layout: oci:DIR");
    return STRAKE_EUSAGE;
}

static int copy_tree(struct copy *copy, size_t begin, bool referrers, struct strake_err *err)
{
    size_t levels[DEPTH_MAX + 2] = { begin }, depth = 0;
    const size_t first_blob = copy->blob_count;
    int rc = 0;

    while (rc == 0 && levels[depth] < copy->count) {
        const size_t end = copy->count;
        if (depth > DEPTH_MAX)
            return strake_fail(err, STRAKE_EREGISTRY, "%s: indexes within indexes, too deep",
                               copy->nodes[begin].digest);
        rc = crew(copy, levels[depth], end, read_node, false, err);
        if (rc == 0)
            rc = refuse_index(copy, err);
        for (size_t i = levels[depth]; rc == 0 && i < end; i++)
            rc = add_parts(copy, i, err);
        levels[++depth] = end;
    }
    if (rc == 0)
        rc = crew(copy, first_blob, copy->blob_count, copy_blob, copy->options->archive != NULL,
                  err);
    /* Each referrer goes into a list that may be a tag, which two at once would spoil. */
    for (size_t level = depth; rc == 0 && level-- > 0;)
        rc = crew(copy, levels[level], level + 1 < depth ? levels[level + 1] : copy->count,
                  put_node, referrers || copy->options->archive, err);
    return rc;
}

/* ---- what refers to it ---- */

static int add_referrers(struct copy *copy, size_t begin, size_t end, struct strake_err *err)
{
    int rc = 0;

    for (size_t at = begin; rc == 0 && at < end; at++) {
        struct strake_manifest list = { 0 };
        rc = strake_registry_referrers(copy->from->instance, copy->job, copy->from->repository,
                                       copy->nodes[at].digest, "", &list, err);
        for (size_t i = 0; rc == 0 && i < list.count; i++)
            rc = add_node(copy, list.items[i].digest, err);
        strake_manifest_dispose(&list);
        if (rc == STRAKE_EUNSUPPORTED) { /* such a store keeps none */
            strake_err_dispose(err);
            return 0;
        }
    }
    return rc;
}

static int copy_referrers(struct copy *copy, struct strake_err *err)
{
    size_t asked = 0;
    int rc = 0;

    for (int round = 0; rc == 0 && asked < copy->count; round++) {
        const size_t begin = copy->count;
        if (round == ROUNDS_MAX)
            return strake_fail(err, STRAKE_ETOOBIG,
                               "referrers of referrers, more than %d levels deep", ROUNDS_MAX);
        rc = add_referrers(copy, asked, begin, err);
        asked = begin;
        copy->report->referrers += (int)(copy->count - begin);
        if (rc == 0)
            rc = copy_tree(copy, begin, true, err);
    }
    return rc;
}

/* ---- the whole ---- */

static int choose_root(struct copy *copy, const char *object, struct strake_err *err)
{
    struct strake_buf bytes = STRAKE_BUF(STRAKE_MANIFEST_MAX);
    char *media_type = NULL, digest[STRAKE_DIGEST_TEXT] = "";
    int rc = strake_copy_choose(copy->from, object, copy->options->platforms, copy->job, &bytes,
                                &media_type, digest, copy->report->source, err);

    if (rc == 0)
        rc = add_node(copy, digest, err);
    if (rc < 0) {
        strake_buf_dispose(&bytes);
        strake_free(media_type);
        return rc;
    }
    copy->nodes[0].bytes = bytes;
    copy->nodes[0].media_type = media_type;
    memcpy(copy->report->digest, digest, sizeof(digest));
    return 0;
}

static int fill_report(struct copy *copy, struct strake_err *err)
{
    struct strake_copy_report *report = copy->report;

    report->copied = atomic_load(&copy->copied);
    report->mounted = atomic_load(&copy->mounted);
    report->present = atomic_load(&copy->present);
    report->copied_bytes = atomic_load(&copy->copied_bytes);
    if (copy->count)
        report->media_type = strake_strdup(copy->nodes[0].media_type);
    return copy->count && !report->media_type ? strake_fail_nomem(err) : 0;
}

int strake_copy_image(const struct strake_place_in_store *from, const char *object,
                      const struct strake_place_in_store *to,
                      const struct strake_copy_options *options, struct strake_job *job,
                      struct strake_copy_report *report, struct strake_err *err)
{
    static const struct strake_copy_options plain = { 0 };
    struct strake_copy_progress progress;
    struct copy copy = { .from = from,
                         .to = to,
                         .options = options ? options : &plain,
                         .job = job,
                         .report = report,
                         .progress = &progress,
                         .seen = json_object() };
    int rc;

    *report = (struct strake_copy_report){ 0 };
    strake_copy_progress_begin(&progress, copy.options->name, job);
    rc = copy.seen ? choose_root(&copy, object, err) : strake_fail_nomem(err);
    if (rc == 0)
        rc = copy_tree(&copy, 0, false, err);
    if (rc == 0 && copy.options->referrers)
        rc = copy_referrers(&copy, err);
    if (rc == 0)
        rc = fill_report(&copy, err);
    strake_copy_progress_end(&progress, rc < 0 ? strake_err_message(err) : NULL);
    for (size_t i = 0; i < copy.count; i++)
        node_dispose(&copy.nodes[i]);
    strake_free(copy.nodes);
    strake_free(copy.blobs);
    json_decref(copy.seen);
    return rc;
}
