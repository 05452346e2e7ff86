/* Platforms: os/arch[/variant], normalised as containerd does (x86_64 is amd64, aarch64 is arm64,
 * arm64/v8 is arm64, arm is arm/v7). */
#ifndef STRAKE_IMAGE_PLATFORM_H
#define STRAKE_IMAGE_PLATFORM_H

#include "util/err.h"

#define STRAKE_PLATFORM_TEXT 96

/** Parse and write the normal form to `out` (STRAKE_PLATFORM_TEXT bytes). A bare arch is
 *  linux/arch. An unknown os or architecture is refused with the nearest known one as the hint.
 *  @return 0 or STRAKE_EUSAGE. */
int strake_platform_parse(const char *text, char *out, struct strake_err *err);
/** The normal form from an image's own fields, whatever they are; `variant` may be NULL or "". */
void strake_platform_make(const char *os, const char *arch, const char *variant, char *out);
/** Does a worker whose own platform is `own` run `platform` without emulation: the same architecture,
 *  or the small one of an amd64? Both in normal form. */
bool strake_platform_native(const char *own, const char *platform);
/** This machine's, "linux/amd64". */
const char *strake_platform_host(void);

#endif
