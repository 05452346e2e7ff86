/* strake image layers: what each layer of an image holds, and what of it is wasted. */
#include <string.h>
#include <unistd.h>

#include "build/layers.h"
#include "cli/cli.h"
#include "image/platform.h"
#include "util/json.h"
#include "util/time.h"

#define BAR_WIDTH 12

/* ---- shared with image diff ---- */

int cli_image_platform(struct cli *cli, bool all, char *out, const char **platform)
{
    const char *text = cli_item(&cli->args, "platform", 0);

    *platform = text ? out : NULL;
    if (!text)
        return 0;
    if (cli_item(&cli->args, "platform", 1))
        return strake_fail(&cli->err, STRAKE_EUSAGE, "--platform: only copy takes several");
    if (all && strcmp(text, "all") == 0) {
        memcpy(out, "all", sizeof("all"));
        return 0;
    }
    return strake_platform_parse(text, out, &cli->err);
}

void cli_bar(int64_t value, int64_t most, int width, char *out, size_t cap)
{
    int cells = most > 0 ? (int)((double)value / (double)most * width + 0.5) : 0;
    size_t len = 0;

    if (value > 0 && cells == 0)
        cells = 1;
    for (int i = 0; i < width && len + 4 < cap; i++) {
        const char *cell = i < cells ? "█" : " ";
        memcpy(out + len, cell, strlen(cell));
        len += strlen(cell);
    }
    out[len] = '\0';
}

/* ---- the work ---- */

struct reading {
    struct cli *cli;
    const char *ref, *platform;
    bool files;
    struct strake_layers layers;
};

static int read_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct reading *reading = ctx;

    return strake_layers_read(reading->cli->session.stores, reading->ref, reading->platform,
                              reading->files, job, &reading->layers, err);
}

static const char *change_word(enum strake_tree_kind kind)
{
    return kind == STRAKE_TREE_ADDED     ? "added"
           : kind == STRAKE_TREE_CHANGED ? "changed"
                                         : "deleted";
}

static int64_t change_bytes(const struct strake_tree_change *change)
{
    return change->kind == STRAKE_TREE_DELETED ? change->was_bytes : change->size_bytes;
}

/* ---- JSON: written piece by piece, for the files of a large image are many ---- */

static int put_change(struct strake_buf *text, const struct strake_tree *tree,
                      const struct strake_tree_change *change, struct strake_buf *path, bool first)
{
    json_t *entry = json_object();
    int rc = entry ? strake_tree_path(tree, change->node, path) : STRAKE_ENOMEM;

    if (rc == 0 && (strake_json_set_strn(entry, "path", strake_buf_text(path), path->len) < 0 ||
                    strake_json_set_str(entry, "change", change_word(change->kind)) < 0 ||
                    strake_json_set_int(entry, "size_bytes", change_bytes(change)) < 0))
        rc = STRAKE_ENOMEM;
    if (rc == 0 && !first)
        rc = strake_buf_putc(text, ',');
    if (rc == 0)
        rc = strake_json_dump(entry, text);
    json_decref(entry);
    return rc < 0 ? rc : cli_put(text);
}

static int put_layer(struct strake_buf *text, json_t *layer, const struct strake_tree *tree,
                     size_t at)
{
    struct strake_buf path = { 0 };
    size_t count;
    const struct strake_tree_change *changes = strake_tree_changes(tree, at, &count);
    int rc = cli_put_members(text, layer, "files");

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = put_change(text, tree, &changes[i], &path, i == 0);
    strake_buf_dispose(&path);
    return rc < 0 ? rc : strake_buf_puts(text, "]}");
}

static int put_platform(struct strake_buf *text, const struct strake_layers_platform *platform)
{
    const json_t *layers = json_object_get(platform->entry, "layers");
    json_t *layer;
    size_t i;
    int rc = cli_put_members(text, platform->entry, "layers");

    json_array_foreach(layers, i, layer) {
        if (rc == 0 && i > 0)
            rc = strake_buf_putc(text, ',');
        if (rc == 0)
            rc = put_layer(text, layer, platform->tree, i);
    }
    return rc < 0 ? rc : strake_buf_puts(text, "]}");
}

static int print_long_json(struct cli *cli, const struct strake_layers *layers)
{
    struct strake_buf text = { 0 };
    int rc = cli_put_members(&text, layers->document, "platforms");

    for (size_t i = 0; rc == 0 && i < layers->count; i++) {
        if (i > 0)
            rc = strake_buf_putc(&text, ',');
        if (rc == 0)
            rc = put_platform(&text, &layers->platforms[i]);
    }
    if (rc == 0)
        rc = strake_buf_puts(&text, "]}\n");
    rc = rc == 0 ? cli_put(&text) : rc;
    strake_buf_dispose(&text);
    cli->told = true;
    return rc < 0 ? strake_fail_nomem(&cli->err) : cli_finish_stdout(cli);
}

/* ---- for people ---- */

static void print_files(const struct strake_tree *tree, size_t at)
{
    struct strake_buf path = { 0 };
    size_t count;
    const struct strake_tree_change *changes = strake_tree_changes(tree, at, &count);
    char size[32];

    for (size_t i = 0; i < count; i++) {
        if (strake_tree_path(tree, changes[i].node, &path) < 0)
            break;
        strake_size_format(change_bytes(&changes[i]), size, sizeof(size));
        cli_printf("      %c %10s  %s\n", "+~-"[changes[i].kind], size, strake_buf_text(&path));
    }
    strake_buf_dispose(&path);
}

static int64_t largest(const json_t *layers)
{
    const json_t *layer;
    int64_t most = 0;
    size_t i;

    json_array_foreach(layers, i, layer) {
        int64_t bytes = strake_json_int(layer, "unpacked_bytes", 0);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void print_layer(const json_t *layer, size_t at, int64_t most, bool bars)
{
    const char *by = strake_json_str(layer, "created_by");
    char packed[32], unpacked[32], wasted[32], bar[4 * BAR_WIDTH + 8] = "";

    strake_size_format(strake_json_int(layer, "size_bytes", 0), packed, sizeof(packed));
    strake_size_format(strake_json_int(layer, "unpacked_bytes", 0), unpacked, sizeof(unpacked));
    strake_size_format(strake_json_int(layer, "wasted_bytes", 0), wasted, sizeof(wasted));
    if (bars) {
        cli_bar(strake_json_int(layer, "unpacked_bytes", 0), most, BAR_WIDTH, bar + 1,
                sizeof(bar) - 1);
        bar[0] = ' ';
    }
    cli_printf("%4zu %10s %10s%s  +%-6lld ~%-6lld -%-6lld %10s  %s\n", at + 1, packed, unpacked,
               bar, (long long)strake_json_int(layer, "added", 0),
               (long long)strake_json_int(layer, "changed", 0),
               (long long)strake_json_int(layer, "deleted", 0), wasted,
               by && *by ? by : strake_json_str(layer, "digest"));
    if (strake_json_int(layer, "outside", 0))
        cli_printf("     %lld names in it lead out of the image (absolute, or with `..`)\n",
                   (long long)strake_json_int(layer, "outside", 0));
}

static void print_platform(const struct strake_layers_platform *platform, bool files)
{
    const json_t *entry = platform->entry, *layers = json_object_get(entry, "layers"), *layer;
    const bool bars = isatty(STDOUT_FILENO) == 1;
    const int64_t most = largest(layers);
    char packed[32], unpacked[32], wasted[32], spare[32];
    size_t i;

    strake_size_format(strake_json_int(entry, "size_bytes", 0), packed, sizeof(packed));
    strake_size_format(strake_json_int(entry, "unpacked_bytes", 0), unpacked, sizeof(unpacked));
    strake_size_format(strake_json_int(entry, "wasted_bytes", 0), wasted, sizeof(wasted));
    strake_size_format(strake_json_int(entry, "reclaimable_bytes", 0), spare, sizeof(spare));
    cli_printf("\n%s  %s\n%s compressed, %s unpacked; efficiency %.1f %%, wasted %s, of which %s "
               "can be saved\n\n",
               strake_json_str(entry, "platform"), strake_json_str(entry, "digest"), packed,
               unpacked, json_real_value(json_object_get(entry, "efficiency")) * 100, wasted,
               spare);
    cli_printf("   # %10s %10s%*s  files %19s %10s  instruction\n", "compressed", "unpacked",
               bars ? BAR_WIDTH + 1 : 0, "", "", "wasted");
    json_array_foreach(layers, i, layer) {
        print_layer(layer, i, most, bars);
        if (files)
            print_files(platform->tree, i);
    }
}

int cli_image_layers(struct cli *cli)
{
    char platform[STRAKE_PLATFORM_TEXT];
    struct reading reading = { .cli = cli, .files = cli_flag(&cli->args, "files") };
    int rc = cli_image_platform(cli, true, platform, &reading.platform);

    if (rc == 0 && cli->args.rest.count != 2)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE,
                         "usage: strake image layers REF [--platform P] [--files]");
    if (rc < 0)
        return rc;
    reading.ref = cli->args.rest.items[1];
    rc = cli_await(cli, read_run, &reading);
    if (rc < 0)
        return rc;
    if (cli->json && reading.files) {
        rc = print_long_json(cli, &reading.layers);
    } else if (cli->json) {
        rc = cli_print_json(cli, json_incref(reading.layers.document));
    } else {
        cli_printf("%s\n%s\n", reading.ref, strake_json_str(reading.layers.document, "digest"));
        for (size_t i = 0; i < reading.layers.count; i++)
            print_platform(&reading.layers.platforms[i], reading.files);
        rc = cli_finish_stdout(cli);
    }
    strake_layers_dispose(&reading.layers);
    return rc;
}
