/* plugins/buildx: the command line of a build. */
#include "fake_host.h"

#include "buildx/buildx.h"

static struct buildx lab = {
    .host = &fake_host, .program = "buildx", .address = "tcp://lab:1234", .config = "/state/buildx"
};
static struct buildx engine = { .host = &fake_host, .program = "/opt/docker" };
static struct buildx mine = { .host = &fake_host, .program = "docker", .builder = "mine" };

static const struct strake_pair who = { "WHO", "a, \"b\"=c" };
static const struct strake_pair label = { "org.x", "y z" };

/* The command line as words between bars, or "" with the failure in fake_err. */
static const char *words_of(const struct buildx *self, const struct strake_build_request *given)
{
    static char text[8192];
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    text[0] = '\0';
    if (buildx_argv_build(self, &request, "meta.json", &argv, &fake_err) == 0) {
        for (size_t i = 0; i < argv.count; i++)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? "|" : "",
                     argv.items[i]);
    }
    plug_list_dispose(&argv);
    return text;
}

#define BEGIN "buildx|build|--builder|strake|--progress=rawjson|--file|/src/Dockerfile|"
#define PLAIN "--provenance=false|--sbom=false|"
#define END "--metadata-file|meta.json|--|/src"
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
        .args = (const struct strake_pair *const[]){ &who, NULL },
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
        words_of(&lab, &request),
        BEGIN "--target|prod|--platform|linux/amd64,linux/arm/v7|--build-arg|WHO=a, \"b\"=c|"
              "--label|org.x=y z|--build-context|data=/data|--build-context|more=/more|"
              "--build-context|base=docker-image://r/base@sha256:0|"
              "--build-context|lay=oci-layout:///l/d@sha256:1|"
              "--secret|id=npm,src=/home/x/.npmrc|--secret|\"id=tok,en\",env=STRAKE_SECRET_1|"
              "--no-cache|" PLAIN "--cache-from|type=registry,ref=r/c|"
              "--cache-to|type=registry,ref=r/c,mode=max|"
              "--output|type=image,name=127.0.0.1:5000/app,push=true,push-by-digest=true,"
              "oci-mediatypes=true,registry.insecure=true|" END);
}

static void argv_says_what_most_builds_do_without(void **state)
{
    (void)state;
    const struct strake_pair host = { "db", "10.0.0.1" };
    const struct strake_pair files = { "nofile", "10:20" };
    const struct strake_pair title = { "index:org.Title", "x=y, z" };
    const struct strake_build_request request = {
        REQUEST,
        .output = STRAKE_OUTPUT_STAGE,
        .image = "r/app",
        .ssh = (const char *const[]){ "default", NULL },
        .entitlements = (const char *const[]){ "network.host", NULL },
        .add_hosts = (const struct strake_pair *const[]){ &host, NULL },
        .ulimits = (const struct strake_pair *const[]){ &files, NULL },
        .annotations = (const struct strake_pair *const[]){ &title, NULL },
        .no_cache_stages = (const char *const[]){ "a", "b", NULL },
        .network = "host",
        .shm_size_bytes = 1048576,
        .source_date_epoch = "0",
        .compression = "zstd",
        .compression_level = 3,
        .force_compression = true,
        .rewrite_timestamp = true,
        .multi_platform = true,
        .pull = true,
    };
    assert_string_equal(
        words_of(&lab, &request), BEGIN
        "--no-cache-filter|a,b|--pull|--ssh|default|--allow|network.host|--add-host|db=10.0.0.1|"
        "--ulimit|nofile=10:20|--network|host|--shm-size|1048576|"
        "--build-arg|SOURCE_DATE_EPOCH=0|--build-arg|BUILDKIT_MULTI_PLATFORM=true|"
        "--annotation|index:org.Title=x=y, z|" PLAIN
        "--output|type=image,name=r/app,push=true,push-by-digest=true,oci-mediatypes=true,"
        "compression=zstd,compression-level=3,force-compression=true,rewrite-timestamp=true|" END);
}

static void argv_attests_what_was_asked_for_alone(void **state)
{
    (void)state;
    static const struct {
        const char *provenance, *sbom, *words;
    } cases[] = {
        { NULL, NULL, "--provenance=false|--sbom=false|" },
        { "", NULL, "--provenance=true|--sbom=false|" },
        { "mode=max", "generator=r/g", "--provenance=mode=max|--sbom=generator=r/g|" },
        { "disabled", "", "--provenance=false|--sbom=true|" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct strake_pair provenance = { "provenance", cases[i].provenance };
        const struct strake_pair sbom = { "sbom", cases[i].sbom };
        const struct strake_pair *pairs[3] = { NULL };
        size_t count = 0;
        char want[1024];
        if (cases[i].provenance != NULL)
            pairs[count++] = &provenance;
        if (cases[i].sbom != NULL)
            pairs[count++] = &sbom;
        const struct strake_build_request request = { REQUEST, .attestations = pairs };
        snprintf(want, sizeof(want), BEGIN "%s--output|type=cacheonly|" END, cases[i].words);
        assert_string_equal(words_of(&lab, &request), want);
    }
}

static void argv_names_the_program_and_the_builder(void **state)
{
    (void)state;
    const struct strake_build_request request = { REQUEST };
    const char rest[] =
        "--progress=rawjson|--file|/src/Dockerfile|" PLAIN "--output|type=cacheonly|" END;
    char want[1024];
    snprintf(want, sizeof(want), "/opt/docker|buildx|build|%s", rest);
    assert_string_equal(words_of(&engine, &request), want);
    snprintf(want, sizeof(want), "docker|buildx|build|--builder|mine|%s", rest);
    assert_string_equal(words_of(&mine, &request), want);
}

static void argv_finds_the_dockerfile_wherever_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *context, *dockerfile, *file;
    } cases[] = {
        { "/src", "/else/my.df", "/else/my.df" }, { "/src", "sub/df", "/src/sub/df" },
        { "/src", "", "/src/Dockerfile" },        { "https://h/r.git#main", "sub/df", "sub/df" },
        { "https://h/r.git", "", "Dockerfile" },  { "https://h/a.tar", "/my/df", "/my/df" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char want[1024];
        const struct strake_build_request request = { .size = sizeof(request),
                                                      .context = cases[i].context,
                                                      .dockerfile = cases[i].dockerfile };
        snprintf(want, sizeof(want),
                 "buildx|build|--builder|strake|--progress=rawjson|--file|%s|" PLAIN
                 "--output|type=cacheonly|--metadata-file|meta.json|--|%s",
                 cases[i].file, cases[i].context);
        assert_string_equal(words_of(&lab, &request), want);
    }
}

static void argv_refuses_what_buildx_cannot_write(void **state)
{
    (void)state;
    struct strake_build_request request = { REQUEST, .output = STRAKE_OUTPUT_FILE,
                                            .output_type = "zip", .output_dest = "/o" };
    assert_string_equal(words_of(&lab, &request), "");
    assert_int_equal(fake_err.code, STRAKE_EUNSUPPORTED);
    assert_string_equal(fake_err.message, "buildx cannot write type=zip");
    request.output_type = "oci";
    request.output_dest = "";
    assert_string_equal(words_of(&lab, &request), "");
    assert_int_equal(fake_err.code, STRAKE_EUSAGE);
}

static void environment_has_its_folder_and_nothing_by_surprise(void **state)
{
    (void)state;
    struct plug_list env = { 0 };
    buildx_env_begin(&lab, &env);
    assert_true(plug_list_has(&env, "BUILDX_CONFIG=/state/buildx"));
    assert_true(plug_list_has(&env, "BUILDX_NO_DEFAULT_ATTESTATIONS=true"));
    assert_true(plug_list_has(&env, "BUILDX_GIT_LABELS"));
    plug_list_dispose(&env);
    buildx_env_begin(&mine, &env);
    for (size_t i = 0; i < env.count; i++)
        assert_int_not_equal(strncmp(env.items[i], "BUILDX_CONFIG", 13), 0);
    plug_list_dispose(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(argv_says_all_that_a_request_holds, fake_reset),
        cmocka_unit_test_setup(argv_says_what_most_builds_do_without, fake_reset),
        cmocka_unit_test_setup(argv_attests_what_was_asked_for_alone, fake_reset),
        cmocka_unit_test_setup(argv_names_the_program_and_the_builder, fake_reset),
        cmocka_unit_test_setup(argv_finds_the_dockerfile_wherever_it_is, fake_reset),
        cmocka_unit_test_setup(argv_refuses_what_buildx_cannot_write, fake_reset),
        cmocka_unit_test(environment_has_its_folder_and_nothing_by_surprise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
