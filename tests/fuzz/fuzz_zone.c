/* Any bytes as a file of the tz database, after eight that are the time. */
#include <stdlib.h>
#include <string.h>

#include "util/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_zone_time time;
    int64_t when;

    if (size < sizeof(when))
        return 0;
    memcpy(&when, data, sizeof(when));
    when %= 253402300800; /* up to the year 9999, as SOURCE_DATE_EPOCH */
    if (strake_zone_read((const char *)data + sizeof(when), size - sizeof(when), when, &time) ==
            0 &&
        !memchr(time.abbreviation, 0, sizeof(time.abbreviation)))
        abort();
    return 0;
}
