/* strake publish: the tags of a target move to an image that is staged, here or by another job, and
 * what a killed run left half done is settled. */
#include <string.h>

#include "cli/cli.h"
#include "image/digest.h"
#include "image/reference.h"
#include "util/json.h"

static const struct cli_option options[] = {
    CLI_WISH_OPTIONS,
    { "digest", 0, CLI_TEXT, "DIGEST", "the staged image; the last one staged here by default" },
    { "settle", 0, CLI_FLAG, NULL, "settle what a killed run left half moved, forward or back" },
    { "force", 0, CLI_FLAG, NULL, "move a tag even if somebody else moved it meanwhile" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

/* ---- what became of tags, also for `image tag` ---- */

void cli_print_moves(const json_t *moves)
{
    const json_t *move;
    size_t i;

    json_array_foreach(moves, i, move) {
        const char *from = strake_json_str(move, "from"), *to = strake_json_str(move, "to");
        cli_printf("%-10s %s  %.19s -> %.19s%s\n", strake_json_str(move, "status"),
                   strake_json_str(move, "ref"), from && *from ? from : "(new)", to ? to : "",
                   strake_json_bool(move, "rolled_back", false) ? "  (moved back)" : "");
    }
}

/* ---- settling ---- */

static json_t *settle_args(struct cli *cli)
{
    json_t *args = json_object();

    if (args && strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0) {
        json_decref(args);
        args = NULL;
    }
    return args;
}

static json_t *settle_document(json_t *result)
{
    json_t *doc = json_object();

    if (!doc || cli_mend_list(result, "units") < 0 ||
        strake_json_set_str(doc, "schema", "strake.settle/1") < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static void print_units(const struct cli *cli, const json_t *units)
{
    const json_t *unit;
    size_t i;

    if (json_array_size(units) == 0 && !cli->err.code)
        puts("Nothing to settle: no run left tags half moved.");
    json_array_foreach(units, i, unit) {
        cli_printf("run %s: %s\n", strake_json_str(unit, "run"), strake_json_str(unit, "outcome"));
        cli_print_moves(json_object_get(unit, "moves"));
    }
}

static int settle(struct cli *cli)
{
    json_t *result = NULL;
    int rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_SETTLES);

    if (rc == 0 && !cli->session.record) { /* why was told as a warning */
        rc = strake_fail(&cli->err, STRAKE_EINTERNAL,
                         "without the history nobody knows what is to be settled");
        strake_err_hint(&cli->err, "mend what the warning names, then run it again");
    }
    if (rc == 0)
        rc = cli_way(cli, "settle", settle_args(cli), &result);
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, settle_document(result));
    else if (result)
        print_units(cli, json_object_get(result, "units"));
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

/* ---- publishing ---- */

/* "20261125T021236-7f3a9c" or a beginning of it that has the time, or "last"; a target's name wins. */
static bool is_run(const struct cli *cli, const char *word)
{
    if (strake_project_target(cli->session.project, word))
        return false;
    return strcmp(word, "last") == 0 ||
           (strspn(word, "0123456789") == 8 && word[8] == 'T' && strlen(word) >= 9);
}

static const char *target_of(const struct cli *cli, const char *image)
{
    const struct strake_project *project = cli->session.project;

    for (size_t i = 0; i < project->target_count; i++) {
        if (strake_strings_has(&project->targets[i]->images, image))
            return project->targets[i]->name;
    }
    return NULL;
}

/* A reference with its digest, or a run. */
static json_t *staged_entry(struct cli *cli, const char *word)
{
    struct strake_reference ref = { 0 };
    json_t *entry = json_object();
    int rc = entry ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && is_run(cli, word)) {
        rc = strake_json_set_str(entry, "run", word);
    } else if (rc == 0 && strake_reference_parse(word, &ref, &cli->err) == 0) {
        if (strake_json_set_str(entry, "image", ref.name) < 0 ||
            strake_json_set_str(entry, "digest", ref.digest) < 0 ||
            strake_json_set_str(entry, "name", target_of(cli, ref.name)) < 0 ||
            strake_json_set_str(entry, "tag", ref.tag[0] ? ref.tag : NULL) < 0)
            rc = STRAKE_ENOMEM;
    }
    strake_reference_dispose(&ref);
    if (rc < 0)
        strake_fail_nomem(&cli->err);
    if (cli->err.code) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

/* Words that name no target name what is staged. *staged stays NULL when there is none. */
static int take_staged(struct cli *cli, json_t **staged)
{
    const struct strake_strings *words = &cli->args.rest;
    size_t count = 0;

    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i];
        if (strchr(word, '@') || is_run(cli, word)) {
            count++;
        } else if (strpbrk(word, "/:") && !strake_project_target(cli->session.project, word)) {
            strake_fail(&cli->err, STRAKE_EUSAGE, "%s is no target, and names no digest", word);
            strake_err_hint(&cli->err,
                            "strake publish %s@sha256:… publishes an image by its digest; `strake "
                            "image tag` gives it the tag of another one",
                            word);
            return STRAKE_EUSAGE;
        }
    }
    if (count == 0)
        return 0;
    if (count < words->count || cli_text(&cli->args, "digest")) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    "what is staged is named by runs and REF@DIGEST, or by targets, not by both");
        strake_err_hint(&cli->err, "strake publish RUN, or strake publish --digest DIGEST TARGET");
        return STRAKE_EUSAGE;
    }
    *staged = json_array();
    for (size_t i = 0; *staged && i < words->count; i++) {
        json_t *entry = staged_entry(cli, words->items[i]);
        if (!entry)
            return cli->err.code;
        if (json_array_append_new(*staged, entry) < 0)
            return strake_fail_nomem(&cli->err);
    }
    return *staged ? 0 : strake_fail_nomem(&cli->err);
}

/* The references that a target's tags make, without its Dockerfile: another job may not have it. */
static json_t *refs_of(const struct strake_target *target)
{
    json_t *refs = strake_json_strings(strake_strings_view(&target->refs));

    for (size_t i = 0; refs && !target->refs.count && i < target->images.count; i++) {
        for (size_t k = 0; refs && k < target->tags.count; k++) {
            char *ref = strake_asprintf("%s:%s", target->images.items[i], target->tags.items[k]);
            if (!ref || strake_json_append_str(refs, ref) < 0) {
                json_decref(refs);
                refs = NULL;
            }
            strake_free(ref);
        }
    }
    return refs;
}

/* What -t says, and what the targets of this project are called, with their references. */
static int add_staged(struct cli *cli, json_t *args, json_t *staged)
{
    const struct strake_project *project = cli->session.project;
    json_t *refs = json_array(), *targets = json_object();
    const char *ref;
    int rc = refs && targets ? 0 : STRAKE_ENOMEM;

    for (size_t n = 0; rc == 0 && (ref = cli_item(&cli->args, "tag", n)); n++) {
        struct strake_reference parsed = { 0 };
        struct strake_buf text = { 0 };
        if (strake_reference_parse(ref, &parsed, &cli->err) < 0) {
            rc = cli->err.code;
        } else if (strake_buf_printf(&text, "%s:%s", parsed.name,
                                     parsed.tag[0] ? parsed.tag : "latest") < 0 ||
                   strake_json_append_str(refs, strake_buf_text(&text)) < 0) {
            rc = STRAKE_ENOMEM;
        }
        strake_buf_dispose(&text);
        strake_reference_dispose(&parsed);
    }
    for (size_t i = 0; rc == 0 && i < project->target_count; i++)
        rc = strake_json_set(targets, project->targets[i]->name, refs_of(project->targets[i]));
    if (rc == 0 && (json_object_set(args, "staged", staged) < 0 ||
                    json_object_set(args, "targets", targets) < 0 ||
                    (json_array_size(refs) && json_object_set(args, "refs", refs) < 0)))
        rc = STRAKE_ENOMEM;
    json_decref(refs);
    json_decref(targets);
    return rc < 0 && !cli->err.code ? strake_fail_nomem(&cli->err) : rc;
}

/* The words are no targets then. */
static json_t *wish_of(struct cli *cli, const json_t *staged)
{
    json_t *wish = cli_wish(cli);

    if (wish && staged) {
        json_object_del(wish, "names");
        json_object_del(wish, "refs");
    }
    return wish;
}

static json_t *publish_args(struct cli *cli)
{
    json_t *staged = NULL;
    int rc = take_staged(cli, &staged);
    json_t *args = json_object(), *wish = rc == 0 ? wish_of(cli, staged) : NULL;

    if (rc == 0 && args && staged)
        rc = add_staged(cli, args, staged);
    json_decref(staged);
    if (rc < 0 || !args || !wish || json_object_set(args, "wish", wish) < 0 ||
        strake_json_set_str(args, "digest", cli_text(&cli->args, "digest")) < 0 ||
        strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0) {
        json_decref(args);
        args = NULL;
    }
    json_decref(wish);
    return args;
}

static json_t *document(struct cli *cli, json_t *result)
{
    json_t *doc = json_object(), *targets = json_object_get(result, "targets"), *target;
    size_t i;
    int rc = doc ? cli_mend_list(result, "moves") : STRAKE_ENOMEM;

    if (rc == 0)
        rc = cli_mend_list(result, "targets");
    json_array_foreach(targets, i, target) {
        if (rc == 0)
            rc = cli_mend_list(target, "refs");
    }
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.publish/1") < 0 ||
        strake_json_set_str(doc, "run", cli->session.run) < 0 ||
        strake_json_set_str(doc, "status", cli_status(cli->err.code)) < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static int run(struct cli *cli)
{
    const char *digest = cli_text(&cli->args, "digest");
    json_t *result = NULL, *args;
    int rc;

    if (digest && !strake_digest_valid(digest))
        return strake_fail(&cli->err, STRAKE_EUSAGE, "--digest %s is no digest", digest);
    if (cli_flag(&cli->args, "settle"))
        return settle(cli);
    rc = cli_open(cli, CLI_NEED_PROJECT | CLI_NEED_RUN | CLI_NEED_SETTLE);
    if (rc == 0) {
        args = publish_args(cli);
        rc = args            ? cli_way(cli, "publish", args, &result)
             : cli->err.code ? cli->err.code
                             : strake_fail_nomem(&cli->err);
    }
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (result && cli->json)
        cli_print_json(cli, document(cli, result));
    else if (result)
        cli_print_moves(json_object_get(result, "moves"));
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

const struct cli_command cli_publish = {
    .name = "publish",
    .summary = "move a target's tags to its staged image, as one unit",
    .usage = "[OPTIONS] [TARGET… | RUN… | REF@DIGEST…]",
    .help = "  strake build --stage app && strake publish app\n"
            "  strake publish ghcr.io/o/app@sha256:…   what another job staged\n"
            "  strake publish --settle",
    .options = options,
    .http = true,
    .run = run,
};
