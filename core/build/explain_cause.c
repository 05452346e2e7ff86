/* Why a step was not cached. The causes are looked for from the surest on; the first that the two
 * builds prove is told, and `unknown` when none is. */
#include <string.h>
#include <strings.h>

#include "build/explain_impl.h"
#include "util/json.h"

void strake_explain_cause_dispose(struct strake_explain_cause *cause)
{
    strake_free(cause->detail);
    strake_free(cause->was);
    strake_free(cause->now);
    strake_free(cause->name);
    json_decref(cause->files);
    *cause = (struct strake_explain_cause){ 0 };
}

static int tell(struct strake_explain_cause *cause, const char *kind, char *detail)
{
    cause->kind = kind;
    cause->detail = detail;
    return detail ? 1 : STRAKE_ENOMEM;
}

static char *span_text(struct strake_span span)
{
    return strake_strndup(span.at, span.len);
}

/* ---- the same step then ---- */

static bool same_platform(struct strake_span a, struct strake_span b)
{
    return a.len == 0 || b.len == 0 || strake_explain_same(a, b);
}

/* Which of its stage's steps an instruction is, 0 …; -1: none. */
static int place_of(const struct strake_dockerfile *dockerfile,
                    const struct strake_instruction *wanted)
{
    int place = 0;

    for (size_t i = 0; wanted && i < dockerfile->count; i++) {
        const struct strake_instruction *instruction = &dockerfile->instructions[i];
        if (instruction == wanted)
            return place;
        place += instruction->stage == wanted->stage && strake_explain_is_step(instruction);
    }
    return -1;
}

const struct strake_explain_step *strake_explain_find(const struct strake_explain_build *now,
                                                      const struct strake_explain_step *step,
                                                      const struct strake_explain_build *then)
{
    const bool parsed = now->parsed && then->parsed && step->stage >= 0;
    const int stage = parsed ? strake_explain_stage_then(now, step->stage, then) : -1;
    const int place = parsed ? place_of(&now->dockerfile, step->instruction) : -1;

    for (size_t i = 0; i < then->count; i++) {
        const struct strake_explain_step *other = &then->steps[i];
        if (!same_platform(step->name.platform, other->name.platform) ||
            step->name.onbuild != other->name.onbuild)
            continue;
        if (place >= 0 && stage >= 0 && other->instruction) {
            if (other->stage == stage && place_of(&then->dockerfile, other->instruction) == place)
                return other;
        } else if (step->name.index == other->name.index &&
                   strake_explain_same(step->name.stage, other->name.stage)) {
            return other;
        }
    }
    return NULL;
}

/* ---- what was asked for ---- */

static int check_no_cache(const struct strake_explain_build *now,
                          const struct strake_explain_step *step,
                          struct strake_explain_cause *cause)
{
    const json_t *stages = json_object_get(now->materials, "no_cache_stages"), *stage;
    const char *name =
        now->parsed && step->stage >= 0 ? now->dockerfile.stages[step->stage].name : "";
    size_t i;

    if (strake_json_bool(now->materials, "no_cache", false))
        return tell(cause, "cache-missing", strake_strdup("the build was asked to use no cache"));
    json_array_foreach(stages, i, stage) {
        if (json_is_string(stage) && *name && strcasecmp(json_string_value(stage), name) == 0)
            return tell(cause, "cache-missing",
                        strake_asprintf("the build was asked to use no cache for stage %s", name));
    }
    return 0;
}

/* ---- parents ---- */

static int tell_parent(const struct strake_explain_step *parent, struct strake_explain_cause *cause)
{
    cause->name = strake_strdup(parent->full);
    if (!cause->name)
        return STRAKE_ENOMEM;
    return tell(cause, "parent", strake_strdup("a step that it stands on was not cached"));
}

static int check_parent(const struct strake_explain_build *now,
                        const struct strake_explain_step *step, struct strake_explain_cause *cause)
{
    const struct strake_explain_step *parent = strake_explain_parent(now, step);

    return parent && !parent->cached ? tell_parent(parent, cause) : 0;
}

static int tell_bases(const struct strake_explain_base *was, const struct strake_explain_base *is,
                      struct strake_explain_cause *cause)
{
    if (!was || !is || strake_explain_same(was->digest, is->digest))
        return 0;
    cause->name = span_text(is->ref);
    cause->was = strake_asprintf("%.*s@%.*s", (int)was->ref.len, was->ref.at, (int)was->digest.len,
                                 was->digest.at);
    cause->now = strake_asprintf("%.*s@%.*s", (int)is->ref.len, is->ref.at, (int)is->digest.len,
                                 is->digest.at);
    if (!cause->name || !cause->was || !cause->now)
        return STRAKE_ENOMEM;
    return tell(cause, "base", strake_strdup("the base image is another one"));
}

/* What a COPY or a mount takes from elsewhere is compared by its content: a stage that was built
 * again and came out the same is no cause, but then the step is cached. */
static int check_source(const struct strake_explain_build *now,
                        const struct strake_explain_build *then,
                        const struct strake_explain_step *step, const char *from,
                        struct strake_explain_cause *cause)
{
    const int stage = strake_explain_from_stage(&now->dockerfile, step->stage, from);
    const struct strake_explain_step *last;

    if (stage >= 0) {
        last = strake_explain_last(now, step, stage);
        return last && !last->cached ? tell_parent(last, cause) : 0;
    }
    return tell_bases(strake_explain_base(then, -1, from), strake_explain_base(now, -1, from),
                      cause);
}

static int check_sources(const struct strake_explain_build *now,
                         const struct strake_explain_build *then,
                         const struct strake_explain_step *step, struct strake_explain_cause *cause)
{
    const char *from = strake_explain_flag(step->instruction, "from");
    int rc = from ? check_source(now, then, step, from, cause) : 0;

    for (size_t i = 0; rc == 0 && i < step->instruction->flags.count; i++) {
        const char *flag = step->instruction->flags.items[i];
        char *mounted =
            strncmp(flag, "--mount=", 8) == 0 ? strake_explain_mount(flag + 8, "from") : NULL;
        if (mounted)
            rc = check_source(now, then, step, mounted, cause);
        strake_free(mounted);
    }
    return rc;
}

/* ---- the base image ---- */

/* The stage whose FROM names the image that `stage` comes to stand on. */
static int lowest_stage(const struct strake_dockerfile *dockerfile, int stage)
{
    for (int base = stage; base >= 0; base = strake_explain_base_stage(dockerfile, base))
        stage = base;
    return stage;
}

static bool same_from(const struct strake_explain_build *now, int stage,
                      const struct strake_explain_build *then, int stage_then)
{
    return strcmp(now->dockerfile.stages[stage].base, then->dockerfile.stages[stage_then].base) ==
               0 &&
           strcmp(now->dockerfile.stages[stage].platform,
                  then->dockerfile.stages[stage_then].platform) == 0;
}

/* FROM that says another image is an instruction that changed; the same words and another digest is
 * a base that moved. */
static int check_base(const struct strake_explain_build *now,
                      const struct strake_explain_step *step,
                      const struct strake_explain_build *then, struct strake_explain_cause *cause)
{
    int stage = step->stage, stage_then;

    if (!now->parsed || !then->parsed || stage < 0)
        return tell_bases(strake_explain_base(then, -1, NULL), strake_explain_base(now, -1, NULL),
                          cause);
    stage_then = strake_explain_stage_then(now, stage, then);
    if (stage_then < 0)
        return 0;
    stage = lowest_stage(&now->dockerfile, stage);
    stage_then = lowest_stage(&then->dockerfile, stage_then);
    if (!same_from(now, stage, then, stage_then))
        return 0;
    return tell_bases(strake_explain_base(then, stage_then, NULL),
                      strake_explain_base(now, stage, NULL), cause);
}

/* ---- caches that were not there ---- */

/* Where one of several references could be read, the others are no cause: a branch's cache is not
 * there before its first build. */
static int check_imports(const struct strake_explain_build *now, struct strake_explain_cause *cause)
{
    const json_t *steps = json_object_get(now->json, "steps"), *step;
    const char *failed = NULL, *why = NULL;
    size_t i;

    json_array_foreach(steps, i, step) {
        const char *name = strake_json_str(step, "name"), *error = strake_json_str(step, "error");
        const char *import = name ? strake_step_name_import(name) : NULL;
        if (!import)
            continue;
        if (!error || !*error)
            return 0;
        if (!failed) {
            failed = import;
            why = error;
        }
    }
    if (!failed)
        return 0;
    cause->name = strake_strdup(failed);
    if (!cause->name)
        return STRAKE_ENOMEM;
    return tell(cause, "cache-missing",
                strake_asprintf("the cache %s could not be imported: %s", failed, why));
}

static int check_caches(const struct strake_explain_build *now,
                        const struct strake_explain_step *step,
                        const struct strake_explain_build *then, struct strake_explain_cause *cause)
{
    const struct strake_explain_step *before = strake_explain_find(now, step, then);
    const char *builder = strake_json_str(now->json, "builder");
    const char *builder_then = strake_json_str(then->json, "builder");
    int rc = check_imports(now, cause);

    if (rc != 0)
        return rc;
    if (builder && builder_then && strcmp(builder, builder_then) != 0)
        return tell(
            cause, "cache-missing",
            strake_asprintf("it was built by %s, the run before by %s", builder, builder_then));
    if (before && before->error)
        return tell(cause, "cache-missing",
                    strake_strdup("it failed in the run before: there was nothing to keep"));
    return 0;
}

/* ---- not known ---- */

static bool has_secret_args(const struct strake_explain_build *build)
{
    json_t *args = json_object_get(build->materials, "args"), *value;
    const char *name;

    json_object_foreach(args, name, value) {
        if (json_is_string(value) && strstr(json_string_value(value), "[secret]"))
            return true;
    }
    return false;
}

static bool takes_url(const struct strake_explain_step *step)
{
    for (size_t i = 0; step->instruction && i < step->instruction->args.count; i++) {
        if (strcmp(step->instruction->keyword, "ADD") == 0 &&
            strstr(step->instruction->args.items[i], "://"))
            return true;
    }
    return false;
}

static const char *why_unknown(const struct strake_explain_build *now,
                               const struct strake_explain_step *step,
                               const struct strake_explain_build *then)
{
    const struct strake_explain_step *before = then ? strake_explain_find(now, step, then) : NULL;

    if (!then)
        return "no earlier build of it is on record";
    if (!now->parsed || !then->parsed)
        return "what one of the two runs was made of is not on record";
    if (!step->instruction)
        return "the step was not found in the Dockerfile";
    if (!before || !before->done)
        return "the run before did not come to this step";
    if (!now->has_files || !then->has_files)
        return "nothing on record differs, but the files of one of the two runs are not";
    if (takes_url(step))
        return "nothing on record differs: what the URL gives may be another file now";
    if (has_secret_args(now))
        return "nothing on record differs, but values of secrets are not kept and not compared";
    return "nothing on record differs: the builder may have let go of what it had";
}

static int find_cause(const struct strake_explain_build *now,
                      const struct strake_explain_step *step,
                      const struct strake_explain_build *then, struct strake_explain_cause *cause)
{
    int rc = check_no_cache(now, step, cause);

    if (rc == 0)
        rc = check_parent(now, step, cause);
    if (rc == 0 && !then)
        return check_imports(now, cause);
    if (rc == 0 && !strake_explain_parent(now, step))
        rc = check_base(now, step, then, cause);
    if (rc == 0 && now->parsed && then->parsed && step->instruction)
        rc = strake_explain_instruction(now, step, then, cause);
    if (rc == 0 && now->parsed && then->parsed && step->instruction)
        rc = strake_explain_argument(now, step, then, cause);
    if (rc == 0 && step->instruction)
        rc = strake_explain_option(now, step, then, cause);
    if (rc == 0)
        rc = strake_explain_files(now, step, then, cause);
    if (rc == 0 && now->parsed && step->instruction)
        rc = check_sources(now, then, step, cause);
    if (rc == 0)
        rc = check_base(now, step, then, cause);
    return rc == 0 ? check_caches(now, step, then, cause) : rc;
}

int strake_explain_cause(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then,
                         struct strake_explain_cause *cause)
{
    int rc = find_cause(now, step, then, cause);

    if (rc == 0)
        rc = tell(cause, "unknown", strake_strdup(why_unknown(now, step, then)));
    return rc < 0 ? rc : 0;
}
