/* Whole references, of a declaration or of -t: where their image is staged, and which tags it gets. */
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
