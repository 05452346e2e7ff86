/* URLs of http and https: strict and small on purpose, so that what is checked here is what libcurl
 * then connects to. */
#ifndef STRAKE_UTIL_HTTP_URL_H
#define STRAKE_UTIL_HTTP_URL_H

#include "util/buf.h"
#include "util/err.h"

#define STRAKE_URL_MAX ((size_t)16 * 1024)

/** A URL taken apart. Zero-initialised is none. */
struct strake_url {
    bool https;
    int port;
    char *userinfo; /**< as written, or NULL */
    char *host;     /**< lower case; an IPv6 address in brackets */
    char *target;   /**< path and query, dot segments removed; no fragment */
};

/** Take `text` apart. Refused: other schemes, a host that is no plain name or address, control
 *  characters, backslashes, more than STRAKE_URL_MAX. Other bytes that a URL may not hold are
 *  percent-encoded. @return 0, STRAKE_EUSAGE (the message does not show it), STRAKE_ENOMEM. */
int strake_url_parse(const char *text, struct strake_url *url, struct strake_err *err);
/** A reference (the value of Location, `len` bytes) relative to `base`, RFC 3986 section 5. */
int strake_url_resolve(const struct strake_url *base, const char *reference, size_t len,
                       struct strake_url *url, struct strake_err *err);
/** The whole URL, credentials too, appended. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int strake_url_text(const struct strake_url *url, struct strake_buf *out);
/** The URL for messages and logs: no credentials, and only those query values that are known to be
 *  no secrets. */
int strake_url_show(const struct strake_url *url, struct strake_buf *out);
/** 127.0.0.0/8, ::1 or `localhost`; names are not resolved. */
bool strake_url_is_loopback(const struct strake_url *url);
/** Same host and port; http on 80 and https on 443 of one host count as the same. */
bool strake_url_same_host(const struct strake_url *a, const struct strake_url *b);
void strake_url_dispose(struct strake_url *url);

#endif
