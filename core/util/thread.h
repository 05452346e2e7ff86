/* Threads as Strake starts them. */
#ifndef STRAKE_UTIL_THREAD_H
#define STRAKE_UTIL_THREAD_H

/** Start a detached thread that takes no signals: they are the main thread's.
 *  @return 0 or an errno */
int strake_thread_start(void *(*body)(void *ctx), void *ctx);

/** A thread that nobody waits for any more, and which may be anywhere; and its end. */
void strake_thread_left(void);
void strake_thread_returned(void);
/** How many of those there are. Then the process ends with _exit(), because what exit() takes down
 *  may be in use. */
unsigned strake_threads_left(void);

#endif
