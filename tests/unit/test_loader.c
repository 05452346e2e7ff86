/* Finding, refusing and loading plugins by name; what is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plugin/loader.h"
#include "plugin_files.h"
#include "util/json.h"
#include "util/log.h"

static char *first, *second; /* folders of STRAKE_PLUGIN_PATH, before tests/abi's */

static int group_setup(void **state)
{
    struct strake_err err = { 0 };
    char path[2048];

    (void)state;
    first = folder_make();
    second = folder_make();
    plugin_copy("good", first, "good");
    plugin_copy("good", second, "good");
    snprintf(path, sizeof(path), ":relative/folder:%s::%s:/no/such/folder:%s:", first, second,
             ABI_PLUGINS);
    setenv("STRAKE_PLUGIN_PATH", path, 1);
    return strake_loader_setup("/no/such/prefix/bin/strake", &err);
}

static int group_teardown(void **state)
{
    (void)state;
    folder_remove(first);
    folder_remove(second);
    return 0;
}

static void loader_finds_a_plugin_in_the_first_folder_that_has_it(void **state)
{
    const struct strake_loaded *loaded, *again;
    struct strake_err err = { 0 };
    char *path = path_join(first, "good.so");

    (void)state;
    assert_int_equal(strake_loader_load("good", &loaded, &err), 0);
    assert_string_equal(loaded->name, "good");
    assert_string_equal(loaded->path, path);
    assert_string_equal(loaded->descriptor->version, "1.2.3");
    assert_int_equal(strake_loader_load("good", &again, &err), 0);
    assert_ptr_equal(loaded, again);
    free(path);
}

struct refusal {
    const char *name;
    const char *why;
    const char *hint;
};

static void assert_refused(const struct refusal *refusal)
{
    const struct strake_loaded *loaded = NULL;
    struct strake_err err = { 0 };

    assert_int_equal(strake_loader_load(refusal->name, &loaded, &err), STRAKE_ECONFIG);
    assert_null(loaded);
    if (!strstr(strake_err_message(&err), refusal->why))
        fail_msg("%s: \"%s\" does not say \"%s\"", refusal->name, strake_err_message(&err),
                 refusal->why);
    if (refusal->hint && (!err.hint || !strstr(err.hint, refusal->hint)))
        fail_msg("%s: the hint \"%s\" does not say \"%s\"", refusal->name, err.hint ? err.hint : "",
                 refusal->hint);
    strake_err_dispose(&err);
}

static void loader_names_the_rule_that_a_plugin_breaks(void **state)
{
    static const struct refusal refusals[] = {
        { "major-older", "has ABI 0, this program has ABI 1", "build the plugin again" },
        { "major-newer", "has ABI 7, this program has ABI 1", "install a newer strake" },
        { "no-export", "does not export strake_plugin_main()", "STRAKE_EXPORT" },
        { "no-descriptor", "returned NULL", NULL },
        { "no-version", "no version", NULL },
        { "no-open", "open is NULL", NULL },
        { "short-descriptor", "size of its descriptor", NULL },
        { "wrong-name", "calls itself right-name", "name the file right-name.so" },
        { "misspelt-interface", "notifer/1", "did you mean notifier/1?" },
        { "twice", "offers notifier/1 twice", NULL },
        { "null-method", "notifier/1: send is NULL", NULL },
        { "zero-size", "size of its notifier/1", ".size = sizeof" },
        { "odd-size", "size of its notifier/1", ".size = sizeof" },
        { "huge-size", "size of its notifier/1", ".size = sizeof" },
        { "unresolved", "needs a symbol that nothing offers: nobody_offers_this", "-z,defs" },
        { "endless", "does not end", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        assert_refused(&refusals[i]);
}

static void loader_suggests_the_nearest_name_and_says_where_it_looked(void **state)
{
    (void)state;
    assert_refused(&(struct refusal){ "goood", "there is no plugin goood; searched in ",
                                      "did you mean good?" });
    assert_refused(&(struct refusal){ "goood", ABI_PLUGINS, NULL });
    assert_refused(&(struct refusal){ "zzzzzzzz", "there is no plugin", "strake plugin list" });
}

static void loader_refuses_names_that_could_lead_elsewhere(void **state)
{
    static const char *const names[] = {
        "", "..", "../good", "a/b", "Good", "good.so", "a b", "a\n"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_refused(&(struct refusal){ names[i], "is not the name of a plugin", NULL });
}

static void loader_refuses_a_damaged_file_before_loading_it(void **state)
{
    char *path = path_join(second, "half.so");
    struct file_bytes good = file_read(ABI_PLUGINS "/good.so");

    (void)state;
    file_write(path, good.data, good.len / 2);
    assert_refused(&(struct refusal){ "half", "the file is cut off", NULL });
    remove(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(&(struct refusal){ "half", "not a regular file", NULL });
    remove(path);
    free(good.data);
    free(path);
}

static void loader_refuses_a_folder_that_anyone_can_write_to(void **state)
{
    (void)state;
    plugin_copy("older", second, "older-open");
    chmod(second, 0777);
    assert_refused(&(struct refusal){ "older-open", "may be written to by anyone", "chmod o-w" });
    chmod(second, 0700);
}

static struct strake_notifier_v1 notifier_of(const char *name)
{
    const struct strake_loaded *loaded;
    struct strake_notifier_v1 notifier;
    struct strake_err err = { 0 };

    if (strake_loader_load(name, &loaded, &err) < 0)
        fail_msg("%s", strake_err_message(&err));
    assert_int_equal(
        strake_loader_interface(loaded, "notifier/1", &notifier, sizeof(notifier), &err), 0);
    return notifier;
}

static void loader_copies_by_size_and_reads_nothing_behind_it(void **state)
{
    const struct strake_loaded *loaded;
    struct strake_err err = { 0 };
    struct strake_notifier_v1 notifier = notifier_of("older");

    (void)state;
    assert_non_null(notifier.send);
    assert_null(notifier.update);
    assert_null(notifier.ping);
    assert_int_equal(strake_loader_load("older", &loaded, &err), 0);
    assert_null(loaded->descriptor->summary);
    assert_non_null(notifier_of("newer").send);
    assert_non_null(notifier_of("newer-interface").send);
}

static void loader_says_when_a_plugin_is_of_another_kind(void **state)
{
    const struct strake_loaded *loaded;
    struct strake_builder_v1 builder;
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_loader_load("good", &loaded, &err), 0);
    assert_int_equal(strake_loader_interface(loaded, "builder/1", &builder, sizeof(builder), &err),
                     STRAKE_ECONFIG);
    assert_string_equal(strake_err_message(&err), "the plugin good is no builder");
    strake_err_dispose(&err);
}

static const json_t *listed(const json_t *doc, const char *path)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(doc, "plugins"), i, entry) {
        if (strcmp(strake_json_str(entry, "path"), path) == 0)
            return entry;
    }
    fail_msg("%s is not listed", path);
    return NULL;
}

static void list_tells_good_broken_and_shadowed_ones(void **state)
{
    struct strake_err err = { 0 };
    char *winner = path_join(first, "good.so"), *loser = path_join(second, "good.so");
    json_t *doc = strake_loader_list(&err);
    const json_t *entry;

    (void)state;
    assert_non_null(doc);
    assert_string_equal(strake_json_str(doc, "schema"), "strake.plugins/1");
    entry = listed(doc, winner);
    assert_string_equal(strake_json_str(entry, "version"), "1.2.3");
    assert_int_equal(strake_json_int(entry, "abi", 0), 1);
    assert_string_equal(strake_json_str(entry, "summary"), "for the tests of the ABI");
    assert_string_equal(json_string_value(json_array_get(json_object_get(entry, "interfaces"), 0)),
                        "notifier/1");
    assert_string_equal(strake_json_str(listed(doc, loser), "shadowed_by"), winner);
    entry = listed(doc, ABI_PLUGINS "/null-method.so");
    assert_non_null(strstr(strake_json_str(entry, "error"), "send is NULL"));
    json_decref(doc);
    free(winner);
    free(loser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_finds_a_plugin_in_the_first_folder_that_has_it),
        cmocka_unit_test(loader_names_the_rule_that_a_plugin_breaks),
        cmocka_unit_test(loader_suggests_the_nearest_name_and_says_where_it_looked),
        cmocka_unit_test(loader_refuses_names_that_could_lead_elsewhere),
        cmocka_unit_test(loader_refuses_a_damaged_file_before_loading_it),
        cmocka_unit_test(loader_refuses_a_folder_that_anyone_can_write_to),
        cmocka_unit_test(loader_copies_by_size_and_reads_nothing_behind_it),
        cmocka_unit_test(loader_says_when_a_plugin_is_of_another_kind),
        cmocka_unit_test(list_tells_good_broken_and_shadowed_ones),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
