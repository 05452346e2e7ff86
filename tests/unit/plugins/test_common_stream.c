/* plugins/common: output cut into lines or kept at its end, CSV records, private folders. */
#include "fake_host.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/command.h"
#include "common/failure.h"
#include "common/stream.h"
#include "common/tempdir.h"

/* Each line and a bar. */
static char lines_seen[1024];

static int on_line(void *ctx, char *line, size_t len)
{
    (void)ctx;
    assert_int_equal(strlen(line), len);
    snprintf(lines_seen + strlen(lines_seen), sizeof(lines_seen) - strlen(lines_seen), "%s|", line);
    return strcmp(line, "stop") == 0 ? STRAKE_ECANCELLED : 0;
}

static const char *cut(const char *text, size_t piece, size_t max, size_t *dropped)
{
    struct plug_lines lines = { .max = max, .line = on_line };
    lines_seen[0] = '\0';
    for (size_t at = 0; at < strlen(text); at += piece) {
        size_t left = strlen(text) - at;
        assert_int_equal(plug_lines_feed(&lines, text + at, left < piece ? left : piece), 0);
    }
    assert_int_equal(plug_lines_finish(&lines), 0);
    *dropped = lines.dropped;
    return lines_seen;
}

static void lines_are_the_same_however_they_come(void **state)
{
    (void)state;
    static const struct {
        const char *text, *lines;
        size_t dropped;
    } cases[] = {
        { "", "", 0 },
        { "a\nb\n", "a|b|", 0 },
        { "a\r\n\r\nb", "a||b|", 0 },
        { "\n\n", "||", 0 },
        { "12345678\n123456789\nx\n", "12345678|x|", 1 },
        { "123456789", "", 1 },
        { "123456789123456789\n\nx", "|x|", 1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 12; piece++) {
            size_t dropped;
            assert_string_equal(cut(cases[i].text, piece, 8, &dropped), cases[i].lines);
            assert_int_equal(dropped, cases[i].dropped);
        }
    }
}

static void lines_pass_on_why_they_were_stopped(void **state)
{
    (void)state;
    struct plug_lines lines = { .max = 80, .line = on_line };
    lines_seen[0] = '\0';
    assert_int_equal(plug_lines_feed(&lines, "a\nstop\nb\n", 9), STRAKE_ECANCELLED);
    assert_string_equal(lines_seen, "a|stop|");
    assert_int_equal(plug_lines_finish(&lines), 0);
}

static void a_tail_keeps_the_end(void **state)
{
    (void)state;
    struct plug_tail tail = { 0 };
    size_t len;
    assert_string_equal(plug_tail_text(&tail, &len), "");
    assert_int_equal(len, 0);
    assert_int_equal(plug_tail_keep(&tail, "one\ntwo\n", 8), 0);
    assert_string_equal(plug_tail_text(&tail, &len), "one\ntwo\n");

    char line[65];
    memset(line, 'x', sizeof(line));
    line[63] = '\n';
    for (int i = 0; i < 5000; i++)
        assert_int_equal(plug_tail_keep(&tail, line, 64), 0);
    assert_int_equal(plug_tail_keep(&tail, "the end", 7), 0);
    const char *text = plug_tail_text(&tail, &len);
    assert_true(len <= PLUG_TAIL_BYTES && len > PLUG_TAIL_BYTES - 128);
    assert_string_equal(text + len - 7, "the end");
    assert_int_equal((len - 7) % 64, 0); /* it begins with a whole line */
    plug_tail_dispose(&tail);
}

static void a_tail_takes_one_chunk_of_any_size(void **state)
{
    (void)state;
    struct plug_tail tail = { 0 };
    size_t size = 3 * PLUG_TAIL_BYTES, len;
    char *chunk = malloc(size);
    assert_non_null(chunk);
    memset(chunk, 'y', size);
    memcpy(chunk + size - 4, "\nend", 4);
    assert_int_equal(plug_tail_keep(&tail, chunk, size), 0);
    assert_string_equal(plug_tail_text(&tail, &len), "end");
    free(chunk);
    plug_tail_dispose(&tail);
}

static void csv_quotes_what_it_must(void **state)
{
    (void)state;
    static const struct {
        const char *value, *record;
    } cases[] = {
        { "a", "first=1,k=a" },
        { "", "first=1,k=" },
        { "a=b c", "first=1,k=a=b c" },
        { "a,b", "first=1,\"k=a,b\"" },
        { "say \"x\"", "first=1,\"k=say \"\"x\"\"\"" },
        { "a\nb", "first=1,\"k=a\nb\"" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plug_text record = { 0 };
        plug_csv_add(&record, "first", "1");
        plug_csv_add(&record, "k", cases[i].value);
        assert_string_equal(plug_text_view(&record), cases[i].record);
        plug_text_dispose(&record);
    }
}

static void a_list_becomes_json_whatever_its_bytes(void **state)
{
    (void)state;
    struct plug_list list = { 0 };
    struct strake_buf *buf = fake_buf_new(100);
    plug_list_add(&list, "a \"b\"");
    plug_list_add(&list, "\xff\xc3\xa4");
    plug_list_add(&list, "\xc3\xa4");
    assert_int_equal(plug_list_json(&list, &fake_host, buf), 0);
    assert_string_equal(buf->data, "[\"a \\\"b\\\"\",\"???\",\"\xc3\xa4\"]");
    fake_buf_free(buf);
    buf = fake_buf_new(3);
    assert_int_equal(plug_list_json(&list, &fake_host, buf), STRAKE_ETOOBIG);
    fake_buf_free(buf);
    plug_list_dispose(&list);
}

static void a_private_folder_is_private_and_goes_away(void **state)
{
    (void)state;
    struct plug_tempdir dir = { 0 };
    struct stat st;
    char path[PATH_MAX + 8];
    char kept[PATH_MAX];
    char *data;
    size_t len;
    plug_tempdir_remove(&fake_host, &dir); /* there is none */
    assert_int_equal(plug_tempdir_make(&fake_host, &dir, &fake_err), 0);
    snprintf(kept, sizeof(kept), "%s", dir.path);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(plug_tempdir_write(&fake_host, &dir, "f", "secret", 6, &fake_err), 0);
    assert_int_equal(plug_tempdir_write(&fake_host, &dir, "f", "x", 1, &fake_err), STRAKE_EIO);
    snprintf(path, sizeof(path), "%s/f", kept);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(plug_file_read(path, 6, &data, &len), 0);
    assert_string_equal(data, "secret");
    assert_int_equal(len, 6);
    free(data);
    assert_int_equal(plug_file_read(path, 5, &data, NULL), STRAKE_ETOOBIG);
    assert_int_equal(plug_file_read(kept, 100, &data, NULL), STRAKE_EIO); /* a folder */
    snprintf(path, sizeof(path), "%s/sub", kept);
    assert_int_equal(mkdir(path, 0700), 0);
    plug_tempdir_remove(&fake_host, &dir);
    assert_int_equal(stat(kept, &st), -1);
    assert_string_equal(dir.path, "");
    assert_string_equal(fake_logged, "");
}

static void a_private_folder_says_where_it_cannot_be(void **state)
{
    (void)state;
    struct plug_tempdir dir = { 0 };
    char before[PATH_MAX] = "";
    const char *tmpdir = getenv("TMPDIR");
    snprintf(before, sizeof(before), "%s", tmpdir != NULL ? tmpdir : "");
    setenv("TMPDIR", "/nonexistent", 1);
    assert_int_equal(plug_tempdir_make(&fake_host, &dir, &fake_err), STRAKE_EIO);
    assert_non_null(strstr(fake_err.message, "/nonexistent"));
    assert_string_equal(dir.path, "");
    if (tmpdir != NULL)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
}

static void a_file_takes_its_place_only_when_it_is_whole(void **state)
{
    (void)state;
    struct plug_tempdir dir = { 0 };
    char dest[PATH_MAX + 8];
    char *part, *data;
    assert_int_equal(plug_tempdir_make(&fake_host, &dir, &fake_err), 0);
    assert_int_equal(plug_tempdir_write(&fake_host, &dir, "out", "old", 3, &fake_err), 0);
    snprintf(dest, sizeof(dest), "%s/out", dir.path);

    assert_int_equal(plug_part_begin(dest, &part), 0);
    assert_int_equal(plug_tempdir_write(&fake_host, &dir, "out.part", "ne", 2, &fake_err), 0);
    assert_int_equal(plug_part_end(&fake_host, part, dest, STRAKE_EBUILD, &fake_err),
                     STRAKE_EBUILD);
    assert_int_equal(plug_file_read(dest, 10, &data, NULL), 0);
    assert_string_equal(data, "old");
    free(data);

    assert_int_equal(plug_part_begin(dest, &part), 0);
    assert_int_equal(plug_tempdir_write(&fake_host, &dir, "out.part", "new", 3, &fake_err), 0);
    assert_int_equal(plug_part_end(&fake_host, part, dest, 0, &fake_err), 0);
    assert_int_equal(plug_file_read(dest, 10, &data, NULL), 0);
    assert_string_equal(data, "new");
    free(data);

    /* Nothing was written. */
    assert_int_equal(plug_part_begin(dest, &part), 0);
    assert_int_equal(plug_part_end(&fake_host, part, dest, 0, &fake_err), STRAKE_EIO);
    /* A device stays one. */
    assert_int_equal(plug_part_begin("/dev/null", &part), 0);
    assert_null(part);
    assert_int_equal(plug_part_end(&fake_host, part, "/dev/null", 0, &fake_err), 0);
    plug_tempdir_remove(&fake_host, &dir);
}

static void shortening_keeps_characters_whole(void **state)
{
    (void)state;
    char to[8];
    plug_shorten(to, sizeof(to), "a\nb\tc", 5);
    assert_string_equal(to, "a b c");
    plug_shorten(to, sizeof(to), "1234567", 7);
    assert_string_equal(to, "1234567");
    plug_shorten(to, sizeof(to), "12345678", 8);
    assert_string_equal(to, "1234…");
    plug_shorten(to, sizeof(to), "123\xc3\xa4\xc3\xa4\xc3\xa4", 9);
    assert_string_equal(to, "123…");
}

static void a_login_is_asked_for_where_the_image_is(void **state)
{
    (void)state;
    static const struct {
        const char *image, *host;
    } cases[] = {
        { "ghcr.io/o/app:1", "ghcr.io" },
        { "127.0.0.1:5000/app", "127.0.0.1:5000" },
        { "localhost:5000/app@sha256:0", "localhost:5000" },
        { "alpine:3.20", "docker.io" },
        { "user/app", "docker.io" },
        { "", "docker.io" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char want[64], hint[64];
        snprintf(want, sizeof(want), "well? `strake login %s`", cases[i].host);
        plug_login_hint(hint, sizeof(hint), "well?", cases[i].image);
        assert_string_equal(hint, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_however_they_come),
        cmocka_unit_test(lines_pass_on_why_they_were_stopped),
        cmocka_unit_test(a_tail_keeps_the_end),
        cmocka_unit_test(a_tail_takes_one_chunk_of_any_size),
        cmocka_unit_test(csv_quotes_what_it_must),
        cmocka_unit_test(a_list_becomes_json_whatever_its_bytes),
        cmocka_unit_test_setup(a_private_folder_is_private_and_goes_away, fake_reset),
        cmocka_unit_test_setup(a_private_folder_says_where_it_cannot_be, fake_reset),
        cmocka_unit_test_setup(a_file_takes_its_place_only_when_it_is_whole, fake_reset),
        cmocka_unit_test(shortening_keeps_characters_whole),
        cmocka_unit_test(a_login_is_asked_for_where_the_image_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
