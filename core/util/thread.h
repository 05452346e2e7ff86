/* Threads as Strake starts them. */
#ifndef STRAKE_UTIL_THREAD_H
#define STRAKE_UTIL_THREAD_H

/** Start a thread that takes no signals: they are the main thread's. Nobody has to wait for it.
 *  @return 0 or an errno */
int strake_thread_start(void *(*body)(void *ctx), void *ctx);
/** Join those that have ended. Starting one does it too. */
void strake_threads_reap(void);
/** The end of the program: wait for those that have nothing left to do (not for those that were left
 *  behind), so that no thread is still ending while the process is. A second at most. */
void strake_threads_finish(void);

/** A thread that nobody waits for any more, and which may be anywhere; and its end. */
void strake_thread_left(void);
void strake_thread_returned(void);
/** How many of those there are. Then the process ends with _exit(), because what exit() takes down
 *  may be in use. */
unsigned strake_threads_left(void);

#endif
