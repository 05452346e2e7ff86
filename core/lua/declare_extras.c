/* target "NAME" { … }: keys that are read alike from a declaration, a command line and a plan. */
#include "lua/schema.h"

int strake_take_extra(struct strake_decl *decl, const char *key, int index, void *object)
{
    struct strake_target *target = object;
    json_t *value = NULL;
    int rc = strake_take_json(decl, key, index, &value);

    if (rc == 0)
        rc = strake_extras_set(&target->extras, key, value, decl->err);
    json_decref(value);
    if (rc == STRAKE_ECONFIG && decl->err->code && !decl->err->file) {
        strake_err_prefix(decl->err, "%s \"%s\": ", decl->kind, decl->name);
        strake_err_place(decl->err, decl->file, decl->line);
    }
    return rc;
}
