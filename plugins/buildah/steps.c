/* Reading what `buildah bud` tells. It has no form but text: a RUN may print what looks like a
 * step, which spoils the display and nothing else. */
#include "buildah/steps.h"

#include <string.h>
#include <time.h>

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void tell(struct buildah_steps *steps, int64_t completed_us, const char *error)
{
    const struct strake_step step = {
        .size = sizeof(step),
        .id = plug_text_view(&steps->id),
        .name = plug_text_view(&steps->name),
        .started_us = steps->started_us,
        .completed_us = completed_us,
        .cached = steps->cached,
        .error = error,
    };
    steps->sink->step(steps->ctx, &step);
}

void buildah_steps_end(struct buildah_steps *steps, const char *error)
{
    if (steps->id.len > 0)
        tell(steps, now_us(), error);
    plug_text_dispose(&steps->id);
    plug_text_dispose(&steps->name);
    steps->cached = false;
}

static int begin(struct buildah_steps *steps)
{
    if (steps->id.failed || steps->name.failed)
        return STRAKE_ENOMEM;
    steps->started_us = now_us();
    tell(steps, 0, NULL);
    return 0;
}

int buildah_steps_begin(struct buildah_steps *steps, const char *id, const char *name)
{
    buildah_steps_end(steps, NULL);
    plug_text_addf(&steps->id, "%s %s", steps->label, id);
    plug_text_addf(&steps->name, "%s%s%s", steps->label, steps->label[0] != '\0' ? " " : "", name);
    return begin(steps);
}

/* "12/34": its length, or 0. */
static size_t count_length(const char *text)
{
    size_t first = strspn(text, "0123456789");
    if (first == 0 || text[first] != '/')
        return 0;
    size_t second = strspn(text + first + 1, "0123456789");
    return second > 0 ? first + 1 + second : 0;
}

/* The heading of a line: "[1/2] STEP 2/3: ", "STEP 2/3: ", "[1/2] COMMIT…". */
struct heading {
    const char *stage; /* "1/2", or NULL */
    size_t stage_len;
    const char *step; /* "2/3", or NULL: it is the commit */
    size_t step_len;
    const char *text; /* the instruction */
};

static bool read_heading(const char *line, struct heading *out)
{
    *out = (struct heading){ 0 };
    if (line[0] == '[') {
        out->stage = line + 1;
        out->stage_len = count_length(out->stage);
        if (out->stage_len == 0 || strncmp(out->stage + out->stage_len, "] ", 2) != 0)
            return false;
        line = out->stage + out->stage_len + 2;
    }
    if (strncmp(line, "STEP ", 5) == 0) {
        out->step = line + 5;
        out->step_len = count_length(out->step);
        if (out->step_len == 0 || strncmp(out->step + out->step_len, ": ", 2) != 0)
            return false;
        out->text = out->step + out->step_len + 2;
        return true;
    }
    out->text = "COMMIT";
    return strcmp(line, "COMMIT") == 0 || strncmp(line, "COMMIT ", 7) == 0;
}

static int begin_heading(struct buildah_steps *steps, const struct heading *heading)
{
    int stage_len = (int)heading->stage_len;
    int step_len = (int)heading->step_len;
    const char *stage = heading->stage != NULL ? heading->stage : "";
    const char *step = heading->step != NULL ? heading->step : "";
    buildah_steps_end(steps, NULL);
    plug_text_addf(&steps->id, "%s %.*s %.*s", steps->label, stage_len, stage, step_len, step);
    if (heading->step == NULL) {
        plug_text_addf(&steps->name, "%s%scommitting the image", steps->label,
                       steps->label[0] != '\0' ? " " : "");
        return begin(steps);
    }
    plug_text_add(&steps->name, "[");
    if (steps->label[0] != '\0')
        plug_text_addf(&steps->name, "%s ", steps->label);
    if (stage_len > 0)
        plug_text_addf(&steps->name, "stage %.*s ", stage_len, stage);
    plug_text_addf(&steps->name, "%.*s] %s", step_len, step, heading->text);
    return begin(steps);
}

/* Is this nothing but hexadecimal digits, at least `min` of them? */
static bool is_hex(const char *text, size_t min)
{
    size_t len = strspn(text, "0123456789abcdef");
    return len >= min && text[len] == '\0';
}

/* "--> 400fe7fd621", and behind the last one the whole id: they say nothing to people. */
static bool is_id(struct buildah_steps *steps, const char *line)
{
    if (strncmp(line, "--> ", 4) == 0 && is_hex(line + 4, 6) &&
        strlen(line + 4) < sizeof(steps->made)) {
        memcpy(steps->made, line + 4, strlen(line + 4) + 1);
        return true;
    }
    return steps->made[0] != '\0' && is_hex(line, 64) &&
           strncmp(line, steps->made, strlen(steps->made)) == 0;
}

int buildah_steps_line(struct buildah_steps *steps, char *line, size_t len)
{
    static const char using_cache[] = "--> Using cache ";
    struct heading heading;
    if (read_heading(line, &heading))
        return begin_heading(steps, &heading);
    if (strncmp(line, using_cache, strlen(using_cache)) == 0 &&
        is_hex(line + strlen(using_cache), 64)) {
        steps->cached = true;
        return 0;
    }
    if (is_id(steps, line))
        return 0;
    line[len] = '\n'; /* over its NUL */
    buildah_steps_log(steps, 1, line, len + 1);
    return 0;
}

void buildah_steps_log(struct buildah_steps *steps, int stream, const char *data, size_t len)
{
    if (steps->id.len > 0 && len > 0)
        steps->sink->log(steps->ctx, steps->id.data, stream, data, len);
}

void buildah_steps_dispose(struct buildah_steps *steps)
{
    plug_text_dispose(&steps->id);
    plug_text_dispose(&steps->name);
}
