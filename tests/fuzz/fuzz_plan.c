/* Any bytes as JSON, and as a saved plan: answered, never believed. */
#include <stdint.h>
#include <string.h>

#include "build/plan.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strake_err err = { 0 };
    struct strake_buf text = { 0 };
    struct strake_plan *plan = strake_calloc(1, sizeof(*plan));
    json_t *value;

    strake_json_setup();
    value = strake_json_parse((const char *)data, size, "the input", STRAKE_EUSAGE, &err);
    if (value)
        strake_json_dump_sorted(value, &text);
    json_decref(value);
    strake_err_dispose(&err);
    plan->dir = strake_strdup("/project");
    strake_plan_parse(plan, (const char *)data, size, "the input", &err);
    strake_plan_free(plan);
    strake_buf_dispose(&text);
    strake_err_dispose(&err);
    return 0;
}
