"""Lines that are slow, break or go dark, daemons that die: builds arrive, or it is said plainly why not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.servers import BuildKit
from harness.watch import clients_of, events_of, wait_for_step


def builder(name: str, address: str, more: str = "") -> str:
    return f'builder "{name}" {{ type = "buildctl", address = "{address}"{more} }}\n'


@pytest.fixture
def line(toxiproxy, buildkit):
    """A line to the first daemon, which is as good as none until it is told otherwise."""
    made = toxiproxy.line(buildkit.port)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def three(servers, registry):
    """Three daemons that may be killed."""
    made = [BuildKit(servers / f"fault{n}", [registry]) for n in range(3)]
    yield made
    for daemon in made:
        daemon.kill()
        daemon.stop()


# ---- bad lines ---------------------------------------------------------------------------------------------


def test_a_builder_behind_a_slow_line_builds(strake, project, base, line, registry):
    line.slow(100, 300)
    folder = project({"Dockerfile": f"FROM {base}\nCOPY text /\nRUN cat /text\n", "text": "far away\n",
                      "strake.lua": builder("far", line.address, ', timeout = "20s"') + f"""
        target "app" {{ image = "{registry.host}/faults/slow", tags = {{ "1" }} }}"""})
    done = strake("build", "--push", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["digest"] == registry.digest("faults/slow", "1")


# It prints, so that something always runs over the line that is to break.
TALKS = "i=0; while test $i != 40; do echo $i; sleep 0.1; i=$((i+1)); done"


def break_line(line, how: str) -> None:
    if how == "reset":
        line.add("reset_peer", timeout=0)
    else:
        line.cut()


@pytest.mark.parametrize("how", ["reset", "cut"])
def test_a_builder_whose_line_breaks_is_replaced(strake, project, base, line, amd_buildkit, registry, tmp_path, how):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo breaks {how}; {TALKS}\n",
                      "strake.lua": builder("far", line.address) + builder("lab", amd_buildkit.address) + f"""
        target "app" {{ image = "{registry.host}/faults/{how}", tags = {{ "1" }} }}"""})
    child = strake.popen("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo breaks")
    break_line(line, how)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(out)["targets"][0]["builder"] == "lab"
    assert err.count("leaves builder far: the builder was lost") == 1, err
    assert registry.tags(f"faults/{how}") == ["1"]
    assert clients_of(line.port) == []


@pytest.mark.parametrize("how", ["reset", "cut"])
def test_a_line_that_breaks_is_told_when_nobody_else_is_there(strake, project, base, line, registry, tmp_path, how):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo alone {how}; {TALKS}\n",
                      "strake.lua": builder("far", line.address) + f"""
        target "app" {{ image = "{registry.host}/faults/alone", tags = {{ "1" }} }}"""})
    child = strake.popen("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo alone")
    break_line(line, how)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 9, err
    assert "the builder was lost during the build" in err and "hint:" in err
    assert json.loads(out)["error"]["kind"] == "builder"
    assert registry.tags("faults/alone") == []
    assert clients_of(line.port) == []


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
@pytest.mark.parametrize("after", [10, 300, 1600, 3000, 7000])
def test_wherever_a_line_breaks_it_is_the_builders_failure(strake, project, base, line, stream, after):
    line.add("limit_data", stream, bytes=after)
    folder = project({"Dockerfile": f"FROM {base}\nCOPY text /\nRUN echo {stream} {after}; {TALKS}\n", "text": "x" * 20000,
                      "strake.lua": builder("far", line.address) + 'target "app" {}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 9, done.err
    assert done.json()["error"]["kind"] == "builder"


# ---- dark lines --------------------------------------------------------------------------------------------

IMPATIENT = ', timeout = "3s", liveness = "1s"'


def test_a_builder_whose_line_goes_dark_is_replaced(strake, project, base, line, amd_buildkit, registry, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo dark; sleep 6\n",
                      "strake.lua": builder("far", line.address, IMPATIENT) + builder("lab", amd_buildkit.address) + f"""
        target "app" {{ image = "{registry.host}/faults/dark", tags = {{ "1" }} }}"""})
    child = strake.popen("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo dark")
    line.go_dark()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(out)["targets"][0]["builder"] == "lab"
    assert err.count("leaves builder far: the builder was lost during the build") == 1, err
    assert registry.tags("faults/dark") == ["1"]
    assert clients_of(line.port) == []


def test_a_dark_line_is_told_when_nobody_else_is_there(strake, project, base, line, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo black; sleep 30\n",
                      "strake.lua": builder("far", line.address, IMPATIENT) + 'target "app" {}\n'})
    child = strake.popen("build", "--json", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo black")
    line.go_dark()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 9, err
    assert "the builder was lost during the build" in err and "liveness" in err
    assert json.loads(out)["error"]["kind"] == "builder"
    assert clients_of(line.port) == []


def test_a_long_silent_step_is_left_alone(strake, project, base, buildkit):
    folder = project({"Dockerfile": f"FROM {base}\nRUN sleep 3\n",
                      "strake.lua": builder("lab", buildkit.address, ', timeout = "20s", liveness = "100ms"') +
                      'target "app" {}\n'})
    done = strake("build", "--no-cache", cwd=folder)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("liveness", ['"soon"', "10"])
def test_a_wrong_liveness_is_refused(strake, project, base, liveness):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": builder("lab", "tcp://127.0.0.1:1", f", liveness = {liveness}")
                      + 'target "app" {}\n'})
    done = strake("plan", cwd=folder)
    assert done.exit == 3
    assert "liveness must be a duration" in done.err and "strake.lua:1" in done.err


# ---- many targets, mortal daemons --------------------------------------------------------------------------


def many(daemons: list, registry, repository: str, count: int) -> str:
    """strake.lua: so many targets on these daemons."""
    text = "".join(builder(f"b{n}", daemon.address, ", slots = 2") for n, daemon in enumerate(daemons))
    return text + f"""
        for n = 1, {count} do
          target("t" .. n) {{ image = "{registry.host}/{repository}" .. n, tags = {{ "1" }}, args = {{ N = n }} }}
        end"""


def check_published(done, registry, repository: str, count: int) -> list:
    """Each target is done, and its tag is what was built. The builders that they name."""
    assert done.exit == 0, done.err
    targets = done.json()["targets"]
    assert len(targets) == count
    for target in targets:
        assert target["status"] == "done", target
        assert registry.digest(repository + target["name"][1:], "1") == target["digest"], target
    return [target["builder"] for target in targets]


def test_many_targets_are_spread_over_three_daemons(strake, project, base, three, registry):
    folder = project({"Dockerfile": f"FROM {base}\nARG N\nRUN echo $N > /n\n",
                      "strake.lua": many(three, registry, "faults/load", 40)})
    done = strake("build", "--all", "--push", "--json", cwd=folder, timeout=300)
    used = check_published(done, registry, "faults/load", 40)
    assert min(used.count(f"b{n}") for n in range(3)) >= 5, used


def test_daemons_are_killed_again_and_again(strake, project, base, three, registry):
    folder = project({"Dockerfile": f"FROM {base}\nARG N\nRUN echo $N > /n; sleep 1\nRUN echo $N > /m\n",
                      "strake.lua": many(three, registry, "faults/killed", 30)})
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(strake, "build", "--all", "--push", "--json", cwd=folder, timeout=300)
        for kills in range(8):
            time.sleep(2)
            if run.done():
                break
            # One at a time, and the next only when it is back: somebody is always there.
            three[kills % 3].kill()
            three[kills % 3].start()
        done = run.result()
    check_published(done, registry, "faults/killed", 30)
    assert kills > 0 and "leaves builder" in done.err
    assert not any(clients_of(daemon.port) for daemon in three)


def test_builders_lost_during_the_merge_are_not_needed(strake, project, base, registry, liar, tmp_path):
    daemons = [BuildKit(tmp_path / name, [registry, liar], platforms=[f"linux/{name}"]) for name in ("amd64", "arm64")]

    def die_before_our_put(request, forward):
        if request.headers["User-Agent"].startswith("strake/"):
            for daemon in daemons:
                daemon.kill()
        return forward()

    try:
        folder = project({"Dockerfile": f"FROM {base}\nCOPY text /\n", "text": "merged\n", "strake.lua":
                          builder("amd", daemons[0].address) + builder("arm", daemons[1].address) + f"""
            target "app" {{ image = "{liar.host}/faults/merge", tags = {{ "1" }},
                            platforms = {{ "linux/amd64", "linux/arm64" }} }}"""})
        liar.on("PUT", "/faults/merge/manifests/sha256:", die_before_our_put)
        done = strake("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder)
        assert done.exit == 0, done.err
        assert [daemon.server.child.poll() is None for daemon in daemons] == [False, False]
        assert done.json()["targets"][0]["digest"] == registry.digest("faults/merge", "1")
        assert [event["type"] for event in events_of(tmp_path / "events")].count("image.staged") == 1
        # What was looked at for its platforms is not fetched once more to be joined: two parts, and the whole for its tag.
        fetched = [one.path for one in liar.asked("GET", "/faults/merge/manifests/")]
        assert len(fetched) == len(set(fetched)) == 3
    finally:
        liar.forget()
        for daemon in daemons:
            daemon.kill()
            daemon.stop()
