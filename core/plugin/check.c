/* `strake plugin check`: every rule asked of one file, each with its own answer. */
#include <string.h>

#include "plugin/elf_check.h"
#include "plugin/loader.h"
#include "plugin/loader_impl.h"
#include "util/json.h"
#include "util/mem.h"

/* What the rules find out one after another. */
struct checking {
    char *path; /* with a slash: dlopen() would look for a bare name elsewhere */
    char *name;
    void *library;
    const struct strake_plugin *given;
    struct strake_plugin copy;
};

static int rule_name(struct checking *c, struct strake_err *err)
{
    c->name = strake_loader_name_of(c->path);
    if (c->name && strake_loader_name_valid(c->name))
        return 0;
    strake_fail(err, STRAKE_ECONFIG, "%s is not named NAME.so", c->path);
    strake_err_hint(err, "NAME is made of lower-case letters, digits, - and _, at most 64");
    return STRAKE_ECONFIG;
}

static int rule_owner(struct checking *c, struct strake_err *err)
{
    return strake_elf_check_owner(c->path, err);
}

static int rule_file(struct checking *c, struct strake_err *err)
{
    return strake_elf_check(c->path, err);
}

static int rule_symbols(struct checking *c, struct strake_err *err)
{
    return strake_loader_open(c->path, &c->library, err);
}

static int rule_export(struct checking *c, struct strake_err *err)
{
    return strake_loader_main(c->path, c->library, &c->given, err);
}

static int rule_abi(struct checking *c, struct strake_err *err)
{
    return strake_loader_check_abi(c->path, c->given, err);
}

static int rule_descriptor(struct checking *c, struct strake_err *err)
{
    return strake_loader_check_descriptor(c->path, c->name, c->given, &c->copy, err);
}

static int rule_interfaces(struct checking *c, struct strake_err *err)
{
    return strake_loader_check_interfaces(c->path, &c->copy, err);
}

/* Open an instance that is closed at once. @return what open() did, described in `refusal` */
static int try_open(const struct checking *c, const char *options, struct strake_err *refusal)
{
    void *self = NULL;
    int rc = c->copy.open(strake_host_table(), options, &self, refusal);

    if (rc == 0)
        c->copy.close(self);
    return rc;
}

/* Options may be missing; then it says so. */
static int rule_open(struct checking *c, struct strake_err *err)
{
    struct strake_err refusal = { 0 };
    int rc = try_open(c, "{}", &refusal);
    bool described = refusal.code != 0;

    strake_err_dispose(&refusal);
    if (rc > 0)
        return strake_fail(err, STRAKE_ECONFIG, "open() returned %d, which is no result", rc);
    if (rc == 0 || described)
        return 0;
    strake_fail(err, STRAKE_ECONFIG, "open() failed without options and did not say why");
    strake_err_hint(err, "end it with `return host->fail(err, STRAKE_ECONFIG, …)`");
    return STRAKE_ECONFIG;
}

static int rule_options(struct checking *c, struct strake_err *err)
{
    struct strake_err refusal = { 0 };
    int rc = try_open(c, "{\"no-such-option\":true}", &refusal);

    if (rc == 0)
        rc = strake_fail(err, STRAKE_ECONFIG, "open() took an option that no plugin knows");
    else if (!strstr(strake_err_message(&refusal), "no-such-option"))
        rc = strake_fail(err, STRAKE_ECONFIG,
                         "open() refused an unknown option without naming it: %s",
                         strake_err_message(&refusal));
    else
        rc = 0;
    if (rc < 0)
        strake_err_hint(err, "a misspelt option must not go unseen");
    strake_err_dispose(&refusal);
    return rc;
}

/* The first ones look at the file only, and are asked in any case; from then on each needs the one
 * before it. */
#define RULES_OF_THE_FILE 3
static const struct {
    const char *name;
    int (*rule)(struct checking *c, struct strake_err *err);
} rules[] = {
    { "named NAME.so", rule_name },
    { "nobody else can write to it or to its folder", rule_owner },
    { "a whole shared object for this machine", rule_file },
    { "loads with every symbol found", rule_symbols },
    { "exports strake_plugin_main()", rule_export },
    { "is of this program's ABI", rule_abi },
    { "has a name, a version, open() and close()", rule_descriptor },
    { "offers interfaces with their mandatory methods", rule_interfaces },
    { "open() works without options or says what is missing", rule_open },
    { "open() refuses an unknown option by its name", rule_options },
};

/* The answer of one rule. NULL: no memory. */
static json_t *answer(const char *name, const struct strake_err *failure, bool skipped)
{
    const char *status = failure->code ? "fail" : skipped ? "skip" : "ok";
    json_t *entry = json_object();

    if (!entry || strake_json_set_str(entry, "name", name) < 0 ||
        strake_json_set_str(entry, "status", status) < 0 ||
        strake_json_set_str(entry, "detail", failure->code ? strake_err_message(failure) : "") <
            0 ||
        strake_json_set_str(entry, "hint", failure->hint) < 0) {
        json_decref(entry);
        return NULL;
    }
    return entry;
}

/* @return NULL: no memory */
static json_t *ask_rules(struct checking *checking, bool *ok)
{
    json_t *checks = json_array();

    *ok = true;
    for (size_t i = 0; checks && i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct strake_err failure = { 0 };
        bool skipped = !*ok && i >= RULES_OF_THE_FILE;
        if (!skipped && rules[i].rule(checking, &failure) < 0)
            *ok = false;
        if (json_array_append_new(checks, answer(rules[i].name, &failure, skipped)) < 0) {
            json_decref(checks);
            checks = NULL;
        }
        strake_err_dispose(&failure);
    }
    return checks;
}

json_t *strake_loader_check(const char *path, bool *ok, struct strake_err *err)
{
    struct checking checking = { .path = strchr(path, '/') ? strake_strdup(path)
                                                           : strake_asprintf("./%s", path) };
    json_t *doc = json_object();
    json_t *checks = checking.path ? ask_rules(&checking, ok) : NULL;

    if (!doc || !checks || strake_json_set_str(doc, "schema", "strake.plugin-check/1") < 0 ||
        strake_json_set_str(doc, "path", path) < 0 || strake_json_set_bool(doc, "ok", *ok) < 0 ||
        json_object_set(doc, "checks", checks) < 0) {
        json_decref(doc);
        doc = NULL;
        strake_fail_nomem(err);
    }
    json_decref(checks);
    strake_free(checking.name);
    strake_free(checking.path);
    return doc;
}
