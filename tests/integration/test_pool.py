"""Several builders of a project: chosen by what they really are, replaced when they are lost, their platforms joined."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness.process import free_port, tool
from harness.servers import BuildKit
from harness.watch import clients_of, events_of, wait_for_step


def builder(name: str, address: str, more: str = "") -> str:
    return f'builder "{name}" {{ type = "buildctl", address = "{address}"{more} }}\n'


def raw(registry, repository: str, reference: str) -> dict:
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    status, _, body = registry.get(f"/v2/{repository}/manifests/{reference}", accept)
    assert status == 200
    return json.loads(body)


@pytest.fixture
def both(amd_buildkit, arm_buildkit) -> str:
    """strake.lua: a builder for amd64 and one for arm64."""
    return builder("amd", amd_buildkit.address) + builder("arm", arm_buildkit.address)


@pytest.fixture
def dead() -> str:
    """An address where nobody listens."""
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def silent():
    """An address where somebody listens and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def mortal(servers, registry, registry3, tmp_path):
    """A daemon of the test's own, to be killed."""
    daemon = BuildKit(tmp_path / "mortal", [registry, registry3])
    yield daemon
    daemon.kill()
    daemon.stop()


# ---- one image from several builders -----------------------------------------------------------------------


def test_each_platform_is_built_where_it_is_native(strake, project, base, both, registry, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN uname -m > /machine\n", "strake.lua": both + f"""
        target "app" {{ image = "{registry.host}/pool/native", tags = {{ "1" }},
                        platforms = {{ "linux/arm64", "linux/amd64" }} }}"""})
    done = strake("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    target = done.json()["targets"][0]
    assert target["builder"] == "arm, amd"
    index = raw(registry, "pool/native", "1")
    assert target["digest"] == registry.digest("pool/native", "1")
    assert {f"{entry['platform']['os']}/{entry['platform']['architecture']}": entry["digest"]
            for entry in index["manifests"]} == target["platforms"]
    names = {event["step"].split("/")[0] for event in events_of(tmp_path / "events") if event["type"] == "step.done"}
    assert names == {"amd", "arm"}
    shown = strake("history", "show", done.json()["run"], "--json", cwd=folder)
    assert all(digest in shown.out for digest in [target["digest"], *target["platforms"].values()])


def test_other_tools_read_the_joined_index(strake, project, base, both, registry):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo joined > /joined\n", "strake.lua": both + f"""
        target "app" {{ image = "{registry.host}/pool/joined", tags = {{ "1" }},
                        platforms = {{ "linux/amd64", "linux/arm64" }},
                        attestations = {{ provenance = "mode=max" }},
                        annotations = {{ ["index:org.x.title"] = "joined", ["manifest:org.x.part"] = "yes" }} }}"""})
    done = strake("build", "--push", "--json", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    shown = subprocess.run([tool("skopeo"), "inspect", "--raw", "--tls-verify=false",
                            f"docker://{registry.host}/pool/joined:1"], check=True, capture_output=True, text=True)
    index = json.loads(shown.stdout)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert index["annotations"] == {"org.x.title": "joined"}
    images = [entry for entry in index["manifests"] if entry["platform"]["os"] == "linux"]
    attested = [entry for entry in index["manifests"] if entry["platform"]["os"] == "unknown"]
    assert [entry["platform"]["architecture"] for entry in images] == ["amd64", "arm64"]
    assert {entry["annotations"]["vnd.docker.reference.digest"] for entry in attested} == \
        {entry["digest"] for entry in images}
    assert raw(registry, "pool/joined", images[0]["digest"])["annotations"] == {"org.x.part": "yes"}


def test_each_builder_has_a_cache_reference_of_its_own(strake, project, base, both, registry, amd_buildkit, arm_buildkit):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo own cache > /cached\n", "strake.lua": both + f"""
        target "app" {{ image = "{registry.host}/pool/caches", tags = {{ "1" }}, cache = "auto",
                        platforms = {{ "linux/amd64", "linux/arm64" }} }}"""})
    done = strake("build", "--push", "--json", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    caches = [tag for tag in registry.tags("pool/caches") if tag.startswith("buildcache")]
    assert caches == ["buildcache-app-linux-amd64", "buildcache-app-linux-arm64"]
    for daemon in (amd_buildkit, arm_buildkit):
        subprocess.run([daemon.buildctl, "--addr", daemon.address, "prune", "--all"], check=True, capture_output=True)
    done = strake("build", "--push", "--json", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["steps"] == {"total": 2, "cached": 2}


def test_what_is_built_on_several_builders_goes_to_a_layout(strake, project, base, both, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo layout > /layout\n", "strake.lua": both + f"""
        target "app" {{ image = "oci:{tmp_path}/layout", tags = {{ "1" }},
                        platforms = {{ "linux/amd64", "linux/arm64" }} }}"""})
    done = strake("build", "--push", "--json", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    shown = strake("image", "show", "--json", f"oci:{tmp_path}/layout:1", cwd=folder)
    assert [entry["platform"] for entry in shown.json()["platforms"]] == ["linux/amd64", "linux/arm64"]


def test_a_file_comes_from_one_builder_that_has_all_platforms(strake, project, base, both, buildkit, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": builder("lab", buildkit.address) + """
        target "app" { platforms = { "linux/amd64", "linux/arm64" } }"""})
    done = strake("build", "--json", "--output", f"type=oci,dest={tmp_path}/app.tar", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["builder"] == "lab"


# ---- refused before anything runs --------------------------------------------------------------------------


def test_a_platform_that_no_builder_has_is_refused_with_each_ones_reason(strake, project, base, both, dead, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": both + builder("far", dead) +
                      'target "app" { platforms = { "linux/amd64", "linux/s390x" } }\n'})
    done = strake("build", "--json", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 9
    assert "no builder can take target app for linux/s390x" in done.err
    assert "amd: it builds for linux/amd64" in done.err and "arm: it builds for linux/arm64" in done.err
    assert "far: " in done.err and "refused" in done.err
    assert "strake.lua:4" in done.err
    assert done.json()["targets"][0]["status"] == "failed"
    assert not [event for event in events_of(tmp_path / "events") if event["type"].startswith("step.")]


def test_a_platform_that_the_base_lacks_is_refused(strake, project, base, buildkit, registry, tmp_path):
    name = f"{registry.host}/pool/one-platform"
    folder = project({"Dockerfile": f"FROM {base}\n"})
    env = {"BUILDKIT_HOST": buildkit.address}
    done = strake("build", "-t", f"{name}:1", "--push", "--platform", "linux/amd64", "--provenance", "max", ".",
                  cwd=folder, env=env)
    assert done.exit == 0, done.err
    folder = project({"Dockerfile": f"# a comment\nFROM {name}:1\nRUN true\n"})
    done = strake("build", "--platform", "linux/amd64,linux/arm64", "--events", tmp_path / "events", ".", cwd=folder,
                  env=env)
    assert done.exit == 5
    assert f"the base image {name}:1 has nothing for linux/arm64" in done.err
    assert "Dockerfile:2" in done.err and "it has linux/amd64" in done.err
    assert not [event for event in events_of(tmp_path / "events") if event["type"].startswith("step.")]
    (folder / "strake.lua").write_text('target "app" { platforms = { "linux/amd64", "linux/arm64" } }\n'
                                       'target "amd" { platforms = { "linux/amd64" } }\n')
    done = strake("build", "--all", "--keep-going", "--json", "--events", tmp_path / "more", cwd=folder, env=env)
    assert done.exit == 10 and f"the base image {name}:1 has nothing for linux/arm64" in done.err
    assert [(one["name"], one["status"]) for one in done.json()["targets"]] == [("app", "failed"), ("amd", "done")]
    worked = {event["target"] for event in events_of(tmp_path / "more") if event["type"].startswith("step.")}
    assert worked == {"amd"}, worked


def ours(liar, repository: str) -> list:
    """What Strake itself, and no builder, asked about a repository's manifests."""
    return [(one.method, one.path.rpartition("/")[2]) for method in ("HEAD", "GET")
            for one in liar.asked(method, f"/v2/{repository}/manifests/") if one.headers["User-Agent"].startswith("strake/")]


def test_a_base_of_many_targets_is_looked_up_once(strake, project, base, buildkit, registry, liar, both):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    done = strake("build", "-t", f"{registry.host}/pool/shared-base:1", "--push", "--platform", "linux/amd64",
                  "--provenance", "max", ".", cwd=folder, env={"BUILDKIT_HOST": buildkit.address})
    assert done.exit == 0, done.err
    targets = "".join(f'target "t{n}" {{ platforms = {{ "linux/amd64" }} }}\n' for n in range(4))
    folder = project({"Dockerfile": f"FROM {liar.host}/pool/shared-base:1\nRUN true\n", "strake.lua": both + targets +
                      'target "t4" { platforms = { "linux/amd64", "linux/arm64" } }\n'})
    try:
        done = strake("build", "--all", cwd=folder)
        assert done.exit == 5 and "target t4: the base image" in done.err and "has nothing for linux/arm64" in done.err
        asked = ours(liar, "pool/shared-base")
        assert len(asked) == len(set(asked)) > 0, asked
    finally:
        liar.forget()


def test_a_registry_of_bases_that_does_not_answer_is_asked_once(strake, project, base, buildkit, registry, liar, both):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    done = strake("build", "-t", f"{registry.host}/pool/known-base:1", "--push", "--platform", "linux/amd64",
                  "--provenance", "max", ".", cwd=folder, env={"BUILDKIT_HOST": buildkit.address})
    assert done.exit == 0, done.err
    over = threading.Event()

    def say_nothing(_, forward):
        over.wait(60)
        return forward()

    folder = project({
        "Dockerfile": f"FROM {liar.host}/pool/silent-a:1 AS a\nFROM {liar.host}/pool/silent-b:1\nCOPY --from=a / /\n",
        "lacking/Dockerfile": f"FROM {registry.host}/pool/known-base:1\n",
        "strake.lua": both + 'target "app" { platforms = { "linux/amd64" } }\n'
                      'target "more" { context = "lacking", platforms = { "linux/amd64", "linux/arm64" } }\n'})
    liar.on("HEAD", "/v2/pool/silent-", say_nothing)
    liar.on("GET", "/v2/pool/silent-", say_nothing)
    try:
        done = strake("build", "app", "more", cwd=folder)
        assert done.exit == 5 and "target more: the base image" in done.err
        assert len(ours(liar, "pool/silent-[ab]")) == 1
    finally:
        over.set()
        liar.forget()


def test_two_builders_of_one_name_are_refused(strake, project, base, dead):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": builder("lab", dead) + builder("lab", dead)})
    done = strake("plan", cwd=folder)
    assert done.exit == 3
    assert "strake.lua:1" in done.err and "strake.lua:2" in done.err and "lab" in done.err


# ---- replaced ----------------------------------------------------------------------------------------------


def test_a_builder_that_is_not_there_is_replaced_and_named(strake, project, base, buildkit, dead):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo replaced\n",
                      "strake.lua": builder("far", dead) + builder("lab", buildkit.address) + 'target "app" {}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["builder"] == "lab"
    assert done.err.count("builder far is left out") == 1, done.err


def test_a_pinned_builder_is_not_replaced(strake, project, base, buildkit, dead):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": builder("far", dead) + builder("lab", buildkit.address) + 'target "app" {}\n'})
    done = strake("build", "--builder", "far", cwd=folder)
    assert done.exit == 9 and "refused" in done.err
    assert strake("build", "--builder", "lab", cwd=folder).exit == 0


def test_nobody_is_there(strake, project, base, dead):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": builder("one", dead) + builder("two", dead) + 'target "app" {}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 9
    assert "no builder can take target app" in done.err
    assert "one: " in done.err and "two: " in done.err and "strake doctor" in done.err
    assert done.json()["error"]["kind"] == "builder"


def test_a_builder_that_says_nothing_does_not_hold_up_the_others(strake, project, base, buildkit, silent):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo quick\n",
                      "strake.lua": builder("mute", silent) + builder("lab", buildkit.address) + 'target "app" {}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["builder"] == "lab"
    assert done.json()["duration_ms"] < 15000


def test_a_builder_that_dies_in_mid_build_is_replaced(strake, project, base, mortal, buildkit, registry, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo dies; sleep 4; echo done > /done\n",
                      "strake.lua": builder("mortal", mortal.address) + builder("lab", buildkit.address) + f"""
        target "app" {{ image = "{registry.host}/pool/dies", tags = {{ "1" }} }}"""})
    child = strake.popen("build", "--push", "--json", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo dies")
    mortal.kill()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(out)["targets"][0]["builder"] == "lab"
    assert err.count("leaves builder mortal") == 1, err
    assert registry.tags("pool/dies") == ["1"]


def test_a_failure_of_the_dockerfile_is_not_tried_elsewhere(strake, project, base, buildkit, amd_buildkit, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo mine; exit 3\n",
                      "strake.lua": builder("one", buildkit.address) + builder("two", amd_buildkit.address) +
                      'target "app" {}\n'})
    done = strake("build", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 5
    assert "leaves builder" not in done.err
    failed = [event for event in events_of(tmp_path / "events")
              if event["type"] == "step.done" and "echo mine" in event["name"]]
    assert len(failed) == 1 and failed[0]["step"].startswith("one/")


def test_what_one_builder_cannot_do_goes_to_one_that_can(strake, project, base, buildkit):
    folder = project({"Dockerfile": f"FROM {base}\nRUN <<EOF\necho here\nEOF\n", "strake.lua":
                      'builder "local" { type = "buildah" }\n' + builder("lab", buildkit.address) +
                      'target "app" {}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["builder"] == "lab"


def test_a_builder_that_refuses_an_option_is_passed_over(strake, project, base, buildkit):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua":
                      builder("capital", buildkit.address) + 'builder "local" { type = "buildah" }\n'
                      'target "app" { image = "oci:layout", annotations = { ["org.X"] = "1" } }\n'})
    done = strake("plan", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert [build["builder"] for build in done.json()["targets"][0]["builds"]] == ["local"]


# ---- slots -------------------------------------------------------------------------------------------------


def overlap(events: list, text: str) -> int:
    """How many steps with this text ran at the same moment, at most."""
    times = []
    for event in events:
        if event["type"] == "step.done" and text in event["name"]:
            times += [(event["started"], 1), (event["completed"], -1)]
    most = now = 0
    for _, change in sorted(times):
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("slots, most", [(1, 1), (3, 3)])
def test_slots_are_held_across_targets(strake, project, base, buildkit, tmp_path, slots, most):
    targets = "".join(f'target "t{n}" {{ args = {{ N = "{n}-{slots}" }} }}\n' for n in range(4))
    folder = project({"Dockerfile": f"FROM {base}\nARG N\nRUN echo slot $N; sleep 1\n",
                      "strake.lua": builder("lab", buildkit.address, f", slots = {slots}") + targets})
    done = strake("build", "--all", "--no-cache", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0, done.err
    assert overlap(events_of(tmp_path / "events"), "echo slot") <= most


def test_targets_are_spread_over_free_builders(strake, project, base, buildkit, amd_buildkit):
    targets = "".join(f'target "t{n}" {{ args = {{ N = "{n}" }} }}\n' for n in range(4))
    folder = project({"Dockerfile": f"FROM {base}\nARG N\nRUN echo spread $N; sleep 2\n", "strake.lua":
                      builder("one", buildkit.address, ", slots = 2") +
                      builder("two", amd_buildkit.address, ", slots = 2") + targets})
    done = strake("build", "--all", "--no-cache", "--json", cwd=folder)
    assert done.exit == 0, done.err
    used = sorted(target["builder"] for target in done.json()["targets"])
    assert used == ["one", "one", "two", "two"]


# ---- cancelled ---------------------------------------------------------------------------------------------


def test_a_cancelled_run_leaves_no_client(strake, project, base, both, amd_buildkit, arm_buildkit, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo cancelled; sleep 60\n", "strake.lua": both + """
        target "app" { platforms = { "linux/amd64", "linux/arm64" } }"""})
    child = strake.popen("build", "--no-cache", "--events", tmp_path / "events", cwd=folder)
    wait_for_step(tmp_path / "events", "echo cancelled")
    os.kill(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert clients_of(amd_buildkit.port) == [] and clients_of(arm_buildkit.port) == []


def test_a_share_that_fails_stops_the_other(strake, project, base, both, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nARG TARGETARCH\n"
                                    "RUN echo both; if test $TARGETARCH = arm64; then exit 7; else sleep 60; fi\n",
                      "strake.lua": both + 'target "app" { platforms = { "linux/amd64", "linux/arm64" } }\n'})
    started = time.monotonic()
    done = strake("build", "--no-cache", cwd=folder)
    assert done.exit == 5, done.err
    assert "exit code: 7" in done.err
    assert time.monotonic() - started < 50
