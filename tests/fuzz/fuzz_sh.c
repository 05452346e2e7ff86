/* Any bytes as shell text: it ends, words lie within the text, in their order, and what they are
 * within begins before them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/sh.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_command(const struct strake_sh *shell, size_t at, size_t size)
{
    const struct strake_sh_command *command = &shell->commands[at];

    check(command->within < (int)at && command->assignments <= command->count);
    check(command->at <= size && command->len <= size - command->at);
    for (size_t i = 0; i < command->count; i++) {
        const struct strake_sh_word *word = &command->words[i];
        check(word->text != NULL && word->at >= command->at && word->len > 0);
        check(word->at + word->len <= command->at + command->len);
        if (i > 0)
            check(word->at >= command->words[i - 1].at + command->words[i - 1].len);
    }
    for (size_t i = 0; i < command->redirect_count; i++)
        check(command->redirects[i].op != NULL && command->redirects[i].target.text != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_sh shell;

    if (strake_sh_read((const char *)data, size, &shell) != 0)
        return 0;
    for (size_t i = 0; i < shell.count; i++)
        check_command(&shell, i, size);
    strake_sh_dispose(&shell);
    return 0;
}
