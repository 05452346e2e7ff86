/* Loading libarchive, once for all who unpack. */
#include "build/libarchive.h"

#include <pthread.h>

#include "util/lazy.h"

struct strake_archive strake_archive;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool ready; /* guarded by lock */

/* A lock and not pthread_once: a load that failed for want of memory may succeed the next time. */
int strake_archive_load(struct strake_err *err)
{
    static const struct strake_lazy_symbol symbols[] = {
        { "archive_read_new", &strake_archive.read_new },
        { "archive_read_free", &strake_archive.read_free },
        { "archive_read_support_format_tar", &strake_archive.support_tar },
        { "archive_read_support_filter_gzip", &strake_archive.support_gzip },
        { "archive_read_support_filter_bzip2", &strake_archive.support_bzip2 },
        { "archive_read_support_filter_xz", &strake_archive.support_xz },
        { "archive_read_support_filter_zstd", &strake_archive.support_zstd },
        { "archive_read_open", &strake_archive.open },
        { "archive_read_next_header", &strake_archive.next_header },
        { "archive_read_data_block", &strake_archive.data_block },
        { "archive_error_string", &strake_archive.error_string },
        { "archive_entry_pathname", &strake_archive.pathname },
        { "archive_entry_hardlink", &strake_archive.hardlink },
        { "archive_entry_symlink", &strake_archive.symlink },
        { "archive_entry_filetype", &strake_archive.filetype },
        { "archive_entry_perm", &strake_archive.perm },
        { "archive_entry_size", &strake_archive.size },
        { "archive_entry_mtime", &strake_archive.mtime },
        { "archive_entry_mtime_nsec", &strake_archive.mtime_nsec },
    };
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (!ready) {
        rc = strake_lazy_open("libarchive.so.13", "libarchive13", symbols,
                              sizeof(symbols) / sizeof(symbols[0]), err);
        ready = rc == 0;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
