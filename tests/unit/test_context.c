/* One digest over a context: what changes it, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "dockerfile/context.h"
#include "util/fs.h"

#include "torture.h"

/* A folder of its own for each test; its path is *state. */
static int make_context(void **state)
{
    char *path;
    struct strake_err err = { 0 };
    if (strake_fs_tempdir(&path, &err) != 0)
        return -1;
    *state = path;
    return 0;
}

static int remove_context(void **state)
{
    struct strake_err err = { 0 };
    int rc = strake_fs_remove_tree(*state, &err);
    strake_err_dispose(&err);
    strake_free(*state);
    return rc;
}

/* Write a file, the folders above it too. */
static void put(const char *context, const char *name, const char *text)
{
    struct strake_err err = { 0 };
    char *path = strake_asprintf("%s/%s", context, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(strake_fs_mkdirs(path, 0755, &err), 0);
    *slash = '/';
    assert_int_equal(strake_fs_write(path, text, strlen(text), 0644, false, &err), 0);
    strake_free(path);
}

static struct strake_buf digest_with(const char *context, const char *dockerfile)
{
    struct strake_buf text = { 0 };
    struct strake_err err = { 0 };
    char digest[STRAKE_DIGEST_TEXT];
    if (strake_context_digest(NULL, context, dockerfile, digest, &err) != 0)
        fail_msg("%s", strake_err_message(&err));
    assert_true(strake_digest_valid(digest));
    strake_buf_puts(&text, digest);
    return text;
}

/* Compare with the digest before, which it replaces. */
static bool changed(const char *context, struct strake_buf *before)
{
    struct strake_buf now = digest_with(context, "");
    bool differs = strcmp(strake_buf_text(before), strake_buf_text(&now)) != 0;
    strake_buf_dispose(before);
    *before = now;
    return differs;
}

static char *path_of(const char *context, const char *name)
{
    return strake_fs_join(context, name);
}

static void digest_follows_contents_names_modes_and_links(void **state)
{
    const char *context = *state;
    char *a = path_of(context, "a");
    char *link = path_of(context, "link");
    struct strake_buf digest = digest_with(context, "");
    put(context, "a", "1");
    assert_true(changed(context, &digest));
    assert_false(changed(context, &digest));
    put(context, "a", "2");
    assert_true(changed(context, &digest));
    put(context, "dir/b", "2");
    assert_true(changed(context, &digest));
    chmod(a, 0755);
    assert_true(changed(context, &digest));
    assert_int_equal(symlink("a", link), 0);
    assert_true(changed(context, &digest));
    unlink(link);
    assert_int_equal(symlink("nowhere", link), 0);
    assert_true(changed(context, &digest));
    char *empty = path_of(context, "empty");
    mkdir(empty, 0755);
    assert_true(changed(context, &digest));
    strake_free(empty);
    strake_free(a);
    strake_free(link);
    strake_buf_dispose(&digest);
}

static void digest_leaves_out_times_and_sockets(void **state)
{
    const char *context = *state;
    put(context, "a", "1");
    struct strake_buf digest = digest_with(context, "");
    char *a = path_of(context, "a");
    const struct timespec times[] = { { .tv_sec = 1 }, { .tv_sec = 2 } };
    assert_int_equal(utimensat(-1, a, times, 0), 0);
    assert_false(changed(context, &digest));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", context);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_false(changed(context, &digest));
    close(fd);
    char *fifo = path_of(context, "fifo"); /* never opened: that would wait for a writer */
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_true(changed(context, &digest));
    strake_free(fifo);
    strake_free(a);
    strake_buf_dispose(&digest);
}

static void digest_leaves_out_what_is_ignored(void **state)
{
    const char *context = *state;
    put(context, ".dockerignore", "log\n*.tmp\nnode\n!node/keep/me\n");
    put(context, "a", "1");
    struct strake_buf digest = digest_with(context, "");
    put(context, "log/x", "1");
    put(context, "y.tmp", "1");
    put(context, "node/x", "1");
    put(context, "node/keep/x", "1");
    assert_false(changed(context, &digest));
    put(context, "node/keep/me", "1");
    assert_true(changed(context, &digest));
    put(context, "node/keep/me", "2");
    assert_true(changed(context, &digest));
    put(context, "node/keep/x", "2");
    assert_false(changed(context, &digest));
    /* The folders above what is kept are sent with it. */
    char *node = path_of(context, "node");
    chmod(node, 0700);
    assert_true(changed(context, &digest));
    strake_free(node);
    strake_buf_dispose(&digest);
}

static void ignore_file_beside_the_dockerfile_wins(void **state)
{
    const char *context = *state;
    put(context, "a", "1");
    put(context, "b", "1");
    put(context, ".dockerignore", "a\n");
    put(context, "docker/App.Dockerfile.dockerignore", "b\n");
    char *dockerfile = path_of(context, "docker/App.Dockerfile");
    char *plain = path_of(context, "Dockerfile");
    struct strake_buf own = digest_with(context, dockerfile);
    struct strake_buf common = digest_with(context, plain);
    put(context, "b", "2");
    struct strake_buf own_after = digest_with(context, dockerfile);
    struct strake_buf common_after = digest_with(context, plain);
    assert_string_equal(strake_buf_text(&own), strake_buf_text(&own_after));
    assert_string_not_equal(strake_buf_text(&common), strake_buf_text(&common_after));
    strake_buf_dispose(&own);
    strake_buf_dispose(&common);
    strake_buf_dispose(&own_after);
    strake_buf_dispose(&common_after);
    strake_free(dockerfile);
    strake_free(plain);
}

static void digest_tells_names_from_contents(void **state)
{
    const char *context = *state;
    put(context, "one/ab", "c");
    put(context, "two/a", "bc");
    char *one = path_of(context, "one");
    char *two = path_of(context, "two");
    struct strake_buf a = digest_with(one, "");
    struct strake_buf b = digest_with(two, "");
    assert_string_not_equal(strake_buf_text(&a), strake_buf_text(&b));
    strake_buf_dispose(&a);
    strake_buf_dispose(&b);
    strake_free(one);
    strake_free(two);
}

static void digest_names_what_is_wrong(void **state)
{
    const char *context = *state;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    char *missing = path_of(context, "missing");
    assert_int_equal(strake_context_digest(NULL, missing, "", digest, &err), STRAKE_ENOTFOUND);
    assert_non_null(strstr(err.message, missing));
    strake_err_dispose(&err);
    put(context, ".dockerignore", "a\n[\n");
    assert_int_equal(strake_context_digest(NULL, context, "", digest, &err), STRAKE_EDOCKERFILE);
    assert_non_null(strstr(err.message, ".dockerignore"));
    assert_non_null(strstr(err.message, "line 2"));
    strake_err_dispose(&err);
    put(context, ".dockerignore", "");
    put(context, "dir/secret", "x");
    char *secret = path_of(context, "dir/secret");
    chmod(secret, 0);
    if (geteuid() != 0) { /* root reads everything */
        assert_int_equal(strake_context_digest(NULL, context, "", digest, &err), STRAKE_EIO);
        assert_non_null(strstr(err.message, "dir/secret"));
        assert_non_null(strstr(err.hint, ".dockerignore"));
        strake_err_dispose(&err);
    }
    strake_free(secret);
    strake_free(missing);
}

static void digest_stops_when_cancelled(void **state)
{
    const char *context = *state;
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    put(context, "a", "1");
    assert_int_equal(strake_context_digest(job, context, "", digest, &err), 0);
    strake_job_cancel(job);
    assert_int_equal(strake_context_digest(job, context, "", digest, &err), STRAKE_ECANCELLED);
    strake_err_dispose(&err);
    strake_job_free(job);
}

static void digest_refuses_a_bottomless_context(void **state)
{
    const char *context = *state;
    struct strake_buf path = { 0 };
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    for (int i = 0; i < 300; i++)
        strake_buf_puts(&path, "d/");
    strake_buf_puts(&path, "f");
    put(context, strake_buf_text(&path), "x");
    assert_int_equal(strake_context_digest(NULL, context, "", digest, &err), STRAKE_EIO);
    assert_non_null(strstr(err.message, "deep"));
    strake_err_dispose(&err);
    strake_buf_dispose(&path);
}

static int digest_once(void *ctx)
{
    char digest[STRAKE_DIGEST_TEXT];
    struct strake_err err = { 0 };
    int rc = strake_context_digest(NULL, ctx, "", digest, &err);
    assert_int_equal(err.code, rc);
    strake_err_dispose(&err);
    return rc;
}

static void digest_survives_every_failing_allocation(void **state)
{
    put(*state, ".dockerignore", "x\n!x/y\n");
    put(*state, "a/b", "1");
    put(*state, "x/y", "1");
    torture(digest_once, *state);
}

#define context_test(name) cmocka_unit_test_setup_teardown(name, make_context, remove_context)

int main(void)
{
    const struct CMUnitTest tests[] = {
        context_test(digest_follows_contents_names_modes_and_links),
        context_test(digest_leaves_out_times_and_sockets),
        context_test(digest_leaves_out_what_is_ignored),
        context_test(ignore_file_beside_the_dockerfile_wins),
        context_test(digest_tells_names_from_contents),
        context_test(digest_names_what_is_wrong),
        context_test(digest_stops_when_cancelled),
        context_test(digest_refuses_a_bottomless_context),
        context_test(digest_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
