"""The history: what it keeps, what it never keeps, and runs that cannot be recorded."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

NOISY = ("FROM {base} AS one\nRUN echo first-line && echo second-line >&2\nRUN seq 1 {lines}\nFROM one\nCMD true\n")


class Kept:
    def __init__(self, strake, folder, liar, buildkit, base, name):
        self.strake, self.folder, self.liar, self.base = strake, folder, liar, base
        self.registry, self.name = liar.registry, name
        self.image = f"{liar.host}/{name}"
        self.state = strake.home / "state"
        self.database = self.state / "strake/history.db"
        folder.mkdir()
        self.dockerfile(NOISY, lines=3)
        (folder / "strake.lua").write_text(
            f"builder 'b' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
            f"target 'app' {{ image = '{self.image}', tags = {{ 'v1', 'latest' }} }}\n")

    def dockerfile(self, text: str, **more) -> None:
        (self.folder / "Dockerfile").write_text(text.format(base=self.base, **more))

    def run(self, *args, exit: int = 0, **more):
        done = self.strake(*args, cwd=self.folder, **more)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def runs(self, *args) -> list:
        document = self.run("history", "list", "--json", *args).json()
        assert document["schema"] == "strake.history/1"
        return document["runs"]

    def show(self, run: str = "last") -> dict:
        return self.run("history", "show", run, "--json").json()["runs"][0]

    def tags(self) -> list:
        return self.registry.tags(self.name)


@pytest.fixture
def kept(strake, tmp_path, liar, buildkit, base, request):
    name = "history/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    yield Kept(strake, tmp_path / "kept", liar, buildkit, base, name)
    liar.forget()


# ---- what it keeps -----------------------------------------------------------------------------------------


def test_the_list_has_the_documents_shape(kept):
    assert kept.runs() == []
    digest = kept.run("build", "--push", "--json").json()["targets"][0]["digest"]
    run, = kept.runs()
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", run["run"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", run["started"])
    assert (run["command"], run["status"], run["exit"]) == ("build", "done", 0) and run["duration_ms"] >= 0
    target, = run["targets"]
    assert (target["name"], target["digest"]) == ("app", digest)
    assert target["refs"] == [f"{kept.image}:v1", f"{kept.image}:latest"]


def test_one_run_has_its_steps_moves_and_decisions(kept):
    with open(kept.folder / "strake.lua", "a") as lua:
        lua.write("policy 'look' { at = 'publish', check = function(image) warn('seen ' .. image.platform) end }\n")
    digest = kept.run("build", "--push", "--no-cache", "--json").json()["targets"][0]["digest"]
    run = kept.show()
    names = [step["name"] for step in run["steps"]]
    assert any("echo first-line" in name for name in names) and any("seq 1 3" in name for name in names)
    assert all(step["target"] == "app" and step["cached"] in (True, False) for step in run["steps"])
    assert [(move["ref"], move["from"], move["to"]) for move in run["tag_moves"]] == \
           [(f"{kept.image}:v1", "", digest), (f"{kept.image}:latest", "", digest)]
    assert [(one["name"], one["at"], one["action"], one["message"]) for one in run["decisions"]] == \
           [("look", "publish", "warn", "seen linux/amd64")]
    assert run["publishes"] == [{"kind": "publish", "outcome": "done"}] and run["scans"] == [] == run["messages"]


def test_the_logs_come_step_by_step(kept):
    kept.run("build", "--no-cache")
    out = kept.run("history", "logs").out
    assert out == kept.run("history", "logs", "last").out
    first, second, numbers = out.index("first-line\n"), out.index("second-line\n"), out.index("1\n2\n3\n")
    assert max(first, second) < numbers
    assert out.count("== app: ") >= 2


def test_a_failed_run_keeps_its_error(kept):
    kept.dockerfile("FROM {base}\nRUN echo before; exit 3\n")
    error = kept.run("build", "--json", exit=5).json()["error"]
    run = kept.show()
    assert (run["status"], run["exit"], run["error"]["kind"]) == ("failed", 5, "build")
    assert run["error"]["message"] == error["message"] and run["error"]["line"] == 2
    failed, = (step for step in run["steps"] if step.get("error"))
    assert "exit 3" in failed["name"]
    assert "before" in kept.run("history", "logs").out


def test_a_cancelled_run_is_kept_as_such(kept):
    kept.dockerfile("FROM {base}\nRUN sleep 30 # {token}\n", token=kept.name)
    child = kept.strake.popen("build", "--progress", "plain", cwd=kept.folder)
    for line in child.stderr:
        if "sleep 30" in line:
            break
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    run = kept.show()
    assert (run["status"], run["exit"]) == ("cancelled", 130)


def test_a_killed_run_is_interrupted_and_the_next_command_says_so(kept):
    kept.dockerfile("FROM {base}\nRUN sleep 5 # {token}\n", token=kept.name)
    child = kept.strake.popen("build", "--progress", "plain", cwd=kept.folder)
    for line in child.stderr:
        if "sleep 5" in line:
            break
    assert [run["status"] for run in kept.runs()] == ["running"]
    child.kill()
    child.communicate()
    run, = kept.runs()
    assert run["status"] == "interrupted" and "exit" not in run and "duration_ms" not in run
    kept.dockerfile(NOISY, lines=3)
    assert f"run {run['run']} was interrupted" in kept.run("build").err
    assert "was interrupted" not in kept.run("build").err
    assert [run["status"] for run in kept.runs()] == ["done", "done", "interrupted"]


def test_a_run_is_named_by_its_id_a_beginning_or_last(kept):
    for _ in range(2):
        kept.run("build")
    newer, older = (run["run"] for run in kept.runs())
    assert kept.show()["run"] == newer == kept.show("last")["run"]
    assert kept.show(older)["run"] == older == kept.show(older[:-1])["run"]
    ambiguous = kept.run("history", "show", "2", "--json", exit=2).json()["error"]
    assert "not the only one" in ambiguous["message"] and newer in ambiguous["hint"]
    assert "no run 'nothing'" in kept.run("history", "show", "nothing", exit=2).err
    assert len(kept.runs("-n", "1")) == 1
    assert kept.run("history", "shwo", exit=2)


def test_commands_that_only_look_leave_no_run(kept):
    kept.run("plan")
    kept.run("tags")
    kept.run("history")
    assert kept.runs() == []


def test_runs_at_once_are_all_kept(kept):
    children = [kept.strake.popen("build", cwd=kept.folder) for _ in range(6)]
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, out + err
    runs = kept.runs()
    assert [run["status"] for run in runs] == ["done"] * 6 and len({run["run"] for run in runs}) == 6


def test_nobody_else_can_read_it(kept):
    old = os.umask(0)
    try:
        kept.run("build")
    finally:
        os.umask(old)
    for file in (kept.state / "strake").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


# ---- what it never keeps -----------------------------------------------------------------------------------


def test_a_secret_that_a_step_prints_is_nowhere(kept, tmp_path):
    secret = "hunter2-very-secret"
    kept.dockerfile("FROM {base}\nRUN --mount=type=secret,id=token cat /run/secrets/token && echo after-it && "
                    "cat /run/secrets/token >&2 && false\n")
    done = kept.run("build", "--json", "--no-cache", "--events", tmp_path / "events", "--secret", "id=token,env=TOKEN",
                    env={"TOKEN": secret}, exit=5)
    events = (tmp_path / "events").read_text()
    logs = kept.run("history", "logs").out
    assert "after-it" in logs and "after-it" in events
    for text in (done.out, done.err, events, logs, kept.run("history", "show", "--json").out):
        assert secret not in text
    for file in (kept.state / "strake").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_a_password_in_a_registry_block_is_nowhere(kept, tmp_path):
    secret = "registry-pass-word"
    with open(kept.folder / "strake.lua", "a") as lua:
        lua.write(f"registry '{kept.liar.host}' {{ username = 'dev', password = secret.env 'REGISTRY_TOKEN' }}\n")
    done = kept.run("build", "--push", "--events", tmp_path / "events", env={"REGISTRY_TOKEN": secret})
    import base64
    words = [secret, base64.b64encode(f"dev:{secret}".encode()).decode()]
    for word in words:
        assert word not in done.out + done.err + (tmp_path / "events").read_text()
        for file in (kept.state / "strake").rglob("*"):
            assert not file.is_file() or word.encode() not in file.read_bytes(), file


# ---- when it cannot be written -----------------------------------------------------------------------------


@pytest.fixture
def disk(kept):
    """disk(options) puts a file system of its own under the state folder."""
    made = []

    def mount(options: str) -> None:
        kept.state.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(kept.state)], check=True)
        made.append(kept.state)
    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_read_only_home_is_a_warning_and_a_run_without_record(kept, disk):
    disk("ro,size=1m")
    done = kept.run("build", "--push")
    assert "this run is not recorded" in done.err and "XDG_STATE_HOME" in done.err
    assert kept.tags() == ["latest", "v1"]
    assert kept.runs() == []


def test_require_record_refuses_what_cannot_be_recorded(kept, disk):
    disk("ro,size=1m")
    error = kept.run("build", "--push", "--require-record", "--json", exit=1).json()["error"]
    assert error["kind"] == "internal" and "history" in error["message"] and "XDG_STATE_HOME" in error["hint"]
    assert kept.tags() == []


def test_a_file_where_the_folder_should_be_is_a_warning_too(kept):
    kept.state.mkdir()
    (kept.state / "strake").write_text("x")
    assert "this run is not recorded" in kept.run("build").err
    kept.run("build", "--require-record", exit=1)


def test_a_disk_that_fills_up_during_a_run_changes_no_result(kept, disk):
    disk("size=400k")
    kept.run("build")  # the tables fit
    kept.dockerfile(NOISY, lines=60000)
    done = kept.run("build", "--stage", "--no-cache")
    assert "the record of this run is not complete" in done.err and "disk is full" in done.err
    assert done.err.count("not complete") == 1


def test_a_publish_that_cannot_be_written_down_moves_no_tag(kept, disk):
    disk("size=400k")
    kept.run("build")
    filler = kept.state / "filler"

    def fill():
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
            except OSError:
                pass
    kept.liar.before("HEAD", "/manifests/v1$", fill)
    done = kept.run("build", "--push", "--json", exit=1)
    assert done.json()["error"]["kind"] == "internal" and "disk is full" in done.json()["error"]["hint"]
    assert kept.tags() == []
    filler.unlink()
    kept.run("build", "--push")
    assert kept.tags() == ["latest", "v1"]


def test_a_history_of_a_newer_version_is_left_alone(kept):
    kept.run("build")
    with sqlite3.connect(kept.database) as database:
        database.execute("PRAGMA user_version = 99")
    error = kept.run("history", "--json", exit=1).json()["error"]
    assert "newer" in error["message"] and "99" in error["message"]
    assert "newer" in kept.run("build").err
    kept.run("build", "--require-record", exit=1)
    with sqlite3.connect(kept.database) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def damage_whole(path) -> None:
    path.write_bytes(b"this is no database\n" * 1000)


def damage_pages(path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data)):
        data[at] ^= 0x5a
    path.write_bytes(data)


def damage_cut(path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize("damage", [damage_whole, damage_pages, damage_cut])
def test_a_damaged_history_stops_no_build_and_says_what_to_do(kept, damage):
    kept.run("build")
    for more in ("-wal", "-shm"):
        kept.database.with_name(kept.database.name + more).unlink(missing_ok=True)
    damage(kept.database)
    error = kept.run("history", "--json", exit=1).json()["error"]
    assert str(kept.database) in error["message"] and "move the file away" in error["hint"]
    done = kept.run("build", "--push")
    assert "not recorded" in done.err or "not complete" in done.err
    assert kept.tags() == ["latest", "v1"]
    kept.database.rename(kept.database.with_name("old"))
    kept.run("build")
    assert len(kept.runs()) == 1


def test_an_empty_file_becomes_a_history(kept):
    (kept.state / "strake").mkdir(parents=True)
    kept.database.touch()
    kept.run("build")
    assert len(kept.runs()) == 1


def test_one_that_writes_for_long_is_waited_for(kept):
    kept.run("build")
    database = sqlite3.connect(kept.database, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    child = kept.strake.popen("build", "--require-record", cwd=kept.folder)
    time.sleep(1)
    assert child.poll() is None
    database.execute("COMMIT")
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, out + err
    assert len(kept.runs()) == 2


def test_one_that_writes_for_too_long_is_told(kept):
    kept.run("build")
    database = sqlite3.connect(kept.database, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    error = kept.run("build", "--require-record", "--json", exit=1).json()["error"]
    database.execute("ROLLBACK")
    assert 4 < time.monotonic() - started < 10
    assert "another strake" in error["hint"]


def test_a_history_that_is_wanted_as_text_can_be_read(kept):
    kept.run("build", "--push", "--no-cache")
    kept.dockerfile("FROM {base}\nRUN false\n")
    kept.run("build", exit=5)
    out = kept.run("history").out
    assert [line.split()[2] for line in out.splitlines()] == ["failed", "done"]
    shown = kept.run("history", "show").out
    assert "error" in shown and "failed" in shown and "false" in shown
    first = kept.runs()[1]["run"]
    assert "(new) -> sha256:" in kept.run("history", "show", first).out
    assert json.loads(kept.run("history", "--json").out)["runs"][0]["status"] == "failed"
