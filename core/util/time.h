/* Clocks, RFC 3339 and durations. */
#ifndef STRAKE_UTIL_TIME_H
#define STRAKE_UTIL_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "strake/plugin.h"

#define STRAKE_TIME_TEXT 32

int64_t strake_time_now_us(void);  /**< wall clock, microseconds since the epoch */
int64_t strake_time_mono_ms(void); /**< monotonic, milliseconds */
int64_t strake_time_mono_us(void);
/** "2026-11-25T02:12:36.123Z"; `out` holds STRAKE_TIME_TEXT bytes. */
void strake_time_format(int64_t us, char *out);
/** RFC 3339, with fraction (to microseconds) and offset. @return 0 or STRAKE_EUSAGE. */
int strake_time_parse(const char *text, int64_t *us);
/** "300ms", "2s", "1.5m", "1h30m", at most ten years; a bare number is refused.
 *  @return 0 or STRAKE_EUSAGE. */
int strake_duration_parse(const char *text, int64_t *ms);
/** For people: "120 ms", "1.2 s", "3 min 4 s". */
void strake_duration_format(int64_t ms, char *out, size_t cap);
/** For people: "999 B", "12.3 kB", "1.2 GB" (decimal units, as docker shows them). */
void strake_size_format(int64_t bytes, char *out, size_t cap);

#endif
