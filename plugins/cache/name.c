/* Names of references that nobody wrote. */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS 6 /* of a digest, where a name was changed or cut */

static const char branch_word[] = "{branch}";
static const char target_word[] = "{target}";

/* What stands for a character: lower case, for buildah makes repositories of such names. */
static char fitting(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
        return c;
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : '-';
}

void cache_name_part(const struct strake_host *host, const char *text, size_t max,
                     struct plug_text *out)
{
    char digest[72];
    size_t len = strlen(text);
    bool changed = len > max;
    for (size_t i = 0; i < len && i < max; i++) {
        char c = fitting(text[i]);
        changed = changed || c != text[i];
        plug_text_add_len(out, &c, 1);
    }
    if (!changed)
        return;
    if (host->digest(text, len, digest) < 0) {
        out->failed = true;
        return;
    }
    plug_text_addf(out, "-%.*s", DIGITS, strchr(digest, ':') + 1);
}

bool cache_on_main(const struct cache_ask *ask)
{
    const struct strake_cache_request *request = &ask->request;
    return request->branch[0] == '\0' || strcmp(request->branch, request->main_branch) == 0;
}

void cache_name(const struct cache_ask *ask, const char *platform, const char *branch,
                struct plug_text *out)
{
    cache_name_part(ask->host, ask->request.target, 32, out);
    if (platform[0] != '\0')
        plug_text_addf(out, "-%s", platform);
    if (branch[0] != '\0') {
        plug_text_add(out, ".");
        cache_name_part(ask->host, branch, 24, out);
    }
}

void cache_expand(const struct cache_ask *ask, const char *text, const char *branch,
                  struct plug_text *out)
{
    while (*text != '\0') {
        if (strncmp(text, branch_word, strlen(branch_word)) == 0) {
            cache_name_part(ask->host, branch, 40, out);
            text += strlen(branch_word);
        } else if (strncmp(text, target_word, strlen(target_word)) == 0) {
            cache_name_part(ask->host, ask->request.target, 40, out);
            text += strlen(target_word);
        } else {
            plug_text_add_len(out, text++, 1);
        }
    }
}

/* ---- did you mean ---------------------------------------------------------------------------- */

#define WORD_MAX 32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance; words are short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strnlen(b, WORD_MAX);
    for (size_t k = 0; k <= b_len; k++)
        row[k] = k;
    for (size_t i = 1; i <= a_len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_len; k++) {
            size_t changed = corner + (a[i - 1] != b[k - 1]);
            corner = row[k];
            row[k] = least(changed, least(row[k], row[k - 1]) + 1);
        }
    }
    return row[b_len];
}

const char *cache_nearest(const char *word, const char *const *words, size_t edits)
{
    const char *nearest = NULL;
    size_t len = strlen(word);
    size_t best = (edits < len / 2 ? edits : len / 2) + 1;
    for (; len <= WORD_MAX && *words != NULL; words++) {
        size_t far = distance(word, *words);
        if (far < best) {
            best = far;
            nearest = *words;
        }
    }
    return nearest;
}
