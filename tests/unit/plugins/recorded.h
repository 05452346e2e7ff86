/* Recorded words of the real programs: tests/data, found from where this file stands. */
#ifndef TEST_RECORDED_H
#define TEST_RECORDED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The bytes of tests/data/FOLDER/NAME with a NUL behind them (free()); the test fails without. */
static inline char *recorded(const char *folder, const char *name, size_t *len)
{
    char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    int dir = slash != NULL ? (int)(slash - __FILE__) : 1;
    snprintf(path, sizeof(path), "%.*s/../../data/%s/%s", dir, slash != NULL ? __FILE__ : ".",
             folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    char *data = malloc(1024 * 1024);
    assert_non_null(data);
    *len = fread(data, 1, 1024 * 1024 - 1, file);
    fclose(file);
    data[*len] = '\0';
    return data;
}

#endif
