/* URLs and header lines for plugins that speak HTTP: strict, and pure. */
#ifndef PLUG_HTTP_H
#define PLUG_HTTP_H

#include "common/util.h"

/** The parts of an http or https URL. */
struct plug_url {
    bool https;
    char *host;     /**< lower case, an IPv6 address without its brackets */
    uint16_t port;  /**< the scheme's own when the URL has none */
    char *resource; /**< path and query, begins with "/"; no fragment */
};

/** Take an absolute http or https URL apart. User names in it, spaces, control characters and other
 *  schemes are refused. @return 0, STRAKE_EUSAGE: not such a URL, STRAKE_ENOMEM. */
int plug_url_split(const char *text, struct plug_url *out);
void plug_url_dispose(struct plug_url *url);
/** Scheme, host and port are the same: what belongs to one may be sent to the other. */
bool plug_url_same_origin(const struct plug_url *a, const struct plug_url *b);
/** What `reference` (absolute, or relative in any form) means on the page `base`.
 *  @return a string of the caller's (free()), or NULL: not a usable reference, or out of memory. */
char *plug_url_join(const char *base, const char *reference);
/** Append `data` with everything but letters, digits and -._~ percent-encoded. */
void plug_url_escape(struct plug_text *text, const char *data);

/** The value of a header in lines "name: value\n", from *pos on (0 at first), so that repeated ones
 *  can be walked. `name` in lower case. @return borrowed text of *len bytes, or NULL. */
const char *plug_header(const char *lines, const char *name, size_t *pos, size_t *len);
/** The first header of that name as a string of the caller's; NULL: none, or out of memory. */
char *plug_header_copy(const char *lines, const char *name);

/** Append the base64 of `len` bytes, padded. */
void plug_base64_encode(struct plug_text *text, const void *data, size_t len);
/** Append the bytes of a base64 text (padding may be missing). False: it is not one; what was
 *  appended up to then stays. */
bool plug_base64_decode(struct plug_text *text, const char *data);

#endif
