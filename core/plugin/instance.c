/* Instances of plugins: opened with their options, counted, closed with the last reference. */
#include "plugin/instance.h"

#include "plugin/instance_impl.h"
#include "plugin/mirrors.h"
#include "util/json.h"
#include "util/mem.h"

int strake_instance_told(const struct strake_instance *instance, const char *method, int rc,
                         struct strake_err *err)
{
    if (rc > 0)
        return strake_fail(err, STRAKE_EINTERNAL,
                           "the plugin %s: %s() returned %d, which is no result",
                           instance->plugin->name, method, rc);
    if (rc == 0)
        strake_err_dispose(err); /* what it got over */
    else if (!err->code)
        strake_fail(err, rc, "the plugin %s: %s() failed and did not say why",
                    instance->plugin->name, method);
    else if (err->code != rc)
        strake_err_recode(err, rc);
    return rc;
}

static int open_with(struct strake_instance *instance, const json_t *options,
                     struct strake_err *err)
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
    const struct strake_interface_kind *kind = strake_interface_find(interface);
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
        rc = strake_loader_interface(instance->plugin, interface, &instance->as,
                                     kind ? kind->size : 0, err);
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
    if (!instance->origin)
        instance->plugin->descriptor->close(instance->self);
    strake_mirrors_dispose(instance);
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
