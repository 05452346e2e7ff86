"""What Strake writes others read, and the other way round: skopeo, regctl, crane, with both registries."""

import hashlib
import json
import os
import subprocess

import pytest

from harness.certificates import make_certificates
from harness.process import tool
from harness.servers import Registry

USER, PASSWORD = "dev", "s3cret-password"


class Peers:
    """The other clients, in the same home as the program under test."""

    def __init__(self, strake, folder):
        self.config = strake.home / "docker/config.json"
        self.env = {**strake.env, "REGCTL_CONFIG": str(folder / "regctl.json")}

    def run(self, *words, stdin=None, **env):
        done = subprocess.run([str(word) for word in words], env={**self.env, **env}, capture_output=True, text=True,
                              timeout=60, input=stdin)
        assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def skopeo(self, verb, *words, **more):
        return self.run(tool("skopeo"), "--insecure-policy", verb, *words, **more)

    def crane(self, *words, **more):
        return self.run(tool("crane", "peers/crane"), *words, **more)

    def regctl(self, host, *words, tls="disabled", **more):
        return self.run(tool("regctl", "peers/regctl"), "--host", f"reg={host},tls={tls}", *words, **more)


@pytest.fixture
def peers(strake, tmp_path):
    return Peers(strake, tmp_path)


@pytest.fixture(params=["registry", "registry3"], ids=["2.8", "v3"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def run(strake, tmp_path):
    def go(*args, exit=0, **more):
        done = strake(*args, cwd=tmp_path, **more)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done
    return go


def digest_of(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


# ---- registries -----------------------------------------------------------------------------------------------


def test_copies_of_both_have_the_same_digest(run, peers, base, registry, server):
    ours, theirs = f"{server.host}/interop/ours", f"{server.host}/interop/theirs"
    copied = run("image", "copy", "--json", base, f"{ours}:1").json()
    peers.skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
                 f"docker://{base}", f"docker://{theirs}:1")
    assert copied["digest"] == server.digest("interop/ours", "1") == server.digest("interop/theirs", "1")
    # And each of what the other wrote.
    assert run("image", "copy", "--json", f"{theirs}:1", f"{ours}:2").json()["digest"] == copied["digest"]
    peers.skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
                 f"docker://{ours}:1", f"docker://{theirs}:2")
    assert server.digest("interop/theirs", "2") == copied["digest"]


def test_one_platform_is_the_same_for_both(run, peers, base, server):
    ours, theirs = f"{server.host}/interop/one", f"{server.host}/interop/other"
    copied = run("image", "copy", "--json", "--platform", "linux/arm64", base, f"{ours}:1").json()
    peers.skopeo("copy", "--override-arch=arm64", "--preserve-digests", "--src-tls-verify=false",
                 "--dest-tls-verify=false", f"docker://{base}", f"docker://{theirs}:1")
    assert copied["digest"] == server.digest("interop/one", "1") == server.digest("interop/other", "1")


def test_the_others_read_what_was_written(run, peers, base, server):
    ref = f"{server.host}/interop/read:1"
    digest = run("image", "copy", "--json", base, ref).json()["digest"]
    shown = run("image", "show", "--json", ref).json()
    platforms = {platform["platform"]: platform["digest"] for platform in shown["platforms"]}
    assert peers.crane("digest", ref).strip() == digest
    assert peers.regctl(server.host, "manifest", "head", ref).strip() == digest
    raw = peers.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{ref}")
    assert digest_of(raw) == digest == digest_of(peers.crane("manifest", ref))
    for platform, expected in platforms.items():
        assert peers.crane("digest", "--platform", platform, ref).strip() == expected
        assert peers.regctl(server.host, "manifest", "head", "--platform", platform, ref).strip() == expected
    peers.crane("validate", "--remote", f"{server.host}/interop/read@{platforms['linux/amd64']}")
    config = json.loads(peers.skopeo("inspect", "--config", "--tls-verify=false", f"docker://{ref}"))
    assert config["config"]["Cmd"] == ["/bin/sh"]


def test_tags_of_all_are_the_same(run, peers, base, server):
    repository = f"{server.host}/interop/tags"
    run("image", "copy", base, f"{repository}:1")
    run("image", "tag", f"{repository}:1", "1.2", "latest")
    peers.crane("tag", f"{repository}:1", "by-crane")
    peers.regctl(server.host, "image", "copy", f"{repository}:1", f"{repository}:by-regctl")
    expected = {"1", "1.2", "latest", "by-crane", "by-regctl"}
    assert set(run("image", "list", "--json", repository).json()["tags"]) == expected
    assert set(peers.crane("ls", repository).split()) == expected
    assert set(peers.regctl(server.host, "tag", "ls", repository).split()) == expected
    assert set(json.loads(peers.skopeo("list-tags", "--tls-verify=false", f"docker://{repository}"))["Tags"]) == expected
    assert len({server.digest("interop/tags", tag) for tag in expected}) == 1


# ---- layouts and archives -------------------------------------------------------------------------------------


def test_layouts_of_ours_are_read(run, peers, base, registry, tmp_path):
    digest = run("image", "copy", "--json", base, "oci:layout:1.0").json()["digest"]
    folder = tmp_path / "layout"
    assert digest_of(peers.skopeo("inspect", "--raw", f"oci:{folder}:1.0")) == digest
    assert peers.regctl(registry.host, "manifest", "head", f"ocidir://{folder}:1.0").strip() == digest
    peers.skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{folder}:1.0",
                 f"docker://{registry.host}/interop/from-layout:1")
    assert registry.digest("interop/from-layout", "1") == digest


def test_layouts_of_others_are_read(run, peers, base, registry, tmp_path):
    name, tag = base.rsplit(":", 1)
    digest = registry.digest(name.split("/", 1)[1], tag)
    by_skopeo, by_regctl = tmp_path / "skopeo", tmp_path / "regctl"
    peers.skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{base}", f"oci:{by_skopeo}:x")
    peers.regctl(registry.host, "image", "copy", base, f"ocidir://{by_regctl}:x")
    peers.crane("pull", "--format=oci", base, tmp_path / "crane")
    for folder in ("skopeo", "regctl"):
        assert run("image", "show", "--json", f"oci:{folder}:x").json()["digest"] == digest
        into = f"{registry.host}/interop/by-{folder}:1"
        assert run("image", "copy", "--json", f"oci:{folder}:x", into).json()["digest"] == digest
    assert run("image", "show", "--json", "oci:crane").json()["digest"] == digest


def test_docker_archives(run, peers, base, registry, tmp_path):
    run("image", "copy", "--platform", "linux/amd64", base, "docker-archive:ours.tar")
    config = json.loads(peers.skopeo("inspect", "--config", f"docker-archive:{tmp_path / 'ours.tar'}"))
    assert config["architecture"] == "amd64" and config["config"]["Cmd"] == ["/bin/sh"]
    peers.skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path / 'ours.tar'}",
                 f"docker://{registry.host}/interop/from-archive:1")
    theirs = tmp_path / "theirs.tar"
    peers.skopeo("copy", "--src-tls-verify=false", f"docker://{base}", f"docker-archive:{theirs}:some/name:1")
    shown = run("image", "show", "--json", "docker-archive:theirs.tar").json()["platforms"][0]
    assert [layer["diff_id"] for layer in shown["layers"]] == config["rootfs"]["diff_ids"]
    run("image", "copy", "docker-archive:theirs.tar", f"{registry.host}/interop/their-archive:1")
    # Its layers are plain tars, as they lie in the archive: `crane validate` takes every layer for a gzip, skopeo reads
    # the type, and checks each digest on its way.
    peers.skopeo("copy", "--src-tls-verify=false", f"docker://{registry.host}/interop/their-archive:1",
                 f"oci:{tmp_path / 'back'}:1")
    peers.crane("digest", f"{registry.host}/interop/their-archive:1")


# ---- logins ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=[2, 3], ids=["2.8", "v3"])
def closed(request, tmp_path):
    """A registry of the test's own that wants a password, over TLS with an authority of its own."""
    certificates = make_certificates(tmp_path / "certificates")
    server = Registry(tmp_path / "closed", request.param, users={USER: PASSWORD},
                      tls=(certificates / "server.pem", certificates / "server.key"))
    server.ca = certificates / "ca.pem"
    yield server
    server.stop()


def list_with_all(run, peers, closed, repository):
    """The tags as each client sees them, who have nothing but the file."""
    trusted = closed.ca.parent / "trusted"
    trusted.mkdir(exist_ok=True)
    (trusted / "ca.crt").write_bytes(closed.ca.read_bytes())
    return {
        "strake": run("image", "list", "--json", "--ca", closed.ca, repository).json()["tags"],
        "crane": peers.crane("ls", repository, SSL_CERT_FILE=str(closed.ca)).split(),
        "regctl": peers.regctl(closed.host, "tag", "ls", repository, tls="enabled", SSL_CERT_FILE=str(closed.ca)).split(),
        "skopeo": json.loads(peers.skopeo("list-tags", "--authfile", peers.config, "--cert-dir", trusted,
                                          f"docker://{repository}"))["Tags"],
    }


def login_by(name, run, peers, closed, tmp_path):
    words, more = ["-u", USER, "--password-stdin", closed.host], {"stdin": PASSWORD}
    if name == "strake":
        given = tmp_path / "given"
        given.write_text(PASSWORD)
        with open(given) as stdin:
            run("login", "--ca", closed.ca, *words, stdin=stdin)
    elif name == "crane":
        peers.crane("auth", "login", *words, **more)
    else:
        peers.config.parent.mkdir(exist_ok=True)
        trusted = closed.ca.parent / "for-login"
        trusted.mkdir()
        (trusted / "ca.crt").write_bytes(closed.ca.read_bytes())
        peers.skopeo("login", "--authfile", peers.config, "--cert-dir", trusted, *words, **more)


@pytest.mark.parametrize("who", ["strake", "crane", "skopeo"])
def test_a_login_of_one_is_a_login_of_all(run, peers, closed, base, tmp_path, who):
    repository = f"{closed.host}/team/app"
    login_by(who, run, peers, closed, tmp_path)
    # --ca is for each registry: the one that is read from speaks plain http all the same.
    (tmp_path / "strake.lua").write_text(f'registry "{base.split("/")[0]}" {{ plain_http = true }}\n')
    run("image", "copy", "--ca", closed.ca, base, f"{repository}:1")
    assert list_with_all(run, peers, closed, repository) == {name: ["1"] for name in ("strake", "crane", "regctl", "skopeo")}
    assert run("logout", "--json", closed.host).json()["removed"] == [str(peers.config)]
    assert run("image", "list", "--ca", closed.ca, repository, exit=8)


def test_a_login_beside_those_of_others(run, peers, closed, tmp_path):
    login_by("crane", run, peers, closed, tmp_path)
    before = json.loads(peers.config.read_text())
    before["auths"]["ghcr.io"] = {"auth": "eDp5"}
    peers.config.write_text(json.dumps(before))
    login_by("strake", run, peers, closed, tmp_path)
    assert json.loads(peers.config.read_text())["auths"]["ghcr.io"] == {"auth": "eDp5"}
    assert os.stat(peers.config).st_mode & 0o777 == 0o600
    assert peers.crane("auth", "get", closed.host).find(PASSWORD) > 0
