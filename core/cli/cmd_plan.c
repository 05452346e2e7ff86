/* strake plan: what would be built, with everything decided and nothing run. */
#include <string.h>

#include "cli/cli.h"
#include "util/fs.h"
#include "util/json.h"

static const struct cli_option options[] = {
    CLI_WISH_OPTIONS,
    { "resolve", 0, CLI_FLAG, NULL, "ask registries for the digests of base images" },
    { "check-cache", 0, CLI_FLAG, NULL,
      "compute each target's inputs, and tell what is unchanged" },
    { "save", 0, CLI_TEXT, "FILE", "write the plan for `strake build --plan FILE`" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static json_t *plan_args(struct cli *cli)
{
    const bool resolve = cli_flag(&cli->args, "resolve");
    const bool inputs = cli_flag(&cli->args, "check-cache") || cli_text(&cli->args, "save");
    json_t *args = json_object(), *wish = cli_wish(cli);

    if (!args || !wish || json_object_set(args, "wish", wish) < 0 ||
        strake_json_set_bool(args, "stage", true) < 0 ||
        strake_json_set_bool(args, "changed", cli_flag(&cli->args, "check-cache")) < 0 ||
        strake_json_set_str(args, "save", cli_text(&cli->args, "save")) < 0 ||
        strake_json_set_str(args, "inputs", inputs ? "context" : "none") < 0 ||
        strake_json_set_str(args, "resolve",
                            resolve  ? "require"
                            : inputs ? "try"
                                     : "none") < 0) {
        json_decref(args);
        args = NULL;
    }
    json_decref(wish);
    return args;
}

/* ---- for people ---- */

static void print_list(const char *label, const struct strake_strings *list)
{
    if (list->count == 0)
        return;
    cli_printf("  %-11s", label);
    for (size_t i = 0; i < list->count; i++)
        cli_printf("%s%s", i ? ", " : " ", list->items[i]);
    putchar('\n');
}

static void print_pairs(const char *label, const struct strake_pairs *list, const char *between)
{
    for (size_t i = 0; i < list->count; i++)
        cli_printf("  %-11s %s%s%s\n", i ? "" : label, list->items[i]->name, between,
                   list->items[i]->value[0] ? list->items[i]->value : "(not known)");
}

/* A word that a shell would split or expand is shown quoted, so that the line can be pasted. */
static void print_word(const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "@%+=:,./_-";

    if (*word && strspn(word, safe) == strlen(word)) {
        cli_printf(" %s", word);
        return;
    }
    fputs(" '", stdout);
    for (;;) {
        const size_t plain = strcspn(word, "'");
        cli_printf("%.*s", (int)plain, word);
        word += plain;
        if (!*word)
            break;
        fputs("'\\''", stdout);
        word++;
    }
    putchar('\'');
}

static void print_build(const struct strake_plan_build *build, size_t at)
{
    const json_t *word;
    size_t i;

    cli_printf("  %-11s %s (%s)\n", at ? "or" : "builder", build->builder, build->plugin);
    fputs("    $", stdout);
    json_array_foreach(build->command, i, word)
        print_word(json_string_value(word));
    putchar('\n');
}

static void print_decisions(const json_t *decisions)
{
    const json_t *decision;
    size_t i;

    json_array_foreach(decisions, i, decision) {
        const char *message = strake_json_str(decision, "message");
        cli_printf("  policy      %s: %s%s%s\n", strake_json_str(decision, "name"),
                   strake_json_str(decision, "action"), message && *message ? ": " : "",
                   message ? message : "");
    }
}

static void print_past(const struct strake_plan_target *target)
{
    const struct strake_plan_past *past = target->past;

    if (past && past->unchanged)
        cli_printf("%s: unchanged since %s (%s)\n", target->name, past->run, past->digest);
    else if (past)
        cli_printf("%s: would be built: %s\n", target->name, past->why);
}

static void print_target(const struct strake_plan *plan, const struct strake_plan_target *target)
{
    struct strake_strings refs = { 0 };

    cli_printf("%s\n", target->name);
    cli_printf("  context     %s\n  dockerfile  %s\n", target->context, target->dockerfile);
    if (target->stage[0])
        cli_printf("  stage       %s\n", target->stage);
    print_list("platforms", &target->platforms);
    if (strake_plan_refs(target, &refs) == 0)
        print_list("tags", &refs);
    strake_strings_dispose(&refs);
    print_pairs("arguments", &target->args, "=");
    print_pairs("labels", &target->labels, "=");
    print_pairs("contexts", &target->contexts, " = ");
    print_list("after", &target->after);
    print_list("cache from", &target->cache_import);
    print_list("cache to", &target->cache_export);
    if (target->inputs.digest[0])
        cli_printf("  inputs      %s\n", target->inputs.digest);
    print_pairs("bases", &target->inputs.bases, " -> ");
    for (size_t i = 0; i < target->build_count; i++)
        print_build(&target->builds[i], i);
    if (plan->why_builder)
        cli_printf("  because     %s\n", plan->why_builder);
    print_decisions(target->policies);
}

static void print_plan(const struct strake_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (i)
            putchar('\n');
        print_target(plan, &plan->targets[i]);
    }
    if (plan->count && plan->targets[0].past)
        putchar('\n');
    for (size_t i = 0; i < plan->count; i++)
        print_past(&plan->targets[i]);
}

/* ---- the command ---- */

static int save(struct cli *cli, const char *path)
{
    json_t *document = strake_plan_json(cli->session.plan);
    struct strake_buf text = { 0 };
    int rc = document ? strake_json_dump_pretty(document, &text) : STRAKE_ENOMEM;

    if (rc < 0)
        rc = strake_fail_nomem(&cli->err);
    else
        rc = strake_fs_write(path, strake_buf_text(&text), text.len, 0644, true, &cli->err);
    json_decref(document);
    strake_buf_dispose(&text);
    return rc;
}

static int run(struct cli *cli)
{
    const char *path = cli_text(&cli->args, "save");
    const bool past = cli_flag(&cli->args, "check-cache");
    int rc = cli_open(cli, CLI_NEED_PROJECT | (past ? CLI_NEED_RECORD : 0));

    if (rc == 0) {
        json_t *args = plan_args(cli);
        rc = args ? cli_way(cli, "plan", args, NULL) : cli->err.code;
    }
    if (rc == 0 && path)
        rc = save(cli, path);
    if (rc < 0)
        return rc;
    if (cli->json)
        return cli_print_json(cli, strake_plan_json(cli->session.plan));
    print_plan(cli->session.plan);
    if (path)
        cli_printf("\nSaved to %s: `strake build --plan %s` runs exactly this.\n", path, path);
    return cli_finish_stdout(cli);
}

const struct cli_command cli_plan = {
    .name = "plan",
    .summary = "show what would be built: everything decided, nothing run",
    .usage = "[OPTIONS] [TARGET… | CONTEXT]",
    .help =
        "Offline and quick. The commands shown are those that a build would run, secrets left out.",
    .options = options,
    .run = run,
};
