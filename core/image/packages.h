/* What package managers say is installed, read from their databases. */
#ifndef STRAKE_IMAGE_PACKAGES_H
#define STRAKE_IMAGE_PACKAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** Is this clean path (image/tar.h) a database that strake_packages_read() knows: of dpkg (its
 *  status, and status.d of distroless images) or of apk? */
bool strake_packages_wants(const char *path);
/** Add what a database says to an object: name -> version, versions of one name (several
 *  architectures) with ", " between them. What is malformed is passed over. @return 0 or
 *  STRAKE_ENOMEM. */
int strake_packages_read(const char *path, const char *data, size_t len, json_t *packages);

#endif
