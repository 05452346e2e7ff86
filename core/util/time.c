/* Clocks, RFC 3339 and durations. */
#include "util/time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t strake_time_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t strake_time_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t strake_time_mono_ms(void)
{
    return strake_time_mono_us() / 1000;
}

void strake_time_format(int64_t us, char *out)
{
    int64_t seconds = us / 1000000, rest = us % 1000000;
    struct tm tm = { 0 };
    time_t at;

    if (rest < 0) {
        seconds--;
        rest += 1000000;
    }
    at = (time_t)seconds;
    if (!gmtime_r(&at, &tm) || tm.tm_year > 8099 || tm.tm_year < -1900) {
        at = 0;
        gmtime_r(&at, &tm);
    }
    snprintf(out, STRAKE_TIME_TEXT, "%04hu-%02hhu-%02hhuT%02hhu:%02hhu:%02hhu.%03huZ",
             (unsigned short)(tm.tm_year + 1900), (unsigned char)(tm.tm_mon + 1),
             (unsigned char)tm.tm_mday, (unsigned char)tm.tm_hour, (unsigned char)tm.tm_min,
             (unsigned char)tm.tm_sec, (unsigned short)(rest / 1000));
}

/* Exactly `count` digits. */
static bool digits(const char **at, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at))
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static bool expect(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* At least one digit; those behind `unit` = 1 add nothing. */
static bool fraction(const char **at, int64_t unit, int64_t *value)
{
    *value = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++, unit /= 10)
        *value += (**at - '0') * unit;
    return true;
}

static bool is_day(int year, int month, int day)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool offset_seconds(const char **at, int *seconds)
{
    int hours, minutes, sign;

    *seconds = 0;
    if (**at == 'Z' || **at == 'z') {
        (*at)++;
        return true;
    }
    if (**at != '+' && **at != '-')
        return false;
    sign = **at == '-' ? -1 : 1;
    (*at)++;
    if (!digits(at, 2, &hours) || !expect(at, ':') || !digits(at, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

int strake_time_parse(const char *text, int64_t *us)
{
    struct tm tm = { 0 };
    int64_t part = 0;
    int year, month, offset;

    if (!digits(&text, 4, &year) || !expect(&text, '-') || !digits(&text, 2, &month) ||
        !expect(&text, '-') || !digits(&text, 2, &tm.tm_mday))
        return STRAKE_EUSAGE;
    if (*text != 'T' && *text != 't' && *text != ' ')
        return STRAKE_EUSAGE;
    text++;
    if (!digits(&text, 2, &tm.tm_hour) || !expect(&text, ':') || !digits(&text, 2, &tm.tm_min) ||
        !expect(&text, ':') || !digits(&text, 2, &tm.tm_sec))
        return STRAKE_EUSAGE;
    if (expect(&text, '.') && !fraction(&text, 100000, &part))
        return STRAKE_EUSAGE;
    if (!offset_seconds(&text, &offset) || *text || !is_day(year, month, tm.tm_mday) ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return STRAKE_EUSAGE;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *us = ((int64_t)timegm(&tm) - offset) * 1000000 + part;
    return 0;
}

/* ---- durations ---- */

#define DURATION_MAX_MS ((int64_t)10 * 365 * 86400000)

static int64_t unit_ms(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*at, units[i].name, len) == 0 && !isalpha((unsigned char)(*at)[len])) {
            *at += len;
            return units[i].ms;
        }
    }
    return 0;
}

int strake_duration_parse(const char *text, int64_t *ms)
{
    int64_t total = 0;

    if (!*text)
        return STRAKE_EUSAGE;
    while (*text) {
        int64_t number = 0, micro = 0, unit;
        if (!isdigit((unsigned char)*text))
            return STRAKE_EUSAGE;
        for (; isdigit((unsigned char)*text) && number <= DURATION_MAX_MS; text++)
            number = number * 10 + (*text - '0');
        if (expect(&text, '.') && !fraction(&text, 100000, &micro))
            return STRAKE_EUSAGE;
        unit = unit_ms(&text);
        if (unit == 0 || number > DURATION_MAX_MS / unit)
            return STRAKE_EUSAGE;
        total += number * unit + (micro * unit + 500000) / 1000000;
        if (total > DURATION_MAX_MS)
            return STRAKE_EUSAGE;
    }
    *ms = total;
    return 0;
}

void strake_duration_format(int64_t ms, char *out, size_t cap)
{
    long long seconds = (ms + 50) / 1000;

    if (ms < 1000)
        snprintf(out, cap, "%lld ms", (long long)ms);
    else if (ms < 59950) /* from there on it would be 60.0 */
        snprintf(out, cap, "%.1f s", (double)ms / 1000);
    else if (seconds < 3600)
        snprintf(out, cap, "%lld min %lld s", seconds / 60, seconds % 60);
    else
        snprintf(out, cap, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
}

void strake_size_format(int64_t bytes, char *out, size_t cap)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(out, cap, "%lld B", (long long)bytes);
    else
        snprintf(out, cap, "%.1f %s", value, units[unit]);
}
