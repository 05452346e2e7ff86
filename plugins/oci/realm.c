/* Whom credentials may be given to (realm.h). */
#include "realm.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/** Addresses that are not of the open internet. */
static const struct {
    uint32_t net;
    unsigned bits;
} private_nets[] = {
    { 0x00000000, 8 },  /* this network */
    { 0x0a000000, 8 },  /* 10.0.0.0, private */
    { 0x64400000, 10 }, /* 100.64.0.0, shared */
    { 0x7f000000, 8 },  /* loopback */
    { 0xa9fe0000, 16 }, /* 169.254.0.0, link-local: cloud metadata lives here */
    { 0xac100000, 12 }, /* 172.16.0.0, private */
    { 0xc0a80000, 16 }, /* 192.168.0.0, private */
};

static bool is_private4(uint32_t address)
{
    for (size_t i = 0; i < sizeof(private_nets) / sizeof(private_nets[0]); i++)
        if ((address ^ private_nets[i].net) >> (32 - private_nets[i].bits) == 0)
            return true;
    return false;
}

static bool is_private6(const struct in6_addr *address)
{
    const uint8_t *b = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address))
        return is_private4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 |
                           b[15]);
    return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
           IN6_IS_ADDR_LINKLOCAL(address) || (b[0] & 0xfe) == 0xfc;
}

bool oci_address_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    size_t len = strlen(host);
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcasecmp(host, "localhost") == 0 ||
           (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0);
}

enum oci_address oci_address_classify(const char *host)
{
    if (oci_address_is_loopback(host))
        return OCI_ADDRESS_PRIVATE;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return OCI_ADDRESS_UNKNOWN;
    enum oci_address kind = list ? OCI_ADDRESS_PUBLIC : OCI_ADDRESS_UNKNOWN;
    for (const struct addrinfo *one = list; one; one = one->ai_next) {
        bool private = false;
        if (one->ai_family == AF_INET) {
            struct sockaddr_in four;
            memcpy(&four, one->ai_addr, sizeof(four));
            private = is_private4(ntohl(four.sin_addr.s_addr));
        } else if (one->ai_family == AF_INET6) {
            struct sockaddr_in6 six;
            memcpy(&six, one->ai_addr, sizeof(six));
            private = is_private6(&six.sin6_addr);
        }
        if (private)
            kind = OCI_ADDRESS_PRIVATE;
    }
    freeaddrinfo(list);
    return kind;
}

const char *oci_realm_refusal(const struct plug_url *registry, const struct plug_url *realm,
                              enum oci_address (*classify)(const char *host))
{
    if (registry->https && !realm->https)
        return "it speaks plain http, and the registry https";
    if (strcmp(registry->host, realm->host) == 0)
        return NULL;
    /* A public registry has no business with our inner network; an internal one may well use a
     * token server there. What cannot be told counts as public. */
    if (classify(realm->host) == OCI_ADDRESS_PRIVATE &&
        classify(registry->host) != OCI_ADDRESS_PRIVATE)
        return "it is on a private address, and the registry is not";
    return NULL;
}
