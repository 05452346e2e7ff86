/* Which publishes go into the release ledger of their repository. */
#include "image/reference.h"
#include "project/project.h"

static bool registry_keeps(const struct strake_project *project, const char *repository)
{
    struct strake_reference ref = { 0 };
    struct strake_err ignored = { 0 };
    const struct strake_block *block = NULL;

    if (strake_reference_parse(repository, &ref, &ignored) == 0 &&
        ref.store == STRAKE_STORE_REGISTRY)
        block = strake_project_block(project, STRAKE_BLOCK_REGISTRY, ref.host);
    strake_err_dispose(&ignored);
    strake_reference_dispose(&ref);
    return block && block->ledger;
}

bool strake_project_keeps_ledger(const struct strake_project *project, const char *target,
                                 const char *repository)
{
    const struct strake_target *named = target ? strake_project_target(project, target) : NULL;
    bool said = false, on = false;

    if (named && named->ledger_said)
        return named->ledger;
    for (size_t i = 0; !named && i < project->target_count; i++) {
        const struct strake_target *other = project->targets[i];
        if (other->ledger_said && strake_strings_has(&other->images, repository)) {
            said = true;
            on = on || other->ledger;
        }
    }
    return said ? on : registry_keeps(project, repository);
}
