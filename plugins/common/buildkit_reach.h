/* Is a BuildKit daemon there? Asked before a client is started, whose own patience is 20 s. */
#ifndef BUILDKIT_REACH_H
#define BUILDKIT_REACH_H

#include "common/util.h"

/** A daemon as a builder's options name it; everything is borrowed. */
struct buildkit_peer {
    const struct strake_host *host;
    const char *address; /**< tcp://…, unix://…, or one behind a program */
    bool tls;            /**< it is spoken to with certificates */
    int64_t timeout_ms;  /**< to be answered at all */
};

/** The parts of a tcp:// address. */
struct buildkit_tcp {
    char host[256]; /**< an IPv6 address without its brackets */
    char port[6];
};

/** False: it is no tcp:// address with a host and a port. */
bool buildkit_tcp_parse(const char *address, struct buildkit_tcp *out);

/** Wait until the daemon has said its first bytes, at most `timeout_ms`. A daemon on another than a
 *  tcp or unix socket is not asked. Blocks; any thread.
 *  @return 0, STRAKE_EBUILDER, STRAKE_ECANCELLED, STRAKE_ENOMEM. */
int buildkit_reach(const struct buildkit_peer *peer, struct strake_job *job,
                   struct strake_err *err);

/** An address that a builder's option may hold; else it is refused with the known forms as the
 *  hint. `plugin` is the name for messages. @return 0 or STRAKE_ECONFIG. */
int buildkit_address_check(const struct strake_host *host, const char *plugin, const char *address,
                           struct strake_err *err);
/** Options of TLS that fit each other, each NULL when it is not given: a cert has its key, and a
 *  server_name a ca. `plugin` is the name for messages. @return 0 or STRAKE_ECONFIG. */
int buildkit_certificates_check(const struct strake_host *host, const char *plugin, const char *ca,
                                const char *cert, const char *key, const char *server_name,
                                struct strake_err *err);

#endif
