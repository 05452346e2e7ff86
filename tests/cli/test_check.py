"""strake check: what is found, how it is told, what silences it, and what a team adds."""

import json
import subprocess
import time

import pytest

BAD = "FROM debian:12\nRUN apt-get update\nCMD sleep 10\n"


@pytest.fixture
def folder(tmp_path):
    where = tmp_path / "project"
    where.mkdir()
    (where / "Dockerfile").write_text(BAD)
    return where


def rules_of(done) -> list:
    return [one["rule"] for one in done.json()["findings"]]


def check(strake, folder, *args, exit: int = 0):
    done = strake("check", *args, cwd=folder)
    assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
    return done


# ---- how it is told -----------------------------------------------------------------------------


def test_a_frame_shows_where(strake, folder):
    out = check(strake, folder).out
    assert "Dockerfile:2:5: info: this layer keeps apt's package lists [apt-clean, DL3009]\n" in out
    assert "     2 | RUN apt-get update\n       |     ^~~~~~~~~~~~~~\n" in out
    assert "= end this RUN with `rm -rf /var/lib/apt/lists/*`" in out
    assert out.endswith("1 file checked, 2 warnings, 1 info\n"), out


def test_the_caret_stands_under_what_is_meant_behind_a_continuation(strake, folder):
    (folder / "Dockerfile").write_text("FROM debian:12\nRUN true && \\\n# a comment\n\tapt-get update\nUSER 1\n")
    out = check(strake, folder).out
    assert "Dockerfile:4:2: info" in out and "     4 | \tapt-get update\n       | \t^~~~~~~~~~~~~~\n" in out, out


def test_the_document(strake, folder):
    document = check(strake, folder, "--json").json()
    assert (document["schema"], document["status"], document["files"]) == ("strake.check/1", "done", 1)
    finding = document["findings"][0]
    assert finding == {"rule": "no-user", "severity": "warning", "file": "Dockerfile", "line": 1, "end_line": 1,
                       "column": 1, "end_column": 5, "message": "the image runs as root: the last stage has no USER",
                       "fix": "end the stage with USER NAME"}


def test_the_threshold_decides_the_exit_code(strake, folder):
    check(strake, folder, "--fail-on", "error")
    check(strake, folder, "--fail-on", "none")
    done = check(strake, folder, "--fail-on", "warning", exit=4)
    assert "error: 2 findings of severity warning or above" in done.err and "--explain RULE" in done.err
    done = check(strake, folder, "--fail-on", "info", "--json", exit=4)
    error = done.json()["error"]
    assert done.json()["status"] == "failed" and len(done.json()["findings"]) == 3
    assert (error["kind"], error["exit"], error["message"]) == ("dockerfile", 4, "3 findings of severity info or above")


def test_github_gcc_and_sarif(strake, folder):
    lines = check(strake, folder, "--format", "github").out.splitlines()
    assert lines[1] == ("::notice file=Dockerfile,line=2,endLine=2,col=5,title=apt-clean::this layer keeps apt's package "
                        "lists%0Aend this RUN with `rm -rf /var/lib/apt/lists/*`")
    lines = check(strake, folder, "--format", "gcc").out.splitlines()
    assert lines[1] == "Dockerfile:2:5: note: this layer keeps apt's package lists [apt-clean]"
    sarif = json.loads(check(strake, folder, "--format", "sarif").out)
    assert sarif["version"] == "2.1.0"
    result = sarif["runs"][0]["results"][1]
    assert (result["ruleId"], result["level"]) == ("apt-clean", "note")
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 2


def test_files_are_found_and_told_in_order(strake, tmp_path):
    for name in ("a/Dockerfile", "a/Dockerfile.dev", "b/app.Dockerfile", "c/Containerfile", "b/Dockerfile.dockerignore", ".git/Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("FROM debian\nUSER 1\n")
    document = check(strake, tmp_path, "--json").json()
    assert [one["file"] for one in document["findings"]] == ["a/Dockerfile", "a/Dockerfile.dev", "b/app.Dockerfile", "c/Containerfile"]
    assert set(rules_of(check(strake, tmp_path, "--json", "a/Dockerfile", "c"))) == {"base-untagged"}


def test_many_files_give_the_same_on_several_threads(strake, tmp_path):
    for n in range(200):
        (tmp_path / f"{n:03}").mkdir()
        (tmp_path / f"{n:03}/Dockerfile").write_text(BAD if n % 3 else "FROM debian:12\nUSER 1\n")
    found = check(strake, tmp_path, "--json").json()["findings"]
    assert len(found) == 133 * 3
    assert [one["file"] for one in found] == sorted(one["file"] for one in found)


def test_standard_input(strake, tmp_path):
    child = strake.popen("check", "--json", "-", cwd=tmp_path, stdin=subprocess.PIPE)
    out, err = child.communicate("FROM debian\nUSER 1\n", timeout=30)
    assert child.returncode == 0, err
    assert [(one["rule"], one["file"]) for one in json.loads(out)["findings"]] == [("base-untagged", "-")]


@pytest.mark.parametrize("args, words", [
    (["--format", "sarf"], "did you mean 'sarif'?"),
    (["--fail-on", "warn"], "there is no severity 'warn'"),
    (["--explain", "apt-claen"], "did you mean 'apt-clean'?"),
    (["nowhere"], "nowhere: No such file or directory"),
    (["--syntax", ".", "."], "--syntax shows one file at a time"),
])
def test_wrong_words_are_usage_errors(strake, folder, args, words):
    assert words in check(strake, folder, *args, exit=2).err


def test_a_folder_without_a_dockerfile_is_told(strake, tmp_path):
    assert "there is no Dockerfile below this folder" in check(strake, tmp_path, exit=2).err


def test_a_rule_is_explained(strake, folder):
    out = check(strake, folder, "--explain", "DL3009").out
    assert out.startswith("apt-clean (info)\nA layer keeps apt's package lists\n\nWhy:\n") and "\nInstead of:\nFROM" in out
    document = check(strake, folder, "--explain", "apt-clean", "--json").json()
    assert document["schema"] == "strake.rule/1" and document["aliases"] == ["DL3009"]


# ---- what silences ------------------------------------------------------------------------------


def waived(done) -> dict:
    return {one["rule"]: one["waived"] for one in done.json()["findings"] if "waived" in one}


@pytest.mark.parametrize("comment, reason", [
    ("# strake ignore=apt-clean the lists are wanted", {"reason": "the lists are wanted"}),
    ("# strake ignore=DL3009 until=2999-01-31 for now", {"reason": "for now", "until": "2999-01-31"}),
    ("# hadolint ignore=DL3009", {"reason": "hadolint ignore"}),
    ("#hadolint ignore=DL3008,DL3009", {"reason": "hadolint ignore"}),
])
def test_a_comment_above_silences(strake, folder, comment, reason):
    (folder / "Dockerfile").write_text(BAD.replace("RUN", f"{comment}\nRUN"))
    done = check(strake, folder, "--json", "--fail-on", "info", exit=4)
    assert waived(done) == {"apt-clean": reason}
    assert len(done.json()["findings"]) == 3
    assert "waived" in check(strake, folder).out


def test_comments_for_the_stage_and_the_file(strake, folder):
    (folder / "Dockerfile").write_text("# hadolint global ignore=DL3025\n" + BAD)
    assert set(waived(check(strake, folder, "--json"))) == {"json-args"}
    (folder / "Dockerfile").write_text("# check=skip=JSONArgsRecommended;error=true\n" + BAD)
    assert set(waived(check(strake, folder, "--json"))) == {"json-args"}
    (folder / "Dockerfile").write_text("FROM debian:12 AS one\nCMD a\n# hadolint stage ignore=DL3025\nFROM one\nCMD b\nUSER 1\n")
    found = check(strake, folder, "--json").json()["findings"]
    assert [(one["line"], "waived" in one) for one in found if one["rule"] == "json-args"] == [(2, False), (5, True)]


@pytest.mark.parametrize("comment, rule", [
    ("# strake ignore=apt-clean", "ignore-without-reason"),
    ("# strake ignore=apt-clean until=soon because", "ignore-without-reason"),
    ("# strake ignore=apt-claen because", "ignore-unknown"),
    ("# strake ignore=apt-clean until=2020-01-01 because", "ignore-expired"),
])
def test_a_comment_that_does_not_hold_is_a_finding(strake, folder, comment, rule):
    (folder / "Dockerfile").write_text(BAD.replace("RUN", f"{comment}\nRUN"))
    done = check(strake, folder, "--json")
    assert rule in rules_of(done) and not waived(done), done.out


# ---- what strake.lua says -----------------------------------------------------------------------


def test_check_switches_rules(strake, folder):
    (folder / "strake.lua").write_text('check { disable = { "apt-clean", "DL3025" }, enable = { "base-unpinned" },\n'
                                       '        severity = { ["no-user"] = "error" } }\n')
    done = check(strake, folder, "--json", exit=4)
    assert [(one["rule"], one["severity"]) for one in done.json()["findings"]] == [("base-unpinned", "info"), ("no-user", "error")]


@pytest.mark.parametrize("said, words", [
    ('check { disable = { "apt-claen" } }', "disable: there is no rule 'apt-claen'"),
    ('check { disabled = {} }', "there is no option 'disabled'"),
    ('check { severity = { ["apt-clean"] = "bad" } }', 'severity: apt-clean is "error", "warning", "info" or "style"'),
    ('check { enable = "x" }', "enable must be a table"),
    ('rule "a" { summary = "x", check = function() end }', 'severity is missing'),
    ('rule "a" { severity = "warning", summary = "x", on = "RUM", check = print }', "did you mean 'RUN'?"),
    ('rule "a" { severity = "bad", summary = "x", check = print }', 'severity must be "error", "warning", "info" or "style"'),
    ('rule "a" { severity = "info", summary = "x", check = 1 }', "check must be a function"),
    ('rule "apt-clean" { severity = "info", summary = "x", check = print }', "there is a rule 'apt-clean' already"),
])
def test_wrong_declarations_are_told(strake, folder, said, words):
    (folder / "strake.lua").write_text(said + "\n")
    done = check(strake, folder, exit=3)
    assert words in done.err and "strake.lua:1" in done.err, done.err


TEAM = """
rule "no-latest-node" {
  severity = "error",
  summary = "An old Node.js",
  on = "FROM",
  check = function(from)
    if from.args[1]:find("^node:1[0-8]") then report(from, "an old Node.js", { fix = "take node:22" }) end
  end,
}
"""


def test_a_team_writes_a_rule(strake, folder):
    (folder / "strake.lua").write_text(TEAM)
    (folder / "Dockerfile").write_text("FROM node:16.1\nUSER 1\n")
    done = check(strake, folder, "--json", exit=4)
    assert [(one["rule"], one["fix"]) for one in done.json()["findings"] if one["severity"] == "error"] == [("no-latest-node", "take node:22")]
    (folder / "strake.lua").write_text("")
    (folder / "more.lua").write_text(TEAM)
    assert "no-latest-node" in rules_of(check(strake, folder, "--json", "--rules", "more.lua", exit=4))


@pytest.mark.parametrize("body, words", [
    ("error('broken')", "broken"),
    ("error({})", "a table"),
    ("while true do end", "ran for more than 20 million instructions"),
    ("local s, t = ('x'):rep(1000000), {} for i = 1, 1000 do t[i] = s .. i end", "more than 256 MiB of memory"),
    ("return nil + 1", "arithmetic"),
    ("report(run)", "bad argument"),
    ("report('x', 'y')", "an instruction, a stage, a command or a line expected"),
    ("build('app')", "not allowed"),
    ("exec { 'true' }", "not allowed"),
])
def test_a_rule_that_fails_is_told_and_the_others_go_on(strake, folder, body, words):
    (folder / "strake.lua").write_text(f'rule "mine" {{ severity = "info", summary = "x", on = "RUN", check = function(run)\n{body}\nend }}\n')
    done = check(strake, folder, "--json", exit=3)
    assert "apt-clean" in rules_of(done) and "json-args" in rules_of(done)
    assert 'rule "mine" failed at Dockerfile' in done.err and words in done.err, done.err


def test_a_rule_does_not_change_what_others_see(strake, folder):
    """What ships, and the organisation, see the file as it is."""
    (folder / "strake.lua").write_text("""
rule "spoiler" { severity = "info", summary = "x", on = "file", check = function(file)
  for instruction in file:each() do
    instruction.keyword = "X"
    if instruction.commands then instruction.commands = {} end
  end
  file.instructions, file.stages = {}, {}
  pcall(setmetatable, file, {})
  pcall(rawset, string, "find", print)
  getmetatable(file)
end }
""")
    assert rules_of(check(strake, folder, "--json")) == ["no-user", "apt-clean", "json-args"]


def test_an_organisation_cannot_be_switched_off(strake, folder, tmp_path):
    system = tmp_path / "etc"
    system.mkdir()
    (system / "rules.lua").write_text(TEAM.replace("no-latest-node", "org-node") + 'check { enable = { "base-unpinned" } }\n')
    (folder / "strake.lua").write_text('check { disable = { "org-node", "base-unpinned" } }\n')
    (folder / "Dockerfile").write_text("FROM node:16.1\nUSER 1\n")
    done = strake("check", "--json", cwd=folder, env={"STRAKE_SYSTEM_CONFIG": str(system)})
    assert done.exit == 4 and {"org-node", "base-unpinned"} <= set(rules_of(done))


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text, rule", [
    (b"FROM debian:12\n" + b"# x\n" * (13 * 1024 * 1024), "syntax"),
    (b"FROM debian:12\nRUN " + b"x" * (10 * 1024 * 1024), "syntax"),
    (b"FROM a\0b\n", "syntax"),
    (b"FROM debian:12\nRUN <<EOF\n" + b"x\n" * 100000, "syntax"),
    (b"", "syntax"),
    (b"RUN true\n", "no-stage"),
    (b"\xef\xbb\xbfFROM debian\nUSER 1\n", "base-untagged"),
    (b"FROM debian\r\nUSER 1\r\n", "base-untagged"),
    (b"FROM debian\nRUN echo \xff\xfe\nUSER 1\n", "base-untagged"),
    (b"FROM debian AS a\n" * 10000, "syntax"),
    (b"FROM debian AS a\n" * 900, "duplicate-stage-name"),
], ids=["50 MiB", "one line", "NUL", "endless here-document", "empty", "no stage", "BOM", "CRLF", "no UTF-8", "10,000 stages", "900 stages"])
def test_any_bytes_are_answered_soon(strake, folder, text, rule):
    (folder / "Dockerfile").write_bytes(text)
    started = time.monotonic()
    done = strake("check", "--json", cwd=folder)
    assert done.exit in (0, 4) and rule in rules_of(done), done.err + done.out[:1000]
    assert all(one["line"] > 0 for one in done.json()["findings"])
    assert time.monotonic() - started < 30


def test_a_file_that_does_not_parse_leaves_the_others(strake, tmp_path):
    for name, text in (("a", "FROM\nRUN <<X\n"), ("b", "FROM debian\nUSER 1\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(text)
    assert rules_of(check(strake, tmp_path, "--json", exit=4)) == ["syntax", "base-untagged"]


# ---- --syntax -----------------------------------------------------------------------------------


def test_the_syntax_is_shown(strake, folder):
    (folder / "Dockerfile").write_text("ARG V=1\nFROM debian:$V\nRUN --mount=type=cache,target=/x make \\\n  install\n")
    document = check(strake, folder, "--syntax", "--json").json()
    assert document["schema"] == "strake.syntax/1"
    assert document["instructions"][2] == {"keyword": "RUN", "line": 3, "end_line": 4, "stage": 0, "json": False,
                                           "flags": ["--mount=type=cache,target=/x"], "args": ["make   install"]}
    (folder / "Dockerfile").write_text("FROM a\nRUN <<E\n")
    done = check(strake, folder, "--syntax", "--json", exit=4)
    assert (done.json()["schema"], done.json()["error"]["kind"], done.json()["error"]["line"]) == ("strake.error/1", "dockerfile", 2)


def test_the_seeds_image_is_found_and_its_mended_form_is_clean(strake, folder):
    (folder / "Dockerfile").write_text("""FROM opensuse/leap:latest
MAINTAINER ops@example.org
ARG GITHUB_TOKEN
RUN zypper refresh && zypper -n install curl sudo tmux zsh gcc
RUN curl -fsSL https://example.org/helm.sh | bash
RUN curl -LO https://example.org/kubectl-linux-amd64 || true
RUN echo 'dev ALL=(ALL) NOPASSWD: ALL' >> /etc/sudoers
COPY . /home/dev
CMD tmux
""")
    found = set(rules_of(check(strake, folder, "--json", exit=4)))
    assert {"base-latest", "maintainer-deprecated", "secret-in-arg-or-env", "zypper-clean", "pipe-to-shell", "swallowed-failure",
            "sudo-nopasswd", "no-user", "json-args", "build-tools-left"} <= found, found
    (folder / "Dockerfile").write_text("""FROM opensuse/leap:16.0
LABEL org.opencontainers.image.authors="ops@example.org"
ARG TARGETARCH
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.org/kubectl-linux-$TARGETARCH /usr/bin/kubectl
RUN zypper -n install --no-recommends curl=8.6.0 tmux=3.4 zsh=5.9 && \\
    zypper clean -a && \\
    useradd --no-log-init --uid 1000 dev
COPY files/ /home/dev/
USER 1000
CMD ["tmux"]
""")
    assert check(strake, folder, "--json", "--fail-on", "info").json()["findings"] == []
