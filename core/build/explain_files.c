/* The files that a step takes from a context, then and now. */
#include <stdlib.h>
#include <string.h>

#include "build/explain_impl.h"
#include "dockerfile/ignore_impl.h"
#include "util/json.h"

#define NAMES_MAX 20
#define LINKS_MAX 8

/* What a step takes, from which context. */
struct taking {
    const char *context;           /* "" or a named one */
    struct strake_strings sources; /* clean, relative; "" is all of it */
    struct strake_strings excludes;
    struct strake_dockerfile parsed; /* of the step's name, where that was needed */
};

static void taking_dispose(struct taking *taking)
{
    strake_strings_dispose(&taking->sources);
    strake_strings_dispose(&taking->excludes);
    strake_dockerfile_dispose(&taking->parsed);
}

/* ---- which files a step takes ---- */

/* "./a//b/../c/" is "a/c"; what would lead out stays at the top. The caller frees. */
static char *clean(const char *path)
{
    char *out = strake_malloc(strlen(path) + 1), *to = out;

    if (!out)
        return NULL;
    while (*path != '\0') {
        const size_t len = strcspn(path, "/");
        if (len == 2 && path[0] == '.' && path[1] == '.') {
            while (to > out && *--to != '/')
                continue;
        } else if (len > 0 && !(len == 1 && path[0] == '.')) {
            if (to > out)
                *to++ = '/';
            memcpy(to, path, len);
            to += len;
        }
        path += len;
        path += *path == '/';
    }
    *to = '\0';
    return out;
}

static int add_source(struct taking *taking, const char *path)
{
    char *source = clean(path);

    return source ? strake_strings_take(&taking->sources, source) : STRAKE_ENOMEM;
}

static bool is_remote(const char *source)
{
    return strstr(source, "://") || strncmp(source, "git@", 4) == 0;
}

static int add_copy(struct taking *taking, const struct strake_instruction *copy)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i + 1 < copy->args.count; i++) {
        const char *source = copy->args.items[i];
        if (strncmp(source, "<<", 2) != 0 && !is_remote(source) &&
            !strake_explain_uses(source, NULL))
            rc = add_source(taking, source);
    }
    for (size_t i = 0; rc == 0 && i < copy->flags.count; i++) {
        if (strncmp(copy->flags.items[i], "--exclude=", 10) == 0)
            rc = strake_strings_add(&taking->excludes, copy->flags.items[i] + 10);
    }
    return rc;
}

/* The step's name has the variables' values. */
static const struct strake_instruction *from_name(struct taking *taking,
                                                  const struct strake_explain_step *step)
{
    struct strake_err ignored = { 0 };
    char *text =
        strake_asprintf("FROM scratch\n%.*s\n", (int)step->name.text.len, step->name.text.at);
    int rc = text ? strake_dockerfile_parse(text, strlen(text), "a step", &taking->parsed, &ignored)
                  : STRAKE_ENOMEM;

    strake_err_dispose(&ignored);
    strake_free(text);
    return rc == 0 && taking->parsed.count == 2 ? &taking->parsed.instructions[1] : NULL;
}

static bool words_use(const struct strake_instruction *instruction)
{
    for (size_t i = 0; i < instruction->args.count; i++) {
        if (strake_explain_uses(instruction->args.items[i], NULL))
            return true;
    }
    return false;
}

char *strake_explain_mount(const char *mount, const char *key)
{
    const size_t key_len = strlen(key);

    while (*mount != '\0') {
        const size_t len = strcspn(mount, ",");
        if (len > key_len && strncmp(mount, key, key_len) == 0 && mount[key_len] == '=')
            return strake_strndup(mount + key_len + 1, len - key_len - 1);
        mount += len;
        mount += *mount == ',';
    }
    return NULL;
}

/* A bind mount of a context; those of stages and images are not files of ours. */
static int add_mount(struct taking *taking, const char *mount, char **context)
{
    char *type = strake_explain_mount(mount, "type"), *from = strake_explain_mount(mount, "from");
    char *source = strake_explain_mount(mount, "source");
    int rc = 0;

    if (!source)
        source = strake_explain_mount(mount, "src");
    if ((!type || strcmp(type, "bind") == 0) && !(source && strake_explain_uses(source, NULL)) &&
        taking->sources.count == 0) {
        rc = add_source(taking, source ? source : "");
        *context = from;
        from = NULL;
    }
    strake_free(type);
    strake_free(from);
    strake_free(source);
    return rc;
}

/* ---- which of them differ ---- */

struct selection {
    const struct strake_explain_file **files;
    size_t count;
};

static bool is_wild(const char *source)
{
    return strpbrk(source, "*?[\\") != NULL;
}

/* The length of the first `components` of a path, or 0: it has less. */
static size_t head_of(const char *path, size_t components)
{
    const char *at = path;

    for (size_t i = 0; i < components; i++) {
        if (*at == '\0')
            return 0;
        at += *at == '/' && i > 0;
        at += strcspn(at, "/");
    }
    return (size_t)(at - path);
}

static bool source_takes(const char *source, const struct strake_glob *glob, const char *path)
{
    const size_t len = strlen(source);
    size_t components = 1;

    if (len == 0)
        return true;
    if (!glob)
        return strncmp(path, source, len) == 0 && (path[len] == '\0' || path[len] == '/');
    for (const char *at = strchr(source, '/'); at; at = strchr(at + 1, '/'))
        components++;
    components = head_of(path, components);
    return components > 0 && strake_glob_matches(glob, (struct strake_span){ path, components });
}

static bool is_excluded(const struct strake_ignore *excludes, const char *source, const char *path)
{
    const size_t len = strlen(source);

    if (!excludes)
        return false;
    if (strake_ignore_matches(excludes, path))
        return true;
    return len > 0 && strncmp(path, source, len) == 0 && path[len] == '/' &&
           strake_ignore_matches(excludes, path + len + 1);
}

/* Where a link on the way to `source` leads: one more source, or NULL. */
static char *follow(const struct strake_explain_context *context, const char *source)
{
    for (size_t i = 0; i < context->count; i++) {
        const struct strake_explain_file *file = &context->files[i];
        const size_t len = strlen(file->path);
        const char *slash;
        char *joined, *found;
        if (file->kind != 'l' || strncmp(source, file->path, len) != 0 ||
            (source[len] != '\0' && source[len] != '/'))
            continue;
        slash = strrchr(file->path, '/');
        joined = strake_asprintf("%.*s/%s%s",
                                 file->content[0] == '/' || !slash ? 0 : (int)(slash - file->path),
                                 file->path, file->content, source + len);
        found = joined ? clean(joined) : NULL;
        strake_free(joined);
        return found;
    }
    return NULL;
}

static int add_links(struct taking *taking, const struct strake_explain_context *context)
{
    int rc = 0, added = 0;

    for (size_t i = 0; rc == 0 && i < taking->sources.count && added < LINKS_MAX; i++) {
        char *target =
            is_wild(taking->sources.items[i]) ? NULL : follow(context, taking->sources.items[i]);
        if (target && !strake_strings_has(&taking->sources, target)) {
            rc = strake_strings_take(&taking->sources, target);
            added++;
        } else {
            strake_free(target);
        }
    }
    return rc;
}

static int compare_paths(const void *a, const void *b)
{
    const struct strake_explain_file *const *x = a, *const *y = b;

    return strcmp((*x)->path, (*y)->path);
}

static int select_files(const struct strake_explain_context *context, const struct taking *taking,
                        const struct strake_ignore *excludes, bool *chosen, struct selection *out)
{
    int rc = 0;

    memset(chosen, 0, context->count * sizeof(*chosen));
    for (size_t k = 0; rc == 0 && k < taking->sources.count; k++) {
        const char *source = taking->sources.items[k];
        struct strake_glob *glob = NULL;
        struct strake_err ignored = { 0 };
        if (is_wild(source))
            rc = strake_glob_new((struct strake_span){ source, strlen(source) }, &glob, &ignored);
        strake_err_dispose(&ignored);
        if (rc == STRAKE_EDOCKERFILE) { /* the builder has its own opinion of it */
            rc = 0;
            continue;
        }
        for (size_t i = 0; rc == 0 && i < context->count; i++) {
            const char *path = context->files[i].path;
            if (source_takes(source, glob, path) && !is_excluded(excludes, source, path))
                chosen[i] = true;
        }
        strake_glob_free(glob);
    }
    for (size_t i = 0; rc == 0 && i < context->count; i++) {
        if (chosen[i])
            out->files[out->count++] = &context->files[i];
    }
    if (out->count > 1)
        qsort(out->files, out->count, sizeof(*out->files), compare_paths);
    return rc;
}

static bool same_file(const struct strake_explain_file *a, const struct strake_explain_file *b)
{
    return a->kind == b->kind && a->mode == b->mode && strcmp(a->content, b->content) == 0;
}

static int note(struct strake_explain_cause *cause, const char *path, const char *change)
{
    json_t *file;

    if (cause->file_count++ >= NAMES_MAX)
        return 0;
    file = json_object();
    if (!file || strake_json_set_str(file, "path", path) < 0 ||
        strake_json_set_str(file, "change", change) < 0) {
        json_decref(file);
        return STRAKE_ENOMEM;
    }
    return json_array_append_new(cause->files, file) < 0 ? STRAKE_ENOMEM : 0;
}

/* Folders are named only when nothing but folders differs. */
static int compare(const struct selection *now, const struct selection *then, bool folders,
                   struct strake_explain_cause *cause)
{
    size_t i = 0, k = 0;
    int rc = 0;

    while (rc == 0 && (i < now->count || k < then->count)) {
        const struct strake_explain_file *is = i < now->count ? now->files[i] : NULL;
        const struct strake_explain_file *was = k < then->count ? then->files[k] : NULL;
        const int order = !is ? 1 : !was ? -1 : strcmp(is->path, was->path);
        const struct strake_explain_file *file = order <= 0 ? is : was;
        i += order <= 0;
        k += order >= 0;
        if ((file->kind == 'd' && (order != 0 || was->kind == 'd')) != folders ||
            (order == 0 && same_file(is, was)))
            continue;
        rc = note(cause, file->path, order < 0 ? "added" : order > 0 ? "removed" : "changed");
    }
    return rc;
}

static const struct strake_explain_context *context_of(const struct strake_explain_list *list,
                                                       const char *name)
{
    for (size_t i = 0; i < list->context_count; i++) {
        if (strcmp(list->contexts[i].name, name) == 0)
            return &list->contexts[i];
    }
    return NULL;
}

/* Patterns of --exclude; NULL: none, or none that can be understood. */
static struct strake_ignore *read_excludes(const struct taking *taking)
{
    struct strake_ignore *ignore = NULL;
    struct strake_err ignored = { 0 };
    struct strake_buf text = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < taking->excludes.count; i++)
        rc = strake_buf_printf(&text, "%s\n", taking->excludes.items[i]);
    if (rc == 0 && text.len > 0)
        strake_ignore_parse(strake_buf_text(&text), text.len, &ignore, &ignored);
    strake_buf_dispose(&text);
    strake_err_dispose(&ignored);
    return ignore;
}

static int compare_context(const struct strake_explain_context *now,
                           const struct strake_explain_context *then, struct taking *taking,
                           struct strake_explain_cause *cause)
{
    const size_t most = (now->count > then->count ? now->count : then->count) + 1;
    struct selection is = { .files = strake_calloc(most, sizeof(*is.files)) };
    struct selection was = { .files = strake_calloc(most, sizeof(*was.files)) };
    bool *chosen = strake_calloc(most, sizeof(*chosen));
    struct strake_ignore *excludes = read_excludes(taking);
    int rc = is.files && was.files && chosen ? 0 : STRAKE_ENOMEM;

    if (rc == 0)
        rc = add_links(taking, now);
    if (rc == 0)
        rc = add_links(taking, then);
    if (rc == 0)
        rc = select_files(now, taking, excludes, chosen, &is);
    if (rc == 0)
        rc = select_files(then, taking, excludes, chosen, &was);
    if (rc == 0 && !(cause->files = json_array()))
        rc = STRAKE_ENOMEM;
    if (rc == 0)
        rc = compare(&is, &was, false, cause);
    if (rc == 0 && cause->file_count == 0)
        rc = compare(&is, &was, true, cause);
    strake_ignore_free(excludes);
    strake_free(chosen);
    strake_free(is.files);
    strake_free(was.files);
    return rc;
}

static int finish(int rc, struct strake_explain_cause *cause)
{
    if (rc == 0 && cause->file_count == 0) {
        json_decref(cause->files);
        cause->files = NULL;
        return 0;
    }
    if (rc < 0)
        return rc;
    cause->kind = "files";
    cause->detail = strake_asprintf(cause->file_count == 1 ? "a file differs" : "%d files differ",
                                    cause->file_count);
    return cause->detail ? 1 : STRAKE_ENOMEM;
}

static int compare_taken(const struct strake_explain_build *now,
                         const struct strake_explain_build *then, struct taking *taking,
                         struct strake_explain_cause *cause)
{
    const struct strake_explain_context *is = context_of(&now->files, taking->context);
    const struct strake_explain_context *was = context_of(&then->files, taking->context);

    if (!is || !was || taking->sources.count == 0)
        return 0;
    return finish(compare_context(is, was, taking, cause), cause);
}

static int compare_mounts(const struct strake_explain_build *now,
                          const struct strake_explain_step *step,
                          const struct strake_explain_build *then,
                          const struct strake_instruction *run, struct strake_explain_cause *cause)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < run->flags.count; i++) {
        struct taking taking = { .context = "" };
        char *from = NULL;
        if (strncmp(run->flags.items[i], "--mount=", 8) != 0)
            continue;
        rc = add_mount(&taking, run->flags.items[i] + 8, &from);
        if (from)
            taking.context = from;
        if (rc == 0 &&
            (!from || strake_explain_from_stage(&now->dockerfile, step->stage, from) < 0))
            rc = compare_taken(now, then, &taking, cause);
        strake_free(from);
        taking_dispose(&taking);
    }
    return rc;
}

int strake_explain_files(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then,
                         struct strake_explain_cause *cause)
{
    struct taking taking = { .context = "" };
    const struct strake_instruction *taker = step->instruction;
    const char *from;
    int rc = 0;

    if (!now->has_files || !then->has_files || !now->parsed)
        return 0;
    if (!taker || (!taker->json && words_use(taker) && strcmp(taker->keyword, "RUN") != 0))
        taker = from_name(&taking, step);
    if (taker && strcmp(taker->keyword, "RUN") == 0) {
        rc = compare_mounts(now, step, then, taker, cause);
    } else if (taker &&
               (strcmp(taker->keyword, "COPY") == 0 || strcmp(taker->keyword, "ADD") == 0)) {
        from = strake_explain_flag(taker, "from");
        if (from)
            taking.context = from;
        rc = add_copy(&taking, taker);
        if (rc == 0 && (!from || step->stage < 0 ||
                        strake_explain_from_stage(&now->dockerfile, step->stage, from) < 0))
            rc = compare_taken(now, then, &taking, cause);
    }
    taking_dispose(&taking);
    return rc;
}
