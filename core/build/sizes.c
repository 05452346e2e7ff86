/* Looking at all tags of a repository side by side (sizes.h). */
#include "build/sizes.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "build/inspect.h"
#include "util/json.h"

#define SIDE_BY_SIDE 8 /* more is no faster, and rude */

struct looking {
    struct strake_stores *stores;
    const char *repository;
    const struct strake_strings *tags;
    struct strake_job *job;
    struct strake_tag_size *out;
    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    int rc;
    struct strake_err *err;
};

static void fill(struct strake_tag_size *size, const json_t *image)
{
    const char *digest = strake_json_str(image, "digest");
    const json_t *platform;
    size_t i;

    snprintf(size->digest, sizeof(size->digest), "%s", digest ? digest : "");
    size->size_bytes = strake_json_int(image, "size_bytes", 0);
    json_array_foreach(json_object_get(image, "platforms"), i, platform) {
        const char *created = strake_json_str(platform, "created");
        if (created && strcmp(created, size->created) > 0)
            snprintf(size->created, sizeof(size->created), "%s", created);
    }
}

static int look_at(struct looking *looking, size_t at, struct strake_err *err)
{
    struct strake_tag_size *size = &looking->out[at];
    char *ref = strake_asprintf("%s:%s", looking->repository, looking->tags->items[at]);
    json_t *image = NULL;
    int rc = ref ? strake_inspect(looking->stores, ref, looking->job, &image, err)
                 : strake_fail_nomem(err);

    *size =
        (struct strake_tag_size){ .tag = looking->tags->items[at], .gone = rc == STRAKE_ENOTFOUND };
    if (rc == 0)
        fill(size, image);
    json_decref(image);
    strake_free(ref);
    return size->gone ? 0 : rc;
}

static void *look(void *ctx)
{
    struct looking *looking = ctx;

    for (;;) {
        struct strake_err err = { 0 };
        size_t at;
        int rc;

        pthread_mutex_lock(&looking->lock);
        at = looking->rc < 0 ? looking->tags->count : looking->next++;
        pthread_mutex_unlock(&looking->lock);
        if (at >= looking->tags->count)
            return NULL;
        rc = look_at(looking, at, &err);
        pthread_mutex_lock(&looking->lock);
        if (rc < 0 && looking->rc == 0) {
            looking->rc = rc;
            strake_err_move(looking->err, &err);
        }
        pthread_mutex_unlock(&looking->lock);
        strake_err_dispose(&err);
    }
}

int strake_tag_sizes(struct strake_stores *stores, const char *repository,
                     const struct strake_strings *tags, struct strake_job *job,
                     struct strake_tag_size *out, struct strake_err *err)
{
    struct looking looking = {
        .stores = stores, .repository = repository, .tags = tags, .job = job, .out = out, .err = err
    };
    pthread_t threads[SIDE_BY_SIDE - 1];
    size_t started = 0;

    pthread_mutex_init(&looking.lock, NULL);
    while (started < SIDE_BY_SIDE - 1 && started + 1 < tags->count &&
           pthread_create(&threads[started], NULL, look, &looking) == 0)
        started++;
    look(&looking);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&looking.lock);
    return looking.rc;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

int strake_tag_compare(const char *a, const char *b)
{
    const char *whole_a = a, *whole_b = b;

    while (*a && *b) {
        size_t len_a = digits(a), len_b = digits(b);
        if (!len_a || !len_b) {
            if (*a != *b)
                return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++;
            b++;
            continue;
        }
        for (; len_a > 1 && *a == '0'; a++)
            len_a--;
        for (; len_b > 1 && *b == '0'; b++)
            len_b--;
        int order = len_a != len_b ? (len_a < len_b ? -1 : 1) : strncmp(a, b, len_a);
        if (order)
            return order;
        a += len_a;
        b += len_b;
    }
    if (!*a && !*b)
        return strcmp(whole_a, whole_b); /* 01 and 1 */
    const bool version = isdigit((unsigned char)whole_a[*whole_a == 'v']);
    const char *rest = *a ? a : b;
    const int longer = version && *rest == '-' ? -1 : 1; /* a candidate stands before its release */
    return *a ? longer : -longer;
}
