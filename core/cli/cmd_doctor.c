/* strake doctor: is everything there that the builds here need, and does it answer? */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "doctor/doctor.h"
#include "util/json.h"

static const struct cli_option options[] = {
    { "send", 0, CLI_FLAG, NULL, "send a test message through each notifier" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

struct examination {
    struct strake_doctor doctor;
    json_t *checks;
    int exit;
};

static int examine(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct examination *e = ctx;

    return strake_doctor_examine(&e->doctor, job, e->checks, &e->exit, err);
}

/* ---- for people ---- */

static int width_of(const json_t *checks, const char *key, int most)
{
    const json_t *check;
    int width = 0;
    size_t i;

    json_array_foreach(checks, i, check) {
        const int len = (int)strlen(strake_json_str(check, key));
        if (len > width)
            width = len;
    }
    return width < most ? width : most;
}

static void print_checks(const json_t *checks)
{
    const int group = width_of(checks, "group", 12), name = width_of(checks, "name", 40);
    const json_t *check;
    size_t i;

    json_array_foreach(checks, i, check) {
        const char *hint = strake_json_str(check, "hint");
        cli_printf("%-4s  %-*s  %-*s  %s\n", strake_json_str(check, "status"), group,
                   strake_json_str(check, "group"), name, strake_json_str(check, "name"),
                   strake_json_str(check, "detail"));
        if (*hint)
            cli_printf("%*s%s\n", 6 + group + 2 + name + 2, "", hint);
    }
}

static size_t count_of(const json_t *checks, const char *status)
{
    const json_t *check;
    size_t i, count = 0;

    json_array_foreach(checks, i, check)
        count += strcmp(strake_json_str(check, "status"), status) == 0;
    return count;
}

/* What a page of lines comes to. */
static void print_sum(const json_t *checks)
{
    const size_t failed = count_of(checks, "fail"), warned = count_of(checks, "warn");

    if (failed == 0 && warned == 0)
        cli_printf("\nall %zu are fine\n", count_of(checks, "ok"));
    else
        cli_printf("\n%zu failed, %zu to look at, %zu fine\n", failed, warned,
                   count_of(checks, "ok"));
}

static json_t *document(const struct examination *e)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "schema", "strake.doctor/1") < 0 ||
        json_object_set(doc, "checks", e->checks) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

/* ---- the command ---- */

/* A Lua file that cannot be read is one more finding: what does not need it is looked at. */
static int open_for(struct cli *cli, struct examination *e, struct strake_err *lua_failure)
{
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc < 0 && rc != STRAKE_ENOMEM && rc != STRAKE_ECANCELLED && cli->handles_open &&
        !cli->session.stores) {
        strake_err_move(lua_failure, &cli->err);
        e->doctor.lua_failure = lua_failure;
        rc = 0;
    }
    e->doctor.project = cli->session.stores ? cli->session.project : NULL;
    e->doctor.stores = cli->session.stores;
    return rc;
}

static int run(struct cli *cli)
{
    struct examination e = { .checks = json_array() };
    struct strake_err lua_failure = { 0 };
    int rc = e.checks ? open_for(cli, &e, &lua_failure) : strake_fail_nomem(&cli->err);

    e.doctor.bound_ms = cli_duration(&cli->args, "timeout", STRAKE_DOCTOR_BOUND_MS);
    e.doctor.send = cli_flag(&cli->args, "send");
    if (rc == 0)
        rc = cli_await(cli, examine, &e);
    if (rc == 0 && cli->json) {
        rc = cli_print_json(cli, document(&e));
    } else if (rc == 0) {
        print_checks(e.checks);
        print_sum(e.checks);
        rc = cli_finish_stdout(cli);
    }
    json_decref(e.checks);
    strake_err_dispose(&lua_failure);
    cli->exit = rc == 0 ? e.exit : 0;
    return rc;
}

const struct cli_command cli_doctor = {
    .name = "doctor",
    .summary = "check builders, registries, notifiers, credentials, files and tools",
    .usage = "[OPTIONS]",
    .help = "Everything is asked at once, 3 s at most each; --timeout waits longer.\n"
            "Exits 9 when a builder failed, else 8 for a registry, else 7, or 3 for a Lua file.",
    .options = options,
    .http = true,
    .run = run,
};
