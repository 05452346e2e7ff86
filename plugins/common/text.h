/* Growing text and lists of strings for the plugins that run programs: argument lists, environments,
 * comma-separated records. A failed allocation is remembered, so that a row of additions needs one
 * check at its end. */
#ifndef STRAKE_PLUGINS_TEXT_H
#define STRAKE_PLUGINS_TEXT_H

#include "strake/plugin.h"

/** A string that grows. Zero-initialised is empty. */
struct strake_text {
    char *data; /**< NULL while empty; else NUL-terminated */
    size_t len;
    size_t cap;
    bool failed; /**< out of memory: it holds less than was added */
};

void strake_text_add(struct strake_text *text, const char *data, size_t len);
void strake_text_puts(struct strake_text *text, const char *string);
void strake_text_printf(struct strake_text *text, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** The bytes, never NULL, borrowed until the next change. */
const char *strake_text_get(const struct strake_text *text);
void strake_text_clear(struct strake_text *text);
/** Overwrites the bytes before they are freed: they may hold a secret. */
void strake_text_dispose(struct strake_text *text);

/** Add the field `key=value` to a CSV record, quoted when it has to be (RFC 4180). */
void strake_text_csv(struct strake_text *record, const char *key, const char *value);

/** A NULL-terminated list of own strings. Zero-initialised is empty. */
struct strake_args {
    char **items; /**< NULL while empty */
    size_t count;
    size_t cap;
    bool failed;
};

void strake_args_add(struct strake_args *args, const char *arg);
void strake_args_printf(struct strake_args *args, const char *fmt, ...) STRAKE_PRINTF(2, 3);
/** An option and its value, two arguments. */
void strake_args_option(struct strake_args *args, const char *option, const char *value);
/** As process_run() takes it; borrowed. */
const char *const *strake_args_list(const struct strake_args *args);
/** Append the list to `buf` as a JSON array of strings; what is not UTF-8 becomes "?".
 *  @return 0, STRAKE_ENOMEM, or what buf_append() says. */
int strake_args_json(const struct strake_args *args, const struct strake_host *host,
                     struct strake_buf *buf);
/** Overwrites the strings before they are freed. */
void strake_args_dispose(struct strake_args *args);

#endif
