/* What may be shown: text from outside must not act on the reader's terminal. */
#ifndef STRAKE_UTIL_TEXT_H
#define STRAKE_UTIL_TEXT_H

#include <stddef.h>

/** Is there a control character at `text`: C0 (line ends and tabs too), DEL, or C1 in UTF-8, which
 *  terminals obey as they obey ESC? @param len what is left of the text, not 0
 *  @return how many bytes it has, or 0 */
size_t strake_text_control(const char *text, size_t len);
/** Put a blank in place of each byte of a control character, of line ends and tabs too. */
void strake_text_blank(char *text, size_t len);

#endif
