/* Claims: one process at a time, whatever ends the others. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "record_folder.h"
#include "torture.h"

/* @return 0, or STRAKE_ECONFLICT with the holder's run in `holder` (64 bytes) */
static int claim(struct strake_record *record, const char *run, const char *what,
                 struct strake_claim **out, char *holder)
{
    struct strake_err err = { 0 };
    char *run_of_it = NULL;
    int rc = strake_record_claim(record, run, what, out, &run_of_it, &err);

    snprintf(holder, 64, "%s", run_of_it ? run_of_it : "");
    strake_free(run_of_it);
    strake_err_dispose(&err);
    return rc;
}

static int files_left(const char *dir)
{
    char *folder = strake_asprintf("%s/claims", dir);
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(stream);
    while ((entry = readdir(stream)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(stream);
    strake_free(folder);
    return count;
}

static void claim_is_one_s_alone_until_it_is_given_up(void **state)
{
    struct strake_record *record = history_open(*state), *again = history_open(*state);
    struct strake_claim *one = NULL, *two = NULL, *three = NULL;
    char holder[64];

    assert_int_equal(claim(record, "run-1", "rollback a", &one, holder), 0);
    assert_int_equal(claim(again, "run-2", "rollback a", &two, holder), STRAKE_ECONFLICT);
    assert_string_equal(holder, "run-1");
    assert_null(two);
    assert_int_equal(claim(again, "run-2", "rollback b", &three, holder), 0); /* another thing */
    strake_claim_free(one);
    assert_int_equal(claim(again, "run-2", "rollback a", &two, holder), 0);
    strake_claim_free(two);
    strake_claim_free(three);
    strake_claim_free(NULL);
    assert_int_equal(files_left(*state), 0);
    history_close(record);
    history_close(again);
}

/* A child that holds a claim, or ends at once with 1: told by a byte. */
static pid_t child_with_claim(const char *dir, const char *run)
{
    int fds[2];
    char byte = 0;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct strake_record *record = NULL;
        struct strake_claim *held = NULL;
        struct strake_err err = { 0 };
        char *holder = NULL;
        close(fds[0]);
        if (strake_record_open(dir, true, &record, &err) < 0 ||
            strake_record_claim(record, run, "it", &held, &holder, &err) < 0 ||
            write(fds[1], "y", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    return child;
}

static void claim_of_a_killed_process_is_free(void **state)
{
    pid_t child = child_with_claim(*state, "run-k");
    struct strake_record *record = history_open(*state);
    struct strake_claim *mine = NULL;
    char holder[64];
    int status;

    assert_int_equal(claim(record, "run-m", "it", &mine, holder), STRAKE_ECONFLICT);
    assert_string_equal(holder, "run-k");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(files_left(*state), 1); /* its file is there, and nobody holds it */
    assert_int_equal(claim(record, "run-m", "it", &mine, holder), 0);
    strake_claim_free(mine);
    history_close(record);
}

/* Many processes want the same thing again and again: never two of them have it. */
static void claim_and_let_go(const char *dir, const char *mark)
{
    struct strake_record *record = NULL;
    struct strake_err err = { 0 };

    if (strake_record_open(dir, true, &record, &err) < 0)
        _exit(1);
    for (int i = 0; i < 400; i++) {
        struct strake_claim *mine = NULL;
        char *holder = NULL;
        int rc = strake_record_claim(record, "run", "it", &mine, &holder, &err);
        strake_free(holder);
        strake_err_dispose(&err);
        if (rc == STRAKE_ECONFLICT)
            continue;
        if (rc < 0)
            _exit(2);
        if (symlink("x", mark) < 0) /* somebody else has it, too */
            _exit(3);
        if (unlink(mark) < 0)
            _exit(4);
        strake_claim_free(mine);
    }
    _exit(0);
}

static void claim_is_never_of_two_processes(void **state)
{
    char *mark = strake_asprintf("%s/mark", (const char *)*state);
    pid_t children[4];

    history_close(history_open(*state)); /* the database is made */
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            claim_and_let_go(*state, mark);
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    strake_free(mark);
}

static void claim_without_a_folder_is_told(void **state)
{
    struct strake_record *record = history_open(*state);
    char *path = strake_asprintf("%s/claims", (const char *)*state);
    struct strake_claim *mine = NULL;
    struct strake_err err = { 0 };
    char *holder = NULL;

    assert_int_equal(symlink("/proc/nothing", path), 0);
    assert_int_equal(strake_record_claim(record, "run", "it", &mine, &holder, &err), STRAKE_EIO);
    assert_non_null(strstr(strake_err_message(&err), "claims"));
    assert_null(mine);
    assert_null(holder);
    strake_err_dispose(&err);
    assert_int_equal(unlink(path), 0);
    strake_free(path);
    history_close(record);
}

static int take_and_give(void *ctx)
{
    struct strake_record *record = ctx;
    struct strake_claim *mine = NULL;
    struct strake_err err = { 0 };
    char *holder = NULL;
    int rc = strake_record_claim(record, "run", "it", &mine, &holder, &err);

    assert_null(holder);
    strake_err_dispose(&err);
    strake_claim_free(mine);
    return rc;
}

static void claim_survives_want_of_memory(void **state)
{
    struct strake_record *record = history_open(*state);

    torture(take_and_give, record);
    assert_int_equal(files_left(*state), 0);
    history_close(record);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(claim_is_one_s_alone_until_it_is_given_up),
        TEST(claim_of_a_killed_process_is_free),
        TEST(claim_is_never_of_two_processes),
        TEST(claim_without_a_folder_is_told),
        TEST(claim_survives_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
