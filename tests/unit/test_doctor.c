/* The list of what is asked, and what a probe tells; the asking itself is
 * tests/integration/test_doctor.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "doctor/probe.h"
#include "doctor/secrets.h"
#include "torture.h"
#include "util/json.h"
#include "util/secret.h"

struct fixture {
    struct strake_project *project;
    struct strake_doctor doctor;
};

static void declare(struct fixture *fixture, enum strake_block_kind kind, const char *name,
                    const char *type, const char *options)
{
    struct strake_block *block;
    struct strake_err err = { 0 };

    assert_int_equal(
        strake_project_add_block(fixture->project, kind, name, "strake.lua", 1, &block, &err), 0);
    block->type = strake_strdup(type);
    block->options = strake_json_parse(options, strlen(options), "options", STRAKE_EUSAGE, &err);
    assert_non_null(block->options);
}

static int setup(void **state)
{
    struct strake_err err = { 0 };
    struct fixture *fixture = strake_calloc(1, sizeof(*fixture));
    struct strake_target *target;

    strake_json_setup();
    fixture->project = strake_project_new("/nowhere");
    declare(fixture, STRAKE_BLOCK_BUILDER, "lab", "buildctl",
            "{\"address\":\"tcp://lab:1234\",\"key\":\"/lab.key\"}");
    declare(fixture, STRAKE_BLOCK_REGISTRY, "one.example", "oci",
            "{\"username\":\"u\",\"password\":{\"secret\":\"WORD\"}}");
    declare(fixture, STRAKE_BLOCK_NOTIFIER, "phone", "ntfy", "{\"token\":\"in the clear\"}");
    assert_int_equal(strake_secret_from_env("WORD", "WORD", &err), 0);
    assert_int_equal(
        strake_project_add_target(fixture->project, "app", "strake.lua", 9, &target, &err), 0);
    assert_int_equal(strake_strings_add(&target->images, "one.example/a/b"), 0);
    assert_int_equal(strake_strings_add(&target->images, "two.example/c"), 0);
    assert_int_equal(strake_strings_add(&target->images, "two.example/d"), 0);
    assert_int_equal(strake_strings_add(&target->images, "oci:/layout"), 0);
    fixture->doctor = (struct strake_doctor){ .project = fixture->project,
                                              .stores = strake_stores_new(0, NULL),
                                              .bound_ms = 100 };
    assert_int_equal(strake_stores_configure(fixture->doctor.stores, "one.example", "oci",
                                             fixture->project->blocks[1]->options),
                     0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    strake_stores_free(fixture->doctor.stores);
    strake_project_free(fixture->project);
    strake_secret_reset();
    strake_free(fixture);
    return 0;
}

static int list_all(const struct strake_doctor *doctor, struct doctor_probes *probes)
{
    if (doctor_add_builders(doctor, probes) < 0 || doctor_add_registries(doctor, probes) < 0 ||
        doctor_add_notifiers(doctor, probes) < 0 || doctor_add_others(doctor, probes) < 0 ||
        doctor_add_files(doctor, probes) < 0 || doctor_add_tools(doctor, probes) < 0)
        return STRAKE_ENOMEM;
    return 0;
}

static bool has(const struct doctor_probes *probes, const char *group, const char *name)
{
    for (size_t i = 0; i < probes->count; i++) {
        if (strcmp(probes->items[i]->group, group) == 0 &&
            strcmp(probes->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

static void everything_declared_is_listed(void **state)
{
    static const char *const want[][2] = {
        { "builder", "lab" },
        { "registry", "one.example" },
        { "registry", "two.example" },
        { "registry", "oci:/layout" },
        { "notifier", "phone" },
        { "secret", "builder lab key" },
        { "secret", "registry one.example password" },
        { "secret", "notifier phone token" },
        { "lua", "files" },
        { "tool", "git" },
    };
    struct fixture *fixture = *state;
    struct doctor_probes probes = { 0 };

    assert_int_equal(list_all(&fixture->doctor, &probes), 0);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        assert_true(has(&probes, want[i][0], want[i][1]));
    assert_false(has(&probes, "secret", "registry one.example username"));
    doctor_probes_dispose(&probes);
}

static void a_registry_is_asked_once_for_all_its_repositories(void **state)
{
    struct fixture *fixture = *state;
    struct doctor_probes probes = { 0 };
    size_t asked = 0;

    assert_int_equal(doctor_add_registries(&fixture->doctor, &probes), 0);
    for (size_t i = 0; i < probes.count; i++) {
        if (strcmp(probes.items[i]->name, "two.example") == 0 && probes.items[i]->subjects.count) {
            assert_int_equal(probes.items[i]->subjects.count, 2);
            assert_string_equal(probes.items[i]->subjects.items[1], "d");
            asked++;
        }
    }
    assert_int_equal(asked, 1);
    doctor_probes_dispose(&probes);
}

static int nothing(struct doctor_probe *probe, struct strake_job *job)
{
    (void)probe;
    (void)job;
    return 0;
}

static void a_failure_always_has_a_hint(void **state)
{
    struct fixture *fixture = *state;
    struct doctor_probes probes = { 0 };
    struct doctor_probe *probe;
    struct strake_err err = { 0 };
    const json_t *check;

    assert_int_equal(doctor_probe_add(&probes, &fixture->doctor, "builder", 9, "lab", NULL, NULL,
                                      nothing, &probe),
                     0);
    assert_int_equal(doctor_tell(probe, "tls", DOCTOR_OK, NULL, "fine"), 0);
    assert_false(probe->failed);
    strake_fail(&err, STRAKE_EBUILDER, "it does not work");
    strake_err_detail(&err, "its own words\nand more", 22);
    assert_int_equal(doctor_tell_err(probe, NULL, DOCTOR_FAIL, &err), 0);
    assert_true(probe->failed);
    check = json_array_get(probe->checks, 0);
    assert_string_equal(strake_json_str(check, "name"), "lab tls");
    assert_string_equal(strake_json_str(check, "hint"), "");
    check = json_array_get(probe->checks, 1);
    assert_string_equal(strake_json_str(check, "detail"), "it does not work (its own words)");
    assert_true(strlen(strake_json_str(check, "hint")) > 0);
    strake_err_dispose(&err);
    doctor_probes_dispose(&probes);
}

static int list_and_tell(void *ctx)
{
    const struct strake_doctor *doctor = ctx;
    struct doctor_probes probes = { 0 };
    struct doctor_probe *probe;
    int rc = list_all(doctor, &probes);

    if (rc == 0)
        rc = doctor_probe_add(&probes, doctor, "builder", 9, "lab", "buildctl", NULL, nothing,
                              &probe);
    if (rc == 0)
        rc = doctor_tell(probe, "tls", DOCTOR_FAIL, NULL, "%s", "not fine");
    doctor_probes_dispose(&probes);
    return rc;
}

static void listing_survives_failing_allocations(void **state)
{
    struct fixture *fixture = *state;

    torture(list_and_tell, &fixture->doctor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_declared_is_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_registry_is_asked_once_for_all_its_repositories, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_failure_always_has_a_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(listing_survives_failing_allocations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
