/* plugins/oci/realm.c: whom credentials may be given to. */
#include "fake_host.h"

#include "oci/realm.h"

/** As if the names resolved so. */
static enum oci_address classify(const char *host)
{
    if (strcmp(host, "public.example") == 0 || strcmp(host, "auth.example") == 0)
        return OCI_ADDRESS_PUBLIC;
    if (strcmp(host, "unknown.example") == 0)
        return OCI_ADDRESS_UNKNOWN;
    return OCI_ADDRESS_PRIVATE;
}

static void realm_refusal_follows_the_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *registry;
        const char *realm;
        bool refused;
    } cases[] = {
        { "https://public.example/", "https://auth.example/token", false },
        { "https://public.example/", "https://unknown.example/token", false },
        { "https://public.example/", "https://public.example/token", false },
        { "https://public.example/", "http://auth.example/token", true },
        { "https://public.example/", "http://public.example/token", true },
        { "https://public.example/", "https://169.254.169.254/latest", true },
        { "https://public.example/", "https://inner.example/token", true },
        { "https://unknown.example/", "https://inner.example/token", true },
        { "https://inner.example/", "https://auth.inner.example/token", false },
        { "https://10.0.0.1:5000/", "https://10.0.0.1:5001/token", false },
        { "http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", false },
        { "http://127.0.0.1:5000/", "https://auth.example/token", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_url registry;
        struct plug_url realm;
        assert_int_equal(plug_url_split(cases[i].registry, &registry), 0);
        assert_int_equal(plug_url_split(cases[i].realm, &realm), 0);
        const char *refusal = oci_realm_refusal(&registry, &realm, classify);
        if (cases[i].refused != (refusal != NULL))
            fail_msg("%s -> %s: %s", cases[i].registry, cases[i].realm, refusal ? refusal : "");
        plug_url_dispose(&registry);
        plug_url_dispose(&realm);
    }
}

static void address_classify_knows_the_nets_that_are_not_public(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        enum oci_address kind;
    } cases[] = {
        { "127.0.0.1", OCI_ADDRESS_PRIVATE },
        { "10.255.0.1", OCI_ADDRESS_PRIVATE },
        { "172.15.255.255", OCI_ADDRESS_PUBLIC },
        { "172.16.0.0", OCI_ADDRESS_PRIVATE },
        { "172.31.255.255", OCI_ADDRESS_PRIVATE },
        { "172.32.0.0", OCI_ADDRESS_PUBLIC },
        { "192.168.1.1", OCI_ADDRESS_PRIVATE },
        { "192.169.1.1", OCI_ADDRESS_PUBLIC },
        { "169.254.169.254", OCI_ADDRESS_PRIVATE },
        { "100.64.0.1", OCI_ADDRESS_PRIVATE },
        { "100.63.255.255", OCI_ADDRESS_PUBLIC },
        { "0.0.0.0", OCI_ADDRESS_PRIVATE },
        { "8.8.8.8", OCI_ADDRESS_PUBLIC },
        { "::1", OCI_ADDRESS_PRIVATE },
        { "fe80::1", OCI_ADDRESS_PRIVATE },
        { "fd00::1", OCI_ADDRESS_PRIVATE },
        { "2001:4860:4860::8888", OCI_ADDRESS_PUBLIC },
        { "::ffff:10.0.0.1", OCI_ADDRESS_PRIVATE },
        { "::ffff:8.8.8.8", OCI_ADDRESS_PUBLIC },
        { "localhost", OCI_ADDRESS_PRIVATE },
        { "registry.localhost", OCI_ADDRESS_PRIVATE },
        /* As inet_aton reads it, which a resolver does too. */
        { "2130706433", OCI_ADDRESS_PRIVATE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (oci_address_classify(cases[i].host) != cases[i].kind)
            fail_msg("%s", cases[i].host);
}

static void address_is_loopback_asks_nobody(void **state)
{
    (void)state;
    assert_true(oci_address_is_loopback("127.8.8.8"));
    assert_true(oci_address_is_loopback("::1"));
    assert_true(oci_address_is_loopback("LOCALHOST"));
    assert_false(oci_address_is_loopback("notlocalhost"));
    assert_false(oci_address_is_loopback("127.0.0.1.example"));
    assert_false(oci_address_is_loopback("128.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realm_refusal_follows_the_addresses),
        cmocka_unit_test(address_classify_knows_the_nets_that_are_not_public),
        cmocka_unit_test(address_is_loopback_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
