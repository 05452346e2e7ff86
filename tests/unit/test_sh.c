/* core/dockerfile/sh.c: commands, words and where they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/sh.h"
#include "util/buf.h"
#include "util/err.h"

#include "torture.h"

/* "OP word|word >target" a line; nested commands are indented by their depth. */
static void show(const struct strake_sh *shell, struct strake_buf *out)
{
    for (size_t i = 0; i < shell->count; i++) {
        const struct strake_sh_command *command = &shell->commands[i];
        strake_buf_printf(out, "%s%*s%s%s", i ? "\n" : "", command->depth, "",
                          strake_sh_op_text(command->op), command->negated ? "!" : "");
        for (size_t k = 0; k < command->count; k++)
            strake_buf_printf(out, "%s%s", k ? "|" : " ", command->words[k].text);
        for (size_t k = 0; k < command->redirect_count; k++)
            strake_buf_printf(out, " %s%s", command->redirects[k].op,
                              command->redirects[k].target.text);
    }
}

static void sh_reads_commands_and_words(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { " \t", "" },
        { "make install", " make|install" },
        { "a && b || c; d & e | f |& g", " a\n&& b\n|| c\n; d\n& e\n| f\n| g" },
        { "zypper -n in 'a b' \"c $d\" e\\ f", " zypper|-n|in|a b|c $d|e f" },
        { "A=1 B+=\"x y\" make C=2", " A=1|B+=x y|make|C=2" },
        { "! grep x y", "! grep|x|y" },
        { "cat <in >out 2>&1 2>>err", " cat <in >out 2>&1 2>>err" },
        { "echo x > /dev/null&& b", " echo|x >/dev/null\n&& b" },
        { "a 2 > b", " a|2 >b" },
        { "a &>b", " a &>b" },
        { "(cd /x && make) ; b", "  cd|/x\n && make\n; b" },
        { "a && (b; c) || d", " a\n && b\n ; c\n|| d" },
        { "{ a; b; } && c", "  a\n ; b\n&& c" },
        { "if a; then b; else c; fi; d", " a\n b\n c\n; d" },
        { "for i in 1 2; do a $i; done && b", " for|i|in|1|2\n a|$i\n&& b" },
        { "while ! a; do b; done", "! a\n b" },
        { "case $x in a|b) c ;; (d) e;; *) f; g ;; esac && h",
          " case|$x|in\n c\n e\n f\n; g\n&& h" },
        { "f() { a; }; f", "  a\n; f" },
        { "a $(b c | d) e", " a|$(b c | d)|e\n  b|c\n | d" },
        { "a \"$(b \"$(c)\")\" x", " a|$(b \"$(c)\")|x\n  b|$(c)\n   c" },
        { "a `b c` d", " a|`b c`|d\n  b|c" },
        { "a $((1 << 2)) ${b:-$(c)} ${d}", " a|$((1 << 2))|${b:-$(c)}|${d}\n  c" },
        { "a <(b) >(c)", " a|<(b)|>(c)\n  b\n  c" },
        { "a # b && c", " a" },
        { "a#b", " a#b" },
        { "a\n# x\nb\n", " a\n; b" },
        { "a &&\n\n b", " a\n&& b" },
        { "a \\\n b", " a|b" },
        { "cat <<EOF > x\nno && command\nEOF\nb", " cat <<EOF >x\n; b" },
        { "cat <<-'E'\n\tno\n\tE\nb", " cat <<-E\n; b" },
        { "cat <<< \"x y\"", " cat <<<x y" },
        { "echo if then", " echo|if|then" },
        { "'if' a", " if|a" },
        { "curl -fsSL x | sudo bash -", " curl|-fsSL|x\n| sudo|bash|-" },
        { "a 'unended", " a|unended" },
        { "a \"unended $(b", " a|unended $(b\n  b" },
        { ") a", " a" },
        { "a ) b", " a|b" },
        { "a=(x y) b", " a=|x|y|b" },
        { "[ -f x ] && y || true", " [|-f|x|]\n&& y\n|| true" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strake_sh shell;
        struct strake_buf shown = { 0 };
        assert_int_equal(strake_sh_read(cases[i][0], strlen(cases[i][0]), &shell), 0);
        show(&shell, &shown);
        if (strcmp(strake_buf_text(&shown), cases[i][1]) != 0)
            fail_msg("%s:\n%s\nwanted\n%s", cases[i][0], strake_buf_text(&shown), cases[i][1]);
        strake_buf_dispose(&shown);
        strake_sh_dispose(&shell);
    }
}

static void sh_knows_where_words_stand(void **state)
{
    static const char text[] = "A=1 ls  'x y' && cat $(pwd)";
    struct strake_sh shell;

    (void)state;
    assert_int_equal(strake_sh_read(text, sizeof(text) - 1, &shell), 0);
    assert_int_equal(shell.count, 3);
    assert_int_equal(shell.commands[0].assignments, 1);
    assert_int_equal(shell.commands[0].at, 0);
    assert_int_equal(shell.commands[0].len, 13);
    assert_int_equal(shell.commands[0].words[2].at, 8);
    assert_int_equal(shell.commands[0].words[2].len, 5);
    assert_true(shell.commands[0].words[2].quoted);
    assert_false(shell.commands[0].words[2].expands);
    assert_true(shell.commands[1].words[1].expands);
    assert_int_equal(shell.commands[1].within, -1);
    assert_int_equal(shell.commands[2].within, 1);
    assert_string_equal(shell.commands[2].words[0].text, "pwd");
    strake_sh_dispose(&shell);
}

/* Whatever is nested, opened and not closed: it ends, and soon. */
static void sh_answers_hostile_text_in_linear_time(void **state)
{
    static const char *const pieces[] = { "$(", "\"$(", "`",   "${",   "((", "case x in ", "<<E ",
                                          "{ ", "<(",   "$((", "f() ", "'",  "\\" };
    enum { REPEATED = 20000 };

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct strake_buf text = { 0 };
        struct strake_sh shell;
        for (int k = 0; k < REPEATED; k++)
            assert_int_equal(strake_buf_puts(&text, pieces[i]), 0);
        assert_int_equal(strake_sh_read(strake_buf_text(&text), text.len, &shell), 0);
        strake_sh_dispose(&shell);
        strake_buf_dispose(&text);
    }
}

static int read_everything(void *ctx)
{
    static const char text[] = "A=1 a 'b' $(c | d `e`) >x <<E && { f; } || (g)\nE\nh() { i; }; "
                               "case j in k) l;; esac";
    struct strake_sh shell;
    const int rc = strake_sh_read(text, sizeof(text) - 1, &shell);

    (void)ctx;
    if (rc == 0)
        assert_int_equal(shell.count, 9);
    else
        assert_int_equal(shell.count, 0);
    strake_sh_dispose(&shell);
    return rc;
}

static void sh_survives_a_lack_of_memory(void **state)
{
    (void)state;
    torture(read_everything, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sh_reads_commands_and_words),
        cmocka_unit_test(sh_knows_where_words_stand),
        cmocka_unit_test(sh_answers_hostile_text_in_linear_time),
        cmocka_unit_test(sh_survives_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
