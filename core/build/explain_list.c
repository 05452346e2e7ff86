/* Reading back the lists of files that core/build/materials.c wrote. */
#include <string.h>

#include "build/explain_impl.h"

/* \s \n \\ in place. @return false: an escape that nobody wrote */
static bool unescape(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        if (*at != 's' && *at != 'n' && *at != '\\')
            return false;
        *to++ = *at == 's' ? ' ' : *at == 'n' ? '\n' : '\\';
    }
    *to = '\0';
    return true;
}

/* The word at *rest, ended with a NUL; NULL: there is none. */
static char *take_word(char **rest)
{
    char *word = *rest;
    char *blank = strchr(word, ' ');

    if (!blank || blank == word)
        return NULL;
    *blank = '\0';
    *rest = blank + 1;
    return word;
}

static bool read_mode(const char *text, unsigned *mode)
{
    const size_t len = strlen(text);

    *mode = 0;
    for (size_t i = 0; i < len; i++) {
        if (len > 4 || text[i] < '0' || text[i] > '7')
            return false;
        *mode = *mode * 8 + (unsigned)(text[i] - '0');
    }
    return len > 0;
}

static bool read_line(char *line, struct strake_explain_file *file)
{
    char *kind = take_word(&line), *mode = kind ? take_word(&line) : NULL;
    char *content = mode ? take_word(&line) : NULL;

    if (!content || kind[1] != '\0' || !strchr("fdlpcb", kind[0]) ||
        !read_mode(mode, &file->mode) || *line == '\0' || !unescape(content) || !unescape(line))
        return false;
    file->kind = kind[0];
    file->content = content;
    file->path = line;
    return true;
}

static int read_lines(struct strake_explain_list *list)
{
    struct strake_explain_context *context = &list->contexts[0];
    size_t used = 0;
    char *line = list->text, *end;

    *context = (struct strake_explain_context){ .name = "", .files = list->files };
    list->context_count = 1;
    for (; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (!end)
            return STRAKE_ECORRUPT;
        *end = '\0';
        if (strncmp(line, "@ ", 2) == 0) {
            context = &list->contexts[list->context_count++];
            *context =
                (struct strake_explain_context){ .name = line + 2, .files = &list->files[used] };
            if (!unescape(line + 2))
                return STRAKE_ECORRUPT;
        } else if (read_line(line, &list->files[used])) {
            used++;
            context->count++;
        } else {
            return STRAKE_ECORRUPT;
        }
    }
    return 0;
}

int strake_explain_list_parse(char *text, struct strake_explain_list *out)
{
    size_t lines = 0, contexts = 1;
    int rc;

    *out = (struct strake_explain_list){ 0 };
    out->text = text;
    for (const char *at = text; *at != '\0'; lines++) {
        const char *end = strchr(at, '\n');
        contexts += *at == '@';
        at = end ? end + 1 : at + strlen(at);
    }
    out->files = strake_calloc(lines + 1, sizeof(*out->files));
    out->contexts = strake_calloc(contexts, sizeof(*out->contexts));
    rc = out->files && out->contexts ? read_lines(out) : STRAKE_ENOMEM;
    if (rc < 0)
        strake_explain_list_dispose(out);
    return rc;
}

void strake_explain_list_dispose(struct strake_explain_list *list)
{
    strake_free(list->text);
    strake_free(list->files);
    strake_free(list->contexts);
    *list = (struct strake_explain_list){ 0 };
}
