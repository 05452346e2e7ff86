/* Mirrors as users name them: a host, with a path before its repositories' names where it has one. */
#ifndef STRAKE_BUILD_MIRROR_H
#define STRAKE_BUILD_MIRROR_H

#include "util/err.h"

#define STRAKE_MIRRORS_MAX 16

/** "mirror.lan:5000" or "harbor.lan/hub-proxy" taken apart into texts of the caller's.
 *  @return 0, STRAKE_ECONFIG with a hint, STRAKE_ENOMEM */
int strake_mirror_parse(const char *text, char **host, char **prefix, struct strake_err *err);

#endif
