/* What is looked at before dlopen(): half files, other machines, things that are no files. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "plugin/elf_check.h"
#include "plugin_files.h"
#include "util/err.h"

struct fixture {
    char *folder;
    char *path;
    struct file_bytes good;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->folder = folder_make();
    fixture->path = path_join(fixture->folder, "good.so");
    fixture->good = file_read(ABI_PLUGINS "/good.so");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    folder_remove(fixture->folder);
    free(fixture->path);
    free(fixture->good.data);
    free(fixture);
    return 0;
}

static void assert_refused(int (*check)(const char *path, struct strake_err *err), const char *path,
                           const char *why)
{
    struct strake_err err = { 0 };

    assert_int_equal(check(path, &err), STRAKE_ECONFIG);
    if (!strstr(strake_err_message(&err), why))
        fail_msg("\"%s\" does not say \"%s\"", strake_err_message(&err), why);
    strake_err_dispose(&err);
}

static void elf_check_takes_a_whole_shared_object(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };

    file_write(fixture->path, fixture->good.data, fixture->good.len);
    assert_int_equal(strake_elf_check(fixture->path, &err), 0);
}

static void elf_check_refuses_a_file_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;

    for (size_t len = 0; len < fixture->good.len; len += len < 256 ? 1 : 61) {
        file_write(fixture->path, fixture->good.data, len);
        assert_refused(strake_elf_check, fixture->path,
                       len < sizeof(Elf64_Ehdr) ? "too short" : "cut off");
    }
    file_write(fixture->path, fixture->good.data, fixture->good.len - 1);
    assert_refused(strake_elf_check, fixture->path, "cut off");
}

static void elf_check_refuses_what_is_not_for_this_machine(void **state)
{
    static const struct {
        size_t offset;
        unsigned char byte;
        const char *why;
    } cases[] = {
        { 0, 'x', "no ELF" },
        { EI_CLASS, ELFCLASS32, "not a 64-bit" },
        { EI_DATA, ELFDATA2MSB, "byte order" },
        { offsetof(Elf64_Ehdr, e_machine), EM_S390, "another machine" },
        { offsetof(Elf64_Ehdr, e_type), ET_EXEC, "not a shared object" },
        { offsetof(Elf64_Ehdr, e_type), ET_REL, "not a shared object" },
        { offsetof(Elf64_Ehdr, e_phnum), 0, "program headers" },
        { offsetof(Elf64_Ehdr, e_phentsize), 1, "program headers" },
        { offsetof(Elf64_Ehdr, e_phoff) + 7, 0x7f, "cut off" },
        { offsetof(Elf64_Ehdr, e_phoff) + 7, 0xff, "cut off" },
        { offsetof(Elf64_Ehdr, e_shoff) + 7, 0xff, "cut off" },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *bad = malloc(fixture->good.len);
        memcpy(bad, fixture->good.data, fixture->good.len);
        bad[cases[i].offset] = (char)cases[i].byte;
        file_write(fixture->path, bad, fixture->good.len);
        assert_refused(strake_elf_check, fixture->path, cases[i].why);
        free(bad);
    }
}

/* Each byte of the program headers turned over: never more than a refusal. */
static void elf_check_survives_damaged_program_headers(void **state)
{
    struct fixture *fixture = *state;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)fixture->good.data;
    size_t first = header->e_phoff, count = (size_t)header->e_phnum * header->e_phentsize;

    for (size_t i = 0; i < count; i++) {
        struct strake_err err = { 0 };
        fixture->good.data[first + i] ^= (char)0xff;
        file_write(fixture->path, fixture->good.data, fixture->good.len);
        int rc = strake_elf_check(fixture->path, &err);
        assert_true(rc == 0 || rc == STRAKE_ECONFIG);
        fixture->good.data[first + i] ^= (char)0xff;
        strake_err_dispose(&err);
    }
}

static void elf_check_does_not_wait_for_a_fifo(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_refused(strake_elf_check, fixture->path, "not a regular file");
}

static void elf_check_refuses_folders_and_missing_files(void **state)
{
    struct fixture *fixture = *state;

    assert_refused(strake_elf_check, fixture->path, "cannot be opened");
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_refused(strake_elf_check, fixture->path, "not a regular file");
}

static void owner_check_refuses_what_anyone_can_write_to(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };

    file_write(fixture->path, fixture->good.data, fixture->good.len);
    assert_int_equal(strake_elf_check_owner(fixture->path, &err), 0);
    chmod(fixture->path, 0666);
    assert_refused(strake_elf_check_owner, fixture->path, "may be written to by anyone");
    chmod(fixture->path, 0644);
    chmod(fixture->folder, 01777); /* as /tmp is: others could put a file there first */
    assert_refused(strake_elf_check_owner, fixture->path, "may be written to by anyone");
    chmod(fixture->folder, 0755);
    assert_int_equal(strake_elf_check_owner(fixture->path, &err), 0);
}

static void owner_check_follows_links(void **state)
{
    struct fixture *fixture = *state;
    struct strake_err err = { 0 };
    char *open_folder = folder_make();
    char *target = path_join(open_folder, "good.so");

    file_write(target, fixture->good.data, fixture->good.len);
    assert_int_equal(symlink(target, fixture->path), 0);
    assert_int_equal(strake_elf_check_owner(fixture->path, &err), 0);
    chmod(open_folder, 0777);
    assert_refused(strake_elf_check_owner, fixture->path, "may be written to by anyone");
    free(target);
    folder_remove(open_folder);
    assert_refused(strake_elf_check_owner, fixture->path, "cannot be looked at"); /* it dangles */
}

static void owner_check_refuses_another_users_file(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    file_write(fixture->path, fixture->good.data, fixture->good.len);
    assert_int_equal(chown(fixture->path, 4711, 4711), 0);
    assert_refused(strake_elf_check_owner, fixture->path, "belongs to another user (4711)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(elf_check_takes_a_whole_shared_object),
        TEST(elf_check_refuses_a_file_cut_anywhere),
        TEST(elf_check_refuses_what_is_not_for_this_machine),
        TEST(elf_check_survives_damaged_program_headers),
        TEST(elf_check_does_not_wait_for_a_fifo),
        TEST(elf_check_refuses_folders_and_missing_files),
        TEST(owner_check_refuses_what_anyone_can_write_to),
        TEST(owner_check_follows_links),
        TEST(owner_check_refuses_another_users_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
