/* dpkg's status is paragraphs of "Field: value" lines (deb822), apk's database paragraphs of
 * "P:value" lines. */
#include "image/packages.h"

#include <string.h>

#include "util/json.h"

#define PACKAGES_MAX 100000
#define VALUE_MAX 1024

static const char dpkg_status[] = "var/lib/dpkg/status";
static const char dpkg_folder[] = "var/lib/dpkg/status.d/";

static bool is_apk(const char *path)
{
    return strcmp(path, "lib/apk/db/installed") == 0 ||
           strcmp(path, "usr/lib/apk/db/installed") == 0;
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);

    return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

bool strake_packages_wants(const char *path)
{
    if (strncmp(path, dpkg_folder, strlen(dpkg_folder)) == 0)
        return !ends_with(path, ".md5sums");
    return strcmp(path, dpkg_status) == 0 || is_apk(path);
}

/* A value of a line: borrowed, with its length. */
struct value {
    const char *text;
    size_t len;
};

struct paragraph {
    struct value name, version, status;
};

/* "deinstall ok config-files": it is gone, but for its configuration. */
static bool is_installed(const struct value *status)
{
    static const char word[] = " installed";
    const size_t len = sizeof(word) - 1;

    return !status->len ||
           (status->len >= len && memcmp(status->text + status->len - len, word, len) == 0);
}

static bool is_plain(const struct value *value)
{
    for (size_t i = 0; i < value->len; i++) {
        if (value->text[i] <= ' ' || value->text[i] > '~')
            return false;
    }
    return value->len > 0;
}

static int add(json_t *packages, const struct paragraph *found)
{
    char name[VALUE_MAX + 1], version[2 * VALUE_MAX + 8];
    const char *old;

    if (!is_plain(&found->name) || !is_plain(&found->version) || !is_installed(&found->status) ||
        json_object_size(packages) >= PACKAGES_MAX)
        return 0;
    memcpy(name, found->name.text, found->name.len);
    name[found->name.len] = '\0';
    memcpy(version, found->version.text, found->version.len);
    version[found->version.len] = '\0';
    old = strake_json_str(packages, name);
    if (old && (strstr(old, version) || strlen(old) >= VALUE_MAX))
        return 0;
    if (old) {
        memmove(version + strlen(old) + 2, version, found->version.len + 1);
        memcpy(version, old, strlen(old));
        memcpy(version + strlen(old), ", ", 2);
    }
    return strake_json_set_str(packages, name, version);
}

static bool field(const char *line, size_t len, const char *key, struct value *out)
{
    size_t key_len = strlen(key);

    if (len < key_len || memcmp(line, key, key_len) != 0)
        return false;
    line += key_len;
    len -= key_len;
    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    *out = (struct value){ line, len < VALUE_MAX ? len : 0 };
    return true;
}

int strake_packages_read(const char *path, const char *data, size_t len, json_t *packages)
{
    const bool apk = is_apk(path);
    const char *at = data, *end = data + len;
    struct paragraph found = { 0 };
    int rc = 0;

    while (rc == 0 && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_len = (size_t)((line_end ? line_end : end) - at);
        if (line_len == 0) {
            rc = add(packages, &found);
            found = (struct paragraph){ 0 };
        } else if (!field(at, line_len, apk ? "P:" : "Package:", &found.name) &&
                   !field(at, line_len, apk ? "V:" : "Version:", &found.version) && !apk) {
            field(at, line_len, "Status:", &found.status);
        }
        at += line_len + (line_end != NULL);
    }
    return rc < 0 ? rc : add(packages, &found);
}
