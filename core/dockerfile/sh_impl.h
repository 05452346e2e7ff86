/* What the two halves of the shell reader share. */
#ifndef STRAKE_DOCKERFILE_SH_IMPL_H
#define STRAKE_DOCKERFILE_SH_IMPL_H

#include "dockerfile/sh.h"
#include "util/buf.h"

/** Substitutions nested deeper are words like any other. */
#define STRAKE_SH_DEPTH_MAX 32

struct strake_sh_reader {
    const char *text;
    size_t at, end;
    struct strake_sh *out;
    size_t cap;
    int depth;  /**< as the commands have it */
    int nested; /**< substitutions that this one stands in */
    int within; /**< command whose word is being read, or -1 */
    struct strake_buf word;
    bool nomem;
};

/* ---- sh.c ---- */

/** Read commands up to `close` (')', or 0: the end), which is left for the caller. */
void strake_sh_list(struct strake_sh_reader *reader, char close);

/* ---- sh_word.c ---- */

/** Read one word; nothing is read where none stands. Substitutions in it become commands.
 *  @return false: no word stands there */
bool strake_sh_word_read(struct strake_sh_reader *reader, struct strake_sh_word *out);
void strake_sh_word_dispose(struct strake_sh_word *word);
/** Blanks, escaped line ends and, where `comments`, a comment. */
void strake_sh_skip_blanks(struct strake_sh_reader *reader);

#endif
