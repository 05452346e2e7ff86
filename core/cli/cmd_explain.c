/* strake cache explain: which steps of the last build were not cached, and why. */
#include <string.h>

#include "build/explain.h"
#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

#define WIDTH 60
#define TEXT_MAX 160

/* ---- which target ---- */

static int several(struct cli *cli, const struct strake_strings *targets)
{
    struct strake_buf names = STRAKE_BUF(2048);

    for (size_t i = 0; i < targets->count; i++)
        strake_buf_printf(&names, "%s%s", i ? ", " : "", targets->items[i]);
    strake_fail(&cli->err, STRAKE_EUSAGE, "the last run built %zu targets: name one of them",
                targets->count);
    strake_err_hint(&cli->err, "%s", strake_buf_text(&names));
    strake_buf_dispose(&names);
    return STRAKE_EUSAGE;
}

static int nothing_built(struct cli *cli)
{
    strake_fail(&cli->err, STRAKE_EUSAGE, "no build in %s is on record", cli->session.project->dir);
    strake_err_hint(&cli->err, "build something first: `strake build`");
    return STRAKE_EUSAGE;
}

static int choose(struct cli *cli, char **target)
{
    struct strake_strings targets = { 0 };
    const char *named = cli->args.rest.count > 1 ? cli->args.rest.items[1] : NULL;
    int rc = 0;

    if (cli->args.rest.count > 2)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "one target at a time");
    if (!cli->session.record)
        return nothing_built(cli);
    if (!named) {
        rc = strake_record_built(cli->session.record, cli->session.project->dir, &targets,
                                 &cli->err);
        if (rc == 0 && targets.count == 0)
            rc = nothing_built(cli);
        else if (rc == 0 && targets.count > 1)
            rc = several(cli, &targets);
        else if (rc == 0)
            named = targets.items[0];
    }
    if (rc == 0 && !(*target = strake_strdup(named)))
        rc = strake_fail_nomem(&cli->err);
    strake_strings_dispose(&targets);
    return rc;
}

/* A name that was never built here may be one that there is not. */
static void name_better(struct cli *cli, const char *target)
{
    const struct strake_project *project = cli->session.project;

    if (cli->err.code != STRAKE_EUSAGE || project->target_count == 0 ||
        strake_project_target(project, target))
        return;
    strake_err_dispose(&cli->err);
    strake_project_no_target(project, target, &cli->err);
}

/* ---- for people ---- */

/* One line of a text from `from` on, cut where it gets long. */
static void print_text(const char *label, const char *text, size_t from)
{
    size_t line, len;
    bool more;

    while (from > 0 && (text[from] & 0xc0) == 0x80)
        from--; /* not within a character */
    line = strcspn(text + from, "\n");
    len = line < TEXT_MAX ? line : TEXT_MAX;
    while (len < line && len > 0 && (text[from + len] & 0xc0) == 0x80)
        len--;
    more = text[from + len] != '\0' && strcmp(text + from + len, "\n") != 0;
    cli_printf("           %s %s%.*s%s\n", label, from > 0 ? "… " : "", (int)len, text + from,
               more ? " …" : "");
}

/* Of long texts that begin alike: where they differ. */
static void print_texts(const char *was, const char *now)
{
    size_t same = 0, from = 0;

    while (was && now && was[same] != '\0' && was[same] == now[same]) {
        same++;
        if (was[same - 1] == '\n')
            from = same;
    }
    if (same > from + TEXT_MAX / 2)
        from = same - TEXT_MAX / 4;
    if (was)
        print_text("was", was, from);
    if (now)
        print_text("now", now, from);
}

static void print_files(const json_t *cause)
{
    const json_t *files = json_object_get(cause, "files"), *file;
    const int64_t total = strake_json_int(cause, "files_total", 0);
    size_t i;

    json_array_foreach(files, i, file)
        cli_printf("           %-8s %s\n", strake_json_str(file, "change"),
                   strake_json_str(file, "path"));
    if (total > (int64_t)json_array_size(files))
        cli_printf("           and %lld more\n",
                   (long long)(total - (int64_t)json_array_size(files)));
}

static void print_cause(const json_t *cause, int64_t step_line)
{
    const char *kind = strake_json_str(cause, "kind");
    const char *was = strake_json_str(cause, "was"), *now = strake_json_str(cause, "now");
    const int64_t line = strake_json_int(cause, "line", step_line);

    if (strcmp(kind, "parent") == 0) {
        cli_printf("           parent: %s\n", strake_json_str(cause, "name"));
        return;
    }
    cli_printf("           %s: %s", kind, strake_json_str(cause, "detail"));
    if (strcmp(kind, "instruction") == 0 && line)
        cli_printf(" (line %lld)", (long long)line);
    putchar('\n');
    print_texts(was, now);
    print_files(cause);
}

static void print_step(const json_t *step, bool first)
{
    const json_t *cause = json_object_get(step, "cause");
    const char *error = strake_json_str(step, "error");
    char took[32];

    if (cause) {
        strake_duration_format(strake_json_int(step, "duration_ms", 0), took, sizeof(took));
        cli_printf("  %-8s %-*s  %s\n", first ? "MISSED" : "missed", WIDTH,
                   strake_json_str(step, "name"), took);
        print_cause(cause, strake_json_int(step, "line", 0));
    } else {
        cli_printf("  cached   %s\n", strake_json_str(step, "name"));
    }
    if (error)
        print_text("failed:", error, 0);
}

static void print_totals(const json_t *doc)
{
    char now[32], last[32];

    cli_printf("%lld cached, %lld missed", (long long)strake_json_int(doc, "cached", 0),
               (long long)strake_json_int(doc, "missed", 0));
    if (strake_json_int(doc, "missed", 0) > 0) {
        strake_duration_format(strake_json_int(doc, "missed_ms", 0), now, sizeof(now));
        strake_duration_format(strake_json_int(doc, "last_ms", 0), last, sizeof(last));
        cli_printf(" in %s", now);
        if (strake_json_str(doc, "compared_with"))
            cli_printf("; in the run before these steps took %s", last);
    }
    putchar('\n');
}

static void print_document(const json_t *doc)
{
    const char *builder = strake_json_str(doc, "builder");
    const char *before = strake_json_str(doc, "compared_with");
    const char *first = strake_json_str(doc, "first_missed");
    const json_t *step;
    size_t i;

    cli_printf("%s in run %s%s%s", strake_json_str(doc, "target"), strake_json_str(doc, "run"),
               builder ? ", by " : "", builder ? builder : "");
    if (before)
        cli_printf(", compared with run %s", before);
    putchar('\n');
    if (json_array_size(json_object_get(doc, "steps")) == 0)
        puts("  no step of the Dockerfile was come to");
    json_array_foreach(json_object_get(doc, "steps"), i, step)
        print_step(step, first && strcmp(first, strake_json_str(step, "name")) == 0);
    print_totals(doc);
}

/* The options of `strake cache` are the other verbs'. */
static int check_options(struct cli *cli)
{
    for (const struct cli_option *option = cli->command->options; option->name; option++) {
        if (cli_text(&cli->args, option->name) || cli_flag(&cli->args, option->name))
            return strake_fail(&cli->err, STRAKE_EUSAGE, "cache explain takes no --%s",
                               option->name);
    }
    return 0;
}

int cli_cache_explain(struct cli *cli)
{
    char *target = NULL;
    json_t *doc = NULL;
    int rc = check_options(cli);

    if (rc == 0)
        rc = choose(cli, &target);
    if (rc == 0) {
        rc =
            strake_explain(cli->session.record, cli->session.project->dir, target, &doc, &cli->err);
        if (rc < 0)
            name_better(cli, target);
    }
    strake_free(target);
    if (rc < 0)
        return cli->err.code;
    if (cli->json)
        return cli_print_json(cli, doc);
    print_document(doc);
    json_decref(doc);
    return cli_finish_stdout(cli);
}
