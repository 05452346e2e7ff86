/* What is looked at before dlopen(). */
#include "plugin/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

#if defined(__x86_64__)
#define ELF_MACHINE EM_X86_64
#define ELF_MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
#define ELF_MACHINE EM_AARCH64
#define ELF_MACHINE_NAME "aarch64"
#elif defined(__riscv)
#define ELF_MACHINE EM_RISCV
#define ELF_MACHINE_NAME "riscv"
#else
#error "name this machine's ELF machine number here"
#endif

#define ELF_SEGMENTS_MAX 128

static int bad(struct strake_err *err, const char *path, const char *what)
{
    strake_fail(err, STRAKE_ECONFIG, "%s is not a plugin: %s", path, what);
    return STRAKE_ECONFIG;
}

static const char *header_fault(const Elf64_Ehdr *header)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return "it is no ELF file";
    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return "it is not a 64-bit ELF file";
    if (header->e_ident[EI_DATA] !=
        (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB))
        return "its byte order is another";
    if (header->e_machine != ELF_MACHINE)
        return "it was built for another machine than " ELF_MACHINE_NAME;
    if (header->e_type != ET_DYN)
        return "it is not a shared object";
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
        header->e_phnum > ELF_SEGMENTS_MAX)
        return "its program headers make no sense";
    return NULL;
}

static const char *segments_fault(int fd, const Elf64_Ehdr *header, uint64_t size)
{
    uint64_t table = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);
    bool dynamic = false;

    if (header->e_phoff > size || table > size - header->e_phoff)
        return "the file is cut off";
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        off_t at = (off_t)(header->e_phoff + i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment))
            return "the file is cut off";
        if (segment.p_offset > size || segment.p_filesz > size - segment.p_offset)
            return "the file is cut off";
        dynamic = dynamic || segment.p_type == PT_DYNAMIC;
    }
    return dynamic ? NULL : "it has no dynamic section";
}

/* Section headers come last in a file: when they are cut off, it was copied half. */
static const char *tail_fault(const Elf64_Ehdr *header, uint64_t size)
{
    uint64_t table = (uint64_t)header->e_shnum * header->e_shentsize;

    if (header->e_shoff && (header->e_shoff > size || table > size - header->e_shoff))
        return "the file is cut off";
    return NULL;
}

int strake_elf_check(const char *path, struct strake_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *fault = NULL;
    Elf64_Ehdr header;
    struct stat st;

    if (fd < 0)
        return strake_fail_errno(err, STRAKE_ECONFIG, "the plugin %s cannot be opened", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        fault = "it is not a regular file";
    else if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
        fault = "it is too short for an ELF file";
    else
        fault = header_fault(&header);
    if (!fault)
        fault = segments_fault(fd, &header, (uint64_t)st.st_size);
    if (!fault)
        fault = tail_fault(&header, (uint64_t)st.st_size);
    close(fd);
    return fault ? bad(err, path, fault) : 0;
}

static int check_one_owner(const char *path, const char *what, struct strake_err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return strake_fail_errno(err, STRAKE_ECONFIG, "%s %s cannot be looked at", what, path);
    if (st.st_mode & S_IWOTH) {
        strake_fail(err, STRAKE_ECONFIG,
                    "%s %s may be written to by anyone, so its code is not loaded", what, path);
        strake_err_hint(err, "chmod o-w %s", path);
        return STRAKE_ECONFIG;
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        strake_fail(err, STRAKE_ECONFIG,
                    "%s %s belongs to another user (%u), so its code is not "
                    "loaded",
                    what, path, st.st_uid);
        strake_err_hint(err, "let root or yourself own it");
        return STRAKE_ECONFIG;
    }
    return 0;
}

static int check_with_folder(const char *path, struct strake_err *err)
{
    char *folder = strake_strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    int rc;

    if (!folder)
        return strake_fail_nomem(err);
    if (slash)
        slash[slash == folder] = '\0';
    rc = check_one_owner(slash ? folder : ".", "the folder", err);
    if (rc == 0)
        rc = check_one_owner(path, "the plugin", err);
    strake_free(folder);
    return rc;
}

/* A link in a good folder may lead to a bad one: both count. */
int strake_elf_check_owner(const char *path, struct strake_err *err)
{
    int rc = check_with_folder(path, err);
    char *resolved;

    if (rc < 0)
        return rc;
    resolved = realpath(path, NULL);
    if (!resolved)
        return strake_fail_errno(err, STRAKE_ECONFIG, "the plugin %s cannot be looked at", path);
    if (strcmp(resolved, path) != 0)
        rc = check_with_folder(resolved, err);
    free(resolved); /* the C library's */
    return rc;
}
