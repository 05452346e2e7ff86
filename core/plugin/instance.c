/* Instances of plugins: opened with their options, counted, closed with the last reference. */
#include "plugin/instance.h"

#include <string.h>

#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"

static size_t interface_size(const char *interface)
{
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {
        { "builder/1", sizeof(struct strake_builder_v1) },
        { "registry/1", sizeof(struct strake_registry_v1) },
        { "cache/1", sizeof(struct strake_cache_v1) },
        { "notifier/1", sizeof(struct strake_notifier_v1) },
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(sizes[i].name, interface) == 0)
            return sizes[i].size;
    }
    return 0;
}

int strake_instance_told(const struct strake_instance *instance, const char *method, int rc,
                         struct strake_err *err)
{
    if (rc >= 0)
        return rc > 0 ? strake_fail(err, STRAKE_EINTERNAL, "the plugin %s: %s() returned %d, which "
                                    "is no result", instance->plugin->name, method, rc)
                      : 0;
    if (!err->code)
        strake_fail(err, rc, "the plugin %s: %s() failed and did not say why",
                    instance->plugin->name, method);
    else if (err->code != rc)
        strake_err_recode(err, rc);
    return rc;
}

int strake_instance_timed_out(const struct strake_instance *instance, const char *method,
                              int64_t timeout_ms, struct strake_err *err)
{
    return strake_fail(err, STRAKE_ETIMEOUT, "the plugin %s (%s): %s() did not come back in %lld s "
                       "and was left behind", instance->plugin->name, instance->name, method,
                       (long long)(timeout_ms / 1000));
}

static int open_with(struct strake_instance *instance, const json_t *options, struct strake_err *err)
{
    struct strake_buf text = { .secret = true };
    int rc = options ? strake_json_dump(options, &text) : strake_buf_puts(&text, "{}");

    if (rc < 0)
        rc = strake_fail_nomem(err);
    else
        rc = instance->plugin->descriptor->open(strake_host_table(), strake_buf_text(&text),
                                                &instance->self, err);
    strake_buf_dispose(&text);
    rc = strake_instance_told(instance, "open", rc, err);
    if (rc < 0)
        strake_err_prefix(err, "%s: ", instance->name);
    return rc;
}

int strake_instance_open(const char *type, const char *name, const char *interface,
                         const json_t *options, struct strake_instance **out,
                         struct strake_err *err)
{
    struct strake_instance *instance = strake_calloc(1, sizeof(*instance));
    size_t size = interface_size(interface);
    int rc;

    if (instance)
        instance->name = strake_strdup(name);
    if (!instance || !instance->name) {
        strake_free(instance);
        return strake_fail_nomem(err);
    }
    atomic_init(&instance->references, 1);
    rc = strake_loader_load(type, &instance->plugin, err);
    if (rc == 0)
        rc = strake_loader_interface(instance->plugin, interface, &instance->as, size, err);
    if (rc == 0)
        rc = open_with(instance, options, err);
    if (rc < 0) {
        strake_free(instance->name);
        strake_free(instance);
        return rc;
    }
    *out = instance;
    return 0;
}

struct strake_instance *strake_instance_ref(struct strake_instance *instance)
{
    atomic_fetch_add(&instance->references, 1);
    return instance;
}

void strake_instance_unref(struct strake_instance *instance)
{
    if (!instance || atomic_fetch_sub(&instance->references, 1) > 1)
        return;
    instance->plugin->descriptor->close(instance->self);
    strake_free(instance->name);
    strake_free(instance);
}

const char *strake_instance_name(const struct strake_instance *instance)
{
    return instance->name;
}

const char *strake_instance_type(const struct strake_instance *instance)
{
    return instance->plugin->name;
}

int strake_cache_specs(struct strake_instance *cache, const struct strake_cache_request *request,
                       json_t **specs, struct strake_err *err)
{
    struct strake_buf text = STRAKE_BUF(1024 * 1024);
    int rc = cache->as.cache.specs(cache->self, request, &text, err);

    rc = strake_instance_told(cache, "specs", rc, err);
    if (rc == 0) {
        *specs = strake_json_parse(strake_buf_text(&text), text.len, "what the cache plugin answered",
                                   STRAKE_EINTERNAL, err);
        rc = *specs ? 0 : err->code;
    }
    strake_buf_dispose(&text);
    return rc;
}
