/* The buildah plugin: a builder without a daemon, the one that is used where there is no other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "buildah/buildah.h"
#include "common/options.h"

/* It pushes nothing by digest, and knows neither here-documents nor COPY --link, source policies or
 * caches that travel. */
#define BUILDAH_FEATURES 0

static const struct plug_option table[] = {
    PLUG_OPTION(struct buildah, program, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildah, root, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildah, storage_driver, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildah, isolation, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildah, runtime, .kind = PLUG_STRING),
    PLUG_OPTION(struct buildah, timeout_ms, .kind = PLUG_INT, .min = 1, .max = 3600000),
    { .key = NULL },
};

/* ---- instances ------------------------------------------------------------------------------- */

static void close_instance(void *instance)
{
    struct buildah *self = instance;
    if (self == NULL)
        return;
    plug_options_dispose(table, self);
    free(self);
}

/* A relative folder would be another one in each folder that strake is called in. */
static int check_options(struct buildah *self, struct strake_err *err)
{
    const struct strake_host *host = self->host;
    if (self->program == NULL)
        self->program = strdup("buildah");
    /* What works everywhere: also within containers, and without a runtime or a network of its own.
     */
    if (self->isolation == NULL)
        self->isolation = strdup("chroot");
    if (self->program == NULL || self->isolation == NULL)
        return plug_fail_nomem(host, err);
    if (strcmp(self->isolation, "chroot") != 0 && strcmp(self->isolation, "oci") != 0 &&
        strcmp(self->isolation, "rootless") != 0)
        return host->fail(err, STRAKE_ECONFIG,
                          "buildah: option 'isolation' must be chroot, oci or rootless");
    if (self->root != NULL && self->root[0] != '/')
        return host->fail(err, STRAKE_ECONFIG, "buildah: option 'root' must be an absolute path");
    return 0;
}

static int open_instance(const struct strake_host *host, const char *options, void **out,
                         struct strake_err *err)
{
    struct buildah *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return plug_fail_nomem(host, err);
    self->host = host;
    self->timeout_ms = 3000;
    int rc = plug_options_read(host, "buildah", table, options, self, err);
    if (rc == 0)
        rc = check_options(self, err);
    if (rc < 0) {
        close_instance(self);
        return rc;
    }
    *out = self;
    return 0;
}

/* ---- probe ----------------------------------------------------------------------------------- */

/* What the kernel calls a machine, what images call it, and what qemu does. */
static const struct {
    const char *machine;
    const char *platform;
    const char *handler;
} machines[] = {
    { "x86_64", "linux/amd64", "qemu-x86_64" },
    { "aarch64", "linux/arm64", "qemu-aarch64" },
    { "armv7l", "linux/arm/v7", "qemu-arm" },
    { "i686", "linux/386", "qemu-i386" },
    { "ppc64le", "linux/ppc64le", "qemu-ppc64le" },
    { "riscv64", "linux/riscv64", "qemu-riscv64" },
    { "s390x", "linux/s390x", "qemu-s390x" },
    { "loongarch64", "linux/loong64", "qemu-loongarch64" },
};

/* Is this interpreter registered, enabled, and opened beforehand (F), so that it is there inside
 * another root too? */
static bool is_emulated(const char *handler)
{
    char path[128];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/sys/fs/binfmt_misc/%s", handler);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *flags = strstr(text, "\nflags: ");
    return strncmp(text, "enabled\n", 8) == 0 && flags != NULL &&
           memchr(flags + 8, 'F', strcspn(flags + 8, "\n")) != NULL;
}

static void add_platforms(struct strake_builder_info *info)
{
    struct utsname uts;
    struct plug_text list = { 0 };
    size_t count = sizeof(machines) / sizeof(machines[0]);
    const char *machine = uname(&uts) == 0 ? uts.machine : "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(machines[i].machine, machine) == 0)
            plug_text_add(&list, machines[i].platform);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(machines[i].machine, machine) != 0 && is_emulated(machines[i].handler))
            plug_text_addf(&list, "%s%s", list.len > 0 ? "," : "", machines[i].platform);
    }
    snprintf(info->platforms, sizeof(info->platforms), "%s", plug_text_view(&list));
    plug_text_dispose(&list);
}

struct version {
    char text[256];
    size_t len;
};

static int keep_version(void *ctx, const char *data, size_t len)
{
    struct version *version = ctx;
    size_t room = sizeof(version->text) - 1 - version->len;
    memcpy(version->text + version->len, data, len < room ? len : room);
    version->len += len < room ? len : room;
    return 0;
}

static int probe(void *instance, struct strake_job *job, struct strake_builder_info *info,
                 struct strake_err *err)
{
    const struct buildah *self = instance;
    const struct strake_host *host = self->host;
    struct version version = { 0 };
    const char *const argv[] = { self->program, "--version", NULL };
    const struct strake_process_fd out = { .fd = 1, .data = keep_version, .ctx = &version };
    const struct strake_process_fd *const fds[] = { &out, NULL };
    const struct strake_process process = {
        .size = sizeof(process),
        .argv = argv,
        .fds = fds,
        .timeout_ms = self->timeout_ms,
    };
    struct strake_process_result ended = { .size = sizeof(ended) };
    int rc = host->process_run(job, &process, &ended, err);
    if (rc == STRAKE_ECANCELLED || rc == STRAKE_ENOMEM)
        return rc;
    if (rc == STRAKE_ETIMEOUT)
        return host->fail(err, STRAKE_EBUILDER, "%s did not say its version within %lld ms",
                          self->program, (long long)self->timeout_ms);
    struct strake_builder_info found = { .size = info->size };
    if (rc < 0 || ended.exit_code != 0 ||
        sscanf(version.text, "buildah version %63s", found.version) != 1) {
        host->fail(err, STRAKE_EBUILDER,
                   "the program %s was not found, or does not say its version", self->program);
        host->err_hint(err, "install buildah, or give its path as the builder's option program");
        return STRAKE_EBUILDER;
    }
    found.features = BUILDAH_FEATURES;
    add_platforms(&found);
    memcpy(info, &found, info->size < sizeof(found) ? info->size : sizeof(found));
    return 0;
}

/* ---- command --------------------------------------------------------------------------------- */

static int command(void *instance, const struct strake_build_request *given, struct strake_buf *out,
                   struct strake_err *err)
{
    const struct buildah *self = instance;
    struct strake_build_request request;
    struct plug_list argv = { 0 };
    plug_request_read(given, &request);
    int rc = buildah_request_check(self, &request, err);
    if (rc < 0)
        return rc;
    /* With several platforms this is the first of as many; the file lies in a folder that is made
     * for each build, and has only its name here. */
    buildah_argv_bud(self, &request, request.platforms[0], "image-id", request.no_cache, &argv);
    rc = plug_list_json(&argv, self->host, out);
    plug_list_dispose(&argv);
    return rc;
}

static const struct strake_builder_v1 builder = {
    .size = sizeof(builder),
    .probe = probe,
    .command = command,
    .build = buildah_build,
    .features = BUILDAH_FEATURES,
};

static const struct strake_interface interfaces[] = { { "builder/1", &builder }, { NULL, NULL } };

static const struct strake_plugin plugin = {
    .abi = STRAKE_ABI,
    .size = sizeof(plugin),
    .name = "buildah",
    .version = STRAKE_VERSION,
    .open = open_instance,
    .close = close_instance,
    .interfaces = interfaces,
    .summary = "Builds without a daemon, with buildah",
};

const struct strake_plugin *strake_plugin_main(void)
{
    return &plugin;
}
