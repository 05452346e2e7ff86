"""The plugin `oci` against real registries, method by method."""

import json
import subprocess

import pytest

from harness.drive import CONFIG, IMAGE, Failed, auth_of, put_image
from harness.liar import MANIFEST, digest_of


def test_an_image_goes_up_and_comes_down_with_the_same_bytes(drive, real, files):
    drive.oci(real.host, *put_image(files, "round/trip", "v1", "v2"))
    assert drive.oci(real.host, ("get", "round/trip", "v1")) == IMAGE
    assert drive.oci(real.host, ("get", "round/trip", digest_of(IMAGE))) == IMAGE
    assert drive.oci(real.host, ("resolve", "round/trip", "v2")).decode().split() == [
        digest_of(IMAGE), MANIFEST, str(len(IMAGE))]
    assert drive.oci(real.host, ("tags", "round/trip")).split() == [b"v1", b"v2"]


def test_other_clients_see_the_same_image(drive, real, files):
    drive.oci(real.host, *put_image(files, "seen/by-others", "v1"))
    seen = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false",
                           f"docker://{real.host}/seen/by-others:v1"],
                          capture_output=True, check=True)
    assert seen.stdout == IMAGE


def test_a_blob_comes_down_from_any_place(drive, real, files):
    layer = (files / "layer").read_bytes()
    drive.oci(real.host, ("blob-put", "blobs", digest_of(layer), files / "layer"))
    assert drive.oci(real.host, ("stat", "blobs", digest_of(layer))) == b"700000\n"
    for offset in (0, 1, 699_999, 700_000):
        if offset < len(layer):
            got = drive.oci(real.host, ("blob-get", "blobs", digest_of(layer), offset))
            assert got == layer[offset:]


def test_an_empty_blob_goes_up(drive, real, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    drive.oci(real.host, ("blob-put", "empty", digest_of(b""), tmp_path / "empty"))
    assert drive.oci(real.host, ("stat", "empty", digest_of(b""))) == b"0\n"


def test_a_blob_is_mounted_from_another_repository(drive, real, files):
    layer = digest_of((files / "layer").read_bytes())
    absent = digest_of(b"never seen")
    out = drive.oci(real.host, ("blob-put", "mount/from", layer, files / "layer"),
                    ("mount", "mount/to", layer, "mount/from"),
                    ("stat", "mount/to", layer),
                    ("mount", "mount/to", absent, "mount/from"))
    assert out.split() == [b"mounted", b"700000", b"not", b"mounted"]


def test_wrong_bytes_under_a_digest_are_refused(drive, real, files):
    with pytest.raises(Failed) as failed:
        drive.oci(real.host, ("blob-put", "wrong", digest_of(CONFIG), files / "layer"))
    assert "DIGEST_INVALID" in failed.value.text
    assert failed.value.code == -23


@pytest.mark.parametrize("command", [("get", "round/trip", "nope"), ("resolve", "nope", "v1"),
                                     ("tags", "nope"), ("stat", "nope", digest_of(b"x")),
                                     ("blob-get", "nope", digest_of(b"x"), 0)])
def test_what_is_absent_is_not_called_absent_for_certain(drive, real, command):
    with pytest.raises(Failed) as failed:
        drive.oci(real.host, command)
    assert failed.value.code == -22
    assert "not found, or not visible with these credentials" in failed.value.text
    assert real.host in failed.value.text


def test_a_tag_is_deleted_where_the_registry_can(drive, registry, registry3, files):
    commands = put_image(files, "deleted", "v1", "v2")
    drive.oci(registry.host, *commands)
    with pytest.raises(Failed) as failed:
        drive.oci(registry.host, ("delete", "deleted", "v1"))
    assert failed.value.code == -24 and registry.tags("deleted") == ["v1", "v2"]
    drive.oci(registry3.host, *commands, ("delete", "deleted", "v1"))
    assert registry3.tags("deleted") == ["v2"]


def test_a_manifest_is_deleted_by_digest(drive, real, files):
    drive.oci(real.host, *put_image(files, "gone", "v1"), ("delete", "gone", digest_of(IMAGE)))
    with pytest.raises(Failed):
        drive.oci(real.host, ("resolve", "gone", "v1"))


def test_basic_authorisation_from_each_place(drive, private_registry, files):
    host, password = private_registry.host, "s3cret-password"
    with pytest.raises(Failed) as failed:
        drive.oci(host, ("tags", "app"))
    assert failed.value.kind == "auth"
    assert "no credentials" in failed.value.hint
    drive.docker_config({"auths": {host: {"auth": auth_of("dev", "wrong word")}}})
    with pytest.raises(Failed) as failed:
        drive.oci(host, ("tags", "app"))
    assert failed.value.kind == "auth"
    assert ".docker/config.json" in failed.value.hint
    assert "wrong word" not in failed.value.whole
    drive.docker_config({"auths": {host: {"auth": auth_of("dev", password)}}})
    drive.oci(host, *put_image(files, "app", "v1"))
    (drive.home / ".docker" / "config.json").unlink()
    drive.env["PASSWORD"] = password
    out = drive.oci(host, ("tags", "app"), ("ping",), username="dev",
                    password={"secret": "PASSWORD"})
    assert out.startswith(b"v1\nhttp, credentials from registry")
