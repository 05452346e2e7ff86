/* plugins/common/buildkit_classify.c on what the real buildctl wrote, and on what a Dockerfile could make
 * it write. */
#include "fake_host.h"
#include "recorded.h"

#include "common/buildkit_classify.h"

static const struct buildkit_client client = { .name = "buildctl" };

struct expected {
    const char *name;
    const char *step;
    int code;
    int line;
    const char *message;
};

static const struct expected recordings[] = {
    { "syntax", "", STRAKE_EDOCKERFILE, 3,
      "the Dockerfile is wrong: unknown instruction: RUNN (did you mean RUN?)" },
    { "syntax2", "", STRAKE_EDOCKERFILE, 2,
      "the Dockerfile is wrong: COPY requires at least two arguments, but only one was provided. "
      "Destination could not be determined" },
    { "badflag", "", STRAKE_EDOCKERFILE, 2, "the Dockerfile is wrong: unknown flag: --nosuch" },
    { "heredoc", "", STRAKE_EDOCKERFILE, 2, "the Dockerfile is wrong: unterminated heredoc" },
    { "argbase", "", STRAKE_EDOCKERFILE, 2,
      "the Dockerfile is wrong: base name ($X) should not be blank" },
    { "empty", "", STRAKE_EDOCKERFILE, 0,
      "the Dockerfile is wrong: the Dockerfile cannot be empty" },
    { "nodf", "", STRAKE_EDOCKERFILE, 0, "the Dockerfile is missing: Dockerfile" },
    { "stage", "", STRAKE_EBUILD, 0, "target stage \"nostage\" could not be found" },
    { "run", "", STRAKE_EBUILD, 3,
      "RUN echo \"noise on stdout\" && echo err >&2 && exit 2 failed with exit code 2" },
    { "run127", "", STRAKE_EBUILD, 2, "RUN nosuchcommand --x failed with exit code 127" },
    { "run137", "", STRAKE_EBUILD, 2, "RUN sh -c 'kill -9 $$'; exit $? failed with exit code 137" },
    { "runmulti", "", STRAKE_EBUILD, 2, "RUN set -e… failed with exit code 1" },
    { "user", "", STRAKE_EBUILD, 3,
      "RUN echo could not be run: unable to find user nosuch: no matching entries in passwd file" },
    { "copymissing", "[2/2] COPY x/missing.txt /a", STRAKE_EBUILD, 2,
      "COPY x/missing.txt /a: /x/missing.txt is not in the build context" },
    { "multi", "[b 1/1] COPY --from=a /nope /y", STRAKE_EBUILD, 4,
      "COPY --from=a /nope /y: /nope is not in the stage or image that it is copied from" },
    { "secret", "", STRAKE_EBUILD, 2, "the build asks for the secret tok, which was not given" },
    { "basemissing", "", STRAKE_EBUILD, 1, "the base image 127.0.0.1:18500/nope:9 does not exist" },
    { "basenohost", "", STRAKE_EREGISTRY, 1,
      "the base image 127.0.0.1:1/nope:9 cannot be fetched: dial tcp 127.0.0.1:1: connect: "
      "connection refused" },
    { "from401", "", STRAKE_EAUTH, 1,
      "the base image 127.0.0.1:18501/app:1 may not be read: unexpected status from HEAD request "
      "to "
      "http://127.0.0.1:18501/v2/app/manifests/1: 401 Unauthorized" },
    { "from403", "", STRAKE_EAUTH, 1,
      "the base image 127.0.0.1:18502/forbid/app:1 may not be read: unexpected status from HEAD "
      "request to http://127.0.0.1:18502/v2/forbid/app/manifests/1: 403 Forbidden denied: no way" },
    { "from500", "", STRAKE_EREGISTRY, 1,
      "the base image 127.0.0.1:18502/five/app:1 cannot be fetched: unexpected status from HEAD "
      "request to http://127.0.0.1:18502/v2/five/app/manifests/1: 500 Internal Server Error" },
    { "fromtoken", "", STRAKE_EAUTH, 1, NULL },
    { "push401", "exporting to image", STRAKE_EAUTH, 0, NULL },
    { "push403", "exporting to image", STRAKE_EAUTH, 0,
      "127.0.0.1:18502/forbid/app may not be pushed to: denied: no way" },
    { "push500", "exporting to image", STRAKE_EREGISTRY, 0, NULL },
    { "pushtoken", "exporting to image", STRAKE_EAUTH, 0, NULL },
    { "pushrefused", "exporting to image", STRAKE_EREGISTRY, 0,
      "the push to 127.0.0.1:1/app failed: dial tcp 127.0.0.1:1: connect: connection refused" },
    { "badcache", "exporting cache to registry", STRAKE_EREGISTRY, 0,
      "the build cache could not be written: dial tcp 127.0.0.1:1: connect: connection refused" },
    { "badout", "", STRAKE_EUNSUPPORTED, 0,
      "the builder does not know that output: exporter \"zzz\" could not be found" },
    { "noctx", "", STRAKE_EBUILD, 0,
      "the build context cannot be read: /nonexistent: no such file or directory" },
    { "workdir", "", STRAKE_EBUILD, 0,
      "the build failed: failed to load cache key: Get \"http://127.0.0.1:1/x\": dial tcp "
      "127.0.0.1:1: connect: connection refused" },
    { "refused", "", STRAKE_EBUILDER, 0,
      "the builder cannot be used: transport: Error while dialing: dial tcp 127.0.0.1:1: connect: "
      "connection refused" },
    { "lost", "", STRAKE_EBUILDER, 0,
      "the builder was lost during the build: error reading from server: EOF" },
    { "cancelled", "", STRAKE_EBUILDER, 0, "the builder cancelled the build" },
    { "store", "[2/4] RUN echo 13-0 > /x", STRAKE_EBUILDER, 2, NULL },
};

static void classify_knows_what_buildctl_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++) {
        const struct expected *want = &recordings[i];
        char file[64];
        size_t len;
        struct plug_failure failure;
        snprintf(file, sizeof(file), "%s.stderr", want->name);
        char *words = recorded("buildkit-events", file, &len);
        buildkit_classify(words, len, want->step, &client, &failure);
        if (failure.code != want->code || failure.line != want->line ||
            (want->message != NULL && strcmp(failure.message, want->message) != 0))
            fail_msg("%s: code %d, line %d: %s", want->name, failure.code, failure.line,
                     failure.message);
        assert_string_equal(failure.file, want->line > 0 ? "Dockerfile" : "");
        assert_null(strchr(failure.message, '\n'));
        /* The tool's own words are kept, from the excerpt on, without its log lines. */
        assert_true(failure.detail >= words && failure.detail_len > 0 &&
                    failure.detail + failure.detail_len == words + len);
        assert_null(strstr(failure.detail, "tracing logs to"));
        free(words);
    }
}

static void classify_keeps_the_excerpt(void **state)
{
    (void)state;
    size_t len;
    struct plug_failure failure;
    char *words = recorded("buildkit-events", "run.stderr", &len);
    buildkit_classify(words, len, "", &client, &failure);
    assert_ptr_equal(strstr(failure.detail, "Dockerfile:3\n"), failure.detail);
    assert_non_null(strstr(failure.detail, ">>> RUN echo"));
    free(words);
}

/* What a Dockerfile may hold must not pass for what it names. */
static void classify_is_not_fooled_by_what_a_dockerfile_holds(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int code;
    } cases[] = {
        { "error: failed to solve: process \"/bin/sh -c echo connect: connection refused; echo "
          "code "
          "= Unavailable; false\" did not complete successfully: exit code: 1\n",
          STRAKE_EBUILD },
        { "error: failed to solve: process \"/bin/sh -c : \\\"failed to push x: 401 "
          "Unauthorized\\\"\" "
          "did not complete successfully: exit code: 1\n",
          STRAKE_EBUILD },
        { "error: failed to solve: failed to compute cache key: failed to calculate checksum of "
          "ref "
          "a::b: \"/error reading from server: EOF\": not found\n",
          STRAKE_EBUILD },
        { "error: failed to solve: h/denied: failed to resolve source metadata for h/denied:1: "
          "failed "
          "to do request: Head \"http://h/v2/denied/manifests/1\": dial tcp: no such host\n",
          STRAKE_EREGISTRY },
        { "error: failed to solve: dockerfile parse error on line 2: unknown instruction: "
          "Unavailable: "
          "\n",
          STRAKE_EDOCKERFILE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_failure failure;
        buildkit_classify(cases[i].words, strlen(cases[i].words), "", &client, &failure);
        if (failure.code != cases[i].code)
            fail_msg("%s: %d, %s", cases[i].words, failure.code, failure.message);
    }
}

/* What a daemon says when it dies, or has died in the middle of something. */
static void classify_knows_a_daemon_that_was_killed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "error: failed to receive status: rpc error: code = Unavailable desc = error reading from "
        "server: connection reset by peer\n",
        "error: failed to solve: Unavailable: error reading from server: EOF\n",
        "error: failed to solve: Unavailable: closing transport due to: connection error: desc = "
        "\"error reading from server: EOF\", received prior goaway: code: NO_ERROR\n",
        "error: listing workers for Build: failed to list workers: Unavailable: connection error: "
        "desc = \"transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection "
        "refused\"\n",
        "error: failed to solve: Canceled: context canceled\n",
        "error: failed to solve: failed to prepare sha256:77 as mb9: parent snapshot sha256:77 "
        "does "
        "not exist: not found\n",
        "error: failed to solve: failed to prepare a as b: mkdir /x: no space left on device\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_failure failure;
        buildkit_classify(cases[i], strlen(cases[i]), "", &client, &failure);
        if (failure.code != STRAKE_EBUILDER || failure.hint[0] == '\0')
            fail_msg("%s: %d, %s", cases[i], failure.code, failure.message);
    }
}

static void classify_copes_with_no_and_with_endless_words(void **state)
{
    (void)state;
    struct plug_failure failure;
    buildkit_classify("", 0, "", &client, &failure);
    assert_int_equal(failure.code, STRAKE_EBUILDER);
    assert_string_equal(failure.message, "buildctl failed and did not say why");
    buildkit_classify("fatal error: out of memory\n", 27, "", &client, &failure);
    assert_int_equal(failure.code, STRAKE_EBUILDER);
    assert_int_equal(failure.detail_len, 27);

    size_t len = 60000;
    char *words = malloc(len + 1);
    assert_non_null(words);
    memset(words, 'x', len);
    words[len] = '\0';
    memcpy(words, "error: process \"", 16);
    buildkit_classify(words, len, "", &client, &failure);
    assert_int_equal(failure.code, STRAKE_EBUILD);
    assert_true(strlen(failure.message) < sizeof(failure.message));
    free(words);
}

static void exit_codes_have_a_hint_each(void **state)
{
    (void)state;
    static const struct {
        const char *exit_code;
        const char *hint;
    } cases[] = { { "126", "cannot be executed" },
                  { "127", "was not found" },
                  { "137", "memory" },
                  { "139", "crashed" },
                  { "2", "history logs" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char words[256];
        struct plug_failure failure;
        snprintf(words, sizeof(words),
                 "error: process \"/bin/sh -c x\" did not complete successfully: exit code: %s\n",
                 cases[i].exit_code);
        buildkit_classify(words, strlen(words), "", &client, &failure);
        assert_non_null(strstr(failure.hint, cases[i].hint));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify_knows_what_buildctl_says),
        cmocka_unit_test(classify_keeps_the_excerpt),
        cmocka_unit_test(classify_is_not_fooled_by_what_a_dockerfile_holds),
        cmocka_unit_test(classify_knows_a_daemon_that_was_killed),
        cmocka_unit_test(classify_copes_with_no_and_with_endless_words),
        cmocka_unit_test(exit_codes_have_a_hint_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
