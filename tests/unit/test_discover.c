/* core/project/discover.c on machines that have this or that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "project/discover.h"
#include "torture.h"
#include "util/fs.h"
#include "util/json.h"

static char *dir;

/* A machine without any program, in an environment that says nothing. */
static int setup(void **state)
{
    static const char *const names[] = { "BUILDKIT_HOST", "DOCKER_HOST",     "DOCKER_CONTEXT",
                                         "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "BUILDX_BUILDER" };
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    if (strake_fs_tempdir(&dir, &err) < 0)
        return -1;
    return setenv("PATH", dir, 1) == 0 && setenv("HOME", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_fs_remove_tree(dir, &err);
    strake_err_dispose(&err);
    strake_free(dir);
    return 0;
}

/* From now on there is this program. Another PATH, so that it is looked for again. */
static void install(const char *name)
{
    char *path = strake_fs_join(dir, name), *again = strake_asprintf("%s:", getenv("PATH"));
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(setenv("PATH", again, 1), 0);
    strake_free(again);
    strake_free(path);
}

/* The program that stands in for a builder of this type with these options, the caller's; NULL:
 * none does. */
static char *stand_in(const char *type, const char *option, const char *value, json_t **replaced)
{
    json_t *options = json_object();
    struct strake_err err = { 0 };
    char *program;

    if (option)
        assert_int_equal(strake_json_set_str(options, option, value), 0);
    assert_int_equal(strake_builder_stand_in(type, options, replaced, &program, &err), 0);
    assert_int_equal(strake_builder_has_stand_in(type, options), program != NULL);
    json_decref(options);
    return program;
}

static void nobody_stands_in(const char *type, const char *option, const char *value)
{
    json_t *replaced;

    assert_null(stand_in(type, option, value, &replaced));
    assert_null(replaced);
}

static void buildx_stands_in_for_buildctl_alone(void **state)
{
    json_t *replaced;
    char *program;

    (void)state;
    nobody_stands_in("buildctl", NULL, NULL);
    install("buildx");
    nobody_stands_in("buildah", NULL, NULL);
    nobody_stands_in("buildctl", "program", "/opt/buildctl");
    program = stand_in("buildctl", "address", "tcp://lab:1234", &replaced);
    assert_non_null(strstr(program, "/buildx"));
    assert_string_equal(strake_json_str(replaced, "address"), "tcp://lab:1234");
    json_decref(replaced);
    strake_free(program);
    program = stand_in("buildctl", NULL, NULL, &replaced); /* where buildctl would look */
    assert_string_equal(strake_json_str(replaced, "address"),
                        "unix:///run/buildkit/buildkitd.sock");
    json_decref(replaced);
    strake_free(program);
    install("buildctl");
    nobody_stands_in("buildctl", NULL, NULL);
}

static void docker_counts_with_its_plugin(void **state)
{
    char *config = strake_fs_join(dir, "config"), *plugins = strake_fs_join(config, "cli-plugins");
    struct strake_err err = { 0 };
    json_t *replaced;
    char *program;

    (void)state;
    assert_int_equal(setenv("DOCKER_CONFIG", config, 1), 0);
    assert_int_equal(strake_fs_mkdirs(plugins, 0700, &err), 0);
    install("docker");
    install("config/cli-plugins/docker-buildx");
    program = stand_in("buildctl", NULL, NULL, &replaced);
    assert_non_null(strstr(program, "/docker buildx"));
    json_decref(replaced);
    strake_free(program);
    strake_free(plugins);
    strake_free(config);
}

static int look(void *ctx)
{
    struct strake_discovered *found = ctx;
    struct strake_err err = { 0 };
    int rc = strake_discover(found, &err);

    strake_err_dispose(&err);
    return rc;
}

static void discovered_is(const char *plugin, const char *why)
{
    struct strake_discovered found;

    assert_int_equal(look(&found), 0);
    assert_string_equal(found.plugin, plugin);
    assert_non_null(strstr(found.why, why));
    strake_discovered_dispose(&found);
}

static void discover_takes_the_first_there_is(void **state)
{
    struct strake_discovered found;

    (void)state;
    install("buildx");
    install("buildah");
    assert_int_equal(setenv("BUILDKIT_HOST", "tcp://lab:1234", 1), 0);
    discovered_is("buildctl", "BuildKit at tcp://lab:1234, as BUILDKIT_HOST says");
    unsetenv("BUILDKIT_HOST");
    if (access("/run/buildkit/buildkitd.sock", F_OK) == 0)
        return; /* a BuildKit of this machine's own */
    assert_int_equal(setenv("DOCKER_HOST", "tcp://engine:2375", 1), 0);
    discovered_is("buildx", "/buildx: BUILDKIT_HOST is not set");
    unsetenv("DOCKER_HOST");
    if (access("/var/run/docker.sock", F_OK) == 0)
        return; /* an engine of this machine's own */
    discovered_is("buildah", "/buildah: BUILDKIT_HOST is not set");
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    assert_int_equal(look(&found), STRAKE_EBUILDER);
}

static int look_and_dispose(void *ctx)
{
    struct strake_discovered found;
    int rc = look(&found);

    (void)ctx;
    if (rc == 0)
        strake_discovered_dispose(&found);
    return rc;
}

static void discover_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_int_equal(setenv("BUILDKIT_HOST", "tcp://lab:1234", 1), 0);
    torture(look_and_dispose, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(buildx_stands_in_for_buildctl_alone),
        TEST(docker_counts_with_its_plugin),
        TEST(discover_takes_the_first_there_is),
        TEST(discover_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
