/* What the command line asks of the builder beside the Dockerfile's words, as docker and buildx
 * write it. Values are checked where all three writers of them meet (build/extras.c). */
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

static int no_memory(struct cli *cli)
{
    return strake_fail_nomem(&cli->err);
}

static int set_list(struct cli *cli, json_t *wish, const char *option, const char *key)
{
    json_t *list = json_array();
    const char *text;
    int rc = list ? 0 : STRAKE_ENOMEM;

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, option, n)); n++)
        rc = strake_json_append_str(list, text);
    if (rc == 0 && json_array_size(list) && json_object_set(wish, key, list) < 0)
        rc = STRAKE_ENOMEM;
    json_decref(list);
    return rc < 0 ? no_memory(cli) : 0;
}

/* "NAME=VALUE"; docker also writes "NAME:VALUE" for hosts. */
static int set_map(struct cli *cli, json_t *wish, const char *option, const char *key,
                   const char *separators)
{
    json_t *map = json_object();
    const char *text;
    int rc = map ? 0 : no_memory(cli);

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, option, n)); n++) {
        size_t len = strcspn(text, separators);
        char *name = strake_strndup(text, len);
        if (!name)
            rc = no_memory(cli);
        else if (!len || !text[len] || !text[len + 1])
            rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--%s %s: NAME=VALUE is expected", option,
                             text);
        else if (strake_json_set_str(map, name, text + len + 1) < 0)
            rc = no_memory(cli);
        strake_free(name);
    }
    if (rc == 0 && json_object_size(map) && json_object_set(wish, key, map) < 0)
        rc = no_memory(cli);
    json_decref(map);
    return rc;
}

/* ---- annotations ---- */

static bool is_level(const char *text, size_t len)
{
    static const char *const levels[] = { "manifest", "index", "manifest-descriptor",
                                          "index-descriptor" };

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        size_t own = strlen(levels[i]);
        if (len >= own && strncmp(text, levels[i], own) == 0 && (len == own || text[own] == '['))
            return true;
    }
    return false;
}

/* "index,manifest:KEY=VALUE" is one annotation of each level. */
static int add_annotation(struct cli *cli, json_t *map, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *colon = equals ? memchr(text, ':', (size_t)(equals - text)) : NULL;
    const char *level = text;
    int rc = 0;

    if (!equals || equals == text) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--annotation %s: KEY=VALUE is expected", text);
        strake_err_hint(&cli->err, "or LEVEL:KEY=VALUE; LEVEL is manifest, index, "
                                   "manifest-descriptor or index-descriptor");
        return rc;
    }
    if (!colon || !is_level(text, strcspn(text, ",:"))) {
        char *key = strake_strndup(text, (size_t)(equals - text));
        rc = key ? strake_json_set_str(map, key, equals + 1) : STRAKE_ENOMEM;
        strake_free(key);
        return rc < 0 ? no_memory(cli) : 0;
    }
    while (rc == 0 && level < colon) {
        size_t len = strcspn(level, ",:");
        char *key =
            strake_asprintf("%.*s:%.*s", (int)len, level, (int)(equals - colon - 1), colon + 1);
        if (!is_level(level, len))
            rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--annotation %s: there is no level %.*s",
                             text, (int)len, level);
        else if (!key || strake_json_set_str(map, key, equals + 1) < 0)
            rc = no_memory(cli);
        strake_free(key);
        level += len + 1;
    }
    return rc;
}

static int set_annotations(struct cli *cli, json_t *wish)
{
    json_t *map = json_object();
    const char *text;
    int rc = map ? 0 : no_memory(cli);

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, "annotation", n)); n++)
        rc = add_annotation(cli, map, text);
    if (rc == 0 && json_object_size(map) && json_object_set(wish, "annotations", map) < 0)
        rc = no_memory(cli);
    json_decref(map);
    return rc;
}

/* ---- attestations ---- */

static int set_attestation(struct cli *cli, json_t *map, const char *type, const char *options)
{
    json_t *value;

    if (!*options || strcmp(options, "true") == 0)
        value = json_true();
    else if (strcmp(options, "false") == 0 || strcmp(options, "disabled=true") == 0)
        value = json_false();
    else
        value = json_string(strcmp(options, "min") == 0   ? "mode=min"
                            : strcmp(options, "max") == 0 ? "mode=max"
                                                          : options);
    return strake_json_set(map, type, value) < 0 ? no_memory(cli) : 0;
}

/* "type=sbom,generator=…" */
static int add_attestation(struct cli *cli, json_t *map, const char *text)
{
    const char *comma = strchr(text, ',');
    size_t len = comma ? (size_t)(comma - text) : strlen(text);

    if (len == strlen("type=provenance") && strncmp(text, "type=provenance", len) == 0)
        return set_attestation(cli, map, "provenance", comma ? comma + 1 : "");
    if (len == strlen("type=sbom") && strncmp(text, "type=sbom", len) == 0)
        return set_attestation(cli, map, "sbom", comma ? comma + 1 : "");
    strake_fail(&cli->err, STRAKE_EUSAGE, "--attest %s is neither provenance nor sbom", text);
    strake_err_hint(&cli->err, "write --attest type=provenance,mode=max or --attest type=sbom");
    return STRAKE_EUSAGE;
}

static int set_attestations(struct cli *cli, json_t *wish)
{
    const char *provenance = cli_text(&cli->args, "provenance");
    const char *sbom = cli_text(&cli->args, "sbom"), *text;
    json_t *map = json_object();
    int rc = map ? 0 : no_memory(cli);

    for (size_t n = 0; rc == 0 && (text = cli_item(&cli->args, "attest", n)); n++)
        rc = add_attestation(cli, map, text);
    if (rc == 0 && provenance)
        rc = set_attestation(cli, map, "provenance", provenance);
    if (rc == 0 && sbom)
        rc = set_attestation(cli, map, "sbom", sbom);
    if (rc == 0 && json_object_size(map) && json_object_set(wish, "attestations", map) < 0)
        rc = no_memory(cli);
    json_decref(map);
    return rc;
}

int cli_wish_options(struct cli *cli, json_t *wish)
{
    if (set_annotations(cli, wish) < 0 ||
        set_list(cli, wish, "no-cache-filter", "no_cache_stages") < 0 ||
        set_list(cli, wish, "ssh", "ssh") < 0 || set_list(cli, wish, "allow", "entitlements") < 0 ||
        set_map(cli, wish, "add-host", "add_hosts", "=:") < 0 ||
        set_map(cli, wish, "ulimit", "ulimits", "=") < 0 || set_attestations(cli, wish) < 0)
        return cli->err.code;
    if ((cli_flag(&cli->args, "pull") && strake_json_set_bool(wish, "pull", true) < 0) ||
        strake_json_set_str(wish, "network", cli_text(&cli->args, "network")) < 0 ||
        strake_json_set_str(wish, "shm_size", cli_text(&cli->args, "shm-size")) < 0)
        return no_memory(cli);
    return 0;
}
