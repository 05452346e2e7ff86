/* Libraries opened when first needed: what is said when one is not there, or too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/fs.h"
#include "util/lazy.h"

static void symbols_of_a_library_are_found(void **state)
{
    double (*cosine)(double) = NULL;
    struct strake_lazy_symbol symbols[] = { { "cos", &cosine } };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_lazy_open("libm.so.6", "libc6", symbols, 1, &err), 0);
    assert_true(cosine(0.0) > 0.99);
}

static void a_library_that_is_not_there_names_its_package(void **state)
{
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_lazy_open("libnosuch.so.1", "libnosuch1", NULL, 0, &err),
                     STRAKE_EINTERNAL);
    assert_string_equal(strake_err_message(&err), "the library libnosuch.so.1 cannot be loaded");
    assert_string_equal(err.hint, "install it: apt-get install libnosuch1");
    assert_non_null(strstr(err.detail, "libnosuch.so.1"));
    strake_err_dispose(&err);
}

static void a_library_too_old_names_the_function_that_it_lacks(void **state)
{
    void (*newer)(void) = NULL;
    struct strake_lazy_symbol symbols[] = { { "no_such_function", &newer } };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_lazy_open("libm.so.6", "libc6", symbols, 1, &err), STRAKE_EINTERNAL);
    assert_string_equal(strake_err_message(&err),
                        "the library libm.so.6 has no function no_such_function");
    assert_string_equal(err.hint, "it is too old: install a newer libc6");
    assert_true(newer == NULL);
    strake_err_dispose(&err);
}

/* The tests are PREFIX/bin/test_lazy, and nothing of this name lies in PREFIX/lib/strake. */
static void without_a_library_of_our_own_the_systems_is_opened(void **state)
{
    double (*cosine)(double) = NULL;
    struct strake_lazy_symbol symbols[] = { { "cos", &cosine } };
    struct strake_err err = { 0 };

    (void)state;
    assert_int_equal(strake_lazy_open_own("libnosuch.so", "libm.so.6", "libc6", symbols, 1, &err),
                     0);
    assert_true(cosine(0.0) > 0.99);
}

static void a_library_of_our_own_comes_first(void **state)
{
    char program[4096], folder[4200], path[4300];
    void (*any)(void) = NULL;
    struct strake_lazy_symbol symbols[] = { { "cos", &any } };
    struct strake_err err = { 0 };
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    FILE *file;

    (void)state;
    assert_true(len > 0);
    program[len] = '\0';
    *strrchr(program, '/') = '\0';
    snprintf(folder, sizeof(folder), "%s/../lib/strake", program);
    assert_int_equal(strake_fs_mkdirs(folder, 0755, &err), 0);
    snprintf(path, sizeof(path), "%s/test_lazy_own.so", folder);
    file = fopen(path, "w"); /* no library: that it was tried is told */
    assert_non_null(file);
    fputs("not ELF", file);
    fclose(file);
    assert_int_equal(
        strake_lazy_open_own("test_lazy_own.so", "libm.so.6", "libc6", symbols, 1, &err),
        STRAKE_EINTERNAL);
    assert_non_null(strstr(strake_err_message(&err), "lib/strake/test_lazy_own.so"));
    strake_err_dispose(&err);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_of_a_library_are_found),
        cmocka_unit_test(a_library_that_is_not_there_names_its_package),
        cmocka_unit_test(a_library_too_old_names_the_function_that_it_lacks),
        cmocka_unit_test(without_a_library_of_our_own_the_systems_is_opened),
        cmocka_unit_test(a_library_of_our_own_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
