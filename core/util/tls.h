/* A look at who answers a TLS handshake: which certificate, by whom, until when, and what is wrong
 * with it, all of it and not the first thing alone. For `doctor`: what is really sent over TLS goes
 * through http.h and the programs that are run. libssl is loaded with the first look. */
#ifndef STRAKE_UTIL_TLS_H
#define STRAKE_UTIL_TLS_H

#include "util/err.h"
#include "util/job.h"

struct strake_certificate {
    char subject[256]; /**< "CN=server,O=…" */
    char issuer[256];
    char names[512]; /**< whom it is for: "IP Address:127.0.0.1, DNS:builder.test"; "" for none */
    int64_t not_before_s; /**< since the epoch */
    int64_t not_after_s;
};

enum strake_tls_fault {
    STRAKE_TLS_EXPIRED = 1 << 0,
    STRAKE_TLS_NOT_YET = 1 << 1,
    STRAKE_TLS_OTHER_NAME = 1 << 2,
    STRAKE_TLS_OTHER_AUTHORITY = 1 << 3, /**< signed by nobody that is trusted here */
    STRAKE_TLS_OTHER_FAULT = 1 << 4      /**< in `reason` */
};

/** What to ask, and how. */
struct strake_tls_ask {
    const char *host; /**< a name, or an address without brackets */
    const char *port;
    const char *name;      /**< the certificate is to be for; NULL: `host` */
    const char *ca_file;   /**< NULL: what the system trusts */
    bool only_ca;          /**< the authorities of `ca_file` alone, not the system's too */
    const char *cert_file; /**< our own; NULL: none */
    const char *key_file;
    bool http2; /**< it speaks HTTP/2 at once (gRPC): its first word shows whether it takes our
                     certificate, which a handshake of TLS 1.3 does not */
};

/** Who answered. */
struct strake_tls_peer {
    struct strake_certificate certificate;
    unsigned faults; /**< of strake_tls_fault */
    char reason[128];
    char protocol[16];  /**< "TLSv1.3" */
    char refused[128];  /**< why it wants nothing of us, in OpenSSL's words; "" */
    int64_t connect_ms; /**< until it took the connection, and … */
    int64_t total_ms;   /**< … until it was known who it is */
};

/** Connect and shake hands. Blocks for `timeout_ms` at most; any thread.
 *  @return 0 when a certificate came, whatever is wrong with it; STRAKE_ENETWORK, STRAKE_ETIMEOUT:
 *          nobody there, nobody who speaks TLS, or nothing said; STRAKE_ECONFIG: a file that is
 *          none; STRAKE_ECANCELLED, STRAKE_ENOMEM, STRAKE_EINTERNAL */
int strake_tls_look(const struct strake_tls_ask *ask, const struct strake_job *job,
                    int64_t timeout_ms, struct strake_tls_peer *out, struct strake_err *err);

/** The first certificate of a PEM file. @return 0, STRAKE_ECONFIG */
int strake_certificate_read(const char *path, struct strake_certificate *out,
                            struct strake_err *err);

#endif
