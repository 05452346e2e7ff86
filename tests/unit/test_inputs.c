/* What decides an image: which change makes other inputs, and what can never be known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "build/inputs.h"
#include "torture.h"
#include "util/fs.h"
#include "util/json.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define DIGEST "sha256:" COMMIT COMMIT

static char *folder;

static void put(const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_asprintf("%s/%s", folder, name);

    if (strake_fs_write(path, text, strlen(text), 0644, false, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    strake_free(path);
}

static int setup(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    strake_json_setup();
    if (strake_fs_tempdir(&folder, &err) < 0)
        return -1;
    setenv("XDG_STATE_HOME", folder, 1);
    put("Dockerfile", "ARG BASE=scratch\nFROM $BASE\nCOPY . /\n");
    put(".dockerignore", "strake\n");
    return 0;
}

static int teardown(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(folder, &err);

    (void)state;
    unsetenv("XDG_STATE_HOME");
    strake_free(folder);
    return rc;
}

static int fill(struct strake_plan_target *target, const char *name)
{
    target->name = strake_strdup(name);
    target->context = strake_strdup(folder);
    target->dockerfile = strake_asprintf("%s/Dockerfile", folder);
    target->stage = strake_strdup("");
    return target->name && target->context && target->dockerfile && target->stage ? 0
                                                                                  : STRAKE_ENOMEM;
}

/* `base`, and `app`, which stands on it; NULL: no memory. */
static struct strake_plan *plan_make(void)
{
    struct strake_plan *plan = strake_calloc(1, sizeof(*plan));

    if (plan)
        plan->targets = strake_calloc(2, sizeof(*plan->targets));
    if (plan && plan->targets) {
        plan->count = 2;
        if (fill(&plan->targets[0], "base") == 0 && fill(&plan->targets[1], "app") == 0 &&
            strake_pairs_set(&plan->targets[1].contexts, "from", "target:base") == 0)
            return plan;
    }
    strake_plan_free(plan);
    return NULL;
}

static int compute(struct strake_plan *plan, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = strake_inputs_compute(plan, &plan->targets[i], NULL, STRAKE_BASES_NONE, true, NULL,
                                   NULL, err);
    return rc;
}

static void computed(struct strake_plan *plan)
{
    struct strake_err err = { 0 };

    if (compute(plan, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
}

/* Does what was done to the plan change the inputs of the base (and so of what stands on it)? */
static void expect(struct strake_plan *plan, bool change, const char *what)
{
    struct strake_plan *plain = plan_make();

    computed(plain);
    computed(plan);
    for (size_t i = 0; i < 2; i++) {
        bool differs = strcmp(plan->targets[i].inputs.digest, plain->targets[i].inputs.digest) != 0;
        if (differs != change)
            fail_msg("%s: target %zu", what, i);
    }
    strake_plan_free(plain);
    strake_plan_free(plan);
}

static void inputs_are_what_decides_the_image_and_nothing_else(void **state)
{
    static const struct {
        const char *list, *name;
        bool change;
    } cases[] = {
        { "tags", "v1", false },
        { "images", "h.example/a", false },
        { "cache", "type=inline", false },
        { "args", "A", true },
        { "labels", "a", true },
        { "labels", "org.opencontainers.image.version", true },
        { "labels", "org.opencontainers.image.created", false },
        { "labels", "org.opencontainers.image.revision", false },
        { "annotations", "a", true },
        { "annotations", "index:org.opencontainers.image.revision", false },
        { "platforms", "linux/arm64", true },
        { "ulimits", "nofile", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan *plan = plan_make();
        struct strake_plan_target *base = &plan->targets[0];
        const char *list = cases[i].list, *name = cases[i].name;
        if (strcmp(list, "tags") == 0)
            strake_strings_add(&base->tags, name);
        else if (strcmp(list, "images") == 0)
            strake_strings_add(&base->images, name);
        else if (strcmp(list, "cache") == 0)
            strake_strings_add(&base->cache_export, name);
        else if (strcmp(list, "platforms") == 0)
            strake_strings_add(&base->platforms, name);
        else
            strake_pairs_set(strcmp(list, "args") == 0          ? &base->args
                             : strcmp(list, "labels") == 0      ? &base->labels
                             : strcmp(list, "annotations") == 0 ? &base->annotations
                                                                : &base->extras.ulimits,
                             name, "x");
        expect(plan, cases[i].change, name);
    }
}

static void what_nobody_can_know_is_doubted(void **state)
{
    static const struct {
        const char *context; /* NULL: the folder */
        const char *named;   /* a named context, or NULL */
        const char *why;     /* NULL: none */
    } cases[] = {
        { NULL, NULL, NULL },
        { "https://h.example/r.git", NULL, "its context is a URL that names no commit" },
        { "https://h.example/r.git#main", NULL, "its context is a URL that names no commit" },
        { "https://h.example/r.git#" COMMIT "0", NULL,
          "its context is a URL that names no commit" },
        { "git@h.example:r.git", NULL, "its context is a URL that names no commit" },
        { "git@h.example:r.git#" COMMIT, NULL, NULL },
        { "https://h.example/r.git#" COMMIT ":sub", NULL, NULL },
        { NULL, "https://h.example/x.tar", "what its context c holds is not known beforehand" },
        { NULL, "https://h.example/r.git#" COMMIT, NULL },
        { NULL, "oci-layout:///l", "what its context c holds is not known beforehand" },
        { NULL, "oci-layout:///l@" DIGEST, NULL },
        { NULL, "docker-image://h.example/x:1",
          "the digest of the base image h.example/x:1 is not known" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_plan *plan = plan_make();
        struct strake_plan_target *base = &plan->targets[0];
        char *why = NULL, *above = NULL;
        if (cases[i].context) {
            strake_free(base->context);
            base->context = strake_strdup(cases[i].context);
        }
        if (cases[i].named)
            strake_pairs_set(&base->contexts, "c", cases[i].named);
        computed(plan);
        assert_int_equal(strake_inputs_doubt(&base->inputs, &why), 0);
        assert_int_equal(strake_inputs_doubt(&plan->targets[1].inputs, &above), 0);
        if (!why != !cases[i].why || (why && strcmp(why, cases[i].why) != 0))
            fail_msg("%zu: %s", i, why ? why : "no doubt");
        if (why)
            assert_string_equal(above, "target base, which it is built on, is never unchanged");
        else
            assert_null(above);
        strake_free(why);
        strake_free(above);
        strake_plan_free(plan);
    }
}

static void targets_of_one_folder_share_what_is_the_same(void **state)
{
    struct strake_plan *plan = plan_make();
    const struct strake_plan_inputs *first = &plan->targets[0].inputs,
                                    *second = &plan->targets[1].inputs;

    (void)state;
    computed(plan);
    assert_string_equal(first->context, second->context);
    assert_true(first->changed_us > 0 && first->changed_us == second->changed_us);
    put("Other", "FROM scratch\nCOPY . /\n");
    put("Other.dockerignore", "strake\nOther\nOther.dockerignore\n");
    strake_free(plan->targets[1].dockerfile);
    plan->targets[1].dockerfile = strake_asprintf("%s/Other", folder);
    computed(plan);
    assert_string_not_equal(first->context, second->context);
    strake_plan_free(plan);
}

static void bases_of_a_build_before_are_looked_up_for_a_dockerfile_elsewhere(void **state)
{
    struct strake_plan *plan = plan_make();
    struct strake_plan_target *base = &plan->targets[0];
    struct strake_pairs known = { 0 };
    struct strake_err err = { 0 };
    char before[STRAKE_DIGEST_TEXT];

    (void)state;
    assert_int_equal(strake_pairs_set(&known, "h.example/x:1", DIGEST), 0);
    assert_int_equal(strake_pairs_set(&known, "target:other", DIGEST), 0);
    computed(plan);
    assert_int_equal(strake_inputs_look_up(plan, base, &known, NULL, STRAKE_BASES_NONE, NULL, &err),
                     0);
    assert_int_equal(base->inputs.bases.count, 0); /* its own Dockerfile tells */
    strake_free(base->context);
    base->context = strake_strdup("https://h.example/r.git#" COMMIT);
    computed(plan);
    memcpy(before, base->inputs.digest, sizeof(before));
    assert_int_equal(strake_inputs_look_up(plan, base, &known, NULL, STRAKE_BASES_NONE, NULL, &err),
                     0);
    assert_int_equal(base->inputs.bases.count, 1);
    assert_string_equal(strake_pairs_get(&base->inputs.bases, "h.example/x:1"), "");
    assert_string_not_equal(base->inputs.digest, before);
    strake_pairs_dispose(&known);
    strake_plan_free(plan);
}

static int compute_once(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_plan *plan = plan_make();
    char *why = NULL;
    int rc = plan ? 0 : STRAKE_ENOMEM;

    (void)ctx;
    if (rc == 0)
        rc = strake_pairs_set(&plan->targets[0].args, "BASE", "h.example/x:$TARGETARCH");
    if (rc == 0)
        rc = compute(plan, &err);
    if (rc == 0)
        rc = strake_inputs_doubt(&plan->targets[1].inputs, &why);
    assert_true(rc < 0 || why != NULL);
    strake_free(why);
    strake_plan_free(plan);
    strake_err_dispose(&err);
    return rc;
}

static void inputs_survive_every_failing_allocation(void **state)
{
    (void)state;
    torture(compute_once, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(inputs_are_what_decides_the_image_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_nobody_can_know_is_doubted, setup, teardown),
        cmocka_unit_test_setup_teardown(targets_of_one_folder_share_what_is_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            bases_of_a_build_before_are_looked_up_for_a_dockerfile_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(inputs_survive_every_failing_allocation, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
