/* libarchive, loaded when something is first unpacked: most commands do without it. It only ever
 * reads. */
#ifndef STRAKE_BUILD_LIBARCHIVE_H
#define STRAKE_BUILD_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "util/err.h"

/** Its functions, there once strake_archive_load() was 0. */
extern struct strake_archive {
    struct archive *(*read_new)(void);
    int (*read_free)(struct archive *);
    int (*support_tar)(struct archive *);
    int (*support_gzip)(struct archive *);
    int (*support_bzip2)(struct archive *);
    int (*support_xz)(struct archive *);
    int (*support_zstd)(struct archive *);
    int (*open)(struct archive *, void *, archive_open_callback *, archive_read_callback *,
                archive_close_callback *);
    int (*next_header)(struct archive *, struct archive_entry **);
    int (*data_block)(struct archive *, const void **, size_t *, la_int64_t *);
    const char *(*error_string)(struct archive *);
    const char *(*pathname)(struct archive_entry *);
    const char *(*hardlink)(struct archive_entry *);
    const char *(*symlink)(struct archive_entry *);
    __LA_MODE_T (*filetype)(struct archive_entry *);
    __LA_MODE_T (*perm)(struct archive_entry *);
    la_int64_t (*size)(struct archive_entry *);
    time_t (*mtime)(struct archive_entry *);
    long (*mtime_nsec)(struct archive_entry *);
} strake_archive;

/** Any thread, any number of times. @return 0, STRAKE_EINTERNAL naming the Debian package, … */
int strake_archive_load(struct strake_err *err);

#endif
