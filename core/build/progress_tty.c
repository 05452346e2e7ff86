/* The live view: finished steps scroll away as single lines, running ones stay below with their
 * time and their last lines of output. Drawn at most ten times a second, in one write, within the
 * window. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "build/progress_impl.h"
#include "util/json.h"
#include "util/text.h"
#include "util/time.h"

#define ESC "\033["

/* ---- widths ---- */

static void window(const struct strake_progress *progress, int *columns, int *rows)
{
    struct winsize size;

    *columns = 80;
    *rows = 24;
    if (ioctl(progress->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        *columns = size.ws_col;
        *rows = size.ws_row > 3 ? size.ws_row : 24;
    }
}

/* Characters, not bytes: a cut in the middle of one would spoil the line. Wide ones are rare in
 * build output; a line that holds them is cut a little early by the terminal itself. */
static size_t fit(const char *text, size_t len, int columns)
{
    size_t i = 0;

    while (i < len) {
        size_t next = i + 1;
        while (next < len && ((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        if (columns-- <= 0)
            break;
        i = next;
    }
    return i;
}

static void put_fitted(struct strake_progress *progress, const char *text, int columns)
{
    char clean[1024];
    size_t len = 0;

    while (*text && len + 1 < sizeof(clean)) {
        const size_t control = strake_text_control(text, text[1] ? 2 : 1);
        if (control == 0 || *text == '\t')
            clean[len++] = control ? ' ' : *text;
        text += control ? control : 1;
    }
    strake_buf_append(&progress->out, clean, fit(clean, len, columns));
}

/* ---- finished steps ---- */

/* What BuildKit does for itself is only worth a line when it fails. */
static bool is_internal(const struct strake_view_step *step)
{
    return step->state == STRAKE_VIEW_ABSENT || strncmp(step->name, "[internal]", 10) == 0;
}

static void put_mark(struct strake_progress *progress, const struct strake_view_step *step)
{
    const char *mark = step->state == STRAKE_VIEW_FAILED   ? "x"
                       : step->state == STRAKE_VIEW_CACHED ? "="
                       : step->state == STRAKE_VIEW_DONE   ? "+"
                                                           : ">";
    const char *colour = step->state == STRAKE_VIEW_FAILED   ? ESC "31m"
                         : step->state == STRAKE_VIEW_CACHED ? ESC "36m"
                         : step->state == STRAKE_VIEW_DONE   ? ESC "32m"
                                                             : ESC "33m";

    strake_buf_printf(&progress->out, "%s%s%s ", strake_view_colour(progress, colour), mark,
                      strake_view_colour(progress, ESC "0m"));
}

static void put_step(struct strake_progress *progress, const struct strake_view_step *step,
                     int columns)
{
    char time[32], label[1024], bytes[64] = "";
    int room;

    strake_view_time(step, strake_time_now_us(), time, sizeof(time));
    if (step->state == STRAKE_VIEW_RUNNING && step->total_bytes > 0) {
        char current[32], total[32];
        strake_size_format(step->current_bytes, current, sizeof(current));
        strake_size_format(step->total_bytes, total, sizeof(total));
        snprintf(bytes, sizeof(bytes), " %.20s / %.20s", current, total);
    }
    if (progress->targets > 1)
        snprintf(label, sizeof(label), "%s: %s", step->target, step->name);
    else
        snprintf(label, sizeof(label), "%s", step->name);
    put_mark(progress, step);
    room = columns - 2 - 1 - (int)strlen(time) - (int)strlen(bytes);
    if (room > 0)
        put_fitted(progress, label, room);
    if (step->state == STRAKE_VIEW_CACHED || room <= 0)
        strake_buf_puts(&progress->out, "\n");
    else
        strake_buf_printf(&progress->out, "%s%s %s%s\n", bytes,
                          strake_view_colour(progress, ESC "2m"), time,
                          strake_view_colour(progress, ESC "0m"));
}

static void put_tail(struct strake_progress *progress, const struct strake_view_step *step,
                     int columns)
{
    for (int i = 0; i < STRAKE_VIEW_TAIL && step->tail[i]; i++) {
        strake_buf_printf(&progress->out, "%s    ", strake_view_colour(progress, ESC "2m"));
        put_fitted(progress, step->tail[i], columns - 4);
        strake_buf_printf(&progress->out, "%s\n", strake_view_colour(progress, ESC "0m"));
    }
}

static int tail_lines(const struct strake_view_step *step)
{
    int count = 0;

    while (count < STRAKE_VIEW_TAIL && step->tail[count])
        count++;
    return count;
}

/* ---- drawing ---- */

/* A line that was as wide as the window takes several rows once the window is narrower. */
static int rows_of(int width, int columns)
{
    return width <= columns ? 1 : (width + columns - 1) / columns;
}

void strake_tty_clear(struct strake_progress *progress)
{
    int columns, rows, up = 0;

    if (progress->drawn == 0)
        return;
    window(progress, &columns, &rows);
    for (int i = 0; i < progress->drawn; i++)
        up += rows_of(progress->widths[i], columns);
    strake_buf_printf(&progress->out, ESC "%dA\r" ESC "J", up);
    progress->drawn = 0;
}

/* Characters that a line shows, escape sequences left out. */
static int shown_width(const char *text, const char *end)
{
    int width = 0;

    for (; text < end; text++) {
        if (*text == '\033') {
            while (text < end && *text != 'm')
                text++;
        } else if (((unsigned char)*text & 0xc0) != 0x80) {
            width++;
        }
    }
    return width;
}

/* Remember how wide the live lines are that `out` holds from `start` on. */
static void note_widths(struct strake_progress *progress, size_t start)
{
    const char *line = strake_buf_text(&progress->out) + start, *newline;

    progress->drawn = 0;
    for (; (newline = strchr(line, '\n')) && progress->drawn < STRAKE_VIEW_LINES;
         line = newline + 1)
        progress->widths[progress->drawn++] = shown_width(line, newline);
}

/* Final lines of what has ended since the last drawing; they stay. */
static void settle_finished(struct strake_progress *progress, int columns)
{
    for (size_t i = 0; i < progress->count; i++) {
        struct strake_view_step *step = progress->steps[i];
        if (step->shown || step->state == STRAKE_VIEW_RUNNING)
            continue;
        step->shown = true;
        if (is_internal(step) && step->state != STRAKE_VIEW_FAILED)
            continue;
        put_step(progress, step, columns);
        if (step->state == STRAKE_VIEW_FAILED)
            put_tail(progress, step, columns);
    }
}

void strake_tty_draw(struct strake_progress *progress)
{
    int columns, rows, left;
    size_t start;

    window(progress, &columns, &rows);
    strake_tty_clear(progress);
    settle_finished(progress, columns);
    start = progress->out.len;
    left = rows - 1 < STRAKE_VIEW_LINES ? rows - 1 : STRAKE_VIEW_LINES;
    for (size_t i = 0; i < progress->count && left > 0; i++) {
        const struct strake_view_step *step = progress->steps[i];
        int lines = 1 + tail_lines(step);
        if (step->state != STRAKE_VIEW_RUNNING || !step->started_us)
            continue;
        if (lines > left) /* a small window: the step itself, without its output */
            lines = 1;
        put_step(progress, step, columns);
        if (lines > 1)
            put_tail(progress, step, columns);
        left -= lines;
    }
    note_widths(progress, start);
    progress->dirty = false;
    strake_view_flush(progress);
}

/* ---- feeding ---- */

static void push_tail(struct strake_view_step *step, const char *text, size_t len)
{
    const char *cr = len ? memrchr(text, '\r', len) : NULL;
    char *copy;

    if (cr && cr + 1 < text + len) {
        len -= (size_t)(cr + 1 - text);
        text = cr + 1;
    }
    copy = strake_strndup(text, len);
    if (!copy)
        return;
    if (step->tail[STRAKE_VIEW_TAIL - 1]) {
        strake_free(step->tail[0]);
        memmove(&step->tail[0], &step->tail[1], sizeof(char *) * (STRAKE_VIEW_TAIL - 1));
        step->tail[STRAKE_VIEW_TAIL - 1] = NULL;
    }
    step->tail[tail_lines(step)] = copy;
}

static void step_log(struct strake_view_step *step, const json_t *data)
{
    const char *text = strake_json_str(data, "text"), *newline;

    while (text && (newline = strchr(text, '\n'))) {
        if (strake_buf_append(&step->line, text, (size_t)(newline - text)) < 0)
            strake_buf_clear(&step->line);
        push_tail(step, strake_buf_text(&step->line), step->line.len);
        strake_buf_clear(&step->line);
        text = newline + 1;
    }
    if (text && *text && strake_buf_puts(&step->line, text) < 0)
        strake_buf_clear(&step->line);
}

void strake_tty_event(struct strake_progress *progress, const struct strake_event *event)
{
    struct strake_view_step *step = strake_view_take(progress, event);

    if (step && event->type == STRAKE_EVENT_STEP_LOG)
        step_log(step, event->data);
    if (!step && event->type != STRAKE_EVENT_TARGET_STARTED) {
        size_t before;
        strake_tty_clear(progress);
        before = progress->out.len;
        strake_plain_other(progress, event);
        if (progress->out.len != before)
            strake_view_flush(progress);
    }
    progress->dirty = true;
}
