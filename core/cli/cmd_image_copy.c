/* strake image copy: what is missing goes over, then the tag moves (scripts/way.lua). */
#include <string.h>

#include "cli/cli.h"
#include "image/platform.h"
#include "util/json.h"
#include "util/time.h"

static int take_platforms(struct cli *cli, json_t *args)
{
    json_t *list = json_array();
    const char *text;
    int rc = list ? 0 : strake_fail_nomem(&cli->err);

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, "platform", n)); n++) {
        char platform[STRAKE_PLATFORM_TEXT];
        rc = strake_platform_parse(text, platform, &cli->err);
        if (rc == 0 && strake_json_append_str(list, platform) < 0)
            rc = strake_fail_nomem(&cli->err);
    }
    if (rc == 0 && json_array_size(list) && json_object_set(args, "platforms", list) < 0)
        rc = strake_fail_nomem(&cli->err);
    json_decref(list);
    return rc;
}

static json_t *document(const json_t *result, const char *source, const char *destination)
{
    static const char *const keys[] = { "digest",    "source_digest", "blobs", "copied_bytes",
                                        "referrers", "duration_ms",   "moves" };
    json_t *doc = json_object();
    int rc = doc ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && (strake_json_set_str(doc, "schema", "strake.copy/1") < 0 ||
                    strake_json_set_str(doc, "source", source) < 0 ||
                    strake_json_set_str(doc, "destination", destination) < 0))
        rc = STRAKE_ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(result, keys[i]);
        if (value && json_object_set(doc, keys[i], value) < 0)
            rc = STRAKE_ENOMEM;
    }
    if (rc == 0)
        rc = cli_mend_list(doc, "moves");
    if (rc < 0) {
        json_decref(doc);
        doc = NULL;
    }
    return doc;
}

/* An index of some platforms is not the one that was asked for: whoever pinned that has to know. */
static void print_result(const json_t *result, const char *source, const char *destination)
{
    const json_t *blobs = json_object_get(result, "blobs");
    const char *digest = strake_json_str(result, "digest");
    const char *asked = strake_json_str(result, "source_digest");
    const int64_t referrers = strake_json_int(result, "referrers", 0);
    char size[32];

    strake_size_format(strake_json_int(result, "copied_bytes", 0), size, sizeof(size));
    cli_printf("%s  %s\n%d blobs copied (%s), %d mounted, %d there already\n", destination, digest,
               (int)strake_json_int(blobs, "copied", 0), size,
               (int)strake_json_int(blobs, "mounted", 0),
               (int)strake_json_int(blobs, "present", 0));
    if (referrers)
        cli_printf("%d referrers\n", (int)referrers);
    if (strcmp(digest, asked) != 0)
        cli_printf("of the chosen platforms alone: %s has the digest %s\n", source, asked);
}

int cli_image_copy(struct cli *cli)
{
    json_t *args = json_object(), *result = NULL;
    const char *source, *destination;
    int rc = 0;

    if (cli->args.rest.count != 3) {
        json_decref(args);
        strake_fail(&cli->err, STRAKE_EUSAGE, "usage: strake image copy SOURCE DESTINATION");
        return STRAKE_EUSAGE;
    }
    source = cli->args.rest.items[1];
    destination = cli->args.rest.items[2];
    if (strake_json_set_str(args, "source", source) < 0 ||
        strake_json_set_str(args, "destination", destination) < 0 ||
        strake_json_set_bool(args, "referrers", cli_flag(&cli->args, "referrers")) < 0 ||
        strake_json_set_bool(args, "force", cli_flag(&cli->args, "force")) < 0)
        rc = strake_fail_nomem(&cli->err);
    if (rc == 0)
        rc = take_platforms(cli, args);
    if (rc < 0) {
        json_decref(args);
        return rc;
    }
    rc = cli_way(cli, "copy", args, &result);
    if (rc == 0 && json_is_object(json_object_get(result, "error")))
        rc = strake_err_parse(&cli->err, json_object_get(result, "error"));
    if (rc == 0 && cli->json)
        rc = cli_print_json(cli, document(result, source, destination));
    else if (rc == 0)
        print_result(result, source, destination);
    json_decref(result);
    return rc < 0 ? rc : cli_finish_stdout(cli);
}
