/* Any bytes as a regular expression of JavaScript and a text for it (flags, pattern, text, each ended by a NUL):
 * what is taken ends in time, with groups inside of the text. */
#include <stdlib.h>
#include <string.h>

#include "util/jsregex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_jsregex_span spans[STRAKE_JSREGEX_GROUPS];
    struct strake_jsregex *regex = NULL;
    struct strake_err err = { 0 };
    const char *flags, *pattern, *text;
    char *copy = malloc(size + 3);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    memset(copy + size, 0, 3);
    flags = copy;
    pattern = flags + strlen(flags) + (strlen(flags) < size);
    text = pattern + strlen(pattern) + (pattern + strlen(pattern) < copy + size);
    if (strlen(text) < 200 && strake_jsregex_new(pattern, flags, &regex, &err) == 0) {
        const size_t len = strlen(text);
        if (strake_jsregex_match(regex, text, len, 0, spans, &err) > 0) {
            for (size_t i = 0; i < strake_jsregex_groups(regex); i++) {
                if (spans[i].begin != STRAKE_JSREGEX_UNSET && spans[i].begin > len)
                    abort();
            }
        }
        strake_jsregex_free(regex);
    }
    strake_err_dispose(&err);
    free(copy);
    return 0;
}
