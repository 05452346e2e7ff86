/* The headers of the tar one after the other; what lies between them is passed over. Names of what
 * `docker save`, podman and skopeo write fit into a plain header; sizes may need a pax one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"

#define BLOCK 512
#define LINKS_MAX 4

int archive_pread(const struct archive *archive, void *data, size_t len, int64_t offset,
                  struct strake_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(archive->fd, (char *)data + done, len - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return archive->host->fail(err, STRAKE_EIO, "%s cannot be read: %s",
                                       archive->options.path,
                                       got < 0 ? strerror(errno) : "it ends too early");
        done += (size_t)got;
    }
    return 0;
}

/* Octal, or big-endian with the top bit set. @return -1: neither */
static int64_t number(const char *field, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)field;
    int64_t value = 0;
    size_t i = 0;

    if (bytes[0] & 0x80) {
        for (i = 1; i < len; i++) {
            if (value > INT64_MAX >> 8)
                return -1;
            value = value << 8 | bytes[i];
        }
        return value;
    }
    while (i < len && bytes[i] == ' ')
        i++;
    for (; i < len && bytes[i] >= '0' && bytes[i] <= '7'; i++)
        value = value * 8 + (bytes[i] - '0');
    return i == len || bytes[i] == ' ' || bytes[i] == '\0' ? value : -1;
}

static bool sum_holds(const char *header)
{
    int64_t sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)header[i];
    return number(header + 148, 8) == sum;
}

/* "LENGTH size=N\n" in a pax header; -1: it has none. */
static int64_t pax_size(const char *text, size_t len)
{
    static const char key[] = " size=";

    for (size_t at = 0; at + sizeof(key) < len; at++) {
        if (memcmp(text + at, key, sizeof(key) - 1) == 0)
            return strtoll(text + at + sizeof(key) - 1, NULL, 10);
    }
    return -1;
}

static int add_member(struct archive *archive, const char *header, int64_t offset, int64_t size,
                      struct strake_err *err)
{
    struct archive_member *member;
    size_t prefix = 0;

    if (archive->member_count == ARCHIVE_MEMBERS_MAX)
        return archive->host->fail(err, STRAKE_ETOOBIG, "%s has more than %d files",
                                   archive->options.path, ARCHIVE_MEMBERS_MAX);
    if (archive->member_count % 64 == 0) {
        size_t cap = archive->member_count + 64;
        struct archive_member *members = realloc(archive->members, cap * sizeof(*members));
        if (!members)
            return plug_fail_nomem(archive->host, err);
        archive->members = members;
    }
    member = &archive->members[archive->member_count++];
    memset(member, 0, sizeof(*member));
    if (memcmp(header + 257, "ustar\0", 6) == 0 && header[345]) {
        prefix = strnlen(header + 345, 150);
        memcpy(member->name, header + 345, prefix);
        member->name[prefix++] = '/';
    }
    memcpy(member->name + prefix, header, strnlen(header, 100));
    if (header[156] == '2')
        memcpy(member->link, header + 157, strnlen(header + 157, 100));
    member->offset = offset;
    member->size_bytes = header[156] == '2' ? 0 : size;
    return 0;
}

/* One header at *at, which goes on to the next. @return 1, 0 at the end, or a code */
static int read_header(struct archive *archive, int64_t end, int64_t *at, int64_t *pax,
                       struct strake_err *err)
{
    const struct strake_host *host = archive->host;
    char header[BLOCK], text[4096];
    int64_t size, content = *at + BLOCK;
    int rc;

    if (*at + BLOCK > end)
        return 0;
    rc = archive_pread(archive, header, BLOCK, *at, err);
    if (rc < 0 || header[0] == '\0')
        return rc;
    size = number(header + 124, 12);
    if (!sum_holds(header) || size < 0)
        return host->fail(err, STRAKE_EREGISTRY, "%s is no docker archive: it is no plain tar",
                          archive->options.path);
    if (*pax >= 0 && header[156] != 'x')
        size = *pax;
    if (size > end - content)
        return host->fail(err, STRAKE_EREGISTRY, "%s is cut off", archive->options.path);
    *pax = -1;
    if (header[156] == 'x' && size < (int64_t)sizeof(text)) {
        rc = archive_pread(archive, text, (size_t)size, content, err);
        *pax = rc == 0 ? pax_size(text, (size_t)size) : -1;
    } else if (header[156] == '0' || header[156] == '\0' || header[156] == '2') {
        rc = add_member(archive, header, content, size, err);
    }
    *at = content + (size + BLOCK - 1) / BLOCK * BLOCK;
    return rc < 0 ? rc : 1;
}

int archive_members_read(struct archive *archive, struct strake_err *err)
{
    struct stat facts;
    int64_t at = 0, pax = -1;
    int rc = 1;

    if (fstat(archive->fd, &facts) < 0 || !S_ISREG(facts.st_mode))
        return archive->host->fail(err, STRAKE_EREGISTRY, "%s is not a plain file",
                                   archive->options.path);
    while (rc > 0)
        rc = read_header(archive, facts.st_size, &at, &pax, err);
    return rc;
}

static const struct archive_member *find_exactly(const struct archive *archive, const char *name)
{
    for (size_t i = archive->member_count; i > 0; i--) {
        if (strcmp(archive->members[i - 1].name, name) == 0)
            return &archive->members[i - 1];
    }
    return NULL;
}

/* Older engines write a layer that two images share as a link: "../ID/layer.tar". */
const struct archive_member *archive_member_find(const struct archive *archive, const char *name)
{
    const struct archive_member *found = find_exactly(archive, name);

    for (int links = 0; found && found->link[0]; links++) {
        bool beside = strncmp(found->link, "../", 3) == 0;
        if (links == LINKS_MAX)
            return NULL;
        found = find_exactly(archive, beside ? found->link + 3 : found->link);
    }
    return found;
}

int archive_member_text(const struct archive *archive, const struct archive_member *member,
                        struct plug_text *text, struct strake_err *err)
{
    char chunk[16384];
    int rc = 0;

    if (member->size_bytes > ARCHIVE_TEXT_MAX)
        return archive->host->fail(err, STRAKE_ETOOBIG, "%s: %s is larger than 8 MiB",
                                   archive->options.path, member->name);
    for (int64_t done = 0; rc == 0 && done < member->size_bytes;) {
        int64_t left = member->size_bytes - done;
        size_t n = left < (int64_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
        rc = archive_pread(archive, chunk, n, member->offset + done, err);
        if (rc == 0)
            plug_text_add_len(text, chunk, n);
        done += (int64_t)n;
    }
    return rc == 0 && text->failed ? plug_fail_nomem(archive->host, err) : rc;
}
