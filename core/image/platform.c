/* Platform names, written the one way that containerd writes them. */
#include "image/platform.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "util/suggest.h"

/* The names of Go's ports: what BuildKit, registries and image indexes know. */
static const char *const known_os[] = {
    "linux",   "windows", "darwin", "freebsd", "netbsd",  "openbsd", "dragonfly", "aix", "android",
    "illumos", "ios",     "js",     "plan9",   "solaris", "wasip1",  "zos",       NULL,
};
static const char *const known_arch[] = {
    "amd64",  "arm64",  "arm",  "386",   "riscv64", "ppc64le", "s390x", "loong64", "mips64le",
    "mips64", "mipsle", "mips", "ppc64", "riscv",   "sparc64", "wasm",  NULL,
};

/* What other tools call them. */
static const struct {
    const char *alias;
    const char *arch;
    const char *variant; /* NULL: the one given stays */
} arch_aliases[] = {
    { "x86_64", "amd64", NULL }, { "x86-64", "amd64", NULL }, { "aarch64", "arm64", NULL },
    { "i386", "386", "" },       { "armhf", "arm", "v7" },    { "armel", "arm", "v6" },
};

static bool listed(const char *word, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(word, *list) == 0)
            return true;
    }
    return false;
}

/* Lower case, and `_` for what no platform name has: one word of `os/arch/variant`. */
static void copy_word(char *to, size_t cap, const char *from)
{
    size_t len = 0;
    for (; *from != '\0' && len + 1 < cap; from++) {
        char c = *from;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        to[len++] = plain ? c : '_';
    }
    to[len] = '\0';
}

/* One word of each kind; three of them and two slashes fit STRAKE_PLATFORM_TEXT. */
#define WORD_TEXT 31

static const char *normal_variant(const char *arch, const char *variant)
{
    static const struct {
        const char *arch;
        const char *variant;
        const char *normal;
    } table[] = {
        { "amd64", "v1", "" },     { "arm64", "8", "" },   { "arm64", "v8", "" },
        { "arm64", "v8.0", "" },   { "arm64", "9", "v9" }, { "arm64", "9.0", "v9" },
        { "arm64", "v9.0", "v9" }, { "arm", "", "v7" },    { "arm", "7", "v7" },
        { "arm", "5", "v5" },      { "arm", "6", "v6" },   { "arm", "8", "v8" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(arch, table[i].arch) == 0 && strcmp(variant, table[i].variant) == 0)
            return table[i].normal;
    }
    return variant;
}

void strake_platform_make(const char *os, const char *arch, const char *variant, char *out)
{
    char words[3][WORD_TEXT];
    copy_word(words[0], WORD_TEXT, os != NULL && *os != '\0' ? os : "unknown");
    copy_word(words[1], WORD_TEXT, arch != NULL && *arch != '\0' ? arch : "unknown");
    copy_word(words[2], WORD_TEXT, variant != NULL ? variant : "");

    const char *o = strcmp(words[0], "macos") == 0 ? "darwin" : words[0];
    const char *a = words[1];
    const char *v = words[2];
    for (size_t i = 0; i < sizeof(arch_aliases) / sizeof(arch_aliases[0]); i++) {
        if (strcmp(a, arch_aliases[i].alias) == 0) {
            a = arch_aliases[i].arch;
            v = arch_aliases[i].variant != NULL ? arch_aliases[i].variant : v;
            break;
        }
    }
    v = normal_variant(a, v);
    snprintf(out, STRAKE_PLATFORM_TEXT, "%s/%s%s%s", o, a, *v != '\0' ? "/" : "", v);
}

/* A word as users may write it: what copy_word() would have to replace is refused. */
static bool word_ok(const char *word, size_t len)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return len > 0 && len < WORD_TEXT && strspn(word, allowed) >= len;
}

static int refuse(struct strake_err *err, const char *text, const char *kind, const char *word,
                  const char *const *known)
{
    int rc = strake_fail(err, STRAKE_EUSAGE, "platform '%s': unknown %s '%s'", text, kind, word);
    const char *near = strake_suggest(word, known);
    if (near != NULL)
        strake_err_hint(err, "did you mean '%s'?", near);
    else
        strake_err_hint(err, "a platform is os/arch[/variant], such as linux/amd64 or linux/arm64");
    return rc;
}

static const char *host_arch(void)
{
    return strchr(strake_platform_host(), '/') + 1;
}

int strake_platform_parse(const char *text, char *out, struct strake_err *err)
{
    char words[3][WORD_TEXT] = { "", "", "" };
    size_t count = 0;

    for (const char *at = text;; at++) {
        size_t len = strcspn(at, "/");
        if (count == 3 || !word_ok(at, len)) {
            strake_fail(err, STRAKE_EUSAGE, "'%s' is no platform", text);
            strake_err_hint(err, "a platform is os/arch[/variant], such as linux/amd64");
            return STRAKE_EUSAGE;
        }
        memcpy(words[count], at, len);
        words[count++][len] = '\0';
        at += len;
        if (*at == '\0')
            break;
    }

    const char *os = count == 1 ? "linux" : words[0];
    const char *arch = count == 1 ? words[0] : words[1];
    char normal[STRAKE_PLATFORM_TEXT];
    if (count == 1) {
        /* A lone word is an architecture, or the name of an os for this machine's architecture. */
        strake_platform_make(words[0], NULL, NULL, normal);
        *strchr(normal, '/') = '\0';
        if (listed(normal, known_os)) {
            snprintf(out, STRAKE_PLATFORM_TEXT, "%.*s/%.*s", WORD_TEXT, normal, 2 * WORD_TEXT,
                     host_arch());
            return 0;
        }
    }
    strake_platform_make(os, arch, words[2], normal);

    char *end_os = strchr(normal, '/');
    char *normal_arch = end_os + 1;
    size_t arch_len = strcspn(normal_arch, "/");
    char variant_sep = normal_arch[arch_len];
    *end_os = '\0';
    if (!listed(normal, known_os))
        return refuse(err, text, "operating system", os, known_os);
    normal_arch[arch_len] = '\0';
    if (!listed(normal_arch, known_arch))
        return refuse(err, text, "architecture", arch, known_arch);
    *end_os = '/';
    normal_arch[arch_len] = variant_sep;
    memcpy(out, normal, strlen(normal) + 1);
    return 0;
}

static bool same_architecture(const char *a, const char *b)
{
    const char *left = strchr(a, '/'), *right = strchr(b, '/');
    size_t len;

    if (!left || !right)
        return false;
    len = strcspn(left + 1, "/");
    return left - a == right - b && strncmp(a, b, (size_t)(left - a)) == 0 &&
           len == strcspn(right + 1, "/") && strncmp(left + 1, right + 1, len) == 0;
}

bool strake_platform_native(const char *own, const char *platform)
{
    return same_architecture(own, platform) ||
           (strcmp(platform, "linux/386") == 0 && same_architecture(own, "linux/amd64"));
}

const char *strake_platform_host(void)
{
    /* One for each thread: no lock for a text that never changes. */
    static _Thread_local char host[STRAKE_PLATFORM_TEXT];
    if (host[0] == '\0') {
        struct utsname machine;
        const char *arch = uname(&machine) == 0 ? machine.machine : "unknown";
        if (strncmp(arch, "armv", 4) == 0) {
            char variant[3] = { 'v', arch[4], '\0' };
            strake_platform_make("linux", "arm", variant, host);
        } else {
            strake_platform_make("linux", strcmp(arch, "i686") == 0 ? "386" : arch, NULL, host);
        }
    }
    return host;
}
