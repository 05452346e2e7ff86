/* The inside of running a program, shared by process.c (the wait), process_spawn.c (the start) and
 * process_group.c (who runs). Nobody else includes it. */
#ifndef STRAKE_UTIL_PROCESS_IMPL_H
#define STRAKE_UTIL_PROCESS_IMPL_H

#include <sys/types.h>

#include "util/err.h"
#include "util/process.h"

#define STRAKE_PROCESS_FDS 16    /**< descriptors that a child may be given */
#define STRAKE_PROCESS_FD_MAX 99 /**< the highest number one of them may have */

/** A started child. -1 stands for "no descriptor". */
struct strake_child {
    pid_t pid; /**< also its process group and session */
    int pidfd;
    int slot;                        /**< in the table of running groups */
    int input;                       /**< our end of its stdin, non-blocking */
    size_t output_count;             /**< as many as the fds asked for, in that order */
    int outputs[STRAKE_PROCESS_FDS]; /**< our ends, non-blocking */
};

/** Start it: argv looked up, environment made, descriptors laid out. On failure nothing runs and
 *  nothing is left open. @return 0, STRAKE_ENOTFOUND, STRAKE_EUSAGE, STRAKE_EIO, STRAKE_ENOMEM,
 *  STRAKE_EINTERNAL (a secret in argv). */
int strake_child_spawn(const struct strake_process *process, struct strake_child *child,
                       struct strake_err *err);

/** A place for a group about to be started. @return its slot, or -1: the table is full. */
int strake_group_reserve(void);
/** The group runs. A strake_process_kill_all() since the reservation reaches it too. */
void strake_group_set(int slot, pid_t group);
/** The group's leader has ended (and is not reaped yet), or it never started. */
void strake_group_release(int slot);

#endif
