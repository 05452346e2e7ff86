/* The parser's loop: logical line, instruction, here-documents, and again. */
#include "dockerfile/dockerfile.h"

#include <string.h>

#include "dockerfile/parse_impl.h"
#include "util/mem.h"

/* The instruction whose here-documents follow this line, or NULL. ONBUILD lends its line to the
 * instruction in it, one level deep. */
static struct strake_instruction *heredoc_owner(struct strake_instruction *instruction)
{
    static const char *const owners[] = { "RUN", "COPY", "ADD" };
    if (instruction->onbuild != NULL)
        instruction = instruction->onbuild;
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        if (strcmp(instruction->keyword, owners[i]) == 0)
            return instruction->json ? NULL : instruction;
    }
    return NULL;
}

static int add_instruction(struct strake_parse *parse, struct strake_dockerfile *out, size_t *cap,
                           struct strake_instruction **added)
{
    if (out->count == STRAKE_INSTRUCTIONS_MAX)
        return strake_parse_fail(parse, "there are more than %d instructions",
                                 STRAKE_INSTRUCTIONS_MAX);
    if (out->count == *cap) {
        size_t grown_cap = *cap == 0 ? 16 : *cap * 2;
        struct strake_instruction *grown =
            strake_reallocarray(out->instructions, grown_cap, sizeof(*grown));
        if (grown == NULL)
            return strake_fail_nomem(parse->err);
        out->instructions = grown;
        *cap = grown_cap;
    }
    *added = &out->instructions[out->count++];
    **added = (struct strake_instruction){ 0 };
    return 0;
}

static int keep_pieces(const struct strake_parse *parse, const struct strake_lines *lines,
                       struct strake_instruction *out)
{
    out->pieces = strake_calloc(lines->piece_count, sizeof(*out->pieces));
    if (out->pieces == NULL)
        return strake_fail_nomem(parse->err);
    memcpy(out->pieces, lines->pieces, lines->piece_count * sizeof(*out->pieces));
    out->piece_count = lines->piece_count;
    return 0;
}

static int read_instruction(struct strake_parse *parse, struct strake_lines *lines,
                            const struct strake_buf *logical, struct strake_instruction *out)
{
    struct strake_span line = { strake_buf_text(logical), logical->len };
    int start = parse->line, last = lines->line;
    parse->logical = line.at;
    int rc = strake_instruction_parse(parse, line, 0, out);
    struct strake_instruction *owner = rc == 0 ? heredoc_owner(out) : NULL;
    if (owner != NULL)
        rc = strake_heredocs_read(parse, lines, line, owner);
    if (owner != NULL && owner->heredoc_count > 0)
        owner->heredoc_line = last + 1;
    if (rc == 0)
        rc = keep_pieces(parse, lines, out);
    out->line = start;
    out->end_line = lines->line;
    if (out->onbuild != NULL)
        out->onbuild->end_line = lines->line;
    return rc;
}

static int read_all(struct strake_parse *parse, struct strake_lines *lines,
                    struct strake_dockerfile *out)
{
    struct strake_buf logical = STRAKE_BUF(STRAKE_DOCKERFILE_MAX);
    struct strake_instruction *instruction = NULL;
    size_t cap = 0;
    int rc;

    while ((rc = strake_lines_next(lines, parse, &logical)) == 1) {
        rc = add_instruction(parse, out, &cap, &instruction);
        if (rc == 0)
            rc = read_instruction(parse, lines, &logical, instruction);
        if (rc < 0)
            break;
    }
    strake_buf_dispose(&logical);
    return rc;
}

/* C strings end at a NUL, and so do the arguments of programs. */
static int refuse_nul(struct strake_parse *parse, const char *data, size_t len)
{
    const char *nul = memchr(data, '\0', len);
    if (nul == NULL)
        return 0;
    parse->line = 1;
    for (const char *at = data; (at = memchr(at, '\n', (size_t)(nul - at))) != NULL; at++)
        parse->line++;
    strake_parse_fail(parse, "there is a NUL byte");
    if (len >= 2 && (memcmp(data, "\xFF\xFE", 2) == 0 || memcmp(data, "\xFE\xFF", 2) == 0))
        strake_err_hint(parse->err, "it looks like UTF-16: save the file as UTF-8");
    return STRAKE_EDOCKERFILE;
}

int strake_dockerfile_parse(const char *data, size_t len, const char *file,
                            struct strake_dockerfile *out, struct strake_err *err)
{
    struct strake_parse parse = { .file = file, .escape = '\\', .err = err };
    struct strake_lines lines = { .rest = { data, len } };
    int rc;

    *out = (struct strake_dockerfile){ 0 };
    if (len > STRAKE_DOCKERFILE_MAX)
        return strake_parse_fail(&parse, "a Dockerfile has at most %zu bytes",
                                 STRAKE_DOCKERFILE_MAX);
    rc = len > 0 ? refuse_nul(&parse, data, len) : 0;
    if (rc == 0)
        rc = read_all(&parse, &lines, out);
    if (rc == 0 && out->count == 0)
        rc = strake_parse_fail(&parse, "there is no instruction in it");
    out->escape = parse.escape;
    out->syntax = lines.syntax != NULL ? lines.syntax : strake_strdup("");
    out->check = lines.check != NULL ? lines.check : strake_strdup("");
    out->comments = lines.comments;
    out->comment_count = lines.comment_count;
    lines.syntax = lines.check = NULL;
    lines.comments = NULL;
    lines.comment_count = 0;
    strake_lines_dispose(&lines);
    out->file = strake_strdup(file);
    if (rc == 0 && (out->file == NULL || out->syntax == NULL || out->check == NULL))
        rc = strake_fail_nomem(err);
    if (rc == 0)
        rc = strake_stages_find(out, err);
    if (rc < 0)
        strake_dockerfile_dispose(out);
    return rc;
}

void strake_dockerfile_dispose(struct strake_dockerfile *dockerfile)
{
    if (dockerfile == NULL)
        return;
    for (size_t i = 0; i < dockerfile->count; i++)
        strake_instruction_dispose(&dockerfile->instructions[i]);
    strake_free(dockerfile->instructions);
    for (size_t i = 0; i < dockerfile->stage_count; i++) {
        strake_free(dockerfile->stages[i].name);
        strake_free(dockerfile->stages[i].base);
        strake_free(dockerfile->stages[i].platform);
    }
    strake_free(dockerfile->stages);
    for (size_t i = 0; i < dockerfile->comment_count; i++)
        strake_free(dockerfile->comments[i].text);
    strake_free(dockerfile->comments);
    strake_free(dockerfile->check);
    strake_free(dockerfile->syntax);
    strake_free(dockerfile->file);
    *dockerfile = (struct strake_dockerfile){ 0 };
}

void strake_instruction_place(const struct strake_instruction *instruction, size_t at, int *line,
                              int *column)
{
    const struct strake_piece *piece = instruction->pieces;
    *line = instruction->line;
    *column = 1;
    for (size_t i = 0; i < instruction->piece_count && instruction->pieces[i].at <= at; i++)
        piece = &instruction->pieces[i];
    if (piece == NULL)
        return;
    *line = piece->line;
    *column = piece->column + (int)(at - piece->at);
}
