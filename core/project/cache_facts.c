/* Which branch this is, and which one is the main one, for the names of caches. */
#include <stdlib.h>
#include <string.h>

#include "project/cache.h"
#include "util/fs.h"
#include "util/json.h"

#define EVENT_MAX ((size_t)8 * 1024 * 1024)

/* GitHub Actions checks out a commit without a branch: there the environment knows. */
static const char *branch_of_actions(void)
{
    static const char heads[] = "refs/heads/";
    const char *actions = getenv("GITHUB_ACTIONS"), *head = getenv("GITHUB_HEAD_REF");
    const char *ref = getenv("GITHUB_REF");

    if (!actions || strcmp(actions, "true") != 0)
        return NULL;
    if (head && *head)
        return head;
    return ref && strncmp(ref, heads, sizeof(heads) - 1) == 0 ? ref + sizeof(heads) - 1 : NULL;
}

/* The default branch of the repository that the event is about; the caller's. NULL: not known. */
static char *main_of_actions(void)
{
    const char *actions = getenv("GITHUB_ACTIONS"), *path = getenv("GITHUB_EVENT_PATH");
    struct strake_buf text = STRAKE_BUF(EVENT_MAX);
    struct strake_err ignored = { 0 };
    char *branch = NULL;

    if (!actions || strcmp(actions, "true") != 0 || !path)
        return NULL;
    if (strake_fs_read(path, EVENT_MAX, &text, &ignored) == 0) {
        json_t *event =
            strake_json_parse(strake_buf_text(&text), text.len, path, STRAKE_ECONFIG, &ignored);
        branch =
            strake_strdup(strake_json_str(json_object_get(event, "repository"), "default_branch"));
        json_decref(event);
    }
    strake_err_dispose(&ignored);
    strake_buf_dispose(&text);
    return branch;
}

/* What the project knows of its commit; the caller's, "" for nothing. */
static char *fact(const struct strake_project *project, const char *name)
{
    const char *known = project->fact ? project->fact(project->fact_ctx, name) : NULL;

    return strake_strdup(known ? known : "");
}

int strake_cache_ask_branches(struct strake_caching *caching)
{
    const char *branch = branch_of_actions();

    if (caching->asked)
        return 0;
    caching->branch = branch ? strake_strdup(branch) : fact(caching->project, "branch");
    if (caching->branch && *caching->branch)
        caching->main_branch = main_of_actions();
    if (!caching->main_branch)
        caching->main_branch = caching->branch && *caching->branch
                                   ? fact(caching->project, "main_branch")
                                   : strake_strdup("");
    caching->asked = caching->branch && caching->main_branch;
    return caching->asked ? 0 : STRAKE_ENOMEM;
}
