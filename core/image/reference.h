/* References: host/repository[:tag][@digest] (facts: the first component is a host only with `.` or
 * `:` in it, or when it is localhost). */
#ifndef STRAKE_IMAGE_REFERENCE_H
#define STRAKE_IMAGE_REFERENCE_H

#include "util/buf.h"
#include "util/err.h"

/** Which kind of store a reference names. */
enum strake_store {
    STRAKE_STORE_REGISTRY,
    STRAKE_STORE_LAYOUT,        /**< oci:DIR[:TAG|@DIGEST] */
    STRAKE_STORE_DOCKER_ARCHIVE /**< docker-archive:FILE */
};

/** A parsed reference; all strings are its own, "" when absent. */
struct strake_reference {
    enum strake_store store;
    char *host;       /**< "ghcr.io", "127.0.0.1:5000", "docker.io" (index.docker.io too) */
    char *repository; /**< "o/app", "library/busybox"; a layout's folder, an archive's path */
    char *tag;
    char *digest;
    char *name; /**< repository as written, lower-cased: "ghcr.io/o/app", "user/app" */
};

/** Parse; nothing is defaulted (no tag stays no tag). Upper-case letters in a registry's repository
 *  are refused with the lower-case form as the hint. @return 0, STRAKE_EUSAGE, STRAKE_ENOMEM. */
int strake_reference_parse(const char *text, struct strake_reference *out, struct strake_err *err);
void strake_reference_dispose(struct strake_reference *ref);
/** name[:tag][@digest] appended. */
int strake_reference_print(const struct strake_reference *ref, struct strake_buf *out);
/** What a registry is asked for: the digest, else the tag, else "latest". */
const char *strake_reference_object(const struct strake_reference *ref);
/** Tag grammar of the distribution specification: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}. */
bool strake_tag_valid(const char *tag);
/** Does it name an image in a folder or a file of this machine? */
bool strake_reference_is_local(const char *text);
/** 127.0.0.0/8, [::1] or localhost, with or without a port. */
bool strake_host_is_loopback(const char *host);

#endif
