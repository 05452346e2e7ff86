/* Stages: which there are, what a build of one needs from outside. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/expand.h"
#include "dockerfile/parse_impl.h"
#include "util/mem.h"

#define NO_BASE "scratch"
/* Real files have a few dozen; some of the searches below are quadratic in them. */
#define STAGES_MAX 1000
#define GLOBALS_MAX 1000
#define IMAGES_MAX 1000
#define VALUE_MAX ((size_t)64 * 1024) /* of an argument or a base, expanded */
/* Steps of pattern matching that one question may take: a second at most. */
#define PATTERN_WORK ((size_t)200 * 1000 * 1000)

/* The value of --NAME=value, or NULL. */
static const char *flag_value(const struct strake_instruction *instruction, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < instruction->flags.count; i++) {
        const char *flag = instruction->flags.items[i];
        if (strncmp(flag, "--", 2) == 0 && strncmp(flag + 2, name, len) == 0 &&
            flag[2 + len] == '=')
            return flag + len + 3;
    }
    return NULL;
}

static void lower_case(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
    }
}

static bool is_from(const struct strake_instruction *instruction)
{
    return strcmp(instruction->keyword, "FROM") == 0;
}

static int add_stage(struct strake_dockerfile *dockerfile, const struct strake_instruction *from,
                     struct strake_err *err)
{
    struct strake_stage *stage = &dockerfile->stages[dockerfile->stage_count++];
    const struct strake_strings *args = &from->args;
    const char *platform = flag_value(from, "platform");
    bool named = args->count == 3 && strcasecmp(args->items[1], "AS") == 0;

    stage->line = from->line;
    stage->name = strake_strdup(named ? args->items[2] : "");
    stage->base = strake_strdup(args->count > 0 ? args->items[0] : "");
    stage->platform = strake_strdup(platform != NULL ? platform : "");
    if (stage->name == NULL || stage->base == NULL || stage->platform == NULL)
        return strake_fail_nomem(err);
    lower_case(stage->name);
    return 0;
}

int strake_stages_find(struct strake_dockerfile *dockerfile, struct strake_err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < dockerfile->count; i++) {
        struct strake_instruction *instruction = &dockerfile->instructions[i];
        count += is_from(instruction);
        instruction->stage = (int)count - 1;
        if (instruction->onbuild != NULL)
            instruction->onbuild->stage = instruction->stage;
    }
    if (count == 0)
        return 0;
    if (count > STAGES_MAX)
        return strake_fail(err, STRAKE_EDOCKERFILE, "there are more than %d stages", STAGES_MAX);
    dockerfile->stages = strake_calloc(count, sizeof(*dockerfile->stages));
    if (dockerfile->stages == NULL)
        return strake_fail_nomem(err);
    for (size_t i = 0; i < dockerfile->count; i++) {
        if (!is_from(&dockerfile->instructions[i]))
            continue;
        int rc = add_stage(dockerfile, &dockerfile->instructions[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A stage's number, written out; -1: no number, or none of `count`. */
static int stage_number(const char *text, size_t count)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6 || text[digits] != '\0')
        return -1;
    long number = strtol(text, NULL, 10);
    return (size_t)number < count ? (int)number : -1;
}

/* The last of the first `count` stages that has this name, in whatever case: a later one hides an
 * earlier one. */
static int stage_named(const struct strake_dockerfile *dockerfile, size_t count, const char *name)
{
    for (size_t i = count; i > 0 && *name != '\0'; i--) {
        if (strcasecmp(dockerfile->stages[i - 1].name, name) == 0)
            return (int)(i - 1);
    }
    return -1;
}

int strake_dockerfile_stage(const struct strake_dockerfile *dockerfile, const char *name)
{
    if (*name == '\0')
        return (int)dockerfile->stage_count - 1;
    int stage = stage_named(dockerfile, dockerfile->stage_count, name);
    return stage >= 0 ? stage : stage_number(name, dockerfile->stage_count);
}

static uint32_t instruction_needs(const struct strake_instruction *instruction)
{
    uint32_t needs = instruction->heredoc_count > 0 ? STRAKE_BUILDER_HEREDOC : 0;
    bool copies =
        strcmp(instruction->keyword, "COPY") == 0 || strcmp(instruction->keyword, "ADD") == 0;
    for (size_t i = 0; copies && i < instruction->flags.count; i++) {
        const char *flag = instruction->flags.items[i];
        if (strcmp(flag, "--link") == 0 || strcmp(flag, "--link=true") == 0)
            needs |= STRAKE_BUILDER_COPY_LINK;
    }
    if (instruction->onbuild != NULL)
        needs |= instruction_needs(instruction->onbuild);
    return needs;
}

uint32_t strake_dockerfile_needs(const struct strake_dockerfile *dockerfile, uint32_t of, int *line)
{
    uint32_t all = 0;
    *line = 0;
    for (size_t i = 0; i < dockerfile->count; i++) {
        uint32_t needs = instruction_needs(&dockerfile->instructions[i]) & of;
        if (needs != 0 && *line == 0)
            *line = dockerfile->instructions[i].line;
        all |= needs;
    }
    return all;
}

/* One question about bases. */
struct bases {
    const struct strake_dockerfile *dockerfile;
    const struct strake_pairs *args;
    struct strake_pairs globals;   /* ARG before the first FROM */
    struct strake_strings unknown; /* those of them that hang on what only the builder knows */
    bool missed;                   /* a variable of the last expansion is not known */
    size_t work;                   /* steps of pattern matching that are left */
    int *queue;                    /* stages that are needed, in the order they were found */
    size_t queued;
    struct strake_strings *out;
    struct strake_floating *floating; /* may be NULL */
    struct strake_err *err;
};

/* What the builder sets for each platform. */
static bool is_builtin(const char *name)
{
    static const char *const parts[] = { "PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT" };
    const char *part = name;
    if (strncmp(name, "BUILD", 5) == 0)
        part = name + 5;
    else if (strncmp(name, "TARGET", 6) == 0)
        part = name + 6;
    else
        return false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(part, parts[i]) == 0)
            return true;
    }
    return strcmp(name, "TARGETSTAGE") == 0;
}

static const char *global_value(void *ctx, const char *name)
{
    struct bases *bases = ctx;
    const char *value = strake_pairs_get(&bases->globals, name);
    if (value == NULL && is_builtin(name))
        value = strake_pairs_get(bases->args, name);
    if (value == NULL && (is_builtin(name) || strake_strings_has(&bases->unknown, name)))
        bases->missed = true;
    return value;
}

/* Expand by the global ARGs. bases->missed tells whether the result can be relied on. */
static int expand(struct bases *bases, const char *text, int line, struct strake_buf *out)
{
    const struct strake_shell shell = { .escape = bases->dockerfile->escape,
                                        .missed = &bases->missed,
                                        .get = global_value,
                                        .ctx = bases,
                                        .work = &bases->work };
    bases->missed = false;
    int rc = strake_shell_word(&shell, (struct strake_span){ text, strlen(text) }, out, bases->err);
    if (rc == STRAKE_ETOOBIG)
        rc = strake_err_recode(bases->err, STRAKE_EDOCKERFILE);
    if (rc == STRAKE_EDOCKERFILE)
        strake_err_place(bases->err, bases->dockerfile->file, line);
    return rc;
}

/* "NAME" or "NAME=default" of an ARG. */
static int set_global(struct bases *bases, const char *word, int line)
{
    struct strake_buf value = STRAKE_BUF(VALUE_MAX);
    const char *equals = strchr(word, '=');
    char *name = strake_strndup(word, equals != NULL ? (size_t)(equals - word) : strlen(word));
    if (name == NULL)
        return strake_fail_nomem(bases->err);

    const char *given = strake_pairs_get(bases->args, name);
    int rc = 0;
    bases->missed = false;
    if (given == NULL && equals != NULL)
        rc = expand(bases, equals + 1, line, &value);
    if (rc == 0 && given == NULL && equals != NULL && !bases->missed)
        given = strake_buf_text(&value);
    if (rc == 0 && given != NULL && strake_pairs_set(&bases->globals, name, given) < 0)
        rc = strake_fail_nomem(bases->err);
    if (rc == 0 && bases->missed && strake_strings_add(&bases->unknown, name) < 0)
        rc = strake_fail_nomem(bases->err);
    strake_buf_dispose(&value);
    strake_free(name);
    return rc;
}

static int read_globals(struct bases *bases)
{
    const struct strake_dockerfile *dockerfile = bases->dockerfile;
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < dockerfile->count; i++) {
        const struct strake_instruction *arg = &dockerfile->instructions[i];
        if (arg->stage >= 0)
            break;
        if (strcmp(arg->keyword, "ARG") != 0)
            continue;
        for (size_t j = 0; rc == 0 && j < arg->args.count; j++) {
            if (++count > GLOBALS_MAX)
                return strake_fail(bases->err, STRAKE_EDOCKERFILE,
                                   "there are more than %d arguments before the first FROM",
                                   GLOBALS_MAX);
            rc = set_global(bases, arg->args.items[j], arg->line);
        }
    }
    return rc;
}

static void need_stage(struct bases *bases, int stage)
{
    for (size_t i = 0; i < bases->queued; i++) {
        if (bases->queue[i] == stage)
            return;
    }
    bases->queue[bases->queued++] = stage;
}

static int need_image(struct bases *bases, const char *name)
{
    if (*name == '\0' || strcmp(name, NO_BASE) == 0 || strake_strings_has(bases->out, name))
        return 0;
    if (bases->out->count == IMAGES_MAX)
        return strake_fail(bases->err, STRAKE_EDOCKERFILE, "more than %d images are needed",
                           IMAGES_MAX);
    return strake_strings_add(bases->out, name) < 0 ? strake_fail_nomem(bases->err) : 0;
}

/* `name` of --from: variables are not expanded there, the builder refuses them. */
static int need_source(struct bases *bases, const char *name, bool numbers)
{
    size_t count = bases->dockerfile->stage_count;
    if (strchr(name, '$') != NULL)
        return 0;
    int stage = numbers ? stage_number(name, count) : -1;
    if (stage < 0)
        stage = stage_named(bases->dockerfile, count, name);
    if (stage < 0)
        return need_image(bases, name);
    need_stage(bases, stage);
    return 0;
}

/* "type=bind,from=NAME,…" */
static int need_mount(struct bases *bases, const char *mount)
{
    while (*mount != '\0') {
        size_t len = strcspn(mount, ",");
        if (len > 5 && strncasecmp(mount, "from=", 5) == 0) {
            char *name = strake_strndup(mount + 5, len - 5);
            if (name == NULL)
                return strake_fail_nomem(bases->err);
            int rc = need_source(bases, name, false);
            strake_free(name);
            return rc;
        }
        mount += len;
        mount += *mount == ',' ? 1 : 0;
    }
    return 0;
}

static void note_floating(struct bases *bases, int line, const char *what)
{
    if (bases->floating != NULL && bases->floating->line == 0)
        *bases->floating = (struct strake_floating){ .line = line, .what = what };
}

/* What ADD fetches may be another thing the next time, unless a checksum or a commit names it. A
 * variable may hold anything. */
static bool is_fetched(const struct strake_instruction *add, const char *source)
{
    const char *fragment = strchr(source, '#');
    if (*source == '$')
        return true;
    if (strstr(source, "://") == NULL && strncmp(source, "git@", 4) != 0)
        return false;
    if (fragment != NULL && strspn(fragment + 1, "0123456789abcdef") >= 40)
        return false;
    return flag_value(add, "checksum") == NULL;
}

static void look_at_add(struct bases *bases, const struct strake_instruction *add)
{
    for (size_t i = 0; i + 1 < add->args.count; i++) {
        if (is_fetched(add, add->args.items[i]))
            note_floating(bases, add->line, "ADD fetches what no checksum names");
    }
}

static int need_sources(struct bases *bases, const struct strake_instruction *instruction)
{
    int rc = 0;
    if (strcmp(instruction->keyword, "ADD") == 0)
        look_at_add(bases, instruction);
    if (strcmp(instruction->keyword, "COPY") == 0) {
        const char *from = flag_value(instruction, "from");
        return from != NULL ? need_source(bases, from, true) : 0;
    }
    for (size_t i = 0; rc == 0 && i < instruction->flags.count; i++) {
        const char *flag = instruction->flags.items[i];
        if (strcmp(instruction->keyword, "RUN") == 0 && strncmp(flag, "--mount=", 8) == 0)
            rc = need_mount(bases, flag + 8);
    }
    return rc;
}

static int need_base(struct bases *bases, int stage)
{
    const struct strake_stage *from = &bases->dockerfile->stages[stage];
    struct strake_buf base = STRAKE_BUF(VALUE_MAX);
    int rc = expand(bases, from->base, from->line, &base);
    if (rc == 0 && bases->missed) {
        note_floating(bases, from->line, "its base hangs on what only the builder knows");
    } else if (rc == 0) {
        const char *name = strake_buf_text(&base);
        int other = stage_named(bases->dockerfile, (size_t)stage, name);
        /* Here alone case counts: BuildKit takes `FROM Build` for an image. */
        if (other >= 0 && strcmp(bases->dockerfile->stages[other].name, name) == 0)
            need_stage(bases, other);
        else
            rc = need_image(bases, name);
    }
    strake_buf_dispose(&base);
    return rc;
}

static int walk_stages(struct bases *bases)
{
    const struct strake_dockerfile *dockerfile = bases->dockerfile;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < bases->queued; at++) {
        int stage = bases->queue[at];
        rc = need_base(bases, stage);
        for (size_t i = 0; rc == 0 && i < dockerfile->count; i++) {
            if (dockerfile->instructions[i].stage == stage)
                rc = need_sources(bases, &dockerfile->instructions[i]);
        }
    }
    return rc;
}

int strake_dockerfile_bases(const struct strake_dockerfile *dockerfile, int stage,
                            const struct strake_pairs *args, struct strake_strings *out,
                            struct strake_floating *floating, struct strake_err *err)
{
    struct bases bases = { .dockerfile = dockerfile,
                           .args = args,
                           .work = PATTERN_WORK,
                           .out = out,
                           .floating = floating,
                           .err = err };
    if (floating != NULL)
        *floating = (struct strake_floating){ 0 };
    if (stage < 0 || (size_t)stage >= dockerfile->stage_count)
        return strake_fail(err, STRAKE_EDOCKERFILE, "there is no stage %d", stage);
    bases.queue = strake_calloc(dockerfile->stage_count, sizeof(*bases.queue));
    if (bases.queue == NULL)
        return strake_fail_nomem(err);
    need_stage(&bases, stage);
    int rc = read_globals(&bases);
    if (rc == 0)
        rc = walk_stages(&bases);
    strake_free(bases.queue);
    strake_pairs_dispose(&bases.globals);
    strake_strings_dispose(&bases.unknown);
    return rc;
}
