/* Sizes as people write them. */
#include "util/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "strake/plugin.h"

/* The power of 1,024 that a unit stands for, or -1. */
static int unit_power(const char *unit)
{
    static const char letters[] = "bkmgt";
    const char *found;

    if (!*unit)
        return 0;
    found = strchr(letters, tolower((unsigned char)*unit));
    if (!found)
        return -1;
    unit++;
    if (found != letters && tolower((unsigned char)*unit) == 'i')
        unit++;
    if (found != letters && tolower((unsigned char)*unit) == 'b')
        unit++;
    return *unit ? -1 : (int)(found - letters);
}

int strake_size_parse(const char *text, int64_t *bytes)
{
    unsigned long long number;
    char *end;
    int power;

    if (!isdigit((unsigned char)*text))
        return STRAKE_EUSAGE;
    errno = 0;
    number = strtoull(text, &end, 10);
    power = unit_power(end);
    if (errno || power < 0 || number > ((unsigned long long)INT64_MAX >> (10 * power)))
        return STRAKE_EUSAGE;
    *bytes = (int64_t)(number << (10 * power));
    return 0;
}
