/* Making sense of buildah's last words. */
#include "buildah/classify.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "strake/plugin.h"

#define TEXT_MAX 4096     /* of an error that is looked at */
#define SHOWN_COMMAND 120 /* of an instruction in a message */

/* One failure being looked at: `Error: building at STEP "INSTRUCTION": REASON`. */
struct look {
    char reason[TEXT_MAX];
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

/* ---- instructions ---------------------------------------------------------------------------- */

/* Of an instruction that it does not know buildah shows the words as they stand in the file. */
static void take_original(struct look *look)
{
    static const char original[] = "Original:\"";
    const char *at = strstr(look->reason, original);
    const char *end = at != NULL ? strstr(at, "\"}") : NULL;
    if (end == NULL)
        return;
    at += strlen(original);
    plug_shorten(look->out->instruction, sizeof(look->out->instruction), at, (size_t)(end - at));
}

static bool of_instruction(struct look *look)
{
    static const char unknown[] = "Build error: Unknown instruction: ";
    static const char *const syntax[] = {
        "COPY requires", "ADD requires",    "RUN only supports", "ENV requires",   "LABEL requires",
        "USER requires", "EXPOSE requires", "WORKDIR requires",  "SHELL requires",
    };
    const char *reason = look->reason;
    const char *missing = strstr(reason, "copier: stat: ");
    char shown[SHOWN_COMMAND];
    int status;
    if (look->out->instruction[0] == '\0')
        return false;
    plug_shorten(shown, sizeof(shown), look->out->instruction, strlen(look->out->instruction));
    if (sscanf(reason, "exit status %d", &status) == 1 ||
        sscanf(reason, "while running runtime: exit status %d", &status) == 1)
        return plug_failure_tell(look->out, STRAKE_EBUILD, plug_exit_hint(status),
                                 "%s failed with exit code %d", shown, status);
    if (begins(reason, unknown)) {
        const char *name = reason + strlen(unknown);
        take_original(look);
        return plug_failure_tell(
            look->out, STRAKE_EDOCKERFILE, "`strake check` looks at the whole file",
            "the Dockerfile is wrong: unknown instruction: %.*s", (int)strcspn(name, " "), name);
    }
    for (size_t i = 0; i < sizeof(syntax) / sizeof(syntax[0]); i++) {
        if (begins(reason, syntax[i]))
            return plug_failure_tell(look->out, STRAKE_EDOCKERFILE,
                                     "`strake check` looks at the whole file",
                                     "the Dockerfile is wrong: %s", reason);
    }
    if (missing != NULL && begins(reason, "checking on sources under ")) {
        bool from_stage = has(look->out->instruction, "--from=");
        const char *path = missing + strlen("copier: stat: ");
        return plug_failure_tell(
            look->out, STRAKE_EBUILD,
            from_stage ? "does that stage make it, under that path?"
                       : "is it in the context's folder, and not hidden by .dockerignore?",
            "%s: %.*s is not in the %s", shown, (int)strcspn(path, ":"), path,
            from_stage ? "stage or image that it is copied from" : "build context");
    }
    if (has(reason, "secret required but no secret with id "))
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "give it with --secret id=…,src=FILE, or `secrets` in strake.lua",
                                 "%s: %s", shown, strstr(reason, "secret required"));
    return plug_failure_tell(look->out, STRAKE_EBUILD, "", "%s failed: %s", shown, reason);
}

/* ---- images ---------------------------------------------------------------------------------- */

static bool of_base(struct look *look)
{
    static const char source[] = "initializing source docker://";
    const char *at = strstr(look->reason, source);
    if (at == NULL || (at != look->reason && !begins(look->reason, "creating build container: ")))
        return false;
    at += strlen(source);
    const char *end = strstr(at, ": ");
    if (end == NULL)
        return false;
    char image[512];
    plug_shorten(image, sizeof(image), at, (size_t)(end - at));
    const char *reason = end + 2;
    char login[sizeof(look->out->hint)];
    plug_login_hint(login, sizeof(login), "are you logged in?", image);
    if (has(reason, "manifest unknown") || has(reason, "name unknown"))
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "check the name and the tag in FROM or COPY --from",
                                 "the base image %s does not exist", image);
    if (has(reason, "unauthorized") || has(reason, "denied") || has(reason, "403 (Forbidden)"))
        return plug_failure_tell(look->out, STRAKE_EAUTH, login,
                                 "the base image %s may not be read: %s", image, reason);
    return plug_failure_tell(look->out, STRAKE_EREGISTRY, "can this machine reach that registry?",
                             "the base image %s cannot be fetched: %s", image, reason);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static bool of_dockerfile(struct look *look)
{
    static const char copy[] = "COPY --from=";
    static const char context[] = "evaluating symlinks in build context path: lstat ";
    const char *reason = look->reason;
    if (begins(reason, "no contents in "))
        return plug_failure_tell(look->out, STRAKE_EDOCKERFILE, "", "the Dockerfile is empty");
    if (has(reason, "no FROM statement found"))
        return plug_failure_tell(look->out, STRAKE_EDOCKERFILE,
                                 "does an ARG of a FROM line have no value?",
                                 "the Dockerfile has no FROM with a name");
    if (has(reason, "invalid reference format"))
        return plug_failure_tell(
            look->out, STRAKE_EDOCKERFILE, "a name has lower-case letters: HOST/REPOSITORY:TAG",
            "a FROM of the Dockerfile names no image that could exist: %s", reason);
    if (begins(reason, "stat ") && has(reason, ": no such file or directory"))
        return plug_failure_tell(
            look->out, STRAKE_EDOCKERFILE, "give its path with -f, or `dockerfile` in strake.lua",
            "the Dockerfile is missing: %.*s", (int)strcspn(reason + 5, ":"), reason + 5);
    if (begins(reason, context))
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "give the folder that holds what COPY names",
                                 "the build context cannot be read: %s", reason + strlen(context));
    if (begins(reason, "The target \"") && has(reason, "was not found in the provided"))
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "the name after AS in a FROM line is a stage's name", "%s",
                                 reason);
    if (begins(reason, copy) && has(reason, ": no stage or image found with that name")) {
        size_t len = strcspn(reason, ":");
        plug_shorten(look->out->instruction, sizeof(look->out->instruction), reason, len);
        return plug_failure_tell(look->out, STRAKE_EBUILD,
                                 "check the name against the stages before it",
                                 "%.*s: there is no such stage or image", (int)len, reason);
    }
    return false;
}

static bool of_machine(struct look *look)
{
    const char *reason = look->reason;
    if (has(reason, "no space left on device"))
        return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                 "free some: `buildah prune` removes what is not used",
                                 "buildah's storage is full: %s", reason);
    if (has(reason, "newuidmap") || has(reason, "user namespace") || has(reason, "/etc/subuid"))
        return plug_failure_tell(
            look->out, STRAKE_EBUILDER,
            "a build without root needs the package uidmap and your name in /etc/subuid "
            "and /etc/subgid",
            "buildah cannot work as this user: %s", reason);
    if (begins(reason, "creating build container: ") || has(reason, "overlay"))
        return plug_failure_tell(look->out, STRAKE_EBUILDER,
                                 "the builder's option storage_driver = \"vfs\" works everywhere",
                                 "buildah cannot work here: %s", reason);
    return false;
}

/* The last line that begins with "Error: ", or NULL. */
static const char *find_error(const char *output)
{
    const char *found = NULL;
    for (const char *line = output; line != NULL;) {
        if (begins(line, "Error: ") || begins(line, "error: "))
            found = line;
        const char *newline = strchr(line, '\n');
        line = newline != NULL ? newline + 1 : NULL;
    }
    return found;
}

/* Split `building at STEP "INSTRUCTION": REASON`; the instruction may hold quotes and colons, so
 * that the last `": ` before the known kinds of reason is looked for from the end. */
static void split(struct look *look)
{
    static const char at_step[] = "building at STEP \"";
    static const char *const reasons[] = {
        "\": exit status ",
        "\": while running runtime: ",
        "\": Build error: ",
        "\": checking on sources under ",
        "\": resolving mountpoints for ",
        "\": ",
    };
    if (!begins(look->reason, at_step))
        return;
    char *start = look->reason + strlen(at_step);
    char *cut = NULL;
    for (size_t i = 0; cut == NULL && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        for (char *at = strstr(start, reasons[i]); at != NULL; at = strstr(at + 1, reasons[i]))
            cut = at;
    }
    if (cut == NULL)
        return;
    plug_shorten(look->out->instruction, sizeof(look->out->instruction), start,
                 (size_t)(cut - start));
    memmove(look->reason, cut + 3, strlen(cut + 3) + 1);
}

void buildah_classify(const char *output, size_t len, struct plug_failure *out)
{
    static bool (*const rules[])(struct look * look) = { of_base, of_instruction, of_dockerfile,
                                                         of_machine };
    *out = (struct plug_failure){ .detail = output };
    struct look look = { .out = out };
    const char *error = find_error(output);
    out->detail = error != NULL ? error : output;
    out->detail_len = len - (size_t)(out->detail - output);
    if (error == NULL) {
        plug_failure_tell(out, STRAKE_EBUILDER, "", "buildah failed and did not say why");
        return;
    }
    error += strlen("Error: ");
    size_t error_len = strlen(error);
    while (error_len > 0 && error[error_len - 1] == '\n')
        error_len--;
    plug_shorten(look.reason, sizeof(look.reason), error, error_len);
    split(&look);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i](&look))
            return;
    }
    plug_failure_tell(out, STRAKE_EBUILD, "", "the build failed: %s", look.reason);
}

/* ---- its line -------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r");
}

/* A backslash at the end of a line, and what stands between it and the next line's text. */
static const char *skip_continuation(const char *text, int *line)
{
    while (*text == '\\') {
        const char *rest = skip_blanks(text + 1);
        if (*rest != '\n')
            return text;
        (*line)++;
        text = skip_blanks(rest + 1);
        while (*text == '#') { /* a comment within a continued instruction */
            text = strchrnul(text, '\n');
            (*line) += *text == '\n';
            text = skip_blanks(*text == '\n' ? text + 1 : text);
        }
    }
    return text;
}

/* Does the instruction that begins at `*at` read like this one, white space aside? `*at` and
 * `*line` move to where it ends or differs. */
static bool reads_like(const char **at, int *line, const char *instruction)
{
    const char *text = *at;
    for (;;) {
        instruction = skip_blanks(instruction);
        text = skip_continuation(skip_blanks(text), line);
        text = skip_blanks(text);
        if (*instruction == '\0' || *text == '\0' || *text == '\n')
            break;
        if (tolower((unsigned char)*instruction) != tolower((unsigned char)*text))
            break;
        instruction++;
        text++;
    }
    *at = text;
    return *instruction == '\0' && (*text == '\n' || *text == '\0');
}

int buildah_instruction_line(const char *dockerfile, const char *instruction)
{
    int found = 0;
    int line = 1;
    const char *at = dockerfile;
    while (*at != '\0') {
        int start = line;
        if (reads_like(&at, &line, instruction)) {
            if (found != 0)
                return 0;
            found = start;
        }
        /* To the end of this instruction, over its continued lines. */
        while (*at != '\n' && *at != '\0') {
            const char *next = skip_continuation(at, &line);
            at = next != at ? next : at + 1;
        }
        if (*at == '\n') {
            at++;
            line++;
        }
    }
    return found;
}
