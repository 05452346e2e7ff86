/* Keeping credentials where docker does, for all that read them there. */
#ifndef OCI_STORE_H
#define OCI_STORE_H

#include "credentials.h"
#include "oci.h"

/** Where the credentials of one registry are kept: a helper, or docker's file. */
struct oci_store {
    char *file;   /**< of docker's configuration, links followed; there or not */
    char *helper; /**< of docker-credential-NAME; NULL: the file keeps them */
};

/** Look which it is. @return 0; STRAKE_ECONFIG: the file is broken, told with its line; STRAKE_EIO */
int oci_store_find(const struct oci *oci, struct oci_store *store, struct strake_err *err);
void oci_store_dispose(struct oci_store *store);

/** Keep username and password, or an identity token in the password's place. What was kept is read
 *  back, and a place that wins over it is told in the log. The file is changed by one process at a
 *  time, replaced in one step, and readable by its owner alone; beside a helper, a password that stood
 *  in it goes. Blocks.
 *  @param where "helper NAME" or the file's name is appended
 *  @return 0; STRAKE_EAUTH: the helper did not; STRAKE_ECONFIG, STRAKE_EIO, STRAKE_ECANCELLED */
int oci_store_put(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                  const struct oci_credentials *credentials, struct strake_buf *where,
                  struct strake_err *err);
/** Forget them, in the helper and in the file. `where`: a line for each that had some. */
int oci_store_drop(const struct oci *oci, struct strake_job *job, const struct oci_store *store,
                   struct strake_buf *where, struct strake_err *err);

#endif
