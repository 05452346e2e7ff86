"""What a target asks of its builder beside the Dockerfile's words: through buildctl, on real daemons."""

import contextlib
import json
import socket
import socketserver
import subprocess
import tarfile
import tempfile
import threading

import pytest


@pytest.fixture
def env(buildkit) -> dict:
    return {"BUILDKIT_HOST": buildkit.address}


@pytest.fixture
def built(strake, env, tmp_path):
    """built(folder, words…): the folder of files that the build's last stage holds."""
    def run(folder, *words, **more):
        out = tmp_path / "out"
        done = strake("build", "--output", f"type=local,dest={out}", *words, ".", cwd=folder, env=env, **more)
        assert done.exit == 0, done.err
        return out
    return run


def only_file(base: str, command: str, more: str = "") -> dict:
    return {"Dockerfile": f"FROM {base} AS work\n{more}RUN {command} > /said\nFROM scratch\nCOPY --from=work /said /said\n"}


def test_hosts_limits_and_memory_are_those_of_run(built, project, base):
    folder = project(only_file(base, "(cat /etc/hosts; ulimit -n; df -k /dev/shm | tail -1)"))
    said = (built(folder, "--add-host", "db=10.1.2.3", "--add-host", "old:10.1.2.4", "--ulimit", "nofile=321",
                  "--shm-size", "32m") / "said").read_text()
    assert "10.1.2.3\tdb" in said and "10.1.2.4\told" in said
    assert "\n321\n" in said and "32768" in said


def test_network_none_is_none(built, project, base):
    folder = project(only_file(base, "ls /sys/class/net"))
    assert (built(folder, "--network", "none") / "said").read_text().split() == ["lo"]


def test_network_host_without_the_entitlement_is_refused_beforehand(strake, project, base, env):
    folder = project({"Dockerfile": f"FROM {base}\n",
                      "strake.lua": 'target "app" { network = "host" }\n'})
    done = strake("build", cwd=folder, env=env)
    assert done.exit == 3
    assert "strake.lua:1" in done.err and "needs the entitlement network.host" in done.err
    assert "--allow network.host" in done.err


def test_a_plan_policy_sees_and_denies_entitlements(strake, project, base, env):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": """
        target "app" { entitlements = { "security.insecure" } }
        policy "no privileges" { at = "plan", check = function(plan)
          for _, name in ipairs(plan.options.entitlements or {}) do
            if name == "security.insecure" then deny("app asks for " .. name) end
          end
        end }
    """})
    done = strake("build", cwd=folder, env=env)
    assert done.exit == 4
    assert "asks for security.insecure" in done.err


def test_an_entitlement_that_the_daemon_does_not_give_is_the_builders_refusal(strake, project, base, env):
    folder = project({"Dockerfile": f"# syntax-less\nFROM {base}\nRUN --security=insecure true\n"})
    done = strake("build", "--allow", "security.insecure", ".", cwd=folder, env=env)
    assert done.exit != 0
    assert "security.insecure" in done.err


def test_an_ssh_key_reaches_run(built, project, base, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", key, "2048"], check=True, capture_output=True)
    folder = project({"Dockerfile": f"FROM {base} AS work\nRUN --mount=type=ssh,id=deploy "
                                    "(echo $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK && echo socket) > /said\n"
                                    "FROM scratch\nCOPY --from=work /said /said\n"})
    said = (built(folder, "--ssh", f"deploy={key}") / "said").read_text()
    assert "socket" in said


def test_no_cache_of_one_stage(strake, project, base, env, tmp_path):
    folder = project({"Dockerfile": f"FROM {base} AS one\nRUN echo 1 > /one\nFROM {base} AS two\n"
                                    "COPY --from=one /one /one\nRUN echo 2 > /two\n"})
    strake("build", ".", cwd=folder, env=env)
    done = strake("build", "--no-cache-filter", "two", "--events", tmp_path / "events", ".", cwd=folder, env=env)
    assert done.exit == 0, done.err
    steps = {}
    for line in (tmp_path / "events").read_text().splitlines():
        event = json.loads(line)
        if event["type"] == "step.done":
            steps[event["name"]] = event.get("cached", False)
    assert next(cached for name, cached in steps.items() if "echo 1" in name)
    assert not next(cached for name, cached in steps.items() if "echo 2" in name)


def push(strake, folder, env, name, *words):
    done = strake("build", "-t", name, "--push", "--json", *words, ".", cwd=folder, env=env)
    assert done.exit == 0, done.err
    return done.json()["targets"][0]


def raw(registry, repository: str, reference: str) -> dict:
    status, _, body = registry.get(f"/v2/{repository}/manifests/{reference}",
                                   "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
    assert status == 200
    return json.loads(body)


def test_annotations_of_each_level(strake, project, base, env, registry):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    push(strake, folder, env, f"{registry.host}/options/annotations:1", "--platform", "linux/amd64,linux/arm64",
         "--annotation", "org.x.title=a, \"b\"", "--annotation", "index,manifest-descriptor:org.x.both=2",
         "--annotation", "manifest[linux/arm64]:org.x.arm=3")
    index = raw(registry, "options/annotations", "1")
    assert index["annotations"] == {"org.x.both": "2"}
    manifests = {entry["platform"]["architecture"]: entry for entry in index["manifests"]}
    assert manifests["amd64"]["annotations"]["org.x.both"] == "2"
    amd64 = raw(registry, "options/annotations", manifests["amd64"]["digest"])
    arm64 = raw(registry, "options/annotations", manifests["arm64"]["digest"])
    assert amd64["annotations"] == {"org.x.title": "a, \"b\""}
    assert arm64["annotations"] == {"org.x.title": "a, \"b\"", "org.x.arm": "3"}


def test_an_annotation_in_capitals_is_refused_by_buildctl(strake, project, base, env, registry):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    done = strake("build", "-t", f"{registry.host}/options/capitals:1", "--push", "--annotation", "org.X=1", ".",
                  cwd=folder, env=env)
    assert done.exit == 9
    assert "org.X" in done.err and "lower case" in done.err


def test_layers_are_compressed_as_asked(strake, project, base, env, registry):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo compressed > /c\n", "strake.lua": f"""
        target "app" {{ image = "{registry.host}/options/zstd", tags = {{ "1" }}, compression = "zstd",
                        compression_level = 3, force_compression = true }}"""})
    done = strake("build", "--push", cwd=folder, env=env)
    assert done.exit == 0, done.err
    manifest = raw(registry, "options/zstd", "1")
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+zstd"}


def test_attestations_only_when_they_are_asked_for(strake, project, base, env, registry):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo attested > /a\n"})
    push(strake, folder, env, f"{registry.host}/options/attest:plain")
    assert "manifests" not in raw(registry, "options/attest", "plain")
    push(strake, folder, env, f"{registry.host}/options/attest:none", "--provenance", "false")
    assert "manifests" not in raw(registry, "options/attest", "none")
    push(strake, folder, env, f"{registry.host}/options/attest:max", "--attest", "type=provenance,mode=max")
    entries = raw(registry, "options/attest", "max")["manifests"]
    attestation = next(entry for entry in entries if entry["platform"]["os"] == "unknown")
    assert attestation["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    layer = raw(registry, "options/attest", attestation["digest"])["layers"][0]
    assert "provenance" in layer["annotations"]["in-toto.io/predicate-type"]


SCAN = """cat > "$BUILDKIT_SCAN_DESTINATION/app.spdx.json" <<end
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"name": "$(cat "$BUILDKIT_SCAN_SOURCE/a")"}}
end
"""


def test_an_sbom_is_what_the_named_generator_says(strake, project, base, env, registry):
    folder = project({"Dockerfile": f'FROM {base}\nCOPY scan /scan\nENTRYPOINT ["/bin/sh", "/scan"]\n', "scan": SCAN})
    push(strake, folder, env, f"{registry.host}/options/scanner:1")
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo scanned > /a\n"})
    push(strake, folder, env, f"{registry.host}/options/sbom:1", "--sbom", f"generator={registry.host}/options/scanner:1")
    entries = raw(registry, "options/sbom", "1")["manifests"]
    attestation = next(entry for entry in entries if entry["platform"]["os"] == "unknown")
    layer = raw(registry, "options/sbom", attestation["digest"])["layers"][0]
    assert layer["annotations"]["in-toto.io/predicate-type"] == "https://spdx.dev/Document"
    status, _, body = registry.get(f"/v2/options/sbom/blobs/{layer['digest']}")
    assert status == 200 and json.loads(body)["predicate"] == {"name": "scanned"}


@pytest.fixture
def unix_address(buildkit):
    """The daemon behind a socket in the file system."""
    class Pass(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", buildkit.port)) as daemon:
                back = threading.Thread(target=self.carry, args=(daemon, self.request))
                back.start()
                self.carry(self.request, daemon)
                back.join()

        @staticmethod
        def carry(source, to):
            try:
                while data := source.recv(1 << 16):
                    to.sendall(data)
                to.shutdown(socket.SHUT_WR)
            except OSError:  # one of them has hung up
                for end in (source, to):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        with socketserver.ThreadingUnixStreamServer(f"{folder}/s", Pass) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()
            yield f"unix://{folder}/s"
            server.shutdown()


def test_a_daemon_at_a_socket_writes_a_tar(strake, unix_address, base, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {base} AS work\nRUN echo tarred > /file\nFROM scratch\nCOPY --from=work /file /\n")
    done = strake("build", "--output", f"type=tar,dest={tmp_path / 'out.tar'}", ".", cwd=tmp_path,
                  env={"BUILDKIT_HOST": unix_address})
    assert done.exit == 0, done.err
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.extractfile("file").read() == b"tarred\n"


def test_reproducible_is_the_same_digest_on_two_daemons(strake, project, base, buildkit, amd_buildkit, registry):
    folder = project({"Dockerfile": f"FROM {base}\nRUN date > /dev/null; echo same > /same\nCOPY file /file\n",
                      "file": "content\n", "strake.lua": f"""
        target "app" {{ image = "{registry.host}/options/reproducible", tags = {{ "1" }}, reproducible = true }}"""})
    digests = set()
    for address in (buildkit.address, amd_buildkit.address):
        done = strake("build", "--stage", "--no-cache", "--json", cwd=folder, env={"BUILDKIT_HOST": address})
        assert done.exit == 0, done.err
        digests.add(done.json()["targets"][0]["digest"])
        (folder / "file").touch()
    assert len(digests) == 1, digests


@pytest.mark.parametrize("words, said", [
    (["--annotation", "novalue"], "KEY=VALUE is expected"),
    (["--annotation", "index,other:a=b"], "there is no level other"),
    (["--add-host", "db"], "NAME=VALUE is expected"),
    (["--ulimit", "nofile"], "NAME=VALUE is expected"),
    (["--attest", "type=other"], "neither provenance nor sbom"),
    (["--network", "bridge"], "network must be default, none or host"),
    (["--shm-size", "64q"], "shm_size must be a size"),
])
def test_a_wrong_option_is_a_usage_error(strake, project, base, env, words, said):
    folder = project({"Dockerfile": f"FROM {base}\n"})
    done = strake("plan", *words, ".", cwd=folder, env=env)
    assert done.exit == 2, done.err
    assert said in done.err


@pytest.mark.parametrize("key, said", [
    ('shm_size = "x"', "shm_size must be a size"),
    ('network = "bridge"', "network must be default, none or host"),
    ('attestations = { other = true }', "attestations must be a table of provenance and sbom"),
    ('compression = "lzma"', "compression must be gzip, zstd, estargz or uncompressed"),
    ('ulimits = { nofile = {} }', "ulimits must be a table such as"),
    ('reproducible = 1', "reproducible must be true or false"),
])
def test_a_wrong_key_is_told_with_its_place(strake, project, base, env, key, said):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": f'\ntarget "app" {{ {key} }}\n'})
    done = strake("plan", cwd=folder, env=env)
    assert done.exit == 3
    assert "strake.lua:2" in done.err and said in done.err


def test_slots_are_the_pools_and_not_the_plugins(strake, project, base, buildkit):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": f"""
        builder "lab" {{ type = "buildctl", address = "{buildkit.address}", slots = 2 }}
        target "app" {{}}"""})
    assert strake("plan", cwd=folder).exit == 0
    (folder / "strake.lua").write_text('builder "lab" { type = "buildctl", slots = 0 }\n')
    done = strake("plan", cwd=folder)
    assert done.exit == 3 and "slots must be a number from 1 to 1000" in done.err


def test_a_saved_plan_keeps_its_options(strake, project, base, env, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\nRUN echo kept\n", "strake.lua": """
        target "app" { add_hosts = { db = "10.0.0.1" }, shm_size = "8m", ssh = {} }"""})
    plan = tmp_path / "plan.json"
    done = strake("plan", "--save", plan, cwd=folder, env=env)
    assert done.exit == 0, done.err
    target = json.loads(plan.read_text())["targets"][0]
    assert target["options"] == {"add_hosts": {"db": "10.0.0.1"}, "shm_size": 8388608}
    command = target["builds"][0]["command"]
    assert "add-hosts=db=10.0.0.1" in command and "shm-size=8388608" in command
    done = strake("build", "--plan", plan, cwd=folder, env=env)
    assert done.exit == 0, done.err


@pytest.mark.parametrize("kind, word", [("buildctl", "image-resolve-mode=pull"), ("buildx", "--pull"),
                                        ("buildah", "--pull-always")])
def test_pull_asks_registries_for_base_images(strake, project, base, buildkit, kind, word):
    address = f', address = "{buildkit.address}"' if kind == "buildctl" else ""
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": f'builder "b" {{ type = "{kind}"{address} }}\n'
                      'target "plain" { }\ntarget "fresh" { pull = true }\n'})
    plan = strake("plan", "--json", "--all", cwd=folder)
    assert plan.exit == 0, plan.err
    commands = {target["name"]: target["builds"][0]["command"] for target in plan.json()["targets"]}
    assert word in commands["fresh"] and word not in commands["plain"]
    plan = strake("plan", "--json", "--pull", "plain", cwd=folder)
    assert word in plan.json()["targets"][0]["builds"][0]["command"]
    if kind == "buildctl":
        done = strake("build", "fresh", cwd=folder)
        assert done.exit == 0, done.err
