"""Each server works by itself, so that a failure elsewhere is not theirs."""

import base64
import json
import re
import subprocess

import pytest

from harness.images import push_busybox
from harness.servers import Registry, http


def run(*words, **more) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(buildkit, folder, base: str, output: str, *more) -> None:
    """A build by BuildKit's own client."""
    (folder / "Dockerfile").write_text(f"FROM {base}\nRUN uname -m > /machine\n")
    run(buildkit.buildctl, "--addr", buildkit.address, "build", "--frontend", "dockerfile.v0", "--local", f"context={folder}",
        "--local", f"dockerfile={folder}", "--output", output, *more)


# ---- registries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["registry", "registry3"])
def test_skopeo_copies_the_base_image_into_each_registry(name, request, base):
    registry = request.getfixturevalue(name)
    target = f"{registry.host}/servers/copy:1"
    run("skopeo", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{base}",
        f"docker://{target}")
    index = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}"))
    assert [entry["platform"]["architecture"] for entry in index["manifests"]] == ["amd64", "arm64"]
    assert registry.tags("servers/copy") == ["1"]
    assert registry.digest("servers/copy", "1").startswith("sha256:")


def test_the_private_registry_wants_its_user(private_registry):
    assert private_registry.get("/v2/")[0] == 401
    url = f"{private_registry.scheme}://{private_registry.host}/v2/"
    for password, status in (("wrong", 401), ("s3cret-password", 200)):
        login = base64.b64encode(f"dev:{password}".encode()).decode()
        assert http("GET", url, headers={"Authorization": f"Basic {login}"})[0] == status


def test_a_registry_with_a_certificate_answers_who_knows_its_authority(tmp_path, certificates):
    registry = Registry(tmp_path / "tls", 3, tls=(certificates / "server.pem", certificates / "server.key"))
    try:
        url = f"https://{registry.host}/v2/"
        assert run("curl", "-sS", "--noproxy", "*", "--cacert", certificates / "ca.pem", url) == "{}"
        stranger = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, text=True, check=False)
        assert stranger.returncode == 60, stranger.stderr
    finally:
        registry.stop()


# ---- BuildKit ---------------------------------------------------------------------------------------


def test_buildkit_offers_both_platforms(buildkit):
    workers = run(buildkit.buildctl, "--addr", buildkit.address, "debug", "workers", "--format", "{{json .}}")
    platforms = {entry["architecture"] for worker in json.loads(workers) for entry in worker["platforms"]}
    assert {"amd64", "arm64"} <= platforms


@pytest.mark.parametrize("arch,machine", [("amd64", "x86_64"), ("arm64", "aarch64")])
def test_a_build_runs_on_its_platform(arch, machine, buildkit, base, tmp_path):
    build(buildkit, tmp_path, base, f"type=local,dest={tmp_path}/out", "--opt", f"platform=linux/{arch}")
    assert (tmp_path / "out/machine").read_text().strip() == machine


def test_a_push_by_digest_shows_no_tag(buildkit, registry, base, tmp_path):
    build(buildkit, tmp_path, base, f"type=image,name={registry.host}/servers/staged,push=true,push-by-digest=true",
          "--metadata-file", tmp_path / "metadata.json")
    digest = json.loads((tmp_path / "metadata.json").read_text())["containerimage.digest"]
    assert registry.digest("servers/staged", digest) == digest
    assert registry.tags("servers/staged") == []


# ---- ntfy ---------------------------------------------------------------------------------------------


def test_ntfy_keeps_a_message(ntfy):
    assert http("POST", f"{ntfy.url}/servers", b"hello")[0] == 200
    assert [m["message"] for m in ntfy.messages("servers")] == ["hello"]


def test_closed_ntfy_takes_a_user_and_a_token_and_no_stranger(closed_ntfy):
    url = f"{closed_ntfy.url}/servers"
    token = re.search(r"tk_\w+", closed_ntfy.admin("token", "add", "dev")).group()
    assert http("POST", url, b"hello")[0] == 403
    assert http("POST", url, b"hello", {"Authorization": "Bearer tk_00000000000000000000000000000"})[0] == 401
    assert http("POST", url, b"by token", {"Authorization": f"Bearer {token}"})[0] == 200
    assert http("POST", url, b"by user", {"Authorization": "Basic ZGV2OnRvcHNlY3JldA=="})[0] == 200
    found = closed_ntfy.messages("servers", headers={"Authorization": f"Bearer {token}"}, count=2)
    assert [m["message"] for m in found] == ["by token", "by user"]


# ---- the liar -----------------------------------------------------------------------------------------


def test_the_liar_says_what_the_registry_says_until_it_is_told_to_lie(liar, registry):
    reference = push_busybox(registry, "servers/liar").removeprefix(f"{registry.host}/")
    repository, tag = reference.split(":")
    url = f"http://{liar.host}/v2/{repository}/manifests/{tag}"
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    honest = http("GET", url, headers=accept)[2]
    assert honest == registry.get(f"/v2/{repository}/manifests/{tag}", accept["Accept"])[2]
    try:
        liar.corrupt(f"/manifests/{tag}$")
        assert http("GET", url, headers=accept)[2] != honest
    finally:
        liar.forget()
