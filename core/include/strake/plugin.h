/* strake/plugin.h - everything a Strake plugin may use.
 *
 * A plugin is one shared object, NAME.so, with one export: strake_plugin_main(). It includes this
 * header, links against the C standard library and whatever else it likes, and never against
 * Strake: all that Strake offers reaches it through the host table given to open().
 *
 * Life. Strake loads a plugin when something of its type is first used and never unloads it.
 * open() is called once for each configured instance (`builder "lab" { type = "buildctl", … }`)
 * with that block's options as JSON; every method then gets the `self` that open() made; close()
 * ends it. Options that the plugin does not know it must refuse, naming the key.
 *
 * Threads. Methods block, and are called on worker threads, several at once on the same instance:
 * a plugin guards its own state. open() and close() are called on one thread at a time. The host
 * functions may be called from any thread, during a method, with the job of that method.
 * Callbacks are called on the thread that called the host function.
 *
 * Jobs. A method that may wait gets a `struct strake_job *`: through it the plugin reports what
 * happens, runs programs, makes HTTP requests and learns that it should stop. process_run() and
 * http_request() return STRAKE_ECANCELLED by themselves; a plugin that waits in another way looks
 * at job_cancelled(), or polls job_cancel_fd(), at least every 100 ms. A method that does not come
 * back within its deadline is left behind, and the run goes on without it.
 *
 * Results. Methods return 0 or a negative STRAKE_E… code. The callee that saw the failure writes
 * its text once into the trailing `struct strake_err *` (never NULL) with fail(); callers pass it
 * on. A message says what happened; err_hint() says what to do next; err_detail() keeps a tool's
 * own words.
 *
 * Memory. Who allocates frees. Strings and structs given to a method are borrowed for the call.
 * Results of variable size are appended to a `struct strake_buf` of the caller, which has a
 * maximum: an append past it fails with STRAKE_ETOOBIG, and the method passes that on.
 *
 * Secrets. An option that is a secret arrives in the options as {"secret":"NAME"}; secret_get()
 * gives its value. Values never go into argv, messages, logs or events; Strake redacts them there
 * all the same.
 *
 * Compatibility. Each struct that crosses begins with its `size`; fields are only ever appended,
 * and the reader takes no more than min(its size, the writer's) and treats the rest as zero. A
 * plugin probes a newer host function with STRAKE_HAS(host, field). A plugin of another
 * STRAKE_ABI is refused; a plugin with fewer or more fields than its host loads. */
#ifndef STRAKE_PLUGIN_H
#define STRAKE_PLUGIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The ABI's major number: a plugin and a program agree on it or do not work together. */
#define STRAKE_ABI 1u

/** True when the struct that `ptr` points to was made with the field `field`. */
#define STRAKE_HAS(ptr, field)                                                                     \
    ((ptr)->size >= offsetof(__typeof__(*(ptr)), field) + sizeof((ptr)->field))

#if defined(__GNUC__)
#define STRAKE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define STRAKE_EXPORT __attribute__((visibility("default")))
#else
#define STRAKE_PRINTF(fmt, args)
#define STRAKE_EXPORT
#endif

/** Result codes: 0 or one of these. Each names a kind of error (`error.kind` of --json) and, when
 *  it ends a command, its exit code. */
enum strake_code {
    STRAKE_OK = 0,
    STRAKE_EINTERNAL = -1,     /**< internal, exit 1: a defect, or no room to record */
    STRAKE_EUSAGE = -2,        /**< usage, 2 */
    STRAKE_ECONFIG = -3,       /**< config, 3: an error in a Lua file or an option */
    STRAKE_ESTALE = -4,        /**< stale, 3: a saved plan that no longer fits */
    STRAKE_EPOLICY = -5,       /**< policy, 4: denied */
    STRAKE_EDOCKERFILE = -6,   /**< dockerfile, 4 from `check`, 5 in a build */
    STRAKE_EBUILD = -7,        /**< build, 5 */
    STRAKE_ESCAN = -8,         /**< scan, 6: it found too much */
    STRAKE_ENOTRUN = -9,       /**< notrun, 7: a check could not run */
    STRAKE_EREGISTRY = -10,    /**< registry, 8 */
    STRAKE_EAUTH = -11,        /**< auth, 8 */
    STRAKE_ECONFLICT = -12,    /**< conflict, 8: a tag moved by somebody else */
    STRAKE_EBUILDER = -13,     /**< builder, 9: not reachable, not able, or lost */
    STRAKE_EPARTIAL = -14,     /**< partial, 10: some targets failed */
    STRAKE_EVERIFY = -15,      /**< verify, 11 */
    STRAKE_ENOTIFY = -16,      /**< notify, 12 */
    STRAKE_EWORKFLOW = -17,    /**< workflow, 12 */
    STRAKE_EDEPLOY = -18,      /**< deploy, 12 */
    STRAKE_ECANCELLED = -19,   /**< cancelled, 130 */
    STRAKE_ENOMEM = -20,       /**< internal, 1: out of memory */
    STRAKE_EIO = -21,          /**< internal, 1: a local file or pipe failed */
    STRAKE_ENOTFOUND = -22,    /**< registry, 8: no such manifest, blob, tag or repository */
    STRAKE_ECORRUPT = -23,     /**< registry, 8: other bytes than the digest says */
    STRAKE_EUNSUPPORTED = -24, /**< builder, 9: this backend cannot do what was asked */
    STRAKE_ETIMEOUT = -25,     /**< internal, 1: a deadline passed (callers give it their kind) */
    STRAKE_ETOOBIG = -26,      /**< registry, 8: an answer larger than its bound */
    STRAKE_ENETWORK = -27      /**< registry, 8: no connection (callers give it their kind) */
};

struct strake_buf; /**< a byte string with a maximum; always followed by a NUL */
struct strake_err; /**< one failure: code, message, hint, place, a tool's own words */
struct strake_job; /**< one piece of running work: cancellation, deadline, events */

/** A name and its value. */
struct strake_pair {
    const char *name;
    const char *value;
};

enum strake_level {
    STRAKE_LOG_DEBUG = 0,
    STRAKE_LOG_INFO = 1,
    STRAKE_LOG_WARN = 2,
    STRAKE_LOG_ERROR = 3
};

/* ---- programs ------------------------------------------------------------------------------ */

/** A descriptor that the child gets: what it writes there is read by `data`, on the caller's
 *  thread. A pipe(2), so that the child may also open /dev/fd/N. */
struct strake_process_fd {
    int fd; /**< number in the child, 1 and up */
    /** @return 0, or a negative code that ends the child and the call. */
    int (*data)(void *ctx, const char *data, size_t len);
    void *ctx;
};

/** A program to run: never through a shell, in a process group of its own. */
struct strake_process {
    uint32_t size;
    const char *const *argv; /**< NULL-terminated; argv[0] is looked up on PATH */
    const char *const *env;  /**< "NAME=value" to set, "NAME" to unset; NULL: as ours */
    const char *cwd;         /**< NULL: ours */
    const void *input;       /**< written to the child's stdin, which is then closed */
    size_t input_len;
    const struct strake_process_fd *const
        *fds;           /**< NULL-terminated; an fd without one: /dev/null */
    int64_t timeout_ms; /**< 0: none but the job's */
    int64_t grace_ms;   /**< between SIGTERM and SIGKILL; 0: 2,000 */
    /** Optional. Called every `watch_ms` while the program runs, on the caller's thread (its output
     *  waits meanwhile): the place to see that it waits in vain. @return 0, or a negative code,
     *  described, that ends the child and the call. */
    int (*watch)(void *ctx);
    void *watch_ctx;
    int64_t watch_ms; /**< 0: every second */
};

struct strake_process_result {
    uint32_t size;
    int exit_code; /**< 0..255, or -1 when a signal ended it */
    int signal;    /**< that signal, or 0 */
};

/* ---- HTTP ---------------------------------------------------------------------------------- */

/** A request. The same client keeps connections between requests. */
struct strake_http_request {
    uint32_t size;
    const char *method;
    const char *url;
    const struct strake_pair *const *headers; /**< NULL-terminated; may hold secrets */
    const void *body;                         /**< NULL: none, or `read` */
    size_t body_len;
    /** A streamed body of `body_len` bytes. @return bytes given, 0 at the end, or negative. */
    int64_t (*read)(void *ctx, void *data, size_t cap);
    /** Back to the start of the streamed body. NULL: it is never sent twice. */
    int (*rewind)(void *ctx);
    /** A streamed answer, called for 2xx and 206 answers only. @return 0, or a code that ends
     * it. */
    int (*write)(void *ctx, const char *data, size_t len);
    void *ctx;
    struct strake_buf *response; /**< the answer's body, unless `write` takes it */
    int64_t timeout_ms;          /**< for the whole request; 0: the client's */
    int64_t max_bytes;           /**< of the answer's body; 0: the response buffer's maximum */
    int max_redirects;           /**< 0: redirects are answers; 10 is usual */
    bool plain_http;             /**< http:// to another host than loopback is allowed */
    const char *ca_file;         /**< one more certificate authority; NULL: the system's */
    const char *cert_file;       /**< client certificate and key, PEM; NULL: none */
    const char *key_file;
    bool idempotent; /**< may be tried again when the failure is of the moment */
};

/** What came back. `headers` are in the buffer given as lines "name: value\n", names lower-case. */
struct strake_http_response {
    uint32_t size;
    int status;
    struct strake_buf *headers; /**< may be NULL; set by the caller */
    int64_t body_bytes;
    int retries; /**< how often it was tried again */
};

/* ---- what a build reports ------------------------------------------------------------------- */

/** One step of a build, told each time that something of it changed; the latest call wins. */
struct strake_step {
    uint32_t size;
    const char *id;       /**< unique within the job, e.g. the vertex digest */
    const char *name;     /**< "[stage 2/4] RUN make" */
    int64_t started_us;   /**< since the epoch; 0: not started */
    int64_t completed_us; /**< 0: not completed */
    bool cached;
    const char *error;         /**< NULL: none */
    const char *const *inputs; /**< ids, NULL-terminated; may be NULL */
};

/** Bytes moved within a step. */
struct strake_step_progress {
    uint32_t size;
    const char *step;
    const char *name;
    int64_t current_bytes;
    int64_t total_bytes; /**< 0: unknown */
};

/** A warning of a build, with its place. */
struct strake_step_warning {
    uint32_t size;
    const char *text;
    const char *url;  /**< may be NULL */
    const char *file; /**< may be NULL */
    int line;         /**< 0: unknown */
};

/* ---- the host table ------------------------------------------------------------------------- */

/** What Strake offers to a plugin. The table lives as long as the process. */
struct strake_host {
    uint32_t size;
    uint32_t abi;
    const char *version; /**< of the program, "0.1.0" */

    /** A buffer of at most `max_bytes`. NULL: out of memory. */
    struct strake_buf *(*buf_new)(size_t max_bytes);
    void (*buf_free)(struct strake_buf *buf);
    /** @return 0, STRAKE_ETOOBIG past the maximum (nothing appended), STRAKE_ENOMEM. */
    int (*buf_append)(struct strake_buf *buf, const void *data, size_t len);
    /** The bytes, NUL-terminated, borrowed until the next change. `len` may be NULL. */
    const char *(*buf_data)(const struct strake_buf *buf, size_t *len);
    void (*buf_clear)(struct strake_buf *buf);

    /** Describe a failure. @return `code`, so that `return host->fail(…)` reads well. */
    int (*fail)(struct strake_err *err, int code, const char *fmt, ...) STRAKE_PRINTF(3, 4);
    void (*err_hint)(struct strake_err *err, const char *fmt, ...) STRAKE_PRINTF(2, 3);
    void (*err_place)(struct strake_err *err, const char *file, int line);
    /** The words of the tool below; kept under the message. Several calls append. */
    void (*err_detail)(struct strake_err *err, const char *data, size_t len);
    struct strake_err *(*err_new)(void);
    void (*err_free)(struct strake_err *err);
    int (*err_code)(const struct strake_err *err);
    const char *(*err_message)(const struct strake_err *err);

    void (*log)(enum strake_level level, const char *fmt, ...) STRAKE_PRINTF(2, 3);

    bool (*job_cancelled)(const struct strake_job *job);
    /** A descriptor that becomes readable when the job is cancelled. Never read or close it. */
    int (*job_cancel_fd)(const struct strake_job *job);
    /** Milliseconds left, or -1 without a deadline. */
    int64_t (*job_remaining_ms)(const struct strake_job *job);
    void (*job_step)(struct strake_job *job, const struct strake_step *step);
    /** Output of a step; `stream` 1 stdout, 2 stderr; chunks need not end in a newline. */
    void (*job_step_log)(struct strake_job *job, const char *step, int stream, const char *data,
                         size_t len);
    void (*job_step_progress)(struct strake_job *job, const struct strake_step_progress *progress);
    void (*job_warning)(struct strake_job *job, const struct strake_step_warning *warning);

    /** Run a program to its end. Cancelling the job ends it: SIGTERM to its group, then SIGKILL.
     *  @return 0 when it ran, whatever its exit code; STRAKE_ENOTFOUND: no such program;
     *          STRAKE_ECANCELLED, STRAKE_ETIMEOUT; or what a callback returned. */
    int (*process_run)(struct strake_job *job, const struct strake_process *process,
                       struct strake_process_result *result, struct strake_err *err);

    /** Make a request and wait for its answer. An answer of any status is a result.
     *  @return 0; STRAKE_ENETWORK: no connection or it broke; STRAKE_ETOOBIG; STRAKE_ETIMEOUT;
     *          STRAKE_ECANCELLED; STRAKE_EREGISTRY: a redirect that is refused; STRAKE_ECONFIG:
     *          plain
     *          http to another machine, an authority that cannot be read; STRAKE_ECORRUPT: an
     *          answer
     *          in a coding that nobody asked for; STRAKE_EUSAGE: no usable URL or header; or what a
     *          callback returned. */
    int (*http_request)(struct strake_job *job, const struct strake_http_request *request,
                        struct strake_http_response *response, struct strake_err *err);

    /** The value of the secret NAME. The buffer wipes itself from then on.
     *  @return 0, STRAKE_ECONFIG when there is none of that name or it cannot be read. */
    int (*secret_get)(const char *name, struct strake_buf *value, struct strake_err *err);
    /** Have this text redacted from now on wherever Strake writes (a token just received). */
    void (*secret_mark)(const char *value, size_t len);

    /** "sha256:<hex>" of the bytes. `out` holds at least 72 bytes. @return 0 or STRAKE_ENOMEM. */
    int (*digest)(const void *data, size_t len, char *out);
    /* host 1.0 ends here; append below */
    /** A build cache was written: a reference, a folder, or what its type calls the place. */
    void (*job_cache_exported)(struct strake_job *job, const char *place, int64_t duration_ms);
    /* host 1.1 ends here; append below */
};

/* ---- builder/1 ------------------------------------------------------------------------------ */

/** What leaves a builder. */
enum strake_output {
    STRAKE_OUTPUT_NONE = 0,  /**< nothing: the build is only tried */
    STRAKE_OUTPUT_STAGE = 1, /**< pushed by digest to `image`, no tag; or written to `layout_dir` */
    STRAKE_OUTPUT_FILE = 2   /**< as `output_type` to `output_dest` */
};

/** What a builder can do, bits of probe()'s `features`. */
enum strake_builder_feature {
    STRAKE_BUILDER_PUSH = 1 << 0,          /**< pushes by digest itself; else it writes a layout */
    STRAKE_BUILDER_HEREDOC = 1 << 1,       /**< here-documents */
    STRAKE_BUILDER_COPY_LINK = 1 << 2,     /**< COPY --link */
    STRAKE_BUILDER_SOURCE_POLICY = 1 << 3, /**< obeys a source policy */
    STRAKE_BUILDER_CACHE_EXPORT = 1 << 4,  /**< imports and exports build caches */
    STRAKE_BUILDER_EITHER = 1 << 5         /**< with PUSH: not always, so it gets layout_dir, too */
};

/** A file or variable that the build may read as a secret. */
struct strake_build_secret {
    const char *id;
    const char *file; /**< or NULL */
    const char *name; /**< a secret's name for secret_get(), or NULL */
};

/** One call of a builder: one target, the platforms routed to this builder. */
struct strake_build_request {
    uint32_t size;
    const char *target;
    const char *context;                   /**< absolute folder, or a URL */
    const char *dockerfile;                /**< absolute path, or within the URL's context */
    const char *stage;                     /**< "" for the last one */
    const char *const *platforms;          /**< NULL-terminated; empty: the builder's own */
    const struct strake_pair *const *args; /**< build arguments, in order */
    const struct strake_pair *const *labels;
    const struct strake_pair *const *contexts; /**< name -> docker-image://REF, local:DIR, … */
    const char *const *cache_import;           /**< "type=registry,ref=…", in order */
    const char *const *cache_export;
    const struct strake_build_secret *const *secrets;
    bool no_cache;
    enum strake_output output;
    const char *image; /**< STAGE: repository, or "" for layout_dir; FILE: the name in it, or "" */
    bool plain_http;   /**< that repository's registry speaks http */
    const char *layout_dir;  /**< empty folder for a builder without PUSH, or with EITHER; or "" */
    const char *output_type; /**< "oci", "docker", "local", "tar" */
    const char *output_dest; /**< a path; "-" never reaches a plugin */
    const char *auth_json;   /**< a docker config.json text; holds secrets */
    /* builder/1.0 ends here; append below */
    const struct strake_pair *const
        *annotations;                /**< "KEY" or "LEVEL[PLATFORM]:KEY" -> value; LEVEL:
                                                     manifest, index, manifest-descriptor,
                                                     index-descriptor */
    const char *const *ssh;          /**< "default", "ID" or "ID=SOCKET|KEY[,KEY]" */
    const char *const *entitlements; /**< "network.host", "security.insecure", "device…" */
    const struct strake_pair *const *add_hosts; /**< name -> address */
    const struct strake_pair *const *ulimits;   /**< name -> "SOFT[:HARD]" */
    const struct strake_pair *const
        *attestations;                  /**< "provenance" or "sbom" -> its CSV options, ""
                                                      for the usual ones; absent: none is made */
    const char *const *no_cache_stages; /**< build these stages without the cache */
    const char *network;                /**< of RUN: "none", "host", or "" */
    const char *compression;            /**< of layers: gzip zstd estargz uncompressed, or "" */
    const char *source_date_epoch;      /**< seconds since 1970 in decimal, or "" */
    int64_t shm_size_bytes;             /**< 0: the builder's own */
    int compression_level;              /**< 0: the builder's own */
    bool force_compression;             /**< of layers that exist already, too */
    bool rewrite_timestamp;             /**< files of layers no younger than source_date_epoch */
    bool multi_platform; /**< the result is an index, also of one platform: it is a part of one */
    bool pull;           /**< ask registries for base images, also where the builder has them */
    const char *source_policy; /**< what may be fetched, as BuildKit's source policy (JSON), or "";
                                    only for a builder with STRAKE_BUILDER_SOURCE_POLICY */
};

struct strake_build_result {
    uint32_t size;
    char digest[136];     /**< of the index or manifest; "" when nothing left the builder */
    char media_type[128]; /**< of it; "" when unknown */
    bool pushed;          /**< true: it is in the registry; false: in layout_dir */
    char platform[96]; /**< of a single manifest, os/arch[/variant]; "" for an index or unknown */
};

/** What a builder says of itself. */
struct strake_builder_info {
    uint32_t size;
    uint32_t features;
    char version[64];
    char platforms[512]; /**< comma-separated, native ones first; "" when it does not say */
    /* builder/1.0 ends here; append below */
    uint32_t workers; /**< how many there are; 0: it does not say */
    char worker[256]; /**< what the first of them is: "oci, overlayfs, on HOST" */
};

struct strake_builder_v1 {
    uint32_t size;
    /** Mandatory. Is the builder there, and what can it do? Bounded by the job's deadline.
     *  @return 0, STRAKE_EBUILDER, STRAKE_ECANCELLED. */
    int (*probe)(void *self, struct strake_job *job, struct strake_builder_info *info,
                 struct strake_err *err);
    /** Mandatory. Append the command that build() would run to `command` as a JSON array of
     *  strings. Offline and quick; no secrets in it. @return 0, STRAKE_EUNSUPPORTED,
     * STRAKE_ENOMEM. */
    int (*command)(void *self, const struct strake_build_request *request,
                   struct strake_buf *command, struct strake_err *err);
    /** Mandatory. Build, and report each step through the job.
     *  @return 0; STRAKE_EDOCKERFILE or STRAKE_EBUILD: the build is at fault; STRAKE_EBUILDER: the
     *          builder is (not reachable, or lost); STRAKE_EREGISTRY, STRAKE_EAUTH,
     *          STRAKE_EUNSUPPORTED, STRAKE_ECANCELLED. */
    int (*build)(void *self, const struct strake_build_request *request, struct strake_job *job,
                 struct strake_build_result *result, struct strake_err *err);
    /** What every version of this builder can do, bits of strake_builder_feature: known without
     *  asking anybody, so that a plan can refuse a Dockerfile beforehand. */
    uint32_t features;
    /* builder/1.0 ends here; append below */
    /** Optional. What the builder keeps of earlier builds: a JSON array appended to `entries` of
     *  {"id","type","size_bytes","created","last_used","in_use","shared","description"}.
     *  @return 0, STRAKE_EBUILDER, STRAKE_EUNSUPPORTED, STRAKE_ECANCELLED. */
    int (*usage)(void *self, struct strake_job *job, struct strake_buf *entries,
                 struct strake_err *err);
    /** Optional. Remove what nothing uses and was not used for `older_ms` (0: at any time), until
     *  no more than `keep_bytes` is left (-1: all of it); what was removed as such an array in
     *  `report`. */
    int (*prune)(void *self, struct strake_job *job, int64_t older_ms, int64_t keep_bytes,
                 struct strake_buf *report, struct strake_err *err);
    /* builder/1.1 ends here; append below */
};

/* ---- registry/1 ----------------------------------------------------------------------------- */

/** A content descriptor (OCI image specification, descriptor.md). */
struct strake_descriptor {
    uint32_t size;
    char digest[136];
    char media_type[256];
    int64_t size_bytes; /**< -1: unknown */
};

/** What credentials are worth, for `doctor`. */
struct strake_registry_access {
    uint32_t size;
    bool asked;       /**< the registry wants to know who asks */
    bool given;       /**< there are credentials for it */
    char scheme[16];  /**< "bearer": tokens for scopes; "basic"; "" when nobody is asked */
    char source[256]; /**< where the credentials are from; "" without */
    char actions[66]; /**< which of the actions are allowed, comma-separated */
};

/** Who logs in to a registry, and with what. */
struct strake_registry_login {
    uint32_t size;
    const char *username;   /**< not empty, without ':' and control characters */
    const char *password;   /**< or a token; not empty; wiped after the call */
    const char *repository; /**< where it must be allowed to push; "" for nowhere in particular */
};

/** An instance stands for one registry host (options `host`, `plain_http`, `username`, `password`,
 *  `ca`, `timeout_ms`) or one layout folder (option `path`). `repository` is the name without host.
 *  Strake hashes what comes back: a plugin need not, and cannot get away with other bytes. */
struct strake_registry_v1 {
    uint32_t size;
    /** Mandatory. What a tag or digest names now, without its bytes (HEAD, or GET where HEAD says
     *  too little). @return 0, STRAKE_ENOTFOUND, STRAKE_EAUTH, STRAKE_EREGISTRY. */
    int (*resolve)(void *self, struct strake_job *job, const char *repository,
                   const char *reference, struct strake_descriptor *out, struct strake_err *err);
    /** Mandatory. The exact bytes of a manifest or index appended to `bytes`; `out` says the media
     *  type that was answered. */
    int (*manifest_get)(void *self, struct strake_job *job, const char *repository,
                        const char *reference, struct strake_buf *bytes,
                        struct strake_descriptor *out, struct strake_err *err);
    /** Mandatory. Put these bytes under a tag or digest. `out->digest` is what was answered.
     *  A plugin with referrers_of() sees to it that a manifest with a `subject` is found there
     *  afterwards: where the store keeps no list of its own, by the fallback tag. */
    int (*manifest_put)(void *self, struct strake_job *job, const char *repository,
                        const char *reference, const char *media_type, const void *data, size_t len,
                        struct strake_descriptor *out, struct strake_err *err);
    /** Mandatory. Each tag once, through `each`, which may stop it with a negative code. */
    int (*tags)(void *self, struct strake_job *job, const char *repository,
                int (*each)(void *ctx, const char *tag), void *ctx, struct strake_err *err);
    /** Mandatory. The size of a blob. @return 0, STRAKE_ENOTFOUND, … */
    int (*blob_stat)(void *self, struct strake_job *job, const char *repository, const char *digest,
                     int64_t *size_bytes, struct strake_err *err);
    /** Mandatory. Stream a blob from `offset` to `sink` (on this thread). */
    int (*blob_get)(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t offset, int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                    struct strake_err *err);
    /** Mandatory. Upload a blob of `size_bytes`; `source` gives its bytes in order (count, 0 at the
     *  end, negative to stop), `rewind` starts again. */
    int (*blob_put)(void *self, struct strake_job *job, const char *repository, const char *digest,
                    int64_t size_bytes, int64_t (*source)(void *ctx, void *data, size_t cap),
                    int (*rewind)(void *ctx), void *ctx, struct strake_err *err);
    /** Optional. Have the registry take a blob from another of its repositories.
     *  `*mounted` false: it did not, upload it. */
    int (*blob_mount)(void *self, struct strake_job *job, const char *repository,
                      const char *digest, const char *from, bool *mounted, struct strake_err *err);
    /** Optional. Delete a manifest by tag or digest; one that goes by its digest also goes from the
     *  fallback tag. STRAKE_EUNSUPPORTED: not allowed there. */
    int (*manifest_delete)(void *self, struct strake_job *job, const char *repository,
                           const char *reference, struct strake_err *err);
    /** Optional. The index of what refers to `digest` appended to `bytes`. STRAKE_EUNSUPPORTED:
     *  the store keeps no such list. Nobody asks it since registry/1.2, which has referrers_of(). */
    int (*referrers)(void *self, struct strake_job *job, const char *repository, const char *digest,
                     struct strake_buf *bytes, struct strake_err *err);
    /** Optional. Is it there, and do our credentials hold? Text for `doctor` into `detail`. */
    int (*ping)(void *self, struct strake_job *job, struct strake_buf *detail,
                struct strake_err *err);
    /* registry/1.0 ends here; append below */
    /** Optional. Which of `actions` ("pull,push") our credentials allow in a repository; with both
     *  "", whether they are accepted at all. Leaves nothing behind there.
     *  @return 0, also when little is allowed; STRAKE_EAUTH: the credentials are refused;
     *          STRAKE_EREGISTRY, STRAKE_ECANCELLED */
    int (*access)(void *self, struct strake_job *job, const char *repository, const char *actions,
                  struct strake_registry_access *out, struct strake_err *err);
    /* registry/1.1 ends here */
    /** Optional. What refers to `digest`, appended to `bytes` as one OCI index, which is empty where
     *  nothing does: all of the list that the store keeps, or else what the fallback tag
     *  (`sha256-<hex>`; OCI distribution specification 1.1) names. At most 10,000 entries, each
     *  once, each with a sha256 digest.
     *  @param artifact_type only these; "" for all
     *  @return 0; STRAKE_ETOOBIG: there are more; STRAKE_EREGISTRY, STRAKE_EAUTH, … */
    int (*referrers_of)(void *self, struct strake_job *job, const char *repository,
                        const char *digest, const char *artifact_type, struct strake_buf *bytes,
                        struct strake_err *err);
    /* registry/1.2 ends here */
    /** Optional. Try these credentials, and keep them where the next command finds them only when the
     *  registry takes them (and, with a `repository`, lets them push there; nothing is left behind).
     *  @param where what keeps them is appended: "helper NAME", or the name of a file
     *  @return 0; STRAKE_EAUTH: refused, or what should keep them did not; STRAKE_ECONFIG: a file that
     *          keeps credentials is broken; STRAKE_EIO, STRAKE_EREGISTRY, STRAKE_ECANCELLED. Nothing is
     *          kept then. */
    int (*login)(void *self, struct strake_job *job, const struct strake_registry_login *login,
                 struct strake_buf *where, struct strake_err *err);
    /** Optional. Forget the registry's credentials. `where`: a line for each place that had some. */
    int (*logout)(void *self, struct strake_job *job, struct strake_buf *where,
                  struct strake_err *err);
    /* registry/1.3 ends here; append below */
};

/* ---- cache/1 -------------------------------------------------------------------------------- */

/** Where a target's build cache goes. */
struct strake_cache_request {
    uint32_t size;
    const char *target;
    const char *image;    /**< the target's repository, or "" */
    const char *platform; /**< "" for all, "linux-amd64", several with "_" between them, or
                               STRAKE_CACHE_PLATFORM */
    const char *branch;   /**< "" when unknown */
    const char *options;  /**< the `cache` table of the target as JSON */
    /* cache/1.0 ends here */
    const char *main_branch; /**< whose cache the others fall back to, or "" */
    bool plain_http;         /**< the registry of `image` was declared to speak http */
    int64_t older_ms;        /**< prune: what was not used for so long; 0: at any time */
    int64_t keep_bytes;      /**< prune: until so much is left; -1: all of it */
    const char *const *tags; /**< the target's, NULL-terminated, for a cache within the image */
    const char *project;     /**< absolute folder of the project */
};

/** What Strake gives as `platform` when it is not yet known which builder takes which platforms: a
 *  plugin puts it into names as it is, and Strake puts the part's platforms in its place. */
#define STRAKE_CACHE_PLATFORM "{platform}"

struct strake_cache_v1 {
    uint32_t size;
    /** Mandatory. Append {"import":["type=…"],"export":["type=…"]} to `specs`, as BuildKit's
     *  --import-cache and --export-cache take them. Offline.
     *  @return 0; STRAKE_ECONFIG; STRAKE_ENOTFOUND: the plugin has several types, and not the one
     *          of the options. */
    int (*specs)(void *self, const struct strake_cache_request *request, struct strake_buf *specs,
                 struct strake_err *err);
    /** Optional. What it holds for the target: a JSON array of {"place","size_bytes","created"},
     *  `place` being what people call it, `created` RFC 3339 or left out. */
    int (*show)(void *self, struct strake_job *job, const struct strake_cache_request *request,
                struct strake_buf *entries, struct strake_err *err);
    /** Optional. Remove what is older than `older_ms` until `keep_bytes` are left (both of the
     *  request); such an array of what was removed. */
    int (*prune)(void *self, struct strake_job *job, const struct strake_cache_request *request,
                 struct strake_buf *report, struct strake_err *err);
    /* cache/1.0 ends here; append below */
};

/* ---- scanner/1 ------------------------------------------------------------------------------ */

struct strake_scanner_v1 {
    uint32_t size;
    /** Mandatory. Scan one platform's image by digest.
     *  @param image    repository@sha256:…
     *  @param platform os/arch[/variant]
     *  @param findings a JSON array of findings (docs/interfaces.md, `scan`) is appended here
     *  @return 0 with a complete scan; STRAKE_ENOTRUN when the scanner could not do its work (never
     *          an empty result); STRAKE_ECANCELLED. */
    int (*scan)(void *self, struct strake_job *job, const char *image, const char *platform,
                struct strake_buf *findings, struct strake_err *err);
    /** Optional. Append a software bill of materials; `format` is "cyclonedx" or "spdx-json". */
    int (*sbom)(void *self, struct strake_job *job, const char *image, const char *platform,
                const char *format, struct strake_buf *sbom, struct strake_err *err);
    /** Optional. A text that changes when the database does, so that a scan can be remembered. */
    int (*database)(void *self, struct strake_job *job, struct strake_buf *version,
                    struct strake_err *err);
    /* scanner/1.0 ends here; append below */
};

/* ---- notifier/1 ----------------------------------------------------------------------------- */

/** A message to people. */
struct strake_message {
    uint32_t size;
    const char *id;    /**< the same for each try of the same message */
    const char *event; /**< "run.failed", or "message" from notify{} */
    const char *title; /**< may be "" */
    const char *text;
    const char *click;       /**< URL, or "" */
    int priority;            /**< 1 lowest … 5 highest, 3 normal */
    const char *const *tags; /**< NULL-terminated */
    const char *data;        /**< the event as JSON, or "" */
};

struct strake_notifier_v1 {
    uint32_t size;
    /** Mandatory. Deliver one message. @return 0; STRAKE_ENETWORK, STRAKE_ETIMEOUT: try again
     *  later; STRAKE_EAUTH, STRAKE_ENOTIFY: never again. `receipt` takes the server's id. */
    int (*send)(void *self, const struct strake_message *message, struct strake_job *job,
                struct strake_buf *receipt, struct strake_err *err);
    /** Optional. Replace the message that had this receipt. */
    int (*update)(void *self, const char *receipt, const struct strake_message *message,
                  struct strake_job *job, struct strake_err *err);
    /** Optional. Is it there, and do our credentials hold? Sends nothing. Text for `doctor`. */
    int (*ping)(void *self, struct strake_job *job, struct strake_buf *detail,
                struct strake_err *err);
    /* notifier/1.0 ends here; append below */
};

/* ---- workflow/1 ----------------------------------------------------------------------------- */

struct strake_workflow_v1 {
    uint32_t size;
    /** Mandatory. Start a workflow at `ref` with inputs; its run's id is appended to `id`. */
    int (*dispatch)(void *self, struct strake_job *job, const char *workflow, const char *ref,
                    const struct strake_pair *const *inputs, struct strake_buf *id,
                    struct strake_err *err);
    /** Mandatory. One run as JSON (docs/interfaces.md, `workflow list`). */
    int (*status)(void *self, struct strake_job *job, const char *id, struct strake_buf *run,
                  struct strake_err *err);
    /** Mandatory. The newest runs, a JSON array of at most `limit`. */
    int (*list)(void *self, struct strake_job *job, const char *workflow, int limit,
                struct strake_buf *runs, struct strake_err *err);
    /** Optional. Stream a run's logs. */
    int (*logs)(void *self, struct strake_job *job, const char *id,
                int (*sink)(void *ctx, const char *data, size_t len), void *ctx,
                struct strake_err *err);
    /** Optional. Ask a run to stop. */
    int (*cancel)(void *self, struct strake_job *job, const char *id, struct strake_err *err);
    /* workflow/1.0 ends here; append below */
};

/* ---- deployer/1 ----------------------------------------------------------------------------- */

/** What to roll out, and where. */
struct strake_deployment {
    uint32_t size;
    const char *kind; /**< "deployment/NAME" */
    const char *container;
    const char *image;   /**< repository@digest */
    const char *options; /**< the rest of the deploy{} table as JSON */
};

struct strake_deployer_v1 {
    uint32_t size;
    /** Mandatory. What apply() would change, as text. Changes nothing. */
    int (*diff)(void *self, struct strake_job *job, const struct strake_deployment *deployment,
                struct strake_buf *text, struct strake_err *err);
    /** Mandatory. Set the image and wait until it runs; `previous` takes what ran before.
     *  @return 0, STRAKE_EDEPLOY, STRAKE_EAUTH, STRAKE_ECANCELLED. */
    int (*apply)(void *self, struct strake_job *job, const struct strake_deployment *deployment,
                 struct strake_buf *previous, struct strake_err *err);
    /** Optional. Back to `previous`. */
    int (*undo)(void *self, struct strake_job *job, const struct strake_deployment *deployment,
                const char *previous, struct strake_err *err);
    /* deployer/1.0 ends here; append below */
};

/* ---- the plugin itself ---------------------------------------------------------------------- */

/** One interface that a plugin offers: "builder/1" and its struct strake_builder_v1. */
struct strake_interface {
    const char *name;
    const void *vtable;
};

/** What strake_plugin_main() returns: static, valid for ever. */
struct strake_plugin {
    uint32_t abi;
    uint32_t size;
    const char *name; /**< as the file's name without .so */
    const char *version;
    /** Mandatory. Make an instance from its options (a JSON object).
     *  @return 0, STRAKE_ECONFIG naming the option that is wrong, STRAKE_ENOMEM. */
    int (*open)(const struct strake_host *host, const char *options, void **self,
                struct strake_err *err);
    /** Mandatory. `self` is what open() gave. */
    void (*close)(void *self);
    const struct strake_interface *interfaces; /**< ends with { NULL, NULL } */
    const char *summary;                       /**< one line for `plugin list` */
    /* plugin 1.0 ends here; append below */
};

/** The one export of a plugin. */
STRAKE_EXPORT const struct strake_plugin *strake_plugin_main(void);

#ifdef __cplusplus
}
#endif

#endif
