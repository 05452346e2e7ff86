/* Whom credentials may be given to: the token server that a registry names. */
#ifndef OCI_REALM_H
#define OCI_REALM_H

#include "common/http.h"

/** Where an address leads. */
enum oci_address {
    OCI_ADDRESS_UNKNOWN, /**< the name does not resolve here (a proxy may know it) */
    OCI_ADDRESS_PUBLIC,
    OCI_ADDRESS_PRIVATE /**< loopback, private, shared, link-local or unique local */
};

/** Classify a host: an address, or a name, which is looked up (blocks). A name of which one address
 *  is private is private. */
enum oci_address oci_address_classify(const char *host);
/** Loopback by its looks, without looking anything up: "localhost", 127.0.0.0/8, ::1. */
bool oci_address_is_loopback(const char *host);

/** Why credentials for `registry` must not go to `realm`: a phrase, or NULL when they may.
 *  `classify` is oci_address_classify() but in tests; it is asked only when the hosts differ. */
const char *oci_realm_refusal(const struct plug_url *registry, const struct plug_url *realm,
                              enum oci_address (*classify)(const char *host));

#endif
