/* strake login, strake logout: credentials of registries, kept where docker and its friends find them. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/prompt.h"
#include "util/json.h"
#include "util/secret.h"

#define USERNAME_MAX 255
#define PASSWORD_MAX ((size_t)64 * 1024)

static const struct cli_option login_options[] = {
    { "username", 'u', CLI_TEXT, "USER", "who logs in; asked for on a terminal" },
    { "password-stdin", 0, CLI_FLAG, NULL,
      "read the password from standard input; asked for on a terminal" },
    { "check", 0, CLI_TEXT, "REF", "store them only when they may push to REF, too" },
    { "password", 'p', CLI_TEXT, "…", "refused: everybody on the machine can read a command line" },
    { NULL, 0, CLI_FLAG, NULL, NULL },
};

struct login {
    struct cli *cli;
    char *host;       /* as references name it */
    char *repository; /* of --check, within the host; or "" */
    char *username;
    struct strake_buf password;
    struct strake_buf where;
    bool out; /* logging out */
};

static void dispose(struct login *login)
{
    strake_free(login->host);
    strake_free(login->repository);
    strake_free(login->username);
    strake_buf_dispose(&login->password);
    strake_buf_dispose(&login->where);
}

/* ---- the registry ---- */

/* "https://ghcr.io/v2/" is what people copy; the path of an image is something else. */
static int strip(struct cli *cli, const char *given, char **host)
{
    const char *begin = given;
    size_t len;

    if (strncasecmp(given, "http://", 7) == 0) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "%s: a registry is named without http://", given);
        strake_err_hint(&cli->err, "one that speaks plain http is declared in strake.lua: registry "
                                   "\"HOST\" { plain_http = true }");
        return STRAKE_EUSAGE;
    }
    if (strncasecmp(given, "https://", 8) == 0)
        begin += 8;
    len = strcspn(begin, "/");
    *host = strake_strndup(begin, len);
    if (!*host)
        return strake_fail_nomem(&cli->err);
    begin += len;
    if (strcmp(begin, "") == 0 || strcmp(begin, "/") == 0 || strncmp(begin, "/v1", 3) == 0 ||
        strncmp(begin, "/v2", 3) == 0)
        return 0;
    strake_fail(&cli->err, STRAKE_EUSAGE,
                "%s: credentials are for a registry, not for a path in it", given);
    strake_err_hint(&cli->err, "did you mean `strake %s %s`?", cli->command->name, *host);
    return STRAKE_EUSAGE;
}

/* One word that names a registry as references do. */
static int read_host(struct login *login)
{
    struct cli *cli = login->cli;
    struct strake_reference ref = { 0 };
    struct strake_err why = { 0 };
    char *given = NULL, *text = NULL;
    int rc;

    if (cli->args.rest.count != 1) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    cli->args.rest.count ? "%s takes one registry"
                                         : "%s wants to know which registry",
                    cli->command->name);
        strake_err_hint(&cli->err, "for example `strake %s ghcr.io`; Docker Hub is docker.io",
                        cli->command->name);
        return STRAKE_EUSAGE;
    }
    rc = strip(cli, cli->args.rest.items[0], &given);
    if (rc == 0 && !(text = strake_asprintf("%s/login", given)))
        rc = strake_fail_nomem(&cli->err);
    if (rc == 0)
        rc = strake_reference_parse(text, &ref, &why);
    if (rc == 0 && ref.store != STRAKE_STORE_REGISTRY)
        rc = STRAKE_EUSAGE;
    if (rc == 0 && strcasecmp(ref.host, given) != 0 && strcmp(ref.host, "docker.io") == 0 &&
        strcmp(given, "index.docker.io") != 0 && strcmp(given, "registry-1.docker.io") != 0)
        rc = STRAKE_EUSAGE;
    if (rc == 0 && !(login->host = strake_strdup(ref.host)))
        rc = strake_fail_nomem(&cli->err);
    if (rc < 0 && cli->err.code == 0) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "'%s' does not name a registry", given ? given : "");
        strake_err_hint(&cli->err,
                        "a registry is a name with a dot in it, or with a port: ghcr.io, "
                        "registry.lan:5000, localhost; Docker Hub is docker.io");
        rc = STRAKE_EUSAGE;
    }
    strake_err_dispose(&why);
    strake_reference_dispose(&ref);
    strake_free(given);
    strake_free(text);
    return rc;
}

/* --check names a repository of this registry. */
static int read_check(struct login *login)
{
    struct cli *cli = login->cli;
    const char *check = cli_text(&cli->args, "check");
    struct strake_reference ref = { 0 };
    int rc = check ? strake_reference_parse(check, &ref, &cli->err) : 0;

    if (rc == 0 && check &&
        (ref.store != STRAKE_STORE_REGISTRY || strcmp(ref.host, login->host) != 0)) {
        rc = strake_fail(&cli->err, STRAKE_EUSAGE, "--check %s is not in %s", check, login->host);
        strake_err_hint(&cli->err, "name an image of the registry to log in to: %s/…", login->host);
    }
    if (rc == 0 && !(login->repository = strake_strdup(check ? ref.repository : "")))
        rc = strake_fail_nomem(&cli->err);
    strake_reference_dispose(&ref);
    return rc;
}

/* ---- who, and with what ---- */

static int check_username(struct cli *cli, const char *username)
{
    if (strlen(username) > USERNAME_MAX)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "a username of %zu bytes is too long",
                           strlen(username));
    if (strchr(username, ':')) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "the username has a ':' in it");
        strake_err_hint(&cli->err, "what stands behind it would be taken for the password's begin; "
                                   "give the name alone, the password is asked for");
        return STRAKE_EUSAGE;
    }
    for (const char *c = username; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return strake_fail(&cli->err, STRAKE_EUSAGE,
                               "the username has a control character in it");
    }
    /* What docker's helpers call an identity token. */
    if (!*username || strcmp(username, "<token>") == 0)
        return strake_fail(&cli->err, STRAKE_EUSAGE,
                           *username ? "'<token>' is not a username" : "the username is empty");
    return 0;
}

static int read_username(struct login *login)
{
    struct cli *cli = login->cli;
    const char *given = cli_text(&cli->args, "username");
    struct strake_buf typed = STRAKE_BUF(USERNAME_MAX);
    int rc = 0;

    if (!given && (cli_flag(&cli->args, "password-stdin") || !cli_prompt_possible())) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "who logs in to %s?", login->host);
        strake_err_hint(&cli->err, "-u USER");
        return STRAKE_EUSAGE;
    }
    if (!given)
        rc = cli_prompt("Username: ", true, &typed, &cli->err);
    if (rc == 0)
        rc = check_username(cli, given ? given : strake_buf_text(&typed));
    if (rc == 0 && !(login->username = strake_strdup(given ? given : strake_buf_text(&typed))))
        rc = strake_fail_nomem(&cli->err);
    strake_buf_dispose(&typed);
    return rc;
}

static int slurp(struct login *login)
{
    struct cli *cli = login->cli;
    char chunk[4096];
    ssize_t got = 0;
    int rc = 0;

    while (rc == 0 && ((got = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0 ||
                       (got < 0 && errno == EINTR && !strake_job_cancelled(cli->session.job)))) {
        if (got > 0)
            rc = strake_buf_append(&login->password, chunk, (size_t)got);
    }
    explicit_bzero(chunk, sizeof(chunk));
    if (rc == STRAKE_ETOOBIG)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "a password is not longer than %zu KiB",
                           PASSWORD_MAX / 1024);
    if (rc < 0)
        return strake_fail_nomem(&cli->err);
    return got < 0 ? strake_fail_errno(&cli->err, STRAKE_EIO, "standard input cannot be read") : 0;
}

/* One line's end is the writer's (echo), not the password's; a JSON key has more lines than one. */
static void drop_line_end(struct strake_buf *text)
{
    if (text->len > 0 && text->data[text->len - 1] == '\n')
        text->data[--text->len] = '\0';
    if (text->len > 0 && text->data[text->len - 1] == '\r')
        text->data[--text->len] = '\0';
}

static int read_password(struct login *login)
{
    struct cli *cli = login->cli;
    const bool given = cli_flag(&cli->args, "password-stdin");
    int rc;

    login->password = (struct strake_buf){ .max = PASSWORD_MAX, .secret = true };
    if (given && isatty(STDIN_FILENO) == 1) {
        strake_fail(&cli->err, STRAKE_EUSAGE,
                    "--password-stdin: standard input is a terminal, where it could be seen");
        strake_err_hint(&cli->err, "leave it out: the password is asked for without showing it");
        return STRAKE_EUSAGE;
    }
    if (!given && !cli_prompt_possible()) {
        strake_fail(&cli->err, STRAKE_EUSAGE, "there is no terminal to ask for a password on");
        strake_err_hint(&cli->err,
                        "give it on standard input: strake login -u %s --password-stdin %s",
                        login->username, login->host);
        return STRAKE_EUSAGE;
    }
    rc = given ? slurp(login) : cli_prompt("Password: ", false, &login->password, &cli->err);
    if (rc < 0)
        return rc;
    drop_line_end(&login->password);
    if (login->password.len == 0)
        return strake_fail(&cli->err, STRAKE_EUSAGE, "the password is empty");
    if (memchr(login->password.data, '\0', login->password.len))
        return strake_fail(&cli->err, STRAKE_EUSAGE, "the password has a NUL byte in it");
    strake_secret_mark(login->password.data, login->password.len);
    return 0;
}

static int refuse_password(struct cli *cli)
{
    if (!cli_text(&cli->args, "password"))
        return 0;
    strake_fail(
        &cli->err, STRAKE_EUSAGE,
        "a password on the command line can be read by everybody on this machine, and stays in "
        "the shell's history");
    strake_err_hint(&cli->err, "change it where it was shown already; then be asked for it, or: "
                               "strake login -u USER --password-stdin HOST < FILE");
    return STRAKE_EUSAGE;
}

/* ---- doing it ---- */

static int work(void *ctx, struct strake_job *job, struct strake_err *err)
{
    struct login *login = ctx;
    struct strake_reference ref = { 0 };
    struct strake_place_in_store place = { 0 };
    char *text = strake_asprintf("%s/login", login->host);
    int rc = text ? strake_stores_open(login->cli->session.stores, text, &ref, &place, err)
                  : strake_fail_nomem(err);

    if (rc == 0)
        rc = login->out
                 ? strake_registry_logout(place.instance, job, &login->where, err)
                 : strake_registry_login(place.instance, job, login->username, &login->password,
                                         login->repository, &login->where, err);
    if (rc < 0 && !login->out && rc != STRAKE_ENOMEM)
        strake_err_prefix(err, "nothing was stored: ");
    strake_place_in_store_dispose(&place);
    strake_reference_dispose(&ref);
    strake_free(text);
    return rc;
}

static int print_login(struct login *login)
{
    struct cli *cli = login->cli;
    const char *where = strake_buf_text(&login->where);
    json_t *doc;

    if (!cli->json) {
        cli_printf("%s is logged in to %s%s%s\nstored: %s\n", login->username, login->host,
                   *login->repository ? ", and may push to " : "", login->repository, where);
        return cli_finish_stdout(cli);
    }
    doc = json_object();
    if (!doc || strake_json_set_str(doc, "schema", "strake.login/1") < 0 ||
        strake_json_set_str(doc, "host", login->host) < 0 ||
        strake_json_set_str(doc, "username", login->username) < 0 ||
        strake_json_set_str(doc, "stored", where) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    return cli_print_json(cli, doc);
}

/* The places, a line each, as a list. */
static json_t *places(const struct strake_buf *where)
{
    json_t *list = json_array();
    const char *at = strake_buf_text(where);

    while (list && *at) {
        const size_t len = strcspn(at, "\n");
        if (json_array_append_new(list, json_stringn_nocheck(at, len)) < 0) {
            json_decref(list);
            return NULL;
        }
        at += len + (at[len] == '\n');
    }
    return list;
}

static int print_logout(struct login *login)
{
    struct cli *cli = login->cli;
    const char *where = strake_buf_text(&login->where);
    json_t *doc;

    if (!cli->json) {
        if (*where)
            cli_printf("logged out of %s\nremoved from: %s\n", login->host, where);
        else
            cli_printf("there are no credentials for %s\n", login->host);
        return cli_finish_stdout(cli);
    }
    doc = json_object();
    if (!doc || strake_json_set_str(doc, "schema", "strake.logout/1") < 0 ||
        strake_json_set_str(doc, "host", login->host) < 0 ||
        strake_json_set_str(doc, "status", *where ? "done" : "unchanged") < 0 ||
        strake_json_set(doc, "removed", places(&login->where)) < 0) {
        json_decref(doc);
        doc = NULL;
    }
    return cli_print_json(cli, doc);
}

static int run_login(struct cli *cli)
{
    struct login login = { .cli = cli };
    int rc = refuse_password(cli);

    if (rc == 0)
        rc = read_host(&login);
    if (rc == 0)
        rc = read_check(&login);
    /* A broken strake.lua is told before somebody types a password for nothing. */
    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT);
    if (rc == 0)
        rc = read_username(&login);
    if (rc == 0)
        rc = read_password(&login);
    if (rc == 0)
        rc = cli_await(cli, work, &login);
    if (rc == 0)
        rc = print_login(&login);
    dispose(&login);
    return rc;
}

static int run_logout(struct cli *cli)
{
    struct login login = { .cli = cli, .out = true };
    int rc = read_host(&login);

    if (rc == 0)
        rc = cli_open(cli, CLI_NEED_PROJECT);
    if (rc == 0)
        rc = cli_await(cli, work, &login);
    if (rc == 0)
        rc = print_logout(&login);
    dispose(&login);
    return rc;
}

const struct cli_command cli_login = {
    .name = "login",
    .summary = "check a registry's credentials and keep them",
    .usage = "[-u USER] [--password-stdin] [--check REF] HOST",
    .help =
        "Nothing is stored that the registry does not take. They are kept where docker keeps "
        "them:\n"
        "in the credential helper that its config.json names, else in that file, for its owner\n"
        "alone. `--check ghcr.io/o/app` begins an upload there and takes it back, and says what a\n"
        "token of GitHub lacks. For example: strake login -u me --password-stdin ghcr.io < token",
    .options = login_options,
    .http = true,
    .run = run_login,
};

const struct cli_command cli_logout = {
    .name = "logout",
    .summary = "forget a registry's credentials",
    .usage = "HOST",
    .help = "They go from the credential helper and from docker's config.json; other places that "
            "still\n"
            "have some are named.",
    .run = run_logout,
};
