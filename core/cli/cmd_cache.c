/* strake cache: what builders and caches hold, and letting go of it. */
#include <string.h>

#include "cli/cache.h"
#include "project/make.h"
#include "util/json.h"
#include "util/suggest.h"
#include "util/time.h"

static const struct cli_option options[] = {
    { "builder", 0, CLI_TEXT, "NAME", "only what this builder keeps" },
    { "older", 0, CLI_DURATION, "TIME", "prune: what was not used for so long, such as 7d" },
    { "keep", 0, CLI_TEXT, "SIZE", "prune: the oldest until so much is left, such as 10g" },
    { "dry-run", 0, CLI_FLAG, NULL, "prune: only say what would go" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- what is asked about ---- */

/* The plan of the named targets, or of all. Without a target there is still what this machine
 * builds with. */
static int make_plan(struct cli *cli, struct strake_plan **plan)
{
    const struct strake_project *project = cli->session.project;
    struct strake_wish wish = { 0 };
    int rc = 0;

    for (size_t i = 1; rc == 0 && i < cli->args.rest.count; i++) {
        const char *name = cli->args.rest.items[i];
        if (!strake_project_target(project, name))
            rc = strake_project_no_target(project, name, &cli->err);
        else if (strake_strings_add(&wish.names, name) < 0)
            rc = strake_fail_nomem(&cli->err);
    }
    wish.all = wish.names.count == 0;
    if (rc == 0)
        rc = strake_plan_make(project, &wish, plan, &cli->err);
    strake_wish_dispose(&wish);
    if (rc == 0 && (*plan)->count == 0)
        rc = strake_plan_add_machine(project, *plan, &cli->err);
    return rc;
}

/* Is there a builder of that name in the plan? */
static int check_builder(struct cli *cli, const struct strake_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t k = 0; k < plan->targets[i].build_count; k++) {
            if (strcmp(plan->targets[i].builds[k].builder, name) == 0)
                return 0;
        }
    }
    strake_fail(&cli->err, STRAKE_EUSAGE, "there is no builder %s", name);
    strake_err_hint(&cli->err, "`strake cache show` lists them");
    return STRAKE_EUSAGE;
}

int cli_caches_prepare(struct cli_caches *caches)
{
    struct cli *cli = caches->cli;
    int rc = make_plan(cli, &caches->plan);

    caches->wish.builder = cli_text(&cli->args, "builder");
    caches->wish.builders = caches->wish.builder || cli->args.rest.count < 2;
    caches->wish.targets = !caches->wish.builder;
    if (rc == 0 && caches->wish.builder)
        rc = check_builder(cli, caches->plan, caches->wish.builder);
    return rc;
}

/* ---- show ---- */

static int show_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct cli_caches *caches = ctx;

    return strake_caches_show(caches->plan, caches->cli->session.stores, &caches->wish, job,
                              &caches->doc, err);
}

/* "3 days ago": one unit is enough here. */
static void print_age(const char *label, const char *time)
{
    char text[32];
    int64_t us;

    if (!time || strake_time_parse(time, &us) < 0)
        return;
    const int64_t minutes = (strake_time_now_us() - us) / 60000000;
    if (minutes < 1)
        snprintf(text, sizeof(text), "just now");
    else if (minutes < 120)
        snprintf(text, sizeof(text), "%lld min ago", (long long)minutes);
    else if (minutes < 48 * 60)
        snprintf(text, sizeof(text), "%lld h ago", (long long)(minutes / 60));
    else
        snprintf(text, sizeof(text), "%lld days ago", (long long)(minutes / (24 * 60)));
    cli_printf(", %s %s", label, text);
}

void cli_print_bytes(const json_t *entry, const char *key)
{
    char text[32];

    strake_size_format(strake_json_int(entry, key, 0), text, sizeof(text));
    cli_printf("%s", text);
}

void cli_print_cache_failure(const json_t *entry)
{
    const json_t *error = json_object_get(entry, "error");
    const char *message = strake_json_str(error, "message"), *hint = strake_json_str(error, "hint");

    cli_printf("%s", message ? message : strake_json_str(entry, "status"));
    if (hint)
        cli_printf("\n    %s", hint);
}

static void print_builder(const json_t *entry)
{
    json_t *types = json_object_get(entry, "types"), *of_type;
    const char *type;

    cli_printf("builder %s (%s): ", strake_json_str(entry, "builder"),
               strake_json_str(entry, "plugin"));
    if (strcmp(strake_json_str(entry, "status"), "ok") != 0) {
        cli_print_cache_failure(entry);
        putchar('\n');
        return;
    }
    cli_print_bytes(entry, "size_bytes");
    cli_printf(" in %lld records", (long long)strake_json_int(entry, "records", 0));
    print_age("the oldest from", strake_json_str(entry, "oldest"));
    print_age("last used", strake_json_str(entry, "last_used"));
    putchar('\n');
    json_object_foreach(types, type, of_type) {
        cli_printf("  %-18s ", type);
        cli_print_bytes(of_type, "size_bytes");
        cli_printf(" in %lld\n", (long long)strake_json_int(of_type, "records", 0));
    }
}

/* "app: ghcr.io/o/app:buildcache-app-linux-amd64: 12 MB, from 3 h ago (export, import)" */
static void print_cache(const json_t *entry)
{
    const json_t *uses = json_object_get(entry, "uses"), *use;
    const char *status = strake_json_str(entry, "status");
    size_t i;

    cli_printf("cache of %s: %s %s: ", strake_json_str(entry, "target"),
               strake_json_str(entry, "type"), strake_json_str(entry, "place"));
    if (strcmp(status, "ok") == 0) {
        cli_print_bytes(entry, "size_bytes");
        print_age("made", strake_json_str(entry, "created"));
    } else if (strcmp(status, "image") == 0) {
        cli_printf("an image");
    } else if (strcmp(status, "unknown") == 0) {
        cli_printf("only BuildKit can look there");
    } else if (strcmp(status, "absent") == 0) {
        cli_printf("not there");
    } else {
        cli_print_cache_failure(entry);
    }
    json_array_foreach(uses, i, use)
        cli_printf("%s%s", i ? ", " : " (", json_string_value(use));
    cli_printf("%s\n", json_array_size(uses) ? ")" : "");
}

static int show(struct cli *cli)
{
    struct cli_caches caches = { .cli = cli };
    const json_t *entry;
    size_t i;
    int rc = cli_caches_prepare(&caches);

    if (rc == 0)
        rc = cli_await(cli, show_run, &caches);
    strake_plan_free(caches.plan);
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(cli, caches.doc);
    json_array_foreach(json_object_get(caches.doc, "builders"), i, entry)
        print_builder(entry);
    json_array_foreach(json_object_get(caches.doc, "caches"), i, entry)
        print_cache(entry);
    json_decref(caches.doc);
    return cli_finish_stdout(cli);
}

/* ---- the command ---- */

static const struct verb {
    const char *name;
    unsigned needs;
    int (*run)(struct cli *cli);
} verbs[] = {
    { "show", CLI_NEED_PROJECT, show },
    { "explain", CLI_NEED_PROJECT | CLI_NEED_RECORD, cli_cache_explain },
    { "prune", CLI_NEED_PROJECT, cli_cache_prune },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static int unknown_verb(struct cli *cli, const char *name)
{
    const char *names[VERBS + 1] = { NULL }, *near;

    for (size_t i = 0; i < VERBS; i++)
        names[i] = verbs[i].name;
    near = strake_suggest(name, names);
    strake_fail(&cli->err, STRAKE_EUSAGE, "cache does not know '%s'", name);
    if (near)
        strake_err_hint(&cli->err, "did you mean `strake cache %s`?", near);
    else
        strake_err_hint(&cli->err, "`strake help cache` lists what it does");
    return STRAKE_EUSAGE;
}

static int run(struct cli *cli)
{
    const char *name = cli->args.rest.count ? cli->args.rest.items[0] : "show";

    for (size_t i = 0; i < VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            int rc = cli_open(cli, verbs[i].needs);
            return rc < 0 ? rc : verbs[i].run(cli);
        }
    }
    return unknown_verb(cli, name);
}

const struct cli_command cli_cache = {
    .name = "cache",
    .summary = "what builders and caches hold, and letting go of it",
    .usage = "[show | explain | prune] [OPTIONS] [TARGET…]",
    .help = "show tells the sizes and ages of what the builders keep and of the caches that the\n"
            "targets read and write; prune lets go of it. With TARGETs both are about their\n"
            "caches alone, with --builder about what that one keeps.\n"
            "explain tells which steps of the last build of TARGET were not cached, and why.",
    .options = options,
    .run = run,
};
