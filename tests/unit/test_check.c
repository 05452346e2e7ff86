/* `strake plugin check`: one answer for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plugin/loader.h"
#include "plugin_files.h"
#include "util/json.h"

/* The answers in order, one letter a rule: o ok, f fail, s skip. */
static void assert_answers(const char *path, const char *want, const char *detail)
{
    struct strake_err err = { 0 };
    bool ok;
    json_t *doc = strake_loader_check(path, &ok, &err);
    char answers[32] = "";
    const char *told = "";
    const json_t *entry;
    size_t i;

    assert_non_null(doc);
    json_array_foreach(json_object_get(doc, "checks"), i, entry) {
        const char *status = strake_json_str(entry, "status");
        answers[i] = status[0];
        if (status[0] == 'f' && !told[0])
            told = strake_json_str(entry, "detail");
    }
    if (strcmp(answers, want) != 0 || !strstr(told, detail))
        fail_msg("%s: %s, \"%s\"; wanted %s, \"%s\"", path, answers, told, want, detail);
    assert_int_equal(ok, !strpbrk(want, "fs"));
    assert_int_equal(strake_json_bool(doc, "ok", !ok), ok);
    assert_string_equal(strake_json_str(doc, "path"), path);
    json_decref(doc);
}

static void check_answers_for_each_rule(void **state)
{
    static const struct {
        const char *name;
        const char *answers;
        const char *detail;
    } cases[] = {
        { "good", "oooooooooo", "" },
        { "older", "oooooooooo", "" },
        { "newer", "oooooooooo", "" },
        { "unresolved", "ooofssssss", "nobody_offers_this" },
        { "no-export", "oooofsssss", "strake_plugin_main()" },
        { "major-newer", "ooooofssss", "ABI 7" },
        { "no-descriptor", "ooooofssss", "NULL" },
        { "wrong-name", "oooooofsss", "right-name" },
        { "no-open", "oooooofsss", "open is NULL" },
        { "null-method", "ooooooofss", "send is NULL" },
        { "misspelt-interface", "ooooooofss", "notifer/1" },
        { "silent", "oooooooofs", "did not say why" },
        { "takes-anything", "ooooooooof", "no plugin knows" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s.so", ABI_PLUGINS, cases[i].name);
        assert_answers(path, cases[i].answers, cases[i].detail);
    }
}

static void check_asks_every_rule_of_the_file_even_when_one_fails(void **state)
{
    char *folder = folder_make();
    char *named = path_join(folder, "Good.so"), *half = path_join(folder, "half.so");
    struct file_bytes good = file_read(ABI_PLUGINS "/good.so");

    (void)state;
    file_write(named, good.data, good.len);
    assert_answers(named, "foosssssss", "is not named NAME.so");
    chmod(folder, 0777);
    file_write(half, good.data, good.len / 2);
    assert_answers(half, "offsssssss", "may be written to by anyone");
    free(good.data);
    free(named);
    free(half);
    folder_remove(folder);
}

static void check_takes_a_bare_name_as_a_file_of_this_folder(void **state)
{
    char before[1024];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(ABI_PLUGINS), 0);
    assert_answers("good.so", "oooooooooo", "");
    assert_int_equal(chdir(before), 0);
    assert_answers("no-such-file.so", "offsssssss", "cannot be looked at");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_answers_for_each_rule),
        cmocka_unit_test(check_asks_every_rule_of_the_file_even_when_one_fails),
        cmocka_unit_test(check_takes_a_bare_name_as_a_file_of_this_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
