/* What a plugin says of itself, and the rules that it keeps (docs/plugins.md). */
#include <string.h>

#include "plugin/interfaces.h"
#include "plugin/loader_impl.h"
#include "util/suggest.h"

#define TEXT_MAX 128

static int refuse(struct strake_err *err, const char *path, const char *what)
{
    return strake_fail(err, STRAKE_ECONFIG, "the plugin %s breaks a rule: %s", path, what);
}

/* One interface that this program knows. */
static int check_vtable(const char *path, const struct strake_interface *interface,
                        const struct strake_interface_kind *kind, struct strake_err *err)
{
    union strake_vtable room;
    const char *fault;

    if (!interface->vtable)
        return strake_fail(err, STRAKE_ECONFIG, "the plugin %s offers %s without a vtable", path,
                           interface->name);
    fault = strake_interface_copy(kind, interface->vtable, &room);
    if (fault && strcmp(fault, "size") == 0) {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s: the size of its %s makes no sense", path,
                    interface->name);
        strake_err_hint(err, "begin the vtable with .size = sizeof(it)");
        return STRAKE_ECONFIG;
    }
    return fault ? strake_fail(err, STRAKE_ECONFIG,
                               "the plugin %s: %s: %s is NULL, and it is mandatory", path,
                               interface->name, fault)
                 : 0;
}

/* Nothing of it can be used: say what it offers, and what it may have meant. */
static int nothing_known(const char *path, const struct strake_interface *interfaces,
                         struct strake_err *err)
{
    const char *offered = interfaces[0].name;
    const char *near = offered ? strake_suggest(offered, strake_interface_names()) : NULL;

    strake_fail(err, STRAKE_ECONFIG,
                "the plugin %s offers no interface that this program knows%s%s", path,
                offered ? ", but " : "", offered ? offered : "");
    if (near)
        strake_err_hint(err, "did you mean %s?", near);
    else
        strake_err_hint(err, "interfaces are named as in strake/plugin.h: \"notifier/1\"");
    return STRAKE_ECONFIG;
}

int strake_loader_check_interfaces(const char *path, const struct strake_plugin *plugin,
                                   struct strake_err *err)
{
    const struct strake_interface *list = plugin->interfaces;
    size_t known = 0, i;
    int rc;

    for (i = 0; i < STRAKE_INTERFACES_MAX && list[i].name; i++) {
        const struct strake_interface_kind *kind = strake_interface_find(list[i].name);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(list[k].name, list[i].name) == 0)
                return strake_fail(err, STRAKE_ECONFIG, "the plugin %s offers %s twice", path,
                                   list[i].name);
        }
        if (!kind)
            continue; /* of a newer program: not for us */
        rc = check_vtable(path, &list[i], kind, err);
        if (rc < 0)
            return rc;
        known++;
    }
    if (i == STRAKE_INTERFACES_MAX)
        return refuse(err, path, "its list of interfaces does not end with { NULL, NULL }");
    return known ? 0 : nothing_known(path, list, err);
}

/* A name or version that is shown to people: short, and printable. */
static bool presentable(const char *text)
{
    size_t len = text ? strnlen(text, TEXT_MAX + 1) : 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    }
    return len > 0 && len <= TEXT_MAX;
}

int strake_loader_check_abi(const char *path, const struct strake_plugin *given,
                            struct strake_err *err)
{
    if (!given)
        return refuse(err, path, "strake_plugin_main() returned NULL");
    if (given->abi == STRAKE_ABI)
        return 0;
    strake_fail(err, STRAKE_ECONFIG, "the plugin %s has ABI %u, this program has ABI %u", path,
                given->abi, STRAKE_ABI);
    strake_err_hint(err, given->abi < STRAKE_ABI
                             ? "build the plugin again with this program's strake/plugin.h"
                             : "install a newer strake, or build the plugin with an older header");
    return STRAKE_ECONFIG;
}

int strake_loader_check_descriptor(const char *path, const char *name,
                                   const struct strake_plugin *given, struct strake_plugin *copy,
                                   struct strake_err *err)
{
    if (!strake_struct_size_valid(given->size, offsetof(struct strake_plugin, summary)))
        return refuse(err, path, "the size of its descriptor makes no sense");
    memset(copy, 0, sizeof(*copy));
    memcpy(copy, given, given->size < sizeof(*copy) ? given->size : sizeof(*copy));
    if (!presentable(copy->name))
        return refuse(err, path, "it has no name");
    if (strcmp(copy->name, name) != 0) {
        strake_fail(err, STRAKE_ECONFIG, "the plugin %s calls itself %s: name and file must agree",
                    path, copy->name);
        strake_err_hint(err, "name the file %s.so", copy->name);
        return STRAKE_ECONFIG;
    }
    if (!presentable(copy->version))
        return refuse(err, path, "it has no version");
    if (!copy->open || !copy->close)
        return refuse(err, path, copy->open ? "close is NULL" : "open is NULL");
    return copy->interfaces ? 0 : refuse(err, path, "it lists no interfaces");
}
