/* Asking a person on the terminal. */
#ifndef STRAKE_CLI_PROMPT_H
#define STRAKE_CLI_PROMPT_H

#include "util/buf.h"
#include "util/err.h"

/** Is there somebody to ask: are stdin and stderr a terminal? */
bool cli_prompt_possible(void);

/** Ask for a line on stderr and read it from the terminal at stdin. Main thread; blocks, and meanwhile
 *  signals are its own: one that ends or stops the program gives the terminal back first, and stopping
 *  goes on with the same question.
 *  @param echo   false: what is typed is not shown
 *  @param answer without the line's end; marked secret when it is not shown
 *  @return 0, also for an empty line; STRAKE_ECANCELLED: a signal, or the end of input;
 *          STRAKE_EUSAGE: longer than `answer` may be; STRAKE_EIO, STRAKE_ENOMEM */
int cli_prompt(const char *question, bool echo, struct strake_buf *answer, struct strake_err *err);

#endif
