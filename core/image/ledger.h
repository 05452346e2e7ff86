/* Records of the release ledger (docs/ledger.md): what one publish did to the tags of one image, kept
 * beside that image as an artifact that refers to it. Here are their bytes, made and read. */
#ifndef STRAKE_IMAGE_LEDGER_H
#define STRAKE_IMAGE_LEDGER_H

#include <jansson.h>

#include "image/digest.h"
#include "util/buf.h"
#include "util/err.h"

/** What the artifact is, and the type of its only layer. */
#define STRAKE_LEDGER_TYPE "application/vnd.strake.publish.v1+json"
/** Bytes of a record at most, and tags in it. */
#define STRAKE_LEDGER_RECORD_MAX ((size_t)256 * 1024)
#define STRAKE_LEDGER_MOVES_MAX 500

/** The configuration of an artifact that has none: "{}" (OCI image specification 1.1, manifest.md). */
#define STRAKE_EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define STRAKE_EMPTY_BYTES "{}"
#define STRAKE_EMPTY_DIGEST                                                                        \
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

/** A record as it was written. Everything is checked: kinds and tags are known or valid, texts are
 *  bounded and have no control characters, digests are digests. Fields that are not known are left
 *  out, and every known one is there: {"version","kind","repository","digest","time","run","user",
 *  "url","commit","strake","moves":[{"tag","from"}]}, texts "" where nothing is known.
 *  @param what names the record in messages
 *  @return 0 with *out a new reference; STRAKE_EREGISTRY, STRAKE_ENOMEM */
int strake_ledger_parse(const char *data, size_t len, const char *what, json_t **out,
                        struct strake_err *err);

/** The bytes of a record: such an object, where `version` and `strake` need not be there. Secrets
 *  are redacted. @return 0; STRAKE_EREGISTRY: no such record may be written; STRAKE_ENOMEM */
int strake_ledger_write(const json_t *record, struct strake_buf *out, struct strake_err *err);

/** What a manifest refers to, or has as its layer. */
struct strake_ledger_part {
    const char *media_type;
    const char *digest;
    int64_t size_bytes;
};
/** The artifact's manifest. @param time when, as the record has it */
int strake_ledger_manifest(const struct strake_ledger_part *subject,
                           const struct strake_ledger_part *record, const char *time,
                           struct strake_buf *out, struct strake_err *err);
/** Is this the manifest of a record about `subject`? *layer takes the record's digest
 *  (STRAKE_DIGEST_TEXT bytes). @return 0; STRAKE_EREGISTRY naming `what`; STRAKE_ENOMEM */
int strake_ledger_manifest_parse(const char *data, size_t len, const char *answered_type,
                                 const char *subject, const char *what, char *layer,
                                 struct strake_err *err);

#endif
