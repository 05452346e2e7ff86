/* Ctrl-C, termination and a terminal that is gone: the first cancels and tidies up, a second stops
 * at once. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/log.h"
#include "util/process.h"

static struct cli *signalled_cli; /* one program, one command */
static atomic_int signal_count;
static volatile sig_atomic_t last_signal;

/* Once cancels and tidies up, twice stops at once: nothing here may take a lock. */
static void on_signal(int number)
{
    int saved = errno;

    last_signal = number;
    if (atomic_fetch_add(&signal_count, 1) > 0 && number != SIGHUP) {
        strake_process_kill_all(SIGKILL);
        _exit(130);
    }
    if (signalled_cli->engine)
        strake_engine_interrupt(signalled_cli->engine);
    uv_async_send(&signalled_cli->signalled);
    errno = saved;
}

void cli_on_signal(uv_async_t *handle)
{
    struct cli *cli = handle->data;

    strake_log(STRAKE_LOG_WARN, "%s: stopping; once more stops at once",
               last_signal == SIGHUP ? "the terminal is gone" : "cancelled");
    strake_job_cancel(cli->session.job);
}

void cli_signals_open(struct cli *cli)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

    signalled_cli = cli;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        sigaction(numbers[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) /* nohup and background jobs have asked for that */
            sigaction(numbers[i], &action, NULL);
    }
}

void cli_signals_close(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}
