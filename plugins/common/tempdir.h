/* A private folder for the files of one call. */
#ifndef PLUG_TEMPDIR_H
#define PLUG_TEMPDIR_H

#include <limits.h>

#include "strake/plugin.h"

/** Zero-initialised: there is none. */
struct plug_tempdir {
    char path[PATH_MAX];
};

/** Make the folder, mode 0700, under $TMPDIR or /tmp. @return 0 or STRAKE_EIO. */
int plug_tempdir_make(const struct strake_host *host, struct plug_tempdir *dir,
                      struct strake_err *err);
/** The same for a few small files, which lie in memory (/dev/shm) where that can be had and TMPDIR
 * names no other place: clients sync what they write, which waits for a disk. */
int plug_tempdir_make_small(const struct strake_host *host, struct plug_tempdir *dir,
                            struct strake_err *err);
/** A file in it, mode 0600, with these bytes. @return 0 or STRAKE_EIO. */
int plug_tempdir_write(const struct strake_host *host, const struct plug_tempdir *dir,
                       const char *name, const void *data, size_t len, struct strake_err *err);
/** Read a whole file of at most `max` bytes as a string of the caller's (free()); `len` may
 *  be NULL.
 *  @return 0, STRAKE_EIO, STRAKE_ETOOBIG, STRAKE_ENOMEM; nothing is described. */
int plug_file_read(const char *path, size_t max, char **data, size_t *len);
/** Where to write a file that shall become `dest` only when it is whole, so that a failed build
 * does not cost the one that is there: *part is DEST.part (plug_part_end() frees it), or NULL when
 * `dest` is a device or a link, which is written itself. @return 0 or STRAKE_ENOMEM; nothing is
 * described. */
int plug_part_begin(const char *dest, char **part);
/** Give it its name when `rc` is 0, else remove it; frees it. NULL does nothing.
 *  @return `rc`, or STRAKE_EIO. */
int plug_part_end(const struct strake_host *host, char *part, const char *dest, int rc,
                  struct strake_err *err);
/** Remove it and all that is in it; without one nothing. What cannot be removed is logged. */
void plug_tempdir_remove(const struct strake_host *host, struct plug_tempdir *dir);

#endif
