/* SIGPIPE held back on one thread. */
#include "util/sigpipe.h"

#include <errno.h>
#include <time.h>

void strake_sigpipe_hold(struct strake_sigpipe *state)
{
    sigset_t pipe_only, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    state->pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &state->before);
}

void strake_sigpipe_release(const struct strake_sigpipe *state)
{
    int saved = errno;
    if (!state->pending) {
        const struct timespec at_once = { 0 };
        sigset_t pipe_only;
        sigemptyset(&pipe_only);
        sigaddset(&pipe_only, SIGPIPE);
        while (sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &state->before, NULL);
    errno = saved;
}
