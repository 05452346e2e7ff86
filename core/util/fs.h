/* Files: bounded reads, atomic writes, reads that cannot leave a folder. Blocking, any thread. */
#ifndef STRAKE_UTIL_FS_H
#define STRAKE_UTIL_FS_H

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

/** Append a regular file's bytes. FIFOs, devices, folders are refused without blocking.
 *  @return 0, STRAKE_ENOTFOUND, STRAKE_ETOOBIG past max_bytes, STRAKE_EIO, STRAKE_ENOMEM. */
int strake_fs_read(const char *path, size_t max_bytes, struct strake_buf *out,
                   struct strake_err *err);
/** The same for a path beneath `root`: no absolute path, no `..` or symbolic link that leads out
 *  (openat2 RESOLVE_BENEATH; on a kernel without it no `..` and no link at all), no magic link. */
int strake_fs_read_beneath(const char *root, const char *path, size_t max_bytes,
                           struct strake_buf *out, struct strake_err *err);
/** Write beside and rename: readers see the old file or the whole new one. fsync when `durable`. */
int strake_fs_write(const char *path, const void *data, size_t len, unsigned mode, bool durable,
                    struct strake_err *err);
/** As mkdir -p with this mode for what is made. */
int strake_fs_mkdirs(const char *path, unsigned mode, struct strake_err *err);
/** A folder of our own under $TMPDIR or /tmp, mode 0700; *path is the caller's. */
int strake_fs_tempdir(char **path, struct strake_err *err);
/** Remove a folder and all below it; symbolic links are removed, never followed. */
int strake_fs_remove_tree(const char *path, struct strake_err *err);
bool strake_fs_is_dir(const char *path);
bool strake_fs_is_file(const char *path);
/** Absolute, links resolved where the file exists; NULL: no memory or no such folder. */
char *strake_fs_absolute(const char *path);
/** "a" + "/" + "b"; an absolute `b` is b alone. NULL: no memory. */
char *strake_fs_join(const char *a, const char *b);
/** $XDG_STATE_HOME/strake, or ~/.local/state/strake; the caller's. NULL: no home. */
char *strake_fs_state_dir(void);
/** $XDG_CONFIG_HOME/strake, or ~/.config/strake. */
char *strake_fs_config_dir(void);

#endif
