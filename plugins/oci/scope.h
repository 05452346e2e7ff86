/* Token scopes, "repository:o/app:pull,push", several of them separated by spaces. Pure. */
#ifndef OCI_SCOPE_H
#define OCI_SCOPE_H

#include <stdbool.h>

/** Our scopes, and what the challenge (or NULL) asks for beyond them. Free it; NULL: out of memory.
 */
char *oci_scope_join(const char *own, const char *challenge);
/** Does a token for `granted` serve `wanted` too? "repository:x:pull,push" does
 * "repository:x:pull". */
bool oci_scope_serves(const char *granted, const char *wanted);

#endif
