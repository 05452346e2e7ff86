"""Made-up Dockerfiles, .dockerignore files and shell words: cases by hand, and random ones from the
pieces in which parsers differ. The seed is fixed: a failure can be repeated."""

import random

SEED = 20261125

# One thought a case. Most of them were found by reading what BuildKit's parser does.
DOCKERFILES = [
    "",
    "\n\n",
    "# only a comment\n",
    "FROM a",
    "from a\nrun b\n",
    "\ufeffFROM a\n",
    "\ufeff# escape=`\nFROM a\nRUN x `\n y\n",
    "# escape=`\nFROM a\nRUN x `\n  y\nRUN z \\\n",
    "#escape=\\\nFROM a\nRUN x \\\n y\n",
    "# escape = ` \nFROM a\n",
    "# ESCAPE=`\nFROM a\n",
    "# escape=x\nFROM a\n",
    "# escape=\nFROM a\n",
    "# escape= \nFROM a\n",
    "# escape=`\n# escape=`\nFROM a\n",
    "# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM a\nRUN x`\ny\n",
    "# syntax=a\n# syntax=b\nFROM a\n",
    "# a comment\n# escape=`\nFROM a\nRUN x `\n",
    "\n# escape=`\nFROM a\nRUN x `\n",
    "FROM a\n# escape=`\nRUN x `\n",
    "  # escape=`\nFROM a\nRUN x `\n y\n",
    "# unknown=1\n# escape=`\nFROM a\nRUN x \\\n y\n",
    "# escape=``\nFROM a\n",
    "FROM a\nRUN x \\\n\n\n  y\n",
    "FROM a\nRUN x \\\n# c\n  # d\n  y\n",
    "FROM a\nRUN x \\\n",
    "FROM a\nRUN x \\",
    "FROM a\nRUN x \\ \t\n y\n",
    "FROM a\nRUN x \\\\\n y\n",
    "FROM a\nRUN x \\\\\\\n y\n",
    "FROM a\nRUN x \\\r\n y\r\n",
    "FROM a\nRUN \\\n x \\\n && y\n",
    "FROM a\n\\\n\\\nRUN x\n",
    "\\\n",
    "\\\nFROM a\n",
    "FROM a\nRUN x # not a comment \\\n y\n",
    "FROM a\n \t\v\f RUN  \t x  y \t\n",
    "FROM a\nRUN\n",
    "FROM a\nRUN \\\n\n",
    "FROM a\nBOGUS x y\n",
    "FROM a\nRUNN <<EOF\nx\nEOF\n",
    "FROM a\nRUN <<EOF\nx\n  y\nEOF\nRUN z\n",
    "FROM a\nRUN <<EOF\r\nx\r\nEOF\r\nRUN z\r\n",
    "FROM a\nRUN <<-EOF\n\tx\n\t\ty\n\tEOF\n",
    "FROM a\nRUN <<EOF\n\tEOF\nEOF\n",
    "FROM a\nRUN <<'EOF'\n$x\nEOF\n",
    "FROM a\nRUN <<\"EOF\"\n$x\nEOF\n",
    "FROM a\nRUN <<E'O'F\n$x\nEOF\n",
    "FROM a\nRUN <<\\EOF\n$x\nEOF\n",
    "FROM a\nRUN << EOF\nx\nEOF\n",
    "FROM a\nRUN <<- EOF\nx\nEOF\n",
    "FROM a\nRUN 3<<EOF cat /dev/fd/3\nx\nEOF\n",
    "FROM a\nRUN x3<<EOF\nx\nEOF\n",
    "FROM a\nRUN cat <<EOF > f && <<B cat\nx\nEOF\ny\nB\n",
    "FROM a\nRUN cat <<<EOF\n",
    "FROM a\nRUN <<EOF\nx\n",
    "FROM a\nRUN <<EOF",
    "FROM a\nRUN <<EOF\nEOF",
    "FROM a\nRUN <<EOF\nEOF \nEOF\n",
    "FROM a\nRUN echo $((1 << 2))\n",
    "FROM a\nRUN echo $((1<<2))\n",
    "FROM a\nRUN echo '<<EOF'\n",
    "FROM a\nRUN echo \"<<EOF\"\nx\nEOF\n",
    "FROM a\nRUN echo \\<<EOF\n",
    "FROM a\nRUN echo 'unbalanced <<EOF\n",
    "FROM a\nRUN echo ${x <<EOF\n",
    "FROM a\nRUN echo ${x:-y <<EOF\nx\nEOF\n}\n",
    "FROM a\nRUN <<${x:-EOF}\nx\n",
    "FROM a\nRUN <<EOF${x:-y}\nx\n",
    "FROM a\nRUN a${x:-b c} <<EOF\nx\nEOF\n",
    "FROM a\nRUN [\"x\",\"<<EOF\"]\n",
    "FROM a\nCOPY <<a <<b /dir/\n1\na\n2\nb\n",
    "FROM a\nCOPY <<a /dir/ \\\n  <<b\n1\na\n2\nb\n",
    "FROM a\nADD --chmod=644 <<a /a\nx\na\n",
    "FROM a\nONBUILD RUN <<EOF\nx\nEOF\n",
    "FROM a\nONBUILD ONBUILD RUN <<EOF\nRUN x\n",
    "FROM a\nONBUILD\n",
    "FROM a\nONBUILD RUN [\"x\"]\n",
    "FROM a\nONBUILD COPY --from=b <<x /y\nx\nx\n",
    "FROM a\nONBUILD --x RUN --y z\n",
    "FROM a\nENV <<EOF\n",
    "FROM a\nENV a=<<EOF\n",
    "FROM a\nCMD <<EOF\nRUN x\n",
    "FROM a\nRUN --mount=type=cache,target=/x  --network=none make\n",
    "FROM a\nRUN --mount=type=secret,id=\"a b\" make\n",
    "FROM a\nRUN --a\\ b --'c d' x\n",
    "FROM a\nRUN -- --x y\n",
    "FROM a\nRUN --a -- --x\n",
    "FROM a\nRUN --\n",
    "FROM a\nRUN --a\n",
    "FROM a\nRUN --a=\"x\n",
    "FROM a\nRUN --a=x\\",
    "FROM a\nRUN --é=ü x\n",
    "FROM a\nRUN --a\u00a0b c\n",
    "FROM a\nRUN\u00a0x\n",
    "FROM a\nRUN x\u00a0\u2003\n",
    "FROM --platform=$BUILDPLATFORM a AS b\n",
    "FROM a as B\nFROM b\n",
    "FROM\n",
    "FROM a b\n",
    "ARG x=1 y=\"2 3\" z\nFROM a\n",
    "FROM a\nARG a='b c' d\\ e\n",
    "FROM a\nARG \\\n",
    "FROM a\nENV a b c  d \n",
    "FROM a\nENV a=b c=\"d e\" f='g h' i\\ j=k\n",
    "FROM a\nENV a=b c\n",
    "FROM a\nENV a\n",
    "FROM a\nENV\n",
    "FROM a\nENV =\n",
    "FROM a\nENV a==b\n",
    "FROM a\nENV \"a b\"=c\n",
    "FROM a\nENV \"a b\" c\n",
    "FROM a\nENV A=${B:-x y}\n",
    "FROM a\nENV a \\\n b\n",
    "FROM a\nENV a='b\\'c' d=e\n",
    "FROM a\nENV a=\"b\\\"c\" d=e\n",
    "FROM a\nENV a=\"b c\n",
    "FROM a\nENV a=b\\\n",
    "FROM a\nENV a=b\\",
    "FROM a\nENV \\",
    "FROM a\nENV a\u00a0b=c\n",
    "FROM a\nLABEL a=b\\\n  c=d\n",
    "FROM a\nLABEL a b=c\n",
    "FROM a\nLABEL\n",
    "FROM a\nCMD [\"a\", \"b\"]\n",
    "FROM a\nCMD [ ]\n",
    "FROM a\nCMD []\n",
    "FROM a\nCMD [\"a\", 1]\n",
    "FROM a\nCMD [\"a\", null, true, {}, []]\n",
    "FROM a\nCMD [1e999]\n",
    "FROM a\nCMD [\"a\" \"b\"]\n",
    "FROM a\nCMD ['a']\n",
    "FROM a\nCMD [\"a\",]\n",
    "FROM a\nCMD [\"a\"] x\n",
    "FROM a\nCMD [\"a\"\n",
    "FROM a\nCMD [\"\\u00e9\\ud83d\\ude00\\ud800\\n\\/\"]\n",
    "FROM a\nCMD [\"\\x\"]\n",
    "FROM a\nCMD [\"a\tb\"]\n",
    "FROM a\nCMD [01]\n",
    "FROM a\nCMD [-0, 1.5e+3]\n",
    "FROM a\nCMD [\"a\", [[\"b\"], {\"c\": [{}]}]]\n",
    "FROM a\nCMD [\"a\", {\"b\"}]\n",
    "FROM a\nCMD [" + "[" * 9998 + "]" * 9998 + "]\n",
    "FROM a\nCMD [" + "[" * 9999 + "]" * 9999 + "]\n",
    "FROM a\nCMD [" + "[" * 10000 + "]" * 10000 + "]\n",
    "FROM a\nCMD [\"a\", {\"b\": [1, {\"c\": \"d\"}], \"e\": null}, [\"f\", [ ] ]]\n",
    "FROM a\nCMD [\"\\ud83d\\u0041\\ude00\\ud83dx\"]\n",
    "FROM a\nCMD [1.]\nCMD [.5]\nCMD [1e]\nCMD [+1]\nCMD [-]\nCMD [tru]\nCMD [[1 2]]\nCMD [{a:1}]\n",
    "FROM a\nCMD " + "[" * 200 + "]" * 200 + "\n",
    "FROM a\nRUN [ -f x ] && y\n",
    "FROM a\nRUN [ \"a\" = \"b\" ]\n",
    "FROM a\nRUN --x [\"a\"]\n",
    "FROM a\nENTRYPOINT exec x\n",
    "FROM a\nSHELL [\"a\"]\n",
    "FROM a\nSHELL a b\n",
    "FROM a\nCOPY a b  c\td\n",
    "FROM a\nCOPY [\"a b\", \"c\"]\n",
    "FROM a\nCOPY --from=x [\"a b\", \"c\"]\n",
    "FROM a\nCOPY \"a b\" c\n",
    "FROM a\nCOPY\n",
    "FROM a\nVOLUME /a /b\nVOLUME [\"/a\"]\nVOLUME [\"/a\"\n",
    "FROM a\nEXPOSE 80 443/tcp\n",
    "FROM a\nHEALTHCHECK NONE\n",
    "FROM a\nHEALTHCHECK\n",
    "FROM a\nHEALTHCHECK --interval=5s CMD curl x\n",
    "FROM a\nHEALTHCHECK CMD [\"a\",\"b\"]\n",
    "FROM a\nHEALTHCHECK CMD [1]\n",
    "FROM a\nHEALTHCHECK CMD\n",
    "FROM a\nHEALTHCHECK CMD\u00a0x\n",
    "FROM a\nMAINTAINER A <a@b>\nUSER a:b\nWORKDIR /a b\nSTOPSIGNAL 9\n",
    "FROM a\nUSER\n",
    "RUN x\nFROM a\nFROM b\n",
    "FROM a\n" + "x" * 65535 + "\n",
    "FROM a\n" + "x" * 65536 + "\n",
    "FROM a\nRUN " + "x" * 65531,
    "FROM a\nRUN " + "x" * 65532,
    "FROM a\nRUN <<EOF\n" + "x" * 70000 + "\nEOF\n",
    "FROM a\nRUN \\\n" + "x" * 70000 + "\n",
]

WORDS = ["a", "b=c", "é", "$x", "${x}", "${x:-y}", "${x:-y z}", "${x/a/b}", "'q r'", '"q r"', "\\", "\\ ",
         "`", "<<EOF", "<<-EOF", "<<'EOF'", "<< EOF", "<<B", "<", "--f=1", "--f='1 2'", "--", "-x",
         '["a","b"]', '["a", 1]', "[", "]", '"', "'", "#", "=", "&&", "  ", "\t", "\u00a0", "\u2003", "$", "${",
         "}", ":", "${x:-<<EOF}", "3<<EOF", "AS", "CMD", "NONE", "\\n", '\\"', "\\'", "{", "\r", "\v"]
KEYWORDS = ["FROM", "RUN", "run", "CMD", "COPY", "ADD", "ENV", "LABEL", "ARG", "ONBUILD", "ONBUILD RUN",
            "ONBUILD COPY", "ONBUILD ENV", "HEALTHCHECK", "HEALTHCHECK CMD", "SHELL", "ENTRYPOINT", "VOLUME",
            "EXPOSE", "USER", "WORKDIR", "MAINTAINER", "STOPSIGNAL", "BOGUS", "", "#", "Env"]
ENDS = ["\n", "\n", "\n", "\r\n", " \\\n", "\\\n", "\\ \n", "\\\\\n", "`\n", " `\r\n", "", "\n\n", "\n# c\n"]
LINES = ["EOF", "\tEOF", "B", "EOF ", " EOF", "x", "", "# c", "RUN x"]
HEADS = ["", "", "", "# escape=`\n", "# escape=\\\n", "# syntax=a b\n", "#check=x\n", "# c\n", "\n"]


def random_dockerfile(rng):
    text = [rng.choice(HEADS), rng.choice(HEADS)]
    for _ in range(rng.randint(1, 6)):
        if rng.random() < 0.2:
            text.append(rng.choice(LINES) + rng.choice(ENDS))
            continue
        words = [rng.choice(WORDS) for _ in range(rng.randint(0, 5))]
        text.append(rng.choice(KEYWORDS) + rng.choice([" ", " ", "  ", "\t", ""]) +
                    rng.choice([" ", " ", ""]).join(words) + rng.choice(ENDS))
        if "<<" in text[-1] and rng.random() < 0.8:
            text.append("x$y\n" + rng.choice(["EOF", "EOF", "EOF", "\tEOF", "B"]) + rng.choice(["\n", "\r\n"]))
            if rng.random() < 0.4:
                text.append(rng.choice(["EOF\n", "B\n"]))
    return "".join(text).encode()


def random_bytes(rng):
    """A Dockerfile with some bytes spoilt: no NUL, which ours refuses and BuildKit passes on."""
    data = bytearray(random_dockerfile(rng))
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randint(1, 255)
    return bytes(data)


def dockerfiles(count):
    rng = random.Random(SEED)
    cases = [text.encode() for text in DOCKERFILES]
    cases += [random_dockerfile(rng) for _ in range(count)]
    cases += [random_bytes(rng) for _ in range(count // 4)]
    return cases


IGNORES = [
    "", "*", "**", "# c\na", " a ", "/a", "//a/", "./a", "a/../b", "../a", "a/", "!a", "*\n!a", "a\n!a/b",
    "a/*\n!a/b", "**/b", "**/b/**", "a/**", "a/**/c", "**b", "b**", "**/*.txt", "*.txt", "a*c", "a?c", "[ab]",
    "[^a]", "[a-c]", "[", "[]", "[a", "[z-a]", "b*a\\", "x**\\", "b?[\\", "[a-]", "[-a]", "\\a", "\\*", "\\", "a\\", "\\[", "\\d", "\\w*",
    "\\1", "!", "!!a", "! a", "!/", "#a", "\ufeffa", "a b", "a|b", "a|b*", "a{2}*", "{a,b}*", "a.b*", "a.c",
    "a+*", "a(b)*", "$*", "^a", "^a*", "[?]", "[*]", "[**]", "[[:alpha:]]", "[[:foo:]]", "a/b\n!a", "*\n!a/b/c",
    "*\n!a/**\na/b", "a\n!a\na/b", ".", "..", "/", "a/./b", "*/b", "*/*", "*/*/c", "?", "???", "**/a/**/c",
    "**/", "***", "**/**", "a**/b", "**/?", "!**\na", "a\n!**/c", "é*", "[é]", "**é", "a\r\nb\r\n", "[]a]", "[^]]",
    "[a^]*", "[\\]]", "[a\\-z]", "a{b*", "}*", "a*|", "|a*", ".*", "**.txt", "**/.git", "a/**/", "**/b*", "*a*b*c*",
]
PATHS = ["a", "b", "c", "abc", "aXc", "a/b", "a/c", "a/b/c", "a/X/c", "a/X/Y/c", "b/a", "b/b", "x.txt", "a/x.txt",
         "a/b/x.txt", "é", "éa", "aé", "a b", "a|b", "{a,b}", "aa", "aaz", "a.b", "a.c", "axc", "a+", "a(b)z", "$x",
         "^a", "?", "*", "[", "]", "[]", "0", "d", "-", "\\", "#a", "!a", ".git", "a/.git", ".git/x", "a\nb", "]a",
         "x/y/b/z", "zb", "bz", "a/b/", "[z", "ab]", "é/b", "X/é"]

PIECES = ["a", "b", "c", "*", "**", "?", "/", "/", "**/", "/**", "[ab]", "[^a]", "[a-c]", "\\*", "\\a", ".", "..", "é",
          ".txt", "!", "[", "]", "|", "{", "}", "{2}", "^", "$", "+", "-", " ", "[*]", "[?]", "\\d", "(", ")"]


def ignores(count):
    rng = random.Random(SEED)
    cases = [(text, PATHS) for text in IGNORES]
    for _ in range(count):
        lines = []
        for _ in range(rng.randint(1, 4)):
            line = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 5)))
            lines.append(("!" if rng.random() < 0.3 else "") + line)
        paths = ["/".join(rng.choice(["a", "b", "c", "ab", "x.txt", "é", "aa", "*", "d"]) for _ in
                          range(rng.randint(1, 4))) for _ in range(12)]
        cases.append(("\n".join(lines), PATHS + paths))
    return cases


VALUES = ["x=abcabc", "y=", "z=a b", "e=é*é", "n=a\nb"]
EXPANSIONS = [
    "$x", "${x}", "$u", "${u}", "$", "$$", "${", "${}", "${:x}", "${x", "a$x!", "${x:-d}", "${u:-d}", "${y:-d}",
    "${y-d}", "${u-d}", "${x:+d}", "${y:+d}", "${y+d}", "${u+d}", "${x:?m}", "${u:?m}", "${u?}", "${y?m}", "${y:?}",
    "${x#a}", "${x#*b}", "${x##*b}", "${x%c}", "${x%b*}", "${x%%b*}", "${x#}", "${x%}", "${x##}", "${x/b/X}",
    "${x//b/X}", "${x//b/}", "${x//*/X}", "${x/?/X}", "${x//?/X}", "${x///X}", "${x/b}", "${x/b/X", "${u/b/X}",
    "${x/\\//X}", "${x#\\a}", "${x#\\*}", "${x:#a}", "${x:3}", "${x^}", "${u:-${x}}", "${u:-${v:-w}}", "${u:-'a}'}",
    "${u:-\"a}\"}", "'$x'", "\"$x\"", "\"\\$x\"", "\\$x", "a\\b", "a\\", "'a", "\"a", "\"a\\", "\"a\\b\"", "`$x", "$1",
    "$10x", "$@", "$*", "$-", "$?", "${1}", "${@}", "<<EOF", "< <", "<<", "é", "${e%\\*é}", "${e#é}", "${e%é}",
    "${e//é/x}", "${n#a?}", "${n##*}", "${n//?/x}", "${x%%}", "${x%\\}", "${u:-a b}", "$x$x", "${x}y", "$xy",
    "${x##a*c}", "${x#a*c}", "${x%a*c}", "${x%%a*c}", "${x/a*b/X}", "${x//ab/$y}", "${u:=d}", "${é}", "$é",
]


def words(count):
    rng = random.Random(SEED)
    cases = [(escape, text) for text in EXPANSIONS for escape in "\\`"]
    pieces = ["a", "b", "c", "$x", "${x", "${y", "${u", "${e", "}", ":-", ":+", "-", "+", "#", "##", "%", "%%", "/",
              "//", "*", "?", "\\", "'", '"', "é", " ", "`", "<", "\\*", "\\}"]
    for _ in range(count):
        cases.append((rng.choice("\\\\`"), "".join(rng.choice(pieces) for _ in range(rng.randint(1, 8)))))
    return cases


def trees(count):
    """(ignore file, files): folders and files to make, as {path: text, or None for a folder}."""
    rng = random.Random(SEED)
    names = ["a", "b", "c", "ab", "x.txt", "d e", "é"]
    texts = ["a/*\n!a/b\n", "*\n!a/b/c\n", "**/x.txt\n", "*\n!**/b\n", "a\n!a/b/c\nb\n!b\n", "[ab]\n!a/a\n"]
    cases = []
    for number in range(count):
        tree = {}
        for _ in range(rng.randint(1, 14)):
            parts = [rng.choice(names) for _ in range(rng.randint(1, 4))]
            for end in range(1, len(parts)):
                tree["/".join(parts[:end])] = None
            tree.setdefault("/".join(parts), rng.choice([None, "", "text"]))
        if number < len(texts):
            text = texts[number]
        else:
            text = "\n".join(("!" if rng.random() < 0.4 else "") + "/".join(
                rng.choice(names + ["*", "**", "?", "[ab]", "a*"]) for _ in range(rng.randint(1, 3)))
                for _ in range(rng.randint(1, 4)))
        for path in [path for path in tree if tree[path] is not None]:
            if any(other.startswith(path + "/") for other in tree):
                tree[path] = None
        cases.append((text, tree))
    return cases
