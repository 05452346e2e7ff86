/* plugins/buildah/classify.c on what the real buildah wrote. */
#include "fake_host.h"
#include "recorded.h"

#include "buildah/classify.h"

static const struct {
    const char *name;
    int code;
    const char *message;
    const char *instruction;
} recordings[] = {
    { "syntax", STRAKE_EDOCKERFILE, "the Dockerfile is wrong: unknown instruction: \"RUNN\"",
      "RUNN foo" },
    { "syntax2", STRAKE_EDOCKERFILE, "the Dockerfile is wrong: COPY requires at least one argument",
      "COPY onlyone" },
    { "heredoc", STRAKE_EDOCKERFILE, "the Dockerfile is wrong: unknown instruction: \"ECHO\"",
      "echo hi" },
    { "badflag", STRAKE_EDOCKERFILE, "the Dockerfile is wrong: RUN only supports the --mount flag",
      "RUN --nosuch=1 echo" },
    { "empty", STRAKE_EDOCKERFILE, "the Dockerfile is empty", "" },
    { "argbase", STRAKE_EDOCKERFILE, "the Dockerfile has no FROM with a name", "" },
    { "frombad", STRAKE_EDOCKERFILE,
      "a FROM of the Dockerfile names no image that could exist: creating build container: invalid "
      "reference format",
      "" },
    { "nodf", STRAKE_EDOCKERFILE, "the Dockerfile is missing: /src/nodf/Dockerfile", "" },
    { "stage", STRAKE_EBUILD, "The target \"nostage\" was not found in the provided Dockerfile",
      "" },
    { "run", STRAKE_EBUILD,
      "RUN echo \"noise on stdout\" &&     echo err >&2 &&     exit 2 failed with exit code 2",
      "RUN echo \"noise on stdout\" &&     echo err >&2 &&     exit 2" },
    { "run127", STRAKE_EBUILD, "RUN nosuchcommand --x failed with exit code 127",
      "RUN nosuchcommand --x" },
    { "user", STRAKE_EBUILD,
      "RUN echo failed: determining run uid: user: unknown user error looking up user \"nosuch\"",
      "RUN echo" },
    { "copymissing", STRAKE_EBUILD,
      "COPY x/missing.txt /a: \"/x/missing.txt\" is not in the build context",
      "COPY x/missing.txt /a" },
    { "multi", STRAKE_EBUILD,
      "COPY --from=a /nope /y: \"/nope\" is not in the stage or image that it is copied from",
      "COPY --from=a /nope /y" },
    { "copyfrom", STRAKE_EBUILD, "COPY --from=nostage: there is no such stage or image",
      "COPY --from=nostage" },
    { "secret", STRAKE_EBUILD,
      "RUN --mount=type=secret,id=tok,required=true cat /run/secrets/tok: secret required but no "
      "secret with id tok found",
      "RUN --mount=type=secret,id=tok,required=true cat /run/secrets/tok" },
    { "noctx", STRAKE_EBUILD,
      "the build context cannot be read: /nonexistent: no such file or directory", "" },
    { "basemissing", STRAKE_EBUILD, "the base image 127.0.0.1:18500/nope:9 does not exist", "" },
    { "basenohost", STRAKE_EREGISTRY, NULL, "" },
    { "from401", STRAKE_EAUTH, NULL, "" },
};

static void classify_knows_what_buildah_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(recordings) / sizeof(recordings[0]); i++) {
        char file[64];
        size_t len;
        struct plug_failure failure;
        snprintf(file, sizeof(file), "%s.stderr", recordings[i].name);
        char *words = recorded("buildah", file, &len);
        buildah_classify(words, len, &failure);
        if (failure.code != recordings[i].code ||
            strcmp(failure.instruction, recordings[i].instruction) != 0 ||
            (recordings[i].message != NULL && strcmp(failure.message, recordings[i].message) != 0))
            fail_msg("%s: code %d: %s (%s)", recordings[i].name, failure.code, failure.message,
                     failure.instruction);
        assert_ptr_equal(strstr(failure.detail, "Error: "), failure.detail);
        assert_true(failure.detail + failure.detail_len == words + len);
        free(words);
    }
}

static void classify_tells_a_full_disk_and_a_user_without_ids(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int code;
        const char *part;
    } cases[] = {
        { "Error: copying blob: write /x: no space left on device\n", STRAKE_EBUILDER, "full" },
        { "Error: cannot set up namespace using \"/usr/bin/newuidmap\": exit status 1\n",
          STRAKE_EBUILDER, "as this user" },
        { "Error: kernel does not support overlay fs\n", STRAKE_EBUILDER, "cannot work here" },
        { "Error: something new\nwith two lines\n", STRAKE_EBUILD,
          "the build failed: something new with two lines" },
        { "", STRAKE_EBUILDER, "did not say why" },
        { "killed\n", STRAKE_EBUILDER, "did not say why" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_failure failure;
        buildah_classify(cases[i].words, strlen(cases[i].words), &failure);
        if (failure.code != cases[i].code || strstr(failure.message, cases[i].part) == NULL)
            fail_msg("%s: %d, %s", cases[i].words, failure.code, failure.message);
    }
}

static void an_instruction_is_found_by_its_words(void **state)
{
    (void)state;
    static const char file[] = "# escape=`\n"
                               "FROM base\n"
                               "\n"
                               "RUN one && \\\n"
                               "    # a comment\n"
                               "    two   three\n"
                               "run four\n"
                               "COPY a b\n"
                               "COPY a b\n"
                               "COPY a bc\n"
                               "RUN last";
    static const struct {
        const char *instruction;
        int line;
    } cases[] = {
        { "FROM base", 2 },
        { "RUN one &&     two   three", 4 },
        { "RUN one && two three", 4 },
        { "RUN four", 7 },
        { "COPY a b", 0 }, /* twice */
        { "COPY a bc", 10 },
        { "RUN last", 11 },
        { "RUN las", 0 },
        { "RUN lasting", 0 },
        { "two three", 0 }, /* within another */
        { "RUN nowhere", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int line = buildah_instruction_line(file, cases[i].instruction);
        if (line != cases[i].line)
            fail_msg("%s: %d", cases[i].instruction, line);
    }
    assert_int_equal(buildah_instruction_line("", "RUN x"), 0);
    assert_int_equal(buildah_instruction_line("RUN x \\", "RUN x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify_knows_what_buildah_says),
        cmocka_unit_test(classify_tells_a_full_disk_and_a_user_without_ids),
        cmocka_unit_test(an_instruction_is_found_by_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
