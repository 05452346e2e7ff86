"""`registry "docker.io" { mirrors = { … } }`: reads go by way of mirrors, and are believed no more than the registry's."""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import socket
import tarfile

import pytest

from harness.images import push_image, put_manifest, upload
from harness.liar import MANIFEST, Answer, Liar, digest_of
from harness.process import free_port


def tar_of(name, data):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


class Mirrored:
    """An origin and its mirror, both behind liars, with one image on either."""

    def __init__(self, strake, folder, origin, mirror, name):
        self.strake, self.folder, self.origin, self.mirror, self.name = strake, folder, origin, mirror, name
        folder.mkdir()
        self.ref = f"{origin.host}/{name}:1"
        tar = tar_of("content", os.urandom(300_000))
        self.layer = gzip.compress(tar, 1)
        self.config = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "history": [{"created_by": "COPY"}],
                                  "rootfs": {"type": "layers", "diff_ids": [
                                      "sha256:" + hashlib.sha256(tar).hexdigest()]}}).encode()
        self.mirrors(mirror.host)
        self.put(origin.registry, name)

    def put(self, registry, repository):
        upload(registry, repository, self.layer)
        upload(registry, repository, self.config)
        self.digest, _ = put_manifest(registry, repository, "1", MANIFEST, {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(self.config),
                       "size": len(self.config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest_of(self.layer),
                        "size": len(self.layer)}]})

    def mirrors(self, *names, more=""):
        quoted = ", ".join(f'"{name}"' for name in names)
        (self.folder / "strake.lua").write_text(f'registry "{self.origin.host}" {{ mirrors = {{ {quoted} }} }}\n{more}')

    def run(self, *args, exit=0):
        done = self.strake(*args, cwd=self.folder)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def show(self):
        done = self.run("image", "show", "--json", self.ref)
        assert done.json()["digest"] == self.digest
        return done

    def copy(self):
        target = self.folder / f"copy{len(list(self.folder.glob('copy*')))}"
        done = self.run("image", "copy", "--json", self.ref, f"oci:{target}:1")
        assert done.json()["digest"] == self.digest
        for blob in (self.layer, self.config):
            assert (target / "blobs" / "sha256" / digest_of(blob)[7:]).read_bytes() == blob
        return done


@pytest.fixture
def mirrored(request, strake, tmp_path, liar, liar3):
    name = "mirrors/" + re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")
    made = Mirrored(strake, tmp_path / "mirrored", liar3, liar, name)
    for one in (liar, liar3):
        one.forget()
    yield made
    for one in (liar, liar3):
        one.forget()


def reads(liar):
    return [one for one in liar.requests if one.path != "/v2/"]


def test_what_a_mirror_has_is_read_there_alone(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    mirrored.show()
    mirrored.copy()
    assert reads(mirrored.mirror) and not mirrored.origin.requests


def test_what_a_mirror_has_not_comes_from_the_registry(mirrored):
    done = mirrored.copy()
    assert reads(mirrored.mirror) and reads(mirrored.origin)
    assert "warning" not in done.err.lower()


def test_a_mirror_that_is_gone_is_left_out_once_and_for_all(mirrored):
    mirrored.mirrors(f"127.0.0.1:{free_port()}")
    done = mirrored.copy()
    assert done.err.count("is left out from now on") == 1 and "refused" in done.err


def test_a_silent_mirror_holds_nobody_for_long(mirrored):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = "127.0.0.1:%d" % silent.getsockname()[1]
        mirrored.mirrors(host, more=f'registry "{host}" {{ timeout = "300ms" }}')
        assert mirrored.copy().err.count("is left out") == 1


@pytest.mark.parametrize("what", ["/manifests/sha256:", "/blobs/"])
def test_other_bytes_of_a_mirror_are_passed_over(mirrored, what):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    mirrored.mirror.corrupt(what)
    mirrored.ref = f"{mirrored.origin.host}/{mirrored.name}@{mirrored.digest}"
    done = mirrored.run("image", "copy", "--json", mirrored.ref, f"oci:{mirrored.folder}/copy:1")
    assert done.json()["digest"] == mirrored.digest
    assert "is left out from now on" in done.err and mirrored.mirror.host in done.err
    blob = mirrored.folder / "copy" / "blobs" / "sha256" / digest_of(mirrored.layer)[7:]
    assert blob.read_bytes() == mirrored.layer


def test_other_bytes_of_a_layer_are_passed_over(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    mirrored.mirror.corrupt("/blobs/" + digest_of(mirrored.layer))
    layers = mirrored.run("image", "layers", "--json", mirrored.ref)
    assert "is left out from now on" in layers.err
    mirrored.mirror.forget()
    assert layers.json() == mirrored.run("image", "layers", "--json", mirrored.ref).json()


def test_an_image_is_compared_all_the_same(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    other = push_image(mirrored.origin.registry, mirrored.name, "2", [tar_of("content", b"else")])
    other = other.replace(mirrored.origin.registry.host, mirrored.origin.host)
    mirrored.mirror.corrupt("/blobs/" + digest_of(mirrored.layer))
    done = mirrored.run("image", "diff", "--json", mirrored.ref, other)
    assert mirrored.mirror.asked("GET", "/blobs/") and "is left out from now on" in done.err
    assert [one["path"] for one in done.json()["files"]] == ["/content"]


def test_a_mirror_that_breaks_off_is_gone_on_with_elsewhere(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)

    def cut(request, forward):
        answer = forward()
        return Answer(answer.status, [*answer.headers, ("Content-Length", str(len(answer.body)))],
                      (answer.body, len(answer.body) // 2))
    mirrored.mirror.on("GET", "/blobs/" + digest_of(mirrored.layer), cut)
    mirrored.copy()
    rest = mirrored.origin.asked("GET", "/blobs/" + digest_of(mirrored.layer))
    assert rest and all(int(one.headers["Range"].split("=")[1].split("-")[0]) > 0 for one in rest)


def test_a_web_page_of_a_mirror_is_passed_over(mirrored):
    mirrored.mirror.refuse("HEAD", "/v2/", 200, headers=[("Content-Type", "text/html")])
    mirrored.mirror.refuse("GET", "/v2/", 200, headers=[("Content-Type", "text/html")], body=b"<html>")
    assert "text/html" in mirrored.show().err


def test_what_is_written_goes_to_the_registry_alone(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    mirrored.run("image", "tag", mirrored.ref, "new")
    assert mirrored.origin.asked("PUT", "/manifests/new$")
    assert not [one for one in mirrored.mirror.requests if one.method not in ("GET", "HEAD")]
    assert mirrored.origin.registry.digest(mirrored.name, "new") == mirrored.digest


def test_a_tag_that_moves_is_looked_at_where_it_moves(mirrored):
    """A mirror may know an older state of it."""
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    mirrored.run("image", "tag", mirrored.ref, "new")
    assert not mirrored.mirror.asked("HEAD", "/manifests/new$") and not mirrored.mirror.asked("GET", "/manifests/new$")


def test_within_a_registry_blobs_are_mounted_all_the_same(mirrored):
    mirrored.put(mirrored.mirror.registry, mirrored.name)
    done = mirrored.run("image", "copy", "--json", mirrored.ref, f"{mirrored.origin.host}/{mirrored.name}/other:1")
    assert done.json()["blobs"]["mounted"] == 2 and not mirrored.mirror.asked("GET", "/blobs/")


def test_tags_are_listed_by_the_registry(mirrored):
    assert mirrored.run("image", "list", "--json", mirrored.ref.rpartition(":")[0]).json()["tags"] == ["1"]
    assert not mirrored.mirror.requests


def test_a_mirror_may_have_a_path_of_its_own(mirrored):
    mirrored.mirrors(f"{mirrored.mirror.host}/proxy/hub")
    mirrored.put(mirrored.mirror.registry, f"proxy/hub/{mirrored.name}")
    mirrored.copy()
    assert not mirrored.origin.requests


def test_mirrors_are_asked_in_their_order(mirrored, registry3):
    other = Liar(registry3)
    try:
        mirrored.mirrors(mirrored.mirror.host, other.host)
        mirrored.show()
        assert reads(mirrored.mirror) and reads(other) and not mirrored.origin.requests
    finally:
        other.stop()


def test_credentials_are_each_hosts_own(mirrored, private_registry):
    """The registry's never go to a mirror, whose own are used."""
    (mirrored.strake.home / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(b"dev:s3cret-password").decode()
    config = mirrored.strake.home / "docker" / "config.json"
    secret_mirror = Liar(private_registry)
    try:
        mirrored.mirrors(secret_mirror.host)
        config.write_text(json.dumps({"auths": {mirrored.origin.host: {"auth": auth}}}))
        done = mirrored.show()
        assert "is left out from now on" in done.err
        assert not [one for one in secret_mirror.requests if one.authorization]
        config.write_text(json.dumps({"auths": {secret_mirror.host: {"auth": auth}}}))
        done = mirrored.show()
        assert "is left out" not in done.err
        assert [one for one in secret_mirror.requests if one.authorization == "Basic " + auth]
    finally:
        secret_mirror.stop()


@pytest.mark.parametrize("name,words", [
    ("https://mirror.lan", "leave out https://"), ("mirror", "a host has a dot or a port"), ("", "is not a mirror"),
    ("mirror.lan:5000/UP", "is not a mirror"), ("mirror.lan/x:1", "is not a mirror"), ("oci:dir", "is not a mirror")])
def test_a_mirror_that_is_no_host_is_refused_where_it_stands(mirrored, name, words):
    mirrored.mirrors(name)
    done = mirrored.run("image", "show", mirrored.ref, exit=3)
    assert words in done.err and "strake.lua:1" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("value", ['"mirror.lan"', "true", "{ 7 }", "{ a = 'b' }"])
def test_mirrors_are_a_list_of_hosts(mirrored, value):
    (mirrored.folder / "strake.lua").write_text(f'registry "{mirrored.origin.host}" {{ mirrors = {value} }}\n')
    mirrored.run("image", "show", mirrored.ref, exit=3)


def test_a_registry_is_not_its_own_mirror(mirrored):
    mirrored.mirrors(mirrored.origin.host)
    assert "cannot be its own mirror" in mirrored.run("image", "show", mirrored.ref, exit=3).err


def test_doctor_asks_mirrors_too(mirrored):
    gone = f"127.0.0.1:{free_port()}"
    mirrored.mirrors(mirrored.mirror.host, f"{gone}/hub")
    done = mirrored.strake("doctor", "--json", cwd=mirrored.folder)
    states = {one["name"]: one for one in done.json()["checks"]} if "checks" in done.json() else done.json()
    told = json.dumps(states)
    assert mirrored.mirror.host in told and mirrored.origin.host in told and gone in told
