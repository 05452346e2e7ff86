/* Calls the methods of a registry plugin one by one, for tests that the command line is too coarse
 * for: registry_drive PLUGIN.so OPTIONS COMMAND ARG… [-- COMMAND ARG…]…
 * `threads N COMMAND ARG…` does one on N threads at once. All commands go to one instance. A
 * failure prints {"kind","message","hint","detail"} and ends it with exit code 1. */
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/loader.h"
#include "util/err.h"
#include "util/job.h"
#include "util/log.h"
#include "util/secret.h"

struct drive {
    const struct strake_host *host;
    const struct strake_registry_v1 *registry;
    void *self;
    struct strake_job *job;
    struct strake_err err;
};

static int sink(void *ctx, const char *data, size_t len)
{
    int64_t *left = ctx;
    if (*left >= 0 && (int64_t)len > *left)
        return STRAKE_EIO;
    if (*left >= 0)
        *left -= (int64_t)len;
    return fwrite(data, 1, len, stdout) == len ? 0 : STRAKE_EIO;
}

static int64_t source(void *ctx, void *data, size_t cap)
{
    return read(*(int *)ctx, data, cap);
}

static int rewind_source(void *ctx)
{
    return lseek(*(int *)ctx, 0, SEEK_SET) == 0 ? 0 : STRAKE_EIO;
}

static int print_tag(void *ctx, const char *tag)
{
    (void)ctx;
    puts(tag);
    return 0;
}

static void print_descriptor(const struct strake_descriptor *descriptor)
{
    printf("%s %s %" PRId64 "\n", descriptor->digest, descriptor->media_type,
           descriptor->size_bytes);
}

static int put_blob(struct drive *drive, char **args)
{
    struct stat facts;
    int fd = open(args[3], O_RDONLY);
    if (fd < 0 || fstat(fd, &facts) < 0)
        return strake_fail(&drive->err, STRAKE_EIO, "%s cannot be read", args[3]);
    int rc = drive->registry->blob_put(drive->self, drive->job, args[1], args[2], facts.st_size,
                                       source, rewind_source, &fd, &drive->err);
    close(fd);
    return rc;
}

static int put_manifest(struct drive *drive, char **args)
{
    static char bytes[16 << 20];
    struct strake_descriptor out = { .size = sizeof(out) };
    int fd = open(args[4], O_RDONLY);
    ssize_t len = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (len < 0)
        return strake_fail(&drive->err, STRAKE_EIO, "%s cannot be read", args[4]);
    close(fd);
    int rc = drive->registry->manifest_put(drive->self, drive->job, args[1], args[2], args[3],
                                           bytes, (size_t)len, &out, &drive->err);
    if (rc == 0)
        print_descriptor(&out);
    return rc;
}

/** Commands whose answer is bytes. */
static int get_bytes(struct drive *drive, char **args, int count)
{
    const struct strake_registry_v1 *registry = drive->registry;
    struct strake_descriptor out = { .size = sizeof(out) };
    struct strake_buf *bytes = drive->host->buf_new(8 << 20);
    int rc;
    if (!bytes)
        return strake_fail_nomem(&drive->err);
    if (strcmp(args[0], "get") == 0)
        rc = registry->manifest_get(drive->self, drive->job, args[1], args[2], bytes, &out,
                                    &drive->err);
    else if (strcmp(args[0], "referrers") == 0)
        rc = registry->referrers_of(drive->self, drive->job, args[1], args[2],
                                    count == 4 ? args[3] : "", bytes, &drive->err);
    else
        rc = registry->ping(drive->self, drive->job, bytes, &drive->err);
    size_t len;
    const char *data = drive->host->buf_data(bytes, &len);
    if (rc == 0) {
        fwrite(data, 1, len, stdout);
        if (strcmp(args[0], "get") == 0)
            fprintf(stderr, "%s %s %" PRId64 "\n", out.digest, out.media_type, out.size_bytes);
    }
    drive->host->buf_free(bytes);
    return rc;
}

static int run(struct drive *drive, char **args, int count)
{
    const struct strake_registry_v1 *registry = drive->registry;
    const char *command = args[0];
    struct strake_descriptor out = { .size = sizeof(out) };
    int64_t size = -1;
    bool mounted = false;
    int rc;
    if (strcmp(command, "resolve") == 0 && count == 3) {
        rc = registry->resolve(drive->self, drive->job, args[1], args[2], &out, &drive->err);
        if (rc == 0)
            print_descriptor(&out);
    } else if (strcmp(command, "put") == 0 && count == 5) {
        rc = put_manifest(drive, args);
    } else if (strcmp(command, "tags") == 0 && count == 2) {
        rc = registry->tags(drive->self, drive->job, args[1], print_tag, NULL, &drive->err);
    } else if (strcmp(command, "stat") == 0 && count == 3) {
        rc = registry->blob_stat(drive->self, drive->job, args[1], args[2], &size, &drive->err);
        if (rc == 0)
            printf("%" PRId64 "\n", size);
    } else if (strcmp(command, "blob-get") == 0 && (count == 4 || count == 5)) {
        int64_t limit = count == 5 ? atoll(args[4]) : -1;
        rc = registry->blob_get(drive->self, drive->job, args[1], args[2], atoll(args[3]), sink,
                                &limit, &drive->err);
    } else if (strcmp(command, "blob-put") == 0 && count == 4) {
        rc = put_blob(drive, args);
    } else if (strcmp(command, "mount") == 0 && count == 4) {
        rc = registry->blob_mount(drive->self, drive->job, args[1], args[2], args[3], &mounted,
                                  &drive->err);
        if (rc == 0)
            puts(mounted ? "mounted" : "not mounted");
    } else if (strcmp(command, "delete") == 0 && count == 3) {
        rc = registry->manifest_delete(drive->self, drive->job, args[1], args[2], &drive->err);
    } else if (strcmp(command, "sleep") == 0 && count == 2) {
        rc = usleep((useconds_t)atoi(args[1]) * 1000);
    } else if (count >= 1) {
        rc = get_bytes(drive, args, count);
    } else {
        rc = strake_fail(&drive->err, STRAKE_EUSAGE, "no command");
    }
    fflush(stdout);
    return rc;
}

/** What one of several threads does. */
struct thread {
    struct drive drive;
    char **args;
    int count;
    int rc;
    pthread_t id;
};

static void *run_thread(void *ctx)
{
    struct thread *thread = ctx;
    thread->rc = run(&thread->drive, thread->args, thread->count);
    return NULL;
}

static int run_threads(struct drive *drive, char **args, int count)
{
    struct thread threads[32];
    int number = atoi(args[1]);
    int rc = 0;
    for (int i = 0; i < number && i < 32; i++) {
        threads[i] = (struct thread){ .drive = *drive, .args = args + 2, .count = count - 2 };
        pthread_create(&threads[i].id, NULL, run_thread, &threads[i]);
    }
    for (int i = 0; i < number && i < 32; i++) {
        pthread_join(threads[i].id, NULL);
        if (threads[i].rc < 0 && rc == 0) {
            rc = threads[i].rc;
            strake_err_move(&drive->err, &threads[i].drive.err);
        }
        strake_err_dispose(&threads[i].drive.err);
    }
    return rc;
}

static int fail(struct strake_err *err)
{
    json_t *text = strake_err_json(err);
    json_object_set_new(text, "code", json_integer(err->code));
    json_dumpf(text, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(text);
    strake_err_dispose(err);
    return 1;
}

static const struct strake_registry_v1 *find_registry(const struct strake_plugin *plugin)
{
    for (const struct strake_interface *one = plugin->interfaces; one->name; one++)
        if (strcmp(one->name, "registry/1") == 0)
            return one->vtable;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    void *object = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    const struct strake_plugin *(*entry)(void) = NULL;
    if (object)
        *(void **)&entry = dlsym(object, "strake_plugin_main");
    if (!entry) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    const struct strake_plugin *plugin = entry();
    struct drive drive = { .host = strake_host_table(), .registry = find_registry(plugin) };
    drive.job = strake_job_new(NULL, NULL, NULL);
    strake_secret_from_env("PASSWORD", "PASSWORD", &drive.err);
    int rc = plugin->open(drive.host, argv[2], &drive.self, &drive.err);
    if (rc < 0) {
        strake_job_free(drive.job);
        return fail(&drive.err);
    }
    for (int at = 3; rc == 0 && at < argc;) {
        int count = 0;
        while (at + count < argc && strcmp(argv[at + count], "--") != 0)
            count++;
        if (count > 2 && strcmp(argv[at], "threads") == 0)
            rc = run_threads(&drive, argv + at, count);
        else
            rc = run(&drive, argv + at, count);
        /* What was got over leaves its text behind; the core drops it too. */
        if (rc == 0)
            strake_err_dispose(&drive.err);
        at += count + 1;
    }
    plugin->close(drive.self);
    strake_job_free(drive.job);
    return rc < 0 ? fail(&drive.err) : 0;
}
