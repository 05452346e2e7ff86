"""Secrets: one that is missing stops everything beforehand, and no value is found anywhere afterwards."""

import base64
import threading
from pathlib import Path

import pytest

VALUES = {
    "variable": "variable-value-4711",
    "file": "file-value-4712",
    "given": "given-value-4713",
    "source": "source-value-4714",
    "password": "s3cret-password",
}
STRAKE_LUA = """
registry "{host}" {{ username = "dev", password = secret.env "REGISTRY_PASSWORD" }}
target "app" {{
  image = "{host}/secrets", tags = {{ "t" }},
  secrets = {{ variable = secret.env "APP_VARIABLE", file = secret.file "../file" }},
}}
"""
MOUNTS = " ".join(f"--mount=type=secret,id={name}" for name in ("variable", "file", "given", "source"))


@pytest.fixture
def env(buildkit) -> dict:
    return {"BUILDKIT_HOST": buildkit.address}


class Watcher:
    """Reads the command lines of all processes, and all files beneath a folder, again and again."""

    def __init__(self, folder: Path, forbidden: list):
        self.folder, self.forbidden = folder, forbidden
        self.found, self.seen, self.stop = set(), set(), threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def look(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError:  # gone meanwhile
            return
        self.seen.add(data.split(b"\0")[0][-8:])
        self.found |= {(str(path), word) for word in self.forbidden if word in data}

    def watch(self) -> None:
        while not self.stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                self.look(process)
            self.look_beneath()

    def look_beneath(self) -> None:
        try:
            for path in sorted(self.folder.rglob("*")):
                if path.is_file():
                    self.look(path)
        except OSError:
            pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.look_beneath()


def test_no_value_is_found_anywhere(strake, project, env, base, private_registry, tmp_path):
    (tmp_path / "file").write_text(VALUES["file"] + "\n")
    (tmp_path / "source").write_text(VALUES["source"] + "\n")
    folder = project({
        "Dockerfile": f"FROM {base}\n"
                      f"RUN {MOUNTS} cat /run/secrets/* && for i in variable file given source; do "
                      "printf 'it is %s!\\n' \"$(cat /run/secrets/$i)\" >&2; done; sleep 1\n",
        "strake.lua": STRAKE_LUA.format(host=private_registry.host)})
    hidden = {"APP_VARIABLE": VALUES["variable"], "APP_GIVEN": VALUES["given"], "REGISTRY_PASSWORD": VALUES["password"]}
    words = ["--secret", "id=given,env=APP_GIVEN", "--secret", f"id=source,src={tmp_path / 'source'}"]
    forbidden = [value.encode() for value in VALUES.values()]
    forbidden += [base64.b64encode(value) for value in forbidden] + [base64.b64encode(b"dev:" + forbidden[-1])]

    outputs = {}

    def run(name: str, *args) -> object:
        done = strake(*args, cwd=folder, env={**env, **hidden})
        outputs[f"{name} stdout"], outputs[f"{name} stderr"] = done.out, done.err
        return done

    with Watcher(strake.home, forbidden) as watcher:
        done = run("build", "build", "--push", "--no-cache", "--events", tmp_path / "events", *words)
        assert done.exit == 0, done.err
        failing = folder / "Dockerfile"
        failing.write_text(failing.read_text().replace("sleep 1", "exit 3"))
        done = run("failed build", "build", "--json", "--no-cache", "--events", tmp_path / "events-failed", *words)
        assert done.exit == 5, done.err
        runs = [entry["run"] for entry in run("list", "history", "list", "--json").json()["runs"]]
        for number, name in enumerate(runs):
            for words_of in (("show", "--json"), ("show",), ("logs",), ("logs", "--json")):
                run(f"history {words_of} {number}", "history", *words_of, name)
        run("plan", "plan", "--json", *words)
    assert watcher.found == set()
    assert b"buildctl" in watcher.seen  # the client was looked at while it ran
    outputs["events"] = (tmp_path / "events").read_text() + (tmp_path / "events-failed").read_text()
    for name, text in outputs.items():
        for word in forbidden:
            assert word.decode() not in text, name
    for name in ("build stderr", "failed build stderr", "events", "history ('logs',) 0 stdout",
                 "history ('logs',) 1 stdout"):
        assert "it is [secret]!" in outputs[name], name


@pytest.mark.parametrize("builder", ["", 'builder "lab" { type = "buildctl", address = "tcp://127.0.0.1:1" }\n'])
@pytest.mark.parametrize("source, says, hint", [
    ('secret.file "gone"', "gone", "make that file"),
    ('secret.file "."', "", ""),
    ('secret.env "STRAKE_TEST_UNSET"', "STRAKE_TEST_UNSET is not set", "export STRAKE_TEST_UNSET"),
])
def test_a_secret_that_is_missing_is_refused_beforehand(strake, project, env, builder, source, says, hint):
    folder = project({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
                      "strake.lua": f'target "first" {{ }}\n{builder}target "app" {{ secrets = {{ npm = {source} }} }}\n'})
    done = strake("build", "--json", "first", "app", cwd=folder, env=env)
    error = done.json()["error"]
    assert (done.exit, error["kind"]) == (3, "config"), error
    assert "target app: the secret " in error["message"] and says in error["message"]
    assert hint in error.get("hint", "")
    assert (error["file"], error["line"]) == ("strake.lua", 3 if builder else 2)
    targets = {target["name"]: target["status"] for target in done.json()["targets"]}
    assert targets == {"first": "skipped", "app": "failed"}


def test_with_keep_going_a_missing_secret_is_the_failure_of_its_target(strake, project, env):
    folder = project({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
                      "strake.lua": 'target "app" { secrets = { npm = secret.file "gone" } }\ntarget "other" { }\n'})
    done = strake("build", "--keep-going", "--json", "app", "other", cwd=folder, env=env)
    assert done.exit == 10, done.err
    app, other = done.json()["targets"]
    assert (app["status"], other["status"]) == ("failed", "done")
    assert app["error"]["kind"] == "config" and "target app: the secret gone is not there: " in app["error"]["message"]


def test_a_secret_file_of_the_command_line_that_is_missing(strake, project, env, tmp_path):
    folder = project({"Dockerfile": "FROM scratch\n"})
    done = strake("build", "--secret", "id=npm,src=gone", ".", cwd=folder, env=env)
    assert done.exit == 2 and "--secret npm: there is no file gone" in done.err
    done = strake("build", "--secret", f"id=npm,src={tmp_path}", ".", cwd=folder, env=env)
    assert done.exit == 3 and "the secret npm is not there: " in done.err and "--secret id=npm,src=PATH" in done.err


def test_a_secret_that_a_dockerfile_asks_for_and_nobody_gives(strake, project, env, base):
    folder = project({"Dockerfile": f"FROM {base}\nRUN --mount=type=secret,id=npm,required=true cat /run/secrets/npm\n"})
    done = strake("build", ".", cwd=folder, env=env)
    assert done.exit == 5 and "the secret npm, which was not given" in done.err
