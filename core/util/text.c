/* What may be shown. */
#include "util/text.h"

#include <string.h>

size_t strake_text_control(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text;

    if (c[0] < 0x20 || c[0] == 0x7f)
        return 1;
    return len > 1 && c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0 ? 2 : 0;
}

void strake_text_blank(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t n = strake_text_control(text + i, len - i);
        memset(text + i, ' ', n);
        i += n ? n : 1;
    }
}
