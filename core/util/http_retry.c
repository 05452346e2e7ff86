/* When a request is tried again, and how long to wait before. */
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "util/http_impl.h"
#include "util/time.h"

#define FIRST_WAIT_MS 150
/* Ten years: what is longer is nonsense, and sums of it stay far from overflow. */
#define RETRY_AFTER_MAX_S ((int64_t)315360000)

bool strake_http_may_pass(int status)
{
    /* 501 is a property of the server, not of the moment. */
    return status == 408 || status == 429 || (status >= 500 && status <= 599 && status != 501);
}

/* @return the number, or -1 when there is anything else than 1 to `max_digits` digits. */
static int64_t digits(const char *text, size_t len, size_t max_digits)
{
    int64_t value = 0;
    if (len == 0 || len > max_digits)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

int64_t strake_http_date(const char *text, size_t len)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (len != 29 || memcmp(text + 3, ", ", 2) != 0 || memcmp(text + 25, " GMT", 4) != 0 ||
        text[7] != ' ' || text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':')
        return -1;
    int month = -1;
    for (size_t i = 0; i < 12; i++) {
        if (memcmp(text + 8, months + 3 * i, 3) == 0)
            month = (int)i;
    }
    int64_t day = digits(text + 5, 2, 2), year = digits(text + 12, 4, 4);
    int64_t hour = digits(text + 17, 2, 2), minute = digits(text + 20, 2, 2);
    int64_t second = digits(text + 23, 2, 2);
    if (month < 0 || day < 1 || day > 31 || year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return -1;
    struct tm when = { .tm_year = (int)year - 1900,
                       .tm_mon = month,
                       .tm_mday = (int)day,
                       .tm_hour = (int)hour,
                       .tm_min = (int)minute,
                       .tm_sec = (int)second };
    return timegm(&when);
}

int64_t strake_http_retry_after(const struct strake_buf *headers, int64_t now_us)
{
    size_t pos = 0, len = 0;
    const char *value = strake_http_header(headers, "retry-after", &pos, &len);
    if (value == NULL)
        return -1;
    int64_t seconds = digits(value, len, 18);
    if (seconds < 0) {
        int64_t date = strake_http_date(value, len);
        if (date < 0)
            return -1;
        int64_t now = now_us / 1000000;
        seconds = date > now ? date - now : 0;
    }
    return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
}

/* Nanoseconds of the unit that `text` begins with, whose length is *used; 0: none. */
static double unit_ns(const char *text, size_t len, size_t *used)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {
        { "ns", 1 },   { "us", 1e3 }, { "\xC2\xB5s", 1e3 }, { "\xCE\xBCs", 1e3 },
        { "ms", 1e6 }, { "s", 1e9 },  { "m", 60e9 },        { "h", 3600e9 },
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        *used = strlen(units[i].name);
        if (*used <= len && memcmp(text, units[i].name, *used) == 0)
            return units[i].ns;
    }
    return 0;
}

/* A number with or without a fraction. @return its length, 0: none */
static size_t read_number(const char *text, size_t len, double *value)
{
    double scale = 1;
    size_t at = 0;
    bool fraction = false, digit = false;
    *value = 0;
    for (; at < len && at < 20; at++) {
        if (text[at] == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (text[at] < '0' || text[at] > '9')
            break;
        digit = true;
        *value = *value * 10 + (text[at] - '0');
        scale *= fraction ? 10 : 1;
    }
    *value /= scale;
    return digit ? at : 0;
}

/* As Go writes them: "1h2m3.5s". @return nanoseconds, negative: it is none */
static double go_duration(const char *text, size_t len)
{
    double total = 0, value;
    size_t used;
    bool any = false;
    while ((used = read_number(text, len, &value)) > 0) {
        text += used;
        len -= used;
        double unit = unit_ns(text, len, &used);
        if (unit == 0)
            return -1;
        total += value * unit;
        text += used;
        len -= used;
        any = true;
    }
    return any ? total : -1;
}

int64_t strake_http_retry_words(const char *text, size_t len)
{
    static const char word[] = "retry-after:";
    const size_t word_len = sizeof(word) - 1;
    for (size_t at = 0; at + word_len < len; at++) {
        if (strncasecmp(text + at, word, word_len) != 0)
            continue;
        at += word_len;
        while (at < len && text[at] == ' ')
            at++;
        double ms = go_duration(text + at, len - at) / 1e6;
        if (ms < 0)
            return -1;
        if (ms > (double)RETRY_AFTER_MAX_S * 1000)
            return RETRY_AFTER_MAX_S * 1000;
        return ms < 1 ? 1 : (int64_t)ms;
    }
    return -1;
}

int64_t strake_http_backoff(int tries)
{
    int64_t most = (int64_t)FIRST_WAIT_MS << (tries > 1 ? tries - 1 : 0);
    uint32_t random = 0;
    /* Without randomness (a kernel that has none yet) the full wait is as good. */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        return most;
    return most / 2 + (int64_t)(random % (uint32_t)(most / 2 + 1));
}
