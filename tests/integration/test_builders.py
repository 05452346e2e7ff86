"""The builders `buildctl` and `buildah` on the real programs: what is built, and what is said when
it cannot be."""

import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness.process import free_port
from harness.servers import BuildKit

DOCKERFILE = "FROM {base} AS first\nARG WHO=nobody\nRUN echo made for $WHO > /made\nFROM first\nCMD cat /made\n"


def strake_lua(image: str, builder: str, more: str = "") -> str:
    return (f"builder 'b' {{ {builder} }}\n"
            f"target 'app' {{ context = '.', image = '{image}', tags = {{ 't' }}, builder = 'b', {more} }}\n")


def buildctl(buildkit, more: str = "") -> str:
    return f"type = 'buildctl', address = '{buildkit.address}', {more}"


def error_of(result) -> dict:
    return result.json()["error"]


@pytest.fixture
def buildah(tmp_path):
    """A builder that keeps its images in a storage of the test's own."""
    if not shutil.which("buildah"):
        pytest.skip("buildah is not installed: ./dev setup")
    root = tmp_path / "buildah"
    yield f"type = 'buildah', root = '{root}'"
    storage = ["--root", str(root), "--runroot", str(root / "run")]
    left = subprocess.run(["buildah", *storage, "containers", "-q"], capture_output=True, text=True, check=False)
    subprocess.run(["buildah", *storage, "rm", "-a"], capture_output=True, check=False)
    subprocess.run(["buildah", *storage, "rmi", "-a", "-f"], capture_output=True, check=False)
    assert left.stdout == "", "a build left a container behind"


def manifest(registry, repository: str, digest: str) -> dict:
    accept = ("application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
    status, _, body = registry.get(f"/v2/{repository}/manifests/{digest}", accept)
    assert status == 200, body
    return json.loads(body)


def config_of(registry, repository: str, digest: str) -> dict:
    config = manifest(registry, repository, digest)["config"]["digest"]
    return json.loads(registry.get(f"/v2/{repository}/blobs/{config}")[2])


def events_of(path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- what is built --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_an_image_has_its_arguments_and_labels(kind, request, strake, project, registry, base):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({
        "Dockerfile": DOCKERFILE.format(base=base) + "ARG WHO\nLABEL who=$WHO\n",
        "strake.lua": strake_lua(f"{registry.host}/args-{kind}", builder,
                                 "args = { WHO = 'you, \"me\"' }, labels = { ['org.example.x'] = 'a b' }"),
    })
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    target = done.json()["targets"][0]
    config = config_of(registry, f"args-{kind}", target["digest"])
    assert config["config"]["Labels"] == {"who": 'you, "me"', "org.example.x": "a b"}
    assert config["config"]["Cmd"] == ["/bin/sh", "-c", "cat /made"]
    assert manifest(registry, f"args-{kind}", target["digest"])["mediaType"].endswith("image.manifest.v1+json")
    assert registry.tags(f"args-{kind}") == []  # by digest alone


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_a_stage_can_be_the_last(kind, request, strake, project, registry, base):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({"Dockerfile": DOCKERFILE.format(base=base),
                      "strake.lua": strake_lua(f"{registry.host}/stage-{kind}", builder, "stage = 'first'")})
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    config = config_of(registry, f"stage-{kind}", done.json()["targets"][0]["digest"])
    assert config["config"]["Cmd"] == ["/bin/sh"]


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_two_platforms_are_one_index(kind, request, strake, project, registry, base, tmp_path):
    buildkit = request.getfixturevalue("buildkit")  # it registers the emulation
    builder = buildctl(buildkit) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({
        "Dockerfile": f"FROM {base}\nRUN /bin/busybox uname -m\n",
        "strake.lua": strake_lua(f"{registry.host}/platforms-{kind}", builder,
                                 "platforms = { 'linux/amd64', 'linux/arm64' }"),
    })
    done = strake("build", "--stage", "--json", "--no-cache", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0, done.err
    said = "".join(event["text"] for event in events_of(tmp_path / "events") if event["type"] == "step.log")
    assert "x86_64" in said and "aarch64" in said
    target = done.json()["targets"][0]
    index = manifest(registry, f"platforms-{kind}", target["digest"])
    found = {entry["platform"]["architecture"]: entry["digest"] for entry in index["manifests"]}
    assert sorted(found) == ["amd64", "arm64"]
    assert target["platforms"] == {"linux/amd64": found["amd64"], "linux/arm64": found["arm64"]}
    for architecture, digest in found.items():
        assert config_of(registry, f"platforms-{kind}", digest)["architecture"] == architecture


def test_buildah_gives_each_platform_its_own_image_on_scratch(strake, project, registry, buildah):
    """Its cache takes one for the other; found on buildah 1.28."""
    folder = project({
        "Dockerfile": "FROM scratch\nCOPY Dockerfile /x\n",
        "strake.lua": strake_lua(f"{registry.host}/scratch", buildah, "platforms = { 'linux/arm64' }"),
    })
    first = strake("build", "--stage", "--json", cwd=folder)
    second = strake("build", "--stage", "--json", "--platform", "linux/amd64", cwd=folder)
    assert first.exit == 0 and second.exit == 0, first.err + second.err
    for done, architecture in ((first, "arm64"), (second, "amd64")):
        digest = done.json()["targets"][0]["digest"]
        assert config_of(registry, "scratch", digest)["architecture"] == architecture


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_secrets_are_read_and_never_shown(kind, request, strake, project, registry, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    (tmp_path / "file").write_text("file-secret-value")
    folder = project({
        "Dockerfile": f"FROM {base}\n"
                      "RUN --mount=type=secret,id=env --mount=type=secret,id=file "
                      "test \"$(cat /run/secrets/env)\" = env-secret-value && "
                      "test \"$(cat /run/secrets/file)\" = file-secret-value && cat /run/secrets/env\n",
        "strake.lua": strake_lua(f"{registry.host}/secret-{kind}", builder),
    })
    done = strake("build", "--json", "--no-cache", "--events", tmp_path / "events", "--secret", "id=env,env=HIDDEN",
                  "--secret", f"id=file,src={tmp_path / 'file'}", cwd=folder, env={"HIDDEN": "env-secret-value"})
    assert done.exit == 0, done.err
    for text in (done.out, done.err, (tmp_path / "events").read_text()):
        assert "env-secret-value" not in text


def test_a_named_context_is_a_folder_or_an_image(strake, project, registry, buildkit, base):
    folder = project({
        "Dockerfile": "FROM start\nCOPY --from=data file /file\n",
        "data/file": "x",
        "strake.lua": strake_lua(f"{registry.host}/contexts", buildctl(buildkit),
                                 f"contexts = {{ start = 'docker-image://{base}', data = 'data' }}"),
    })
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_a_second_build_is_cached_and_no_cache_is_not(kind, request, strake, project, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path.name}\nRUN echo second\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", builder)})

    def ran(*more) -> int:
        """How many RUN steps were really run."""
        path = tmp_path / "events"
        done = strake("build", "--json", "--events", path, *more, cwd=folder)
        assert done.exit == 0, done.err
        steps = {}
        for event in events_of(path):
            if event["type"] == "step.done" and " RUN " in event["name"]:
                steps[event["step"]] = event["cached"]
        path.unlink()
        return sum(not cached for cached in steps.values())

    assert ran() == 2
    assert ran() == 0
    assert ran("--no-cache") == 2


def test_a_cache_travels_through_the_registry(strake, project, registry, buildkit, base, tmp_path):
    cache = f"type=registry,ref={registry.host}/cache:c"
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path.name}\n",
                      "strake.lua": strake_lua(f"{registry.host}/cached", buildctl(buildkit))})
    done = strake("build", "--json", "--cache-to", cache + ",mode=max", cwd=folder)
    assert done.exit == 0, done.err
    assert registry.tags("cache") == ["c"]
    subprocess.run([str(buildkit.buildctl), "--addr", buildkit.address, "prune", "--all"], check=True, capture_output=True)
    done = strake("build", "--json", "--events", tmp_path / "events", "--cache-from", cache, cwd=folder)
    assert done.exit == 0, done.err
    runs = [event for event in events_of(tmp_path / "events") if event["type"] == "step.done" and " RUN " in event["name"]]
    assert runs[-1]["cached"]


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
@pytest.mark.parametrize("output", ["oci", "docker", "tar", "local"])
def test_an_image_can_be_written_to_a_file(kind, output, request, strake, project, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo x > /made-here\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", builder, "platforms = { 'linux/amd64' }")})
    dest = tmp_path / "out"
    done = strake("build", "--json", "--output", f"type={output},dest={dest}", cwd=folder)
    assert done.exit == 0, done.err
    if output == "local":
        assert (dest / "made-here").read_text() == "x\n"
    elif output == "tar":
        assert "made-here" in subprocess.run(["tar", "tf", dest], capture_output=True, text=True, check=True).stdout
    else:
        name = f"{output}-archive:{dest}"
        seen = subprocess.run(["skopeo", "inspect", name], capture_output=True, text=True, check=False)
        assert seen.returncode == 0, seen.stderr
        assert json.loads(seen.stdout)["Architecture"] == "amd64"


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
@pytest.mark.parametrize("output", ["oci", "docker", "tar"])
def test_a_failed_build_leaves_the_file_that_is_there(kind, output, request, strake, project, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({"Dockerfile": f"FROM {base}\nRUN exit 1\n", "strake.lua": strake_lua("127.0.0.1:1/x", builder)})
    dest = tmp_path / "out"
    dest.write_text("the last good one")
    done = strake("build", "--json", "--output", f"type={output},dest={dest}", cwd=folder)
    assert done.exit == 5, done.out
    assert dest.read_text() == "the last good one"
    assert list(tmp_path.glob("out*")) == [dest]


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_steps_and_their_output_are_told(kind, request, strake, project, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo to-stdout-{tmp_path.name}; echo to-stderr >&2\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", builder)})
    done = strake("build", "--json", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0, done.err
    events = events_of(tmp_path / "events")
    step = next(event["step"] for event in events if event["type"] == "step.started" and " RUN " in event["name"])
    said = {stream: "".join(event["text"] for event in events
                            if event["type"] == "step.log" and event["step"] == step and event["stream"] == stream)
            for stream in ("stdout", "stderr")}
    assert f"to-stdout-{tmp_path.name}\n" in said["stdout"]
    assert "to-stderr" in said["stderr"]
    assert any(event["type"] == "step.done" and event["step"] == step for event in events)


# ---- what cannot be built -------------------------------------------------------------------------

FAILURES = {
    # name: (Dockerfile, kind of error, exit, line, words of the message)
    "syntax": ("FROM {base}\nRUNN x\n", "dockerfile", 5, 2, "unknown instruction"),
    "copy-syntax": ("FROM {base}\nCOPY x\n", "dockerfile", 5, 2, "COPY requires at least"),
    "run": ("FROM {base}\nRUN true && \\\n    exit 3\n", "build", 5, 2, "failed with exit code 3"),
    "command": ("FROM {base}\nRUN nosuch\n", "build", 5, 2, "RUN nosuch failed with exit code 127"),
    "copy": ("FROM {base}\nCOPY gone /gone\n", "build", 5, 2, "/gone"),
    "base": ("FROM {host}/nothing:1\n", "build", 5, None, "/nothing:1 does not exist"),
    "registry": ("FROM 127.0.0.1:1/x:1\n", "registry", 8, None, "127.0.0.1:1/x:1 cannot be fetched"),
    "login": ("FROM {private}/x:1\n", "auth", 8, None, "may not be read"),
    "secret": ("FROM {base}\nRUN --mount=type=secret,id=tok,required=true true\n", "build", 5, 2, "secret"),
}


# buildah asks a registry that is not there for six seconds: that rule is tested on its recorded words.
@pytest.mark.parametrize("kind, name", [("buildctl", name) for name in FAILURES]
                         + [("buildah", name) for name in FAILURES if name != "registry"])
def test_a_failure_says_what_and_where(kind, name, request, strake, project, registry, private_registry, base):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    dockerfile, error_kind, code, line, words = FAILURES[name]
    folder = project({
        "Dockerfile": dockerfile.format(base=base, host=registry.host, private=private_registry.host),
        "strake.lua": strake_lua(f"{registry.host}/failing", builder),
    })
    done = strake("build", "--json", cwd=folder)
    error = error_of(done)
    assert (error["kind"], done.exit) == (error_kind, code), error
    assert words in error["message"]
    assert "\n" not in error["message"]
    assert error["detail"]
    if line is not None:
        assert error["file"] == str(folder / "Dockerfile") and error["line"] == line, error
    if kind == "buildctl" and line is not None:
        assert f">>> {dockerfile.format(base=base).splitlines()[line - 1]}" in error["detail"]


def test_a_push_without_a_login_is_an_error_of_the_registry(strake, project, private_registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{private_registry.host}/app", buildctl(buildkit))})
    done = strake("build", "--stage", "--json", cwd=folder)
    assert (error_of(done)["kind"], done.exit) == ("auth", 8), done.out


def test_a_push_with_a_login_works_and_shows_no_password(strake, project, private_registry, buildkit, base, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": f"registry '{private_registry.host}' {{ username = 'dev', "
                                    "password = secret.env 'WORD' }\n"
                                    + strake_lua(f"{private_registry.host}/app", buildctl(buildkit))})
    done = strake("build", "--stage", "--json", "--events", tmp_path / "events", cwd=folder,
                  env={"WORD": "s3cret-password"})
    assert done.exit == 0, done.err
    assert "s3cret-password" not in done.out + done.err + (tmp_path / "events").read_text()


def test_a_cache_that_cannot_be_written_fails_unless_told_otherwise(strake, project, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo cache\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", buildctl(buildkit))})
    cache = "type=registry,ref=127.0.0.1:1/cache:c"
    done = strake("build", "--json", "--cache-to", cache, cwd=folder)
    assert (error_of(done)["kind"], done.exit) == ("registry", 8), done.out
    assert "cache could not be written" in error_of(done)["message"]
    done = strake("build", "--json", "--cache-to", cache + ",ignore-error=true", cwd=folder)
    assert done.exit == 0, done.err


def test_buildah_says_beforehand_what_it_cannot_build(strake, project, base, buildah):
    for line, text in ((2, f"FROM {base}\nRUN <<EOF\necho x\nEOF\n"), (2, f"FROM {base}\nCOPY --link x /x\n")):
        folder = project({"Dockerfile": text, "x": "", "strake.lua": strake_lua("127.0.0.1:1/x", buildah)})
        done = strake("build", "--json", cwd=folder)
        assert done.exit == 9, done.out
        assert error_of(done)["line"] == line


# ---- the builder itself ---------------------------------------------------------------------------


@pytest.fixture
def silent_port():
    """A peer that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        taken = []

        def accept():
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def unreachable(strake, project, address: str, more: str = ""):
    folder = project({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", f"type = 'buildctl', address = '{address}', {more}")})
    done = strake("build", "--json", cwd=folder, timeout=15)
    assert (error_of(done)["kind"], done.exit) == ("builder", 9), done.out
    assert address in error_of(done)["message"]
    return error_of(done)


def test_a_silent_builder_is_given_up(strake, project, silent_port):
    error = unreachable(strake, project, f"tcp://127.0.0.1:{silent_port}")
    assert "said nothing within 3000 ms" in error["message"]


def test_a_silent_builder_with_tls_is_given_up(strake, project, silent_port, tmp_path):
    (tmp_path / "ca").write_text("")
    error = unreachable(strake, project, f"tcp://127.0.0.1:{silent_port}", f"ca = '{tmp_path / 'ca'}', timeout_ms = 200")
    assert "said nothing within 200 ms" in error["message"]


def test_a_builder_that_is_not_there_is_told(strake, project):
    assert "onnection refused" in unreachable(strake, project, f"tcp://127.0.0.1:{free_port()}")["message"]
    assert "No such file" in unreachable(strake, project, "unix:///nonexistent/socket")["message"]


def test_a_builder_with_certificates_builds(strake, project, tls_buildkit, certificates):
    folder = project({
        "Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
        "strake.lua": strake_lua("127.0.0.1:1/x", buildctl(
            tls_buildkit, f"ca = '{certificates}/ca.pem', cert = '{certificates}/client.pem', "
                          f"key = '{certificates}/client.key', server_name = 'builder.test'"))})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("options", [
    "",
    "ca = '{c}/gone.pem', cert = '{c}/client.pem', key = '{c}/client.key'",
    "ca = '{c}/ca.key', cert = '{c}/client.pem', key = '{c}/client.key'",
], ids=["plain", "no-authority", "no-certificate-in-it"])
def test_a_builder_with_certificates_takes_no_other(strake, project, tls_buildkit, certificates, options):
    folder = project({
        "Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
        "strake.lua": strake_lua("127.0.0.1:1/x", buildctl(tls_buildkit, options.format(c=certificates)))})
    done = strake("build", "--json", cwd=folder, timeout=15)
    assert (error_of(done)["kind"], done.exit) == ("builder", 9), done.out
    assert re.search("ca, cert|server_name", error_of(done)["hint"])


def test_another_server_is_no_builder(strake, project, registry):
    assert "HTTP server" in unreachable(strake, project, f"tcp://{registry.host}")["message"]


@pytest.mark.parametrize("more, words", [
    ("adress = 'tcp://x:1'", "unknown option 'adress'"),
    ("address = 'lab:1234'", "names no builder: lab:1234"),
    ("cert = '/c'", "'key' is missing"),
    ("timeout_ms = 0", "'timeout_ms'"),
])
def test_a_wrong_option_is_named(strake, project, more, words):
    folder = project({"Dockerfile": "FROM scratch\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", f"type = 'buildctl', {more}")})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 3, done.out
    assert words in error_of(done)["message"]


def wait_for(path, words: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and words in path.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{words} did not come: {path.read_text() if path.exists() else 'nothing'}")


SLOW = "FROM {base}\nRUN echo it-runs && sleep {seconds}\n"


def unmount(folder) -> None:
    """What a daemon that was killed left mounted."""
    for line in open("/proc/mounts", encoding="utf-8").read().splitlines():
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", place], check=False)


def test_a_builder_lost_in_mid_build_is_told(strake, project, registry, base, tmp_path):
    own = BuildKit(tmp_path / "own", [registry])
    try:
        folder = project({"Dockerfile": SLOW.format(base=base, seconds=20),
                          "strake.lua": strake_lua("127.0.0.1:1/x", buildctl(own))})
        child = strake.popen("build", "--json", "--events", tmp_path / "events", cwd=folder)
        wait_for(tmp_path / "events", "it-runs\\n")
        own.server.kill()
        out, err = child.communicate(timeout=30)
    finally:
        own.server.kill()
        unmount(own.root)
        own.stop()
    assert child.returncode == 9, out + err
    error = json.loads(out)["error"]
    assert error["kind"] == "builder"
    assert "lost during the build" in error["message"]


def sleeps(seconds: int) -> bool:
    found = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return any(line.endswith(f"sleep {seconds}") for line in found.splitlines())


@pytest.mark.parametrize("kind", ["buildctl", "buildah"])
def test_a_cancelled_build_ends_at_once_and_leaves_nothing(kind, request, strake, project, base, tmp_path):
    builder = buildctl(request.getfixturevalue("buildkit")) if kind == "buildctl" else request.getfixturevalue("buildah")
    seconds = 100000 + free_port()  # nobody else sleeps that long
    (tmp_path / "tmp").mkdir()
    folder = project({"Dockerfile": SLOW.format(base=base, seconds=seconds),
                      "strake.lua": strake_lua("127.0.0.1:1/x", builder)})
    child = strake.popen("build", "--json", "--events", tmp_path / "events", cwd=folder,
                         env={"TMPDIR": str(tmp_path / "tmp")})
    try:
        wait_for(tmp_path / "events", "it-runs\\n")
        assert sleeps(seconds)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130, out + err
    assert list((tmp_path / "tmp").glob("strake-*")) == []
    deadline = time.monotonic() + 10
    while sleeps(seconds) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not sleeps(seconds)


def test_a_build_ends_with_the_program_that_was_killed(strake, project, buildkit, base, tmp_path):
    mark = f"mark-{tmp_path.name}-{free_port()}"
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo it-runs; while sleep 1; do echo {mark}; done\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", buildctl(buildkit))})
    child = strake.popen("build", "--json", "--events", tmp_path / "events", cwd=folder)

    def runs() -> bool:
        return mark in subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    try:
        wait_for(tmp_path / "events", "it-runs\\n")
        assert runs()
    finally:
        child.kill()
        child.wait()
    deadline = time.monotonic() + 20
    while runs() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not runs()


def test_doctor_asks_each_builder(strake, project, buildkit, buildah):
    folder = project({"strake.lua": f"builder 'one' {{ {buildctl(buildkit)} }}\nbuilder 'two' {{ {buildah} }}\n"
                                    "builder 'three' { type = 'buildctl', address = 'tcp://127.0.0.1:1' }\n"})
    done = strake("doctor", "--json", cwd=folder)
    checks = {check["name"]: check for check in done.json()["checks"]
              if check["group"] == "builder" and check["name"] in ("one", "two", "three")}
    assert done.exit == 9
    assert {name: check["status"] for name, check in checks.items()} == {"one": "ok", "two": "ok", "three": "fail"}
    for name in ("one", "two"):
        assert "linux/amd64" in checks[name]["detail"] and "linux/arm64" in checks[name]["detail"]
    assert "buildah 1." in checks["two"]["detail"]
    assert "onnection refused" in checks["three"]["detail"]


def test_commands_are_shown_as_they_are_run(strake, project, registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/shown", buildctl(buildkit),
                                               "platforms = { 'linux/amd64' }, args = { A = '1' }")})
    first, second = strake("plan", "--json", cwd=folder), strake("plan", "--json", cwd=folder)
    assert first.exit == 0, first.err
    command = first.json()["targets"][0]["builds"][0]["command"]
    assert command == second.json()["targets"][0]["builds"][0]["command"]
    assert command[:4] == ["buildctl", "--addr", buildkit.address, "build"]
    assert "build-arg:A=1" in command and "platform=linux/amd64" in command
    assert re.search(r"type=image,name=[^ ]+/shown,push=true,push-by-digest=true", " ".join(command))


def test_an_image_of_buildah_is_taken_again_when_its_bases_were_looked_up(strake, project, registry, base, buildah):
    """It does not tell its bases: what made a plain push is not known, what made one of --changed is."""
    image = f"{registry.host}/builders/buildah-changed"
    folder = project({"Dockerfile": f"FROM {base}\nCOPY content /\n", "content": "x\n", ".dockerignore": "strake.lua\n.git\n",
                      "strake.lua": f"builder 'b' {{ {buildah} }}\ntarget 'app' {{ image = '{image}', tags = {{ 'v1' }} }}\n"})

    def target(*args):
        done = strake(*args, "--json", cwd=folder)
        assert done.exit == 0, done.err
        return done.json()["targets"][0]
    assert target("build", "--push")["status"] == "done"
    assert "is not known" in target("plan", "--check-cache")["why"]
    first, again = (target("build", "--push", "--changed") for _ in range(2))
    assert (first["status"], again["status"], again["digest"]) == ("done", "unchanged", first["digest"])


@pytest.mark.parametrize("given", [True, False], ids=["TMPDIR", "no TMPDIR"])
def test_what_a_client_tells_of_its_image_waits_for_no_disk(given, strake, project, registry, buildkit, base, tmp_path):
    """A client syncs the file in which it names the digest: without a TMPDIR that file lies in memory."""
    program, said, temp = tmp_path / "buildctl", tmp_path / "said", tmp_path / "tmp"
    temp.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {said}\nexec {buildkit.buildctl} "$@"\n')
    program.chmod(0o755)
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua":
                      strake_lua(f"{registry.host}/memory", buildctl(buildkit, f"program = '{program}'"))})
    done = strake("build", "--stage", cwd=folder, env={"TMPDIR": str(temp) if given else ""})
    assert done.exit == 0, done.err
    where = Path(said.read_text().split("--metadata-file ")[1].split()[0])
    assert where.parent.parent == (temp if given else Path("/dev/shm"))
    assert not where.parent.exists()
