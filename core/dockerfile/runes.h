/* Text as Go's unicode and utf8 packages see it: BuildKit's parser decides by them what is white
 * space and where a character ends. */
#ifndef STRAKE_DOCKERFILE_RUNES_H
#define STRAKE_DOCKERFILE_RUNES_H

#include "util/buf.h"

#define STRAKE_RUNE_BAD 0xFFFDu

/** A piece of somebody's text. */
struct strake_span {
    const char *at;
    size_t len;
};

/** The first character of `text` (len > 0) and how many bytes it has; a byte that is no UTF-8 is
 *  STRAKE_RUNE_BAD, one byte wide. */
uint32_t strake_rune(struct strake_span text, size_t *width);
/** Append a character. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int strake_rune_put(struct strake_buf *out, uint32_t rune);
bool strake_rune_is_space(uint32_t rune);
/** May it stand in a variable's name? Exact for ASCII, near enough for the rest. */
bool strake_rune_is_name(uint32_t rune);

/** Without white space at the left; at both ends. */
struct strake_span strake_span_trim_left(struct strake_span text);
struct strake_span strake_span_trim(struct strake_span text);
struct strake_span strake_span_skip(struct strake_span text, size_t count);
bool strake_span_is(struct strake_span text, const char *word);

#endif
