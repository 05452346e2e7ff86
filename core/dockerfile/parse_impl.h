/* What the pieces of the Dockerfile parser share. */
#ifndef STRAKE_DOCKERFILE_PARSE_IMPL_H
#define STRAKE_DOCKERFILE_PARSE_IMPL_H

#include "dockerfile/dockerfile.h"
#include "dockerfile/runes.h"

/** The longest physical line of BuildKit's scanner, its newline not counted. */
#define STRAKE_LINE_MAX ((size_t)65535)
#define STRAKE_INSTRUCTIONS_MAX 100000
#define STRAKE_HEREDOCS_MAX 256
#define STRAKE_ONBUILD_MAX 32

/** Where the parser stands: what an error is placed at. */
struct strake_parse {
    const char *file;
    int line; /**< first line of the instruction in hand */
    char escape;
    const char *logical; /**< the logical line in hand */
    struct strake_err *err;
};

/** Describe an error at parse->line. @return STRAKE_EDOCKERFILE */
int strake_parse_fail(const struct strake_parse *parse, const char *fmt, ...) STRAKE_PRINTF(2, 3);

/* ---- lines.c: physical lines, directives, logical lines ---- */

struct strake_lines {
    struct strake_span rest;
    int line; /**< number of the physical line read last */
    bool directives_over;
    bool seen[3]; /**< syntax, escape, check */
    char *syntax; /**< value of `# syntax=`, or NULL; the owner frees it, and the rest */
    char *check;
    struct strake_piece *pieces; /**< of the logical line read last */
    size_t piece_count, piece_cap;
    struct strake_comment *comments;
    size_t comment_count, comment_cap;
};

/** The next physical line with its newline. @return 1, 0 at the end, or a negative code. */
int strake_lines_raw(struct strake_lines *lines, struct strake_parse *parse,
                     struct strake_span *line);
/** The next logical line: comments, blank lines and continuations gone. Sets parse->line and, from
 * a directive, parse->escape. @return 1, 0 at the end, or a negative code. */
int strake_lines_next(struct strake_lines *lines, struct strake_parse *parse,
                      struct strake_buf *logical);
/** Free what the reader has made and nobody took. */
void strake_lines_dispose(struct strake_lines *lines);
/** Without carriage returns and newlines at the end. */
struct strake_span strake_span_chomp(struct strake_span line);

/* ---- words.c ---- */

/** "KEYWORD --flag args": `flags` are appended, `args` trimmed. */
int strake_words_command(const struct strake_parse *parse, struct strake_span line,
                         struct strake_span *keyword, struct strake_strings *flags,
                         struct strake_span *args);
/** Words with their quotes and escapes kept, as ENV, LABEL and ARG have them. */
int strake_words_quoted(const struct strake_parse *parse, struct strake_span text,
                        struct strake_strings *words);
/** Split on runs of white space; quotes mean nothing. */
int strake_words_blank(const struct strake_parse *parse, struct strake_span text,
                       struct strake_strings *words);
/** The length of `text` up to the first white space, and of that white space behind it. */
size_t strake_words_until_blank(struct strake_span text, size_t *blank);

/* ---- json_form.c ---- */

/** Read `["a","b"]`. @return 1 with the strings added; 0 when it is no JSON array;
 * STRAKE_EDOCKERFILE when it is one of something else than strings; STRAKE_ENOMEM. */
int strake_json_form(const struct strake_parse *parse, struct strake_span text,
                     struct strake_strings *items);

/* ---- instruction.c ---- */

int strake_instruction_parse(struct strake_parse *parse, struct strake_span line, int depth,
                             struct strake_instruction *out);
void strake_instruction_dispose(struct strake_instruction *instruction);

/* ---- heredoc.c ---- */

/** Read the here-documents that `line`, which was parsed to `owner`, announces. */
int strake_heredocs_read(struct strake_parse *parse, struct strake_lines *lines,
                         struct strake_span line, struct strake_instruction *owner);

/* ---- stages.c ---- */

/** Number the instructions' stages and list the stages. */
int strake_stages_find(struct strake_dockerfile *dockerfile, struct strake_err *err);

#endif
