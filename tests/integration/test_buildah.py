"""What buildah can and cannot do beside the Dockerfile's words: options, caches in registries, platforms by emulation."""

import json
import shutil
import subprocess

import pytest

from harness.servers import register_emulation


@pytest.fixture
def storage(tmp_path):
    """Folders of storages of the test's own; emptied by buildah, whose mounts lie in them."""
    made = []

    def make(name: str) -> str:
        if not shutil.which("buildah"):
            pytest.skip("buildah is not installed: ./dev setup")
        made.append(tmp_path / name)
        return f'type = "buildah", root = "{tmp_path / name}"'

    yield make
    for root in made:
        words = ["buildah", "--root", root, "--runroot", f"{root}/run"]
        subprocess.run([*words, "rm", "-a"], capture_output=True, check=False)
        subprocess.run([*words, "rmi", "-a", "-f"], capture_output=True, check=False)


def raw(registry, repository: str, reference: str) -> dict:
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    status, _, body = registry.get(f"/v2/{repository}/manifests/{reference}", accept)
    assert status == 200
    return json.loads(body)


def test_options_reach_run_and_the_image(strake, project, base, storage, registry):
    folder = project({"Dockerfile": f"FROM {base}\nRUN (cat /etc/hosts; ulimit -n)\n", "strake.lua": f"""
        builder "local" {{ {storage("one")} }}
        target "app" {{ image = "{registry.host}/buildah/options", tags = {{ "1" }},
          add_hosts = {{ db = "10.1.2.3" }}, ulimits = {{ nofile = "321:400" }}, source_date_epoch = 7,
          network = "host", entitlements = "network.host",
          annotations = {{ ["org.X"] = "1", ["manifest:org.y"] = "2" }} }}"""})
    done = strake("build", "--push", "--progress", "plain", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    assert "10.1.2.3\tdb" in done.err and "321" in done.err
    manifest = raw(registry, "buildah/options", "1")
    assert manifest["annotations"]["org.X"] == "1" and manifest["annotations"]["org.y"] == "2"
    _, _, body = registry.get(f"/v2/buildah/options/blobs/{manifest['config']['digest']}")
    assert json.loads(body)["created"].startswith("1970-01-01T00:00:07")


@pytest.mark.parametrize("key, said", [
    ('attestations = { sbom = true }', "make attestations"),
    ('entitlements = { "security.insecure" }', "give entitlements"),
    ('annotations = { ["index:a"] = "b" }', "annotate anything but manifests"),
    ('no_cache_stages = { "one" }', "leave the cache out for some stages only"),
    ('compression = "zstd"', "choose the compression of layers"),
    ('network = "none"', "isolation chroot does not know network none"),
    ('shm_size = "8m"', "isolation chroot does not know shm_size"),
])
def test_what_it_cannot_do_is_refused_beforehand(strake, project, base, storage, key, said):
    folder = project({"Dockerfile": f"FROM {base} AS one\n",
                      "strake.lua": f'builder "local" {{ {storage("one")} }}\ntarget "app" {{ {key} }}\n'})
    done = strake("build", "--json", cwd=folder)
    assert done.exit == 9, done.err
    assert said in done.err and done.json()["error"]["hint"]


def test_layers_come_from_a_cache_in_a_registry(strake, project, base, storage, registry):
    files = {"Dockerfile": f"FROM {base}\nRUN echo layer one > /one\nRUN echo layer two > /two\n"}
    target = f"""target "app" {{ image = "{registry.host}/buildah/cached", tags = {{ "1" }},
        cache = {{ type = "registry", ref = "{registry.host}/buildah/cached:Cache" }} }}"""
    first = project({**files, "strake.lua": f'builder "local" {{ {storage("one")} }}\n{target}'})
    done = strake("build", "--push", "--json", cwd=first, timeout=300)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["steps"]["cached"] == 0
    assert registry.tags("buildah/cached/cache")
    second = project({**files, "strake.lua": f'builder "local" {{ {storage("two")} }}\n{target}'})
    done = strake("build", "--push", "--json", "--progress", "plain", cwd=second, timeout=300)
    assert done.exit == 0, done.err
    assert done.json()["targets"][0]["steps"]["cached"] == 2, done.err


def test_a_cache_elsewhere_is_left_out_with_a_warning(strake, project, base, storage, tmp_path):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": f"""
        builder "local" {{ {storage("one")} }}
        target "app" {{ cache = {{ type = "local", dest = "{tmp_path}/cache" }} }}"""})
    done = strake("build", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    assert "build caches in registries only" in done.err


def test_several_platforms_by_emulation(strake, project, base, storage, registry):
    register_emulation()
    folder = project({"Dockerfile": f"FROM {base}\nRUN uname -m\n", "strake.lua": f"""
        builder "local" {{ {storage("one")} }}
        target "app" {{ image = "{registry.host}/buildah/several", tags = {{ "1" }},
                        platforms = {{ "linux/amd64", "linux/arm64" }} }}"""})
    done = strake("build", "--push", "--json", "--progress", "plain", cwd=folder, timeout=300)
    assert done.exit == 0, done.err
    assert "x86_64" in done.err and "aarch64" in done.err
    entries = raw(registry, "buildah/several", "1")["manifests"]
    assert [entry["platform"]["architecture"] for entry in entries] == ["amd64", "arm64"]
