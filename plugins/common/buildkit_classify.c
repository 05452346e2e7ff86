/* Making sense of a client's last words. The rules look at how a message begins, not at what it
 * holds somewhere: a Dockerfile can put any text into the middle of one. */
#include "common/buildkit_classify.h"
#include "common/buildkit_cache.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strake/plugin.h"

#define TEXT_MAX 4096     /* of an error that is looked at */
#define SHOWN_COMMAND 120 /* of an instruction in a message */

/* One failure being looked at. */
struct look {
    char text[TEXT_MAX]; /* the error without what says nothing */
    const char *step;
    struct plug_failure *out;
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* What stands before `mark` in `text`, into `part`. False: `mark` is not there. */
static bool before(const char *text, const char *mark, char *part, size_t size)
{
    const char *end = strstr(text, mark);
    if (end == NULL)
        return false;
    snprintf(part, size, "%.*s", (int)(end - text), text);
    return true;
}

/* ---- finding the error ----------------------------------------------------------------------- */

static size_t line_length(const char *line)
{
    return strcspn(line, "\n");
}

static const char *next_line(const char *line)
{
    size_t len = line_length(line);
    return line[len] == '\n' ? line + len + 1 : NULL;
}

/* "NAME:LINE" alone on its line. */
static bool is_place(const char *line, size_t len, struct plug_failure *out)
{
    const char *colon = memrchr(line, ':', len);
    if (colon == NULL || colon == line || (size_t)(colon - line) >= sizeof(out->file))
        return false;
    size_t count = len - (size_t)(colon + 1 - line);
    if (count == 0 || count > 8 || strspn(colon + 1, "0123456789") != count)
        return false;
    out->line = atoi(colon + 1);
    snprintf(out->file, sizeof(out->file), "%.*s", (int)(colon - line), line);
    return out->line > 0;
}

/* The last line that begins with "error: " (buildctl) or "ERROR: " (buildx), or NULL; the last place before it goes into `out`, and
 * what is told from there on is the detail. */
static const char *find_error(const char *output, struct plug_failure *out)
{
    static const char rule[] = "--------------------\n";
    const char *error = NULL;
    const char *excerpt = NULL;
    struct plug_failure place = { 0 };
    for (const char *line = output; line != NULL && *line != '\0'; line = next_line(line)) {
        const char *next = next_line(line);
        if (begins(line, "error: ") || begins(line, "ERROR: ")) {
            error = line;
            out->line = place.line;
            memcpy(out->file, place.file, sizeof(out->file));
            out->detail = excerpt != NULL ? excerpt : error;
        } else if (next != NULL && begins(next, rule) &&
                   is_place(line, line_length(line), &place)) {
            excerpt = line;
        }
    }
    return error;
}

/* Take away what wraps an error and says nothing. */
static const char *unwrap(const char *text)
{
    static const char *const wraps[] = {
        "error: ",
        "ERROR: ",
        "failed to build: ",
        "failed to solve: ",
        "rpc error: ",
        "code = Unknown desc = ",
        "listing workers for Build: ",
    };
    for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++) {
        if (begins(text, wraps[i])) {
            text += strlen(wraps[i]);
            i = (size_t)-1; /* again from the first */
        }
    }
    return text;
}

/* ---- RUN ------------------------------------------------------------------------------------- */

/* Undo Go's quoting of one string, white space made single blanks, only the first line of several.
 * @return what follows the closing quote, or NULL. */
static const char *unquote(const char *text, char *out, size_t size)
{
    size_t n = 0;
    bool more = false;
    for (; *text != '"'; text++) {
        char c = *text;
        if (c == '\0')
            return NULL;
        if (c == '\\' && text[1] != '\0')
            c = *++text == 'n' ? '\n' : *text == 't' ? ' ' : *text;
        bool again = c == ' ' && n > 0 && out[n - 1] == ' ';
        more = more || (c == '\n' && n > 0);
        if (!more && !again && c != '\n' && n + sizeof("…") < size)
            out[n++] = c;
    }
    out[n] = '\0';
    if (more && n > 0)
        memcpy(out + n, "…", sizeof("…"));
    return text + 1;
}

static bool of_run(struct look *look)
{
    static const char quote[] = "process \"";
    static const char shell[] = "/bin/sh -c ";
    static const char failed[] = " did not complete successfully: ";
    static const char exited[] = "exit code: ";
    char command[TEXT_MAX];
    if (!begins(look->text, quote))
        return false;
    const char *rest = unquote(look->text + strlen(quote), command, sizeof(command));
    if (rest == NULL || !begins(rest, failed))
        return false;
    rest += strlen(failed);
    char shown[SHOWN_COMMAND];
    const char *inner = begins(command, shell) ? command + strlen(shell) : command;
    plug_shorten(shown, sizeof(shown), inner, strlen(inner));
    if (!begins(rest, exited))
        return plug_failure_tell(look->out, STRAKE_EBUILD, "", "RUN %s could not be run: %s", shown,
                                 rest);
    int exit_code = atoi(rest + strlen(exited));
    return plug_failure_tell(look->out, STRAKE_EBUILD, plug_exit_hint(exit_code),
                             "RUN %s failed with exit code %d", shown, exit_code);
}

/* ---- the Dockerfile -------------------------------------------------------------------------- */

static bool of_dockerfile(struct look *look)
{
    static const char parse[] = "dockerfile parse error on line ";
    static const char read[] = "failed to read dockerfile: open ";
    /* What the frontend says of a Dockerfile without that prefix. */
    static const char *const wrong[] = {
        "unterminated heredoc",
        "the Dockerfile cannot be empty",
        "base name (",
        "no build stage in current context",
        "circular dependency detected",
        "file with no instructions",
        "failed to parse stage name",
    };
    const char *text = look->text;
    char name[256];
    if (begins(text, parse)) {
        const char *colon = strchr(text + strlen(parse), ':');
        if (look->out->line == 0)
            look->out->line = atoi(text + strlen(parse));
        return plug_failure_tell(look->out, STRAKE_EDOCKERFILE,
                                 "correct the line; `strake check` looks at the whole file",
                                 "the Dockerfile is wrong: %s", colon != NULL ? colon + 2 : text);
    }
    if (begins(text, read) && before(text + strlen(read), ": ", name, sizeof(name))) {
        return plug_failure_tell(look->out, STRAKE_EDOCKERFILE,
                                 "give its path with -f, or `dockerfile` in strake.lua",
                                 "the Dockerfile is missing: %s", name);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (begins(text, wrong[i])) {
            return plug_failure_tell(look->out, STRAKE_EDOCKERFILE,
                                     "`strake check` looks at the whole file",
                                     "the Dockerfile is wrong: %s", text);
        }
    }
    if (begins(text, "target stage ")) {
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "the name after AS in a FROM line is a stage's name", "%s", text);
    }
    return false;
}

/* ---- git ------------------------------------------------------------------------------------- */

static const char *without(const char *text, const char *prefix)
{
    return begins(text, prefix) ? text + strlen(prefix) : text;
}

/* "fatal: WHY" of git's own words, without what stands around it. */
static void git_reason(const char *text, char *reason, size_t size)
{
    static const char fatal[] = "fatal: ";
    const char *at = strstr(text, fatal);
    const char *from = at != NULL ? at + strlen(fatal) : text;
    const char *end = strstr(from, ": exit status ");
    size_t len = end != NULL ? (size_t)(end - from) : strlen(from);
    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\n'))
        len--;
    plug_shorten(reason, size, from, len);
}

/* A context that is a repository; the builder fetches it. */
/* `source "IDENTIFIER" denied by policy`: all that was asked about has a rule of its own. */
static bool of_policy(struct look *look)
{
    static const char source[] = "source \"";
    const char *denied = strstr(look->text, "\" denied by policy");
    const char *from = strstr(look->text, source);
    char name[512];
    if (denied == NULL || from == NULL || from + strlen(source) > denied)
        return false;
    from += strlen(source);
    plug_shorten(name, sizeof(name), from, (size_t)(denied - from));
    return plug_failure_tell(
        look->out, STRAKE_EPOLICY,
        "what the build fetches has to stand in the Dockerfile as it is: not in an "
        "argument of a stage, or in an image's ONBUILD",
        "%s is denied: no policy at `source` was asked about it", name);
}

static bool of_git(struct look *look)
{
    static const char ref[] = "repository does not contain ref ";
    static const char folder[] = "invalid subdir ";
    static const char *const remotes[] = { "error fetching default branch for repository ",
                                           "failed to fetch remote " };
    const char *text = without(look->text, "failed to read dockerfile: ");
    char name[512], reason[512];
    text = without(text, "failed to load cache key: ");
    if (begins(text, ref) && before(text + strlen(ref), ", output", name, sizeof(name)))
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "URL#BRANCH names one; is it pushed there?",
                                 "the repository has no branch, tag or commit %s", name);
    if (begins(text, folder) && before(text + strlen(folder), ": ", name, sizeof(name)))
        return plug_failure_tell(look->out, STRAKE_EBUILD, "URL#BRANCH:FOLDER names one",
                                 "the repository has no folder %s on that branch", name);
    for (size_t i = 0; i < sizeof(remotes) / sizeof(remotes[0]); i++) {
        if (begins(text, remotes[i]) &&
            before(text + strlen(remotes[i]), ": ", name, sizeof(name))) {
            git_reason(text, reason, sizeof(reason));
            return plug_failure_tell(
                look->out, STRAKE_EBUILD,
                "the builder fetches it, not this machine: can it reach it, and may it read it?",
                "the repository %s cannot be read: %s", name, reason);
        }
    }
    if (begins(text, "exec: \"git\": ") || has(text, ": exec: \"git\": executable file not found"))
        return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                 "install git on the PATH of buildkitd, or give a folder",
                                 "the builder has no git, and the context is a repository");
    return false;
}

/* ---- registries ------------------------------------------------------------------------------ */

static bool is_denial(const char *text)
{
    return has(text, "401 Unauthorized") || has(text, "403 Forbidden") ||
           begins(text, "denied: ") || has(text, ": denied: ") || has(text, "access denied") ||
           has(text, "is denied") || has(text, "authorization failed") ||
           has(text, "unauthorized: ");
}

/* The end of a long chain "a: b: c" that says what happened in the end. */
const char *buildkit_last_reason(const char *text)
{
    static const char status[] = "unexpected status from ";
    static const char dial[] = "dial tcp ";
    const char *found = strstr(text, status);
    if (found != NULL)
        return found;
    found = strstr(text, dial);
    return found != NULL ? found : text;
}

static bool of_token(struct look *look)
{
    static const char *const ways[] = { "failed to fetch anonymous token: ",
                                        "failed to fetch oauth token: ", "failed to authorize: " };
    const char *text = look->text;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const char *at = strstr(text, ways[i]);
        if (at == NULL || (at != text && !begins(text, "failed to push ") &&
                           !has(text, "failed to resolve source metadata for ")))
            continue;
        const char *what =
            look->out->line > 0 ? "the base image may not be read" : "the registry gives no access";
        int code = is_denial(at) ? STRAKE_EAUTH : STRAKE_EREGISTRY;
        return plug_failure_tell(look->out, code, "are you logged in? `strake login HOST`",
                                 "%s: %s", what, buildkit_last_reason(at));
    }
    return false;
}

static bool of_push(struct look *look)
{
    static const char push[] = "failed to push ";
    char image[512];
    if (!begins(look->text, push) || !before(look->text + strlen(push), ": ", image, sizeof(image)))
        return false;
    const char *reason = look->text + strlen(push) + strlen(image) + 2;
    char login[sizeof(look->out->hint)];
    plug_login_hint(login, sizeof(login), "are you logged in, and may you push there?", image);
    if (is_denial(reason))
        return plug_failure_tell(look->out, STRAKE_EAUTH, login, "%s may not be pushed to: %s",
                                 image, buildkit_last_reason(reason));
    return plug_failure_tell(look->out, STRAKE_EREGISTRY,
                             "the builder pushes, not this machine: can it reach it?",
                             "the push to %s failed: %s", image, buildkit_last_reason(reason));
}

static bool of_base(struct look *look)
{
    static const char resolve[] = "failed to resolve source metadata for ";
    char image[512];
    const char *at = strstr(look->text, resolve);
    /* "IMAGE: failed to resolve …": nothing but a name stands before it. */
    if (at == NULL || (at != look->text && memchr(look->text, ' ', (size_t)(at - look->text - 1))))
        return false;
    at += strlen(resolve);
    if (!before(at, ": ", image, sizeof(image)))
        return false;
    const char *reason = at + strlen(image) + 2;
    char login[sizeof(look->out->hint)];
    plug_login_hint(login, sizeof(login), "are you logged in?", image);
    size_t len = strlen(reason);
    bool missing =
        len >= strlen("not found") && strcmp(reason + len - strlen("not found"), "not found") == 0;
    if (missing)
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "check the name and the tag in FROM or COPY --from",
                                 "the base image %s does not exist", image);
    if (has(reason, "repository does not exist or may require authorization"))
        return plug_failure_tell(look->out, STRAKE_EBUILD, login,
                                 "the base image %s does not exist, or may not be read", image);
    if (is_denial(reason))
        return plug_failure_tell(look->out, STRAKE_EAUTH, login,
                                 "the base image %s may not be read: %s", image,
                                 buildkit_last_reason(reason));
    return plug_failure_tell(
        look->out, STRAKE_EREGISTRY, "the builder fetches it, not this machine: can it reach it?",
        "the base image %s cannot be fetched: %s", image, buildkit_last_reason(reason));
}

static bool of_cache(struct look *look)
{
    if (!buildkit_is_cache_export(look->step))
        return false;
    int code = is_denial(look->text) ? STRAKE_EAUTH : STRAKE_EREGISTRY;
    return plug_failure_tell(look->out, code,
                             "without `required = true` in its table, or with ignore-error=true in "
                             "a record, the build succeeds all the same",
                             "the build cache could not be written: %s",
                             buildkit_last_reason(look->text));
}

/* ---- files and secrets ----------------------------------------------------------------------- */

/* "[stage 2/4] COPY a b" without the brackets. */
static const char *instruction_of(const char *step)
{
    const char *end = step[0] == '[' ? strstr(step, "] ") : NULL;
    return end != NULL ? end + 2 : step;
}

static bool of_files(struct look *look)
{
    static const char checksum[] = "failed to calculate checksum of ref ";
    const char *at = strstr(look->text, checksum);
    if (at == NULL || (at != look->text && !begins(look->text, "failed to compute cache key: ")))
        return false;
    const char *quote = strstr(at, ": \"");
    const char *instruction = instruction_of(look->step);
    bool from_stage = has(instruction, "--from=");
    char path[512] = "";
    const char *end = quote != NULL ? strstr(quote + 3, "\": ") : NULL;
    if (end == NULL)
        return false;
    snprintf(path, sizeof(path), "%.*s", (int)(end - quote - 3), quote + 3);
    char shown[SHOWN_COMMAND];
    plug_shorten(shown, sizeof(shown), instruction, strlen(instruction));
    return plug_failure_tell(
        look->out, STRAKE_EBUILD,
        from_stage ? "does that stage make it, under that path?"
                   : "is it in the context's folder, and not hidden by .dockerignore?",
        "%s%s%s is not in the %s", shown, shown[0] != '\0' ? ": " : "", path,
        from_stage ? "stage or image that it is copied from" : "build context");
}

static bool of_secret(struct look *look)
{
    static const char secret[] = "secret ";
    char id[256];
    if (!begins(look->text, secret) ||
        !before(look->text + strlen(secret), ": not found", id, sizeof(id)))
        return false;
    return plug_failure_tell(look->out, STRAKE_EBUILD,
                             "give it with --secret id=…,src=FILE, or `secrets` in strake.lua",
                             "the build asks for the secret %s, which was not given", id);
}

static bool of_local(struct look *look)
{
    if (!begins(look->text, "invalid local: "))
        return false;
    const char *at = strstr(look->text, "lstat ");
    return plug_failure_tell(look->out, STRAKE_EBUILD, "give the folder that holds what COPY names",
                             "the build context cannot be read: %s",
                             at != NULL ? at + strlen("lstat ") : look->text);
}

/* ---- the builder ----------------------------------------------------------------------------- */

/* What gRPC says at the end, without its quotes. */
static void put_reason(char *to, size_t size, const char *text)
{
    static const char *const marks[] = { "desc = ", "Unavailable: " };
    const char *reason = text;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && reason == text; i++) {
        const char *at = strstr(text, marks[i]);
        reason = at != NULL ? at + strlen(marks[i]) : text;
    }
    const char *start = reason + (reason[0] == '"');
    plug_shorten(to, size, start, strlen(start));
    size_t len = strlen(to);
    if (reason[0] == '"' && len > 0 && to[len - 1] == '"')
        to[len - 1] = '\0';
}

/* What to do about a daemon that was not talked to, by what the client says of TLS. */
static const char *unreached_hint(const char *text)
{
    static const struct {
        const char *words, *hint;
    } known[] = {
        { "has expired or is not yet valid",
          "have its certificate renewed there; is this machine's clock right? `strake doctor` says "
          "more" },
        { "signed by unknown authority",
          "let the option ca name the file of the authority that signed its certificate; `strake "
          "doctor` says which that is" },
        { "certificate is valid for ", "let the address name what the certificate is for, or say "
                                       "so with the option server_name" },
        { "cannot validate certificate for ", "let the address name what the certificate is for, "
                                              "or say so with the option server_name" },
        { "certificate required", "give the builder's options cert and key: it wants a certificate "
                                  "of its clients" },
        { "remote error: tls: ", "the builder does not take our certificate: check the options "
                                 "cert and key, and which authority it trusts" },
        /* A daemon that wants a certificate hangs up on who brings none. */
        { "tls: ", "check the builder's options ca, cert, key and server_name" },
        { "certificate", "check the builder's options ca, cert, key and server_name" },
        { "handshake", "check the builder's options ca, cert, key and server_name" },
        { "preface: EOF", "check the builder's options ca, cert, key and server_name" },
        { "broken pipe", "check the builder's options ca, cert, key and server_name" },
        { "connection reset", "check the builder's options ca, cert, key and server_name" },
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (has(text, known[i].words))
            return known[i].hint;
    }
    return "is buildkitd running there?";
}

/* The daemon's store of layers: a crash may leave it halves that stand in the way for a while. */
static bool of_store(struct look *look)
{
    static const char *const stores[] = {
        "failed to prepare ",
        "failed to commit ",
        "failed to create lease",
    };
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        if (begins(look->text, stores[i]) && !has(look->text, "no space left on device"))
            return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                     "did buildkitd end in the middle of something? `buildctl "
                                     "prune` there clears what is left",
                                     "the builder's own store failed: %s", look->text);
    }
    return false;
}

static bool of_builder(struct look *look)
{
    static const char *const lost[] = {
        "failed to receive status: ", "failed to get status: ",    "Unavailable: ",
        "code = Unavailable",         "error reading from server",
    };
    static const char *const unreached[] = {
        "failed to list ",
        "failed to call ",
    };
    static const char *const options[] = {
        "could not read ca certificate",
        "could not read certificate",
        "failed to append ca",
        "could not load client",
    };
    const char *text = look->text;
    char desc[TEXT_MAX];
    put_reason(desc, sizeof(desc), text);
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        if (begins(text, lost[i])) {
            return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                     "does buildkitd still run there? its log says why it ended",
                                     "the builder was lost during the build: %s", desc);
        }
    }
    for (size_t i = 0; i < sizeof(unreached) / sizeof(unreached[0]); i++) {
        if (begins(text, unreached[i])) {
            return plug_failure_tell(look->out, STRAKE_EBUILDER, unreached_hint(text),
                                     "the builder cannot be used: %s", desc);
        }
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (begins(text, options[i])) {
            return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                     "check the builder's options ca, cert and key",
                                     "the builder cannot be used: %s", text);
        }
    }
    if (begins(text, "Canceled: ") || begins(text, "context canceled")) {
        return plug_failure_tell(look->out, STRAKE_EBUILDER, "its log says why",
                                 "the builder cancelled the build");
    }
    if (begins(text, "exporter \"")) {
        return plug_failure_tell(look->out, STRAKE_EUNSUPPORTED, "",
                                 "the builder does not know that output: %s", text);
    }
    return false;
}

/* ---- all together ---------------------------------------------------------------------------- */

/* Nothing that is known: the tool's own words, as they are. */
static void of_anything(struct look *look)
{
    bool theirs = look->out->line == 0 || begins(look->text, "failed to prepare ");
    if (has(look->text, "no space left on device") && theirs)
        plug_failure_tell(look->out, STRAKE_EBUILDER, "free some there: `buildctl prune`",
                          "the builder has no space left: %s", look->text);
    else
        plug_failure_tell(look->out, STRAKE_EBUILD, "", "the build failed: %s", look->text);
}

void buildkit_classify(const char *output, size_t len, const char *step,
                       const struct buildkit_client *client, struct plug_failure *out)
{
    static bool (*const rules[])(struct look * look) = {
        of_run,   of_policy, of_git,   of_dockerfile, of_push,    of_token, of_base,
        of_files, of_secret, of_local, of_store,      of_builder, of_cache,
    };
    *out = (struct plug_failure){ .detail = output };
    struct look look = { .step = step, .out = out };
    const char *error = find_error(output, out);
    out->detail_len = len - (size_t)(out->detail - output);
    if (error == NULL) {
        if (client->rule != NULL && client->rule(output, step, out))
            return;
        plug_failure_tell(out, STRAKE_EBUILDER, "", "%s failed and did not say why", client->name);
        return;
    }
    const char *text = unwrap(error);
    size_t text_len = strlen(text);
    while (text_len > 0 && (text[text_len - 1] == '\n' || text[text_len - 1] == ' '))
        text_len--;
    plug_shorten(look.text, sizeof(look.text), text, text_len);
    if (client->rule != NULL && client->rule(look.text, step, out))
        return;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i](&look))
            return;
    }
    of_anything(&look);
}
