/* builder/1's command(), for many requests in one call: a hand-over to another thread and back costs
 * more than the command itself. */
#include "plugin/build_copy.h"
#include "plugin/instance_impl.h"
#include "util/json.h"
#include "util/mem.h"

#define COMMAND_MAX ((size_t)1024 * 1024)
/* A plugin has its limit of time for this many. */
#define BATCH_MAX ((size_t)128)

/* One request of a batch. */
struct command {
    struct strake_build_copy copy;
    struct strake_buf text;
    struct strake_err err;
    int rc;
};

struct command_call {
    struct strake_call call;
    size_t count;
    struct command commands[]; /* as many */
};

static int run_commands(struct strake_call *call)
{
    struct command_call *batch = (struct command_call *)call;
    const struct strake_instance *builder = call->instance;

    for (size_t i = 0; i < batch->count; i++) {
        struct command *command = &batch->commands[i];
        command->rc = builder->as.builder.command(builder->self, &command->copy.request,
                                                  &command->text, &command->err);
    }
    return 0;
}

static void dispose_commands(struct strake_call *call)
{
    struct command_call *batch = (struct command_call *)call;

    for (size_t i = 0; i < batch->count; i++) {
        strake_build_copy_dispose(&batch->commands[i].copy);
        strake_buf_dispose(&batch->commands[i].text);
        strake_err_dispose(&batch->commands[i].err);
    }
}

static bool all_strings(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return false;
    }
    return json_array_size(list) > 0;
}

static int read_command(const struct strake_instance *builder, const struct command *made,
                        json_t **command, struct strake_err *err)
{
    json_t *doc = strake_json_parse(strake_buf_text(&made->text), made->text.len,
                                    "the builder's command", STRAKE_EINTERNAL, err);

    if (!doc)
        return err->code;
    if (!all_strings(doc)) {
        json_decref(doc);
        return strake_fail(err, STRAKE_EINTERNAL,
                           "the plugin %s: command() gave no list of strings",
                           strake_instance_type(builder));
    }
    *command = doc;
    return 0;
}

/* A failure that the plugin did not describe is described here. */
static int take_command(const struct strake_instance *builder, struct command *made,
                        struct strake_command *out)
{
    if (made->rc == 0)
        return read_command(builder, made, &out->command, &out->err);
    strake_err_move(&out->err, &made->err);
    if (!out->err.code)
        strake_fail(&out->err, made->rc, "the plugin %s failed in command() and did not say why",
                    strake_instance_type(builder));
    return made->rc;
}

static int make_batch(struct strake_instance *builder,
                      const struct strake_build_request *const *requests, size_t count,
                      struct strake_command *out, struct strake_err *err)
{
    const size_t size = sizeof(struct command_call) + count * sizeof(struct command);
    struct command_call *batch =
        strake_call_new(size, builder, "command", NULL, run_commands, dispose_commands);
    int rc = batch ? 0 : strake_fail_nomem(err);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct command *command = &batch->commands[batch->count++];
        command->text.max = COMMAND_MAX;
        if (strake_build_copy_make(&command->copy, &batch->call, requests[i]) < 0)
            rc = strake_fail_nomem(err);
    }
    if (rc == 0)
        rc = strake_call_make(&batch->call, STRAKE_CALL_LIMIT_MS, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        out[i].rc = take_command(builder, &batch->commands[i], &out[i]);
    if (batch)
        strake_call_unref(&batch->call);
    return rc;
}

int strake_builder_commands(struct strake_instance *builder,
                            const struct strake_build_request *const *requests, size_t count,
                            struct strake_command *out, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i += BATCH_MAX) {
        size_t left = count - i;
        rc = make_batch(builder, requests + i, left < BATCH_MAX ? left : BATCH_MAX, out + i, err);
    }
    return rc;
}
