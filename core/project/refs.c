/* What images are called: repositories of a declaration; whole references of one or of -t, where their image
 * is staged and which tags it gets. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "image/reference.h"
#include "project/project.h"

static int add_once(struct strake_strings *list, const char *text)
{
    return strake_strings_has(list, text) ? 0 : strake_strings_add(list, text);
}

static int take_one(const struct strake_reference *ref, struct strake_strings *refs,
                    struct strake_strings *images, struct strake_strings *tags)
{
    const char *tag = ref->tag[0] ? ref->tag : "latest";
    char *full = strake_asprintf("%s:%s", ref->name, tag);
    int rc = full ? add_once(refs, full) : STRAKE_ENOMEM;

    strake_free(full);
    if (rc == 0)
        rc = add_once(images, ref->name);
    return rc < 0 ? rc : add_once(tags, tag);
}

int strake_refs_split(const struct strake_strings *written, struct strake_strings *refs,
                      struct strake_strings *images, struct strake_strings *tags,
                      struct strake_err *err)
{
    int rc = 0;

    strake_strings_dispose(refs);
    strake_strings_dispose(images);
    strake_strings_dispose(tags);
    for (size_t i = 0; rc == 0 && i < written->count; i++) {
        struct strake_reference ref = { 0 };
        rc = strake_reference_parse(written->items[i], &ref, err);
        if (rc == 0 && ref.digest[0])
            rc = strake_fail(err, STRAKE_EUSAGE, "a tag is needed, not a digest: %s",
                             written->items[i]);
        else if (rc == 0 && take_one(&ref, refs, images, tags) < 0)
            rc = strake_fail_nomem(err);
        strake_reference_dispose(&ref);
    }
    return rc;
}

/* ---- repositories ---- */

static char *trim(char *text)
{
    char *end = text + strlen(text);

    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* NAME, name=NAME or enable=true of an image line. */
static int take_field(char *field, const char *line, char **name, bool *enabled,
                      struct strake_err *err)
{
    char *value = strchr(field, '=');

    if (value)
        *value++ = '\0';
    field = trim(field);
    value = value ? trim(value) : NULL;
    if (!value || strcasecmp(field, "name") == 0) {
        *name = value ? value : field;
        return 0;
    }
    if (strcasecmp(field, "enable") != 0) {
        strake_fail(err, STRAKE_ECONFIG, "'%s' has the unknown attribute '%s'", line, field);
        strake_err_hint(err, "a line is name=REPOSITORY,enable=true");
        return STRAKE_ECONFIG;
    }
    *enabled = strcmp(value, "true") == 0;
    return *enabled || strcmp(value, "false") == 0
               ? 0
               : strake_fail(err, STRAKE_ECONFIG, "'%s': enable is true or false, and not '%s'",
                             line, value);
}

static int take_line(char *text, const char *line, struct strake_strings *images,
                     struct strake_err *err)
{
    char *rest = text, *field, *name = NULL;
    bool enabled = true;
    int rc = 0;

    while (rc == 0 && (field = strsep(&rest, ",")))
        rc = take_field(field, line, &name, &enabled, err);
    if (rc == 0 && (!name || !*name))
        rc = strake_fail(err, STRAKE_ECONFIG, "'%s' names no repository", line);
    if (rc < 0 || !enabled)
        return rc;
    return add_once(images, name) < 0 ? strake_fail_nomem(err) : 0;
}

int strake_image_take(const char *written, struct strake_strings *images, struct strake_err *err)
{
    char *text;
    int rc;

    if (!strchr(written, '='))
        return add_once(images, written) < 0 ? strake_fail_nomem(err) : 0;
    text = strake_strdup(written);
    rc = text ? take_line(text, written, images, err) : strake_fail_nomem(err);
    strake_free(text);
    return rc;
}

void strake_images_lower(struct strake_strings *images)
{
    for (size_t i = 0; i < images->count; i++) {
        for (char *c = images->items[i]; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
}
