/* Edit distance between short words, for hints. Three rows on the stack: words of more than 64
 * bytes are no misspellings. */
#include "util/suggest.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 64

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t low = a < b ? a : b;
    return low < c ? low : c;
}

/* Optimal string alignment: Levenshtein's distance, and two neighbours swapped are one edit. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = lower(a[i - 1]);
            char y = lower(b[j - 1]);
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *strake_suggest(const char *word, const char *const *candidates)
{
    size_t len = strlen(word);
    if (len < 2 || len > WORD_MAX)
        return NULL;
    size_t best = len / 3 > 0 ? len / 3 : 1;
    const char *found = NULL;
    for (; *candidates != NULL; candidates++) {
        size_t other = strlen(*candidates);
        if (other > WORD_MAX || other > len + best || len > other + best)
            continue;
        size_t edits = distance(word, len, *candidates, other);
        if (edits < best || (edits == best && found == NULL)) {
            best = edits;
            found = *candidates;
        }
    }
    return found;
}
