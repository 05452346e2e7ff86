/* The file of a memory: a head with count and checksum, then the entries as they are in memory,
 * sorted. It is read on the machine that wrote it; anything else is no memory. */
#include "dockerfile/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/mem.h"

#define MAGIC "strake-memory/1\n"
#define HASH_BYTES 32
#define RACY_NS ((int64_t)2 * 1000000000)
#define ENTRIES_MAX ((size_t)500000)
/* A file that was not seen in so many writes is forgotten: a walk need not see all. */
#define AGE_MAX 16
#define UNUSED_DAYS 30

struct entry {
    uint64_t dev;
    uint64_t ino;
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    unsigned char hash[HASH_BYTES];
    uint64_t age; /* writes since it was seen */
};

struct head {
    char magic[sizeof(MAGIC) - 1];
    uint64_t count;
    uint64_t checksum;
};

struct strake_memory {
    char *folder;
    char *path;          /* NULL: nowhere to keep it */
    struct entry *known; /* sorted by dev and ino */
    size_t known_count;
    bool *seen; /* which of them were asked for */
    struct entry *fresh;
    size_t fresh_count;
    size_t fresh_cap;
};

static uint64_t checksum(const struct entry *entries, size_t count)
{
    const unsigned char *at = (const unsigned char *)entries;
    uint64_t sum = 0xcbf29ce484222325u, word;

    for (size_t left = count * sizeof(*entries); left >= sizeof(word); left -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        sum = (sum ^ word) * 0x100000001b3u;
        sum ^= sum >> 29;
        at += sizeof(word);
    }
    return sum;
}

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static int64_t in_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static struct entry entry_of(const struct stat *st)
{
    return (struct entry){
        .dev = (uint64_t)st->st_dev,
        .ino = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = in_ns(&st->st_mtim),
        .ctime_ns = in_ns(&st->st_ctim),
    };
}

static bool same_file(const struct entry *a, const struct entry *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* ---- reading ---- */

static bool in_order(const struct entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(&entries[i - 1], &entries[i]) >= 0)
            return false;
    }
    return true;
}

/* Whatever is wrong with the file: it is empty then. */
static int load(struct strake_memory *memory)
{
    struct strake_buf text = { 0 };
    struct strake_err ignored = { 0 };
    struct head head;
    size_t bytes;
    int rc = memory->path ? strake_fs_read(memory->path, STRAKE_BUF_MAX, &text, &ignored) : 0;

    strake_err_dispose(&ignored);
    if (rc < 0 || text.len < sizeof(head))
        goto out;
    memcpy(&head, text.data, sizeof(head));
    bytes = text.len - sizeof(head);
    if (memcmp(head.magic, MAGIC, sizeof(head.magic)) != 0 || head.count == 0 ||
        head.count > ENTRIES_MAX || bytes != head.count * sizeof(struct entry))
        goto out;
    memory->known = strake_malloc(bytes);
    memory->seen = strake_calloc((size_t)head.count, sizeof(*memory->seen));
    if (!memory->known || !memory->seen) {
        rc = STRAKE_ENOMEM;
        goto out;
    }
    memcpy(memory->known, text.data + sizeof(head), bytes);
    if (checksum(memory->known, (size_t)head.count) == head.checksum &&
        in_order(memory->known, (size_t)head.count))
        memory->known_count = (size_t)head.count;
out:
    strake_buf_dispose(&text);
    return rc == STRAKE_ENOMEM ? rc : 0;
}

/* The file is named after the folder that it is about. */
static int find_place(struct strake_memory *memory, const char *folder, const char *context,
                      struct strake_err *err)
{
    char digest[STRAKE_DIGEST_TEXT];
    char *state = folder ? NULL : strake_fs_state_dir();
    char *real = strake_fs_absolute(context);
    const char *name = real ? real : context;
    int rc = strake_digest_of(name, strlen(name), digest, err);

    strake_free(real);
    if (rc == 0 && (folder || state)) {
        memory->folder = folder ? strake_strdup(folder) : strake_fs_join(state, "contexts");
        if (memory->folder)
            memory->path = strake_asprintf("%s/%.32s", memory->folder, strchr(digest, ':') + 1);
        rc = memory->path ? 0 : strake_fail_nomem(err);
    }
    strake_free(state);
    return rc;
}

int strake_memory_open(const char *folder, const char *context, struct strake_memory **out,
                       struct strake_err *err)
{
    struct strake_memory *memory = strake_calloc(1, sizeof(*memory));
    int rc;

    *out = NULL;
    if (!memory)
        return strake_fail_nomem(err);
    rc = find_place(memory, folder, context, err);
    if (rc == 0 && load(memory) < 0)
        rc = strake_fail_nomem(err);
    if (rc < 0) {
        strake_memory_free(memory);
        return rc;
    }
    *out = memory;
    return 0;
}

/* ---- asking and telling ---- */

bool strake_memory_find(struct strake_memory *memory, const struct stat *st, char *digest)
{
    static const char hex[] = "0123456789abcdef";
    const struct entry wanted = entry_of(st);
    const struct entry *found = NULL;
    char *to = digest + strlen("sha256:");

    if (memory->known_count)
        found = bsearch(&wanted, memory->known, memory->known_count, sizeof(wanted), compare);
    if (!found || !same_file(found, &wanted))
        return false;
    memory->seen[found - memory->known] = true;
    memcpy(digest, "sha256:", strlen("sha256:"));
    for (size_t i = 0; i < HASH_BYTES; i++) {
        *to++ = hex[found->hash[i] >> 4];
        *to++ = hex[found->hash[i] & 15];
    }
    *to = '\0';
    return true;
}

static unsigned char nibble(char digit)
{
    return (unsigned char)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* The clock may be set back, and a file may carry a time that is still to come. */
static bool is_settled(const struct entry *entry)
{
    struct timespec now;
    int64_t now_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    now_ns = in_ns(&now);
    return entry->mtime_ns < now_ns - RACY_NS && entry->ctime_ns < now_ns - RACY_NS;
}

void strake_memory_put(struct strake_memory *memory, const struct stat *st,
                       const struct stat *after, const char *digest)
{
    struct entry entry = entry_of(st);
    const struct entry again = entry_of(after);

    if (!strake_digest_valid(digest) || !same_file(&entry, &again) || !is_settled(&entry) ||
        memory->fresh_count >= ENTRIES_MAX)
        return;
    if (memory->fresh_count == memory->fresh_cap) {
        size_t cap = memory->fresh_cap ? memory->fresh_cap * 2 : 64;
        struct entry *grown = strake_reallocarray(memory->fresh, cap, sizeof(*grown));
        if (!grown)
            return;
        memory->fresh = grown;
        memory->fresh_cap = cap;
    }
    digest += strlen("sha256:");
    for (size_t i = 0; i < HASH_BYTES; i++)
        entry.hash[i] = (unsigned char)(nibble(digest[2 * i]) << 4 | nibble(digest[2 * i + 1]));
    memory->fresh[memory->fresh_count++] = entry;
}

size_t strake_memory_count(const struct strake_memory *memory)
{
    return memory->known_count + memory->fresh_count;
}

/* ---- writing ---- */

/* What goes into the file: what is new, and what was seen lately. The caller frees. */
static struct entry *gather(const struct strake_memory *memory, bool whole, size_t *count)
{
    struct entry *all = strake_calloc(strake_memory_count(memory), sizeof(*all));
    size_t kept = 0, used = 0;

    if (!all)
        return NULL;
    for (size_t i = 0; i < memory->fresh_count; i++)
        all[used++] = memory->fresh[i];
    for (size_t i = 0; i < memory->known_count; i++) {
        struct entry entry = memory->known[i];
        entry.age = memory->seen[i] ? 0 : entry.age + 1;
        if (memory->seen[i] || (!whole && entry.age < AGE_MAX))
            all[used++] = entry;
    }
    qsort(all, used, sizeof(*all), compare);
    for (size_t i = 0; i < used; i++) {
        /* Of two names of one file, or of a file before and behind a change, one is enough: the
         * other is hashed again. */
        if (kept > 0 && compare(&all[kept - 1], &all[i]) == 0) {
            if (all[i].ctime_ns > all[kept - 1].ctime_ns)
                all[kept - 1] = all[i];
        } else {
            all[kept++] = all[i];
        }
    }
    *count = kept < ENTRIES_MAX ? kept : ENTRIES_MAX;
    return all;
}

/* Contexts that nobody builds any more leave nothing behind for ever. */
static void sweep(const char *folder)
{
    const time_t since = time(NULL) - (time_t)UNUSED_DAYS * 24 * 60 * 60;
    DIR *dir = opendir(folder);
    const struct dirent *file;
    struct stat st;

    while (dir && (file = readdir(dir)) != NULL) {
        if (fstatat(dirfd(dir), file->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && st.st_mtime < since)
            unlinkat(dirfd(dir), file->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static bool worth_writing(const struct strake_memory *memory, bool whole)
{
    size_t unseen = 0;

    for (size_t i = 0; whole && i < memory->known_count; i++)
        unseen += !memory->seen[i];
    return memory->fresh_count > 0 || unseen * 2 > memory->known_count;
}

void strake_memory_save(struct strake_memory *memory, bool whole)
{
    struct strake_buf text = { 0 };
    struct strake_err ignored = { 0 };
    struct head head = { .magic = { 0 } };
    struct entry *all;
    size_t count = 0;

    if (!memory->path || !worth_writing(memory, whole))
        return;
    all = gather(memory, whole, &count);
    if (!all)
        return;
    memcpy(head.magic, MAGIC, sizeof(head.magic));
    head.count = count;
    head.checksum = checksum(all, count);
    if (strake_buf_append(&text, &head, sizeof(head)) == 0 &&
        strake_buf_append(&text, all, count * sizeof(*all)) == 0 &&
        strake_fs_mkdirs(memory->folder, 0700, &ignored) == 0 &&
        strake_fs_write(memory->path, text.data, text.len, 0600, false, &ignored) == 0)
        sweep(memory->folder);
    strake_err_dispose(&ignored);
    strake_buf_dispose(&text);
    strake_free(all);
}

void strake_memory_free(struct strake_memory *memory)
{
    if (!memory)
        return;
    strake_free(memory->folder);
    strake_free(memory->path);
    strake_free(memory->known);
    strake_free(memory->seen);
    strake_free(memory->fresh);
    strake_free(memory);
}
