/* Changing one registry's entry in docker's config.json and leaving every other byte as it is: order,
 * indentation and numbers are their owner's. Pure. */
#ifndef OCI_CONFIG_EDIT_H
#define OCI_CONFIG_EDIT_H

#include "common/util.h"

/** Give `registry` an entry under `auths`; its other spellings go ("docker.io" where the key is
 *  "https://index.docker.io/v1/"), entries of paths in it stay.
 *  @param text   the file, already known to be a JSON object without a key twice; or white space alone
 *  @param fields of the entry, ends with a NULL name, may be without any; NULL: it is taken out
 *  @param out    the new file; empty when nothing has to change
 *  @return 0; STRAKE_ECONFIG: `auths` is no object; STRAKE_ENOMEM */
int oci_config_edit(const char *text, const char *registry, const struct strake_pair *fields,
                    struct plug_text *out);

#endif
