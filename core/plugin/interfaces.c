/* The seven interfaces and what is mandatory in them. */
#include "plugin/interfaces.h"

#include <string.h>

#define METHOD(type, field)                                                                        \
    {                                                                                              \
#field, offsetof(struct type, field)                                                       \
    }

static const struct strake_method builder_methods[] = {
    METHOD(strake_builder_v1, probe),
    METHOD(strake_builder_v1, command),
    METHOD(strake_builder_v1, build),
    { NULL, 0 },
};
static const struct strake_method registry_methods[] = {
    METHOD(strake_registry_v1, resolve),      METHOD(strake_registry_v1, manifest_get),
    METHOD(strake_registry_v1, manifest_put), METHOD(strake_registry_v1, tags),
    METHOD(strake_registry_v1, blob_stat),    METHOD(strake_registry_v1, blob_get),
    METHOD(strake_registry_v1, blob_put),     { NULL, 0 },
};
static const struct strake_method cache_methods[] = { METHOD(strake_cache_v1, specs), { NULL, 0 } };
static const struct strake_method scanner_methods[] = { METHOD(strake_scanner_v1, scan),
                                                        { NULL, 0 } };
static const struct strake_method notifier_methods[] = { METHOD(strake_notifier_v1, send),
                                                         { NULL, 0 } };
static const struct strake_method workflow_methods[] = {
    METHOD(strake_workflow_v1, dispatch),
    METHOD(strake_workflow_v1, status),
    METHOD(strake_workflow_v1, list),
    { NULL, 0 },
};
static const struct strake_method deployer_methods[] = {
    METHOD(strake_deployer_v1, diff),
    METHOD(strake_deployer_v1, apply),
    { NULL, 0 },
};

static const struct strake_interface_kind kinds[] = {
    { "builder/1", sizeof(struct strake_builder_v1), builder_methods },
    { "registry/1", sizeof(struct strake_registry_v1), registry_methods },
    { "cache/1", sizeof(struct strake_cache_v1), cache_methods },
    { "scanner/1", sizeof(struct strake_scanner_v1), scanner_methods },
    { "notifier/1", sizeof(struct strake_notifier_v1), notifier_methods },
    { "workflow/1", sizeof(struct strake_workflow_v1), workflow_methods },
    { "deployer/1", sizeof(struct strake_deployer_v1), deployer_methods },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

bool strake_struct_size_valid(uint32_t size, size_t least)
{
    return size >= least && size <= 65536 && size % _Alignof(void *) == 0;
}

const char *const *strake_interface_names(void)
{
    static const char *const names[] = { "builder/1",  "registry/1", "cache/1",    "scanner/1",
                                         "notifier/1", "workflow/1", "deployer/1", NULL };

    return names;
}

const struct strake_interface_kind *strake_interface_find(const char *name)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

const char *strake_interface_copy(const struct strake_interface_kind *kind, const void *vtable,
                                  void *out)
{
    uint32_t size;

    memcpy(&size, vtable, sizeof(size));
    if (!strake_struct_size_valid(size, sizeof(void *)))
        return "size";
    memset(out, 0, kind->size);
    memcpy(out, vtable, size < kind->size ? size : kind->size);
    for (const struct strake_method *method = kind->mandatory; method->name; method++) {
        void (*function)(void);
        memcpy(&function, (const char *)out + method->offset, sizeof(function));
        if (!function)
            return method->name;
    }
    return NULL;
}
