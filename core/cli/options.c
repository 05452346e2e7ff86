/* Parsing command lines, and printing what can be given. */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/suggest.h"
#include "util/time.h"

static const struct cli_option *find_long(const struct cli_option *options, const char *name,
                                          size_t len)
{
    for (; options && options->name; options++) {
        if (strlen(options->name) == len && strncmp(options->name, name, len) == 0)
            return options;
    }
    return NULL;
}

static const struct cli_option *find_short(const struct cli_option *options, char letter)
{
    for (; options && options->name; options++) {
        if (options->letter && options->letter == letter)
            return options;
    }
    return NULL;
}

static int unknown(const struct cli_option *options, const struct cli_option *common,
                   const char *given, struct strake_err *err)
{
    const char *names[128];
    const char *name = given + strspn(given, "-"), *near;
    char word[64];
    size_t count = 0, len = strcspn(name, "=");

    for (; options && options->name && count < 100; options++)
        names[count++] = options->name;
    for (; common && common->name && count < 127; common++)
        names[count++] = common->name;
    names[count] = NULL;
    snprintf(word, sizeof(word), "%.*s", (int)(len < 60 ? len : 60), name);
    strake_fail(err, STRAKE_EUSAGE, "unknown option %.60s", given);
    near = strake_suggest(word, names);
    if (near)
        strake_err_hint(err, "did you mean --%s?", near);
    else
        strake_err_hint(err, "see --help");
    return STRAKE_EUSAGE;
}

static int check_value(const struct cli_option *option, const char *value, struct strake_err *err)
{
    int64_t ms;
    char *end;

    if (option->kind == CLI_DURATION && strake_duration_parse(value, &ms) < 0) {
        strake_fail(err, STRAKE_EUSAGE, "--%s %s is no duration", option->name, value);
        strake_err_hint(err, "write 300ms, 2s, 5m or 1h30m");
        return STRAKE_EUSAGE;
    }
    if (option->kind != CLI_NUMBER)
        return 0;
    errno = 0;
    if (strtol(value, &end, 10) < 1 || *end || errno || end == value)
        return strake_fail(err, STRAKE_EUSAGE, "--%s wants a positive number, not '%s'",
                           option->name, value);
    return 0;
}

static int add_value(struct cli_args *args, const struct cli_option *option, const char *value,
                     struct strake_err *err)
{
    int rc = value ? check_value(option, value, err) : 0;

    if (rc < 0)
        return rc;
    if (args->count == CLI_VALUES_MAX)
        return strake_fail(err, STRAKE_EUSAGE, "more than %d options were given", CLI_VALUES_MAX);
    args->seen[args->count] = option;
    args->values[args->count++] = value ? value : "";
    return 0;
}

struct parsing {
    const struct cli_option *options, *common;
    int argc;
    char **argv;
    int at;
    struct cli_args *args;
    struct strake_err *err;
};

static int need_value(struct parsing *p, const struct cli_option *option, const char *inline_value)
{
    if (option->kind == CLI_FLAG) {
        if (inline_value)
            return strake_fail(p->err, STRAKE_EUSAGE, "--%s takes no value", option->name);
        return add_value(p->args, option, NULL, p->err);
    }
    if (!inline_value) {
        if (p->at + 1 >= p->argc)
            return strake_fail(p->err, STRAKE_EUSAGE, "--%s wants a value: %s", option->name,
                               option->value);
        inline_value = p->argv[++p->at];
    }
    return add_value(p->args, option, inline_value, p->err);
}

static int parse_long(struct parsing *p, const char *word)
{
    size_t len = strcspn(word + 2, "=");
    const struct cli_option *option = find_long(p->options, word + 2, len);

    if (!option)
        option = find_long(p->common, word + 2, len);
    if (!option)
        return unknown(p->options, p->common, word, p->err);
    return need_value(p, option, word[2 + len] ? word + 3 + len : NULL);
}

/* "-qf FILE" and "-fFILE": flags may be run together, the last may take a value. */
static int parse_short(struct parsing *p, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct cli_option *option = find_short(p->options, *letter);
        if (!option)
            option = find_short(p->common, *letter);
        if (!option)
            return unknown(p->options, p->common, word, p->err);
        if (option->kind != CLI_FLAG)
            return need_value(p, option, letter[1] ? letter + 1 : NULL);
        if (add_value(p->args, option, NULL, p->err) < 0)
            return p->err->code;
    }
    return 0;
}

int cli_parse(const struct cli_option *options, const struct cli_option *common, int argc,
              char **argv, struct cli_args *args, struct strake_err *err)
{
    struct parsing p = {
        .options = options, .common = common, .argc = argc, .argv = argv, .args = args, .err = err
    };
    bool only_rest = false;
    int rc = 0;

    for (; rc == 0 && p.at < argc; p.at++) {
        const char *word = argv[p.at];
        if (!only_rest && strcmp(word, "--") == 0)
            only_rest = true;
        else if (!only_rest && strncmp(word, "--", 2) == 0)
            rc = parse_long(&p, word);
        else if (!only_rest && word[0] == '-' && word[1])
            rc = parse_short(&p, word);
        else if (strake_strings_add(&args->rest, word) < 0)
            rc = strake_fail_nomem(err);
    }
    return rc;
}

void cli_args_dispose(struct cli_args *args)
{
    strake_strings_dispose(&args->rest);
}

const char *cli_item(const struct cli_args *args, const char *name, size_t n)
{
    for (size_t i = 0; i < args->count; i++) {
        if (strcmp(args->seen[i]->name, name) == 0 && n-- == 0)
            return args->values[i];
    }
    return NULL;
}

bool cli_flag(const struct cli_args *args, const char *name)
{
    return cli_item(args, name, 0) != NULL;
}

const char *cli_text(const struct cli_args *args, const char *name)
{
    const char *last = NULL, *value;

    for (size_t n = 0; (value = cli_item(args, name, n)); n++)
        last = value;
    return last;
}

int64_t cli_number(const struct cli_args *args, const char *name, int64_t fallback)
{
    const char *text = cli_text(args, name);

    return text ? strtol(text, NULL, 10) : fallback;
}

int64_t cli_duration(const struct cli_args *args, const char *name, int64_t fallback)
{
    const char *text = cli_text(args, name);
    int64_t ms = fallback;

    if (text)
        strake_duration_parse(text, &ms);
    return ms;
}

void cli_print_options(FILE *out, const struct cli_option *options)
{
    for (; options->name; options++) {
        char left[64];
        int len = options->letter
                      ? snprintf(left, sizeof(left), "-%c, --%s", options->letter, options->name)
                      : snprintf(left, sizeof(left), "    --%s", options->name);
        if (options->value && len > 0 && (size_t)len < sizeof(left))
            snprintf(left + len, sizeof(left) - (size_t)len, " %s", options->value);
        fprintf(out, "  %-30s %s\n", left, options->help);
    }
}
