/* Instructions of two Dockerfiles compared: by what they say, however it is written. */
#include <ctype.h>
#include <string.h>

#include "build/explain_impl.h"
#include "util/json.h"

/* ---- one instruction as text ---- */

static int put_json(struct strake_buf *out, const struct strake_strings *args)
{
    json_t *list = strake_json_strings(strake_strings_view(args));
    int rc = list ? strake_json_dump(list, out) : STRAKE_ENOMEM;

    json_decref(list);
    return rc;
}

static int put_words(struct strake_buf *out, const struct strake_strings *words, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = strake_buf_printf(out, " %s", words->items[i]);
    return rc;
}

static int put_pairs(struct strake_buf *out, const struct strake_instruction *instruction)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < instruction->pair_count; i++)
        rc = strake_buf_printf(out, " %s=%s", instruction->pairs[i].name,
                               instruction->pairs[i].value);
    return rc;
}

char *strake_explain_text(const struct strake_instruction *instruction)
{
    const bool from = strcmp(instruction->keyword, "FROM") == 0;
    const size_t args = from && instruction->args.count > 1 ? 1 : instruction->args.count;
    struct strake_buf out = { 0 };
    int rc = strake_buf_puts(&out, instruction->keyword);

    if (rc == 0)
        rc = put_words(&out, &instruction->flags, instruction->flags.count);
    if (rc == 0 && instruction->json) {
        rc = strake_buf_putc(&out, ' ');
        if (rc == 0)
            rc = put_json(&out, &instruction->args);
    } else if (rc == 0) {
        rc = instruction->pair_count ? put_pairs(&out, instruction)
                                     : put_words(&out, &instruction->args, args);
    }
    for (size_t i = 0; rc == 0 && i < instruction->heredoc_count; i++) {
        rc = strake_buf_putc(&out, '\n');
        if (rc == 0)
            rc = strake_buf_append(&out, instruction->heredocs[i].content,
                                   instruction->heredocs[i].content_len);
    }
    if (rc < 0) {
        strake_buf_dispose(&out);
        return NULL;
    }
    return strake_buf_take(&out);
}

bool strake_explain_uses(const char *text, const char *name)
{
    const size_t len = name ? strlen(name) : 0;

    for (text = strchr(text, '$'); text; text = strchr(text, '$')) {
        text++;
        text += *text == '{';
        if (!name)
            return true;
        if (strncmp(text, name, len) == 0 && text[len] != '_' && !isalnum((unsigned char)text[len]))
            return true;
    }
    return false;
}

/* ---- lists of them ---- */

struct texts {
    struct strake_strings items;
    int *lines;
    size_t cap;
};

static void texts_dispose(struct texts *texts)
{
    strake_strings_dispose(&texts->items);
    strake_free(texts->lines);
}

static int texts_add(struct texts *texts, const struct strake_instruction *instruction)
{
    char *text = strake_explain_text(instruction);

    if (!text)
        return STRAKE_ENOMEM;
    if (texts->items.count == texts->cap) {
        size_t cap = texts->cap ? texts->cap * 2 : 16;
        int *grown = strake_reallocarray(texts->lines, cap, sizeof(*grown));
        if (!grown) {
            strake_free(text);
            return STRAKE_ENOMEM;
        }
        texts->lines = grown;
        texts->cap = cap;
    }
    texts->lines[texts->items.count] = instruction->line;
    return strake_strings_take(&texts->items, text);
}

static bool has_behind(const struct texts *texts, size_t from, const char *text)
{
    for (size_t i = from; i < texts->items.count; i++) {
        if (strcmp(texts->items.items[i], text) == 0)
            return true;
    }
    return false;
}

static int set_text(char **to, const char *text)
{
    *to = text ? strake_strdup(text) : NULL;
    return text && !*to ? STRAKE_ENOMEM : 0;
}

static int tell(struct strake_explain_cause *cause, const char *was, const char *now, int line)
{
    cause->kind = "instruction";
    cause->line = line;
    cause->detail = strake_strdup(!was   ? "the instruction is new"
                                  : !now ? "an instruction before it is gone"
                                         : "the instruction changed");
    if (!cause->detail || set_text(&cause->was, was) < 0 || set_text(&cause->now, now) < 0)
        return STRAKE_ENOMEM;
    return 1;
}

/* The first of the first `count` texts that is another one than before. An instruction that was put
 * in or taken out is not taken for one that changed. */
static int compare(const struct texts *now, size_t count, const struct texts *then, bool whole,
                   struct strake_explain_cause *cause)
{
    const size_t was_count = then->items.count;
    size_t at = 0;
    const char *is, *was;

    while (at < count && at < was_count && strcmp(now->items.items[at], then->items.items[at]) == 0)
        at++;
    is = at < count ? now->items.items[at] : NULL;
    was = at < was_count ? then->items.items[at] : NULL;
    if (!is && (!was || !whole))
        return 0;
    if (is && was && has_behind(then, at + 1, is))
        is = NULL;
    else if (is && was && has_behind(now, at + 1, was))
        was = NULL;
    return tell(cause, was, is, at < count ? now->lines[at] : 0);
}

/* ---- the chain ---- */

static int chain_add(struct strake_explain_chain *chain, size_t max,
                     const struct strake_instruction *instruction)
{
    if (!chain->items)
        chain->items = strake_calloc(max + 1, sizeof(*chain->items));
    if (!chain->items)
        return STRAKE_ENOMEM;
    if (chain->count < max)
        chain->items[chain->count++] = instruction;
    return 0;
}

int strake_explain_chain(const struct strake_dockerfile *dockerfile, int stage,
                         const struct strake_instruction *until, struct strake_explain_chain *out)
{
    const int base = stage >= 0 ? strake_explain_base_stage(dockerfile, stage) : -1;
    int rc = 0;

    /* A stage is built on an earlier one only: this ends. */
    if (base >= 0)
        rc = strake_explain_chain(dockerfile, base, NULL, out);
    for (size_t i = 0; rc == 0 && i < dockerfile->count; i++) {
        const struct strake_instruction *instruction = &dockerfile->instructions[i];
        if (instruction == until)
            break;
        if (instruction->stage == stage)
            rc = chain_add(out, dockerfile->count, instruction);
    }
    return rc;
}

int strake_explain_stage_then(const struct strake_explain_build *now, int stage,
                              const struct strake_explain_build *then)
{
    const struct strake_dockerfile *is = &now->dockerfile, *was = &then->dockerfile;
    const char *name;

    if (stage < 0)
        return -1;
    name = is->stages[stage].name;
    for (size_t i = was->stage_count; i > 0 && *name; i--) {
        if (strcmp(was->stages[i - 1].name, name) == 0)
            return (int)(i - 1);
    }
    /* Without a name, or renamed: by its place, counted from the front or, when that one has
     * another name now, from the end. */
    if ((size_t)stage < was->stage_count &&
        (is->stage_count == was->stage_count || (!*name && !*was->stages[stage].name)))
        return stage;
    if (!*name && (size_t)stage + 1 == is->stage_count && !*was->stages[was->stage_count - 1].name)
        return (int)was->stage_count - 1;
    return -1;
}

/* ---- the step's own instruction, and those that made layers before it ---- */

static int add_steps(const struct strake_dockerfile *dockerfile, int stage, bool from,
                     struct texts *out)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < dockerfile->count; i++) {
        const struct strake_instruction *instruction = &dockerfile->instructions[i];
        if (instruction->stage == stage && (strake_explain_is_step(instruction) ||
                                            (from && strcmp(instruction->keyword, "FROM") == 0)))
            rc = texts_add(out, instruction);
    }
    return rc;
}

/* Another name for the same image changes nothing. */
static bool from_matters(const struct strake_explain_build *now, int stage,
                         const struct strake_explain_build *then, int stage_then)
{
    const struct strake_explain_base *is = strake_explain_base(now, stage, NULL);
    const struct strake_explain_base *was = strake_explain_base(then, stage_then, NULL);

    return !is || !was || !strake_explain_same(is->digest, was->digest);
}

static int compare_steps(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then, int stage_then,
                         struct strake_explain_cause *cause)
{
    const bool from = from_matters(now, step->stage, then, stage_then);
    struct texts is = { 0 }, was = { 0 };
    size_t count = 0;
    int rc = add_steps(&now->dockerfile, step->stage, from, &is);

    if (rc == 0)
        rc = add_steps(&then->dockerfile, stage_then, from, &was);
    while (count < is.items.count && is.lines[count] <= step->instruction->line)
        count++;
    if (rc == 0)
        rc = compare(&is, count, &was, false, cause);
    texts_dispose(&is);
    texts_dispose(&was);
    return rc;
}

/* A stage that was not there: what none of its instructions said is new. */
static int compare_anywhere(const struct strake_explain_step *step,
                            const struct strake_explain_build *then,
                            struct strake_explain_cause *cause)
{
    struct texts was = { 0 };
    char *is = strake_explain_text(step->instruction);
    int rc = is ? 0 : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < then->dockerfile.count; i++)
        rc = texts_add(&was, &then->dockerfile.instructions[i]);
    if (rc == 0 && !has_behind(&was, 0, is))
        rc = tell(cause, NULL, is, step->instruction->line);
    texts_dispose(&was);
    strake_free(is);
    return rc;
}

/* ---- what else a step runs under ---- */

/* Does `state` (ENV, USER, SHELL) reach the instruction? */
static bool reaches(const struct strake_instruction *state,
                    const struct strake_instruction *instruction, const char *text, bool variables)
{
    const bool run = strcmp(instruction->keyword, "RUN") == 0;

    if (strcmp(state->keyword, "USER") == 0)
        return run || strcmp(instruction->keyword, "WORKDIR") == 0;
    if (strcmp(state->keyword, "SHELL") == 0)
        return run && !instruction->json;
    if (strcmp(state->keyword, "ENV") != 0)
        return false;
    for (size_t i = 0; !run && i < state->pair_count; i++) {
        if (variables && strake_explain_uses(text, state->pairs[i].name))
            return true;
    }
    return run;
}

static int add_state(const struct strake_explain_build *build, int stage,
                     const struct strake_instruction *until,
                     const struct strake_instruction *instruction, bool variables,
                     struct texts *out)
{
    struct strake_explain_chain chain = { 0 };
    char *text = strake_explain_text(instruction);
    int rc = text ? strake_explain_chain(&build->dockerfile, stage, until, &chain) : STRAKE_ENOMEM;

    for (size_t i = 0; rc == 0 && i < chain.count; i++) {
        if (reaches(chain.items[i], instruction, text, variables))
            rc = texts_add(out, chain.items[i]);
    }
    strake_free(chain.items);
    strake_free(text);
    return rc;
}

static int compare_state(const struct strake_explain_build *now,
                         const struct strake_explain_step *step,
                         const struct strake_explain_build *then,
                         const struct strake_explain_step *before,
                         struct strake_explain_cause *cause)
{
    const bool variables = strake_explain_variables(now, step, then);
    struct texts is = { 0 }, was = { 0 };
    int rc = add_state(now, step->stage, step->instruction, step->instruction, variables, &is);

    if (rc == 0)
        rc =
            add_state(then, before->stage, before->instruction, step->instruction, variables, &was);
    if (rc == 0)
        rc = compare(&is, is.items.count, &was, true, cause);
    texts_dispose(&is);
    texts_dispose(&was);
    return rc;
}

int strake_explain_instruction(const struct strake_explain_build *now,
                               const struct strake_explain_step *step,
                               const struct strake_explain_build *then,
                               struct strake_explain_cause *cause)
{
    const struct strake_explain_step *before = strake_explain_find(now, step, then);
    const int stage_then = strake_explain_stage_then(now, step->stage, then);
    int rc;

    if (stage_then < 0)
        return compare_anywhere(step, then, cause);
    rc = compare_steps(now, step, then, stage_then, cause);
    if (rc == 0 && before && before->instruction)
        rc = compare_state(now, step, then, before, cause);
    return rc;
}
