/* The program: find the command, parse its options, run it, tell how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/json.h"
#include "util/log.h"
#include "util/suggest.h"
#include "util/thread.h"
#include "util/time.h"
#include "util/work.h"

const struct cli_command *const cli_commands[] = {
    &cli_build,  &cli_plan,   &cli_check, &cli_run,     &cli_publish, &cli_rollback,
    &cli_tags,   &cli_image,  &cli_cache, &cli_history, &cli_notify,  &cli_doctor,
    &cli_plugin, &cli_policy, &cli_login, &cli_logout,  &cli_init,    NULL,
};

const struct cli_option cli_common_options[] = {
    { "json", 0, CLI_FLAG, NULL, "print one JSON document on stdout" },
    { "events", 0, CLI_TEXT, "FILE", "write events as JSON lines to FILE, - or fd:N" },
    { "progress", 0, CLI_TEXT, "MODE", "auto, plain, tty, rawjson or quiet" },
    { "config", 0, CLI_TEXT, "FILE", "read FILE instead of strake.lua" },
    { "directory", 'C', CLI_TEXT, "DIR", "change to DIR first" },
    { "timeout", 0, CLI_DURATION, "TIME", "for each request to a registry" },
    { "ca", 0, CLI_TEXT, "FILE", "one more certificate authority" },
    { "require-record", 0, CLI_FLAG, NULL, "fail when the run cannot be recorded" },
    { "debug", 0, CLI_FLAG, NULL, "say more on stderr" },
    { "help", 'h', CLI_FLAG, NULL, "show this" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- help ---- */

static void print_command_help(FILE *out, const struct cli_command *command)
{
    fprintf(out, "Usage: strake %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->help)
        fprintf(out, "\n%s\n", command->help);
    if (command->options && command->options->name) {
        fputs("\nOptions:\n", out);
        cli_print_options(out, command->options);
    }
    fputs("\nFor every command:\n", out);
    cli_print_options(out, cli_common_options);
}

static void print_help(FILE *out)
{
    fputs("strake builds, checks, publishes and announces container images.\n\n"
          "Usage: strake COMMAND [OPTIONS]\n\nCommands:\n",
          out);
    for (const struct cli_command *const *command = cli_commands; *command; command++)
        fprintf(out, "  %-10s %s\n", (*command)->name, (*command)->summary);
    fputs("  help       show what a command does and takes\n\n"
          "`strake help COMMAND` shows more. Without any file, `strake build -t REF --push .` "
          "works.\n",
          out);
}

static const struct cli_command *find_command(const char *name)
{
    for (const struct cli_command *const *command = cli_commands; *command; command++) {
        if (strcmp((*command)->name, name) == 0)
            return *command;
    }
    return NULL;
}

static int unknown_command(struct cli *cli, const char *name)
{
    const char *names[sizeof(cli_commands) / sizeof(cli_commands[0]) + 1];
    const char *near;
    size_t count = 0;

    for (const struct cli_command *const *command = cli_commands; *command; command++)
        names[count++] = (*command)->name;
    names[count++] = "help";
    names[count] = NULL;
    strake_fail(&cli->err, STRAKE_EUSAGE, "there is no command '%s'", name);
    near = strake_suggest(name, names);
    if (near)
        strake_err_hint(&cli->err, "did you mean `strake %s`?", near);
    else
        strake_err_hint(&cli->err, "`strake help` lists the commands");
    return STRAKE_EUSAGE;
}

static int help_command(struct cli *cli, const char *name)
{
    const struct cli_command *command = name ? find_command(name) : NULL;

    if (name && !command)
        return unknown_command(cli, name);
    if (command)
        print_command_help(stdout, command);
    else
        print_help(stdout);
    return cli_finish_stdout(cli);
}

/* ---- running a command ---- */

/* --json is looked for before parsing: an error in the options is told in that form too. */
static bool asks_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}

static int prepare(struct cli *cli)
{
    const char *directory = cli_text(&cli->args, "directory");
    const char *events = cli_text(&cli->args, "events");

    if (cli_flag(&cli->args, "debug"))
        strake_log_set_level(STRAKE_LOG_DEBUG);
    if (cli->json && events && (strcmp(events, "-") == 0 || strcmp(events, "fd:1") == 0)) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "--json and --events %s both want stdout", events);
        strake_err_hint(&cli->err, "write the events to a file, or to fd:2");
        return STRAKE_EUSAGE;
    }
    if (directory && chdir(directory) < 0)
        return strake_fail_errno(&cli->err, STRAKE_EUSAGE, "-C %s", directory);
    return 0;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
    int rc =
        cli_parse(cli->command->options, cli_common_options, argc, argv, &cli->args, &cli->err);

    if (rc == 0 && cli_flag(&cli->args, "help"))
        return help_command(cli, cli->command->name);
    if (rc == 0)
        rc = prepare(cli);
    if (rc == 0) {
        rc = cli->command->run(cli);
        cli_close(cli, rc);
    }
    return rc;
}

static void tell(struct cli *cli)
{
    struct strake_buf text = { 0 };

    if (cli->err.code == 0)
        return;
    if (cli->json && !cli->told)
        cli_print_error(cli);
    if (strake_err_render(&cli->err, cli->colour, &text) == 0)
        fputs(strake_buf_text(&text), stderr);
    strake_buf_dispose(&text);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help_command(cli, NULL);
    if (strcmp(name, "help") == 0)
        return help_command(cli, argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("strake " STRAKE_VERSION);
        return cli_finish_stdout(cli);
    }
    cli->command = find_command(name);
    return cli->command ? run_command(cli, argc - 2, argv + 2) : unknown_command(cli, name);
}

/* A pipe whose reader is gone is told by the write that fails, not by a signal that leaves no
 * record. */
static void ignore_sigpipe(void)
{
    struct sigaction action = { .sa_handler = SIG_IGN };

    sigaction(SIGPIPE, &action, NULL);
}

/* A descriptor that is closed would become the next file that is opened, and get what is printed.
 * What stands in for 0 and 1 refuses to be read and written, as a closed one does. */
static void keep_standard_open(void)
{
    static const int modes[] = { O_WRONLY, O_RDONLY, O_WRONLY };

    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) != fd)
            _exit(1);
    }
}

int main(int argc, char **argv)
{
    struct cli cli = { .argc = argc, .argv = argv, .started_ms = strake_time_mono_ms() };
    int code;

    keep_standard_open();
    ignore_sigpipe();
    strake_json_setup();
    cli.json = asks_json(argc, argv);
    cli.colour = isatty(2) && !getenv("NO_COLOR") &&
                 (!getenv("TERM") || strcmp(getenv("TERM"), "dumb") != 0);
    dispatch(&cli, argc, argv);
    tell(&cli);
    code = cli_exit_code(&cli);
    strake_err_dispose(&cli.err);
    cli_args_dispose(&cli.args);
    if (strake_threads_left()) { /* a plugin's method is still out, and may use anything */
        fflush(NULL);
        _exit(code);
    }
    strake_work_call_end();
    strake_threads_finish();
    return code;
}
