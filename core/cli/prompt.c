/* Asking on the terminal (prompt.h). */
#include "cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static volatile sig_atomic_t caught;
static int wakes[2]; /* a pipe: a signal may come to another thread, or before we begin to wait */

static void on_signal(int number)
{
    const int saved = errno;

    caught = number;
    if (write(wakes[1], "", 1) < 0) /* full: it wakes already */
        caught = number;
    errno = saved;
}

static bool stops(int number)
{
    return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

bool cli_prompt_possible(void)
{
    return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

/* Who has asked to be left alone (nohup) is. */
static void take_signals(struct sigaction before[NUMBERS])
{
    struct sigaction action = { .sa_handler = on_signal };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < NUMBERS; i++) {
        sigaction(numbers[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

static void give_signals_back(const struct sigaction before[NUMBERS])
{
    for (size_t i = 0; i < NUMBERS; i++)
        sigaction(numbers[i], &before[i], NULL);
}

/* @return 0 there is something to be read (an end, too), STRAKE_ECANCELLED, STRAKE_EIO */
static int wait_for_it(struct strake_err *err)
{
    struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
                            { .fd = wakes[0], .events = POLLIN } };

    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR)
            return strake_fail_errno(err, STRAKE_EIO, "the terminal cannot be waited for");
    }
    return caught ? STRAKE_ECANCELLED : 0;
}

/* One line, byte by byte: what follows it is not ours. */
static int read_line(struct strake_buf *answer, struct strake_err *err)
{
    char byte = '\0';
    ssize_t got = 0;
    int rc = 0;

    do {
        rc = wait_for_it(err);
        got = rc == 0 ? read(STDIN_FILENO, &byte, 1) : 0;
        if (got == 1 && byte != '\n')
            rc = strake_buf_append(answer, &byte, 1);
    } while (rc == 0 && got == 1 && byte != '\n');
    byte = '\0';
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(err, STRAKE_EUSAGE, "that is longer than %zu bytes", answer->max);
    if (rc == STRAKE_ENOMEM)
        return strake_fail_nomem(err);
    if (rc == 0 && got < 0)
        return strake_fail_errno(err, STRAKE_EIO, "the terminal cannot be read");
    return rc == 0 && got == 0 ? STRAKE_ECANCELLED : rc;
}

/* Once, with the terminal as it was before and after. */
static int ask(const char *question, bool echo, struct strake_buf *answer, struct strake_err *err)
{
    struct sigaction before[NUMBERS];
    struct termios as_it_was, silent;
    int rc;

    if (tcgetattr(STDIN_FILENO, &as_it_was) < 0)
        return strake_fail_errno(err, STRAKE_EIO, "the terminal cannot be asked");
    silent = as_it_was;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    if (pipe2(wakes, O_CLOEXEC | O_NONBLOCK) < 0)
        return strake_fail_errno(err, STRAKE_EIO, "no pipe can be made");
    caught = 0;
    take_signals(before);
    /* What was typed ahead was typed in sight, and may be meant for somebody else. */
    if (!echo && tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
        rc = strake_fail_errno(err, STRAKE_EIO, "the terminal cannot be made silent");
    else
        rc = fputs(question, stderr) < 0 || fflush(stderr) != 0 ? 0 : read_line(answer, err);
    if (!echo) {
        while (tcsetattr(STDIN_FILENO, TCSAFLUSH, &as_it_was) < 0 && errno == EINTR)
            ;
    }
    if (!echo || rc < 0)
        fputs("\n", stderr);
    give_signals_back(before);
    close(wakes[0]);
    close(wakes[1]);
    return rc;
}

int cli_prompt(const char *question, bool echo, struct strake_buf *answer, struct strake_err *err)
{
    int rc;

    answer->secret = answer->secret || !echo;
    do {
        strake_buf_clear(answer);
        rc = ask(question, echo, answer, err);
        if (rc == STRAKE_ECANCELLED && stops(caught))
            raise(caught); /* and go on once we may */
    } while (rc == STRAKE_ECANCELLED && stops(caught));
    if (rc == STRAKE_ECANCELLED)
        strake_fail(err, STRAKE_ECANCELLED, "cancelled: nothing was stored");
    return rc;
}
