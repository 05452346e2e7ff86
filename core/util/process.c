/* Running a program to its end: one poll() over its output, its stdin, its pidfd, the job's
 * cancellation and the deadlines, all on the caller's thread. */
#include "util/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/mem.h"
#include "util/process_impl.h"
#include "util/sigpipe.h"
#include "util/time.h"

#define CHUNK ((size_t)64 * 1024) /* what a pipe holds */
#define DEFAULT_GRACE_MS 2000
#define DEFAULT_WATCH_MS 1000
/* What the child's own children may still keep open does not hold us up for longer than this. */
#define DRAIN_MS 1000
/* A deadline that another thread brings forward is seen this much later at most. */
#define LOOK_AGAIN_MS 1000

enum stage {
    RUNNING,
    TERMINATED, /* SIGTERM is sent */
    KILLED,     /* SIGKILL is sent */
    ENDED       /* the child is reaped; its pipes are being drained */
};

struct run {
    const struct strake_process *process;
    struct strake_job *job; /* may be NULL */
    struct strake_err *err;
    struct strake_child child;
    enum stage stage;
    int64_t timeout_at; /* of the process itself; INT64_MAX: none */
    int64_t watch_at;   /* when the caller is asked next; INT64_MAX: never */
    int64_t stage_end;  /* when the next stage is due; INT64_MAX: not */
    size_t input_at;
    int rc;    /* why it was ended by us; 0: it was not */
    bool deaf; /* a callback failed: what else comes is dropped */
    siginfo_t status;
    char *chunk;
};

static const char *name_of(const struct run *run)
{
    return run->process->argv[0];
}

/* ---- ending it ------------------------------------------------------------------------------ */

static void signal_group(struct run *run, int signal)
{
    kill(-run->child.pid, signal);
    /* A stopped program takes a SIGTERM only when it goes on. */
    kill(-run->child.pid, SIGCONT);
}

/* Begin to end it, for this reason; an earlier reason stands. */
static void stop(struct run *run, int rc)
{
    if (run->rc == 0)
        run->rc = rc;
    if (run->stage != RUNNING)
        return;
    int64_t grace = run->process->grace_ms > 0 ? run->process->grace_ms : DEFAULT_GRACE_MS;
    run->stage = TERMINATED;
    run->stage_end = strake_time_mono_ms() + grace;
    signal_group(run, SIGTERM);
}

/* The time that the callback takes does not count. */
static void watch_later(struct run *run)
{
    int64_t every = run->process->watch_ms > 0 ? run->process->watch_ms : DEFAULT_WATCH_MS;
    int64_t now = strake_time_mono_ms();
    run->watch_at = every < INT64_MAX - now ? now + every : INT64_MAX;
}

static void ask_caller(struct run *run)
{
    int rc = run->process->watch(run->process->watch_ctx);
    watch_later(run);
    if (rc == 0)
        return;
    if (run->err->code == 0)
        strake_fail(run->err, rc, "%s: it is not waited for any longer", name_of(run));
    stop(run, rc);
}

static void check_deadlines(struct run *run)
{
    int64_t now = strake_time_mono_ms();
    if (run->stage == RUNNING) {
        int rc = run->job != NULL ? strake_job_check(run->job, run->err) : 0;
        if (rc < 0) {
            strake_err_prefix(run->err, "%s: ", name_of(run));
            stop(run, rc);
        } else if (now >= run->timeout_at) {
            char limit[STRAKE_TIME_TEXT];
            strake_duration_format(run->process->timeout_ms, limit, sizeof(limit));
            stop(run, strake_fail(run->err, STRAKE_ETIMEOUT, "%s: not done within %s", name_of(run),
                                  limit));
        } else if (now >= run->watch_at) {
            ask_caller(run);
        }
    }
    if (run->stage == TERMINATED && now >= run->stage_end) {
        run->stage = KILLED;
        run->stage_end = INT64_MAX;
        signal_group(run, SIGKILL);
    }
}

static void reap(struct run *run)
{
    /* Until it is reaped its number cannot be another's: what is left of a group that we end goes
     * now, and the table forgets it before the number is free. */
    if (run->rc < 0)
        kill(-run->child.pid, SIGKILL);
    strake_group_release(run->child.slot);
    int rc;
    do {
        rc = waitid(P_PIDFD, (id_t)run->child.pidfd, &run->status, WEXITED);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && run->rc == 0)
        run->rc =
            strake_fail_errno(run->err, STRAKE_EIO, "%s: its exit status is lost", name_of(run));
    run->stage = ENDED;
    run->stage_end = strake_time_mono_ms() + DRAIN_MS;
}

/* ---- its descriptors ------------------------------------------------------------------------ */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A child that closes its stdin early is no failure: its exit code says what it made of it. */
static void feed(struct run *run)
{
    const char *data = run->process->input;
    struct strake_sigpipe sigpipe;
    strake_sigpipe_hold(&sigpipe);
    ssize_t wrote =
        write(run->child.input, data + run->input_at, run->process->input_len - run->input_at);
    strake_sigpipe_release(&sigpipe);
    if (wrote > 0)
        run->input_at += (size_t)wrote;
    else if (wrote < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (wrote < 0 || run->input_at == run->process->input_len)
        close_fd(&run->child.input);
}

/* One read of one output. @return whether there may be more at once. */
static bool take(struct run *run, size_t i)
{
    const struct strake_process_fd *fd = run->process->fds[i];
    ssize_t got = read(run->child.outputs[i], run->chunk, CHUNK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR;
    if (got <= 0) {
        close_fd(&run->child.outputs[i]);
        return false;
    }
    if (run->deaf)
        return true; /* the child must not block on what nobody wants */
    int rc = fd->data != NULL ? fd->data(fd->ctx, run->chunk, (size_t)got) : 0;
    if (rc < 0) {
        run->deaf = true;
        /* The callback may have said more in the same place. */
        if (run->err->code == 0)
            strake_fail(run->err, rc, "%s: its output on descriptor %d was not taken", name_of(run),
                        fd->fd);
        if (run->stage == ENDED)
            run->rc = run->rc < 0 ? run->rc : rc;
        else
            stop(run, rc);
    }
    return true;
}

static bool drained(const struct run *run)
{
    for (size_t i = 0; i < run->child.output_count; i++) {
        if (run->child.outputs[i] >= 0)
            return false;
    }
    return true;
}

/* ---- the wait ------------------------------------------------------------------------------- */

static int poll_timeout(const struct run *run)
{
    int64_t until = run->stage_end;
    int64_t now = strake_time_mono_ms();
    if (run->stage == RUNNING) {
        until = run->timeout_at < until ? run->timeout_at : until;
        until = run->watch_at < until ? run->watch_at : until;
        int64_t left = run->job != NULL ? strake_job_remaining_ms(run->job) : -1;
        if (left >= 0 && left < until - now)
            until = now + left;
    }
    int64_t wait = until > now ? until - now : 0;
    return wait < LOOK_AGAIN_MS ? (int)wait : LOOK_AGAIN_MS;
}

/* One round: wait for anything, then do all that is due. To poll() a negative descriptor is
 * none. */
static int turn(struct run *run)
{
    struct pollfd polled[STRAKE_PROCESS_FDS + 3];
    struct strake_child *child = &run->child;
    nfds_t n = 0;
    for (size_t i = 0; i < child->output_count; i++)
        polled[n++] = (struct pollfd){ .fd = child->outputs[i], .events = POLLIN };
    struct pollfd *input = &polled[n++];
    *input = (struct pollfd){ .fd = child->input, .events = POLLOUT };
    struct pollfd *end = &polled[n++];
    *end = (struct pollfd){ .fd = run->stage != ENDED ? child->pidfd : -1, .events = POLLIN };
    struct pollfd *cancel = &polled[n++];
    *cancel = (struct pollfd){ .fd = -1, .events = POLLIN };
    if (run->job != NULL && run->stage == RUNNING)
        cancel->fd = strake_job_cancel_fd(run->job);

    if (poll(polled, n, poll_timeout(run)) < 0 && errno != EINTR && errno != EAGAIN)
        return strake_fail_errno(run->err, STRAKE_EIO, "%s: cannot be waited for", name_of(run));
    if (child->input >= 0 && input->revents != 0)
        feed(run);
    for (size_t i = 0; i < child->output_count; i++) {
        if (child->outputs[i] >= 0 && polled[i].revents != 0)
            take(run, i);
    }
    if (run->stage != ENDED && end->revents != 0)
        reap(run);
    if (run->stage != ENDED)
        check_deadlines(run);
    return 0;
}

/* poll() itself failed, which leaves nothing to wait with: end it the hard way. */
static void abandon(struct run *run, int rc)
{
    run->rc = rc;
    if (run->stage != ENDED) {
        signal_group(run, SIGKILL);
        reap(run);
    }
}

static void wait_for_end(struct run *run)
{
    while (run->stage != ENDED) {
        int rc = turn(run);
        if (rc < 0) {
            abandon(run, rc);
            return;
        }
    }
    close_fd(&run->child.input);
    while (!drained(run) && strake_time_mono_ms() < run->stage_end) {
        int rc = turn(run);
        if (rc < 0) {
            abandon(run, rc);
            return;
        }
    }
    /* Time is up for whoever still holds a pipe: what it has written so far is taken. */
    for (size_t i = 0; i < run->child.output_count; i++) {
        for (size_t round = 0; run->child.outputs[i] >= 0 && round < 16; round++) {
            if (!take(run, i))
                break;
        }
    }
}

static void tell(const struct run *run, struct strake_process_result *result)
{
    bool exited = run->status.si_code == CLD_EXITED;
    if (STRAKE_HAS(result, exit_code))
        result->exit_code = exited ? run->status.si_status : -1;
    if (STRAKE_HAS(result, signal))
        result->signal = exited ? 0 : run->status.si_status;
}

/* With SIGCHLD ignored (a caller's habit that exec hands down) the kernel keeps no exit status. */
static void keep_exit_statuses(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) < 0)
        return;
    if (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0) {
        action = (struct sigaction){ .sa_handler = SIG_DFL };
        sigaction(SIGCHLD, &action, NULL);
    }
}

int strake_process_run(struct strake_job *job, const struct strake_process *given,
                       struct strake_process_result *result, struct strake_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, keep_exit_statuses);

    struct strake_process process = { 0 };
    memcpy(&process, given, given->size < sizeof(process) ? given->size : sizeof(process));
    if (process.argv == NULL || process.argv[0] == NULL)
        return strake_fail(err, STRAKE_EUSAGE, "no program to run was named");
    int rc = job != NULL ? strake_job_check(job, err) : 0;
    if (rc < 0) {
        strake_err_prefix(err, "%s: ", process.argv[0]);
        return rc;
    }

    struct run run = { .process = &process, .job = job, .err = err, .stage = RUNNING };
    run.stage_end = INT64_MAX;
    run.timeout_at = INT64_MAX;
    if (process.timeout_ms > 0 && process.timeout_ms < INT64_MAX - strake_time_mono_ms())
        run.timeout_at = strake_time_mono_ms() + process.timeout_ms;
    run.watch_at = INT64_MAX;
    if (process.watch != NULL)
        watch_later(&run);
    run.chunk = strake_malloc(CHUNK);
    if (run.chunk == NULL)
        return strake_fail_nomem(err);
    rc = strake_child_spawn(&process, &run.child, err);
    if (rc == 0) {
        wait_for_end(&run);
        for (size_t i = 0; i < run.child.output_count; i++)
            close_fd(&run.child.outputs[i]);
        close_fd(&run.child.input);
        close_fd(&run.child.pidfd);
        if (result != NULL)
            tell(&run, result);
        rc = run.rc;
    }
    strake_free(run.chunk);
    return rc;
}

/* ---- capture -------------------------------------------------------------------------------- */

struct capture {
    const char *program;
    struct strake_buf *into;
    struct strake_err *err;
};

static int keep(void *ctx, const char *data, size_t len)
{
    struct capture *capture = ctx;
    int rc = strake_buf_append(capture->into, data, len);
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(capture->err, rc, "%s: it prints more than %zu bytes", capture->program,
                           capture->into->max != 0 ? capture->into->max : STRAKE_BUF_MAX);
    if (rc < 0)
        return strake_fail_nomem(capture->err);
    return 0;
}

int strake_process_capture(struct strake_job *job, const char *const *argv, const char *cwd,
                           struct strake_buf *output, struct strake_buf *errors, int64_t timeout_ms,
                           struct strake_process_result *result, struct strake_err *err)
{
    struct capture to_output = { .program = argv[0], .into = output, .err = err };
    struct capture to_errors = { .program = argv[0], .into = errors, .err = err };
    const struct strake_process_fd fds[] = {
        { .fd = STDOUT_FILENO, .data = keep, .ctx = &to_output },
        { .fd = STDERR_FILENO, .data = keep, .ctx = &to_errors },
    };
    const struct strake_process_fd *list[] = { &fds[0], errors != NULL ? &fds[1] : NULL, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = argv,
        .cwd = cwd,
        .fds = list,
        .timeout_ms = timeout_ms,
    };
    return strake_process_run(job, &process, result, err);
}
