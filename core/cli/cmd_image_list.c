/* strake image list: the tags of a repository, and what each names. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build/sizes.h"
#include "cli/cli.h"
#include "util/json.h"
#include "util/time.h"

#define BAR_WIDTH 20

struct listing {
    struct cli *cli;
    const char *repository;
    bool sizes;
    struct strake_strings tags;
    struct strake_tag_size *images; /* as many as tags, or NULL */
};

static int list_run(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct listing *listing = ctx;
    struct strake_stores *stores = listing->cli->session.stores;
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    int rc = strake_stores_open(stores, listing->repository, &ref, &place, err);

    if (rc == 0)
        rc = strake_registry_tags(place.instance, job, place.repository, &listing->tags, err);
    if (rc == 0 && listing->sizes && listing->tags.count) {
        listing->images = strake_calloc(listing->tags.count, sizeof(*listing->images));
        rc = listing->images ? strake_tag_sizes(stores, listing->repository, &listing->tags, job,
                                                listing->images, err)
                             : strake_fail_nomem(err);
    }
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    return rc;
}

/* ---- in which order ---- */

static int by_text(const void *a, const void *b)
{
    return strake_tag_compare(*(char *const *)a, *(char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    const struct strake_tag_size *left = a, *right = b;

    return strake_tag_compare(left->tag, right->tag);
}

static int by_created(const void *a, const void *b)
{
    const struct strake_tag_size *left = a, *right = b;
    const int order = strcmp(right->created, left->created);

    return order ? order : by_name(a, b);
}

static int by_size(const void *a, const void *b)
{
    const struct strake_tag_size *left = a, *right = b;

    if (left->size_bytes != right->size_bytes)
        return left->size_bytes < right->size_bytes ? 1 : -1;
    return by_name(a, b);
}

static int choose_order(struct cli *cli, int (**order)(const void *, const void *))
{
    const char *sort = cli_text(&cli->args, "sort");

    *order = !sort || strcmp(sort, "name") == 0 ? by_name
             : strcmp(sort, "created") == 0     ? by_created
             : strcmp(sort, "size") == 0        ? by_size
                                                : NULL;
    if (*order)
        return 0;
    strake_fail(&cli->err, STRAKE_EUSAGE, "--sort %s is no order", sort);
    strake_err_hint(&cli->err,
                    "name (numbers by value), created (newest first), size (largest first)");
    return STRAKE_EUSAGE;
}

/* ---- telling ---- */

static json_t *images_json(const struct listing *listing)
{
    json_t *images = json_array();

    for (size_t i = 0; images && i < listing->tags.count; i++) {
        const struct strake_tag_size *size = &listing->images[i];
        json_t *entry = size->gone ? NULL : json_object();
        if (size->gone)
            continue;
        if (!entry || strake_json_set_str(entry, "tag", size->tag) < 0 ||
            strake_json_set_str(entry, "digest", size->digest) < 0 ||
            strake_json_set_int(entry, "size_bytes", size->size_bytes) < 0 ||
            strake_json_set_str(entry, "created", size->created) < 0 ||
            json_array_append(images, entry) < 0) {
            json_decref(images);
            images = NULL;
        }
        json_decref(entry);
    }
    return images;
}

static json_t *document(const struct listing *listing)
{
    json_t *doc = json_object();

    if (!doc || strake_json_set_str(doc, "schema", "strake.list/1") < 0 ||
        strake_json_set_str(doc, "repository", listing->repository) < 0 ||
        strake_json_set(doc, "tags", strake_json_strings(strake_strings_view(&listing->tags))) <
            0 ||
        (listing->sizes && strake_json_set(doc, "images", images_json(listing)) < 0)) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static void print_sizes(const struct listing *listing)
{
    const bool bars = isatty(STDOUT_FILENO) == 1;
    int64_t most = 0;
    int width = 0;

    for (size_t i = 0; i < listing->tags.count; i++) {
        const struct strake_tag_size *size = &listing->images[i];
        most = size->size_bytes > most ? size->size_bytes : most;
        width = (int)strlen(size->tag) > width ? (int)strlen(size->tag) : width;
    }
    for (size_t i = 0; i < listing->tags.count; i++) {
        const struct strake_tag_size *size = &listing->images[i];
        char bytes[32], bar[4 * BAR_WIDTH + 8] = " ";
        if (size->gone)
            continue;
        strake_size_format(size->size_bytes, bytes, sizeof(bytes));
        if (bars)
            cli_bar(size->size_bytes, most, BAR_WIDTH, bar + 1, sizeof(bar) - 1);
        cli_printf("%-*s  %10s%s  %-20.20s  %.19s\n", width, size->tag, bytes, bars ? bar : "",
                   size->created, size->digest);
    }
}

int cli_image_list(struct cli *cli)
{
    struct listing listing = { .cli = cli };
    int (*order)(const void *, const void *) = NULL;
    int rc = choose_order(cli, &order);

    if (rc == 0 && cli->args.rest.count != 2)
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "usage: strake image list REPOSITORY");
    if (rc < 0)
        return rc;
    listing.repository = cli->args.rest.items[1];
    listing.sizes = cli_flag(&cli->args, "sizes") || order != by_name;
    rc = cli_await(cli, list_run, &listing);
    if (rc == 0 && listing.images)
        qsort(listing.images, listing.tags.count, sizeof(*listing.images), order);
    if (rc == 0 && listing.tags.count)
        qsort(listing.tags.items, listing.tags.count, sizeof(*listing.tags.items), by_text);
    if (rc == 0 && cli->json) {
        rc = cli_print_json(cli, document(&listing));
    } else if (rc == 0) {
        if (listing.images)
            print_sizes(&listing);
        for (size_t i = 0; !listing.images && i < listing.tags.count; i++)
            cli_printf("%s\n", listing.tags.items[i]);
        rc = cli_finish_stdout(cli);
    }
    strake_free(listing.images);
    strake_strings_dispose(&listing.tags);
    return rc;
}
