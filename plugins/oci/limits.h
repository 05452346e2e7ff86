/* What a registry says of how often it may be asked: RateLimit-Limit, RateLimit-Remaining and
 * Retry-After (Docker Hub has them). Pure. */
#ifndef OCI_LIMITS_H
#define OCI_LIMITS_H

#include "common/http.h"

/** "100;w=21600" and "76;w=21600"; -1: not said. */
struct oci_limits {
    int64_t most, left;
    int64_t window_s;
};

struct oci_limits oci_limits_read(const char *headers);
/** Few enough are left that somebody should hear of it. */
bool oci_limits_low(const struct oci_limits *limits);
/** Append "100 in 6 h, 7 left"; nothing when the registry says nothing. */
void oci_limits_text(const struct oci_limits *limits, struct plug_text *text);
/** Append when it may be asked again, of Retry-After: "wait 30 s", "wait until Wed, 21 Oct …", or
 *  else "wait a while". */
void oci_limits_wait(const char *headers, struct plug_text *text);

#endif
