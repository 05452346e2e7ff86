/* Upload sessions: what the ways of sending a blob share. */
#ifndef OCI_UPLOAD_H
#define OCI_UPLOAD_H

#include "oci.h"

/** The least that is expected of a line, for limits of time: bytes per millisecond. */
#define OCI_SLOW_LINE 100

/** Bytes of a piece at first. */
#define OCI_FIRST_CHUNK ((int64_t)16 * 1024 * 1024)

/** One blob on its way up. */
struct oci_upload {
    struct oci *oci;
    struct strake_job *job;
    const char *repository;
    const char *digest;
    char *what;
    char *scopes;
    char *session;     /**< URL of the open session, or NULL */
    int64_t chunk_min; /**< bytes that a chunk must have but for the last; 0: any number */
    struct strake_err *err;
};

/** `from`: the other repository of a mount, or NULL. oci_upload_end() in every case. */
int oci_upload_begin(struct oci_upload *upload, const char *from);
void oci_upload_end(struct oci_upload *upload);
/** A call with the upload's name, scopes and credentials. */
struct oci_call oci_upload_call(const struct oci_upload *upload, const char *method,
                                const char *url);

/** POST for a new session; an older one is forgotten. */
int oci_session_open(struct oci_upload *upload);
/** The session goes on at the answer's Location, which may be relative and lead to another host. */
int oci_session_keep(struct oci_upload *upload, const struct oci_call *call);
/** End a session that will not be used, so that nothing is left on the registry's disk. Without the
 *  job, which may be cancelled; whether it works is the registry's business alone. */
void oci_session_drop(struct oci_upload *upload);
/** The session's URL with the digest that ends it; what its query holds already is kept. Free it;
 *  NULL: out of memory. */
char *oci_session_final_url(const struct oci_upload *upload);
/** Did a PUT with the digest end the session well? */
bool oci_session_is_done(const struct oci_call *call);

/** The caller's bytes, and where we are in them. */
struct oci_source {
    int64_t (*read)(void *ctx, void *data, size_t cap);
    int (*rewind)(void *ctx); /**< NULL: they can be read once */
    void *ctx;
    int64_t at;
    int64_t start; /**< where the body that is being sent begins */
};

/** Callbacks of a call whose ctx is the source: the bytes from `start` on. */
int64_t oci_source_read(void *ctx, void *data, size_t cap);
int oci_source_rewind(void *ctx);
/** Stand at `offset`, and let bodies begin there. @return 0, STRAKE_EIO or what the source said. */
int oci_source_seek(struct oci_source *source, int64_t offset);

/** Upload piece by piece, for what stands in the way of large bodies (chunks.c): in a session of
 * its own, the pieces made smaller when they are refused, going on where a broken one stopped. */
int oci_upload_chunks(struct oci_upload *upload, struct oci_source *source, int64_t size_bytes);

#endif
