/* Strict, bounded JSON on top of jansson: no duplicate keys, bounded size and depth, NUL and
 * invalid UTF-8 refused, and getters that say what was wrong and where. */
#ifndef STRAKE_UTIL_JSON_H
#define STRAKE_UTIL_JSON_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"

#define STRAKE_JSON_DEPTH 128

/** Parse one document. `what` names the source in messages ("the answer of 127.0.0.1:5000").
 *  @return a new reference, or NULL with `err` (code given by the caller, STRAKE_ENOMEM). */
json_t *strake_json_parse(const char *data, size_t len, const char *what, int code,
                          struct strake_err *err);
/** One line, keys in the order of insertion. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int strake_json_dump(const json_t *value, struct strake_buf *out);
/** As above, keys sorted: the form that digests are computed over. */
int strake_json_dump_sorted(const json_t *value, struct strake_buf *out);
/** For people: two spaces of indent, a newline at the end. */
int strake_json_dump_pretty(const json_t *value, struct strake_buf *out);

/** Borrowed; NULL when the key is missing or no string. */
const char *strake_json_str(const json_t *object, const char *key);
/** `fallback` when the key is missing or no integer / boolean. */
json_int_t strake_json_int(const json_t *object, const char *key, json_int_t fallback);
bool strake_json_bool(const json_t *object, const char *key, bool fallback);

/** Set a string; bytes that are no UTF-8 become U+FFFD, so that the key is never lost.
 *  `text` NULL sets nothing. @return 0 or STRAKE_ENOMEM. */
int strake_json_set_str(json_t *object, const char *key, const char *text);
int strake_json_set_strn(json_t *object, const char *key, const char *text, size_t len);
int strake_json_set_int(json_t *object, const char *key, int64_t value);
int strake_json_set_bool(json_t *object, const char *key, bool value);
/** Steals `value`, also on failure; NULL `value` is STRAKE_ENOMEM. */
int strake_json_set(json_t *object, const char *key, json_t *value);
int strake_json_append_str(json_t *array, const char *text);
/** Length of the UTF-8 sequence at `text`, or 0 when it is none (RFC 3629). `len` is not 0. */
size_t strake_json_utf8_length(const char *text, size_t len);
/** An array of the NULL-terminated strings; NULL: no memory. */
json_t *strake_json_strings(const char *const *items);
/** An object of the pairs; NULL: no memory. */
json_t *strake_json_pairs(const struct strake_pair *const *items);

/** Have jansson allocate through util/mem.h. Once, at start. */
void strake_json_setup(void);

#endif
