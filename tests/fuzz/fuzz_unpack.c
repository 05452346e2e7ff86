/* Any bytes as a context on standard input: it is refused, or nothing of it lies outside of its
 * folder. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/unpack.h"
#include "util/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *data;
    size_t size;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static ssize_t give(void *ctx, const void **data, struct strake_err *err)
{
    struct bytes *bytes = ctx;
    size_t size = bytes->size;

    (void)err;
    *data = bytes->data;
    bytes->size = 0;
    return (ssize_t)size;
}

/* The folder above the one that is unpacked into holds only that one. */
static void check_alone(const char *outer)
{
    DIR *dir = opendir(outer);
    struct dirent *entry;
    size_t count = 0;

    check(dir != NULL);
    while ((entry = readdir(dir)) != NULL)
        count++;
    closedir(dir);
    check(count == 3); /* `.`, `..` and it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_job *job = strake_job_new(NULL, NULL, NULL);
    struct bytes bytes = { data, size };
    struct strake_err err = { 0 };
    char *outer = NULL, *inner = NULL;

    check(job && strake_fs_tempdir(&outer, &err) == 0);
    inner = strake_fs_join(outer, "in");
    check(inner && mkdir(inner, 0755) == 0);
    struct strake_unpack unpack = { .dir = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                    .read = give,
                                    .ctx = &bytes,
                                    .entries_max = 50,
                                    .bytes_max = 65536 };
    check(unpack.dir >= 0);
    strake_unpack_is_archive(data, size);
    int rc = strake_unpack(&unpack, job, &err);
    check(rc == 0 || (err.code == rc && err.message != NULL));
    check_alone(outer);
    close(unpack.dir);
    strake_err_dispose(&err);
    check(strake_fs_remove_tree(outer, &err) == 0);
    strake_err_dispose(&err);
    strake_free(inner);
    strake_free(outer);
    strake_job_free(job);
    return 0;
}
