/* The strake.syntax/1 document. */
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "util/json.h"

static json_t *heredocs_json(const struct strake_instruction *instruction)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < instruction->heredoc_count; i++) {
        const struct strake_heredoc *doc = &instruction->heredocs[i];
        json_t *object = json_object();
        if (json_array_append_new(list, object) < 0 ||
            strake_json_set_str(object, "name", doc->name) < 0 ||
            strake_json_set_strn(object, "content", doc->content, doc->content_len) < 0 ||
            strake_json_set_bool(object, "expand", doc->expand) < 0 ||
            strake_json_set_bool(object, "strip_tabs", doc->strip_tabs) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *pairs_json(const struct strake_instruction *instruction)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < instruction->pair_count; i++) {
        const struct strake_env_pair *pair = &instruction->pairs[i];
        json_t *object = json_object();
        if (json_array_append_new(list, object) < 0 ||
            strake_json_set_str(object, "name", pair->name) < 0 ||
            strake_json_set_str(object, "value", pair->value) < 0 ||
            strake_json_set_bool(object, "legacy", pair->legacy) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* What an instruction and the one in an ONBUILD have alike. */
static int set_body(json_t *object, const struct strake_instruction *instruction)
{
    bool pairs =
        strcmp(instruction->keyword, "ENV") == 0 || strcmp(instruction->keyword, "LABEL") == 0;
    int rc = strake_json_set_bool(object, "json", instruction->json);
    if (rc == 0)
        rc = strake_json_set(object, "flags",
                             strake_json_strings(strake_strings_view(&instruction->flags)));
    if (rc == 0 && pairs)
        rc = strake_json_set(object, "pairs", pairs_json(instruction));
    else if (rc == 0)
        rc = strake_json_set(object, "args",
                             strake_json_strings(strake_strings_view(&instruction->args)));
    if (rc == 0 && instruction->heredoc_count > 0)
        rc = strake_json_set(object, "heredocs", heredocs_json(instruction));
    return rc;
}

static json_t *instruction_json(const struct strake_instruction *instruction, bool nested)
{
    json_t *object = json_object();
    int rc = object != NULL ? strake_json_set_str(object, "keyword", instruction->keyword) : -1;
    if (rc == 0 && !nested)
        rc = strake_json_set_int(object, "line", instruction->line);
    if (rc == 0 && !nested)
        rc = strake_json_set_int(object, "end_line", instruction->end_line);
    if (rc == 0 && !nested)
        rc = strake_json_set_int(object, "stage", instruction->stage);
    if (rc == 0 && strcmp(instruction->keyword, "ONBUILD") != 0)
        rc = set_body(object, instruction);
    if (rc == 0 && instruction->onbuild != NULL)
        rc = strake_json_set(object, "onbuild", instruction_json(instruction->onbuild, true));
    if (rc == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *strake_dockerfile_json(const struct strake_dockerfile *dockerfile, const char *file)
{
    const char escape[] = { dockerfile->escape, '\0' };
    json_t *list = json_array();
    json_t *root = json_object();

    for (size_t i = 0; list != NULL && i < dockerfile->count; i++) {
        if (json_array_append_new(list, instruction_json(&dockerfile->instructions[i], false)) <
            0) {
            json_decref(list);
            list = NULL;
        }
    }
    if (list == NULL || root == NULL ||
        strake_json_set_str(root, "schema", "strake.syntax/1") < 0 ||
        strake_json_set_str(root, "file", file) < 0 ||
        strake_json_set_str(root, "escape", escape) < 0) {
        json_decref(list);
        json_decref(root);
        return NULL;
    }
    if (strake_json_set(root, "instructions", list) < 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}
