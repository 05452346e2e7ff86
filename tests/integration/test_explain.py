"""strake cache explain: what each miss is put down to, with a real BuildKit, and what is never claimed."""

import contextlib
import json
import sqlite3
import subprocess
import uuid

import pytest

from harness.servers import BuildKit


@pytest.fixture
def env(buildkit) -> dict:
    return {"BUILDKIT_HOST": buildkit.address}


@pytest.fixture
def build(strake, env, request):
    """build(folder, …) builds it. Each test has a first RUN of its own: the builder is everybody's."""

    def run(folder, *words, exit=0, env=env):
        done = strake("build", *words, ".", cwd=folder, env=env)
        assert done.exit == exit, done.err

    return run


@pytest.fixture
def explain(strake):
    """explain(folder) -> the document, and the causes by the text of the step."""

    def run(folder, *words):
        done = strake("cache", "explain", *words, "--json", cwd=folder)
        assert done.exit == 0, done.err
        document = done.json()
        assert document["schema"] == "strake.explain/1"
        missed = [step for step in document["steps"] if not step["cached"]]
        assert (len(missed), len(document["steps"]) - len(missed)) == (document["missed"], document["cached"])
        assert all(("cause" in step) != step["cached"] for step in document["steps"])
        return document, {step["name"].split("] ", 1)[1]: step["cause"] for step in missed}

    return run


def dockerfile(base: str, name: str, *lines: str) -> str:
    return "\n".join([f"FROM {base}", f"RUN echo {name} > /name", *lines, ""])


def replace(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_copy_names_the_files_that_changed(project, base, build, explain, strake):
    folder = project({"Dockerfile": dockerfile(base, "files", "COPY src *.txt /src/", "RUN cat /src/*", "RUN echo after"),
                      ".dockerignore": "src/ignored\n", "src/a": "1", "src/b": "1", "src/ignored": "1", "one.txt": "1",
                      "other": "1"})
    build(folder)
    (folder / "src/ignored").write_text("2")
    (folder / "other").write_text("2")
    build(folder)
    document, causes = explain(folder)
    assert causes == {} and document["missed"] == 0 and "first_missed" not in document
    (folder / "src/a").write_text("changed")
    (folder / "src/b").unlink()
    (folder / "two.txt").write_text("new")
    build(folder)
    document, causes = explain(folder)
    cause = causes.pop("COPY src *.txt /src/")
    assert cause["kind"] == "files" and cause["files_total"] == 3
    assert {file["path"]: file["change"] for file in cause["files"]} == {
        "src/a": "changed", "src/b": "removed", "two.txt": "added"}
    assert [cause["kind"] for cause in causes.values()] == ["parent", "parent"]
    assert causes["RUN cat /src/*"]["name"].endswith("COPY src *.txt /src/")
    assert document["cached"] == 1 and document["first_missed"].endswith("COPY src *.txt /src/")
    assert document["steps"][1]["line"] == 3
    assert document["missed_ms"] >= document["steps"][1]["duration_ms"] and document["last_ms"] == 0
    shown = strake("cache", "explain", cwd=folder)
    assert shown.exit == 0 and "MISSED" in shown.out and "removed  src/b" in shown.out


def test_no_more_than_twenty_files_are_named(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "many", "COPY . /all")})
    build(folder)
    for number in range(30):
        (folder / f"file{number:02}").write_text("x")
    build(folder)
    _, causes = explain(folder)
    cause = causes["COPY . /all"]
    assert len(cause["files"]) == 20 and cause["files_total"] == 30
    assert cause["files"][0] == {"path": "file00", "change": "added"}


def test_a_mode_a_link_and_an_empty_folder_are_files_too(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "modes", "COPY --link tree /tree"), "tree/run": "1", "real/file": "1"})
    (folder / "tree/link").symlink_to("run")
    build(folder)
    (folder / "tree/run").chmod(0o755)
    (folder / "tree/link").unlink()
    (folder / "tree/link").symlink_to("elsewhere")
    build(folder)
    _, causes = explain(folder)
    assert {file["path"] for file in causes["COPY --link tree /tree"]["files"]} == {"tree/run", "tree/link"}
    (folder / "tree/empty").mkdir()
    build(folder)
    _, causes = explain(folder)
    assert causes["COPY --link tree /tree"]["files"] == [{"path": "tree/empty", "change": "added"}]


def test_an_argument_is_named_with_both_values(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "argument", "COPY a /a", "ARG WHO=world", "ARG TOKEN", "RUN echo $WHO",
                                               "COPY $WHO /b"), "a": "1", "world": "1", "you": "1"})
    build(folder)
    build(folder, "--build-arg", "WHO=you")
    _, causes = explain(folder)
    cause = causes["RUN echo you"]
    assert (cause["kind"], cause["name"], cause["was"], cause["now"]) == ("argument", "WHO", "world", "you")
    build(folder, "--build-arg", "WHO=you", "--build-arg", "TOKEN=abcdefgh")
    _, causes = explain(folder)
    cause = causes["RUN echo you"]
    assert (cause["kind"], cause["name"]) == ("argument", "TOKEN")
    assert "was" not in cause and "now" not in cause and "abcdefgh" not in str(causes)


def test_a_secret_value_is_not_kept(project, base, build, strake, env):
    folder = project({"Dockerfile": dockerfile(base, "secret", "ARG WORD", "RUN echo $WORD > /word")})
    build(folder, "--secret", "id=word,env=WORD", "--build-arg", "WORD=my-hunter2", env={**env, "WORD": "my-hunter2"}, exit=1)
    with contextlib.closing(sqlite3.connect(strake.home / "state/strake/history.db")) as history:
        (data,) = history.execute("SELECT data FROM materials").fetchone()
    assert json.loads(data)["args"] == {"WORD": "[secret]"}
    for path in (strake.home / "state/strake").glob("history.db*"):
        assert b"hunter2" not in path.read_bytes()  # as a word of the command line, say


def test_a_base_that_moved_gives_both_digests(project, registry, base, build, explain):
    name = f"{registry.host}/explain/base:1"
    below = project({"Dockerfile": dockerfile(base, "below one")})
    folder = project({"Dockerfile": f"FROM {name} AS low\nENV A=b\nFROM low\nRUN echo above\nRUN echo more\n"
                                    f"COPY --from={name} /name /copied\n"})
    digests = []
    for _ in range(2):
        build(below, "-t", name, "--push")
        digests.append(registry.digest("explain/base", "1"))
        build(folder)
        (below / "Dockerfile").write_text(dockerfile(base, "below two"))
    assert digests[0] != digests[1]
    _, causes = explain(folder)
    assert causes["RUN echo above"]["kind"] == "base"
    assert [causes["RUN echo above"][key] for key in ("was", "now")] == [f"{name}@{digest}" for digest in digests]
    assert causes["RUN echo more"]["kind"] == "parent"


def test_an_instruction_gives_both_texts(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "text", "RUN echo one", "RUN echo last")})
    file = folder / "Dockerfile"
    build(folder)
    replace(file, "RUN echo one", "# a comment, and another way to write the same\nRUN   echo one")
    build(folder)
    assert explain(folder)[1] == {}
    replace(file, "RUN   echo one", "RUN echo \\\n  two")
    build(folder)
    _, causes = explain(folder)
    (cause, last) = causes.values()
    assert (cause["kind"], cause["was"]) == ("instruction", "RUN echo one") and cause["now"].split() == ["RUN", "echo", "two"]
    assert last["kind"] == "parent"
    replace(file, "RUN echo \\\n  two", "RUN echo inserted\nRUN echo \\\n  two")
    build(folder)
    _, causes = explain(folder)
    assert (causes["RUN echo inserted"]["kind"], causes["RUN echo inserted"]["now"]) == ("instruction", "RUN echo inserted")
    assert "was" not in causes["RUN echo inserted"]


@pytest.mark.parametrize("line, steps", [
    ("ENV MODE=1", ["RUN echo run"]), ("USER dev", ["WORKDIR /w", "RUN echo run"]), ("ARG NEW=1", ["RUN echo run"]),
    ('SHELL ["/bin/busybox", "sh", "-c"]', ["RUN echo run"]),
])
def test_what_a_step_runs_under_is_told_where_it_counts(project, base, build, explain, line, steps):
    folder = project({"Dockerfile": dockerfile(base, line.split()[0], "LABEL a=b", "COPY a /a", "WORKDIR /w", "RUN echo run"),
                      "a": "1"})
    build(folder)
    replace(folder / "Dockerfile", "LABEL a=b", line)
    build(folder)
    _, causes = explain(folder)
    assert list(causes) == steps
    cause = causes[steps[0]]
    assert (cause["kind"], cause["line"]) == ("instruction", 3)
    assert cause["now"].startswith(line.split()[0]) and "was" not in cause


@pytest.mark.parametrize("option, name, step", [
    ('network = "none"', "network", "RUN echo run"), ('add_hosts = { h = "1.2.3.4" }', "add_hosts", "RUN echo run"),
    ('shm_size = "32m"', "shm_size", "RUN echo run"), ('ulimits = { nofile = "1024:1024" }', "ulimits", "RUN echo run"),
    ("source_date_epoch = 0", "source_date_epoch", "WORKDIR /a"),
])
def test_an_option_of_the_target_is_told_where_it_counts(project, base, strake, env, explain, option, name, step):
    folder = project({"Dockerfile": f"FROM {base}\nCOPY Dockerfile /b\nWORKDIR /a\nRUN echo run\n# {name}\n"})
    for more in ("", option):
        (folder / "strake.lua").write_text(f"target \"x\" {{ {more} }}\n")
        assert strake("build", cwd=folder, env=env).exit == 0
    _, causes = explain(folder)
    assert (causes[step]["kind"], causes[step]["name"]) == ("argument", name)
    assert [cause["kind"] for cause in causes.values()] == ["argument", "parent"][:len(causes)]


def test_the_first_build_is_unknown(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "first", "RUN echo second")})
    build(folder)
    document, causes = explain(folder)
    assert [cause["kind"] for cause in causes.values()] == ["unknown", "parent"]
    assert "no earlier build" in causes["RUN echo first > /name"]["detail"]
    assert "compared_with" not in document and "last_ms" not in document


def test_no_cache_is_told_for_each_step(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "nocache", "RUN echo second")})
    build(folder)
    build(folder, "--no-cache")
    document, causes = explain(folder)
    assert {cause["kind"] for cause in causes.values()} == {"cache-missing"} and document["missed"] == 2
    assert document["last_ms"] > 0


def test_a_cache_that_cannot_be_imported_is_told(project, registry, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "import")})
    build(folder, "--cache-from", f"type=registry,ref={registry.host}/explain/nowhere:cache")
    _, causes = explain(folder)
    cause = causes["RUN echo import > /name"]
    assert (cause["kind"], cause["name"]) == ("cache-missing", f"{registry.host}/explain/nowhere:cache")
    assert "not found" in cause["detail"]


def test_another_builder_is_told_and_a_pruned_one_is_not_invented(project, registry, base, build, explain, strake, env, servers):
    """Both are the same to a step: nothing of its own changed. Only the first is on record."""
    other = BuildKit(servers / "explain", [registry])
    folder = project({"Dockerfile": dockerfile(base, "builders"),
                      "strake.lua": f'builder "one" {{ type = "buildctl", address = "{env["BUILDKIT_HOST"]}" }}\n'
                                    f'builder "two" {{ type = "buildctl", address = "{other.address}" }}\n'
                                    'target "x" {}\n'})
    try:
        for builder in ("one", "two"):
            assert strake("build", "--builder", builder, cwd=folder).exit == 0
        document, causes = explain(folder, "x")
        assert (document["builder"], causes["RUN echo builders > /name"]["kind"]) == ("two", "cache-missing")
        assert "one" in causes["RUN echo builders > /name"]["detail"]
        subprocess.run([other.buildctl, "--addr", other.address, "prune", "--all"], check=True, capture_output=True)
        assert strake("build", "--builder", "two", cwd=folder).exit == 0
        _, causes = explain(folder)
        assert causes["RUN echo builders > /name"]["kind"] == "unknown"
    finally:
        other.stop()


def test_stages_mounts_and_named_contexts_are_followed(project, base, build, explain, strake, tmp_path):
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "logo").write_text("1")
    folder = project({"Dockerfile": f"FROM {base} AS tool\nRUN echo tool > /tool\nFROM tool AS made\nRUN echo made\n"
                                    f"FROM {base}\nRUN echo followed\nRUN --mount=type=bind,source=src,target=/s cat /s/a\n"
                                    "COPY --from=assets logo /logo\nCOPY --from=made /tool /tool\n"
                                    "COPY <<EOF /here\nhello\nEOF\n",
                      "src/a": "1", "src2/a": "1"})
    context = ("--build-context", f"assets={assets}")
    build(folder, *context)
    (folder / "src2/a").write_text("2")
    build(folder, *context)
    assert explain(folder)[1] == {}
    (assets / "logo").write_text("2")
    build(folder, *context)
    _, causes = explain(folder)
    assert causes["COPY --from=assets logo /logo"]["files"] == [{"path": "logo", "change": "changed"}]
    (folder / "src/a").write_text("2")
    build(folder, *context)
    _, causes = explain(folder)
    assert causes["RUN --mount=type=bind,source=src,target=/s cat /s/a"]["files"] == [{"path": "src/a", "change": "changed"}]
    replace(folder / "Dockerfile", "echo tool", "echo other-tool")
    build(folder, *context)
    _, causes = explain(folder)
    assert causes["RUN echo other-tool > /tool"]["kind"] == "instruction"
    assert causes["RUN echo made"]["name"].endswith("RUN echo other-tool > /tool")
    assert causes["COPY --from=made /tool /tool"]["name"].endswith("RUN echo made")
    replace(folder / "Dockerfile", "\nhello\n", "\nbye\n")
    build(folder, *context)
    _, causes = explain(folder)
    assert list(causes) == ["COPY <<EOF /here"] and causes["COPY <<EOF /here"]["now"] == "COPY <<EOF /here\nbye\n"
    shown = strake("cache", "explain", cwd=folder).out.splitlines()
    assert [line.strip() for line in shown if "hello" in line or "bye" in line] == ["was … hello", "now … bye"]


def test_platforms_are_explained_each(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "platforms", "COPY a /a"), "a": "1"})
    build(folder, "--platform", "linux/amd64,linux/arm64")
    (folder / "a").write_text("2")
    build(folder, "--platform", "linux/amd64,linux/arm64")
    document, _ = explain(folder)
    missed = [step for step in document["steps"] if not step["cached"]]
    assert sorted(step["name"].split()[0] for step in missed) == ["[linux/amd64", "[linux/arm64"]
    assert {step["cause"]["kind"] for step in missed} == {"files"}


def test_an_image_of_two_builders_is_explained_as_one(project, registry, base, strake, amd_buildkit, arm_buildkit, explain):
    folder = project({"Dockerfile": dockerfile(base, "two builders", "COPY a /a"), "a": "1",
                      "strake.lua": f'builder "amd" {{ type = "buildctl", address = "{amd_buildkit.address}" }}\n'
                                    f'builder "arm" {{ type = "buildctl", address = "{arm_buildkit.address}" }}\n'
                                    'target "x" { platforms = { "linux/amd64", "linux/arm64" }, tags = { "1" },\n'
                                    f'  image = "{registry.host}/explain/two" }}\n'})
    for text in ("1", "2"):
        (folder / "a").write_text(text)
        done = strake("build", "--stage", cwd=folder)
        assert done.exit == 0, done.err
    document, _ = explain(folder)
    causes = {step["name"]: step["cause"]["kind"] for step in document["steps"] if not step["cached"]}
    assert causes == {"[linux/amd64 3/3] COPY a /a": "files", "[linux/arm64 3/3] COPY a /a": "files"}


def test_a_failed_step_is_explained_too(project, base, build, explain):
    folder = project({"Dockerfile": dockerfile(base, "failing", "RUN false", "RUN echo never")})
    build(folder, exit=5)
    build(folder, exit=5)
    document, causes = explain(folder)
    assert document["cached"] == 1 and list(causes) == ["RUN false"]
    assert causes["RUN false"]["kind"] == "cache-missing" and "failed" in causes["RUN false"]["detail"]


def test_without_a_name_it_is_the_target_built_last(strake, project, base, env, explain):
    folder = project({"Dockerfile": dockerfile(base, "one") + "FROM " + dockerfile(base, "two")[5:].replace("\n", " AS two\n", 1),
                      "strake.lua": 'target "a" { default = true }\ntarget "b" { stage = "two" }\n'})
    none = strake("cache", "explain", cwd=folder)
    assert none.exit == 2 and "no build" in none.err and "strake build" in none.err
    assert strake("build", "a", cwd=folder, env=env).exit == 0
    none = strake("cache", "explain", "b", "--json", cwd=folder)
    assert none.exit == 2 and "no build of target b" in none.json()["error"]["message"]
    assert strake("build", "--all", cwd=folder, env=env).exit == 0
    several = strake("cache", "explain", cwd=folder)
    assert several.exit == 2 and "a, b" in several.err
    assert explain(folder, "b")[0]["target"] == "b"
    wrong = strake("cache", "explain", "c", cwd=folder)
    assert wrong.exit == 2 and "no target c" in wrong.err
    assert strake("build", "b", cwd=folder, env=env).exit == 0
    assert explain(folder)[0]["target"] == "b"
    assert strake("cache", "explain", "a", "b", cwd=folder).exit == 2
    for option in (("--builder", "x"), ("--older", "7d"), ("--keep", "1g"), ("--dry-run",)):
        refused = strake("cache", "explain", *option, cwd=folder)
        assert refused.exit == 2 and f"takes no {option[0]}" in refused.err


def test_steps_of_buildah_are_explained_as_well(strake, project, base, explain):
    once = uuid.uuid4().hex  # its cache is the machine's
    folder = project({"Dockerfile": f"FROM {base} AS low\nENV A={once}\nRUN echo low\nCOPY a /a\nFROM low\nRUN echo high\n",
                      "a": "1"})
    for text in ("1", "2"):
        (folder / "a").write_text(text + once)
        done = strake("build", ".", cwd=folder, timeout=300)
        assert done.exit == 0, done.err
    document, causes = explain(folder)
    assert (causes["COPY a /a"]["kind"], causes["COPY a /a"]["files"]) == ("files", [{"path": "a", "change": "changed"}])
    assert (causes["RUN echo high"]["kind"], document["cached"]) == ("parent", 2)
