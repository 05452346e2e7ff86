/* Results on stdout, and how a command's end becomes an exit code. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"
#include "util/log.h"
#include "util/secret.h"
#include "util/text.h"

int cli_print_json(struct cli *cli, json_t *document)
{
    struct strake_buf text = { 0 };
    int rc = document ? strake_json_dump(document, &text) : STRAKE_ENOMEM;

    json_decref(document);
    if (rc == 0)
        rc = strake_secret_redact(&text);
    if (rc == 0)
        rc = strake_buf_putc(&text, '\n');
    if (rc < 0)
        rc = strake_fail_nomem(&cli->err);
    else
        fwrite(strake_buf_text(&text), 1, text.len, stdout);
    strake_buf_dispose(&text);
    if (rc == 0)
        cli->told = true;
    return rc < 0 ? rc : cli_finish_stdout(cli);
}

int cli_put(struct strake_buf *text)
{
    int rc = strake_secret_redact(text);

    if (rc == 0)
        fwrite(strake_buf_text(text), 1, text->len, stdout);
    strake_buf_clear(text);
    return rc;
}

int cli_put_members(struct strake_buf *text, json_t *object, const char *last)
{
    const char *key;
    json_t *value;
    int rc = strake_buf_putc(text, '{');

    json_object_foreach(object, key, value) {
        if (rc == 0 && strcmp(key, last) != 0) {
            rc = strake_buf_printf(text, "\"%s\":", key);
            rc = rc == 0 ? strake_json_dump(value, text) : rc;
            rc = rc == 0 ? strake_buf_putc(text, ',') : rc;
        }
    }
    return rc < 0 ? rc : strake_buf_printf(text, "\"%s\":[", last);
}

void cli_printf(const char *fmt, ...)
{
    struct strake_buf text = { .secret = true };
    va_list args;
    int rc;

    va_start(args, fmt);
    rc = strake_buf_vprintf(&text, fmt, args);
    va_end(args);
    if (rc == 0)
        rc = strake_secret_redact(&text);
    for (size_t i = 0; rc == 0 && i < text.len;) {
        const size_t control = strake_text_control(text.data + i, text.len - i);
        if (control && text.data[i] != '\n' && text.data[i] != '\t')
            memset(text.data + i, ' ', control);
        i += control ? control : 1;
    }
    if (rc == 0)
        fwrite(strake_buf_text(&text), 1, text.len, stdout);
    else
        strake_log(STRAKE_LOG_ERROR, "a line of the result was lost: out of memory");
    strake_buf_dispose(&text);
}

int cli_mend_list(json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_object(value) || json_object_size(value) > 0)
        return 0;
    return strake_json_set(object, key, json_array());
}

/* A build and what leads to one tells a Dockerfile's fault as a failed build (design §5, exit
 * 5). */
static int exit_of(const struct cli *cli, int code)
{
    if (cli->exit)
        return cli->exit;
    if (code == STRAKE_EDOCKERFILE)
        return strake_code_exit(STRAKE_EBUILD);
    return strake_code_exit(code);
}

int cli_exit_code(const struct cli *cli)
{
    return exit_of(cli, cli->err.code);
}

const char *cli_status(int code)
{
    return code == 0                   ? "done"
           : code == STRAKE_ECANCELLED ? "cancelled"
           : code == STRAKE_EPOLICY    ? "denied"
                                       : "failed";
}

void cli_print_error(struct cli *cli)
{
    json_t *error = strake_err_json(&cli->err), *document = json_object();

    if (!error || !document || strake_json_set_int(error, "exit", cli_exit_code(cli)) < 0 ||
        strake_json_set_str(document, "schema", "strake.error/1") < 0 ||
        json_object_set(document, "error", error) < 0) {
        json_decref(document);
        document = NULL;
    }
    json_decref(error);
    cli_print_json(cli, document);
}

int cli_finish_stdout(struct cli *cli)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (cli->err.code) /* the first failure is the one to tell */
        return cli->err.code;
    return strake_fail_errno(&cli->err, STRAKE_EINTERNAL, "stdout cannot be written");
}
