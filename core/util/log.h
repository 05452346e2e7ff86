/* The program's own log: to stderr, or to a sink while a live view owns the screen. */
#ifndef STRAKE_UTIL_LOG_H
#define STRAKE_UTIL_LOG_H

#include "strake/plugin.h"

/** Any thread. One line, secrets redacted, control characters dropped. Below the level: nothing. */
void strake_log(enum strake_level level, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** Default STRAKE_LOG_WARN; `--debug` lowers it. */
void strake_log_set_level(enum strake_level level);
/** Where lines go instead of stderr ("strake: warning: TEXT\n"); NULL: stderr again. The sink is
 *  called under a lock and must not log. */
void strake_log_set_sink(void (*sink)(void *ctx, enum strake_level level, const char *line),
                         void *ctx);

#endif
