/* One failure: code, message, hint, place and a tool's own words. */
#ifndef STRAKE_UTIL_ERR_H
#define STRAKE_UTIL_ERR_H

#include <jansson.h>
#include <stdarg.h>

#include "strake/plugin.h"

/** Zero-initialised is "no failure". Setting it never fails: without memory a shorter text stands.
 *  Not for two threads at once. */
struct strake_err {
    int code;      /**< 0 or a STRAKE_E… */
    int line;      /**< 0: unknown */
    char *message; /**< one sentence, no full stop, no newline */
    char *hint;    /**< what to do next, or NULL */
    char *file;    /**< or NULL */
    char *detail;  /**< a tool's own words, any number of lines, at most 64 KiB, or NULL */
};

/** Describe a failure; what stood there before is dropped. @return code. Secrets are redacted. */
int strake_fail(struct strake_err *err, int code, const char *fmt, ...) STRAKE_PRINTF(3, 4);
int strake_vfail(struct strake_err *err, int code, const char *fmt, va_list args)
    STRAKE_PRINTF(3, 0);
/** As strake_fail with ": <strerror(errno)>" behind the text. */
int strake_fail_errno(struct strake_err *err, int code, const char *fmt, ...) STRAKE_PRINTF(3, 4);
int strake_fail_nomem(struct strake_err *err);
/** Put text before the message: "target app: " + message. */
void strake_err_prefix(struct strake_err *err, const char *fmt, ...) STRAKE_PRINTF(2, 3);
void strake_err_hint(struct strake_err *err, const char *fmt, ...) STRAKE_PRINTF(2, 3);
void strake_err_place(struct strake_err *err, const char *file, int line);
/** Appends; terminal control characters are dropped. */
void strake_err_detail(struct strake_err *err, const char *data, size_t len);
/** Give the failure another code: the caller knows better what it means. @return code */
int strake_err_recode(struct strake_err *err, int code);
void strake_err_copy(struct strake_err *to, const struct strake_err *from);
/** Moves; `from` is empty then. */
void strake_err_move(struct strake_err *to, struct strake_err *from);
const char *strake_err_message(const struct strake_err *err); /**< never NULL */
void strake_err_dispose(struct strake_err *err);

/** "registry" for STRAKE_EREGISTRY …: `error.kind` of docs/interfaces.md. Never NULL. */
const char *strake_code_kind(int code);
/** Exit code of a failure that ended a command (design §5); 0 for 0. */
int strake_code_exit(int code);
/** {"kind","message","hint","file","line","exit","detail"} without what has no value; NULL: no
 *  memory. */
json_t *strake_err_json(const struct strake_err *err);
/** The other way round: from what strake_err_json() wrote. @return its code */
int strake_err_parse(struct strake_err *err, const json_t *json);
/** As people read it: message, place, hint, tool's words; ends in a newline. `colour`: ANSI. */
int strake_err_render(const struct strake_err *err, bool colour, struct strake_buf *out);

#endif
