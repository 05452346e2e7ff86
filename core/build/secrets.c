/* Secrets of targets: there, and known to be redacted, before anything runs. */
#include "build/secrets.h"

#include "util/fs.h"
#include "util/secret.h"

#define FILE_MAX ((size_t)1024 * 1024) /* as secrets with a name; BuildKit takes half of it */

static int check(const struct strake_plan_secret *secret, struct strake_err *err)
{
    struct strake_buf value = { .max = FILE_MAX, .secret = true };
    const char *text;
    size_t len;
    int rc;

    if (secret->name) {
        rc = strake_secret_get(secret->name, &value, err);
    } else {
        rc = strake_fs_read(secret->file, FILE_MAX, &value, err);
        text = strake_buf_text(&value);
        len = value.len > 0 && text[value.len - 1] == '\n' ? value.len - 1 : value.len;
        if (rc == 0)
            strake_secret_mark(text, len);
    }
    strake_buf_dispose(&value);
    return rc;
}

int strake_secrets_check(const struct strake_plan_target *target, struct strake_err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < target->secret_count; i++) {
        rc = check(&target->secrets[i], err);
        if (rc == 0 || rc == STRAKE_ENOMEM)
            continue;
        if (!target->secrets[i].name)
            strake_err_prefix(err, "the secret %s is not there: ", target->secrets[i].id);
        strake_err_prefix(err, "target %s: ", target->name);
        if (!err->hint)
            strake_err_hint(err,
                            "make that file, or name another one: secrets = { %s = "
                            "secret.file \"PATH\" }, --secret id=%s,src=PATH",
                            target->secrets[i].id, target->secrets[i].id);
        strake_err_place(err, target->file, target->line);
        rc = strake_err_recode(err, STRAKE_ECONFIG);
    }
    return rc;
}
