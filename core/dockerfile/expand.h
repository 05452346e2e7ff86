/* Shell words and variables, the subset that Dockerfiles know: quotes, escapes, $x, ${x} and the
 * operators :- - :+ + :? ? # ## % %% / // on it. */
#ifndef STRAKE_DOCKERFILE_EXPAND_H
#define STRAKE_DOCKERFILE_EXPAND_H

#include "dockerfile/runes.h"
#include "util/err.h"
#include "util/mem.h"

/** How a text is read. */
struct strake_shell {
    char escape;
    bool raw_quotes;  /**< quotes stay in the result */
    bool raw_escapes; /**< escape characters stay */
    bool keep_unset;  /**< a variable without a value stays as written */
    bool *missed;     /**< set when one without a value became nothing; may be NULL */
    /** The value of a variable, borrowed until the next call, or NULL: it has none. */
    const char *(*get)(void *ctx, const char *name);
    void *ctx;
    size_t *work; /**< steps of pattern matching that are left; NULL: the patterns' own bound */
};

/** The words of `text`, appended. @return 0; STRAKE_EDOCKERFILE: it is no such text (the error has
 * no place); STRAKE_ETOOBIG: nested too deeply or too long; STRAKE_ENOMEM. */
int strake_shell_words(const struct strake_shell *shell, struct strake_span text,
                       struct strake_strings *words, struct strake_err *err);
/** `text` as one word, appended to `out`: white space stays. */
int strake_shell_word(const struct strake_shell *shell, struct strake_span text,
                      struct strake_buf *out, struct strake_err *err);

/** ${x#p} ${x##p} ${x%p} ${x%%p}: `value` without what the pattern takes. */
int strake_shell_trim(struct strake_span value, struct strake_span pattern, bool suffix,
                      bool longest, size_t *work, struct strake_buf *out, struct strake_err *err);
/** ${x/p/r} ${x//p/r}. */
int strake_shell_replace(struct strake_span value, struct strake_span pattern,
                         struct strake_span replacement, bool all, size_t *work,
                         struct strake_buf *out, struct strake_err *err);

#endif
