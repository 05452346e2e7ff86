/* How often a registry may be asked (limits.h). */
#include "limits.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define NUMBER_DIGITS 9
#define DATE_MAX 40

/** The number that `text` begins with, at most NUMBER_DIGITS long; *end behind it. -1: none. */
static int64_t number(const char *text, size_t len, size_t *end)
{
    int64_t value = 0;
    size_t at = 0;
    while (at < len && at <= NUMBER_DIGITS && isdigit((unsigned char)text[at]))
        value = value * 10 + (text[at++] - '0');
    *end = at;
    return at > 0 && at <= NUMBER_DIGITS ? value : -1;
}

/** A header "100;w=21600": its number, and the window where it has one. */
static int64_t read_one(const char *headers, const char *name, int64_t *window_s)
{
    size_t pos = 0, len = 0, end = 0;
    const char *value = plug_header(headers, name, &pos, &len);
    int64_t found = value ? number(value, len, &end) : -1;
    if (found >= 0 && len > end + 3 && strncmp(value + end, ";w=", 3) == 0) {
        int64_t window = number(value + end + 3, len - end - 3, &end);
        if (window > 0)
            *window_s = window;
    }
    return found;
}

struct oci_limits oci_limits_read(const char *headers)
{
    struct oci_limits limits = { .window_s = -1 };
    limits.most = read_one(headers, "ratelimit-limit", &limits.window_s);
    limits.left = read_one(headers, "ratelimit-remaining", &limits.window_s);
    return limits;
}

bool oci_limits_low(const struct oci_limits *limits)
{
    return limits->left >= 0 && limits->most > 0 && limits->left <= limits->most / 10;
}

static void add_window(struct plug_text *text, int64_t seconds)
{
    if (seconds % 3600 == 0)
        plug_text_addf(text, "%" PRId64 " h", seconds / 3600);
    else if (seconds % 60 == 0)
        plug_text_addf(text, "%" PRId64 " min", seconds / 60);
    else
        plug_text_addf(text, "%" PRId64 " s", seconds);
}

void oci_limits_text(const struct oci_limits *limits, struct plug_text *text)
{
    if (limits->most >= 0) {
        plug_text_addf(text, "%" PRId64, limits->most);
        if (limits->window_s > 0) {
            plug_text_add(text, " in ");
            add_window(text, limits->window_s);
        }
    }
    if (limits->left >= 0)
        plug_text_addf(text, "%s%" PRId64 " left", limits->most >= 0 ? ", " : "", limits->left);
}

void oci_limits_wait(const char *headers, struct plug_text *text)
{
    size_t pos = 0, len = 0, end = 0;
    const char *value = plug_header(headers, "retry-after", &pos, &len);
    int64_t seconds = value ? number(value, len, &end) : -1;
    if (seconds > 0 && end == len)
        plug_text_addf(text, "wait %" PRId64 " s", seconds);
    else if (value && len > 0 && len < DATE_MAX && isalpha((unsigned char)*value))
        plug_text_addf(text, "wait until %.*s", (int)len, value);
    else
        plug_text_add(text, "wait a while");
}
