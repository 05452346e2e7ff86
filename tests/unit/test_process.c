/* Running programs: their output, input, environment, descriptors, end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/process.h"
#include "util/secret.h"
#include "util/time.h"

#include "torture.h"

/* What a child gave on one descriptor. */
struct sink {
    struct strake_buf text;
    int fail; /* returned instead of taking more */
};

static int sink_take(void *ctx, const char *data, size_t len)
{
    struct sink *sink = ctx;
    return sink->fail < 0 ? sink->fail : strake_buf_append(&sink->text, data, len);
}

/* `sh -c script`, its stdout and stderr kept. */
struct shell {
    struct strake_process process;
    struct strake_process_fd fds[3];
    const struct strake_process_fd *list[4];
    const char *argv[4];
    struct sink out;
    struct sink errors;
    struct sink third;
    struct strake_process_result result;
    struct strake_err err;
};

static void shell_init(struct shell *shell, const char *script)
{
    *shell = (struct shell){ .argv = { "sh", "-c", script, NULL } };
    shell->fds[0] = (struct strake_process_fd){ 1, sink_take, &shell->out };
    shell->fds[1] = (struct strake_process_fd){ 2, sink_take, &shell->errors };
    shell->fds[2] = (struct strake_process_fd){ 7, sink_take, &shell->third };
    shell->list[0] = &shell->fds[0];
    shell->list[1] = &shell->fds[1];
    shell->process = (struct strake_process){ .size = sizeof(shell->process),
                                              .argv = shell->argv,
                                              .fds = shell->list };
    shell->result.size = sizeof(shell->result);
}

static int shell_run(struct shell *shell, struct strake_job *job)
{
    return strake_process_run(job, &shell->process, &shell->result, &shell->err);
}

static void shell_free(struct shell *shell)
{
    strake_buf_dispose(&shell->out.text);
    strake_buf_dispose(&shell->errors.text);
    strake_buf_dispose(&shell->third.text);
    strake_err_dispose(&shell->err);
}

static void run_tells_how_a_program_ended(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int exit_code;
        int signal;
    } cases[] = {
        { "exit 0", 0, 0 },
        { "exit 3", 3, 0 },
        { "exit 255", 255, 0 },
        { "kill -KILL $$", -1, SIGKILL },
        { "kill -TERM $$", -1, SIGTERM },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct shell shell;
        shell_init(&shell, cases[i].script);
        assert_int_equal(shell_run(&shell, NULL), 0);
        assert_int_equal(shell.result.exit_code, cases[i].exit_code);
        assert_int_equal(shell.result.signal, cases[i].signal);
        shell_free(&shell);
    }
}

static void run_keeps_stdout_stderr_and_a_third_descriptor_apart(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "echo out; echo err >&2; echo third >/dev/fd/7; echo more");
    shell.list[2] = &shell.fds[2];
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_string_equal(strake_buf_text(&shell.out.text), "out\nmore\n");
    assert_string_equal(strake_buf_text(&shell.errors.text), "err\n");
    assert_string_equal(strake_buf_text(&shell.third.text), "third\n");
    shell_free(&shell);
}

/* Descriptors of ours, inheritable ones too, below and above those asked for. */
static void run_gives_a_child_only_what_was_asked_for(void **state)
{
    (void)state;
    int low = open("/dev/null", O_RDONLY);
    int high = fcntl(low, F_DUPFD, 200);
    assert_true(low >= 0 && high >= 200);
    struct shell shell;
    shell_init(&shell, "ls /proc/self/fd | sort -n | tr '\\n' ' '");
    shell.list[2] = &shell.fds[2];
    assert_int_equal(shell_run(&shell, NULL), 0);
    /* The fourth is the folder that ls reads. */
    assert_string_equal(strake_buf_text(&shell.out.text), "0 1 2 3 7 ");
    shell_free(&shell);
    close(low);
    close(high);
}

static void run_lays_descriptors_out_whatever_is_free_here(void **state)
{
    (void)state;
    /* With the low numbers free, the ends of pipes get just the numbers that the child asks for. */
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 50);
    close(STDIN_FILENO);
    struct shell shell;
    shell_init(&shell, "cat; echo err >&2; echo seven >&7");
    shell.list[2] = &shell.fds[2];
    shell.process.input = "given";
    shell.process.input_len = 5;
    int rc = shell_run(&shell, NULL);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(rc, 0);
    assert_string_equal(strake_buf_text(&shell.out.text), "given");
    assert_string_equal(strake_buf_text(&shell.errors.text), "err\n");
    assert_string_equal(strake_buf_text(&shell.third.text), "seven\n");
    shell_free(&shell);
}

static void run_feeds_and_reads_more_than_pipes_hold(void **state)
{
    (void)state;
    size_t len = 3 * 1024 * 1024 + 17;
    char *input = malloc(len);
    for (size_t i = 0; i < len; i++)
        input[i] = (char)('a' + i % 23);
    struct shell shell;
    shell_init(&shell, "cat");
    shell.process.input = input;
    shell.process.input_len = len;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_int_equal(shell.out.text.len, len);
    assert_memory_equal(shell.out.text.data, input, len);
    shell_free(&shell);
    free(input);
}

/* A SIGPIPE would end this very test: its default action is in force. */
static void run_survives_a_child_that_does_not_read_its_input(void **state)
{
    (void)state;
    size_t len = 1024 * 1024;
    char *input = calloc(1, len);
    struct shell shell;
    signal(SIGPIPE, SIG_DFL);
    shell_init(&shell, "exec <&-; sleep 0.1; exit 4");
    shell.process.input = input;
    shell.process.input_len = len;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_int_equal(shell.result.exit_code, 4);
    shell_free(&shell);
    free(input);
}

static void run_gives_dev_null_where_nothing_was_asked_for(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "readlink /proc/self/fd/0; readlink /proc/self/fd/2");
    shell.list[1] = NULL;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_string_equal(strake_buf_text(&shell.out.text), "/dev/null\n/dev/null\n");
    shell_free(&shell);
}

static void run_sets_and_unsets_variables(void **state)
{
    (void)state;
    static const char *const changes[] = { "STRAKE_T_SET=new",   "STRAKE_T_GONE",
                                           "STRAKE_T_TWICE=one", "STRAKE_T_TWICE=two",
                                           "STRAKE_T_EMPTY=",    NULL };
    setenv("STRAKE_T_SET", "old", 1);
    setenv("STRAKE_T_GONE", "here", 1);
    setenv("STRAKE_T_KEPT", "kept", 1);
    struct shell shell;
    shell_init(&shell, "env | grep ^STRAKE_T_ | sort");
    shell.process.env = changes;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_string_equal(strake_buf_text(&shell.out.text),
                        "STRAKE_T_EMPTY=\nSTRAKE_T_KEPT=kept\nSTRAKE_T_SET=new\n"
                        "STRAKE_T_TWICE=two\n");
    shell_free(&shell);
}

static void run_starts_in_the_folder_asked_for(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "pwd");
    shell.process.cwd = "/usr";
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_string_equal(strake_buf_text(&shell.out.text), "/usr\n");
    shell_free(&shell);

    shell_init(&shell, "pwd");
    shell.process.cwd = "/no/such/folder";
    assert_int_equal(shell_run(&shell, NULL), STRAKE_EIO);
    assert_non_null(strstr(strake_err_message(&shell.err), "/no/such/folder"));
    shell_free(&shell);
}

static void run_says_which_program_is_missing(void **state)
{
    (void)state;
    static const char *const programs[] = { "strake-no-such-program", "/no/such/program", "",
                                            "/etc/passwd", "/usr" };
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        struct shell shell;
        shell_init(&shell, "");
        shell.argv[0] = programs[i];
        assert_int_equal(shell_run(&shell, NULL), STRAKE_ENOTFOUND);
        assert_non_null(strstr(strake_err_message(&shell.err), programs[i]));
        assert_non_null(shell.err.hint);
        shell_free(&shell);
    }
}

static void run_says_when_the_system_refuses(void **state)
{
    (void)state;
    struct shell shell;
    size_t len = 4 * 1024 * 1024;
    char *huge = malloc(len + 1);
    memset(huge, 'x', len);
    huge[len] = '\0';
    shell_init(&shell, huge);
    assert_int_equal(shell_run(&shell, NULL), STRAKE_EIO);
    assert_non_null(strstr(strake_err_message(&shell.err), strerror(E2BIG)));
    shell_free(&shell);
    free(huge);

    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 20; /* no room for what a child is given */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    shell_init(&shell, "exit 0");
    int rc = shell_run(&shell, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, STRAKE_EIO);
    shell_free(&shell);
}

static void run_refuses_a_marked_secret_in_argv(void **state)
{
    (void)state;
    strake_secret_mark("hunter2-secret", 14);
    struct shell shell;
    shell_init(&shell, "echo hunter2-secret");
    assert_int_equal(shell_run(&shell, NULL), STRAKE_EINTERNAL);
    assert_null(strstr(strake_err_message(&shell.err), "hunter2"));
    assert_int_equal(shell.out.text.len, 0);
    shell_free(&shell);

    shell_init(&shell, "echo something else");
    assert_int_equal(shell_run(&shell, NULL), 0);
    shell_free(&shell);
    strake_secret_reset();
}

static void run_refuses_descriptors_that_cannot_be(void **state)
{
    (void)state;
    static const int numbers[] = { 0, -1, 100, 2 };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct shell shell;
        shell_init(&shell, "exit 0");
        shell.fds[2].fd = numbers[i];
        shell.list[2] = &shell.fds[2];
        assert_int_equal(shell_run(&shell, NULL), STRAKE_EUSAGE);
        shell_free(&shell);
    }
}

static void run_starts_children_with_default_signals_and_an_empty_mask(void **state)
{
    (void)state;
    struct shell shell;
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGINT, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    shell_init(&shell, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
    int rc = shell_run(&shell, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGINT, SIG_DFL);
    assert_int_equal(rc, 0);
    unsigned long blocked = 1, ignored = 1;
    assert_int_equal(
        sscanf(strake_buf_text(&shell.out.text), "SigBlk:\t%lx\nSigIgn:\t%lx", &blocked, &ignored),
        2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffff, 0); /* 32 and 33 are glibc's own */
    shell_free(&shell);
}

static void run_ends_a_program_at_its_time_limit(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "echo begun; sleep 600");
    shell.process.timeout_ms = 500;
    assert_int_equal(shell_run(&shell, NULL), STRAKE_ETIMEOUT);
    assert_string_equal(strake_buf_text(&shell.out.text), "begun\n");
    assert_non_null(strstr(strake_err_message(&shell.err), "500 ms"));
    shell_free(&shell);
}

static void run_kills_a_program_that_ignores_sigterm_and_its_children(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "trap '' TERM; sh -c 'echo $$; exec sleep 600' & sleep 600; sleep 600");
    shell.process.timeout_ms = 1000;
    shell.process.grace_ms = 100;
    assert_int_equal(shell_run(&shell, NULL), STRAKE_ETIMEOUT);
    assert_int_equal(shell.result.exit_code, -1);
    assert_int_equal(shell.result.signal, SIGKILL);
    pid_t grandchild = (pid_t)atoi(strake_buf_text(&shell.out.text));
    assert_true(grandchild > 1);
    /* Dead, or a zombie that init has not collected yet. */
    for (int i = 0; i < 100; i++) {
        char path[64], line[256] = "";
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(line, sizeof(line), file) == NULL ||
            strstr(line, ") Z") != NULL || strstr(line, ") X") != NULL) {
            if (file != NULL)
                fclose(file);
            shell_free(&shell);
            return;
        }
        fclose(file);
        usleep(20000);
    }
    fail_msg("process %d lives on", (int)grandchild);
}

static void run_ends_a_stopped_program(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "trap 'exit 9' TERM; kill -STOP $$; sleep 0.01");
    shell.process.timeout_ms = 1000;
    shell.process.grace_ms = 30000;
    assert_int_equal(shell_run(&shell, NULL), STRAKE_ETIMEOUT);
    assert_int_equal(shell.result.exit_code, 9);
    shell_free(&shell);
}

static void run_does_not_wait_for_a_grandchild_that_keeps_a_pipe(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "echo $$; (trap '' HUP; sleep 30) & exit 0");
    int64_t start = strake_time_mono_ms();
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_true(strake_time_mono_ms() - start < 20000);
    pid_t group = (pid_t)atoi(strake_buf_text(&shell.out.text));
    assert_true(group > 1);
    assert_int_equal(kill(-group, SIGKILL), 0); /* it is still there, and ours to end */
    shell_free(&shell);
}

static void *cancel_soon(void *job)
{
    usleep(500000);
    strake_job_cancel(job);
    return NULL;
}

static void run_is_cancelled_with_its_job(void **state)
{
    (void)state;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct shell shell;
    pthread_t thread;
    shell_init(&shell, "trap 'echo told; exit 0' TERM; echo begun; sleep 600 & wait");
    pthread_create(&thread, NULL, cancel_soon, job);
    assert_int_equal(shell_run(&shell, job), STRAKE_ECANCELLED);
    pthread_join(thread, NULL);
    assert_string_equal(strake_buf_text(&shell.out.text), "begun\ntold\n");
    shell_free(&shell);

    /* And from then on nothing is started for it. */
    shell_init(&shell, "echo again");
    assert_int_equal(shell_run(&shell, job), STRAKE_ECANCELLED);
    assert_int_equal(shell.out.text.len, 0);
    shell_free(&shell);
    strake_job_free(job);
}

static void run_ends_at_the_deadline_of_its_job(void **state)
{
    (void)state;
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct shell shell;
    strake_job_set_timeout(job, 100);
    shell_init(&shell, "sleep 600");
    shell.process.timeout_ms = 500000;
    assert_int_equal(shell_run(&shell, job), STRAKE_ETIMEOUT);
    shell_free(&shell);
    strake_job_free(job);
}

static void run_ends_a_program_whose_output_is_refused(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "yes");
    shell.out.fail = STRAKE_ECORRUPT;
    assert_int_equal(shell_run(&shell, NULL), STRAKE_ECORRUPT);
    assert_int_equal(shell.err.code, STRAKE_ECORRUPT);
    assert_true(shell.result.signal == SIGTERM || shell.result.signal == SIGPIPE);
    shell_free(&shell);
}

/* Children of other threads: how many are still waited for. */
static atomic_int sleeping;

static void *sleep_long(void *ctx)
{
    struct shell *shell = ctx;
    shell_run(shell, NULL);
    atomic_fetch_sub(&sleeping, 1);
    return NULL;
}

static void kill_all_ends_every_running_child(void **state)
{
    (void)state;
    struct shell shells[3];
    pthread_t threads[3];
    atomic_store(&sleeping, 3);
    for (size_t i = 0; i < 3; i++) {
        shell_init(&shells[i], "sleep 600");
        pthread_create(&threads[i], NULL, sleep_long, &shells[i]);
    }
    while (atomic_load(&sleeping) > 0) { /* the first time some may not have begun */
        usleep(50000);
        strake_process_kill_all(SIGKILL);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(shells[i].result.signal, SIGKILL);
        shell_free(&shells[i]);
    }
}

/* Called so many times before it says no. */
struct patience {
    int left;
    int asked;
};

static int patience_ask(void *ctx)
{
    struct patience *patience = ctx;
    patience->asked++;
    return patience->left-- > 0 ? 0 : STRAKE_EBUILDER;
}

static void run_ends_a_program_when_its_watcher_gives_up(void **state)
{
    (void)state;
    struct shell shell;
    struct patience patience = { .left = 2 };
    shell_init(&shell, "echo here; exec sleep 60");
    shell.process.watch = patience_ask;
    shell.process.watch_ctx = &patience;
    shell.process.watch_ms = 20;
    assert_int_equal(shell_run(&shell, NULL), STRAKE_EBUILDER);
    assert_int_equal(patience.asked, 3);
    assert_int_equal(shell.err.code, STRAKE_EBUILDER);
    assert_int_equal(shell.result.signal, SIGTERM);
    assert_string_equal(strake_buf_text(&shell.out.text), "here\n");
    shell_free(&shell);
}

static void run_lets_a_program_end_that_is_watched(void **state)
{
    (void)state;
    struct shell shell;
    struct patience patience = { .left = INT_MAX };
    shell_init(&shell, "sleep 0.3; exit 4");
    shell.process.watch = patience_ask;
    shell.process.watch_ctx = &patience;
    shell.process.watch_ms = 10;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_int_equal(shell.result.exit_code, 4);
    assert_true(patience.asked > 0);
    shell_free(&shell);
}

static void run_reads_only_the_fields_that_a_caller_has(void **state)
{
    (void)state;
    struct shell shell;
    shell_init(&shell, "exit 5");
    shell.process.timeout_ms = 1; /* beyond the size below: unseen */
    shell.process.size = offsetof(struct strake_process, timeout_ms);
    shell.result.size = offsetof(struct strake_process_result, signal);
    shell.result.signal = 77;
    assert_int_equal(shell_run(&shell, NULL), 0);
    assert_int_equal(shell.result.exit_code, 5);
    assert_int_equal(shell.result.signal, 77);
    shell_free(&shell);
}

static void capture_bounds_what_it_keeps(void **state)
{
    (void)state;
    static const char *const argv[] = { "yes", NULL };
    struct strake_buf out = STRAKE_BUF(1000);
    struct strake_process_result result = { .size = sizeof(result) };
    struct strake_err err = { 0 };
    assert_int_equal(strake_process_capture(NULL, argv, NULL, &out, NULL, 0, &result, &err),
                     STRAKE_ETOOBIG);
    assert_non_null(strstr(strake_err_message(&err), "1000"));
    strake_buf_dispose(&out);
    strake_err_dispose(&err);
}

static void which_passes_over_relative_folders_and_what_cannot_be_run(void **state)
{
    (void)state;
    char folder[] = "/tmp/strake-which-XXXXXX";
    char path[64], variable[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/strake-t", folder);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    char *before = strdup(getenv("PATH"));
    char *cwd = getcwd(NULL, 0);
    assert_int_equal(chdir(folder), 0);

    snprintf(variable, sizeof(variable), "::.:%s:", folder);
    setenv("PATH", variable, 1);
    assert_null(strake_process_which("strake-t")); /* not executable */
    chmod(path, 0700);
    char *found = strake_process_which("strake-t");
    assert_string_equal(found, path);
    strake_free(found);
    setenv("PATH", "::.:", 1);
    assert_null(strake_process_which("strake-t"));

    setenv("PATH", before, 1);
    assert_int_equal(chdir(cwd), 0);
    free(before);
    free(cwd);
    unlink(path);
    rmdir(folder);
}

static int run_once(void *ctx)
{
    (void)ctx;
    static const char *const changes[] = { "STRAKE_T=1", "HOME", NULL };
    struct shell shell;
    shell_init(&shell, "cat; echo err >&2");
    shell.process.env = changes;
    shell.process.input = "text";
    shell.process.input_len = 4;
    int rc = shell_run(&shell, NULL);
    if (rc == 0)
        assert_string_equal(strake_buf_text(&shell.out.text), "text");
    else
        assert_int_equal(shell.err.code, rc);
    shell_free(&shell);
    return rc;
}

static void run_survives_every_failing_allocation(void **state)
{
    (void)state;
    torture(run_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_tells_how_a_program_ended),
        cmocka_unit_test(run_keeps_stdout_stderr_and_a_third_descriptor_apart),
        cmocka_unit_test(run_gives_a_child_only_what_was_asked_for),
        cmocka_unit_test(run_lays_descriptors_out_whatever_is_free_here),
        cmocka_unit_test(run_feeds_and_reads_more_than_pipes_hold),
        cmocka_unit_test(run_survives_a_child_that_does_not_read_its_input),
        cmocka_unit_test(run_gives_dev_null_where_nothing_was_asked_for),
        cmocka_unit_test(run_sets_and_unsets_variables),
        cmocka_unit_test(run_starts_in_the_folder_asked_for),
        cmocka_unit_test(run_says_which_program_is_missing),
        cmocka_unit_test(run_says_when_the_system_refuses),
        cmocka_unit_test(run_refuses_a_marked_secret_in_argv),
        cmocka_unit_test(run_refuses_descriptors_that_cannot_be),
        cmocka_unit_test(run_starts_children_with_default_signals_and_an_empty_mask),
        cmocka_unit_test(run_ends_a_program_at_its_time_limit),
        cmocka_unit_test(run_kills_a_program_that_ignores_sigterm_and_its_children),
        cmocka_unit_test(run_ends_a_stopped_program),
        cmocka_unit_test(run_does_not_wait_for_a_grandchild_that_keeps_a_pipe),
        cmocka_unit_test(run_is_cancelled_with_its_job),
        cmocka_unit_test(run_ends_at_the_deadline_of_its_job),
        cmocka_unit_test(run_ends_a_program_whose_output_is_refused),
        cmocka_unit_test(run_ends_a_program_when_its_watcher_gives_up),
        cmocka_unit_test(run_lets_a_program_end_that_is_watched),
        cmocka_unit_test(kill_all_ends_every_running_child),
        cmocka_unit_test(run_reads_only_the_fields_that_a_caller_has),
        cmocka_unit_test(capture_bounds_what_it_keeps),
        cmocka_unit_test(which_passes_over_relative_folders_and_what_cannot_be_run),
        cmocka_unit_test(run_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
