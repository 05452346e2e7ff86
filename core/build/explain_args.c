/* Build arguments of two builds compared: the values that reach a step. */
#include <string.h>
#include <strings.h>

#include "build/explain_impl.h"
#include "util/json.h"

/* An argument as it is in scope before an instruction. */
struct arg {
    char *name;
    const char *value; /* as given, or the text of the default; NULL: it has none */
    bool given;
    const struct strake_instruction *declared;
};

struct scope {
    struct arg *args;
    size_t count;
    size_t cap;
    struct strake_explain_chain chain;
};

static void scope_dispose(struct scope *scope)
{
    for (size_t i = 0; i < scope->count; i++)
        strake_free(scope->args[i].name);
    strake_free(scope->args);
    strake_free(scope->chain.items);
}

static struct arg *find(const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->count; i++) {
        if (strcmp(scope->args[i].name, name) == 0)
            return &scope->args[i];
    }
    return NULL;
}

/* The default of an ARG before the first FROM. */
static const char *global_default(const struct strake_dockerfile *dockerfile, const char *name)
{
    const size_t len = strlen(name);

    for (size_t i = 0; i < dockerfile->count && dockerfile->instructions[i].stage < 0; i++) {
        const struct strake_instruction *arg = &dockerfile->instructions[i];
        for (size_t k = 0; strcmp(arg->keyword, "ARG") == 0 && k < arg->args.count; k++) {
            const char *word = arg->args.items[k];
            if (strncmp(word, name, len) == 0 && word[len] == '=')
                return word + len + 1;
        }
    }
    return NULL;
}

static int declare(struct scope *scope, const struct strake_explain_build *build,
                   const struct strake_instruction *instruction, const char *word)
{
    const char *equals = strchr(word, '=');
    char *name = strake_strndup(word, equals ? (size_t)(equals - word) : strlen(word));
    struct arg *arg = name ? find(scope, name) : NULL;
    const char *given;

    if (!name)
        return STRAKE_ENOMEM;
    if (!arg && scope->count == scope->cap) {
        size_t cap = scope->cap ? scope->cap * 2 : 8;
        struct arg *grown = strake_reallocarray(scope->args, cap, sizeof(*grown));
        if (!grown) {
            strake_free(name);
            return STRAKE_ENOMEM;
        }
        scope->args = grown;
        scope->cap = cap;
    }
    if (arg)
        strake_free(arg->name);
    else
        arg = &scope->args[scope->count++];
    given = strake_json_str(json_object_get(build->materials, "args"), name);
    *arg = (struct arg){ .name = name,
                         .value = given    ? given
                                  : equals ? equals + 1
                                           : global_default(&build->dockerfile, name),
                         .given = given != NULL,
                         .declared = instruction };
    return 0;
}

static int scope_make(const struct strake_explain_build *build,
                      const struct strake_explain_step *step, struct scope *out)
{
    int rc = strake_explain_chain(&build->dockerfile, step->stage, step->instruction, &out->chain);

    for (size_t i = 0; rc == 0 && i < out->chain.count; i++) {
        const struct strake_instruction *instruction = out->chain.items[i];
        for (size_t k = 0;
             rc == 0 && strcmp(instruction->keyword, "ARG") == 0 && k < instruction->args.count;
             k++)
            rc = declare(out, build, instruction, instruction->args.items[k]);
    }
    return rc;
}

/* ---- which of them count ---- */

static bool flags_use(const struct strake_instruction *instruction)
{
    for (size_t i = 0; i < instruction->flags.count; i++) {
        if (strake_explain_uses(instruction->flags.items[i], NULL))
            return true;
    }
    for (size_t i = 0; i < instruction->heredoc_count; i++) {
        if (instruction->heredocs[i].expand &&
            strake_explain_uses(instruction->heredocs[i].content, NULL))
            return true;
    }
    return false;
}

bool strake_explain_variables(const struct strake_explain_build *now,
                              const struct strake_explain_step *step,
                              const struct strake_explain_build *then)
{
    const struct strake_explain_step *before = strake_explain_find(now, step, then);

    if (strcmp(step->instruction->keyword, "RUN") == 0 || flags_use(step->instruction))
        return true;
    return before && !strake_explain_same(before->name.text, step->name.text);
}

/* Does an ENV with a fixed value stand in for the argument? */
static bool is_hidden(const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->chain.count; i++) {
        const struct strake_instruction *env = scope->chain.items[i];
        for (size_t k = 0; strcmp(env->keyword, "ENV") == 0 && k < env->pair_count; k++) {
            if (strcmp(env->pairs[k].name, name) == 0 &&
                !strake_explain_uses(env->pairs[k].value, NULL))
                return true;
        }
    }
    return false;
}

static bool in_env(const struct scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->chain.count; i++) {
        const struct strake_instruction *env = scope->chain.items[i];
        for (size_t k = 0; strcmp(env->keyword, "ENV") == 0 && k < env->pair_count; k++) {
            if (strake_explain_uses(env->pairs[k].value, name))
                return true;
        }
    }
    return false;
}

/* RUN gets every argument in its environment, whether it uses it or not. */
static bool reaches(const struct scope *scope, const struct strake_instruction *instruction,
                    const char *text, const char *name)
{
    if (strcmp(instruction->keyword, "RUN") == 0)
        return !is_hidden(scope, name) || in_env(scope, name);
    return strake_explain_uses(text, name) || in_env(scope, name);
}

/* ---- telling ---- */

static bool looks_secret(const char *name)
{
    static const char *const words[] = { "token", "secret", "passw", "credential", "private",
                                         "auth",  "apikey", "_key",  "pwd" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (const char *at = name; *at; at++) {
            if (strncasecmp(at, words[i], strlen(words[i])) == 0)
                return true;
        }
    }
    return false;
}

static bool may_show(const char *name, const char *value)
{
    return value && !looks_secret(name) && !strstr(value, "[secret]");
}

static int tell_given(const char *name, const struct arg *now, const struct arg *then,
                      struct strake_explain_cause *cause)
{
    const bool hidden = looks_secret(name) || (now->value && !may_show(name, now->value)) ||
                        (then->value && !may_show(name, then->value));

    cause->kind = "argument";
    cause->line = now->declared->line;
    cause->name = strake_strdup(name);
    cause->detail =
        hidden ? strake_asprintf("the argument %s changed (its values are not shown)", name)
               : strake_asprintf("the argument %s changed", name);
    if (!cause->name || !cause->detail)
        return STRAKE_ENOMEM;
    if (!hidden && now->value && !(cause->now = strake_strdup(now->value)))
        return STRAKE_ENOMEM;
    if (!hidden && then->value && !(cause->was = strake_strdup(then->value)))
        return STRAKE_ENOMEM;
    return 1;
}

/* The default was written anew, or the ARG itself is new or gone. */
static int tell_declared(const struct arg *now, const struct arg *then,
                         struct strake_explain_cause *cause)
{
    cause->kind = "instruction";
    cause->line = now ? now->declared->line : 0;
    cause->detail = strake_strdup(!then  ? "an argument before it is new"
                                  : !now ? "an argument before it is gone"
                                         : "an argument's default changed");
    cause->now = now ? strake_explain_text(now->declared) : NULL;
    cause->was = then ? strake_explain_text(then->declared) : NULL;
    if (!cause->detail || (now && !cause->now) || (then && !cause->was))
        return STRAKE_ENOMEM;
    return 1;
}

static bool differ(const struct arg *now, const struct arg *then)
{
    const char *is = now ? now->value : NULL, *was = then ? then->value : NULL;

    return is && was ? strcmp(is, was) != 0 : is != was;
}

static int compare(const struct scope *now, const struct scope *then,
                   const struct strake_instruction *instruction, const char *text,
                   struct strake_explain_cause *cause)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct arg *is = &now->args[i], *was = find(then, is->name);
        if (!differ(is, was) || !reaches(now, instruction, text, is->name))
            continue;
        return was && (is->given || was->given) ? tell_given(is->name, is, was, cause)
                                                : tell_declared(is, was, cause);
    }
    for (size_t i = 0; i < then->count; i++) {
        const struct arg *was = &then->args[i];
        if (was->value && !find(now, was->name) && reaches(then, instruction, text, was->name))
            return tell_declared(NULL, was, cause);
    }
    return 0;
}

int strake_explain_argument(const struct strake_explain_build *now,
                            const struct strake_explain_step *step,
                            const struct strake_explain_build *then,
                            struct strake_explain_cause *cause)
{
    const struct strake_explain_step *before = strake_explain_find(now, step, then);
    struct scope is = { 0 }, was = { 0 };
    char *text;
    int rc;

    if (!before || !before->instruction || !strake_explain_variables(now, step, then))
        return 0;
    text = strake_explain_text(step->instruction);
    rc = text ? scope_make(now, step, &is) : STRAKE_ENOMEM;
    if (rc == 0)
        rc = scope_make(then, before, &was);
    if (rc == 0)
        rc = compare(&is, &was, step->instruction, text, cause);
    scope_dispose(&is);
    scope_dispose(&was);
    strake_free(text);
    return rc;
}

/* ---- options ---- */

static const struct {
    const char *name;
    const char *without; /* what it is when nothing was said */
    const char *keyword; /* of the steps that it reaches */
} options[] = {
    { "network", "default", "RUN" },
    { "add_hosts", "", "RUN" },
    { "ulimits", "", "RUN" },
    { "shm_size", "", "RUN" },
    { "source_date_epoch", "", "WORKDIR" },
};

/* A value as text; the caller frees. */
static char *option_text(const struct strake_explain_build *build, size_t at)
{
    const json_t *value =
        json_object_get(json_object_get(build->materials, "options"), options[at].name);
    struct strake_buf text = { 0 };
    int rc = 0;

    if (!value)
        return strake_strdup(options[at].without);
    if (json_is_string(value))
        return strake_strdup(json_string_value(value));
    rc = strake_json_dump_sorted(value, &text);
    if (rc < 0) {
        strake_buf_dispose(&text);
        return NULL;
    }
    return strake_buf_take(&text);
}

static int compare_option(const struct strake_explain_build *now,
                          const struct strake_explain_build *then, size_t at,
                          struct strake_explain_cause *cause)
{
    char *is = option_text(now, at), *was = option_text(then, at);
    int rc = is && was ? 0 : STRAKE_ENOMEM;

    if (rc == 0 && strcmp(is, was) != 0) {
        cause->kind = "argument";
        cause->name = strake_strdup(options[at].name);
        cause->detail = strake_asprintf("the target's option %s changed", options[at].name);
        cause->was = was;
        cause->now = is;
        return cause->name && cause->detail ? 1 : STRAKE_ENOMEM;
    }
    strake_free(is);
    strake_free(was);
    return rc;
}

int strake_explain_option(const struct strake_explain_build *now,
                          const struct strake_explain_step *step,
                          const struct strake_explain_build *then,
                          struct strake_explain_cause *cause)
{
    int rc = 0;

    /* What an older strake recorded has none of them. */
    if (!json_is_object(json_object_get(now->materials, "options")) ||
        !json_is_object(json_object_get(then->materials, "options")))
        return 0;
    for (size_t i = 0; rc == 0 && i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(step->instruction->keyword, options[i].keyword) == 0)
            rc = compare_option(now, then, i, cause);
    }
    return rc;
}
