/* A Dockerfile as BuildKit's parser reads it, plus the stages and base images in it. Any byte
 * sequence is answered; nothing here reads files or runs anything. */
#ifndef STRAKE_DOCKERFILE_DOCKERFILE_H
#define STRAKE_DOCKERFILE_DOCKERFILE_H

#include <jansson.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/mem.h"

#define STRAKE_DOCKERFILE_MAX ((size_t)4 * 1024 * 1024)

struct strake_heredoc {
    char *name;
    char *content; /**< raw */
    size_t content_len;
    bool expand;
    bool strip_tabs;
};

/** A pair of ENV or LABEL. */
struct strake_env_pair {
    char *name;
    char *value;
    bool legacy;
};

/** Where a physical line's part of a logical line begins. */
struct strake_piece {
    size_t at; /**< in the logical line */
    int line;
    int column; /**< 1-based, in bytes */
};

struct strake_comment {
    int line;
    char *text; /**< from its `#` on */
};

/** One instruction; what `args` and `pairs` hold is told in docs/interfaces.md, `--syntax`. */
struct strake_instruction {
    char *keyword; /**< upper case */
    int line;      /**< 1-based */
    int end_line;
    int stage; /**< 0 for the first FROM, -1 before it */
    bool json;
    struct strake_strings flags;
    struct strake_strings args;
    struct strake_heredoc *heredocs;
    size_t heredoc_count;
    struct strake_env_pair *pairs; /**< ENV and LABEL */
    size_t pair_count;
    struct strake_instruction *onbuild; /**< ONBUILD's, or NULL */
    char *written;                      /**< the keyword as it is written */
    size_t text_at;                     /**< where its arguments begin in the logical line */
    struct strake_piece *pieces;        /**< of its logical line; ONBUILD's own has none */
    size_t piece_count;
    int heredoc_line; /**< where the text of its first here-document begins, or 0 */
};

/** A stage: FROM [--platform=P] base [AS name]. */
struct strake_stage {
    char *name;     /**< lower case, "" when it has none */
    char *base;     /**< as written, variables in it */
    char *platform; /**< as written, or "" */
    int line;
};

struct strake_dockerfile {
    char *file; /**< as errors name it */
    char escape;
    char *syntax; /**< of `# syntax=`, or "" */
    struct strake_instruction *instructions;
    size_t count;
    struct strake_stage *stages;
    size_t stage_count;
    char *check;                     /**< of `# check=`, or "" */
    struct strake_comment *comments; /**< directives too */
    size_t comment_count;
};

/** What may be another thing the next time although the Dockerfile is the same. */
struct strake_floating {
    int line;         /**< 0: nothing */
    const char *what; /**< for people; static */
};

/** Parse. `file` names it in errors.
 *  @return 0; STRAKE_EDOCKERFILE with file:line; STRAKE_ENOMEM. */
int strake_dockerfile_parse(const char *data, size_t len, const char *file,
                            struct strake_dockerfile *out, struct strake_err *err);
void strake_dockerfile_dispose(struct strake_dockerfile *dockerfile);
/** Where the byte `at` of an instruction's logical line stands in the file. */
void strake_instruction_place(const struct strake_instruction *instruction, size_t at, int *line,
                              int *column);
/** The `strake.syntax/1` document of docs/interfaces.md; NULL: no memory. */
json_t *strake_dockerfile_json(const struct strake_dockerfile *dockerfile, const char *file);

/** Builder features that this Dockerfile needs (STRAKE_BUILDER_HEREDOC, STRAKE_BUILDER_COPY_LINK);
 *  *line takes the first line that needs each of the bits in `of` (0: none does). */
uint32_t strake_dockerfile_needs(const struct strake_dockerfile *dockerfile, uint32_t of,
                                 int *line);
/** Index of the stage `name` (a name or a number; "" is the last one), or -1. */
int strake_dockerfile_stage(const struct strake_dockerfile *dockerfile, const char *name);
/** The images that building `stage` needs from outside: bases of it and of the stages that it is
 *  built on or copies from, ARG defaults and `args` expanded; `scratch` and stage names are not
 *  among them. A base that stays unknown (an ARG without a value) is left out.
 *  @param floating (may be NULL) takes the first thing that no digest can be had of: such a base, an
 *         ADD that fetches what neither checksum nor commit names; `line` 0 when there is none */
int strake_dockerfile_bases(const struct strake_dockerfile *dockerfile, int stage,
                            const struct strake_pairs *args, struct strake_strings *out,
                            struct strake_floating *floating, struct strake_err *err);

#endif
