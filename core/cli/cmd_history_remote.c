/* strake history --remote: how the tags of a repository came to where they are, as the release ledger
 * in the registry has it. What is read and in which order is scripts/ledger.lua's. */
#include <string.h>

#include "cli/history.h"
#include "image/reference.h"
#include "util/json.h"

#define LIMIT_MAX 1000

static json_t *remote_args(struct cli *cli)
{
    struct strake_reference ref = { 0 };
    const int64_t limit = cli_number(&cli->args, "limit", CLI_HISTORY_LIMIT);
    json_t *args = json_object();
    int rc = strake_reference_parse(cli_text(&cli->args, "remote"), &ref, &cli->err);

    if (rc == 0 && ref.digest[0]) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "%s is an image: tags have a history", ref.name);
        strake_err_hint(&cli->err, "strake history --remote %s[:TAG]", ref.name);
    }
    if (rc == 0 && ref.store == STRAKE_STORE_DOCKER_ARCHIVE)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "a docker archive keeps no ledger");
    if (rc == 0 && (limit < 1 || limit > LIMIT_MAX))
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--limit is a number from 1 to %d", LIMIT_MAX);
    if (rc == 0 && (!args || strake_json_set_str(args, "repository", ref.name) < 0 ||
                    strake_json_set_str(args, "tag", ref.tag[0] ? ref.tag : NULL) < 0 ||
                    strake_json_set_int(args, "limit", limit) < 0))
        rc = strake_fail_nomem(&cli->err);
    strake_reference_dispose(&ref);
    if (rc < 0) {
        json_decref(args);
        return NULL;
    }
    return args;
}

static json_t *document(json_t *result, const char *repository)
{
    static const char *const lists[] = { "moves", "ends", "skipped" };
    json_t *doc = json_object();
    int rc = doc ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
        rc = cli_mend_list(result, lists[i]);
    if (rc < 0 || strake_json_set_str(doc, "schema", "strake.ledger/1") < 0 ||
        strake_json_set_str(doc, "repository", repository) < 0 ||
        json_object_update_missing(doc, result) < 0) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

/* ---- the table ---- */

static int width_of(const json_t *moves, const char *key, int least)
{
    const json_t *move;
    int width = least;
    size_t i;

    json_array_foreach(moves, i, move) {
        const size_t len = strlen(strake_json_str(move, key));
        if ((int)len > width && len <= 40)
            width = (int)len;
    }
    return width;
}

/* Twelve digits of it tell images apart. */
static const char *short_digest(const char *digest)
{
    return *digest ? digest + strlen("sha256:") : "(new)";
}

static void print_moves(const json_t *moves)
{
    const int tag = width_of(moves, "tag", 3), user = width_of(moves, "user", 3);
    const json_t *move;
    size_t i;

    if (json_array_size(moves))
        cli_printf("%-16s  %-8s  %-*s  %-12s  %-12s  %-8s  %-*s  %s\n", "WHEN", "WHAT", tag, "TAG",
                   "FROM", "TO", "COMMIT", user, "WHO", "RUN");
    json_array_foreach(moves, i, move) {
        const char *url = strake_json_str(move, "url");
        cli_printf("%.16s  %-8s  %-*s  %-12.12s  %-12.12s  %-8.8s  %-*s  %s\n",
                   strake_json_str(move, "time"), strake_json_str(move, "kind"), tag,
                   strake_json_str(move, "tag"), short_digest(strake_json_str(move, "from")),
                   short_digest(strake_json_str(move, "to")), strake_json_str(move, "commit"), user,
                   strake_json_str(move, "user"), *url ? url : strake_json_str(move, "run"));
    }
}

/* Why the ledger tells no more: tags that were made in what is shown need no word. */
static void print_ends(const json_t *ends)
{
    static const struct {
        const char *why, *text;
    } reasons[] = {
        { "unknown", "no record says how it came to" },
        { "gone", "the image was deleted, and with it how the tag came to" },
        { "circle", "the records lead in a circle at" },
    };
    const json_t *end;
    size_t i;

    json_array_foreach(ends, i, end) {
        for (size_t k = 0; k < sizeof(reasons) / sizeof(reasons[0]); k++) {
            if (strcmp(strake_json_str(end, "why"), reasons[k].why) == 0)
                cli_printf("%s: %s %.19s\n", strake_json_str(end, "tag"), reasons[k].text,
                           strake_json_str(end, "digest"));
        }
    }
}

static void print_result(const json_t *result, const char *repository)
{
    const json_t *moves = json_object_get(result, "moves"), *entry;
    size_t i;

    if (json_array_size(moves) == 0)
        cli_printf("The ledger of %s tells nothing; `ledger = true` in strake.lua writes one.\n",
                   repository);
    print_moves(moves);
    print_ends(json_object_get(result, "ends"));
    if (strake_json_bool(result, "more", false))
        cli_printf("There is more: --limit N\n");
    json_array_foreach(json_object_get(result, "skipped"), i, entry)
        cli_printf("skipped: %s\n", strake_json_str(entry, "why"));
}

int cli_history_remote(struct cli *cli)
{
    json_t *args = NULL, *result = NULL;
    char *repository = NULL;
    int rc = 0;

    if (cli->args.rest.count) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--remote is about a registry: '%s' is not",
                         cli->args.rest.items[0]);
        strake_err_hint(&cli->err, "strake history --remote REPOSITORY[:TAG]");
    }
    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT);
    if (rc == 0 && !(args = remote_args(cli)))
        rc = cli->err.code;
    if (rc == 0) {
        repository = strake_strdup(strake_json_str(args, "repository"));
        rc = repository ? cli_way(cli, "remote_history", args, &result)
                        : strake_fail_nomem(&cli->err);
    }
    if (rc == 0 && cli->json)
        cli_print_json(cli, document(result, repository));
    else if (rc == 0)
        print_result(result, repository);
    json_decref(result);
    strake_free(repository);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}
