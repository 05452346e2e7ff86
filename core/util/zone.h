/* Time zones: what clocks show somewhere, from the system's tz database. The files are read here, not
 * through TZ and localtime(): those are of the whole process, and other threads read the environment. */
#ifndef STRAKE_UTIL_ZONE_H
#define STRAKE_UTIL_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define STRAKE_ZONE_NAME 16

struct strake_zone_time {
    int32_t offset_seconds;              /**< to be added to UTC */
    char abbreviation[STRAKE_ZONE_NAME]; /**< "JST" */
};

/** What zone `name` ("Asia/Tokyo") is at a time. Reads one file of $TZDIR or /usr/share/zoneinfo;
 *  any thread.
 *  @return 0; STRAKE_ECONFIG: no such zone (a hint names a package when there is no database at all),
 *          or a file that is none; STRAKE_ENOMEM. */
int strake_zone_at(const char *name, int64_t unix_seconds, struct strake_zone_time *out,
                   struct strake_err *err);
/** The same of a file's bytes (RFC 8536), for tests. @return 0 or STRAKE_ECONFIG without a text. */
int strake_zone_read(const char *data, size_t len, int64_t unix_seconds,
                     struct strake_zone_time *out);

#endif
