/* Shell text read for linters: which commands a RUN calls, with which words. No shell: nothing is
 * expanded, and what cannot be understood is read as words. Any byte sequence is answered, in linear
 * time. POSIX.1-2017, 2.3 to 2.10, and what bash adds that people write in Dockerfiles. */
#ifndef STRAKE_DOCKERFILE_SH_H
#define STRAKE_DOCKERFILE_SH_H

#include <stdbool.h>
#include <stddef.h>

struct strake_sh_word {
    char *text;     /**< quotes and escapes gone; expansions ($x, $(…), *) as written */
    size_t at, len; /**< where it stands in the text that was read */
    bool quoted;    /**< some of it stands in quotes */
    bool expands;   /**< it has $… or `…` outside of single quotes */
};

struct strake_sh_redirect {
    char *op; /**< ">", ">>", "<", "<<", "<<<", "&>"; with the descriptor before it: "2>" */
    struct strake_sh_word target;
};

/** What stands before a command. */
enum strake_sh_op {
    STRAKE_SH_FIRST, /**< nothing: it is the first of a list */
    STRAKE_SH_NEXT,  /**< `;` or a line's end */
    STRAKE_SH_AND,
    STRAKE_SH_OR,
    STRAKE_SH_PIPE,
    STRAKE_SH_BACKGROUND
};

/** A simple command: NAME=value… WORD… and redirections. */
struct strake_sh_command {
    enum strake_sh_op op;
    bool negated;       /**< `!` */
    int depth;          /**< subshells, groups and substitutions around it */
    int within;         /**< index of the command in whose word its $(…) stands, or -1 */
    size_t assignments; /**< how many of the words are NAME=value before the command's name */
    struct strake_sh_word *words;
    size_t count;
    struct strake_sh_redirect *redirects;
    size_t redirect_count;
    size_t at, len; /**< from its first word to its last */
};

struct strake_sh {
    struct strake_sh_command *commands; /**< in the order in which they begin */
    size_t count;
};

/** Read `text`. The caller disposes `out`. @return 0, STRAKE_ENOMEM */
int strake_sh_read(const char *text, size_t len, struct strake_sh *out);
void strake_sh_dispose(struct strake_sh *shell);
/** The word of an operator: "", ";", "&&", "||", "|", "&". */
const char *strake_sh_op_text(enum strake_sh_op op);

#endif
