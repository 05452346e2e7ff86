/* strake check: Dockerfiles against rules, side by side on as many threads as there are processors. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/find.h"
#include "util/fs.h"
#include "util/json.h"
#include "util/suggest.h"

#define THREADS_MAX 16
#define FILES_A_THREAD 32 /* fewer are done before another engine has read its rules */

static const struct cli_option options[] = {
    { "format", 0, CLI_TEXT, "FORMAT", "text, github, gcc or sarif" },
    { "fail-on", 0, CLI_TEXT, "SEVERITY", "error (as is), warning, info, style or none" },
    { "all", 0, CLI_FLAG, NULL, "ask the rules that are off by default, too" },
    { "rules", 0, CLI_LIST, "FILE", "read more rules from FILE" },
    { "syntax", 0, CLI_FLAG, NULL, "show what the parser sees, and ask no rule" },
    { "explain", 0, CLI_TEXT, "RULE", "tell what a rule is about" },
    { "list", 0, CLI_FLAG, NULL, "list the rules" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

static const char *const formats[] = { "text", "github", "gcc", "sarif", NULL };
static const char *const thresholds[] = { "error", "warning", "info", "style", "none", NULL };

/* One thread's share of the files. */
struct share {
    struct cli *cli;
    struct strake_engine *engine;
    json_t *args;
    json_t *result;
    struct strake_err err;
    pthread_t thread;
    bool runs;
    int rc;
};

static int usage(struct cli *cli, const char *what, const char *given, const char *const *known)
{
    const char *near = strake_suggest(given, known);

    strake_fail(&cli->err, STRAKE_EUSAGE, "there is no %s '%s'", what, given);
    if (near)
        strake_err_hint(&cli->err, "did you mean '%s'?", near);
    return STRAKE_EUSAGE;
}

static bool is_among(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* ---- standard input ---- */

static int read_stdin(struct strake_buf *text, struct strake_err *err)
{
    char block[16384];
    size_t n;

    while ((n = fread(block, 1, sizeof(block), stdin)) > 0) {
        const int rc = strake_buf_append(text, block, n);
        if (rc == STRAKE_ETOOBIG)
            return strake_fail(err, STRAKE_EUSAGE, "standard input has more than %zu bytes",
                               text->max);
        if (rc < 0)
            return strake_fail_nomem(err);
    }
    return ferror(stdin) ? strake_fail_errno(err, STRAKE_EIO, "standard input cannot be read") : 0;
}

/* ---- --syntax ---- */

static int print_syntax(struct cli *cli, const char *path)
{
    struct strake_buf text = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_dockerfile dockerfile = { 0 };
    const bool input = strcmp(path, "-") == 0;
    json_t *doc;
    int rc = input ? read_stdin(&text, &cli->err)
                   : strake_fs_read(path, STRAKE_DOCKERFILE_MAX, &text, &cli->err);

    if (rc == STRAKE_ENOTFOUND || rc == STRAKE_ETOOBIG)
        rc = strake_err_recode(&cli->err, STRAKE_EUSAGE);
    if (rc == 0)
        rc =
            strake_dockerfile_parse(strake_buf_text(&text), text.len, path, &dockerfile, &cli->err);
    strake_buf_dispose(&text);
    if (rc == STRAKE_EDOCKERFILE)
        cli->exit = 4;
    if (rc < 0)
        return rc;
    doc = strake_dockerfile_json(&dockerfile, path);
    strake_dockerfile_dispose(&dockerfile);
    return cli_print_json(cli, doc);
}

static int syntax(struct cli *cli)
{
    const struct strake_strings *rest = &cli->args.rest;
    struct strake_strings paths = { 0 };
    int rc = 0;

    if (rest->count > 1) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "--syntax shows one file at a time");
        return STRAKE_EUSAGE;
    }
    if (rest->count == 1 && strcmp(rest->items[0], "-") == 0)
        return print_syntax(cli, "-");
    rc = strake_dockerfile_find(rest->count ? rest->items[0] : "Dockerfile", &paths, &cli->err);
    if (rc < 0)
        rc = rc == STRAKE_ENOMEM ? rc : strake_err_recode(&cli->err, STRAKE_EUSAGE);
    else if (paths.count != 1)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--syntax shows one file at a time");
    else
        rc = print_syntax(cli, paths.items[0]);
    strake_strings_dispose(&paths);
    return rc;
}

/* ---- the rules ---- */

static int load_more(const struct cli *cli, struct strake_engine *engine, struct strake_err *err)
{
    const char *path;
    int rc = 0;

    for (size_t i = 0; rc == 0 && (path = cli_item(&cli->args, "rules", i)); i++)
        rc = strake_engine_load_file(engine, path, err);
    return rc;
}

static void print_text(const char *title, const char *text)
{
    if (text && *text)
        cli_printf("\n%s:\n%s\n", title, text);
}

static int explain(struct cli *cli, const char *name)
{
    json_t *result = NULL, *args = json_pack("{s:s}", "name", name);
    const json_t *known;
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc == 0)
        rc = load_more(cli, cli->engine, &cli->err);
    if (rc == 0 && !args)
        rc = strake_fail_nomem(&cli->err);
    if (rc == 0)
        rc = strake_engine_call(cli->engine, "check", "rule", args, &result, &cli->err);
    json_decref(args);
    if (rc < 0)
        return rc;
    known = json_object_get(result, "known");
    if (known) {
        struct strake_strings names = { 0 };
        const json_t *one;
        size_t i;
        json_array_foreach(known, i, one)
            if (strake_strings_add(&names, json_string_value(one)) < 0)
                rc = strake_fail_nomem(&cli->err);
        if (rc == 0)
            rc = usage(cli, "rule", name, strake_strings_view(&names));
        strake_strings_dispose(&names);
        json_decref(result);
        return rc;
    }
    if (cli->json) {
        if (strake_json_set_str(result, "schema", "strake.rule/1") < 0) {
            json_decref(result);
            return strake_fail_nomem(&cli->err);
        }
        return cli_print_json(cli, result);
    }
    cli_printf("%s (%s)\n%s\n", strake_json_str(result, "name"),
               strake_json_str(result, "severity"), strake_json_str(result, "summary"));
    print_text("Why", strake_json_str(result, "reason"));
    print_text("Instead of", strake_json_str(result, "bad"));
    print_text("Write", strake_json_str(result, "good"));
    json_decref(result);
    return cli_finish_stdout(cli);
}

static void print_rule_line(const json_t *rule)
{
    const json_t *alias;
    size_t i;

    cli_printf("%-28s %-8s %s", strake_json_str(rule, "name"), strake_json_str(rule, "severity"),
               strake_json_str(rule, "summary"));
    json_array_foreach(json_object_get(rule, "aliases"), i, alias)
        cli_printf("%s%s", i ? ", " : " (", json_string_value(alias));
    cli_printf("%s%s\n", json_object_get(rule, "aliases") ? ")" : "",
               strake_json_bool(rule, "off", false) ? "; off by default" : "");
}

static int list(struct cli *cli)
{
    json_t *result = NULL, *rule;
    size_t i;
    int rc = cli_open(cli, CLI_NEED_PROJECT);

    if (rc == 0)
        rc = load_more(cli, cli->engine, &cli->err);
    if (rc == 0)
        rc = strake_engine_call(cli->engine, "check", "rules", NULL, &result, &cli->err);
    if (rc < 0)
        return rc;
    if (cli->json && strake_json_set_str(result, "schema", "strake.rules/1") == 0)
        return cli_print_json(cli, result);
    json_array_foreach(json_object_get(result, "rules"), i, rule)
        print_rule_line(rule);
    json_decref(result);
    return cli_finish_stdout(cli);
}

/* ---- checking ---- */

static int run_share(struct share *share)
{
    return strake_engine_call(share->engine, "check", "files", share->args, &share->result,
                              &share->err);
}

static void *thread_body(void *ctx)
{
    struct share *share = ctx;
    struct strake_project *project;

    share->rc = strake_engine_load(share->engine, &project, &share->err);
    if (share->rc == 0)
        share->rc = load_more(share->cli, share->engine, &share->err);
    if (share->rc == 0)
        share->rc = run_share(share);
    return NULL;
}

/* Every `count`-th file from the `at`-th on: long and short ones are mixed. */
static json_t *share_args(const struct cli *cli, const struct strake_strings *paths, size_t at,
                          size_t count, const struct strake_buf *input)
{
    json_t *args = json_object(), *list = json_array();
    int rc = args && list ? 0 : STRAKE_ENOMEM;

    for (size_t i = at; rc == 0 && i < paths->count; i += count)
        rc = json_array_append_new(list, json_string(paths->items[i])) < 0 ? STRAKE_ENOMEM : 0;
    if (rc == 0)
        rc = strake_json_set_bool(args, "all", cli_flag(&cli->args, "all"));
    if (rc == 0)
        rc = strake_json_set_bool(args, "source", !cli->json);
    if (rc == 0 && input->len > 0)
        rc = strake_json_set_strn(args, "text", input->data, input->len);
    if (rc == 0)
        rc = json_object_set(args, "paths", list) < 0 ? STRAKE_ENOMEM : 0;
    json_decref(list);
    if (rc == 0)
        return args;
    json_decref(args);
    return NULL;
}

static size_t thread_count(size_t files)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = processors > 1 ? (size_t)processors : 1;

    if (count > THREADS_MAX)
        count = THREADS_MAX;
    return files / FILES_A_THREAD + 1 < count ? files / FILES_A_THREAD + 1 : count;
}

static int open_shares(struct cli *cli, const struct strake_strings *paths,
                       const struct strake_buf *input, struct share *shares, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        shares[i].cli = cli;
        shares[i].args = share_args(cli, paths, i, count, input);
        if (!shares[i].args)
            rc = strake_fail_nomem(&cli->err);
        else if (i == 0)
            shares[i].engine = cli->engine;
        else
            rc = cli_new_engine(cli, &shares[i].engine, &cli->err);
    }
    return rc;
}

/* All files' findings in the order of the files; the shares' first failure. */
static int join(struct cli *cli, struct share *shares, size_t count, json_t *findings,
                json_t *failures)
{
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        if (shares[i].rc < 0 && rc == 0) {
            rc = shares[i].rc;
            strake_err_move(&cli->err, &shares[i].err);
        }
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        cli_mend_list(shares[i].result, "findings");
        cli_mend_list(shares[i].result, "failures");
        if (json_array_extend(findings, json_object_get(shares[i].result, "findings")) < 0 ||
            json_array_extend(failures, json_object_get(shares[i].result, "failures")) < 0)
            rc = strake_fail_nomem(&cli->err);
    }
    return rc;
}

static int check_all(struct cli *cli, const struct strake_strings *paths,
                     const struct strake_buf *input, json_t *findings, json_t *failures)
{
    struct share shares[THREADS_MAX] = { 0 };
    const size_t count = thread_count(paths->count);
    int rc = open_shares(cli, paths, input, shares, count);

    for (size_t i = 1; rc == 0 && i < count; i++) {
        shares[i].runs = pthread_create(&shares[i].thread, NULL, thread_body, &shares[i]) == 0;
        if (!shares[i].runs)
            thread_body(&shares[i]);
    }
    if (rc == 0)
        shares[0].rc = run_share(&shares[0]);
    for (size_t i = 1; i < count; i++)
        if (shares[i].runs)
            pthread_join(shares[i].thread, NULL);
    if (rc == 0)
        rc = join(cli, shares, count, findings, failures);
    for (size_t i = 0; i < count; i++) {
        json_decref(shares[i].args);
        json_decref(shares[i].result);
        strake_err_dispose(&shares[i].err);
        if (i > 0)
            strake_engine_free(shares[i].engine);
    }
    return rc;
}

/* ---- what came of it ---- */

static int compare_files(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    const int files = strcmp(strake_json_str(one, "file"), strake_json_str(other, "file"));

    if (files != 0)
        return files;
    return (int)(strake_json_int(one, "order", 0) - strake_json_int(other, "order", 0));
}

/* By file; within one as the rules' runner has sorted them. */
static json_t *sorted(json_t *findings)
{
    const size_t count = json_array_size(findings);
    json_t **items = strake_calloc(count + 1, sizeof(*items)), *out = json_array(), *item;
    size_t i;

    json_array_foreach(findings, i, item) {
        if (items)
            items[i] = item;
        if (strake_json_set_int(item, "order", (int64_t)i) < 0)
            out = NULL;
    }
    if (!items || !out)
        goto out;
    qsort(items, count, sizeof(*items), compare_files);
    for (i = 0; i < count; i++) {
        json_object_del(items[i], "order");
        if (out && json_array_append(out, items[i]) < 0) {
            json_decref(out);
            out = NULL;
        }
    }
out:
    strake_free(items);
    return out;
}

/* A rule that fails has said nothing: that is no clean file. */
static int judge(struct cli *cli, const struct cli_findings *found, const json_t *failures)
{
    const json_t *failure = json_array_get(failures, 0), *finding;
    size_t counted = 0, i;
    int64_t line;

    if (failure) {
        const char *file = strake_json_str(failure, "file");
        strake_fail(&cli->err, STRAKE_ECONFIG, "rule \"%s\" failed at %s: %s",
                    strake_json_str(failure, "rule"), strake_json_str(failure, "checked"),
                    strake_json_str(failure, "message"));
        line = strake_json_int(failure, "line", 0);
        if (file && *file)
            strake_err_place(&cli->err, file, (int)line);
        if (json_array_size(failures) > 1)
            strake_err_hint(&cli->err, "%zu more rules failed, too", json_array_size(failures) - 1);
        return STRAKE_ECONFIG;
    }
    json_array_foreach(found->list, i, finding)
        counted += cli_finding_counts(finding, found->fail_on);
    if (counted == 0)
        return 0;
    cli->exit = 4;
    strake_fail(&cli->err, STRAKE_EDOCKERFILE, "%zu finding%s of severity %s or above", counted,
                counted == 1 ? "" : "s", found->fail_on);
    strake_err_hint(&cli->err, "`strake check --explain RULE` tells why and what to write instead");
    return STRAKE_EDOCKERFILE;
}

static int print_json(struct cli *cli, const struct cli_findings *found, int rc)
{
    json_t *doc = json_object(), *error = rc < 0 ? strake_err_json(&cli->err) : NULL;

    if (!doc || (rc < 0 && !error) || strake_json_set_str(doc, "schema", "strake.check/1") < 0 ||
        strake_json_set_str(doc, "status", rc < 0 ? "failed" : "done") < 0 ||
        strake_json_set_int(doc, "files", (int64_t)found->files) < 0 ||
        json_object_set(doc, "findings", found->list) < 0 ||
        (error && (strake_json_set_int(error, "exit", cli_exit_code(cli)) < 0 ||
                   json_object_set(doc, "error", error) < 0))) {
        json_decref(doc);
        doc = NULL;
    }
    json_decref(error);
    return cli_print_json(cli, doc);
}

static int check_paths(struct cli *cli, const struct strake_strings *paths,
                       const struct strake_buf *input, struct cli_findings *found,
                       const char *format)
{
    json_t *findings = json_array(), *failures = json_array();
    int rc = findings && failures ? 0 : strake_fail_nomem(&cli->err), printed;

    if (rc == 0)
        rc = check_all(cli, paths, input, findings, failures);
    if (rc == 0) {
        found->list = sorted(findings);
        rc = found->list ? judge(cli, found, failures) : strake_fail_nomem(&cli->err);
    }
    if (found->list) {
        printed = cli->json ? print_json(cli, found, rc) : cli_print_findings(cli, found, format);
        rc = rc < 0 ? rc : printed;
    }
    json_decref(found->list);
    json_decref(findings);
    json_decref(failures);
    return rc;
}

static int find_paths(struct cli *cli, struct strake_strings *paths, struct strake_buf *input)
{
    const struct strake_strings *rest = &cli->args.rest;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < (rest->count ? rest->count : 1); i++) {
        const char *path = rest->count ? rest->items[i] : ".";
        if (strcmp(path, "-") == 0) {
            rc = read_stdin(input, &cli->err);
            if (rc == 0 && strake_strings_add(paths, "-") < 0)
                rc = strake_fail_nomem(&cli->err);
        } else {
            rc = strake_dockerfile_find(path, paths, &cli->err);
        }
    }
    if (rc < 0)
        return rc == STRAKE_ENOMEM ? rc : strake_err_recode(&cli->err, STRAKE_EUSAGE);
    if (paths->count > 0)
        return 0;
    strake_fail(&cli->err, STRAKE_EUSAGE, "there is no Dockerfile below %s",
                rest->count ? rest->items[0] : "this folder");
    strake_err_hint(&cli->err, "looked for Dockerfile, Dockerfile.*, *.Dockerfile, Containerfile");
    return STRAKE_EUSAGE;
}

static int run(struct cli *cli)
{
    const char *format = cli_text(&cli->args, "format"), *rule = cli_text(&cli->args, "explain");
    struct cli_findings found = { .fail_on = cli_text(&cli->args, "fail-on") };
    struct strake_strings paths = { 0 };
    struct strake_buf input = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    int rc = 0;

    format = format ? format : "text";
    found.fail_on = found.fail_on ? found.fail_on : "error";
    if (!is_among(format, formats))
        return usage(cli, "format", format, formats);
    if (!is_among(found.fail_on, thresholds))
        return usage(cli, "severity", found.fail_on, thresholds);
    if (cli_flag(&cli->args, "syntax"))
        return syntax(cli);
    if (rule)
        return explain(cli, rule);
    if (cli_flag(&cli->args, "list"))
        return list(cli);
    rc = find_paths(cli, &paths, &input);
    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT);
    if (rc == 0)
        rc = load_more(cli, cli->engine, &cli->err);
    found.files = paths.count;
    if (rc == 0)
        rc = check_paths(cli, &paths, &input, &found, format);
    strake_strings_dispose(&paths);
    strake_buf_dispose(&input);
    return rc;
}

const struct cli_command cli_check = {
    .name = "check",
    .summary = "check Dockerfiles against rules",
    .usage = "[OPTIONS] [PATH…]",
    .help = "A PATH is a file, a folder (every Dockerfile below it) or -; the working folder by\n"
            "default. Rules ship with Strake; strake.lua and --rules add more.\n\n"
            "  strake check --fail-on warning\n"
            "  strake check --explain zypper-clean",
    .options = options,
    .run = run,
};
