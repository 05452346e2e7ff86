/* Files: what is read, what cannot be left, what is written whole, what is removed. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "torture.h"
#include "util/fs.h"

static int make(void **state)
{
    struct strake_err err = { 0 };
    char *dir = NULL;

    if (strake_fs_tempdir(&dir, &err) < 0)
        return -1;
    *state = dir;
    return 0;
}

static int drop(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(*state, &err);

    strake_free(*state);
    return rc;
}

static char *put(const char *dir, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_fs_join(dir, name);

    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    return path;
}

/* The result of reading; the failure names the path. */
static int try_read(const char *path, size_t max, const char *want)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_fs_read(path, max, &out, &err);

    assert_int_equal(err.code, rc);
    if (rc == 0)
        assert_string_equal(strake_buf_text(&out), want);
    else
        assert_non_null(strstr(strake_err_message(&err), path));
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void read_takes_regular_files_within_the_bound(void **state)
{
    char *file = put(*state, "file", "12345"), *fifo = strake_fs_join(*state, "fifo");
    char *none = strake_fs_join(*state, "none");

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(try_read(file, 5, "12345"), 0);
    assert_int_equal(try_read(file, 4, ""), STRAKE_ETOOBIG);
    assert_int_equal(try_read(none, 5, ""), STRAKE_ENOTFOUND);
    assert_int_equal(try_read(fifo, 5, ""), STRAKE_EIO); /* and does not wait for a writer */
    assert_int_equal(try_read(*state, 5, ""), STRAKE_EIO);
    assert_int_equal(try_read("/dev/zero", 5, ""), STRAKE_EIO);
    strake_free(none);
    strake_free(fifo);
    strake_free(file);
}

/* A folder with what leads out of it: links of every kind, a FIFO, a device. */
static char *make_root(const char *dir)
{
    static const char *const links[][2] = {
        { "in", "near" },       { "../out", "away" },
        { "loop", "loop" },     { "/proc/self/exe", "exe" },
        { "/dev/zero", "dev" }, { "..", "sub/up" },
    };
    char *root = strake_fs_join(dir, "root"), *sub = strake_fs_join(root, "sub");
    char *fifo = strake_fs_join(root, "fifo"), *rooted = strake_fs_join(root, "rooted");
    char *out = put(dir, "out", "secret"), *in;
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(sub, 0700, &err), 0);
    in = put(root, "in", "inside");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink(out, rooted), 0);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        char *link = strake_fs_join(root, links[i][1]);
        assert_int_equal(symlink(links[i][0], link), 0);
        strake_free(link);
    }
    strake_free(in);
    strake_free(out);
    strake_free(rooted);
    strake_free(fifo);
    strake_free(sub);
    return root;
}

/* @return the first path that was answered otherwise, or NULL. */
static const char *first_escape(const char *root, bool by_hand)
{
    static const struct {
        const char *path;
        int want, by_hand; /* without openat2 no link and no `..` at all */
    } cases[] = {
        { "in", 0, 0 },
        { "./in", 0, 0 },
        { "sub//.././in", 0, STRAKE_EIO },
        { "near", 0, STRAKE_EIO },
        { "sub/up/in", 0, STRAKE_ENOTFOUND },
        { "none", STRAKE_ENOTFOUND, STRAKE_ENOTFOUND },
        { "in/none", STRAKE_ENOTFOUND, STRAKE_ENOTFOUND },
        { "../out", STRAKE_EIO, STRAKE_EIO },
        { "sub/../../out", STRAKE_EIO, STRAKE_EIO },
        { "sub/up/../out", STRAKE_EIO, STRAKE_ENOTFOUND },
        { "away", STRAKE_EIO, STRAKE_EIO },
        { "rooted", STRAKE_EIO, STRAKE_EIO },
        { "loop", STRAKE_EIO, STRAKE_EIO },
        { "exe", STRAKE_EIO, STRAKE_EIO },
        { "dev", STRAKE_EIO, STRAKE_EIO },
        { "fifo", STRAKE_EIO, STRAKE_EIO },
        { "sub", STRAKE_EIO, STRAKE_EIO },
        { ".", STRAKE_EIO, STRAKE_EIO },
        { "/etc/passwd", STRAKE_EIO, STRAKE_EIO },
        { "/", STRAKE_EIO, STRAKE_EIO },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int want = by_hand ? cases[i].by_hand : cases[i].want;
        struct strake_buf text = { 0 };
        struct strake_err err = { 0 };
        int rc = strake_fs_read_beneath(root, cases[i].path, 100, &text, &err);
        bool right = rc == want && strcmp(strake_buf_text(&text), rc == 0 ? "inside" : "") == 0;
        strake_buf_dispose(&text);
        strake_err_dispose(&err);
        if (!right)
            return cases[i].path;
    }
    return NULL;
}

static void read_beneath_never_leaves_the_folder(void **state)
{
    char *root = make_root(*state);
    const char *escape = first_escape(root, false);

    if (escape)
        fail_msg("%s", escape);
    strake_free(root);
}

/* From now on openat2 answers `code` in this process, as old kernels and sandboxes do. */
static int forbid_openat2(unsigned code)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(rules) / sizeof(rules[0]), .filter = rules };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void read_beneath_stays_inside_without_openat2(void **state)
{
    static const int codes[] = { ENOSYS, EPERM };
    char *root = make_root(*state);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        int status = -1;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            if (forbid_openat2((unsigned)codes[i]) < 0)
                _exit(3);
            const char *escape = first_escape(root, true);
            if (escape)
                fprintf(stderr, "answered otherwise: %s\n", escape);
            _exit(escape ? 1 : 0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    strake_free(root);
}

static void write_replaces_whole_and_leaves_nothing_beside(void **state)
{
    char *path = put(*state, "file", "old and longer"), *folder;
    struct strake_err err = { 0 };
    struct stat st;

    assert_int_equal(strake_fs_write(path, "new", 3, 0600, true, &err), 0);
    assert_int_equal(try_read(path, 100, "new"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* a folder in the way: refused, and the file beside is gone, so that rmdir finds it empty */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    folder = strake_fs_join(path, "inner");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(strake_fs_write(folder, "x", 1, 0600, false, &err), STRAKE_EIO);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(path), 0);
    strake_err_dispose(&err);
    strake_free(folder);
    strake_free(path);
}

static void remove_tree_does_not_follow_links(void **state)
{
    char *kept = put(*state, "kept", "x"), *tree = strake_fs_join(*state, "tree/a/b");
    char *top = strake_fs_join(*state, "tree"), *link = strake_fs_join(top, "up");
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(tree, 0700, &err), 0);
    assert_int_equal(symlink("..", link), 0);
    assert_int_equal(strake_fs_remove_tree(top, &err), 0);
    assert_false(strake_fs_is_dir(top));
    assert_true(strake_fs_is_file(kept));
    strake_free(link);
    strake_free(top);
    strake_free(tree);
    strake_free(kept);
}

static void mkdirs_makes_all_and_refuses_a_file_in_the_way(void **state)
{
    char *deep = strake_fs_join(*state, "a/b//c/"), *file = put(*state, "file", "x");
    char *below = strake_fs_join(file, "d");
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_mkdirs(deep, 0700, &err), 0);
    assert_int_equal(strake_fs_mkdirs(deep, 0700, &err), 0);
    assert_true(strake_fs_is_dir(deep));
    assert_int_equal(strake_fs_mkdirs("/", 0700, &err), 0);
    assert_int_equal(strake_fs_mkdirs(below, 0700, &err), STRAKE_EIO);
    assert_int_equal(strake_fs_mkdirs(file, 0700, &err), STRAKE_EIO);
    assert_int_equal(strake_fs_mkdirs("", 0700, &err), STRAKE_EIO);
    assert_int_equal(strake_fs_mkdirs("/proc/none/x", 0700, &err), STRAKE_EIO);
    strake_err_dispose(&err);
    strake_free(below);
    strake_free(file);
    strake_free(deep);
}

static void remove_tree_has_nothing_against_nothing(void **state)
{
    char *none = strake_fs_join(*state, "none");
    struct strake_err err = { 0 };

    assert_int_equal(strake_fs_remove_tree(none, &err), 0);
    assert_int_equal(strake_fs_remove_tree("/proc/self/task", &err), STRAKE_EIO);
    strake_err_dispose(&err);
    strake_free(none);
}

static void join_keeps_one_slash_and_an_absolute_path(void **state)
{
    static const struct {
        const char *a, *b, *want;
    } cases[] = {
        { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "", "b", "b" },
        { "a", "/b", "/b" }, { "/", "b", "/b" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *joined = strake_fs_join(cases[i].a, cases[i].b);
        assert_string_equal(joined, cases[i].want);
        strake_free(joined);
    }
}

static void absolute_resolves_links_and_answers_null_for_nothing(void **state)
{
    char *file = put(*state, "file", "x"), *link = strake_fs_join(*state, "link");
    char *real, *want = strake_fs_absolute(file);

    assert_int_equal(symlink("file", link), 0);
    real = strake_fs_absolute(link);
    assert_string_equal(real, want);
    strake_free(real);
    assert_int_equal(unlink(file), 0);
    assert_null(strake_fs_absolute(link));
    assert_false(strake_fs_is_file(link));
    strake_free(want);
    strake_free(link);
    strake_free(file);
}

static void own_folders_follow_xdg_where_it_is_absolute(void **state)
{
    static const struct {
        const char *xdg, *home, *state, *config;
    } cases[] = {
        { "/x", "/home/u", "/x/strake", "/x/strake" },
        { "", "/home/u", "/home/u/.local/state/strake", "/home/u/.config/strake" },
        { "relative", "/home/u", "/home/u/.local/state/strake", "/home/u/.config/strake" },
        { "", "", NULL, NULL },
    };
    char *home = strake_strdup(getenv("HOME"));

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv("XDG_STATE_HOME", cases[i].xdg, 1);
        setenv("XDG_CONFIG_HOME", cases[i].xdg, 1);
        setenv("HOME", cases[i].home, 1);
        char *state_dir = strake_fs_state_dir(), *config_dir = strake_fs_config_dir();
        if (cases[i].state) {
            assert_string_equal(state_dir, cases[i].state);
            assert_string_equal(config_dir, cases[i].config);
        } else {
            assert_null(state_dir);
            assert_null(config_dir);
        }
        strake_free(state_dir);
        strake_free(config_dir);
    }
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_CONFIG_HOME");
    if (home)
        setenv("HOME", home, 1);
    strake_free(home);
}

static int write_and_read(void *ctx)
{
    struct strake_buf out = { 0 };
    struct strake_err err = { 0 };
    int rc = strake_fs_write(ctx, "text", 4, 0600, false, &err);

    if (rc == 0)
        rc = strake_fs_read(ctx, 100, &out, &err);
    assert_int_equal(err.code, rc);
    assert_true(rc == 0 || rc == STRAKE_ENOMEM);
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
    return rc;
}

static void files_survive_every_failing_allocation(void **state)
{
    char *path = strake_fs_join(*state, "file");

    torture(write_and_read, path);
    strake_free(path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(read_takes_regular_files_within_the_bound),
        TEST(read_beneath_never_leaves_the_folder),
        TEST(read_beneath_stays_inside_without_openat2),
        TEST(write_replaces_whole_and_leaves_nothing_beside),
        TEST(remove_tree_does_not_follow_links),
        TEST(mkdirs_makes_all_and_refuses_a_file_in_the_way),
        TEST(remove_tree_has_nothing_against_nothing),
        TEST(join_keeps_one_slash_and_an_absolute_path),
        TEST(absolute_resolves_links_and_answers_null_for_nothing),
        TEST(own_folders_follow_xdg_where_it_is_absolute),
        TEST(files_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
