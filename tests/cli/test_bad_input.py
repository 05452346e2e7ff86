"""Each thing done wrong on purpose: a clear message, the right exit code, nothing lost."""

import os
import pty
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness.process import free_port
from harness.program import Strake, make_project

BUILDER = 'builder "lab" {{ type = "buildctl", address = "{address}" }}\n'


def lua(text: str) -> dict:
    return {"Dockerfile": "FROM scratch\n", "strake.lua": text}


# ---- the Lua files -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("source, said, line", [
    ('target "x" { platfroms = {} }\n', "unknown key 'platfroms' in target \"x\"; did you mean 'platforms'?", 1),
    ('\ntagret "x" {}\n', "unknown name 'tagret'; did you mean 'target'?", 2),
    ('target "x" { platforms = 3 }\n', "platforms must be", 1),
    ('target "x" { platforms = { "linux/amd46" } }\n', "linux/amd46", 1),
    ('target "x" { image = "Foo/Bar" }\n', "foo/bar", 1),
    ('target "x" { tags = { "not a tag" } }\n', "not a tag", 1),
    ('target "x" {\n', "<eof>", 2),
    ('local a\nlocal b = a.b\n', "attempt to index a nil value", 2),
    ('target "x" { context = "nowhere" }\n', "is not a folder", 1),
    ('target "x" {}\ntarget "x" {}\n', "x", 2),
    ('policy "p" { at = "plan" }\n', "check", 1),
    ('policy "p" { at = "sometime", check = function() end }\n', "sometime", 1),
    ('while true do end\n', "instructions", 1),
    ('local s = string.rep("x", 1 << 40)\n', "", 1),
    ('os.execute("true")\n', "os", 1),
])
def test_an_error_in_a_lua_file_names_file_and_line(strake, project, source, said, line):
    done = strake("plan", "--json", cwd=project(lua(source)))
    assert done.exit == 3, done.err
    error = done.json()["error"]
    assert error["kind"] == "config"
    assert said in error["message"] + error.get("hint", "")
    assert (error["file"], error["line"]) == ("strake.lua", line)
    assert f"strake.lua:{line}" in done.err


def test_an_endless_policy_denies_and_says_why(strake, project):
    done = strake("plan", cwd=project(lua(
        'target "x" {}\npolicy "loop" { at = "plan", check = function() while true do end end }\n')))
    assert done.exit == 3
    assert 'policy "loop"' in done.err and "instructions" in done.err and "strake.lua:2" in done.err


def test_a_policy_that_fails_to_run_denies(strake, project):
    done = strake("plan", cwd=project(lua(
        'target "x" {}\npolicy "broken" { at = "plan", check = function(p) return p.name.nothing.here end }\n')))
    assert done.exit == 3
    assert "strake.lua:2" in done.err


# ---- the command line ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, said", [
    (["bild"], "did you mean `strake build`?"),
    (["build", "--psuh"], "did you mean --push?"),
    (["build", "--push", "--load"], "exclude each other"),
    (["build", "--output", "type=oci"], "dest"),
    (["build", "--jobs", "0"], "positive number"),
    (["build", "--timeout", "5"], "300ms"),
    (["build", "nosuch"], "nosuch"),
    (["build", "-t", "Upper/Case", "."], "upper/case"),
    (["build", "--plan", "nosuch.json"], "nosuch.json"),
    (["build", "--plan", "nosuch.json", "--no-cache"], "--no-cache has no place beside --plan"),
    (["build", "--plan", "nosuch.json", "app"], "app has no place beside --plan"),
    (["history", "show", "nosuch"], "no run"),
    (["image", "show"], "usage"),
    (["image", "frobnicate"], "frobnicate"),
    (["run", "nosuch"], "no flow nosuch"),
    (["publish", "--digest", "abc"], "no digest"),
    (["plan", "--json", "--events", "-"], "both want stdout"),
])
def test_a_wrong_command_line_is_exit_2_and_helps(strake, project, words, said):
    done = strake(*words, cwd=project({"Dockerfile": "FROM scratch\n"}))
    assert done.exit == 2, done.err
    assert said in done.err


def test_json_errors_are_one_document_on_stdout(strake, project):
    done = strake("build", "--nosuch", "--json", cwd=project(lua("")))
    assert done.exit == 2
    assert done.json()["schema"] == "strake.error/1"
    assert done.json()["error"]["exit"] == 2


def test_events_on_stderr_do_not_take_the_failure_along(strake, project):
    done = strake("build", "--events", "fd:2", cwd=project(lua('target "x" { image = "h/x", context = "nosuch" }\n')))
    assert done.exit != 0
    assert '"type":"run.failed"' in done.err and "error: " in done.err


# ---- builders ------------------------------------------------------------------------------------------------

def test_a_builder_that_is_not_there_is_exit_9(strake, project):
    port = free_port()
    done = strake("build", cwd=project(lua(BUILDER.format(address=f"tcp://127.0.0.1:{port}") + 'target "x" {}\n')))
    assert done.exit == 9
    assert str(port) in done.err and "hint:" in done.err


def test_a_silent_builder_is_answered_in_time(strake, project):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        done = strake("build", cwd=project(lua(BUILDER.format(address=address) + 'target "x" {}\n')))
        assert done.exit == 9
        assert time.monotonic() - start < 15, "a peer that says nothing costs 3 s, not buildctl's 20"
        assert address in done.err


def test_a_builder_lost_in_mid_build_is_exit_9(strake, project, servers, registry, base, tmp_path):
    from harness.servers import BuildKit
    own = BuildKit(tmp_path / "buildkit", [registry])
    try:
        folder = project({"Dockerfile": f"FROM {base}\nRUN sleep 60\n",
                          "strake.lua": BUILDER.format(address=own.address) + 'target "x" {}\n'})
        child = strake.popen("build", "--json", "--events", str(tmp_path / "events"), cwd=folder)
        wait_for(lambda: "sleep 60" in (tmp_path / "events").read_text() if (tmp_path / "events").exists() else False)
        own.server.kill()
        out, err = child.communicate(timeout=60)
        assert child.returncode == 9, err
        assert '"kind":"builder"' in out
    finally:
        own.stop()


def wait_for(ready, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


# ---- what is built ---------------------------------------------------------------------------------------------

def build_project(project, buildkit, dockerfile: str, more: str = "", **files) -> object:
    return project({"Dockerfile": dockerfile, "strake.lua": BUILDER.format(address=buildkit.address)
                    + 'target "x" { %s }\n' % more, **files})


def test_a_failing_run_shows_the_place_and_the_tools_words(strake, project, buildkit, base):
    done = strake("build", "--json", cwd=build_project(project, buildkit, f"FROM {base}\n\nRUN echo before && exit 7\n"))
    assert done.exit == 5, done.err
    error = done.json()["error"]
    assert error["kind"] == "build" and error["line"] == 3 and error["file"].endswith("Dockerfile")
    assert "7" in error["message"]


def test_a_syntax_error_of_the_dockerfile_is_exit_5(strake, project, buildkit, base):
    done = strake("build", "--json", cwd=build_project(project, buildkit, f"FROM {base}\nRNU true\n"))
    assert done.exit == 5, done.err
    assert done.json()["error"]["kind"] == "dockerfile"
    assert done.json()["error"]["line"] == 2


def test_a_base_image_that_is_not_there_is_told(strake, project, buildkit, registry):
    done = strake("build", cwd=build_project(project, buildkit, f"FROM {registry.host}/no/such:1\n"))
    assert done.exit == 5, done.err
    assert "no/such:1" in done.err


def test_a_dockerfile_that_is_not_there_is_told_before_anything_runs(strake, project):
    done = strake("build", cwd=project({"strake.lua": 'target "x" { dockerfile = "Dockerfile.nope" }\n'}))
    assert done.exit == 5
    assert "Dockerfile.nope" in done.err


# ---- registries -------------------------------------------------------------------------------------------------

def test_a_registry_that_is_not_there_is_exit_8(strake):
    done = strake("image", "show", f"127.0.0.1:{free_port()}/a/b:1")
    assert done.exit == 8
    assert "refused" in done.err


def test_an_image_that_is_not_there_is_exit_8(strake, registry):
    done = strake("image", "show", "--json", f"{registry.host}/no/such:1")
    assert done.exit == 8
    assert done.json()["error"]["kind"] == "registry"


def test_wrong_credentials_are_exit_8_and_never_shown(strake, project, private_registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": BUILDER.format(address=buildkit.address) + f'''
registry "{private_registry.host}" {{ username = "dev", password = secret.env "WRONG" }}
target "x" {{ image = "{private_registry.host}/a/b", tags = {{ "1" }} }}
'''})
    done = strake("build", "--push", "--json", cwd=folder, env={"WRONG": "not-the-password"})
    assert done.exit == 8, done.err
    assert done.json()["error"]["kind"] == "auth"
    assert "not-the-password" not in done.out + done.err


def test_right_credentials_publish(strake, project, private_registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": BUILDER.format(address=buildkit.address) + f'''
registry "{private_registry.host}" {{ username = "dev", password = secret.env "RIGHT" }}
target "x" {{ image = "{private_registry.host}/a/b", tags = {{ "1" }} }}
'''})
    done = strake("build", "--push", "--json", cwd=folder, env={"RIGHT": "s3cret-password"})
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["refs"] == [f"{private_registry.host}/a/b:1"]


# ---- terminals and signals -----------------------------------------------------------------------------------------

def start_sleeping(strake, project, buildkit, base, tmp_path, *words, **more) -> tuple:
    events = tmp_path / "events"
    # A new name each time: a sleep that another test is still waiting for would be shared.
    folder = build_project(project, buildkit, f"FROM {base}\nRUN sleep 30; echo {tmp_path.name}\n")
    child = strake.popen("build", "--events", str(events), *words, cwd=folder, **more)
    wait_for(lambda: events.exists() and "step.started" in events.read_text() and "sleep 30" in events.read_text())
    return child, folder


def test_one_interrupt_cancels_tidies_and_records(strake, project, buildkit, base, tmp_path):
    child, folder = start_sleeping(strake, project, buildkit, base, tmp_path)
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130, err
    assert time.monotonic() - start < 10
    run = strake("history", "--json", cwd=folder).json()["runs"][0]
    assert (run["status"], run["exit"]) == ("cancelled", 130)
    assert "run.cancelled" in (tmp_path / "events").read_text()


def test_two_interrupts_stop_at_once(strake, project, buildkit, base, tmp_path):
    child, _ = start_sleeping(strake, project, buildkit, base, tmp_path)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=10)
    assert child.returncode == 130


def test_a_terminal_that_vanishes_ends_the_run_in_order(strake, project, buildkit, base, tmp_path):
    controller, terminal = pty.openpty()
    events = tmp_path / "events"
    folder = build_project(project, buildkit, f"FROM {base}\nRUN sleep 30; echo {tmp_path.name}\n")
    child = subprocess.Popen([str(strake.program), "build", "--events", str(events)], cwd=folder,
                             env={**strake.env, "TERM": "xterm"}, stdin=terminal, stdout=terminal, stderr=terminal,
                             start_new_session=True, preexec_fn=lambda: os.close(controller))
    os.close(terminal)
    reader = threading.Thread(target=drain, args=(controller,), daemon=True)
    reader.start()
    wait_for(lambda: events.exists() and "sleep 30" in events.read_text())
    child.send_signal(signal.SIGHUP)
    assert child.wait(30) == 130
    assert strake("history", "--json", cwd=folder).json()["runs"][0]["status"] == "cancelled"


def drain(fd: int) -> None:
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass


def test_a_reader_that_leaves_does_not_end_the_build(strake, project, buildkit, base, tmp_path):
    folder = build_project(project, buildkit, f"FROM {base}\nRUN for i in 1 2 3 4 5; do echo {tmp_path.name} $i; done\n")
    child = strake.popen("build", cwd=folder)
    child.stderr.close()
    child.stderr = None
    out = child.stdout.read()
    assert child.wait(60) == 0, out
    assert strake("history", "--json", cwd=folder).json()["runs"][0]["status"] == "done"


# ---- plugins ---------------------------------------------------------------------------------------------------------

def test_a_broken_plugin_is_told_with_its_path(strake, project, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "broken.so").write_bytes(b"\x7fELF half a file")
    (folder / "broken.so").chmod(0o644)
    done = strake("build", cwd=project(lua('builder "b" { type = "broken" }\ntarget "x" {}\n')),
                  env={"STRAKE_PLUGIN_PATH": str(folder)})
    assert done.exit == 3
    assert str(folder / "broken.so") in done.err


def test_a_plugin_that_is_not_there_names_the_nearest(strake, project):
    done = strake("build", cwd=project(lua('builder "b" { type = "buildctrl" }\ntarget "x" {}\n')))
    assert done.exit == 3
    assert "did you mean buildctl?" in done.err
