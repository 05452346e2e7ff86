/* plugins/buildx: what `buildx inspect` says of builders, and what its last words mean, both as
 * buildx 0.38.2 and older ones write them. */
#include "fake_host.h"

#include "buildx/buildx.h"
#include "common/buildkit_classify.h"

/* ---- inspect --------------------------------------------------------------------------------- */

static void inspect_knows_a_remote_builder(void **state)
{
    (void)state;
    static const char text[] =
        "Name:          strake\n"
        "Driver:        remote\n"
        "Last Activity: 2026-11-25 21:40:37 +0000 UTC\n"
        "\n"
        "Nodes:\n"
        "Name:             strake0\n"
        "Endpoint:         tcp://127.0.0.1:41877\n"
        "Status:           running\n"
        "BuildKit version: v0.32.2\n"
        "Platforms:        linux/amd64, linux/amd64/v2, linux/arm64, linux/386\n"
        "Labels:\n"
        " org.mobyproject.buildkit.worker.executor:         oci\n";
    struct buildx_inspected found;
    assert_true(buildx_inspect_parse(text, &found));
    assert_string_equal(found.driver, "remote");
    assert_string_equal(found.status, "running");
    assert_string_equal(found.version, "v0.32.2");
    assert_string_equal(found.platforms, "linux/amd64,linux/amd64/v2,linux/arm64,linux/386");
    assert_string_equal(found.error, "");
    assert_true(buildx_features(&found) & STRAKE_BUILDER_PUSH);
}

static void inspect_adds_up_the_nodes(void **state)
{
    (void)state;
    static const char text[] = "Name:   many\n"
                               "Driver: docker-container\n"
                               "Nodes:\n"
                               "Name:      a\n"
                               "Status:    stopped\n"
                               "Platforms: linux/amd64*\n"
                               "Name:      b\n"
                               "Status:    running\n"
                               "Buildkit:  v0.11.0\n"
                               "Platforms: linux/arm64*, linux/amd64\n";
    struct buildx_inspected found;
    assert_true(buildx_inspect_parse(text, &found));
    assert_string_equal(found.status, "running");
    assert_string_equal(found.version, "v0.11.0");
    assert_string_equal(found.platforms, "linux/amd64,linux/arm64");
}

static void inspect_tells_engines_apart(void **state)
{
    (void)state;
    static const char classic[] = "Name:   default\nDriver: docker\n\nNodes:\nName: default\n"
                                  "Status: running\nPlatforms: linux/amd64\nLabels:\n"
                                  " org.mobyproject.buildkit.worker.moby.host-gateway-ip: <nil>\n";
    static const char containerd[] =
        "Name:   default\nDriver: docker\n\nNodes:\nName: default\n"
        "Status: running\nPlatforms: linux/amd64\nLabels:\n"
        " org.mobyproject.buildkit.worker.containerd.namespace: moby\n";
    struct buildx_inspected found;
    assert_true(buildx_inspect_parse(classic, &found));
    assert_false(buildx_features(&found) & STRAKE_BUILDER_PUSH);
    assert_false(buildx_features(&found) & STRAKE_BUILDER_CACHE_EXPORT);
    assert_true(buildx_inspect_parse(containerd, &found));
    assert_false(buildx_features(&found) & STRAKE_BUILDER_PUSH);
    assert_true(buildx_features(&found) & STRAKE_BUILDER_CACHE_EXPORT);
}

static void inspect_keeps_why_a_builder_is_none(void **state)
{
    (void)state;
    struct buildx_inspected found;
    assert_true(buildx_inspect_parse(
        "Name:   default\nDriver: \nError:  failed to connect to the docker API at unix:///s\n",
        &found));
    assert_string_equal(found.error, "failed to connect to the docker API at unix:///s");
    assert_string_equal(found.status, "");
    assert_true(buildx_inspect_parse("Name: w0\nStatus: inactive\n", &found));
    assert_string_equal(found.status, "inactive");
    assert_string_equal(found.platforms, "");
}

static void inspect_copes_with_anything(void **state)
{
    (void)state;
    static const char *const cases[] = { "", "\n\n", "Status: running", "NAME/NODE DRIVER\n",
                                         ":\n: :\n" };
    struct buildx_inspected found;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_false(buildx_inspect_parse(cases[i], &found));

    static char many[65536] = "Name: x\nPlatforms: ";
    for (int i = 0; i < 4000; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "os%d/arch,", i);
    assert_true(buildx_inspect_parse(many, &found));
    assert_true(strlen(found.platforms) < sizeof(found.platforms));
    assert_true(buildx_inspect_parse("Name: x\nPlatforms: , ,*, a\n", &found));
    assert_string_equal(found.platforms, "");
}

/* ---- last words ------------------------------------------------------------------------------ */

static const struct expected {
    const char *words;
    int code;
    const char *message;
} expected[] = {
    { "ERROR: no builder \"nope\" found\n", STRAKE_EBUILDER,
      "buildx has no such builder: no builder \"nope\" found" },
    { "ERROR: failed to connect to the docker API at unix:///s; check if the path is correct\n",
      STRAKE_EBUILDER,
      "the Docker engine does not answer: failed to connect to the docker API at unix:///s; check "
      "if the path is correct" },
    { "ERROR: Cannot connect to the Docker daemon at tcp://h:1. Is the docker daemon running?\n",
      STRAKE_EBUILDER,
      "the Docker engine does not answer: Cannot connect to the Docker daemon at tcp://h:1. Is the "
      "docker daemon running?" },
    { "ERROR: permission denied while trying to connect to the Docker daemon socket at unix:///s\n",
      STRAKE_EBUILDER, NULL },
    { "ERROR: failed to build: push-by-digest is currently not implemented for docker driver, "
      "please create a new builder instance\n",
      STRAKE_EUNSUPPORTED, NULL },
    { "ERROR: failed to build: OCI exporter is not supported for the docker driver.\n"
      "Switch to a different driver, or turn on the containerd image store, and try again.\n",
      STRAKE_EUNSUPPORTED,
      "the Docker engine's own builder cannot do that: OCI exporter is not supported for the "
      "docker driver" },
    { "ERROR: Cache export is not supported for the docker driver.\n", STRAKE_EUNSUPPORTED, NULL },
    { "ERROR: unknown flag: --nosuch\n", STRAKE_EUNSUPPORTED,
      "this buildx is too old: unknown flag: --nosuch" },
    { "docker: 'buildx' is not a docker command.\nSee 'docker --help'\n", STRAKE_EBUILDER,
      "this docker has no buildx" },
    { "unknown flag: --builder\nSee 'docker --help'.\n", STRAKE_EBUILDER,
      "this docker has no buildx" },
    { "docker: unknown command: docker buildx\n\nRun 'docker --help' for more information\n",
      STRAKE_EBUILDER, "this docker has no buildx" },
    { "ERROR: failed to build: unable to prepare context: path \"/nope\" not found\n",
      STRAKE_EBUILD, "the build context cannot be read: path \"/nope\" not found" },
    { "WARNING: No output specified\nERROR: failed to build: failed to solve: process \"/bin/sh -c "
      "exit 3\" did not complete successfully: exit code: 3\n",
      STRAKE_EBUILD, "RUN exit 3 failed with exit code 3" },
    /* What a Dockerfile says of docker is not buildx's word. */
    { "ERROR: failed to build: failed to solve: process \"/bin/sh -c echo is not supported for the "
      "docker driver; permission denied while trying to connect to the Docker daemon; exit 1\" did "
      "not complete successfully: exit code: 1\n",
      STRAKE_EBUILD, NULL },
    { "", STRAKE_EBUILDER, "buildx failed and did not say why" },
};

static void words_say_whose_fault_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct expected *want = &expected[i];
        struct plug_failure failure;
        buildkit_classify(want->words, strlen(want->words), "", &buildx_client, &failure);
        if (failure.code != want->code)
            fail_msg("%s: %d, %s", want->words, failure.code, failure.message);
        if (want->message != NULL)
            assert_string_equal(failure.message, want->message);
        assert_null(strchr(failure.message, '\n'));
    }
}

/* ---- what a builder keeps -------------------------------------------------------------------- */

static void sizes_and_times_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {
        { "0B", 0 },
        { "91B", 91 },
        { "4.096kB", 4096 },
        { "3.043MB", 3043000 },
        { "1.5GB", 1500000000 },
        { "2TB", 2000000000000 },
        { "", -1 },
        { "B", -1 },
        { "-1B", -1 },
        { "1", -1 },
        { "1 kB", -1 },
        { "nanB", -1 },
        { "1e300PB", -1 },
        { "999999PB", -1 },
        { "1.B", -1 },
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(buildx_size_parse(sizes[i].text), sizes[i].bytes);
    char out[64];
    assert_true(buildx_time_parse("2026-11-25 23:10:20.235580317 +0000 UTC", out, sizeof(out)));
    assert_string_equal(out, "2026-11-25T23:10:20.235580317+00:00");
    assert_true(buildx_time_parse("2026-11-25 23:10:20 -0230 NST", out, sizeof(out)));
    assert_string_equal(out, "2026-11-25T23:10:20-02:30");
    static const char *const none[] = { "", "About an hour ago", "2026-11-25 23:10:20",
                                        "2026-11-25 23:10:20 UTC and more" };
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(buildx_time_parse(none[i], out, sizeof(out)));
}

/* The array that these lines become. */
static const char *records_of(const char *text)
{
    static char array[4096];
    struct buildx_records records = { .host = &fake_host, .out = fake_buf_new(sizeof(array)) };
    char *lines = strdup(text);
    for (char *line = lines; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        assert_int_equal(buildx_records_line(&records, line, strlen(line)), 0);
        line = end != NULL ? end + 1 : NULL;
    }
    assert_int_equal(buildx_records_finish(&records), 0);
    snprintf(array, sizeof(array), "%s", fake_buf_data(records.out, NULL));
    fake_buf_free(records.out);
    free(lines);
    return array;
}

static void records_become_an_array(void **state)
{
    (void)state;
    assert_string_equal(records_of(""), "[]");
    assert_string_equal(records_of("Total:\t0B\n"), "[]");
    assert_string_equal(records_of("ID: x\nSize: huge\n"), "[]");
    assert_string_equal(
        records_of("ID:           45n4\n"
                   "Created at:   2026-11-25 23:10:32.8 +0000 UTC\n"
                   "Mutable:      false\n"
                   "Reclaimable:  true\n"
                   "Shared:       false\n"
                   "Size:         3.043MB\n"
                   "Description:  pulled from r/x: y\n"
                   "Type:         regular\n"
                   "\n"
                   "ID:\t\t2\n"
                   "Reclaimable:\tfalse\n"
                   "Size:\t91B\n"
                   "\n"
                   "Reclaimable:\t3.08MB\n"
                   "Total:\t\t3.08MB\n"),
        "[{\"id\":\"45n4\",\"created\":\"2026-11-25T23:10:32.8+00:00\",\"in_use\":false,"
        "\"shared\":false,\"size_bytes\":3043000,\"description\":\"pulled from r/x: y\","
        "\"type\":\"regular\"},{\"id\":\"2\",\"in_use\":true,\"size_bytes\":91}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inspect_knows_a_remote_builder),
        cmocka_unit_test(inspect_adds_up_the_nodes),
        cmocka_unit_test(inspect_tells_engines_apart),
        cmocka_unit_test(inspect_keeps_why_a_builder_is_none),
        cmocka_unit_test(inspect_copes_with_anything),
        cmocka_unit_test(words_say_whose_fault_it_is),
        cmocka_unit_test(sizes_and_times_are_read),
        cmocka_unit_test(records_become_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
