/* plugins/buildctl: the command line and environment of a build, and what is read back of it. */
#include "fake_host.h"

#include "buildctl/buildctl.h"

static const struct buildctl lab = { .host = &fake_host,
                                     .program = "buildctl",
                                     .address = "tcp://lab:1234" };

static const struct strake_pair who = { "WHO", "a, \"b\"=c" };
static const struct strake_pair empty = { "EMPTY", "" };
static const struct strake_pair label = { "org.x", "y z" };

/* The command line as words between bars. */
static const char *words_of(const struct buildctl *self, const struct strake_build_request *given)
{
    static char text[8192];
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    text[0] = '\0';
    if (buildctl_argv_build(self, &request, "meta.json", &argv, &fake_err) == 0) {
        for (size_t i = 0; i < argv.count; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? "|" : "",
                     argv.items[i]);
    }
    plug_list_dispose(&argv);
    return text;
}

#define BEGIN                                                                                      \
    "buildctl|--addr|tcp://lab:1234|build|--progress=rawjson|--frontend|"                          \
    "dockerfile.v0|"
#define FOLDER "--local|context=/src|--local|dockerfile=/src|--opt|filename=Dockerfile|"
#define END "--metadata-file|meta.json"
#define REQUEST                                                                                    \
    .size = sizeof(struct strake_build_request), .context = "/src", .dockerfile = "/src/Dockerfile"

static void argv_says_all_that_a_request_holds(void **state)
{
    (void)state;
    const struct strake_build_secret by_file = { .id = "npm", .file = "/home/x/.npmrc" };
    const struct strake_build_secret by_name = { .id = "tok,en", .name = "KNOWN" };
    const struct strake_pair folder = { "data", "local:/data" };
    const struct strake_pair plain = { "more", "/more" };
    const struct strake_pair image = { "base", "docker-image://r/base@sha256:0" };
    const struct strake_pair layout = { "lay", "oci-layout:///l/d@sha256:1" };
    const struct strake_build_request request = {
        REQUEST,
        .stage = "prod",
        .platforms = (const char *const[]){ "linux/amd64", "linux/arm/v7", NULL },
        .args = (const struct strake_pair *const[]){ &who, &empty, NULL },
        .labels = (const struct strake_pair *const[]){ &label, NULL },
        .contexts = (const struct strake_pair *const[]){ &folder, &plain, &image, &layout, NULL },
        .secrets = (const struct strake_build_secret *const[]){ &by_file, &by_name, NULL },
        .cache_import = (const char *const[]){ "type=registry,ref=r/c", NULL },
        .cache_export = (const char *const[]){ "type=registry,ref=r/c,mode=max", NULL },
        .no_cache = true,
        .output = STRAKE_OUTPUT_STAGE,
        .image = "127.0.0.1:5000/app",
        .plain_http = true,
    };
    assert_string_equal(
        words_of(&lab, &request), BEGIN FOLDER
        "--opt|target=prod|--opt|platform=linux/amd64,linux/arm/v7|"
        "--opt|build-arg:WHO=a, \"b\"=c|--opt|build-arg:EMPTY=|--opt|label:org.x=y z|"
        "--local|context-0=/data|--opt|context:data=local:context-0|"
        "--local|context-1=/more|--opt|context:more=local:context-1|"
        "--opt|context:base=docker-image://r/base@sha256:0|"
        "--oci-layout|context-3=/l/d|--opt|context:lay=oci-layout://context-3@sha256:1|"
        "--secret|id=npm,src=/home/x/.npmrc|--secret|\"id=tok,en\",env=STRAKE_SECRET_1|"
        "--no-cache|--import-cache|type=registry,ref=r/c|"
        "--export-cache|type=registry,ref=r/c,mode=max|"
        "--output|type=image,name=127.0.0.1:5000/app,push=true,push-by-digest=true,"
        "oci-mediatypes=true,registry.insecure=true|" END);
}

static void argv_of_the_least_request_has_nothing_else(void **state)
{
    (void)state;
    const struct strake_build_request request = { REQUEST };
    assert_string_equal(words_of(&lab, &request), BEGIN FOLDER END);
}

static void argv_reads_no_more_than_a_smaller_caller_gave(void **state)
{
    (void)state;
    const char *const wrong[] = { "linux/zzz", NULL };
    const struct strake_build_request request = {
        .size = offsetof(struct strake_build_request, platforms),
        .context = "/src",
        .dockerfile = "/src/Dockerfile",
        .platforms = wrong,
    };
    assert_string_equal(words_of(&lab, &request), BEGIN FOLDER END);
}

static void argv_finds_the_dockerfile_wherever_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *context, *dockerfile, *words;
    } cases[] = {
        { "/src", "/else/my.df",
          "--local|context=/src|--local|dockerfile=/else|--opt|filename=my.df|" },
        { "/src", "/root.df", "--local|context=/src|--local|dockerfile=/|--opt|filename=root.df|" },
        { "/src", "sub/df", "--local|context=/src|--local|dockerfile=/src|--opt|filename=sub/df|" },
        { "/src", "", "--local|context=/src|--local|dockerfile=/src|--opt|filename=Dockerfile|" },
        { "https://h/r.git#main", "sub/df",
          "--opt|context=https://h/r.git#main|--opt|filename=sub/df|" },
        { "https://h/r.git", "", "--opt|context=https://h/r.git|--opt|filename=Dockerfile|" },
        { "https://h/a.tar", "/my/df",
          "--opt|context=https://h/a.tar|--local|dockerfile=/my|--opt|dockerfilekey=dockerfile|"
          "--opt|filename=df|" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char want[1024];
        const struct strake_build_request request = { .size = sizeof(request),
                                                      .context = cases[i].context,
                                                      .dockerfile = cases[i].dockerfile };
        snprintf(want, sizeof(want), BEGIN "%s" END, cases[i].words);
        assert_string_equal(words_of(&lab, &request), want);
    }
}

static void argv_writes_files(void **state)
{
    (void)state;
    struct strake_build_request request = { REQUEST, .output = STRAKE_OUTPUT_FILE,
                                            .output_type = "oci", .output_dest = "/o/a,b.tar" };
    assert_string_equal(words_of(&lab, &request),
                        BEGIN FOLDER "--output|type=oci,\"dest=/o/a,b.tar\"|" END);
    request.output_type = "local";
    request.output_dest = "/o";
    assert_string_equal(words_of(&lab, &request), BEGIN FOLDER "--output|type=local,dest=/o|" END);
}

static void argv_names_the_image_in_an_archive(void **state)
{
    (void)state;
    struct strake_build_request request = { REQUEST, .output = STRAKE_OUTPUT_FILE,
                                            .output_type = "docker", .output_dest = "/a.tar",
                                            .image = "h:5000/app:1" };
    assert_string_equal(words_of(&lab, &request),
                        BEGIN FOLDER "--output|type=docker,dest=/a.tar,name=h:5000/app:1|" END);
    request.output_type = "tar";
    assert_string_equal(words_of(&lab, &request),
                        BEGIN FOLDER "--output|type=tar,dest=/a.tar|" END);
}

static void argv_stages_in_a_folder_without_a_repository(void **state)
{
    (void)state;
    struct strake_build_request request = { REQUEST, .output = STRAKE_OUTPUT_STAGE, .image = "",
                                            .layout_dir = "/l" };
    assert_string_equal(words_of(&lab, &request),
                        BEGIN FOLDER "--output|type=oci,dest=/l,tar=false|" END);
    request.layout_dir = ""; /* a plan does not know it yet */
    assert_string_equal(words_of(&lab, &request),
                        BEGIN FOLDER "--output|type=oci,dest=LAYOUT,tar=false|" END);
}

static void argv_refuses_what_buildctl_cannot_do(void **state)
{
    (void)state;
    const struct strake_pair tagged = { "lay", "oci-layout:///l:tag" };
    const struct {
        struct strake_build_request request;
        int code;
        const char *word;
    } cases[] = {
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "zip", .output_dest = "/x" },
          STRAKE_EUNSUPPORTED,
          "zip" },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE, .output_type = "oci" }, STRAKE_EUSAGE, "dest" },
        { { REQUEST, .output = STRAKE_OUTPUT_FILE }, STRAKE_EUNSUPPORTED, "type=" },
        { { REQUEST, .output = (enum strake_output)9 }, STRAKE_EUNSUPPORTED, "9" },
        { { REQUEST, .contexts = (const struct strake_pair *const[]){ &tagged, NULL } },
          STRAKE_EUNSUPPORTED,
          "digest" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake_reset(NULL);
        assert_string_equal(words_of(&lab, &cases[i].request), "");
        assert_int_equal(fake_err.code, cases[i].code);
        assert_non_null(strstr(fake_err.message, cases[i].word));
    }
}

static void argv_has_the_tls_options_before_the_command(void **state)
{
    (void)state;
    const struct buildctl tls = { .host = &fake_host,
                                  .program = "/b",
                                  .address = "tcp://h:1",
                                  .ca = "/ca",
                                  .cert = "/c",
                                  .key = "/k",
                                  .server_name = "n" };
    const struct strake_build_request request = { REQUEST };
    const char *words = words_of(&tls, &request);
    const char begin[] = "/b|--addr|tcp://h:1|--tlscacert|/ca|--tlscert|/c|--tlskey|/k|"
                         "--tlsservername|n|build|";
    assert_memory_equal(words, begin, strlen(begin));
}

static int environment(const struct strake_build_request *given, struct plug_list *env)
{
    struct strake_build_request request;
    plug_request_read(given, &request);
    return buildkit_env(&fake_host, &request, env, &fake_err);
}

static void secrets_go_by_the_environment_alone(void **state)
{
    (void)state;
    const struct strake_build_secret by_file = { .id = "f", .file = "/f" };
    const struct strake_build_secret by_name = { .id = "n", .name = "KNOWN" };
    const struct strake_build_request request = {
        REQUEST,
        .secrets = (const struct strake_build_secret *const[]){ &by_file, &by_name, NULL },
        .auth_json = "{\"auths\":{}}",
    };
    struct plug_list env = { 0 };
    assert_int_equal(environment(&request, &env), 0);
    assert_true(plug_list_has(&env, "STRAKE_SECRET_1=its value"));
    assert_true(plug_list_has(&env, "DOCKER_AUTH_CONFIG={\"auths\":{}}"));
    assert_true(plug_list_has(&env, "SOURCE_DATE_EPOCH")); /* to be unset */
    assert_int_equal(env.count, 3);
    plug_list_dispose(&env);
    assert_null(strstr(words_of(&lab, &request), "its value"));
    assert_null(strstr(words_of(&lab, &request), "auths"));
}

static void secrets_that_cannot_be_given_are_refused(void **state)
{
    (void)state;
    const struct strake_build_secret unknown = { .id = "u", .name = "UNKNOWN" };
    const struct strake_build_secret nothing = { .id = "z" };
    const struct strake_build_secret *const first[] = { &unknown, NULL };
    const struct strake_build_secret *const second[] = { &nothing, NULL };
    struct strake_build_request request = { REQUEST, .secrets = first };
    struct plug_list env = { 0 };
    assert_int_equal(environment(&request, &env), STRAKE_ECONFIG);
    request.secrets = second;
    assert_int_equal(environment(&request, &env), STRAKE_EUSAGE);
    plug_list_dispose(&env);
}

static void metadata_gives_a_digest_or_nothing(void **state)
{
    (void)state;
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TYPE "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
    static const struct {
        const char *json;
        bool valid;
    } cases[] = {
        { "{\"containerimage.descriptor\":{" TYPE ",\"digest\":\"sha256:" HEX "\"}}", true },
        { "{\"containerimage.descriptor\":{" TYPE ",\"digest\":\"sha512:" HEX HEX "\"}}", true },
        { "{\"containerimage.descriptor\":{" TYPE ",\"digest\":\"sha256:" HEX "0\"}}", false },
        { "{\"containerimage.descriptor\":{" TYPE ",\"digest\":\"md5:" HEX "\"}}", false },
        { "{\"containerimage.descriptor\":{" TYPE ",\"digest\":\"sha256:" HEX "/..\"}}", false },
        { "{\"containerimage.descriptor\":{\"digest\":\"sha256:" HEX "\"}}", false },
        { "{\"containerimage.digest\":\"sha256:" HEX "\"}", false },
        { "[]", false },
        { "", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_build_result result = { .size = sizeof(result) };
        if (buildkit_metadata_parse(cases[i].json, strlen(cases[i].json), &result) !=
            cases[i].valid)
            fail_msg("%s", cases[i].json);
        assert_int_equal(result.digest[0] != '\0', cases[i].valid);
    }
}

static void workers_tell_the_platforms_of_the_first(void **state)
{
    (void)state;
    struct strake_builder_info info = { .size = sizeof(info) };
    const char json[] = "[{\"platforms\":[{\"architecture\":\"amd64\",\"os\":\"linux\"},"
                        "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}],"
                        "\"buildkitVersion\":{\"version\":\"v0.32.2\"}},"
                        "{\"platforms\":[{\"architecture\":\"s390x\",\"os\":\"linux\"}]}]";
    assert_int_equal(buildctl_workers_parse(json, strlen(json), &info), 0);
    assert_string_equal(info.platforms, "linux/amd64,linux/arm/v7");
    assert_string_equal(info.version, "v0.32.2");
    assert_int_equal(info.features, 0x1f);
}

static void workers_of_old_versions_can_less(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        uint32_t features;
    } cases[] = {
        { "v0.9.3", STRAKE_BUILDER_PUSH | STRAKE_BUILDER_CACHE_EXPORT },
        { "v0.10.0", STRAKE_BUILDER_PUSH | STRAKE_BUILDER_CACHE_EXPORT | STRAKE_BUILDER_HEREDOC |
                         STRAKE_BUILDER_COPY_LINK },
        { "v0.11.0", 0x1f },
        { "v1.0.0", 0x1f },
        { "v0.0.0+unknown", 0x1f },
        { "", 0x1f },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[128];
        struct strake_builder_info info = { .size = sizeof(info) };
        snprintf(json, sizeof(json), "[{\"buildkitVersion\":{\"version\":\"%s\"}}]",
                 cases[i].version);
        assert_int_equal(buildctl_workers_parse(json, strlen(json), &info), 0);
        assert_int_equal(info.features, cases[i].features);
    }
}

static void workers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = { "",
                                         "[]",
                                         "{}",
                                         "[7]",
                                         "null",
                                         "[{\"platforms\":[{\"os\":\"linux\"}]}]",
                                         "[{\"platforms\":[7]}]" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_builder_info info = { .size = sizeof(info) };
        assert_int_equal(buildctl_workers_parse(cases[i], strlen(cases[i]), &info),
                         STRAKE_EBUILDER);
        assert_string_equal(info.platforms, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(argv_says_all_that_a_request_holds, fake_reset),
        cmocka_unit_test_setup(argv_of_the_least_request_has_nothing_else, fake_reset),
        cmocka_unit_test_setup(argv_reads_no_more_than_a_smaller_caller_gave, fake_reset),
        cmocka_unit_test_setup(argv_finds_the_dockerfile_wherever_it_is, fake_reset),
        cmocka_unit_test_setup(argv_writes_files, fake_reset),
        cmocka_unit_test_setup(argv_names_the_image_in_an_archive, fake_reset),
        cmocka_unit_test_setup(argv_stages_in_a_folder_without_a_repository, fake_reset),
        cmocka_unit_test_setup(argv_refuses_what_buildctl_cannot_do, fake_reset),
        cmocka_unit_test_setup(argv_has_the_tls_options_before_the_command, fake_reset),
        cmocka_unit_test_setup(secrets_go_by_the_environment_alone, fake_reset),
        cmocka_unit_test_setup(secrets_that_cannot_be_given_are_refused, fake_reset),
        cmocka_unit_test(metadata_gives_a_digest_or_nothing),
        cmocka_unit_test(workers_tell_the_platforms_of_the_first),
        cmocka_unit_test(workers_of_old_versions_can_less),
        cmocka_unit_test(workers_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
