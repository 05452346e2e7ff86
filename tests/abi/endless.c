/* Forgot to end its list of interfaces. */
#include "fixture.h"

#define FOUR(i)                                                                                    \
    { #i "a/1", 0 }, { #i "b/1", 0 }, { #i "c/1", 0 },                                             \
    {                                                                                              \
#i "d/1", 0                                                                                \
    }
#define SIXTEEN(i) FOUR(i##0), FOUR(i##1), FOUR(i##2), FOUR(i##3)

static const struct strake_interface interfaces[] = { SIXTEEN(1), SIXTEEN(2), SIXTEEN(3),
                                                      SIXTEEN(4), SIXTEEN(5) };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "endless",
    .version = "1",
    .open = fixture_open,
    .close = fixture_close,
    .interfaces = interfaces,
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
