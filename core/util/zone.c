/* TZif files (RFC 8536) and the rule of POSIX TZ at their end, which holds after the last transition. */
#include "util/zone.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/mem.h"

#define FILE_MAX ((size_t)256 * 1024)
#define HEADER 44
#define DAY 86400

static const char *tz_folder(void)
{
    const char *dir = getenv("TZDIR");

    return dir && dir[0] == '/' ? dir : "/usr/share/zoneinfo";
}

/* ---- numbers ---- */

static int64_t big_endian(const unsigned char *at, size_t bytes)
{
    uint64_t value = at[0] & 0x80 ? ~(uint64_t)0 : 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

/* Days since 1970-01-01. */
static int64_t day_number(int64_t year, int month, int day)
{
    const int64_t shifted = year - (month <= 2);
    const int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    const int64_t of_era = shifted - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t year_of(int64_t seconds)
{
    int64_t days = seconds / DAY - (seconds % DAY < 0);
    int64_t year = 1970 + days / 366;

    while (day_number(year + 1, 1, 1) <= days)
        year++;
    while (day_number(year, 1, 1) > days)
        year--;
    return year;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* ---- the rule at the end: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

struct rule_day {
    char form; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t time; /* seconds since midnight of that day */
};

struct rule {
    char standard[STRAKE_ZONE_NAME], summer[STRAKE_ZONE_NAME];
    int32_t standard_offset, summer_offset;
    bool has_summer;
    struct rule_day begin, end;
};

static bool take_number(const char **at, int max, int *out)
{
    int value = 0;

    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at); (*at)++) {
        value = value * 10 + (**at - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

static bool take_name(const char **at, char *out)
{
    const bool quoted = **at == '<';
    size_t len = 0;

    *at += quoted;
    while (isalpha((unsigned char)**at) ||
           (quoted && (isdigit((unsigned char)**at) || **at == '+' || **at == '-'))) {
        if (len == STRAKE_ZONE_NAME - 1)
            return false;
        out[len++] = *(*at)++;
    }
    out[len] = '\0';
    if (quoted && *(*at)++ != '>')
        return false;
    return len >= 3;
}

/* [+-]H[H[H]][:MM[:SS]] */
static bool take_time(const char **at, int32_t *seconds)
{
    const bool minus = **at == '-';
    int hours, minutes = 0, rest = 0;

    *at += minus || **at == '+';
    if (!take_number(at, 167, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!take_number(at, 59, &minutes))
            return false;
        if (**at == ':') {
            (*at)++;
            if (!take_number(at, 59, &rest))
                return false;
        }
    }
    *seconds = (hours * 60 + minutes) * 60 + rest;
    *seconds = minus ? -*seconds : *seconds;
    return true;
}

static bool take_day(const char **at, struct rule_day *out)
{
    *out = (struct rule_day){ .form = '0', .time = 2 * 3600 };
    if (**at != ',')
        return false;
    (*at)++;
    if (**at == 'M') {
        out->form = 'M';
        (*at)++;
        if (!take_number(at, 12, &out->month) || out->month < 1 || *(*at)++ != '.' ||
            !take_number(at, 5, &out->week) || out->week < 1 || *(*at)++ != '.' ||
            !take_number(at, 6, &out->day))
            return false;
    } else {
        if (**at == 'J') {
            out->form = 'J';
            (*at)++;
        }
        if (!take_number(at, 365, &out->day) || (out->form == 'J' && out->day < 1))
            return false;
    }
    if (**at != '/')
        return true;
    (*at)++;
    return take_time(at, &out->time);
}

static bool read_rule(const char *text, struct rule *rule)
{
    *rule = (struct rule){ 0 };
    if (!take_name(&text, rule->standard) || !take_time(&text, &rule->standard_offset))
        return false;
    rule->standard_offset = -rule->standard_offset; /* POSIX counts to the west */
    if (!*text)
        return true;
    if (!take_name(&text, rule->summer))
        return false;
    rule->has_summer = true;
    rule->summer_offset = rule->standard_offset + 3600;
    if (*text != ',') {
        if (!take_time(&text, &rule->summer_offset))
            return false;
        rule->summer_offset = -rule->summer_offset;
    }
    return take_day(&text, &rule->begin) && take_day(&text, &rule->end) && !*text;
}

/* When the change of a year is, in seconds since the epoch. `offset` holds before it. */
static int64_t change_at(const struct rule_day *day, int64_t year, int32_t offset)
{
    int64_t number;

    if (day->form == 'M') {
        const int64_t first = day_number(year, day->month, 1);
        const int64_t next =
            day->month == 12 ? day_number(year + 1, 1, 1) : day_number(year, day->month + 1, 1);
        const int weekday = (int)(((first + 4) % 7 + 7) % 7);
        number = first + (day->day - weekday + 7) % 7 + 7 * (day->week - 1);
        while (number >= next)
            number -= 7;
    } else {
        number = day_number(year, 1, 1) + day->day;
        if (day->form == 'J' && !(is_leap(year) && day->day >= 60))
            number--;
    }
    return number * DAY + day->time - offset;
}

static int apply_rule(const char *text, int64_t when, struct strake_zone_time *out)
{
    struct rule rule;
    bool summer = false;

    if (!read_rule(text, &rule))
        return STRAKE_ECONFIG;
    if (rule.has_summer) {
        const int64_t year = year_of(when + rule.standard_offset);
        const int64_t begin = change_at(&rule.begin, year, rule.standard_offset);
        const int64_t end = change_at(&rule.end, year, rule.summer_offset);
        summer = begin < end ? when >= begin && when < end : when >= begin || when < end;
    }
    out->offset_seconds = summer ? rule.summer_offset : rule.standard_offset;
    memcpy(out->abbreviation, summer ? rule.summer : rule.standard, STRAKE_ZONE_NAME);
    return 0;
}

/* ---- the file ---- */

/* One of the two blocks: counts of the header, and where its data begins. */
struct block {
    const unsigned char *data;
    size_t time_bytes; /* 4 in the first block, 8 in the second */
    size_t isutc, isstd, leap, times, types, chars;
    size_t len; /* of the data */
};

static bool read_block(const unsigned char *at, size_t left, size_t time_bytes, struct block *out)
{
    size_t counts[6];

    if (left < HEADER || memcmp(at, "TZif", 4) != 0)
        return false;
    for (size_t i = 0; i < 6; i++) {
        const int64_t count = big_endian(at + 20 + 4 * i, 4);
        if (count < 0 || count > (int64_t)FILE_MAX)
            return false;
        counts[i] = (size_t)count;
    }
    *out = (struct block){ .data = at + HEADER,
                           .time_bytes = time_bytes,
                           .isutc = counts[0],
                           .isstd = counts[1],
                           .leap = counts[2],
                           .times = counts[3],
                           .types = counts[4],
                           .chars = counts[5] };
    out->len = out->times * (time_bytes + 1) + out->types * 6 + out->chars +
               out->leap * (time_bytes + 4) + out->isstd + out->isutc;
    return out->types > 0 && out->types <= 256 && out->chars > 0 && out->len <= left - HEADER;
}

static int take_type(const struct block *block, size_t index, struct strake_zone_time *out)
{
    const unsigned char *types = block->data + block->times * (block->time_bytes + 1);
    const unsigned char *type = types + 6 * index;
    const char *chars = (const char *)types + 6 * block->types;
    size_t name = index < block->types ? type[5] : 0, len;

    if (index >= block->types || name >= block->chars)
        return STRAKE_ECONFIG;
    len = strnlen(chars + name, block->chars - name);
    if (len >= STRAKE_ZONE_NAME)
        return STRAKE_ECONFIG;
    out->offset_seconds = (int32_t)big_endian(type, 4);
    memcpy(out->abbreviation, chars + name, len);
    out->abbreviation[len] = '\0';
    return out->offset_seconds > -2 * DAY && out->offset_seconds < 2 * DAY ? 0 : STRAKE_ECONFIG;
}

/* How many transitions are at or before `when`. */
static size_t transitions_until(const struct block *block, int64_t when)
{
    size_t low = 0, high = block->times;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (big_endian(block->data + middle * block->time_bytes, block->time_bytes) <= when)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int strake_zone_read(const char *data, size_t len, int64_t unix_seconds,
                     struct strake_zone_time *out)
{
    const unsigned char *at = (const unsigned char *)data;
    char rule[128] = "";
    struct block block;
    size_t passed;

    if (!read_block(at, len, 4, &block))
        return STRAKE_ECONFIG;
    if (at[4] >= '2') { /* the same again with 64 bits, and a rule behind it */
        const unsigned char *second = block.data + block.len, *footer, *end;
        if (!read_block(second, len - (size_t)(second - at), 8, &block))
            return STRAKE_ECONFIG;
        footer = block.data + block.len;
        end = at + len;
        if (footer < end && *footer == '\n') {
            const unsigned char *stop = memchr(footer + 1, '\n', (size_t)(end - footer - 1));
            if (!stop || (size_t)(stop - footer) > sizeof(rule))
                return STRAKE_ECONFIG;
            memcpy(rule, footer + 1, (size_t)(stop - footer - 1));
        }
    }
    passed = transitions_until(&block, unix_seconds);
    if (passed == block.times && rule[0])
        return apply_rule(rule, unix_seconds, out);
    if (passed == 0)
        return take_type(&block, 0, out);
    return take_type(&block, block.data[block.times * block.time_bytes + passed - 1], out);
}

/* Area/City: nothing that leads to another file. */
static bool is_zone_name(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > 64 || name[0] == '/' || strstr(name, ".."))
        return false;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("_+-/", *c))
            return false;
    }
    return true;
}

static int no_zone(const char *name, struct strake_err *err)
{
    strake_fail(err, STRAKE_ECONFIG, "there is no time zone '%s'", name);
    if (!strake_fs_is_dir(tz_folder()))
        strake_err_hint(err, "this machine has no time zones at all: install the package tzdata");
    else
        strake_err_hint(err, "write it as the tz database does: Asia/Tokyo, Europe/Berlin, UTC");
    return STRAKE_ECONFIG;
}

int strake_zone_at(const char *name, int64_t unix_seconds, struct strake_zone_time *out,
                   struct strake_err *err)
{
    struct strake_buf data = STRAKE_BUF(FILE_MAX);
    int rc = is_zone_name(name) ? 0 : no_zone(name, err);

    if (rc == 0) {
        rc = strake_fs_read_beneath(tz_folder(), name, FILE_MAX, &data, err);
        if (rc < 0 && rc != STRAKE_ENOMEM) {
            strake_err_dispose(err);
            rc = no_zone(name, err);
        }
    }
    if (rc == 0 && strake_zone_read(strake_buf_text(&data), data.len, unix_seconds, out) < 0)
        rc = strake_fail(err, STRAKE_ECONFIG, "%s/%s is no time zone file", tz_folder(), name);
    strake_buf_dispose(&data);
    return rc;
}
