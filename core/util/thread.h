/* Threads as Strake starts them. */
#ifndef STRAKE_UTIL_THREAD_H
#define STRAKE_UTIL_THREAD_H

/** Start a detached thread that takes no signals: they are the main thread's.
 *  @return 0 or an errno */
int strake_thread_start(void *(*body)(void *ctx), void *ctx);

#endif
