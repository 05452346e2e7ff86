/* plugins/oci/credentials.c and helper.c: where docker and podman keep credentials. */
#include "fake_host.h"

#include <sys/stat.h>
#include <unistd.h>

#include "oci/credentials.h"

static char home[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", home, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", home, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static int setup(void **state)
{
    fake_reset(state);
    strcpy(home, "/tmp/strake-credentials-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    setenv("HOME", home, 1);
    unsetenv("DOCKER_CONFIG");
    unsetenv("DOCKER_AUTH_CONFIG");
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("REGISTRY_AUTH_FILE");
    make_folder(".docker");
    make_folder(".config");
    make_folder(".config/containers");
    make_folder("run");
    make_folder("run/containers");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", home);
    return system(command);
}

static void find(const char *registry, const char *repository, struct oci_credentials *out)
{
    assert_int_equal(oci_credentials_find(&fake_host, NULL, registry, repository, out, &fake_err),
                     0);
}

static void assert_found(const char *registry, const char *repository, const char *username,
                         const char *password)
{
    struct oci_credentials got;
    find(registry, repository, &got);
    assert_string_equal(got.username ? got.username : "(none)", username);
    assert_string_equal(got.password ? got.password : "(none)", password);
    oci_credentials_dispose(&got);
}

static void assert_none(const char *registry, const char *repository)
{
    struct oci_credentials got;
    find(registry, repository, &got);
    assert_false(oci_credentials_given(&got));
    assert_null(got.source);
    oci_credentials_dispose(&got);
}

static void find_reads_auths_of_dockers_file(void **state)
{
    (void)state;
    /* "me:pa:ss" with a NUL behind; "hub:secret" */
    write_file(".docker/config.json",
               "{\"auths\":{\"ghcr.io\":{\"auth\":\"bWU6cGE6c3MA\"},"
               "\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnNlY3JldA==\"},"
               "\"https://reg.example:5000/v2/\":{\"username\":\"u\",\"password\":\"plain\"},"
               "\"empty.example\":{}}}");
    assert_found("ghcr.io", "o/app", "me", "pa:ss");
    assert_found("docker.io", "library/busybox", "hub", "secret");
    assert_found("reg.example:5000", "app", "u", "plain");
    assert_none("reg.example", "app");
    assert_none("empty.example", "app");
    assert_none("io", "app");
    assert_non_null(strstr(fake_marked, "pa:ss\n"));
    assert_non_null(strstr(fake_marked, "bWU6cGE6c3MA\n"));
}

static void find_knows_tokens(void **state)
{
    (void)state;
    struct oci_credentials got;
    write_file(".docker/config.json",
               "{\"auths\":{\"a.example\":{\"auth\":\"dXNlcjo=\",\"identitytoken\":\"refresh\"},"
               "\"b.example\":{\"registrytoken\":\"bearer\"}}}");
    find("a.example", "app", &got);
    assert_string_equal(got.username, "user");
    assert_null(got.password);
    assert_string_equal(got.identity_token, "refresh");
    oci_credentials_dispose(&got);
    find("b.example", "app", &got);
    assert_string_equal(got.registry_token, "bearer");
    oci_credentials_dispose(&got);
    assert_non_null(strstr(fake_marked, "refresh\n"));
    assert_non_null(strstr(fake_marked, "bearer\n"));
}

static void find_prefers_the_environment(void **state)
{
    (void)state;
    write_file(".docker/config.json", "{\"auths\":{\"a.example\":{\"auth\":\"ZmlsZTp4eA==\"}}}");
    setenv("DOCKER_AUTH_CONFIG", "{\"auths\":{\"a.example\":{\"auth\":\"ZW52Onl5\"}}}", 1);
    assert_found("a.example", "app", "env", "yy");
    setenv("DOCKER_AUTH_CONFIG", "{\"auths\":{\"b.example\":{\"auth\":\"ZW52Onl5\"}}}", 1);
    assert_found("a.example", "app", "file", "xx");
}

static void find_takes_the_longest_path_of_podmans_files(void **state)
{
    (void)state;
    char run[128];
    snprintf(run, sizeof(run), "%s/run", home);
    setenv("XDG_RUNTIME_DIR", run, 1);
    write_file("run/containers/auth.json", "{\"auths\":{"
                                           "\"a.example\":{\"auth\":\"aG9zdDp4eA==\"},"
                                           "\"a.example/team\":{\"auth\":\"dGVhbTp4eA==\"},"
                                           "\"a.example/team/app\":{\"auth\":\"YXBwOnh4\"}}}");
    write_file(".config/containers/auth.json",
               "{\"auths\":{\"b.example\":{\"auth\":\"aG9tZTp4eA==\"}}}");
    assert_found("a.example", "other", "host", "xx");
    assert_found("a.example", "team/x", "team", "xx");
    assert_found("a.example", "team/app", "app", "xx");
    assert_found("a.example", "team/apple", "team", "xx");
    assert_found("a.example", "teams", "host", "xx");
    assert_found("b.example", "x", "home", "xx");
    assert_none("a.example.org", "team/app");
}

static void find_asks_the_helper_of_the_registry_first(void **state)
{
    (void)state;
    write_file(".docker/config.json",
               "{\"credsStore\":\"store\",\"credHelpers\":{\"a.example\":\"mine\"},"
               "\"auths\":{\"a.example\":{\"auth\":\"ZmlsZTp4eA==\"},\"c.example\":{}}}");
    fake_program.output = "{\"ServerURL\":\"a.example\",\"Username\":\"h\",\"Secret\":\"helped\"}";
    assert_found("a.example", "app", "h", "helped");
    assert_string_equal(fake_program.argv, "docker-credential-mine get");
    assert_string_equal(fake_program.input, "a.example");
    assert_found("c.example", "app", "h", "helped");
    assert_string_equal(fake_program.argv, "docker-credential-store get");
    assert_found("docker.io", "library/x", "h", "helped");
    assert_string_equal(fake_program.input, "https://index.docker.io/v1/");
    assert_non_null(strstr(fake_marked, "helped\n"));
}

static void find_takes_an_identity_token_from_a_helper(void **state)
{
    (void)state;
    struct oci_credentials got;
    write_file(".docker/config.json", "{\"credsStore\":\"x\"}");
    fake_program.output = "{\"Username\":\"<token>\",\"Secret\":\"refresh\"}";
    find("a.example", "app", &got);
    assert_string_equal(got.identity_token, "refresh");
    assert_null(got.username);
    assert_null(got.password);
    oci_credentials_dispose(&got);
}

static void find_goes_on_when_a_place_is_broken(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int rc;
        int exit_code;
        const char *output;
        const char *trouble; /* part of it; NULL: nothing wrong */
    } cases[] = {
        { "{\"auths\":", 0, 0, "", "not valid JSON" },
        { "[]", 0, 0, "", "not valid JSON" },
        { "{\"auths\":{\"a.example\":{\"auth\":\"###\"}}}", 0, 0, "", "base64" },
        { "{\"auths\":{\"a.example\":{\"auth\":\"bm9jb2xvbg==\"}}}", 0, 0, "", "base64" },
        { "{\"credsStore\":\"../sh\"}", 0, 0, "", "not a program's name" },
        { "{\"credsStore\":\"x\"}", STRAKE_ENOTFOUND, 0, "", "docker-credential-x" },
        { "{\"credsStore\":\"x\"}", 0, 1, "boom", "exit code 1" },
        { "{\"credsStore\":\"x\"}", 0, 0, "not JSON", "something else" },
        { "{\"credsStore\":\"x\"}", 0, 1, "credentials not found in native keychain\n", NULL },
        { "{\"credsStore\":7,\"auths\":[],\"credHelpers\":null}", 0, 0, "", NULL },
    };
    write_file(".config/containers/auth.json",
               "{\"auths\":{\"a.example\":{\"auth\":\"cG9kOnh4\"}}}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct oci_credentials got;
        write_file(".docker/config.json", cases[i].config);
        fake_program.rc = cases[i].rc;
        fake_program.exit_code = cases[i].exit_code;
        fake_program.output = cases[i].output;
        find("a.example", "app", &got);
        assert_string_equal(got.username ? got.username : cases[i].config, "pod");
        if (!cases[i].trouble)
            assert_null(got.trouble);
        else if (!got.trouble || !strstr(got.trouble, cases[i].trouble))
            fail_msg("%s: %s", cases[i].config, got.trouble ? got.trouble : "(none)");
        oci_credentials_dispose(&got);
    }
}

static void find_reads_the_file_that_podman_is_told_to(void **state)
{
    (void)state;
    char path[256];
    write_file(".config/containers/auth.json",
               "{\"auths\":{\"a.example\":{\"auth\":\"cG9kOnh4\"}}}");
    write_file("run/named", "{\"auths\":{\"a.example\":{\"auth\":\"bmFtZWQ6eHg=\"}}}");
    assert_found("a.example", "app", "pod", "xx");
    snprintf(path, sizeof(path), "%s/run/named", home);
    setenv("REGISTRY_AUTH_FILE", path, 1);
    assert_found("a.example", "app", "named", "xx");
    setenv("REGISTRY_AUTH_FILE", "/nowhere/at/all", 1);
    assert_found("a.example", "app", "pod", "xx");
}

static void find_waits_for_no_helper_for_ever(void **state)
{
    (void)state;
    struct oci_credentials got;
    write_file(".docker/config.json", "{\"credsStore\":\"x\"}");
    fake_program.rc = STRAKE_ETIMEOUT;
    find("a.example", "app", &got);
    assert_in_range(fake_program.timeout_ms, 1, 60000);
    assert_false(oci_credentials_given(&got));
    assert_non_null(strstr(got.trouble, "docker-credential-x"));
    oci_credentials_dispose(&got);
}

static void find_stops_when_it_is_cancelled(void **state)
{
    (void)state;
    struct oci_credentials got;
    write_file(".docker/config.json", "{\"credsStore\":\"x\"}");
    fake_program.rc = STRAKE_ECANCELLED;
    assert_int_equal(oci_credentials_find(&fake_host, NULL, "a.example", "app", &got, &fake_err),
                     STRAKE_ECANCELLED);
}

static void basic_is_marked(void **state)
{
    (void)state;
    char *coded = oci_credentials_basic(&fake_host, "me", "pa:ss");
    assert_string_equal(coded, "bWU6cGE6c3M=");
    assert_non_null(strstr(fake_marked, "bWU6cGE6c3M=\n"));
    free(coded);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(find_reads_auths_of_dockers_file),
        TEST(find_knows_tokens),
        TEST(find_prefers_the_environment),
        TEST(find_takes_the_longest_path_of_podmans_files),
        TEST(find_asks_the_helper_of_the_registry_first),
        TEST(find_takes_an_identity_token_from_a_helper),
        TEST(find_goes_on_when_a_place_is_broken),
        TEST(find_reads_the_file_that_podman_is_told_to),
        TEST(find_waits_for_no_helper_for_ever),
        TEST(find_stops_when_it_is_cancelled),
        TEST(basic_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
