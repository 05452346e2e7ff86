/* The public header needs nothing before it, and is clean under -pedantic. */
#include "strake/plugin.h"

int abi_header_probe(const struct strake_host *host);
int abi_header_probe(const struct strake_host *host)
{
    return STRAKE_HAS(host, digest) ? 1 : 0;
}
