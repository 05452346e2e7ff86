/* One instruction: which keyword reads its arguments in which way. */
#include <string.h>
#include <strings.h>

#include "dockerfile/parse_impl.h"
#include "util/mem.h"

/* How the arguments of a keyword are read. */
enum form {
    FORM_UNKNOWN, /* no instruction: that is another's to say */
    FORM_TEXT,    /* all of it is one string */
    FORM_JSON_OR_TEXT,
    FORM_WORDS,
    FORM_JSON_OR_WORDS,
    FORM_QUOTED_WORDS,
    FORM_PAIRS,
    FORM_HEALTHCHECK,
    FORM_ONBUILD
};

static const struct {
    const char *keyword;
    enum form form;
} forms[] = {
    { "ADD", FORM_JSON_OR_WORDS },
    { "ARG", FORM_QUOTED_WORDS },
    { "CMD", FORM_JSON_OR_TEXT },
    { "COPY", FORM_JSON_OR_WORDS },
    { "ENTRYPOINT", FORM_JSON_OR_TEXT },
    { "ENV", FORM_PAIRS },
    { "EXPOSE", FORM_WORDS },
    { "FROM", FORM_WORDS },
    { "HEALTHCHECK", FORM_HEALTHCHECK },
    { "LABEL", FORM_PAIRS },
    { "MAINTAINER", FORM_TEXT },
    { "ONBUILD", FORM_ONBUILD },
    { "RUN", FORM_JSON_OR_TEXT },
    { "SHELL", FORM_JSON_OR_TEXT },
    { "STOPSIGNAL", FORM_TEXT },
    { "USER", FORM_TEXT },
    { "VOLUME", FORM_JSON_OR_WORDS },
    { "WORKDIR", FORM_TEXT },
};

static enum form form_of(const char *keyword)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(keyword, forms[i].keyword) == 0)
            return forms[i].form;
    }
    return FORM_UNKNOWN;
}

static char *upper_case(struct strake_span text)
{
    char *copy = strake_strndup(text.at, text.len);
    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
    return copy;
}

static int add_text(const struct strake_parse *parse, struct strake_span text,
                    struct strake_instruction *out)
{
    if (text.len == 0)
        return 0;
    if (strake_strings_add_len(&out->args, text.at, text.len) < 0)
        return strake_fail_nomem(parse->err);
    return 0;
}

/* JSON, else what `words` says: one string or words. */
static int read_maybe_json(const struct strake_parse *parse, struct strake_span text, bool words,
                           struct strake_instruction *out)
{
    struct strake_strings items = { 0 };
    int rc = strake_json_form(parse, text, &items);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return words ? strake_words_blank(parse, text, &out->args) : add_text(parse, text, out);
    out->json = true;
    if (out->args.count == 0) {
        strake_strings_dispose(&out->args);
        out->args = items;
        return 0;
    }
    /* Behind the type of a HEALTHCHECK. */
    rc = 0;
    for (size_t i = 0; rc == 0 && i < items.count; i++)
        rc = strake_strings_add(&out->args, items.items[i]);
    strake_strings_dispose(&items);
    return rc < 0 ? strake_fail_nomem(parse->err) : 0;
}

static int read_healthcheck(const struct strake_parse *parse, struct strake_span text,
                            struct strake_instruction *out)
{
    size_t len = 0;
    while (len < text.len && !strake_rune_is_space((unsigned char)text.at[len]))
        len++;
    int rc = add_text(parse, (struct strake_span){ text.at, len }, out);
    if (rc < 0 || len == 0)
        return rc;
    while (len < text.len && strake_rune_is_space((unsigned char)text.at[len]))
        len++;
    text = strake_span_skip(text, len);
    return text.len == 0 ? 0 : read_maybe_json(parse, text, false, out);
}

static int add_pair(const struct strake_parse *parse, struct strake_instruction *out,
                    struct strake_span name, struct strake_span value, bool legacy)
{
    struct strake_env_pair *pair = &out->pairs[out->pair_count];
    pair->name = strake_strndup(name.at, name.len);
    pair->value = strake_strndup(value.at, value.len);
    pair->legacy = legacy;
    if (pair->name != NULL && pair->value != NULL) {
        out->pair_count++;
        return 0;
    }
    strake_free(pair->name);
    strake_free(pair->value);
    return strake_fail_nomem(parse->err);
}

/* "ENV name value": everything behind the first blank is the value. */
static int read_legacy_pair(const struct strake_parse *parse, struct strake_span text,
                            struct strake_instruction *out)
{
    size_t blank;
    size_t len = strake_words_until_blank(text, &blank);
    if (blank == 0) {
        strake_parse_fail(parse, "%s has a name without a value", out->keyword);
        strake_err_hint(parse->err, "write %s name=value", out->keyword);
        return STRAKE_EDOCKERFILE;
    }
    return add_pair(parse, out, (struct strake_span){ text.at, len },
                    strake_span_skip(text, len + blank), true);
}

/* "name=value", its quotes and escapes kept. */
static int read_pair(const struct strake_parse *parse, const char *word,
                     struct strake_instruction *out)
{
    const char *equals = strchr(word, '=');
    if (equals == NULL) {
        strake_parse_fail(parse, "%s: '%s' has no '='", out->keyword, word);
        strake_err_hint(parse->err, "a value with white space in it is quoted: name=\"a value\"");
        return STRAKE_EDOCKERFILE;
    }
    return add_pair(parse, out, (struct strake_span){ word, (size_t)(equals - word) },
                    (struct strake_span){ equals + 1, strlen(equals + 1) }, false);
}

static int read_pairs(const struct strake_parse *parse, struct strake_span text,
                      struct strake_instruction *out)
{
    struct strake_strings words = { 0 };
    int rc = strake_words_quoted(parse, text, &words);
    if (rc < 0 || words.count == 0)
        goto out;
    out->pairs = strake_calloc(words.count, sizeof(*out->pairs));
    if (out->pairs == NULL) {
        rc = strake_fail_nomem(parse->err);
        goto out;
    }
    if (strchr(words.items[0], '=') == NULL) {
        rc = read_legacy_pair(parse, text, out);
        goto out;
    }
    for (size_t i = 0; rc == 0 && i < words.count; i++)
        rc = read_pair(parse, words.items[i], out);
out:
    strake_strings_dispose(&words);
    return rc;
}

static int read_onbuild(struct strake_parse *parse, struct strake_span text, int depth,
                        struct strake_instruction *out)
{
    if (text.len == 0)
        return 0;
    if (depth == STRAKE_ONBUILD_MAX)
        return strake_parse_fail(parse, "ONBUILD is nested more than %d deep", STRAKE_ONBUILD_MAX);
    out->onbuild = strake_calloc(1, sizeof(*out->onbuild));
    if (out->onbuild == NULL)
        return strake_fail_nomem(parse->err);
    return strake_instruction_parse(parse, text, depth + 1, out->onbuild);
}

int strake_instruction_parse(struct strake_parse *parse, struct strake_span line, int depth,
                             struct strake_instruction *out)
{
    struct strake_span keyword;
    struct strake_span text;
    int rc = strake_words_command(parse, line, &keyword, &out->flags, &text);
    if (rc < 0)
        return rc;
    out->line = parse->line;
    out->text_at = text.len > 0 ? (size_t)(text.at - parse->logical) : 0;
    out->keyword = upper_case(keyword);
    out->written = strake_strndup(keyword.at, keyword.len);
    if (out->keyword == NULL || out->written == NULL)
        return strake_fail_nomem(parse->err);

    switch (form_of(out->keyword)) {
    case FORM_TEXT:
        return add_text(parse, text, out);
    case FORM_JSON_OR_TEXT:
        return read_maybe_json(parse, text, false, out);
    case FORM_WORDS:
        return strake_words_blank(parse, text, &out->args);
    case FORM_JSON_OR_WORDS:
        return read_maybe_json(parse, text, true, out);
    case FORM_QUOTED_WORDS:
        return strake_words_quoted(parse, text, &out->args);
    case FORM_PAIRS:
        return read_pairs(parse, text, out);
    case FORM_HEALTHCHECK:
        return read_healthcheck(parse, text, out);
    case FORM_ONBUILD:
        return read_onbuild(parse, text, depth, out);
    case FORM_UNKNOWN:
        break;
    }
    return 0;
}

void strake_instruction_dispose(struct strake_instruction *instruction)
{
    if (instruction == NULL)
        return;
    strake_free(instruction->keyword);
    strake_free(instruction->written);
    strake_free(instruction->pieces);
    strake_strings_dispose(&instruction->flags);
    strake_strings_dispose(&instruction->args);
    for (size_t i = 0; i < instruction->heredoc_count; i++) {
        strake_free(instruction->heredocs[i].name);
        strake_free(instruction->heredocs[i].content);
    }
    strake_free(instruction->heredocs);
    for (size_t i = 0; i < instruction->pair_count; i++) {
        strake_free(instruction->pairs[i].name);
        strake_free(instruction->pairs[i].value);
    }
    strake_free(instruction->pairs);
    strake_instruction_dispose(instruction->onbuild);
    strake_free(instruction->onbuild);
    *instruction = (struct strake_instruction){ 0 };
}
