/* The steps of a build: told apart by platform, stage and place, and found in the Dockerfile. */
#include <string.h>
#include <strings.h>

#include "build/explain_impl.h"
#include "image/reference.h"
#include "util/json.h"
#include "util/time.h"

#define STEPS_MAX ((size_t)5000)

bool strake_explain_same(struct strake_span a, struct strake_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

const char *strake_explain_flag(const struct strake_instruction *instruction, const char *name)
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

bool strake_explain_is_step(const struct strake_instruction *instruction)
{
    static const char *const keywords[] = { "RUN", "COPY", "ADD", "WORKDIR" };

    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(instruction->keyword, keywords[i]) == 0)
            return true;
    }
    return false;
}

/* ---- stages ---- */

static int number_of(struct strake_span text, size_t count)
{
    int number = 0;

    if (text.len == 0 || text.len > 6)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -1;
        number = number * 10 + (text.at[i] - '0');
    }
    return (size_t)number < count ? number : -1;
}

static int stage_named(const struct strake_dockerfile *dockerfile, size_t below,
                       struct strake_span name)
{
    for (size_t i = below; i > 0 && name.len > 0; i--) {
        const char *stage = dockerfile->stages[i - 1].name;
        if (strlen(stage) == name.len && strncasecmp(stage, name.at, name.len) == 0)
            return (int)(i - 1);
    }
    return -1;
}

/* Which stage a step's name means. */
static int stage_of(const struct strake_dockerfile *dockerfile, const struct strake_step_name *name)
{
    static const char unnamed[] = "stage-";
    const size_t count = dockerfile->stage_count, len = strlen(unnamed);
    int stage;

    if (name->number > 0)
        return (size_t)name->number <= count ? name->number - 1 : -1;
    if (name->stage.len == 0)
        return count == 1 ? 0 : -1;
    stage = stage_named(dockerfile, count, name->stage);
    if (stage < 0 && name->stage.len > len && memcmp(name->stage.at, unnamed, len) == 0)
        stage = number_of(strake_span_skip(name->stage, len), count);
    return stage;
}

int strake_explain_base_stage(const struct strake_dockerfile *dockerfile, int stage)
{
    struct strake_span name;
    int other;

    if (stage < 0)
        return -1;
    name = (struct strake_span){ dockerfile->stages[stage].base,
                                 strlen(dockerfile->stages[stage].base) };
    other = stage_named(dockerfile, (size_t)stage, name);
    /* `FROM Build` is an image to BuildKit. */
    return other >= 0 && strcmp(dockerfile->stages[other].name, name.at) == 0 ? other : -1;
}

int strake_explain_from_stage(const struct strake_dockerfile *dockerfile, int stage,
                              const char *from)
{
    const struct strake_span text = { from, strlen(from) };
    const size_t below = stage >= 0 ? (size_t)stage : 0;
    int number = number_of(text, below);

    return number >= 0 ? number : stage_named(dockerfile, below, text);
}

/* ---- reading ---- */

static int64_t time_of(const json_t *step, const char *key)
{
    const char *text = strake_json_str(step, key);
    int64_t us = 0;

    return text && strake_time_parse(text, &us) == 0 ? us : 0;
}

/* An ADD of a URL is two of the builder's steps, a COPY --link too: the last one decides. */
static struct strake_explain_step *same_step(struct strake_explain_build *build,
                                             const struct strake_step_name *name)
{
    for (size_t i = build->count; i > 0; i--) {
        struct strake_explain_step *step = &build->steps[i - 1];
        if (step->name.index == name->index && step->name.number == name->number &&
            strake_explain_same(step->name.platform, name->platform) &&
            strake_explain_same(step->name.stage, name->stage))
            return step;
    }
    return NULL;
}

static void take_step(struct strake_explain_build *build, const json_t *json,
                      const struct strake_step_name *name)
{
    struct strake_explain_step *step = same_step(build, name);
    const char *error = strake_json_str(json, "error");
    int64_t started = time_of(json, "started"), completed = time_of(json, "completed");

    if (!step) {
        step = &build->steps[build->count++];
        *step = (struct strake_explain_step){ .name = *name,
                                              .full = strake_json_str(json, "name"),
                                              .stage = -1 };
    }
    step->cached = strake_json_bool(json, "cached", false);
    step->done = completed != 0;
    if (error && *error)
        step->error = error;
    if (started && completed > started && !step->cached)
        step->duration_us += completed - started;
}

static void take_base(struct strake_explain_build *build, const char *name)
{
    struct strake_explain_base *base = &build->bases[build->base_count];
    struct strake_step_name head;

    if (!strake_step_name_base(name, &head, &base->ref, &base->digest))
        return;
    base->stage = head.index > 0 && build->parsed ? stage_of(&build->dockerfile, &head) : -1;
    for (size_t i = 0; i < build->base_count; i++) {
        const struct strake_explain_base *other = &build->bases[i];
        if (other->stage == base->stage && strake_explain_same(other->ref, base->ref))
            return; /* of another platform */
    }
    build->base_count++;
}

/* ---- finding them in the Dockerfile ---- */

static bool is_keyword(struct strake_span text, const char *keyword)
{
    size_t len = strlen(keyword);

    return text.len >= len && strncasecmp(text.at, keyword, len) == 0 &&
           (text.len == len || text.at[len] == ' ');
}

/* The `position`th (0 …) instruction of a stage: of those that are steps, or with `all` of all but
 * FROM. */
static const struct strake_instruction *instruction_at(const struct strake_dockerfile *dockerfile,
                                                       int stage, int position, bool all)
{
    for (size_t i = 0; position >= 0 && i < dockerfile->count; i++) {
        const struct strake_instruction *instruction = &dockerfile->instructions[i];
        if (instruction->stage != stage || strcmp(instruction->keyword, "FROM") == 0 ||
            (!all && !strake_explain_is_step(instruction)))
            continue;
        if (position-- == 0)
            return instruction;
    }
    return NULL;
}

/* The first place of the stage's own steps: behind FROM, which is not counted of a stage that is
 * built on another or on nothing, and behind what the base image's ONBUILD adds. */
static int first_index(const struct strake_explain_build *build, int stage)
{
    int first = 0;

    for (size_t i = 0; i < build->count; i++) {
        const struct strake_explain_step *step = &build->steps[i];
        if (step->stage == stage && !step->name.onbuild && (first == 0 || step->name.index < first))
            first = step->name.index;
    }
    return first;
}

/* Number the stage's steps from `first` on, and see whether all are where they should be. */
static bool match_stage(struct strake_explain_build *build, int stage, int first, bool all)
{
    bool fits = true;

    for (size_t i = 0; fits && i < build->count; i++) {
        struct strake_explain_step *step = &build->steps[i];
        if (step->stage != stage || step->name.onbuild)
            continue;
        step->instruction =
            instruction_at(&build->dockerfile, stage, step->name.index - first, all);
        fits = step->instruction && is_keyword(step->name.text, step->instruction->keyword);
    }
    for (size_t i = 0; !fits && i < build->count; i++) {
        if (build->steps[i].stage == stage)
            build->steps[i].instruction = NULL;
    }
    return fits;
}

static void find_instructions(struct strake_explain_build *build)
{
    for (size_t i = 0; i < build->count; i++)
        build->steps[i].stage = stage_of(&build->dockerfile, &build->steps[i].name);
    for (size_t i = 0; i < build->dockerfile.stage_count; i++) {
        const int stage = (int)i;
        /* buildah counts every instruction, FROM being the first. */
        if (!match_stage(build, stage, first_index(build, stage), false))
            match_stage(build, stage, 2, true);
    }
}

int strake_explain_steps(struct strake_explain_build *build, struct strake_err *err)
{
    const json_t *steps = json_object_get(build->json, "steps"), *json;
    size_t count = json_array_size(steps), i;

    if (count > STEPS_MAX)
        count = STEPS_MAX;
    build->steps = strake_calloc(count + 1, sizeof(*build->steps));
    build->bases = strake_calloc(count + 1, sizeof(*build->bases));
    if (!build->steps || !build->bases)
        return strake_fail_nomem(err);
    json_array_foreach(steps, i, json) {
        const char *name = strake_json_str(json, "name");
        struct strake_step_name parsed;
        if (i >= count || !name)
            continue;
        if (strake_step_name_parse(name, &parsed))
            take_step(build, json, &parsed);
        else
            take_base(build, name);
    }
    if (build->parsed)
        find_instructions(build);
    return 0;
}

/* ---- the chain ---- */

static bool same_platform(const struct strake_explain_step *a, const struct strake_explain_step *b)
{
    return strake_explain_same(a->name.platform, b->name.platform);
}

static bool in_stage_of(const struct strake_explain_step *step,
                        const struct strake_explain_step *other)
{
    return step->stage == other->stage && same_platform(step, other) &&
           strake_explain_same(step->name.stage, other->name.stage) &&
           step->name.number == other->name.number;
}

const struct strake_explain_step *strake_explain_last(const struct strake_explain_build *build,
                                                      const struct strake_explain_step *like,
                                                      int stage)
{
    const struct strake_explain_step *last = NULL;

    for (size_t i = 0; i < build->count; i++) {
        const struct strake_explain_step *step = &build->steps[i];
        if (step->stage != stage)
            continue;
        if (!last || (same_platform(step, like) && !same_platform(last, like)) ||
            (same_platform(step, like) == same_platform(last, like) &&
             step->name.index > last->name.index))
            last = step;
    }
    return last;
}

const struct strake_explain_step *strake_explain_parent(const struct strake_explain_build *build,
                                                        const struct strake_explain_step *step)
{
    const struct strake_explain_step *parent = NULL;
    int stage = step->stage;

    for (size_t i = 0; i < build->count; i++) {
        const struct strake_explain_step *other = &build->steps[i];
        if (in_stage_of(other, step) && other->name.index < step->name.index &&
            (!parent || other->name.index > parent->name.index))
            parent = other;
    }
    while (!parent && build->parsed && stage >= 0) {
        stage = strake_explain_base_stage(&build->dockerfile, stage);
        if (stage >= 0)
            parent = strake_explain_last(build, step, stage);
    }
    return parent;
}

/* ---- base images ---- */

/* docker.io/library/alpine:latest for alpine. */
static bool same_image(struct strake_span ref, const char *text)
{
    struct strake_reference a = { 0 }, b = { 0 };
    struct strake_err ignored = { 0 };
    char *copy = strake_strndup(ref.at, ref.len);
    bool same = copy && strake_reference_parse(copy, &a, &ignored) == 0 &&
                strake_reference_parse(text, &b, &ignored) == 0 && strcmp(a.host, b.host) == 0 &&
                strcmp(a.repository, b.repository) == 0 &&
                strcmp(strake_reference_object(&a), strake_reference_object(&b)) == 0;

    strake_reference_dispose(&a);
    strake_reference_dispose(&b);
    strake_err_dispose(&ignored);
    strake_free(copy);
    return same;
}

const struct strake_explain_base *strake_explain_base(const struct strake_explain_build *build,
                                                      int stage, const char *text)
{
    const struct strake_explain_base *shared = NULL;
    size_t count = 0;

    for (size_t i = 0; i < build->base_count; i++) {
        const struct strake_explain_base *base = &build->bases[i];
        if (text && same_image(base->ref, text))
            return base;
        if (!text && base->stage == stage)
            return base;
        if (base->stage < 0) {
            shared = base;
            count++;
        }
    }
    if (text)
        return NULL;
    if (count > 1 && build->parsed && stage >= 0 &&
        !strchr(build->dockerfile.stages[stage].base, '$'))
        return strake_explain_base(build, stage, build->dockerfile.stages[stage].base);
    return count == 1 ? shared : NULL;
}
