/* Docker's config.json on disk: read strictly, changed under a lock, replaced in one step. */
#ifndef OCI_CONFIG_FILE_H
#define OCI_CONFIG_FILE_H

#include <jansson.h>

#include "common/util.h"

/** Where it is, with the links followed that lead to it, also to a file that is not there yet. Free
 *  *path. @return 0; STRAKE_ECONFIG: there is no home folder; STRAKE_EIO, STRAKE_ENOMEM */
int oci_config_file_name(const struct strake_host *host, char **path, struct strake_err *err);
/** Its bytes, and what they say; *root NULL: no file, or an empty one.
 *  @return 0; STRAKE_ECONFIG: broken, with its line; STRAKE_EIO */
int oci_config_file_read(const struct strake_host *host, const char *path, struct plug_text *text,
                         json_t **root, struct strake_err *err);
/** Another entry for a registry (config_edit.h). Waits 10 s at most for another process that changes
 *  it. The new file is 0600 and belongs to whom the old one did.
 *  @param changed whether anything had to; may be NULL
 *  @return 0; STRAKE_ECONFIG, STRAKE_EIO, STRAKE_ECANCELLED; the old file is whole then */
int oci_config_file_change(const struct strake_host *host, struct strake_job *job, const char *path,
                           const char *registry, const struct strake_pair *fields, bool *changed,
                           struct strake_err *err);

#endif
