/* JavaScript's regular expressions, run by PCRE2 (loaded when one is first used): tag lines are written
 * in them. A match has a budget of steps, so that no pattern can run away. Any thread; one expression
 * is one thread's at a time. */
#ifndef STRAKE_UTIL_JSREGEX_H
#define STRAKE_UTIL_JSREGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/err.h"

#define STRAKE_JSREGEX_PATTERN_MAX 4096 /**< bytes */
#define STRAKE_JSREGEX_TEXT_MAX 4096
#define STRAKE_JSREGEX_GROUPS 100 /**< the whole match is group 0 */
#define STRAKE_JSREGEX_UNSET ((size_t)-1)

struct strake_jsregex;

/** Where a group matched: offsets in bytes, or STRAKE_JSREGEX_UNSET. */
struct strake_jsregex_span {
    size_t begin, end;
};

/** @param flags JavaScript's letters: i m s u g y d; g and y are told by strake_jsregex_is_*().
 *  @return 0; STRAKE_ECONFIG: not an expression, or one that is not supported; STRAKE_EINTERNAL: no
 *          PCRE2 on this machine; STRAKE_ENOMEM. */
int strake_jsregex_new(const char *pattern, const char *flags, struct strake_jsregex **out,
                       struct strake_err *err);
void strake_jsregex_free(struct strake_jsregex *regex);
bool strake_jsregex_is_global(const struct strake_jsregex *regex);
bool strake_jsregex_is_sticky(const struct strake_jsregex *regex);
/** How many groups there are, the whole match among them. */
size_t strake_jsregex_groups(const struct strake_jsregex *regex);
/** The first match at or behind `from`. `spans` has STRAKE_JSREGEX_GROUPS elements.
 *  @return 1, 0 without a match; STRAKE_ECONFIG: too many steps, or a text that is not UTF-8 or too
 *          long. */
int strake_jsregex_match(struct strake_jsregex *regex, const char *text, size_t len, size_t from,
                         struct strake_jsregex_span *spans, struct strake_err *err);

/** jsregex_translate.c: append to `out` what PCRE2 has to be given so that it means what `pattern` means in
 *  JavaScript. @param unicode the flag u; @param dot_all the flag s
 *  @return 0, STRAKE_ECONFIG described, STRAKE_ENOMEM. */
int strake_jsregex_translate(const char *pattern, bool unicode, bool dot_all,
                             struct strake_buf *out, struct strake_err *err);

#endif
