/* Sizes as people write them. */
#ifndef STRAKE_UTIL_SIZE_H
#define STRAKE_UTIL_SIZE_H

#include <stdint.h>

/** "64m", "1g", "512k", "1048576", also "64MB" and "64MiB": powers of 1,024, as docker reads them.
 *  @return 0 or STRAKE_EUSAGE. */
int strake_size_parse(const char *text, int64_t *bytes);

#endif
