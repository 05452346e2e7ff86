/* What made which image, and which was published last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record_folder.h"
#include "torture.h"

static char app[] = "app", other[] = "other";

static int post(struct strake_record *record, const char *run, enum strake_event_type type,
                char *target, const char *data, struct strake_err *err)
{
    struct strake_event event = { .type = type, .time_us = 1, .target = target };
    int rc = STRAKE_ENOMEM;

    event.data = strake_json_parse(data, strlen(data), "an event", STRAKE_EINTERNAL, err);
    if (event.data)
        rc = strake_record_event(record, run, &event, err);
    json_decref(event.data);
    return rc;
}

static int publish(struct strake_record *record, const char *run, char *target, const char *digest,
                   struct strake_err *err)
{
    char *data =
        strake_asprintf("{\"image\":\"h.example/a\",\"digest\":\"%s\",\"refs\":[]}", digest);
    int rc =
        data ? post(record, run, STRAKE_EVENT_IMAGE_PUBLISHED, target, data, err) : STRAKE_ENOMEM;

    strake_free(data);
    return rc;
}

static int make(struct strake_record *record, const char *target, const char *digest,
                const char *inputs, struct strake_err *err)
{
    json_t *image =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:{s:s},s:{s:s}}", "target", target, "repository",
                  "h.example/a", "digest", digest, "media_type", "m", "inputs", inputs, "platforms",
                  "linux/amd64", digest, "parts", "context", inputs);
    int rc = image ? strake_record_image(record, "r1", image, err) : STRAKE_ENOMEM;

    json_decref(image);
    return rc;
}

static void done(int rc, const struct strake_err *err)
{
    if (rc < 0)
        fail_msg("%s", strake_err_message(err));
}

/* The last published image of app; its inputs are `want`, NULL: not known. */
static void expect(struct strake_record *record, const char *inputs, const char *digest,
                   const char *want)
{
    struct strake_err err = { 0 };
    json_t *image = NULL;

    done(strake_record_last_published(record, "app", "h.example/a", inputs, &image, &err), &err);
    assert_string_equal(strake_json_str(image, "digest"), digest);
    if (want)
        assert_string_equal(strake_json_str(image, "inputs"), want);
    else
        assert_null(strake_json_str(image, "inputs"));
    json_decref(image);
}

static void the_last_published_image_is_found_with_what_made_it(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };
    json_t *image = NULL;

    done(make(record, "app", "d1", "i1", &err), &err);
    assert_int_equal(strake_record_last_published(record, "app", "h.example/a", "i1", &image, &err),
                     STRAKE_ENOTFOUND);
    assert_null(image);
    strake_err_dispose(&err);
    done(publish(record, "r1", app, "d1", &err), &err);
    done(publish(record, "r2", other, "d2", &err), &err);
    done(strake_record_last_published(record, "app", "h.example/a", "i1", &image, &err), &err);
    assert_string_equal(strake_json_str(image, "run"), "r1");
    assert_string_equal(strake_json_str(image, "media_type"), "m");
    assert_string_equal(strake_json_str(json_object_get(image, "platforms"), "linux/amd64"), "d1");
    assert_string_equal(strake_json_str(json_object_get(image, "parts"), "context"), "i1");
    json_decref(image);
    done(publish(record, "r3", app, "d3", &err), &err);
    expect(record, "i1", "d3", NULL);
    history_close(record);
}

static void of_several_inputs_of_one_image_the_asked_ones_are_preferred(void **state)
{
    struct strake_record *record = history_open(*state);
    struct strake_err err = { 0 };

    done(publish(record, "r1", app, "d1", &err), &err);
    for (int i = 1; i <= 3; i++) {
        char inputs[] = { 'i', (char)('0' + i), '\0' };
        done(make(record, "app", "d1", inputs, &err), &err);
    }
    done(make(record, "other", "d1", "i9", &err), &err);
    expect(record, "i2", "d1", "i2");
    expect(record, "none", "d1", "i3");
    history_close(record);
}

static void step(struct strake_record *record, const char *id, const char *name)
{
    struct strake_err err = { 0 };
    char *data = strake_asprintf("{\"step\":\"%s\",\"name\":\"%s\"}", id, name);

    done(post(record, "r1", STRAKE_EVENT_STEP_DONE, app, data, &err), &err);
    strake_free(data);
}

static void bases_are_read_from_the_steps(void **state)
{
    static const char *const names[] = {
        "[internal] load metadata for docker.io/library/a:1",
        "[1/2] FROM docker.io/library/a:1@sha256:aa",
        "[linux/amd64 build 1/3] FROM h.example:5000/b@sha256:bb",
        "FROM docker.io/library/c:2@sha256:cc",
        "[2/2] RUN echo FROM docker.io/library/d:1@sha256:dd",
        "[2/2] RUN FROM x@sha256:ee",
        "[1/1] FROM docker.io/library/e:latest",
    };
    struct strake_record *record = history_open(*state);
    struct strake_pairs found = { 0 };
    bool fetches;
    struct strake_err err = { 0 };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char id[] = { 's', (char)('0' + i), '\0' };
        step(record, id, names[i]);
    }
    done(strake_record_bases(record, "r1", "app", &found, &fetches, &err), &err);
    assert_int_equal(found.count, 3);
    assert_string_equal(strake_pairs_get(&found, "docker.io/library/a:1"), "sha256:aa");
    assert_string_equal(strake_pairs_get(&found, "h.example:5000/b"), "sha256:bb");
    assert_string_equal(strake_pairs_get(&found, "docker.io/library/c:2"), "sha256:cc");
    strake_pairs_dispose(&found);
    done(strake_record_bases(record, "r2", "app", &found, &fetches, &err), &err);
    assert_int_equal(found.count, 0);
    step(record, "t1", "[2/2] ADD --checksum=sha256:00 https://h.example/x /x");
    step(record, "t2", "[2/2] RUN echo [x] ADD");
    done(strake_record_bases(record, "r1", "app", &found, &fetches, &err), &err);
    assert_false(fetches);
    step(record, "t3", "[linux/amd64 2/2] ADD https://h.example/x /x");
    done(strake_record_bases(record, "r1", "app", &found, &fetches, &err), &err);
    assert_true(fetches);
    strake_pairs_dispose(&found);
    history_close(record);
}

static int keep_and_find(void *ctx)
{
    struct strake_record *record = ctx;
    struct strake_pairs found = { 0 };
    bool fetches;
    struct strake_err err = { 0 };
    json_t *image = NULL;
    int rc = make(record, "app", "d1", "i1", &err);

    if (rc == 0)
        rc = publish(record, "r1", app, "d1", &err);
    if (rc == 0)
        rc = strake_record_last_published(record, "app", "h.example/a", "i1", &image, &err);
    if (rc == 0)
        rc = strake_record_bases(record, "r1", "app", &found, &fetches, &err);
    assert_true(rc < 0 || strcmp(strake_json_str(image, "inputs"), "i1") == 0);
    assert_true(rc == 0 || image == NULL || found.count <= 1);
    strake_pairs_dispose(&found);
    json_decref(image);
    strake_err_dispose(&err);
    return rc;
}

static void images_survive_every_failing_allocation(void **state)
{
    struct strake_record *record = history_open(*state);

    step(record, "s1", "[1/1] FROM a.example/a:1@sha256:aa");
    torture(keep_and_find, record);
    history_close(record);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_published_image_is_found_with_what_made_it,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(of_several_inputs_of_one_image_the_asked_ones_are_preferred,
                                        folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(bases_are_read_from_the_steps, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(images_survive_every_failing_allocation, folder_make,
                                        folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
