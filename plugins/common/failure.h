/* A failed build as people should read it, made from a tool's own words. */
#ifndef PLUG_FAILURE_H
#define PLUG_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "strake/plugin.h"

struct plug_failure {
    int code;              /**< STRAKE_EDOCKERFILE, STRAKE_EBUILD, STRAKE_EBUILDER, … */
    char file[256];        /**< the Dockerfile as the tool names it, or "" */
    int line;              /**< in it; 0: unknown */
    char message[512];     /**< one line */
    char hint[256];        /**< or "" */
    char instruction[512]; /**< the one that failed, or "" */
    const char *detail;    /**< the tool's own words; borrowed */
    size_t detail_len;
};

/** Say what it is. @return true, so that a rule reads `return plug_failure_tell(…)`. */
bool plug_failure_tell(struct plug_failure *failure, int code, const char *hint, const char *fmt,
                       ...) STRAKE_PRINTF(4, 5);
/** Hand it on. @return its code */
int plug_failure_report(const struct plug_failure *failure, const struct strake_host *host,
                        struct strake_err *err);

/** What to look at when a command in a RUN ended with this exit code. */
const char *plug_exit_hint(int exit_code);
/** `question` and the command that logs in at the registry of `image`. */
void plug_login_hint(char *to, size_t size, const char *question, const char *image);
/** Copy as much of `text` as there is room for, on one line; what is shortened ends in dots. */
void plug_shorten(char *to, size_t size, const char *text, size_t len);

#endif
