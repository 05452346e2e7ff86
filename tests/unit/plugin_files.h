/* The plugins of tests/abi, copied to folders where they can be damaged. */
#ifndef TEST_PLUGIN_FILES_H
#define TEST_PLUGIN_FILES_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** A new folder that only we can write to; folder_remove() removes it with all that is in it. */
static inline char *folder_make(void)
{
    char *path = strdup("/tmp/strake-test-XXXXXX");

    assert_non_null(mkdtemp(path));
    return path;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int flag,
                                    struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void folder_remove(char *path)
{
    assert_int_equal(nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

/** "FOLDER/NAME" of the caller's. */
static inline char *path_join(const char *folder, const char *name)
{
    size_t len = strlen(folder) + strlen(name) + 2;
    char *path = malloc(len);

    assert_non_null(path);
    snprintf(path, len, "%s/%s", folder, name);
    return path;
}

struct file_bytes {
    char *data;
    size_t len;
};

static inline struct file_bytes file_read(const char *path)
{
    struct file_bytes bytes = { 0 };
    FILE *file = fopen(path, "rb");
    struct stat st;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    bytes.len = (size_t)st.st_size;
    bytes.data = malloc(bytes.len + 1);
    assert_non_null(bytes.data);
    assert_int_equal(fread(bytes.data, 1, bytes.len, file), bytes.len);
    bytes.data[bytes.len] = '\0';
    fclose(file);
    return bytes;
}

static inline void file_write(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/** Copy tests/abi's NAME.so to FOLDER/AS.so. */
static inline void plugin_copy(const char *name, const char *folder, const char *as)
{
    char from[512], to[512];
    struct file_bytes bytes;

    snprintf(from, sizeof(from), "%s/%s.so", ABI_PLUGINS, name);
    snprintf(to, sizeof(to), "%s/%s.so", folder, as);
    bytes = file_read(from);
    file_write(to, bytes.data, bytes.len);
    free(bytes.data);
}

#endif
