/* Copying images between stores: what is missing of all that an image names, several blobs at once,
 * then manifests from the leaves up. */
#ifndef STRAKE_BUILD_COPY_H
#define STRAKE_BUILD_COPY_H

#include "build/store.h"

struct strake_copy_report {
    char digest[STRAKE_DIGEST_TEXT]; /**< what arrived */
    char source
        [STRAKE_DIGEST_TEXT]; /**< what was asked for: another one when platforms were chosen */
    char *media_type;
    int copied, mounted, present; /**< blobs */
    int referrers;                /**< manifests that were there only to refer to what was copied */
    int64_t copied_bytes;
};
void strake_copy_report_dispose(struct strake_copy_report *report);

struct strake_copy_options {
    /** Without NULL: only these, in normal form. One: its manifest; several: an index of these,
     *  which has a digest of its own unless they are all there are. */
    const char *const *platforms;
    bool referrers;   /**< signatures, SBOMs, records … too, and what refers to these */
    const char *name; /**< what progress calls it; NULL: progress is not told */
    /** The destination is a docker archive: one image, which is put under this at the end
     *  ("NAME:TAG", or "latest" for none). NULL: a store where all is put by digest */
    const char *archive;
};

/** Copy `object` (tag or digest) and all that it names from one repository to another, staged by
 *  digest. `options` may be NULL. Blocks; on a worker thread. */
int strake_copy_image(const struct strake_place_in_store *from, const char *object,
                      const struct strake_place_in_store *to,
                      const struct strake_copy_options *options, struct strake_job *job,
                      struct strake_copy_report *report, struct strake_err *err);

/** What `image copy SOURCE DESTINATION` is asked to do. */
struct strake_copy_request {
    const char *source, *destination;
    const char *const *platforms; /**< as in strake_copy_options; may be NULL */
    bool referrers;
};
/** What would arrive where: {"digest","source","repository","ref"}. `source` is the reference with
 *  the digest that it has now, `repository` the destination without its tag, `ref` the tag that
 *  shall show it, or false where none shall. Copies nothing. Blocks; on a worker thread. */
int strake_copy_look(struct strake_stores *stores, const struct strake_copy_request *request,
                     struct strake_job *job, json_t **out, struct strake_err *err);
/** Copy; the tag does not move (an archive gets its name). {"digest","source_digest","repository",
 *  "ref","blobs":{"copied","mounted","present"},"copied_bytes","referrers","duration_ms"}. Blocks;
 *  on a worker thread. @return also STRAKE_EUSAGE: the destination names another digest */
int strake_copy_run(struct strake_stores *stores, const struct strake_copy_request *request,
                    struct strake_job *job, json_t **out, struct strake_err *err);

/* ---- within the room ---- */

/** The bytes of what platforms choose of an image: the manifest of one, an index of several, or all.
 *  `digest` (STRAKE_DIGEST_TEXT) is theirs, *media_type the caller's.
 *  @return also STRAKE_ENOTFOUND: the image has no such platform */
int strake_copy_choose(const struct strake_place_in_store *from, const char *object,
                       const char *const *platforms, struct strake_job *job,
                       struct strake_buf *bytes, char **media_type, char *digest,
                       char *source_digest, struct strake_err *err);

#endif
