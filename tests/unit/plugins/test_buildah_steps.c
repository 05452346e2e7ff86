/* plugins/buildah: its steps as the real one tells them, its command line, its files. */
#include "fake_host.h"
#include "recorded.h"

#include "buildah/buildah.h"

/* ---- steps ------------------------------------------------------------------------------------
 */

/* "+name" for a step that begins, "-name" (or "=name" from the cache, "!name: why") for its end,
 * and what it prints between. */
static char told[8192];

static void add(const char *prefix, const char *text, const char *suffix)
{
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s%s%s", prefix, text, suffix);
}

static void on_step(void *ctx, const struct strake_step *step)
{
    (void)ctx;
    assert_true(step->started_us > 0);
    if (step->completed_us == 0) {
        add("+", step->name, "\n");
    } else if (step->error != NULL) {
        add("!", step->name, ": ");
        add(step->error, "\n", "");
    } else {
        add(step->cached ? "=" : "-", step->name, "\n");
    }
}

static void on_log(void *ctx, const char *step, int stream, const char *data, size_t len)
{
    (void)ctx;
    assert_true(strlen(step) > 0);
    add(stream == 2 ? "2 " : "1 ", "", "");
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%.*s", (int)len, data);
}

static const struct buildah_steps_sink sink = { on_step, on_log };

static int on_line(void *ctx, char *line, size_t len)
{
    return buildah_steps_line(ctx, line, len);
}

static void play(const char *text, size_t len, const char *label)
{
    struct buildah_steps steps = { .sink = &sink, .label = label };
    struct plug_lines lines = { .max = BUILDAH_LINE_MAX, .line = on_line, .ctx = &steps };
    told[0] = '\0';
    assert_int_equal(plug_lines_feed(&lines, text, len), 0);
    assert_int_equal(plug_lines_finish(&lines), 0);
    buildah_steps_end(&steps, NULL);
    buildah_steps_dispose(&steps);
}

static void steps_of_several_stages(void **state)
{
    (void)state;
    size_t len;
    char *text = recorded("buildah", "cached.stdout", &len);
    play(text, len, "");
    free(text);
    assert_string_equal(
        told, "+[stage 1/2 1/3] FROM 127.0.0.1:18500/base:1 AS one\n"
              "-[stage 1/2 1/3] FROM 127.0.0.1:18500/base:1 AS one\n"
              "+[stage 1/2 2/3] RUN echo \"hello out\"; echo \"hello err\" >&2\n"
              "=[stage 1/2 2/3] RUN echo \"hello out\"; echo \"hello err\" >&2\n"
              "+[stage 1/2 3/3] RUN --mount=type=secret,id=tok cat /run/secrets/tok | wc -c\n"
              "=[stage 1/2 3/3] RUN --mount=type=secret,id=tok cat /run/secrets/tok | wc -c\n"
              "+[stage 2/2 1/4] FROM "
              "8a22d0e0e32adc31b22d5e146ded0688c44a1a98db5a34a01ebb384347635313 AS two\n"
              "-[stage 2/2 1/4] FROM "
              "8a22d0e0e32adc31b22d5e146ded0688c44a1a98db5a34a01ebb384347635313 AS two\n"
              "+[stage 2/2 2/4] ARG WHO\n"
              "=[stage 2/2 2/4] ARG WHO\n"
              "+[stage 2/2 3/4] RUN echo \"two $WHO\"\n"
              "1 two world\n"
              "-[stage 2/2 3/4] RUN echo \"two $WHO\"\n"
              "+[stage 2/2 4/4] CMD echo hi\n"
              "-[stage 2/2 4/4] CMD echo hi\n"
              "+committing the image\n"
              "-committing the image\n");
}

static void steps_of_one_stage_have_the_platform_when_there_are_several(void **state)
{
    (void)state;
    size_t len;
    char *text = recorded("buildah", "single.stdout", &len);
    play(text, len, "linux/arm64");
    free(text);
    assert_string_equal(told, "+[linux/arm64 1/2] FROM 127.0.0.1:18500/base:1\n"
                              "-[linux/arm64 1/2] FROM 127.0.0.1:18500/base:1\n"
                              "+[linux/arm64 2/2] RUN echo simple\n"
                              "1 simple\n"
                              "-[linux/arm64 2/2] RUN echo simple\n"
                              "+linux/arm64 committing the image\n"
                              "-linux/arm64 committing the image\n");
}

static void what_only_looks_like_a_step_is_output(void **state)
{
    (void)state;
    static const char text[] = "STEP 1/1: RUN x\n"
                               "STEP 1: no\n"
                               "[1/] STEP 1/1: no\n"
                               "[1/1]STEP 1/1: no\n"
                               "STEP a/b: no\n"
                               "COMMITTED\n"
                               "--> no\n"
                               "--> Using cache no\n"
                               "\n"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    play(text, strlen(text), "");
    assert_string_equal(told, "+[1/1] RUN x\n"
                              "1 STEP 1: no\n"
                              "1 [1/] STEP 1/1: no\n"
                              "1 [1/1]STEP 1/1: no\n"
                              "1 STEP a/b: no\n"
                              "1 COMMITTED\n"
                              "1 --> no\n"
                              "1 --> Using cache no\n"
                              "1 \n"
                              "1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
                              "-[1/1] RUN x\n");
}

static void a_step_that_fails_says_why(void **state)
{
    (void)state;
    struct buildah_steps steps = { .sink = &sink, .label = "" };
    char line[] = "STEP 1/1: RUN false";
    told[0] = '\0';
    buildah_steps_log(&steps, 2, "before any step", 15);
    assert_int_equal(buildah_steps_line(&steps, line, strlen(line)), 0);
    buildah_steps_log(&steps, 2, "oh\n", 3);
    buildah_steps_end(&steps, "exit code 1");
    buildah_steps_end(&steps, "exit code 1"); /* it has ended already */
    assert_string_equal(told, "+[1/1] RUN false\n2 oh\n![1/1] RUN false: exit code 1\n");
    buildah_steps_dispose(&steps);
}

/* ---- command line -----------------------------------------------------------------------------
 */

static const struct buildah self = { .host = &fake_host,
                                     .program = (char *)"buildah",
                                     .isolation = (char *)"chroot" };

static const char *words_of(const struct buildah *instance,
                            const struct strake_build_request *given, const char *platform)
{
    static char text[4096];
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    buildah_argv_bud(instance, &request, platform, "id", request.no_cache, &argv);
    assert_false(argv.failed);
    text[0] = '\0';
    for (size_t i = 0; i < argv.count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? "|" : "",
                 argv.items[i]);
    plug_list_dispose(&argv);
    return text;
}

#define REQUEST                                                                                    \
    .size = sizeof(struct strake_build_request), .context = "/src", .dockerfile = "/src/Dockerfile"

static void argv_says_all_that_a_request_holds(void **state)
{
    (void)state;
    const struct strake_pair who = { "WHO", "a \"b\"" };
    const struct strake_pair folder = { "data", "local:/data" };
    const struct strake_pair image = { "base", "docker-image://r/b@sha256:0" };
    const struct strake_build_secret by_file = { .id = "f", .file = "/f" };
    const struct strake_build_secret by_name = { .id = "n", .name = "KNOWN" };
    const struct buildah other = { .host = &fake_host,
                                   .program = (char *)"/b",
                                   .root = (char *)"/r",
                                   .storage_driver = (char *)"vfs",
                                   .isolation = (char *)"oci",
                                   .runtime = (char *)"runc" };
    const struct strake_build_request request = {
        REQUEST,
        .stage = "prod",
        .args = (const struct strake_pair *const[]){ &who, NULL },
        .labels = (const struct strake_pair *const[]){ &who, NULL },
        .contexts = (const struct strake_pair *const[]){ &folder, &image, NULL },
        .secrets = (const struct strake_build_secret *const[]){ &by_file, &by_name, NULL },
        .no_cache = true,
        .output = STRAKE_OUTPUT_FILE,
        .output_type = "tar",
        .output_dest = "/o.tar",
    };
    assert_string_equal(words_of(&other, &request, "linux/arm64"),
                        "/b|--root|/r|--runroot|/r/run|--storage-driver|vfs|bud|--layers|"
                        "--force-rm|--identity-label=false|--format|oci|--isolation|oci|--runtime|"
                        "runc|--platform|linux/arm64|--target|prod|--build-arg|WHO=a \"b\"|--label|"
                        "WHO=a \"b\"|--build-context|data=/data|--build-context|"
                        "base=docker-image://r/b@sha256:0|--secret|id=f,src=/f|--secret|"
                        "id=n,env=STRAKE_SECRET_1|--no-cache|--output|type=tar,dest=/o.tar|"
                        "--iidfile|id|--file|/src/Dockerfile|/src");
}

static void argv_of_the_least_request_has_nothing_else(void **state)
{
    (void)state;
    const struct strake_build_request request = { REQUEST };
    assert_string_equal(words_of(&self, &request, NULL),
                        "buildah|bud|--layers|--force-rm|--identity-label=false|--format|oci|"
                        "--isolation|chroot|--iidfile|id|--file|/src/Dockerfile|/src");
}

static void requests_that_buildah_cannot_do_are_refused(void **state)
{
    (void)state;
    static const char *const two[] = { "linux/amd64", "linux/arm64", NULL };
    const struct strake_pair layout = { "l", "oci-layout:///x@sha256:0" };
    const struct strake_build_secret comma = { .id = "a,b", .file = "/f" };
    const struct strake_build_secret nothing = { .id = "a" };
    const struct {
        struct strake_build_request request;
        int code;
    } cases[] = {
        { { REQUEST }, 0 },
        { { REQUEST, .output = STRAKE_OUTPUT_STAGE, .layout_dir = "/l", .platforms = two }, 0 },
        { { REQUEST, .output = STRAKE_OUTPUT_STAGE, .layout_dir = "/l:x" }, STRAKE_EUNSUPPORTED },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "oci", .output_dest = "/a",
            .platforms = two },
          0 },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "docker", .output_dest = "/a",
            .platforms = two },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "oci", .output_dest = "/a:b" },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "local", .output_dest = "/a,b" },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "zip", .output_dest = "/a" },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "oci" }, STRAKE_EUSAGE },
        { { REQUEST, .contexts = (const struct strake_pair *const[]){ &layout, NULL } },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .secrets = (const struct strake_build_secret *const[]){ &comma, NULL } },
          STRAKE_EUNSUPPORTED },
        { { REQUEST, .secrets = (const struct strake_build_secret *const[]){ &nothing, NULL } },
          STRAKE_EUSAGE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_build_request request;
        plug_request_read(&cases[i].request, &request);
        int rc = buildah_request_check(&self, &request, &fake_err);
        if (rc != cases[i].code)
            fail_msg("case %zu: %d, %s", i, rc, fake_err.message);
    }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static void registries_speak_plain_http_to_those_hosts_alone(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        size_t insecure; /* of the hosts localhost, lab:5000 and one that is no host */
    } cases[] = {
        { "", 2 },
        { "unqualified-search-registries = [\"docker.io\"]", 2 },
        { "[[registry]]\nlocation = \"localhost\"\ninsecure = false", 1 }, /* its own word */
        { "[registries.insecure]\nregistries = []", 0 },                   /* the old form */
    };
    struct plug_list hosts = { 0 };
    plug_list_add(&hosts, "localhost");
    plug_list_add(&hosts, "lab:5000");
    plug_list_add(&hosts, "a\"\ninsecure = true");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text text = { 0 };
        buildah_registries(cases[i].base, &hosts, &text);
        assert_ptr_equal(strstr(plug_text_view(&text), cases[i].base), plug_text_view(&text));
        if (count(plug_text_view(&text), "insecure = true") != cases[i].insecure)
            fail_msg("case %zu: %s", i, plug_text_view(&text));
        plug_text_dispose(&text);
    }
    plug_list_dispose(&hosts);
}

static void the_index_of_a_layout_names_one_image(void **state)
{
    (void)state;
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "\"}"
    static const struct {
        const char *json;
        bool valid;
    } cases[] = {
        { "{\"manifests\":[" ENTRY "]}", true },
        { "{\"manifests\":[" ENTRY "," ENTRY "]}", false },
        { "{\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX "0\"}]}", false },
        { "{\"manifests\":[{\"digest\":\"sha256:" HEX "\"}]}", false },
        { "{\"manifests\":[]}", false },
        { "{}", false },
        { "", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_build_result result = { .size = sizeof(result) };
        if (buildah_index_parse(cases[i].json, strlen(cases[i].json), &result) != cases[i].valid)
            fail_msg("%s", cases[i].json);
        assert_string_equal(result.digest, cases[i].valid ? "sha256:" HEX : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_several_stages),
        cmocka_unit_test(steps_of_one_stage_have_the_platform_when_there_are_several),
        cmocka_unit_test(what_only_looks_like_a_step_is_output),
        cmocka_unit_test(a_step_that_fails_says_why),
        cmocka_unit_test(argv_says_all_that_a_request_holds),
        cmocka_unit_test(argv_of_the_least_request_has_nothing_else),
        cmocka_unit_test_setup(requests_that_buildah_cannot_do_are_refused, fake_reset),
        cmocka_unit_test(registries_speak_plain_http_to_those_hosts_alone),
        cmocka_unit_test(the_index_of_a_layout_names_one_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
