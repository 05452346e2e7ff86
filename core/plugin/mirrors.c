/* Mirrors (mirrors.h): asked before the registry itself, and believed no more than it. */
#include "plugin/mirrors.h"

#include <stdatomic.h>
#include <string.h>

#include "plugin/instance_impl.h"
#include "util/log.h"
#include "util/mem.h"

struct strake_instance_mirror {
    struct strake_instance *instance;
    char *prefix;
    atomic_bool left_out;
};

int strake_instance_mirrored(struct strake_instance *origin, const struct strake_mirror *mirrors,
                             size_t count, struct strake_instance **out, struct strake_err *err)
{
    struct strake_instance *made = strake_calloc(1, sizeof(*made));

    if (!made)
        return strake_fail_nomem(err);
    atomic_init(&made->references, 1);
    made->origin = strake_instance_ref(origin);
    made->plugin = origin->plugin;
    made->self = origin->self;
    made->as = origin->as;
    made->name = strake_strdup(origin->name);
    made->mirrors = strake_calloc(count, sizeof(*made->mirrors));
    for (size_t i = 0; made->mirrors && i < count; i++) {
        made->mirrors[i].instance = strake_instance_ref(mirrors[i].instance);
        made->mirrors[i].prefix = strake_strdup(mirrors[i].prefix);
        atomic_init(&made->mirrors[i].left_out, false);
        made->mirror_count++;
        if (!made->mirrors[i].prefix)
            break;
    }
    if (!made->name || made->mirror_count < count || (count && !made->mirrors[count - 1].prefix)) {
        strake_instance_unref(made);
        return strake_fail_nomem(err);
    }
    *out = made;
    return 0;
}

struct strake_instance *strake_instance_origin(struct strake_instance *instance)
{
    return instance->origin ? instance->origin : instance;
}

void strake_mirrors_dispose(struct strake_instance *instance)
{
    for (size_t i = 0; i < instance->mirror_count; i++) {
        strake_instance_unref(instance->mirrors[i].instance);
        strake_free(instance->mirrors[i].prefix);
    }
    strake_free(instance->mirrors);
    strake_instance_unref(instance->origin);
}

int strake_source_next(struct strake_instance *registry, const char *repository,
                       struct strake_source *source, struct strake_err *err)
{
    strake_free(source->repository);
    source->repository = NULL;
    while (source->at < registry->mirror_count && registry->mirrors[source->at].left_out)
        source->at++;
    source->mirror = source->at < registry->mirror_count;
    if (source->at > registry->mirror_count)
        return 0;
    if (source->mirror) {
        const struct strake_instance_mirror *mirror = &registry->mirrors[source->at];
        source->instance = mirror->instance;
        source->limit_ms = STRAKE_MIRROR_LIMIT_MS;
        source->repository =
            strake_asprintf("%s%s%s", mirror->prefix, mirror->prefix[0] ? "/" : "", repository);
    } else {
        source->instance = registry;
        source->limit_ms = STRAKE_CALL_REGISTRY_LIMIT_MS;
        source->repository = strake_strdup(repository);
    }
    source->at++;
    return source->repository ? 1 : strake_fail_nomem(err);
}

bool strake_source_failed(struct strake_instance *registry, const struct strake_source *source,
                          int rc, struct strake_err *err)
{
    struct strake_instance_mirror *mirror;

    if (!source->mirror || rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM || rc == STRAKE_EINTERNAL)
        return false;
    mirror = &registry->mirrors[source->at - 1];
    if (rc == STRAKE_ENOTFOUND)
        strake_log(STRAKE_LOG_DEBUG, "the mirror %s of %s: %s", mirror->instance->name,
                   registry->name, strake_err_message(err));
    else if (!atomic_exchange(&mirror->left_out, true))
        strake_log(STRAKE_LOG_WARN, "the mirror %s of %s is left out from now on: %s",
                   mirror->instance->name, registry->name, strake_err_message(err));
    strake_err_dispose(err);
    return true;
}

void strake_source_dispose(struct strake_source *source)
{
    strake_free(source->repository);
    source->repository = NULL;
}

int strake_mirrors_ask(struct strake_instance *registry, const char *repository,
                       int (*ask)(const struct strake_source *source, void *ctx,
                                  struct strake_err *err),
                       void *ctx, struct strake_err *err)
{
    struct strake_source source = { 0 };
    int rc;

    do {
        rc = strake_source_next(registry, repository, &source, err);
        if (rc > 0)
            rc = ask(&source, ctx, err);
    } while (rc < 0 && strake_source_failed(registry, &source, rc, err));
    strake_source_dispose(&source);
    return rc;
}
