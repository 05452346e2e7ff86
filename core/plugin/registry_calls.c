/* Checked calls into registry/1: what comes back is hashed here, whoever sent it. Blobs are in
 * blob_calls.c and blob_copy.c. */
#include "plugin/registry_calls.h"

#include <stdlib.h>
#include <string.h>

#include "image/digest.h"
#include "image/reference.h"
#include "plugin/instance_impl.h"
#include "plugin/mirrors.h"
#include "util/mem.h"

#define TAGS_MAX 100000
#define INDEX_MAX ((size_t)8 * 1024 * 1024)
#define DETAIL_MAX ((size_t)64 * 1024)

static void dispose(struct strake_call *call)
{
    struct strake_registry_call *made = (struct strake_registry_call *)call;

    strake_buf_dispose(&made->bytes);
    strake_strings_dispose(&made->tags);
}

struct strake_registry_call *strake_registry_call_new(struct strake_instance *registry,
                                                      const char *method, struct strake_job *job,
                                                      int (*run)(struct strake_call *call),
                                                      const char *repository, const char *reference,
                                                      struct strake_err *err)
{
    struct strake_registry_call *made =
        strake_call_new(sizeof(*made), registry, method, job, run, dispose);

    if (made && strake_call_copy(&made->call, repository, &made->repository) == 0 &&
        strake_call_copy(&made->call, reference, &made->reference) == 0) {
        made->call.timeout_code = STRAKE_EREGISTRY;
        made->out = (struct strake_descriptor){ .size = sizeof(made->out), .size_bytes = -1 };
        return made;
    }
    if (made)
        strake_call_unref(&made->call);
    strake_fail_nomem(err);
    return NULL;
}

/* ---- on the thread of the call ---- */

/* The method of the call's own registry, and the call in full. */
#define REGISTRY(call) (&(call)->instance->as.registry)
#define SELF(call) ((call)->instance->self)
#define MADE(call) ((struct strake_registry_call *)(call))

static int run_resolve(struct strake_call *call)
{
    return REGISTRY(call)->resolve(SELF(call), call->job, MADE(call)->repository,
                                   MADE(call)->reference, &MADE(call)->out, &call->err);
}

static int run_manifest_get(struct strake_call *call)
{
    return REGISTRY(call)->manifest_get(SELF(call), call->job, MADE(call)->repository,
                                        MADE(call)->reference, &MADE(call)->bytes, &MADE(call)->out,
                                        &call->err);
}

static int run_manifest_put(struct strake_call *call)
{
    struct strake_registry_call *made = MADE(call);

    return REGISTRY(call)->manifest_put(SELF(call), call->job, made->repository, made->reference,
                                        made->media_type, strake_buf_text(&made->bytes),
                                        made->bytes.len, &made->out, &call->err);
}

static int run_manifest_delete(struct strake_call *call)
{
    return REGISTRY(call)->manifest_delete(SELF(call), call->job, MADE(call)->repository,
                                           MADE(call)->reference, &call->err);
}

static int run_referrers(struct strake_call *call)
{
    return REGISTRY(call)->referrers_of(SELF(call), call->job, MADE(call)->repository,
                                        MADE(call)->reference, MADE(call)->artifact_type,
                                        &MADE(call)->bytes, &call->err);
}

static int run_ping(struct strake_call *call)
{
    return REGISTRY(call)->ping(SELF(call), call->job, &MADE(call)->bytes, &call->err);
}

static int collect_tag(void *ctx, const char *tag)
{
    struct strake_registry_call *made = ctx;

    if (!tag || !strake_tag_valid(tag))
        return 0; /* nothing that could ever be asked for */
    if (made->tags.count >= TAGS_MAX) {
        made->too_many = true;
        return STRAKE_ETOOBIG;
    }
    return strake_strings_add(&made->tags, tag);
}

static int run_tags(struct strake_call *call)
{
    int rc = REGISTRY(call)->tags(SELF(call), call->job, MADE(call)->repository, collect_tag, call,
                                  &call->err);

    if (MADE(call)->too_many)
        return strake_fail(&call->err, STRAKE_ETOOBIG, "%s lists more than %d tags of %s",
                           strake_instance_name(call->instance), TAGS_MAX, MADE(call)->repository);
    return rc;
}

/* ---- descriptors ---- */

static void end_texts(struct strake_descriptor *descriptor)
{
    descriptor->digest[sizeof(descriptor->digest) - 1] = '\0';
    descriptor->media_type[sizeof(descriptor->media_type) - 1] = '\0';
    descriptor->size = sizeof(*descriptor);
}

static int check_descriptor(const struct strake_instance *registry, const char *reference,
                            struct strake_descriptor *descriptor, struct strake_err *err)
{
    end_texts(descriptor);
    if (!strake_digest_valid(descriptor->digest))
        return strake_fail(err, STRAKE_EREGISTRY, "%s named a digest that is none: %s",
                           registry->name, descriptor->digest);
    if (strake_digest_valid(reference) && strcmp(reference, descriptor->digest) != 0)
        return strake_fail(err, STRAKE_ECORRUPT, "%s was asked for %s and answered of %s",
                           registry->name, reference, descriptor->digest);
    return 0;
}

/* What is asked of one place after the other. */
struct asking {
    struct strake_job *job;
    const char *reference;
    struct strake_buf *bytes;
    struct strake_descriptor *out;
};

static int resolve(const struct strake_source *source, void *ctx, struct strake_err *err)
{
    const struct asking *asking = ctx;
    struct strake_registry_call *made =
        strake_registry_call_new(source->instance, "resolve", asking->job, run_resolve,
                                 source->repository, asking->reference, err);
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    rc = strake_call_make(&made->call, source->limit_ms, err);
    if (rc == 0)
        rc = check_descriptor(source->instance, asking->reference, &made->out, err);
    if (rc == 0)
        *asking->out = made->out;
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_resolve(struct strake_instance *registry, struct strake_job *job,
                            const char *repository, const char *reference,
                            struct strake_descriptor *out, struct strake_err *err)
{
    struct asking asking = { .job = job, .reference = reference, .out = out };

    return strake_mirrors_ask(registry, repository, resolve, &asking, err);
}

/* ---- manifests ---- */

static int check_bytes(struct strake_registry_call *made, struct strake_err *err)
{
    const char *name = strake_instance_name(made->call.instance);
    char digest[STRAKE_DIGEST_TEXT];
    int rc = strake_digest_of(strake_buf_text(&made->bytes), made->bytes.len, digest, err);

    if (rc < 0)
        return rc;
    if (strake_digest_valid(made->reference) && strcmp(made->reference, digest) != 0) {
        strake_fail(err, STRAKE_ECORRUPT,
                    "%s sent other bytes than %s@%s names: their digest is %s", name,
                    made->repository, made->reference, digest);
        strake_err_hint(err,
                        "the registry or something on the way to it is damaged; nothing was used");
        return STRAKE_ECORRUPT;
    }
    end_texts(&made->out);
    memcpy(made->out.digest, digest, sizeof(digest));
    made->out.size_bytes = (int64_t)made->bytes.len;
    return 0;
}

static int get(const struct strake_source *source, void *ctx, struct strake_err *err)
{
    const struct asking *asking = ctx;
    struct strake_registry_call *made =
        strake_registry_call_new(source->instance, "manifest_get", asking->job, run_manifest_get,
                                 source->repository, asking->reference, err);
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    made->bytes.max = STRAKE_MANIFEST_MAX;
    rc = strake_call_make(&made->call, source->limit_ms, err);
    if (rc == 0)
        rc = check_bytes(made, err);
    if (rc == 0)
        rc = strake_call_give(&made->bytes, asking->bytes, err);
    if (rc == 0)
        *asking->out = made->out;
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_manifest_get(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 struct strake_buf *bytes, struct strake_descriptor *out,
                                 struct strake_err *err)
{
    struct asking asking = { .job = job, .reference = reference, .bytes = bytes, .out = out };

    return strake_mirrors_ask(registry, repository, get, &asking, err);
}

int strake_registry_manifest_put(struct strake_instance *registry, struct strake_job *job,
                                 const char *repository, const char *reference,
                                 const char *media_type, const void *data, size_t len,
                                 struct strake_err *err)
{
    struct strake_registry_call *made = strake_registry_call_new(
        registry, "manifest_put", job, run_manifest_put, repository, reference, err);
    char digest[STRAKE_DIGEST_TEXT];
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    rc = strake_digest_of(data, len, digest, err);
    if (rc == 0 && (strake_call_copy(&made->call, media_type, &made->media_type) < 0 ||
                    strake_buf_append(&made->bytes, data, len) < 0))
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0) {
        end_texts(&made->out);
        if (made->out.digest[0] && strcmp(made->out.digest, digest) != 0)
            rc = strake_fail(err, STRAKE_ECORRUPT, "%s took %s:%s as %s, but its digest is %s",
                             registry->name, repository, reference, made->out.digest, digest);
    }
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_manifest_delete(struct strake_instance *registry, struct strake_job *job,
                                    const char *repository, const char *reference,
                                    struct strake_err *err)
{
    struct strake_registry_call *made;
    int rc;

    if (!registry->as.registry.manifest_delete)
        return strake_fail(err, STRAKE_EUNSUPPORTED, "%s cannot delete anything", registry->name);
    made = strake_registry_call_new(registry, "manifest_delete", job, run_manifest_delete,
                                    repository, reference, err);
    if (!made)
        return STRAKE_ENOMEM;
    rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_referrers(struct strake_instance *registry, struct strake_job *job,
                              const char *repository, const char *digest, const char *artifact_type,
                              struct strake_manifest *out, struct strake_err *err)
{
    struct strake_registry_call *made;
    char *what;
    int rc;

    *out = (struct strake_manifest){ 0 };
    if (!registry->as.registry.referrers_of)
        return strake_fail(err, STRAKE_EUNSUPPORTED, "%s lists no referrers", registry->name);
    made = strake_registry_call_new(registry, "referrers_of", job, run_referrers, repository,
                                    digest, err);
    if (!made)
        return STRAKE_ENOMEM;
    made->bytes.max = INDEX_MAX;
    what = strake_asprintf("what refers to %s@%s", repository, digest);
    rc = !what || strake_call_copy(&made->call, artifact_type, &made->artifact_type) < 0
             ? strake_fail_nomem(err)
             : strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0)
        rc = strake_manifest_parse(strake_buf_text(&made->bytes), made->bytes.len,
                                   STRAKE_MEDIA_OCI_INDEX, what, out, err);
    strake_free(what);
    strake_call_unref(&made->call);
    return rc;
}

/* ---- tags ---- */

static int compare_tags(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A page may repeat what another had. */
static void drop_repeats(struct strake_strings *tags)
{
    size_t kept = 0;

    if (tags->count == 0)
        return;
    qsort(tags->items, tags->count, sizeof(*tags->items), compare_tags);
    for (size_t i = 0; i < tags->count; i++) {
        if (kept && strcmp(tags->items[kept - 1], tags->items[i]) == 0)
            strake_free(tags->items[i]);
        else
            tags->items[kept++] = tags->items[i];
    }
    tags->count = kept;
    tags->items[kept] = NULL;
}

int strake_registry_tags(struct strake_instance *registry, struct strake_job *job,
                         const char *repository, struct strake_strings *tags,
                         struct strake_err *err)
{
    struct strake_registry_call *made =
        strake_registry_call_new(registry, "tags", job, run_tags, repository, NULL, err);
    int rc;

    if (!made)
        return STRAKE_ENOMEM;
    rc = strake_call_make(&made->call, STRAKE_CALL_REGISTRY_LIMIT_MS, err);
    if (rc == 0) {
        drop_repeats(&made->tags);
        strake_strings_dispose(tags);
        *tags = made->tags;
        made->tags = (struct strake_strings){ 0 }; /* moved */
    }
    strake_call_unref(&made->call);
    return rc;
}

int strake_registry_ping(struct strake_instance *registry, struct strake_job *job,
                         struct strake_buf *detail, struct strake_err *err)
{
    struct strake_registry_call *made;
    int rc;

    if (!registry->as.registry.ping)
        return 0;
    made = strake_registry_call_new(registry, "ping", job, run_ping, NULL, NULL, err);
    if (!made)
        return STRAKE_ENOMEM;
    made->bytes.max = DETAIL_MAX;
    rc = strake_call_make(&made->call, STRAKE_CALL_LIMIT_MS, err);
    if (rc == 0)
        rc = strake_call_give(&made->bytes, detail, err);
    strake_call_unref(&made->call);
    return rc;
}

/* ---- access ---- */

struct access_call {
    struct strake_call call;
    const char *repository;
    const char *actions;
    struct strake_registry_access out;
};

static int run_access(struct strake_call *call)
{
    struct access_call *asking = (struct access_call *)call;

    return REGISTRY(call)->access(SELF(call), call->job, asking->repository, asking->actions,
                                  &asking->out, &call->err);
}

int strake_registry_access(struct strake_instance *registry, struct strake_job *job,
                           const char *repository, const char *actions,
                           struct strake_registry_access *out, struct strake_err *err)
{
    struct access_call *asking;
    int rc;

    *out = (struct strake_registry_access){ .size = sizeof(*out) };
    if (!registry->as.registry.access)
        return strake_fail(err, STRAKE_EUNSUPPORTED, "%s does not say what credentials are worth",
                           registry->name);
    asking = strake_call_new(sizeof(*asking), registry, "access", job, run_access, NULL);
    if (!asking || strake_call_copy(&asking->call, repository, &asking->repository) < 0 ||
        strake_call_copy(&asking->call, actions, &asking->actions) < 0) {
        if (asking)
            strake_call_unref(&asking->call);
        return strake_fail_nomem(err);
    }
    asking->call.timeout_code = STRAKE_EREGISTRY;
    asking->out.size = sizeof(asking->out);
    rc = strake_call_make(&asking->call, STRAKE_CALL_LIMIT_MS, err);
    if (rc == 0) {
        *out = asking->out;
        out->scheme[sizeof(out->scheme) - 1] = '\0';
        out->source[sizeof(out->source) - 1] = '\0';
        out->actions[sizeof(out->actions) - 1] = '\0';
    }
    strake_call_unref(&asking->call);
    return rc;
}
