/* Findings as people and other programs read them. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/json.h"

/* ---- what counts ---- */

/* 0 is the worst. */
static int rank(const char *severity)
{
    static const char *const order[] = { "error", "warning", "info", "style" };

    for (int i = 0; i < 4; i++)
        if (severity && strcmp(severity, order[i]) == 0)
            return i;
    return -1;
}

bool cli_finding_counts(const json_t *finding, const char *fail_on)
{
    return !json_object_get(finding, "waived") &&
           rank(strake_json_str(finding, "severity")) <= rank(fail_on);
}

static int line_of(const json_t *finding)
{
    return (int)strake_json_int(finding, "line", 1);
}

static int column_of(const json_t *finding)
{
    return (int)strake_json_int(finding, "column", 1);
}

/* ---- text ---- */

#define FRAME_MAX 160 /* characters of a line that are shown */

/* The line with what is meant under it; a tab before it stays a tab, so that both are aligned. */
static void print_frame(const json_t *finding)
{
    const char *source = strake_json_str(finding, "source");
    const int line = line_of(finding), column = column_of(finding);
    const int end = strake_json_int(finding, "end_line", line) == line
                        ? (int)strake_json_int(finding, "end_column", column + 1)
                        : FRAME_MAX;
    const int len = source ? (int)strlen(source) : 0;

    if (len == 0 || len > FRAME_MAX)
        return;
    cli_printf("  %4d | %s\n       | ", line, source);
    for (int i = 1; i < column && i <= len; i++)
        cli_printf("%c", source[i - 1] == '\t' ? '\t' : ' ');
    cli_printf("^");
    for (int i = column + 1; i < end && i <= len; i++)
        cli_printf("~");
    cli_printf("\n");
}

static void print_finding(const json_t *finding)
{
    const json_t *waived = json_object_get(finding, "waived"), *alias;
    const char *fix = strake_json_str(finding, "fix");
    size_t i;

    cli_printf("%s:%d:%d: %s: %s [%s", strake_json_str(finding, "file"), line_of(finding),
               column_of(finding), strake_json_str(finding, "severity"),
               strake_json_str(finding, "message"), strake_json_str(finding, "rule"));
    json_array_foreach(json_object_get(finding, "aliases"), i, alias)
        cli_printf(", %s", json_string_value(alias));
    cli_printf("]\n");
    print_frame(finding);
    if (fix)
        cli_printf("       = %s\n", fix);
    if (waived) {
        const char *until = strake_json_str(waived, "until");
        cli_printf("       = waived%s%s: %s\n", until ? " until " : "", until ? until : "",
                   strake_json_str(waived, "reason"));
    }
    cli_printf("\n");
}

static void print_text(const struct cli_findings *found)
{
    static const char *const names[] = { "error", "warning", "info", "style" };
    size_t counts[4] = { 0 }, waived = 0, i;
    const json_t *finding;

    json_array_foreach(found->list, i, finding) {
        const int severity = rank(strake_json_str(finding, "severity"));
        if (json_object_get(finding, "waived"))
            waived++;
        else if (severity >= 0)
            counts[severity]++;
        print_finding(finding);
    }
    cli_printf("%zu file%s checked", found->files, found->files == 1 ? "" : "s");
    for (i = 0; i < 4; i++)
        if (counts[i])
            cli_printf(", %zu %s%s", counts[i], names[i], counts[i] > 1 && i < 2 ? "s" : "");
    if (waived)
        cli_printf(", %zu waived", waived);
    if (json_array_size(found->list) == 0)
        cli_printf(", nothing found");
    cli_printf("\n");
}

/* ---- gcc ---- */

static void print_gcc(const struct cli_findings *found)
{
    const json_t *finding;
    size_t i;

    json_array_foreach(found->list, i, finding) {
        const int severity = rank(strake_json_str(finding, "severity"));
        if (json_object_get(finding, "waived"))
            continue;
        cli_printf("%s:%d:%d: %s: %s [%s]\n", strake_json_str(finding, "file"), line_of(finding),
                   column_of(finding),
                   severity == 0   ? "error"
                   : severity == 1 ? "warning"
                                   : "note",
                   strake_json_str(finding, "message"), strake_json_str(finding, "rule"));
    }
}

/* ---- github ---- */

/* A workflow command's message, or with `property` one of its properties. */
static void print_escaped(const char *text, bool property)
{
    for (; *text; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n' ||
            (property && (*text == ':' || *text == ',')))
            cli_printf("%%%02X", (unsigned char)*text);
        else
            cli_printf("%c", *text);
    }
}

static void print_github(const struct cli_findings *found)
{
    const json_t *finding;
    size_t i;

    json_array_foreach(found->list, i, finding) {
        const int severity = rank(strake_json_str(finding, "severity"));
        const char *fix = strake_json_str(finding, "fix");
        if (json_object_get(finding, "waived"))
            continue;
        cli_printf("::%s file=", severity == 0 ? "error" : severity == 1 ? "warning" : "notice");
        print_escaped(strake_json_str(finding, "file"), true);
        cli_printf(",line=%d,endLine=%d,col=%d,title=", line_of(finding),
                   (int)strake_json_int(finding, "end_line", line_of(finding)), column_of(finding));
        print_escaped(strake_json_str(finding, "rule"), true);
        cli_printf("::");
        print_escaped(strake_json_str(finding, "message"), false);
        if (fix) {
            cli_printf("%%0A");
            print_escaped(fix, false);
        }
        cli_printf("\n");
    }
}

/* ---- sarif ---- */

static json_t *sarif_result(const json_t *finding)
{
    const int severity = rank(strake_json_str(finding, "severity")), line = line_of(finding);
    json_t *result =
        json_pack("{s:s,s:s,s:{s:s},s:[{s:{s:{s:s},s:{s:i,s:i,s:i}}}]}", "ruleId",
                  strake_json_str(finding, "rule"), "level",
                  severity == 0   ? "error"
                  : severity == 1 ? "warning"
                                  : "note",
                  "message", "text", strake_json_str(finding, "message"), "locations",
                  "physicalLocation", "artifactLocation", "uri", strake_json_str(finding, "file"),
                  "region", "startLine", line, "startColumn", column_of(finding), "endLine",
                  (int)strake_json_int(finding, "end_line", line));
    const json_t *waived = json_object_get(finding, "waived");

    if (result && waived &&
        json_object_set_new(result, "suppressions",
                            json_pack("[{s:s,s:s}]", "kind", "inSource", "justification",
                                      strake_json_str(waived, "reason"))) < 0) {
        json_decref(result);
        return NULL;
    }
    return result;
}

/* SARIF 2.1.0, section 3.13 on. */
static int print_sarif(struct cli *cli, const struct cli_findings *found)
{
    json_t *results = json_array(), *doc = NULL;
    const json_t *finding;
    size_t i;

    json_array_foreach(found->list, i, finding) {
        if (results && json_array_append_new(results, sarif_result(finding)) < 0) {
            json_decref(results);
            results = NULL;
        }
    }
    if (results)
        doc = json_pack("{s:s,s:s,s:[{s:{s:{s:s,s:s}},s:o}]}", "version", "2.1.0", "$schema",
                        "https://json.schemastore.org/sarif-2.1.0.json", "runs", "tool", "driver",
                        "name", "strake", "version", STRAKE_VERSION, "results", results);
    return cli_print_json(cli, doc);
}

int cli_print_findings(struct cli *cli, const struct cli_findings *found, const char *format)
{
    if (strcmp(format, "sarif") == 0)
        return print_sarif(cli, found);
    if (strcmp(format, "github") == 0)
        print_github(found);
    else if (strcmp(format, "gcc") == 0)
        print_gcc(found);
    else
        print_text(found);
    return cli_finish_stdout(cli);
}
