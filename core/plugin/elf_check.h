/* Is this file a shared object that dlopen() can be trusted with? */
#ifndef STRAKE_PLUGIN_ELF_CHECK_H
#define STRAKE_PLUGIN_ELF_CHECK_H

#include "util/err.h"

/** Opened without blocking; a regular file, a whole ELF shared object for this machine, whose
 * segments end within it: dlopen() of half a file dies of SIGBUS, of a FIFO never returns, and
 * calls a wrong machine "No such file" (ELF gABI, chapters 4 and 5). @return 0 or STRAKE_ECONFIG.
 */
int strake_elf_check(const char *path, struct strake_err *err);

/** Nobody but root and this user can change the file and its folder. @return 0 or STRAKE_ECONFIG.
 */
int strake_elf_check_owner(const char *path, struct strake_err *err);

#endif
