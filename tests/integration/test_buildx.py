"""The builder `buildx` on the real program: with builders of its own on the tests' BuildKit, with those of a user, and
with a Docker engine."""

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from harness.docker import CLIENTS, DockerEngine, buildx, docker
from harness.process import free_port
from harness.servers import BuildKit
from test_builders import (DOCKERFILE, FAILURES, SLOW, config_of, error_of, events_of, manifest, sleeps, strake_lua,
                           unmount, wait_for)


def remote(buildkit, more: str = "") -> str:
    return f"type = 'buildx', program = '{buildx()}', address = '{buildkit.address}', {more}"


@pytest.fixture(scope="module")
def engine(tmp_path_factory, buildkit):  # which registers the emulation
    """A Docker engine as it was for ten years: without the containerd image store."""
    made = DockerEngine(tmp_path_factory.mktemp("engine"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def containerd_engine(tmp_path_factory, buildkit):
    made = DockerEngine(tmp_path_factory.mktemp("containerd-engine"), containerd=True)
    yield made
    made.stop()


# ---- what is built --------------------------------------------------------------------------------


def test_an_address_is_all_it_needs(strake, project, registry, buildkit, base):
    folder = project({
        "Dockerfile": DOCKERFILE.format(base=base) + "ARG WHO\nLABEL who=$WHO\n",
        "strake.lua": strake_lua(f"{registry.host}/buildx-args", remote(buildkit),
                                 "args = { WHO = 'you, \"me\"' }, labels = { ['org.example.x'] = 'a b' }"),
    })
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    digest = done.json()["targets"][0]["digest"]
    assert config_of(registry, "buildx-args", digest)["config"]["Labels"] == {"who": 'you, "me"', "org.example.x": "a b"}
    # Nobody asked for provenance: it is a manifest, not an index with an attestation in it.
    assert manifest(registry, "buildx-args", digest)["mediaType"].endswith("image.manifest.v1+json")
    assert registry.tags("buildx-args") == []
    # buildx's own folder knows nothing of it, ours keeps one builder and no builds.
    assert not (strake.home / "docker").exists() and not (strake.home / ".docker").exists()
    own = list((strake.home / "state/strake/buildx").iterdir())
    assert len(own) == 1
    assert os.listdir(own[0] / "instances") == ["strake"]
    assert [path for path in (own[0] / "refs").rglob("*") if path.is_file()] == []


def test_it_builds_what_buildctl_builds(strake, project, registry, buildkit, base):
    """The same daemon, the same cache, the same bytes."""
    folder = project({
        "Dockerfile": DOCKERFILE.format(base=base),
        "strake.lua": f"builder 'one' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
                      f"builder 'two' {{ {remote(buildkit)} }}\n"
                      f"target 'app' {{ image = '{registry.host}/same' }}\n"})
    digests = set()
    for name in ("one", "two"):
        done = strake("build", "--stage", "--json", "--builder", name, cwd=folder)
        assert done.exit == 0, done.err
        digests.add(done.json()["targets"][0]["digest"])
    assert len(digests) == 1


def test_two_platforms_are_one_index_of_two(strake, project, registry, buildkit, base, tmp_path):
    folder = project({
        "Dockerfile": f"FROM {base}\nRUN /bin/busybox uname -m\n",
        "strake.lua": strake_lua(f"{registry.host}/buildx-platforms", remote(buildkit),
                                 "platforms = { 'linux/amd64', 'linux/arm64' }"),
    })
    done = strake("build", "--stage", "--json", "--no-cache", "--events", tmp_path / "events", cwd=folder)
    assert done.exit == 0, done.err
    said = "".join(event["text"] for event in events_of(tmp_path / "events") if event["type"] == "step.log")
    assert "x86_64" in said and "aarch64" in said
    index = manifest(registry, "buildx-platforms", done.json()["targets"][0]["digest"])
    assert sorted(entry["platform"]["architecture"] for entry in index["manifests"]) == ["amd64", "arm64"]


def test_attestations_are_made_when_they_are_asked_for(strake, project, registry, buildkit, base):
    folder = project({
        "Dockerfile": f"FROM {base}\n",
        "strake.lua": strake_lua(f"{registry.host}/buildx-attested", remote(buildkit),
                                 "attestations = { provenance = 'mode=min' }"),
    })
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    index = manifest(registry, "buildx-attested", done.json()["targets"][0]["digest"])
    kinds = [entry.get("annotations", {}).get("vnd.docker.reference.type") for entry in index["manifests"]]
    assert sorted(map(str, kinds)) == ["None", "attestation-manifest"]


def test_a_second_build_comes_from_the_cache(strake, project, buildkit, base, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path.name}\nRUN echo second\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", remote(buildkit))})

    def ran(*more) -> int:
        """How many RUN steps were really run."""
        path = tmp_path / "events"
        done = strake("build", "--json", "--events", path, *more, cwd=folder)
        assert done.exit == 0, done.err
        steps = {event["step"]: event["cached"] for event in events_of(path)
                 if event["type"] == "step.done" and " RUN " in event["name"]}
        path.unlink()
        return sum(not cached for cached in steps.values())

    assert (ran(), ran(), ran("--no-cache")) == (2, 0, 2)


def test_a_cache_travels_through_the_registry(strake, project, registry, buildkit, base, tmp_path):
    cache = f"type=registry,ref={registry.host}/buildx-cache:c"
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo {tmp_path.name}\n",
                      "strake.lua": strake_lua(f"{registry.host}/buildx-cached", remote(buildkit))})
    done = strake("build", "--json", "--cache-to", cache + ",mode=max", cwd=folder)
    assert done.exit == 0, done.err
    assert registry.tags("buildx-cache") == ["c"]
    done = strake("build", "--json", "--cache-from", cache, cwd=folder)
    assert done.exit == 0, done.err


def test_named_contexts_a_stage_and_a_file_elsewhere(strake, project, registry, buildkit, base, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/Other").write_text("FROM start AS first\nCOPY --from=data file /file\nFROM first\nRUN false\n")
    folder = project({
        "data/file": "x",
        "strake.lua": strake_lua(f"{registry.host}/buildx-contexts", remote(buildkit),
                                 f"dockerfile = '{tmp_path}/elsewhere/Other', stage = 'first', "
                                 f"contexts = {{ start = 'docker-image://{base}', data = 'data' }}"),
    })
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("kind", ["oci", "docker", "tar", "local"])
def test_files_are_written(kind, strake, project, buildkit, base, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo x > /made\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", remote(buildkit))})
    done = strake("build", "--output", f"type={kind},dest={tmp_path / 'out'}", cwd=folder)
    assert done.exit == 0, done.err
    if kind == "local":
        assert (tmp_path / "out/made").read_text() == "x\n"
        return
    names = subprocess.run(["tar", "-tf", str(tmp_path / "out")], check=True, capture_output=True, text=True).stdout
    assert {"oci": "index.json", "docker": "manifest.json", "tar": "made"}[kind] in names.splitlines()
    assert list(tmp_path.glob("out.*")) == []


def test_a_builder_of_the_user_is_used_as_it_is(strake, project, registry, buildkit, base, tmp_path):
    env = {"BUILDX_CONFIG": str(tmp_path / "buildx")}
    subprocess.run([buildx(), "create", "--name", "mine", "--driver", "remote", buildkit.address], check=True,
                   capture_output=True, env={**os.environ, **env})
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/buildx-mine",
                                               f"type = 'buildx', program = '{buildx()}', builder = 'mine'")})
    done = strake("build", "--stage", "--json", cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert not (strake.home / "state/strake/buildx").exists()


@pytest.fixture
def docker_with_buildx(strake) -> str:
    """docker, for which buildx is a plugin."""
    plugins = strake.home / "docker/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(buildx())
    return str(docker())


def test_docker_buildx_is_buildx(strake, project, registry, buildkit, base, docker_with_buildx):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/docker-buildx",
                                               f"type = 'buildx', program = '{docker_with_buildx}', "
                                               f"address = '{buildkit.address}'")})
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    command = strake("plan", "--json", cwd=folder).json()["targets"][0]["builds"][0]["command"]
    assert command[1:3] == ["buildx", "build"]


def test_docker_without_buildx_is_told(strake, project, buildkit):
    folder = project({"Dockerfile": "FROM scratch\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", f"type = 'buildx', program = '{docker()}', "
                                                                f"address = '{buildkit.address}'")})
    done = strake("build", "--json", cwd=folder, env={"DOCKER_CONFIG": str(strake.home / "none")})
    if any(Path(place, "docker-buildx").exists() for place in (
            "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins",
            "/usr/libexec/docker/cli-plugins")):
        return  # this machine's docker has it
    assert done.exit == 9, done.out
    assert error_of(done)["message"] == "this docker has no buildx"


def test_commands_are_shown_as_they_are_run(strake, project, registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/shown", remote(buildkit),
                                               "platforms = { 'linux/amd64' }, args = { A = '1' }")})
    command = strake("plan", "--json", cwd=folder).json()["targets"][0]["builds"][0]["command"]
    assert command[1:4] == ["build", "--builder", "strake"]
    assert {"--provenance=false", "--sbom=false", "A=1", "linux/amd64"} <= set(command)
    assert command[-1] == str(folder)


def test_what_a_builder_keeps_is_shown_and_pruned(strake, project, registry, base, tmp_path):
    own = BuildKit(tmp_path / "own", [registry])  # what others have built is not to be pruned
    try:
        folder = project({"Dockerfile": f"FROM {base}\nRUN echo one\n", "strake.lua": strake_lua("127.0.0.1:1/x", remote(own))})
        assert strake("build", cwd=folder).exit == 0

        def kept() -> dict:
            shown = strake("cache", "show", "--json", cwd=folder)
            assert shown.exit == 0, shown.err
            return shown.json()["builders"][0]

        before = kept()
        assert before["status"] == "ok" and before["size_bytes"] > 0
        pruned = strake("cache", "prune", "--keep", "0", "--json", cwd=folder)
        assert pruned.exit == 0, pruned.err
        assert pruned.json()["freed_bytes"] > 0
        assert kept()["size_bytes"] < before["size_bytes"]
    finally:
        own.stop()


# ---- secrets --------------------------------------------------------------------------------------


def arguments_of_all() -> str:
    """The command lines of all processes."""
    said = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said.append(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has ended meanwhile
    return "\n".join(said)


def test_secrets_are_read_and_never_shown(strake, project, buildkit, base, tmp_path):
    (tmp_path / "file").write_text("file-secret-value")
    folder = project({
        "Dockerfile": f"FROM {base}\n"
                      "RUN --mount=type=secret,id=env --mount=type=secret,id=file "
                      "test \"$(cat /run/secrets/env)\" = env-secret-value && "
                      "test \"$(cat /run/secrets/file)\" = file-secret-value && cat /run/secrets/env\n"
                      "RUN echo it-runs && sleep 1\n",
        "strake.lua": strake_lua("127.0.0.1:1/x", remote(buildkit)),
    })
    child = strake.popen("build", "--json", "--no-cache", "--events", tmp_path / "events", "--secret", "id=env,env=HIDDEN",
                         "--secret", f"id=file,src={tmp_path / 'file'}", cwd=folder, env={"HIDDEN": "env-secret-value"})
    try:
        wait_for(tmp_path / "events", "it-runs\\n")
        arguments = arguments_of_all()
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, out + err
    assert "id=env,env=STRAKE_SECRET_0" in arguments
    # The step that reads it names its value in its own command, which is the Dockerfile's.
    ours = "\n".join(line for line in arguments.splitlines() if "--metadata-file" in line)
    for text in (ours, out, err, (tmp_path / "events").read_text()):
        assert "file-secret-value" not in text.replace("= file-secret-value", "")
        assert "env-secret-value" not in text.replace("= env-secret-value", "")


def test_a_login_is_used_and_shows_no_password(strake, project, private_registry, buildkit, base, tmp_path):
    login = f"registry '{private_registry.host}' {{ username = 'dev', password = secret.env 'WORD' }}\n"
    lua = strake_lua(f"{private_registry.host}/buildx", remote(buildkit))
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": login + lua})
    done = strake("build", "--stage", "--json", "--events", tmp_path / "events", cwd=folder,
                  env={"WORD": "s3cret-password"})
    assert done.exit == 0, done.err
    assert "s3cret-password" not in done.out + done.err + (tmp_path / "events").read_text()
    (folder / "strake.lua").write_text(strake_lua(f"{private_registry.host}/other", remote(buildkit)))
    done = strake("build", "--stage", "--json", cwd=folder)
    assert (error_of(done)["kind"], done.exit) == ("auth", 8), done.out


# ---- what cannot be built -------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FAILURES))
def test_a_failure_says_what_and_where(name, strake, project, registry, private_registry, buildkit, base):
    dockerfile, error_kind, code, line, words = FAILURES[name]
    folder = project({
        "Dockerfile": dockerfile.format(base=base, host=registry.host, private=private_registry.host),
        "strake.lua": strake_lua(f"{registry.host}/failing", remote(buildkit)),
    })
    done = strake("build", "--json", cwd=folder)
    error = error_of(done)
    assert (error["kind"], done.exit) == (error_kind, code), error
    assert words in error["message"]
    assert "\n" not in error["message"]
    if line is not None:
        assert error["file"] == str(folder / "Dockerfile") and error["line"] == line, error
        assert f">>> {dockerfile.format(base=base).splitlines()[line - 1]}" in error["detail"]


# ---- the builder itself ---------------------------------------------------------------------------


def refused(strake, project, builder: str, env: dict | None = None) -> dict:
    folder = project({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n", "strake.lua": strake_lua("127.0.0.1:1/x", builder)})
    done = strake("build", "--json", cwd=folder, timeout=15, env=env)
    assert (error_of(done)["kind"], done.exit) == ("builder", 9), done.out
    return error_of(done)


def test_a_builder_that_buildx_does_not_know_is_told(strake, project):
    error = refused(strake, project, f"type = 'buildx', program = '{buildx()}', builder = 'nosuch'")
    assert error["message"] == 'buildx has no such builder: no builder "nosuch" found'
    assert "docker buildx ls" in error["hint"]


def test_a_daemon_that_is_not_there_is_told_at_once(strake, project):
    error = refused(strake, project, f"type = 'buildx', program = '{buildx()}', address = 'tcp://127.0.0.1:{free_port()}'")
    assert "onnection refused" in error["message"]


def test_a_users_builder_that_is_not_there_is_told_before_buildx_gives_up(strake, project, tmp_path):
    env = {"BUILDX_CONFIG": str(tmp_path / "buildx")}
    subprocess.run([buildx(), "create", "--name", "gone", "--driver", "remote", f"tcp://127.0.0.1:{free_port()}"],
                   check=True, capture_output=True, env={**os.environ, **env})
    error = refused(strake, project, f"type = 'buildx', program = '{buildx()}', builder = 'gone'", env)
    assert "onnection refused" in error["message"]


def test_an_engine_that_is_not_there_is_told(strake, project):
    error = refused(strake, project, f"type = 'buildx', program = '{buildx()}'", {"DOCKER_HOST": "unix:///nonexistent/s"})
    assert "the Docker engine does not answer" in error["message"]


def test_a_missing_program_is_told(strake, project):
    error = refused(strake, project, "type = 'buildx', program = '/nonexistent/buildx', builder = 'b'")
    assert "/nonexistent/buildx" in error["message"] and "install Docker" in error["hint"]


def test_a_builder_with_certificates_builds(strake, project, tls_buildkit, certificates):
    folder = project({
        "Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
        "strake.lua": strake_lua("127.0.0.1:1/x", remote(
            tls_buildkit, f"ca = '{certificates}/ca.pem', cert = '{certificates}/client.pem', "
                          f"key = '{certificates}/client.key', server_name = 'builder.test'"))})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("options, words", [
    ("", ""),  # how a daemon hangs up on such a client is a matter of timing
    ("ca = '{c}/ca.pem'", ""),
    ("ca = '{c}/ca.pem', cert = '{c}/client.pem', key = '{c}/client.key', server_name = 'other.test'",
     "valid for builder.test, not other.test"),
    ("ca = '{c}/client.pem', cert = '{c}/client.pem', key = '{c}/client.key'", "certificate"),
    ("ca = '{c}/gone.pem', cert = '{c}/client.pem', key = '{c}/client.key'", "gone.pem"),
], ids=["plain", "no-certificate", "other-name", "other-authority", "no-authority"])
def test_a_builder_with_certificates_takes_no_other(strake, project, tls_buildkit, certificates, options, words):
    error = refused(strake, project, remote(tls_buildkit, options.format(c=certificates)))
    assert words in error["message"], error
    assert "option" in error["hint"]


def test_doctor_asks_each_builder(strake, project, buildkit, tls_buildkit, certificates, engine):
    wrong = f"ca = '{certificates}/client.pem', cert = '{certificates}/client.pem', key = '{certificates}/client.key'"
    folder = project({"strake.lua": f"builder 'one' {{ {remote(buildkit)} }}\n"
                                    f"builder 'two' {{ {remote(tls_buildkit, wrong)} }}\n"
                                    f"builder 'three' {{ type = 'buildx', program = '{buildx()}' }}\n"})
    done = strake("doctor", "--json", cwd=folder, env={"DOCKER_HOST": engine.host})
    checks = {check["name"]: check for check in done.json()["checks"] if check["group"] == "builder"}
    assert done.exit == 9
    assert [checks[name]["status"] for name in ("one", "two", "three")] == ["ok", "fail", "ok"]
    assert "linux/amd64" in checks["one"]["detail"] and "linux/arm64" in checks["one"]["detail"], checks
    assert "linux/amd64" in checks["three"]["detail"]
    assert "certificate" in checks["two"]["detail"]


@pytest.mark.parametrize("more, words", [
    ("adress = 'tcp://x:1'", "unknown option 'adress'"),
    ("address = 'lab:1234'", "names no builder: lab:1234"),
    ("address = 'tcp://x:1', builder = 'b'", "exclude each other"),
    ("ca = '/c'", "'ca' needs an address"),
    ("address = 'tcp://x:1', cert = '/c'", "'key' is missing"),
    ("builder = '--help'", "names no builder"),
])
def test_a_wrong_option_is_named(strake, project, more, words):
    folder = project({"Dockerfile": "FROM scratch\n", "strake.lua": strake_lua("127.0.0.1:1/x", f"type = 'buildx', {more}")})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 3, done.out
    assert words in error_of(done)["message"]


def test_a_builder_lost_in_mid_build_is_told(strake, project, registry, base, tmp_path):
    own = BuildKit(tmp_path / "own", [registry])
    try:
        folder = project({"Dockerfile": SLOW.format(base=base, seconds=20),
                          "strake.lua": strake_lua("127.0.0.1:1/x", remote(own))})
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


def ended_within(seconds: float, runs) -> bool:
    deadline = time.monotonic() + seconds
    while runs() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not runs()


@pytest.mark.parametrize("how", ["buildx", "docker buildx"])
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL], ids=["cancelled", "killed"])
def test_a_build_that_is_stopped_leaves_nothing(how, by, request, strake, project, buildkit, base, tmp_path):
    program = buildx() if how == "buildx" else request.getfixturevalue("docker_with_buildx")
    seconds = 200000 + free_port()  # nobody else sleeps that long
    (tmp_path / "tmp").mkdir()
    # What it prints goes nowhere once its reader is gone: that is how a client notices.
    folder = project({"Dockerfile": f"FROM {base}\nRUN (while sleep 0.2; do echo it-runs; done) & sleep {seconds}\n",
                      "strake.lua": strake_lua("127.0.0.1:1/x", f"type = 'buildx', program = '{program}', "
                                                                f"address = '{buildkit.address}'")})
    child = strake.popen("build", "--json", "--events", tmp_path / "events", cwd=folder,
                         env={"TMPDIR": str(tmp_path / "tmp")})
    try:
        wait_for(tmp_path / "events", "it-runs\\n")
        assert str(tmp_path / "tmp") in arguments_of_all()
        child.send_signal(by)
        child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == (130 if by == signal.SIGINT else -signal.SIGKILL)
    assert ended_within(20, lambda: str(tmp_path / "tmp") in arguments_of_all())
    assert ended_within(20, lambda: sleeps(seconds))
    if by == signal.SIGINT:
        assert list((tmp_path / "tmp").glob("strake-*")) == []


# ---- a Docker engine ------------------------------------------------------------------------------


def of_engine(strake, project, engine, dockerfile: str, image: str, more: str = ""):
    """How to build on it: a function that takes the words after `build`."""
    folder = project({"Dockerfile": dockerfile,
                      "strake.lua": strake_lua(image, f"type = 'buildx', program = '{buildx()}'", more)})

    def build(*words, env: dict | None = None):
        return strake("build", "--json", *words, cwd=folder, env={"DOCKER_HOST": engine.host, **(env or {})})

    return build


def test_an_engine_builds_and_keeps_nothing(strake, project, engine, base, tmp_path):
    build = of_engine(strake, project, engine, f"FROM {base}\nRUN echo x > /made\n", "127.0.0.1:1/x",
                      "network = 'host', entitlements = { 'network.host' }")
    before = {image["Id"] for image in engine.images()}
    done = build()
    assert done.exit == 0, done.err
    assert {image["Id"] for image in engine.images()} == before
    done = build("--output", f"type=local,dest={tmp_path / 'out'}")
    assert done.exit == 0, done.err
    assert (tmp_path / "out/made").read_text() == "x\n"


def test_an_engine_gives_an_archive_and_its_image(strake, project, engine, base, tmp_path):
    """It writes no archive itself: docker saves it. `--load` has the image where it belongs by then."""
    build = of_engine(strake, project, engine, f"FROM {base}\nENV SAVED=yes\n", "127.0.0.1:1/saved", "tags = { 'one' }")
    env = {"PATH": f"{docker().parent}:{strake.env['PATH']}"}
    done = build("--output", f"type=docker,dest={tmp_path / 'out'}", env=env)
    assert done.exit == 0, done.err
    with tarfile.open(tmp_path / "out") as archive:
        described = json.load(archive.extractfile("manifest.json"))
    assert [image["RepoTags"] for image in described] == [["127.0.0.1:1/saved:one"]]
    done = build("--load", env=env)
    assert done.exit == 0, done.err
    assert "127.0.0.1:1/saved:one" in [tag for image in engine.images() for tag in image["RepoTags"] or []]


@pytest.mark.parametrize("words, more", [
    (["--stage"], ""),
    (["--output", "type=oci,dest={dest}"], ""),
    ([], "platforms = { 'linux/amd64', 'linux/arm64' }"),
    (["--cache-to", "type=registry,ref=127.0.0.1:1/c:c"], ""),
    ([], "attestations = { provenance = 'mode=max' }"),
], ids=["by-digest", "layout", "platforms", "cache", "attestations"])
def test_what_an_engine_cannot_do_is_refused(words, more, strake, project, engine, registry, base, tmp_path):
    build = of_engine(strake, project, engine, f"FROM {base}\n", f"{registry.host}/engine", more)
    done = build(*[word.format(dest=tmp_path / "out") for word in words])
    assert (error_of(done)["kind"], done.exit) == ("builder", 9), done.out
    assert "the Docker engine's own builder cannot do that" in error_of(done)["message"]
    assert "containerd image store" in error_of(done)["hint"]
    assert not (tmp_path / "out").exists()


def test_an_engine_on_containerd_is_staged_through_a_layout(strake, project, containerd_engine, registry, base):
    build = of_engine(strake, project, containerd_engine, f"FROM {base}\n", f"{registry.host}/containerd",
                      "platforms = { 'linux/amd64', 'linux/arm64' }, tags = { 't' }")
    done = build("--push")
    assert done.exit == 0, done.err
    target = done.json()["targets"][0]
    index = manifest(registry, "containerd", target["digest"])
    assert sorted(entry["platform"]["architecture"] for entry in index["manifests"]) == ["amd64", "arm64"]
    assert registry.digest("containerd", "t") == target["digest"]
    assert sorted(target["platforms"]) == ["linux/amd64", "linux/arm64"]


@pytest.fixture
def container_builder(strake, engine, tmp_path):
    """The environment in which buildx has a builder `boxed` in a container, which does not run yet."""
    env = {"BUILDX_CONFIG": str(tmp_path / "buildx"), "DOCKER_HOST": engine.host}
    engine.import_buildkit("local/buildkit:tests")

    def call(*words: str) -> None:
        subprocess.run([buildx(), *words], check=True, capture_output=True, env={**strake.env, **env})

    call("create", "--name", "boxed", "--driver", "docker-container", "--driver-opt",
         "image=local/buildkit:tests,network=host")
    yield env
    call("rm", "--force", "boxed")


def test_a_builder_in_a_container_is_started_and_pushes(strake, project, registry, base, container_builder):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo boxed > /boxed\n",
                      "strake.lua": strake_lua(f"{registry.host}/boxed", f"type = 'buildx', program = '{buildx()}', "
                                                                         "builder = 'boxed'")})
    done = strake("build", "--push", "--json", cwd=folder, env=container_builder)
    assert done.exit == 0, done.err
    assert registry.digest("boxed", "t") == done.json()["targets"][0]["digest"]


def test_annotations_keep_their_capitals(strake, project, registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/buildx-annotated", remote(buildkit),
                                               "annotations = { ['org.example.Title'] = 'a, b=c' }")})
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    found = manifest(registry, "buildx-annotated", done.json()["targets"][0]["digest"])
    assert found["annotations"] == {"org.example.Title": "a, b=c"}


# ---- beside other builders ------------------------------------------------------------------------


def test_it_takes_over_from_a_buildctl_that_is_not_reached(strake, project, registry, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": f"""
        builder "lab" {{ type = "buildctl", address = "tcp://127.0.0.1:{free_port()}" }}
        builder "laptop" {{ {remote(buildkit)} }}
        target "app" {{ image = "{registry.host}/taken-over" }}"""})
    done = strake("build", "--stage", "--json", cwd=folder)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["builder"] == "laptop"


def test_its_part_of_an_image_is_joined_with_that_of_buildctl(strake, project, registry, base, amd_buildkit, arm_buildkit):
    folder = project({"Dockerfile": f"FROM {base}\nRUN uname -m > /machine\n", "strake.lua": f"""
        builder "amd" {{ type = "buildctl", address = "{amd_buildkit.address}" }}
        builder "arm" {{ {remote(arm_buildkit)} }}
        target "app" {{ image = "{registry.host}/both-clients", platforms = {{ "linux/amd64", "linux/arm64" }},
                        attestations = {{ provenance = "mode=min" }},
                        annotations = {{ ["index:org.x.title"] = "joined", ["manifest:org.x.part"] = "yes" }} }}"""})
    done = strake("build", "--stage", "--json", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    target = done.json()["targets"][0]
    assert target["builder"] == "amd, arm"
    index = manifest(registry, "both-clients", target["digest"])
    kinds = [entry["platform"]["architecture"] for entry in index["manifests"]]
    assert sorted(kinds) == ["amd64", "arm64", "unknown", "unknown"]
    assert index["annotations"] == {"org.x.title": "joined"}
    for entry in index["manifests"]:
        if entry["platform"]["os"] == "linux":
            assert manifest(registry, "both-clients", entry["digest"])["annotations"] == {"org.x.part": "yes"}


# ---- which builder --------------------------------------------------------------------------------


def chosen(strake, folder, env: dict) -> dict:
    planned = strake("plan", "--json", cwd=folder, env=env)
    assert planned.exit == 0, planned.err
    return planned.json()["targets"][0]["builds"][0]


def test_buildx_stands_in_for_a_buildctl_that_is_missing(strake, project, registry, buildkit, base, programs):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": strake_lua(f"{registry.host}/stood-in",
                                               f"type = 'buildctl', address = '{buildkit.address}', timeout = '30s', "
                                               "liveness = '30s'")})
    env = {"PATH": programs(*CLIENTS, more=(buildx(),))}
    assert chosen(strake, folder, env)["plugin"] == "buildx"
    done = strake("build", "--stage", "--json", cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert "buildctl is not installed" in done.err
    checks = strake("doctor", "--json", cwd=folder, env=env).json()["checks"]
    assert [check["status"] for check in checks if (check["group"], check["name"]) == ("builder", "b")] == ["ok"]
    saved = strake("plan", "--save", folder / "saved", cwd=folder, env=env)
    assert saved.exit == 0, saved.err
    done = strake("build", "--plan", folder / "saved", "--stage", cwd=folder, env=env)
    assert done.exit == 0, done.err
    # With its program, or another one that was named, it stays what it is.
    assert chosen(strake, folder, {})["plugin"] == "buildctl"
    (folder / "strake.lua").write_text(strake_lua("127.0.0.1:1/x", "type = 'buildctl', program = '/opt/buildctl'"))
    assert chosen(strake, folder, env)["plugin"] == "buildctl"


def test_without_any_file_buildkit_is_reached_through_buildx(strake, project, buildkit, base, programs):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    done = strake("build", ".", cwd=folder,
                  env={"PATH": programs(*CLIENTS, more=(buildx(),)), "BUILDKIT_HOST": buildkit.address})
    assert done.exit == 0, done.err
    assert f"BuildKit at {buildkit.address}, as BUILDKIT_HOST says" in done.err
    assert "buildctl is not installed" in done.err


def test_without_buildkit_it_is_docker_and_without_docker_buildah(strake, project, engine, base, programs, docker_with_buildx,
                                                                  tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    env = {"PATH": programs(*CLIENTS, more=(Path(docker_with_buildx),)), "DOCKER_HOST": engine.host}
    done = strake("build", ".", cwd=folder, env=env)
    assert done.exit == 0, done.err
    assert "docker buildx: BUILDKIT_HOST is not set and no BuildKit socket exists" in done.err
    done = strake("build", "--output", f"type=docker,dest={tmp_path / 'out'}", ".", cwd=folder, env=env)
    assert done.exit == 0, done.err  # an archive of an image without a name
    with tarfile.open(tmp_path / "out") as archive:
        assert len(json.load(archive.extractfile("manifest.json"))) == 1
    (Path(env["PATH"]) / "docker").unlink()
    assert chosen(strake, folder, env)["plugin"] == "buildah"
