/* Writing to a pipe or socket whose reader is gone, without a SIGPIPE, whatever the program does
 * with that signal: for code that runs on threads of others. */
#ifndef STRAKE_UTIL_SIGPIPE_H
#define STRAKE_UTIL_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct strake_sigpipe {
    sigset_t before;
    bool pending; /**< one was pending already, and stays so */
};

/** Hold SIGPIPE back on this thread. */
void strake_sigpipe_hold(struct strake_sigpipe *state);
/** Drop the SIGPIPE that came meanwhile, if any, and go back. errno is kept. */
void strake_sigpipe_release(const struct strake_sigpipe *state);

#endif
