/* Names of steps. They are written for people: what is read of them is no more than the brackets,
 * whose form BuildKit and our buildah plugin have in common. */
#include <string.h>

#include "build/explain.h"
#include "image/digest.h"

#define STEPS_MAX 1000000

/* Take a word off, up to a blank or the end. */
static struct strake_span next_word(struct strake_span *rest)
{
    const char *blank = rest->len > 0 ? memchr(rest->at, ' ', rest->len) : NULL;
    struct strake_span word = { rest->at, blank != NULL ? (size_t)(blank - rest->at) : rest->len };

    *rest = strake_span_skip(*rest, word.len + (blank != NULL ? 1 : 0));
    return word;
}

static bool read_number(struct strake_span *text, int *number)
{
    size_t len = 0;

    *number = 0;
    while (len < text->len && text->at[len] >= '0' && text->at[len] <= '9' && *number < STEPS_MAX)
        *number = *number * 10 + (text->at[len++] - '0');
    *text = strake_span_skip(*text, len);
    return len > 0 && *number <= STEPS_MAX;
}

/* "2/5" and nothing else. */
static bool read_count(struct strake_span word, int *index, int *total)
{
    if (!read_number(&word, index) || word.len == 0 || word.at[0] != '/')
        return false;
    word = strake_span_skip(word, 1);
    return read_number(&word, total) && word.len == 0 && *index > 0 && *total > 0;
}

static bool take_prefix(struct strake_span *text, const char *prefix)
{
    size_t len = strlen(prefix);

    if (text->len < len || memcmp(text->at, prefix, len) != 0)
        return false;
    *text = strake_span_skip(*text, len);
    return true;
}

/* "[platform stage 2/5] ", "[platform stage 1/2 2/5] " of buildah, each word but the last one
 * optional. */
static bool read_brackets(struct strake_span *rest, struct strake_step_name *out)
{
    const char *end = rest->len > 0 && rest->at[0] == '[' ? memchr(rest->at, ']', rest->len) : NULL;
    struct strake_span words[4], inside;
    size_t count = 0, at = 0;
    int of = 0;

    if (end == NULL || end + 1 == rest->at + rest->len || end[1] != ' ')
        return false;
    inside = (struct strake_span){ rest->at + 1, (size_t)(end - rest->at) - 1 };
    while (inside.len > 0) {
        if (count == sizeof(words) / sizeof(words[0]))
            return false;
        words[count++] = next_word(&inside);
    }
    if (count == 0 || !read_count(words[--count], &out->index, &out->total))
        return false;
    if (at < count && memchr(words[at].at, '/', words[at].len) != NULL)
        out->platform = words[at++];
    if (at < count)
        out->stage = words[at++];
    if (at < count &&
        (!strake_span_is(out->stage, "stage") || !read_count(words[at++], &out->number, &of)))
        return false;
    *rest = strake_span_skip(*rest, (size_t)(end - rest->at) + 2);
    return at == count;
}

bool strake_step_name_parse(const char *name, struct strake_step_name *out)
{
    struct strake_span rest = { name, strlen(name) };

    *out = (struct strake_step_name){ 0 };
    if (!read_brackets(&rest, out))
        return false;
    take_prefix(&rest, "LINK ");
    out->onbuild = take_prefix(&rest, "ONBUILD ");
    out->text = rest;
    return rest.len > 0 && !take_prefix(&rest, "FROM ");
}

bool strake_step_name_base(const char *name, struct strake_step_name *out, struct strake_span *ref,
                           struct strake_span *digest)
{
    struct strake_span rest = { name, strlen(name) };
    struct strake_step_name head = { 0 };
    const char *at;

    if (rest.len > 0 && rest.at[0] == '[' && !read_brackets(&rest, &head))
        return false;
    if (!take_prefix(&rest, "FROM "))
        return false;
    at = rest.len > 0 ? memrchr(rest.at, '@', rest.len) : NULL;
    if (at == NULL || at == rest.at || !strake_digest_valid(at + 1))
        return false;
    *ref = (struct strake_span){ rest.at, (size_t)(at - rest.at) };
    *digest = strake_span_skip(rest, ref->len + 1);
    if (out != NULL)
        *out = head;
    return true;
}

const char *strake_step_name_import(const char *name)
{
    static const char importing[] = "importing cache manifest from ";
    const size_t len = sizeof(importing) - 1;

    return strncmp(name, importing, len) == 0 ? name + len : NULL;
}

bool strake_step_name_absent(const char *name, const char *error)
{
    static const char end[] = ": not found";
    const size_t len = error ? strlen(error) : 0;

    return len >= sizeof(end) && strake_step_name_import(name) &&
           strcmp(error + len - (sizeof(end) - 1), end) == 0;
}
