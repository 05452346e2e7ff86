/* What builds are made of: recorded once, found again by target and project, pruned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "build/materials.h"
#include "record/record_impl.h"
#include "record_folder.h"
#include "torture.h"
#include "util/secret.h"

static const char *const argv[] = { "strake", "build", NULL };

static int post_step(struct strake_record *record, const char *run, char *target,
                     struct strake_err *err)
{
    struct strake_event event = { .type = STRAKE_EVENT_STEP_DONE, .time_us = 1, .target = target };
    int rc;

    event.data = json_pack("{s:s,s:s,s:s,s:s,s:b}", "step", "s1", "name", "[1/1] RUN true",
                           "started", "t1", "completed", "t2", "cached", 1);
    if (!event.data)
        return strake_fail_nomem(err);
    rc = strake_record_event(record, run, &event, err);
    json_decref(event.data);
    return rc;
}

static int begin(struct strake_record *record, const char *run, const char *dir,
                 struct strake_err *err)
{
    struct strake_strings interrupted = { 0 };
    int rc = strake_record_run_begin(record, run, "build", argv, dir, &interrupted, err);

    strake_strings_dispose(&interrupted);
    return rc;
}

static int end(struct strake_record *record, const char *run, struct strake_err *err)
{
    return strake_record_run_end(record, run, "done", 0, NULL, err);
}

static int put(struct strake_record *record, const char *run, const char *files_id,
               struct strake_err *err)
{
    json_t *data = json_pack("{s:s}", "stage", run);
    struct strake_materials materials = { .run = run,
                                          .target = "app",
                                          .data = data,
                                          .dockerfile_id = "sha256:d",
                                          .dockerfile = "FROM scratch\n",
                                          .files_id = files_id,
                                          .files = files_id };
    int rc = data ? strake_record_materials(record, &materials, err) : strake_fail_nomem(err);

    json_decref(data);
    return rc;
}

static char app[] = "app", other[] = "other";

static json_t *builds_of(struct strake_record *record, const char *dir, const char *target)
{
    struct strake_err err = { 0 };
    json_t *builds = NULL;

    if (strake_record_builds(record, dir, target, 100, &builds, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    return builds;
}

static void builds_are_found_by_project_and_target_newest_first(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    struct strake_strings targets = { 0 };
    const json_t *build;
    json_t *builds;

    assert_int_equal(begin(record, "r1", "/p", &err), 0);
    assert_int_equal(post_step(record, "r1", app, &err), 0);
    assert_int_equal(put(record, "r1", "sha256:f1", &err), 0);
    assert_int_equal(end(record, "r1", &err), 0);
    assert_int_equal(begin(record, "r2", "/p", &err), 0);
    assert_int_equal(post_step(record, "r2", app, &err), 0);
    assert_int_equal(post_step(record, "r2", other, &err), 0);
    assert_int_equal(put(record, "r2", NULL, &err), 0);
    assert_int_equal(end(record, "r2", &err), 0);
    assert_int_equal(begin(record, "r3", "/elsewhere", &err), 0);
    assert_int_equal(post_step(record, "r3", app, &err), 0);
    assert_int_equal(end(record, "r3", &err), 0);
    assert_int_equal(begin(record, "r4", "/p", &err), 0); /* it built nothing */
    assert_int_equal(put(record, "r4", NULL, &err), 0);
    assert_int_equal(end(record, "r4", &err), 0);

    builds = builds_of(record, "/p", "app");
    assert_int_equal(json_array_size(builds), 2);
    build = json_array_get(builds, 0);
    assert_string_equal(strake_json_str(build, "run"), "r2");
    assert_null(strake_json_str(build, "files"));
    build = json_array_get(builds, 1);
    assert_string_equal(strake_json_str(build, "run"), "r1");
    assert_string_equal(strake_json_str(build, "files"), "sha256:f1");
    assert_string_equal(strake_json_str(json_object_get(build, "materials"), "stage"), "r1");
    build = json_array_get(json_object_get(build, "steps"), 0);
    assert_string_equal(strake_json_str(build, "name"), "[1/1] RUN true");
    assert_true(strake_json_bool(build, "cached", false));
    json_decref(builds);
    assert_int_equal(strake_record_built(record, "/p", &targets, &err), 0);
    assert_int_equal(targets.count, 2);
    assert_string_equal(targets.items[0], "app");
    strake_strings_dispose(&targets);
    history_close(record);
}

/* Looked at for the first time since strake was updated: nobody has made the new tables yet. */
static void a_history_without_materials_still_has_its_builds(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *builds;

    assert_int_equal(begin(record, "r1", "/p", &err), 0);
    assert_int_equal(post_step(record, "r1", app, &err), 0);
    assert_int_equal(end(record, "r1", &err), 0);
    assert_int_equal(strake_sql(record, "DROP TABLE materials", STRAKE_NONE, NULL, NULL, &err), 0);
    builds = builds_of(record, "/p", "app");
    assert_int_equal(json_array_size(builds), 1);
    assert_null(json_object_get(json_array_get(builds, 0), "materials"));
    json_decref(builds);
    history_close(record);
}

static bool has_text(struct strake_record *record, const char *id)
{
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_record_text(record, id, &text, &err);

    strake_buf_dispose(&text);
    strake_err_dispose(&err);
    assert_true(rc == 0 || rc == STRAKE_ENOTFOUND);
    return rc == 0;
}

static void old_materials_go_and_their_texts_with_them(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    char run[8], id[24];

    for (int i = 0; i < STRAKE_MATERIALS_KEPT + 3; i++) {
        snprintf(run, sizeof(run), "r%02d", i);
        snprintf(id, sizeof(id), "sha256:%d", i);
        assert_int_equal(begin(record, run, i == 0 ? "/elsewhere" : "/p", &err), 0);
        assert_int_equal(put(record, run, id, &err), 0);
        assert_int_equal(end(record, run, &err), 0);
    }
    assert_true(has_text(record, "sha256:0")); /* another project's */
    assert_false(has_text(record, "sha256:1"));
    assert_false(has_text(record, "sha256:2"));
    assert_true(has_text(record, "sha256:3"));
    assert_true(has_text(record, "sha256:d"));
    history_close(record);
}

static int write_and_read(void *ctx)
{
    struct strake_err err = { 0 };
    struct strake_record *record = NULL;
    struct strake_buf text = { 0 };
    json_t *builds = NULL;
    int rc = strake_record_open(ctx, true, &record, &err);

    if (rc == 0)
        rc = put(record, "r1", "sha256:f1", &err);
    if (rc == 0)
        rc = strake_record_builds(record, "/p", "app", 5, &builds, &err);
    if (rc == 0)
        rc = strake_record_text(record, "sha256:f1", &text, &err);
    if (rc == 0) {
        const json_t *build = json_array_get(builds, 0);
        assert_string_equal(strake_json_str(build, "files"), "sha256:f1");
        assert_int_equal(json_array_size(json_object_get(build, "steps")), 1);
    }
    if (record) {
        struct strake_err ignored = { 0 };
        strake_record_close(record, &ignored);
        strake_err_dispose(&ignored);
    }
    strake_buf_dispose(&text);
    json_decref(builds);
    strake_err_dispose(&err);
    return rc;
}

static void materials_survive_failing_allocations(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };

    assert_int_equal(begin(record, "r1", "/p", &err), 0);
    assert_int_equal(post_step(record, "r1", app, &err), 0);
    assert_int_equal(end(record, "r1", &err), 0);
    history_close(record);
    torture(write_and_read, *state);
}

/* ---- the list of files ---- */

static void write_file(const char *folder, const char *name)
{
    struct strake_err err = { 0 };
    char *path = strake_asprintf("%s/%s", folder, name);

    assert_int_equal(strake_fs_write(path, "x", 1, 0644, false, &err), 0);
    strake_free(path);
}

static void names_are_escaped_in_the_list_of_files(void **state)
{
    struct strake_buf list = { 0 };
    struct strake_err err = { 0 };
    char *context = strake_asprintf("%s/context", (char *)*state);
    char *link = strake_asprintf("%s/z", context);
    char *expected;

    setenv("XDG_STATE_HOME", *state, 1);
    assert_int_equal(strake_fs_mkdirs(context, 0755, &err), 0);
    write_file(context, "a b\nc\\");
    assert_int_equal(symlink("to here", link), 0);
    assert_int_equal(strake_materials_files(context, "", NULL, &list, &err), 0);
    expected = strake_asprintf("f 644 %.32s a\\sb\\nc\\\\\nl 0 to\\shere z\n",
                               "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert_string_equal(strake_buf_text(&list), expected);
    unsetenv("XDG_STATE_HOME");
    strake_free(expected);
    strake_free(context);
    strake_free(link);
    strake_buf_dispose(&list);
}

/* ---- recording beside a build ---- */

static void a_plan_is_recorded_without_its_secrets(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    struct strake_plan_target targets[2] = { { 0 }, { 0 } };
    struct strake_plan plan = { .targets = targets, .count = 2 };
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    char *context = strake_asprintf("%s/context", (char *)*state);
    char *dockerfile = strake_asprintf("%s/Dockerfile", context);
    char url[] = "https://example.org/x.git", empty[] = "";
    struct strake_buf text = { 0 };
    const json_t *args;
    json_t *builds;

    setenv("XDG_STATE_HOME", *state, 1);
    strake_secret_mark("hunter2-hunter2", 15);
    assert_int_equal(strake_fs_mkdirs(context, 0755, &err), 0);
    write_file(context, "Dockerfile");
    targets[0] = (struct strake_plan_target){
        .name = app, .context = context, .dockerfile = dockerfile, .stage = empty
    };
    targets[1] = (struct strake_plan_target){
        .name = other, .context = url, .dockerfile = empty, .stage = empty
    };
    assert_int_equal(strake_pairs_set(&targets[0].args, "TOKEN", "hunter2-hunter2"), 0);
    assert_int_equal(strake_pairs_set(&targets[0].args, "WHO", "world"), 0);
    assert_int_equal(begin(record, "r1", "/p", &err), 0);
    assert_int_equal(post_step(record, "r1", app, &err), 0);
    assert_int_equal(post_step(record, "r1", other, &err), 0);
    strake_materials_finish(strake_materials_start(&plan, record, "r1", job));
    assert_int_equal(end(record, "r1", &err), 0);
    builds = builds_of(record, "/p", "app");
    args = json_object_get(json_object_get(json_array_get(builds, 0), "materials"), "args");
    assert_string_equal(strake_json_str(args, "TOKEN"), "[secret]");
    assert_string_equal(strake_json_str(args, "WHO"), "world");
    assert_int_equal(strake_record_text(record,
                                        strake_json_str(json_array_get(builds, 0), "dockerfile"),
                                        &text, &err),
                     0);
    assert_string_equal(strake_buf_text(&text), "x");
    assert_non_null(strake_json_str(json_array_get(builds, 0), "files"));
    json_decref(builds);
    builds = builds_of(record, "/p", "other");
    assert_null(strake_json_str(json_array_get(builds, 0), "files"));
    json_decref(builds);
    assert_null(strake_materials_start(&plan, NULL, "r1", job)); /* nothing is recorded */
    strake_materials_finish(NULL);
    strake_pairs_dispose(&targets[0].args);
    strake_secret_reset();
    strake_buf_dispose(&text);
    strake_job_free(job);
    strake_free(context);
    strake_free(dockerfile);
    unsetenv("XDG_STATE_HOME");
    history_close(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds_are_found_by_project_and_target_newest_first,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(a_history_without_materials_still_has_its_builds,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(old_materials_go_and_their_texts_with_them, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(materials_survive_failing_allocations, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(names_are_escaped_in_the_list_of_files, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_plan_is_recorded_without_its_secrets, folder_make,
                                        folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
