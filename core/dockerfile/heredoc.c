/* Here-documents of RUN, COPY and ADD. Which words announce one is decided as BuildKit does it: by
 * its lexer for shell words, whatever the shell would say (`$((1 << 2))` announces one). */
#include <string.h>

#include "dockerfile/expand.h"
#include "dockerfile/parse_impl.h"
#include "util/mem.h"

static const char *nothing_set(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

/* Words of `text`; the escape character is `\` whatever the directive says. */
static int split(const struct strake_parse *parse, struct strake_span text, bool raw_quotes,
                 bool raw_escapes, struct strake_strings *words)
{
    const struct strake_shell shell = { .escape = '\\',
                                        .raw_quotes = raw_quotes,
                                        .raw_escapes = raw_escapes,
                                        .keep_unset = true,
                                        .get = nothing_set };
    int rc = strake_shell_words(&shell, text, words, parse->err);
    if (rc == STRAKE_ETOOBIG) {
        strake_err_recode(parse->err, STRAKE_EDOCKERFILE);
        strake_err_place(parse->err, parse->file, parse->line);
    }
    return rc;
}

static size_t count_quotes(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\'' || *text == '"';
    return count;
}

/* [fd]<<[-][blanks]delimiter, nothing behind it. @return false: it announces none. */
static bool split_word(const char *word, bool *strip_tabs, struct strake_span *delimiter)
{
    word += strspn(word, "0123456789");
    if (word[0] != '<' || word[1] != '<')
        return false;
    word += 2;
    *strip_tabs = *word == '-';
    word += *strip_tabs ? 1 : 0;
    word += strspn(word, "\t\n\f\r ");
    *delimiter = (struct strake_span){ word, strlen(word) };
    return delimiter->len > 0 && strchr(word, '<') == NULL;
}

/* Read the delimiter with and without its quotes: where the two differ, part of it was quoted, and
 * nothing is expanded in the text. @return 1 with *doc named, 0 when it is none, or a code. */
static int read_delimiter(const struct strake_parse *parse, struct strake_span text,
                          struct strake_heredoc *doc)
{
    struct strake_strings plain = { 0 };
    struct strake_strings raw = { 0 };
    int rc = split(parse, text, false, false, &plain);
    if (rc == 0 && plain.count == 1) {
        rc = split(parse, text, true, false, &raw);
        if (rc == 0 && raw.count != 1)
            rc = strake_parse_fail(parse, "'%.*s' is no end word of a here-document", (int)text.len,
                                   text.at);
        if (rc == 0) {
            doc->expand = count_quotes(plain.items[0]) == count_quotes(raw.items[0]);
            doc->name = plain.items[0];
            plain.items[0] = NULL;
            plain.count = 0;
            rc = 1;
        }
    }
    if (rc == STRAKE_EDOCKERFILE)
        strake_err_place(parse->err, parse->file, parse->line);
    strake_strings_dispose(&plain);
    strake_strings_dispose(&raw);
    return rc == STRAKE_ETOOBIG ? STRAKE_EDOCKERFILE : rc;
}

static int announce(const struct strake_parse *parse, const char *word,
                    struct strake_instruction *owner)
{
    struct strake_heredoc doc = { 0 };
    struct strake_span delimiter;

    if (!split_word(word, &doc.strip_tabs, &delimiter))
        return 0;
    int rc = read_delimiter(parse, delimiter, &doc);
    if (rc <= 0)
        return rc;
    if (owner->heredoc_count == STRAKE_HEREDOCS_MAX)
        rc = strake_parse_fail(parse, "an instruction has more than %d here-documents",
                               STRAKE_HEREDOCS_MAX);
    struct strake_heredoc *grown = NULL;
    if (rc == 1) {
        grown = strake_reallocarray(owner->heredocs, owner->heredoc_count + 1, sizeof(*grown));
        rc = grown != NULL ? 0 : strake_fail_nomem(parse->err);
    }
    if (rc < 0) {
        strake_free(doc.name);
        return rc;
    }
    grown[owner->heredoc_count++] = doc;
    owner->heredocs = grown;
    return 0;
}

static bool ends(struct strake_span line, const struct strake_heredoc *doc)
{
    line = strake_span_chomp(line);
    while (doc->strip_tabs && line.len > 0 && line.at[0] == '\t')
        line = strake_span_skip(line, 1);
    return strake_span_is(line, doc->name);
}

/* The text up to the end word's line: one piece of the file. */
static int read_content(struct strake_parse *parse, struct strake_lines *lines,
                        struct strake_heredoc *doc)
{
    const char *from = lines->rest.at;
    int start = parse->line;
    struct strake_span line;
    int rc;

    while ((rc = strake_lines_raw(lines, parse, &line)) == 1) {
        if (!ends(line, doc))
            continue;
        doc->content_len = (size_t)(line.at - from);
        doc->content = strake_strndup(from, doc->content_len);
        return doc->content != NULL ? 0 : strake_fail_nomem(parse->err);
    }
    if (rc < 0)
        return rc;
    parse->line = start;
    strake_parse_fail(parse, "the here-document '%s' does not end", doc->name);
    strake_err_hint(parse->err,
                    "end it with a line of nothing but '%s'; where '<<' is meant for the "
                    "shell, write it without blanks around it",
                    doc->name);
    return STRAKE_EDOCKERFILE;
}

int strake_heredocs_read(struct strake_parse *parse, struct strake_lines *lines,
                         struct strake_span line, struct strake_instruction *owner)
{
    struct strake_strings words = { 0 };
    if (memmem(line.at, line.len, "<<", 2) == NULL)
        return 0;
    int rc = split(parse, line, true, true, &words);
    if (rc == STRAKE_EDOCKERFILE) {
        /* No text that a shell can read: BuildKit leaves it to the shell to say so. */
        strake_err_dispose(parse->err);
        strake_strings_dispose(&words);
        rc = 0;
    }
    for (size_t i = 0; rc == 0 && i < words.count; i++)
        rc = announce(parse, words.items[i], owner);
    strake_strings_dispose(&words);
    for (size_t i = 0; rc == 0 && i < owner->heredoc_count; i++)
        rc = read_content(parse, lines, &owner->heredocs[i]);
    return rc == STRAKE_ETOOBIG ? STRAKE_EDOCKERFILE : rc;
}
