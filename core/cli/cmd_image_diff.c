/* strake image diff: where two images differ. */
#include <string.h>
#include <unistd.h>

#include "build/diff.h"
#include "cli/cli.h"
#include "image/platform.h"
#include "util/json.h"
#include "util/time.h"

#define BAR_WIDTH 24

struct comparing {
    struct cli *cli;
    const char *a, *b, *platform;
    struct strake_diff diff;
};

static int compare_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct comparing *comparing = ctx;

    return strake_diff_read(comparing->cli->session.stores, comparing->a, comparing->b,
                            comparing->platform, job, &comparing->diff, err);
}

static const char *change_word(const struct strake_diff_file *file)
{
    return file->a_bytes < 0 ? "added" : file->b_bytes < 0 ? "removed" : "changed";
}

/* ---- JSON ---- */

static int put_file(struct strake_buf *text, const struct strake_diff_file *file, bool first)
{
    json_t *entry = json_object(), *sizes = json_array();
    int rc = 0;

    if (!entry || !sizes ||
        json_array_append_new(sizes, json_integer(file->a_bytes < 0 ? 0 : file->a_bytes)) < 0 ||
        json_array_append_new(sizes, json_integer(file->b_bytes < 0 ? 0 : file->b_bytes)) < 0 ||
        strake_json_set_str(entry, "path", file->path) < 0 ||
        strake_json_set_str(entry, "change", change_word(file)) < 0 ||
        json_object_set(entry, "size_bytes", sizes) < 0)
        rc = STRAKE_ENOMEM;
    if (rc == 0 && !first)
        rc = strake_buf_putc(text, ',');
    if (rc == 0)
        rc = strake_json_dump(entry, text);
    json_decref(entry);
    json_decref(sizes);
    return rc < 0 ? rc : cli_put(text);
}

static int print_json(struct cli *cli, const struct strake_diff *diff)
{
    struct strake_buf text = { 0 };
    int rc = cli_put_members(&text, diff->document, "files");

    for (size_t i = 0; rc == 0 && i < diff->count; i++)
        rc = put_file(&text, &diff->files[i], i == 0);
    if (rc == 0)
        rc = strake_buf_puts(&text, "]}\n");
    if (rc == 0)
        rc = cli_put(&text);
    strake_buf_dispose(&text);
    cli->told = true;
    return rc < 0 ? strake_fail_nomem(&cli->err) : cli_finish_stdout(cli);
}

/* ---- for people ---- */

static void print_sizes(const struct strake_diff *diff)
{
    const json_t *sizes = json_object_get(diff->document, "size_bytes");
    const json_t *finals = json_object_get(diff->document, "final_bytes");
    const bool bars = isatty(STDOUT_FILENO) == 1;
    int64_t most = 0;

    for (size_t i = 0; i < 2; i++) {
        int64_t bytes = json_integer_value(json_array_get(finals, i));
        most = bytes > most ? bytes : most;
    }
    for (size_t i = 0; i < 2; i++) {
        int64_t bytes = json_integer_value(json_array_get(finals, i));
        char packed[32], seen[32], bar[4 * BAR_WIDTH + 8] = "";
        strake_size_format(json_integer_value(json_array_get(sizes, i)), packed, sizeof(packed));
        strake_size_format(bytes, seen, sizeof(seen));
        if (bars)
            cli_bar(bytes, most, BAR_WIDTH, bar, sizeof(bar));
        cli_printf("%c %10s compressed, %10s of files  %s  %s\n", "-+"[i], packed, seen, bar,
                   strake_json_str(diff->document, i ? "b" : "a"));
    }
}

static void print_layers(const json_t *list, char sign)
{
    const json_t *layer;
    char size[32];
    size_t i;

    json_array_foreach(list, i, layer) {
        const char *by = strake_json_str(layer, "created_by");
        strake_size_format(strake_json_int(layer, "size_bytes", 0), size, sizeof(size));
        cli_printf("  %c %10s  %.19s  %s\n", sign, size, strake_json_str(layer, "digest"),
                   by ? by : "");
    }
}

static void print_texts(const char *title, const json_t *list, const char *word)
{
    const json_t *entry;
    size_t i;

    if (json_array_size(list))
        cli_printf("\n%s\n", title);
    json_array_foreach(list, i, entry) {
        const char *from = strake_json_str(entry, "from"), *to = strake_json_str(entry, "to");
        cli_printf("  %c %s  %s%s%s\n",
                   !*from ? '+'
                   : !*to ? '-'
                          : '~',
                   strake_json_str(entry, word), from, *from && *to ? " → " : "", to);
    }
}

static void print_files(const struct strake_diff *diff)
{
    if (diff->count)
        cli_printf("\nfiles\n");
    for (size_t i = 0; i < diff->count; i++) {
        const struct strake_diff_file *file = &diff->files[i];
        char from[32], to[32];
        strake_size_format(file->a_bytes < 0 ? 0 : file->a_bytes, from, sizeof(from));
        strake_size_format(file->b_bytes < 0 ? 0 : file->b_bytes, to, sizeof(to));
        cli_printf("  %c %10s %10s  %s\n",
                   file->a_bytes < 0   ? '+'
                   : file->b_bytes < 0 ? '-'
                                       : '~',
                   file->a_bytes < 0 ? "" : from, file->b_bytes < 0 ? "" : to, file->path);
    }
}

static int print_text(struct cli *cli, const struct strake_diff *diff)
{
    const json_t *layers = json_object_get(diff->document, "layers");
    const json_t *a = json_object_get(layers, "a"), *b = json_object_get(layers, "b");

    print_sizes(diff);
    print_texts("configuration", json_object_get(diff->document, "config"), "key");
    cli_printf("\nlayers: %lld in common\n", (long long)strake_json_int(layers, "common", 0));
    print_layers(a, '-');
    print_layers(b, '+');
    print_texts("packages", json_object_get(diff->document, "packages"), "name");
    print_files(diff);
    return cli_finish_stdout(cli);
}

int cli_image_diff(struct cli *cli)
{
    char platform[STRAKE_PLATFORM_TEXT];
    struct comparing comparing = { .cli = cli };
    int rc = cli_image_platform(cli, false, platform, &comparing.platform);

    if (rc == 0 && cli->args.rest.count != 3)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "usage: strake image diff A B [--platform P]");
    if (rc < 0)
        return rc;
    comparing.a = cli->args.rest.items[1];
    comparing.b = cli->args.rest.items[2];
    rc = cli_await(cli, compare_run, &comparing);
    if (rc < 0)
        return rc;
    rc = cli->json ? print_json(cli, &comparing.diff) : print_text(cli, &comparing.diff);
    strake_diff_dispose(&comparing.diff);
    return rc;
}
