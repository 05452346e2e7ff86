/* Secrets: named values that never show, and all texts to redact wherever Strake writes. */
#ifndef STRAKE_UTIL_SECRET_H
#define STRAKE_UTIL_SECRET_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"

/** Declare a secret that comes from an environment variable or a file (read when first needed, at
 *  most 1 MiB, one trailing newline dropped). The same name again must have the same source.
 *  @return 0, STRAKE_ECONFIG, STRAKE_ENOMEM. Any thread, as all functions here. */
int strake_secret_from_env(const char *name, const char *variable, struct strake_err *err);
int strake_secret_from_file(const char *name, const char *path, struct strake_err *err);
/** The value appended to `value`, which is marked secret. @return 0, STRAKE_ECONFIG when there is
 *  no such secret, its variable is unset or its file cannot be read. */
int strake_secret_get(const char *name, struct strake_buf *value, struct strake_err *err);
/** Where a declared secret comes from: {"env":VARIABLE} or {"file":PATH}; a new reference. An empty
 *  object for an unknown one; NULL: no memory. */
json_t *strake_secret_source(const char *name);
/** Is this environment variable the source of a declared secret? */
bool strake_secret_is_env(const char *variable);

/** Redact this text from now on (at least 4 bytes; shorter ones are ignored), also in its base64,
 *  URL-encoded and JSON-escaped forms, and each longer line of it (the first 2000). Without memory
 *  for it nothing can be shown any more: strake_secret_redact() clears every text from then on. */
void strake_secret_mark(const char *value, size_t len);
/** Replace each marked text in place by `[secret]`; the text may grow past its maximum by that.
 *  @return 0 or STRAKE_ENOMEM (then it is cleared: nothing may leak). Cheap without marks. */
int strake_secret_redact(struct strake_buf *text);
/** The same for every string in an object or array, in place. @return 0 or STRAKE_ENOMEM */
int strake_secret_redact_json(json_t *value);
/** True when at least one text is marked. */
bool strake_secret_any(void);
/** Standard base64 with padding (RFC 4648), appended. @return 0, STRAKE_ETOOBIG, STRAKE_ENOMEM. */
int strake_base64(const void *data, size_t len, struct strake_buf *out);
/** Forget and wipe everything (tests, the end of the program). */
void strake_secret_reset(void);

#endif
