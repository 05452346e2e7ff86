/* strake cache prune: letting go of what builders keep, and of caches. */
#include <string.h>

#include "cli/cache.h"
#include "util/json.h"
#include "util/size.h"
#include "util/time.h"

/* Without a bound everything would go: that has to be said. */
static int read_bounds(struct cli_caches *caches)
{
    struct cli *cli = caches->cli;
    const char *keep = cli_text(&cli->args, "keep"), *older = cli_text(&cli->args, "older");

    if (!keep && !older) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "cache prune has to know what may go");
        strake_err_hint(&cli->err, "--older 7d, --keep 10g, or --keep 0 for everything");
        return STRAKE_EUSAGE;
    }
    caches->wish.keep_bytes = -1;
    if (keep && strake_size_parse(keep, &caches->wish.keep_bytes) < 0) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "--keep %s is no size", keep);
        strake_err_hint(&cli->err, "for example 500m or 10g");
        return STRAKE_EUSAGE;
    }
    if (keep && caches->wish.keep_bytes == 0)
        caches->wish.keep_bytes = -1; /* all of it, empty records too */
    caches->wish.older_ms = cli_duration(&cli->args, "older", 0);
    caches->wish.dry_run = cli_flag(&cli->args, "dry-run");
    return 0;
}

static int prune_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct cli_caches *caches = ctx;

    return strake_caches_prune(caches->plan, caches->cli->session.stores, &caches->wish, job,
                               &caches->doc, err);
}

/* ---- for people ---- */

static const char *verb_of(const json_t *entry)
{
    const char *status = strake_json_str(entry, "status");

    return strcmp(status, "removed") == 0        ? "removed"
           : strcmp(status, "would-remove") == 0 ? "would remove"
           : strcmp(status, "unsupported") == 0  ? "passed over"
                                                 : "failed";
}

static void print_entry(const json_t *entry)
{
    const char *builder = strake_json_str(entry, "builder");

    cli_printf("%s ", verb_of(entry));
    if (builder)
        cli_printf("builder %s: ", builder);
    else
        cli_printf("%s: ", strake_json_str(entry, "place"));
    if (json_object_get(entry, "error")) {
        cli_print_cache_failure(entry);
    } else {
        cli_print_bytes(entry, "size_bytes");
        if (builder)
            cli_printf(" in %lld records", (long long)strake_json_int(entry, "records", 0));
    }
    putchar('\n');
}

static void print_document(const json_t *doc)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(doc, "builders"), i, entry)
        print_entry(entry);
    json_array_foreach(json_object_get(doc, "caches"), i, entry)
        print_entry(entry);
    cli_printf(strake_json_bool(doc, "dry_run", false) ? "In all it would free " : "Freed ");
    cli_print_bytes(doc, "freed_bytes");
    putchar('\n');
}

int cli_cache_prune(struct cli *cli)
{
    struct cli_caches caches = { .cli = cli };
    int rc = read_bounds(&caches);

    if (rc == 0)
        rc = cli_caches_prepare(&caches);
    if (rc == 0)
        rc = cli_await(cli, prune_run, &caches);
    strake_plan_free(caches.plan);
    if (!caches.doc)
        return rc;
    if (cli->json) {
        if (rc < 0 && strake_json_set(caches.doc, "error", strake_err_json(&cli->err)) < 0)
            strake_err_dispose(&cli->err);
        int printed = cli_print_json(cli, caches.doc);
        return rc < 0 ? rc : printed;
    }
    print_document(caches.doc);
    json_decref(caches.doc);
    int flushed = cli_finish_stdout(cli);
    return rc < 0 ? rc : flushed;
}
