"""The plugin `layout`, method by method."""

import json
import os
import subprocess

import pytest

from harness.drive import BUILD, CONFIG, IMAGE, PLUGINS, Failed, put_image
from harness.liar import MANIFEST, digest_of


class Layout:
    def __init__(self, drive, path):
        self.drive = drive
        self.path = path

    def __call__(self, *commands):
        return self.drive("layout", {"path": str(self.path)}, *commands)

    def index(self):
        return json.loads((self.path / "index.json").read_text())


@pytest.fixture
def layout(drive, tmp_path):
    return Layout(drive, tmp_path / "layout")


def test_a_layout_keeps_an_image(layout, files):
    layout(*put_image(files, "", "v1", "v2"))
    assert layout(("get", "", "v1")) == IMAGE
    assert layout(("get", "", digest_of(IMAGE))) == IMAGE
    assert layout(("resolve", "", "v1")).decode().split() == [
        digest_of(IMAGE), MANIFEST, str(len(IMAGE))]
    assert sorted(layout(("tags", "")).split()) == [b"v1", b"v2"]
    assert layout(("stat", "", digest_of(CONFIG))) == b"2\n"


def test_other_clients_read_a_layout_and_write_one(layout, files, drive, tmp_path):
    layout(*put_image(files, "", "v1"))
    seen = subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout.path}:v1"],
                          capture_output=True, check=True)
    assert seen.stdout == IMAGE
    subprocess.run(["skopeo", "copy", "-q", f"oci:{layout.path}:v1", f"oci:{tmp_path}/theirs:x"],
                   check=True)
    theirs = Layout(drive, tmp_path / "theirs")
    assert theirs(("tags", "")) == b"x\n"
    assert theirs(("get", "", "x")) == IMAGE


def test_a_tag_moves_and_its_old_image_stays_by_digest(layout, files):
    layout(*put_image(files, "", "v1"))
    other = json.dumps({**json.loads(IMAGE), "annotations": {"a": "b"}}).encode()
    (files / "other").write_bytes(other)
    layout(("put", "", "v1", MANIFEST, files / "other"))
    assert layout(("get", "", "v1"), ("get", "", digest_of(IMAGE))) == other + IMAGE
    assert len(layout.index()["manifests"]) == 1


def test_a_manifest_without_tag_is_not_named_by_the_index(layout, files):
    layout(("put", "", digest_of(IMAGE), MANIFEST, files / "image"))
    assert layout(("tags", ""), ("get", "", digest_of(IMAGE))) == IMAGE
    assert layout.index()["manifests"] == []
    with pytest.raises(Failed):
        layout(("get", "", "latest"))


def test_the_only_image_needs_no_tag(layout, files):
    layout(*put_image(files, "", "v1"))
    index = layout.index()
    del index["manifests"][0]["annotations"]
    (layout.path / "index.json").write_text(json.dumps(index))
    assert layout(("get", "", "latest")) == IMAGE
    layout(("put", "", "latest", MANIFEST, files / "image"))
    assert len(layout.index()["manifests"]) == 1


def test_a_tag_written_as_a_whole_reference_is_found(layout, files):
    layout(*put_image(files, "", "v1"))
    index = layout.index()
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "docker.io/o/app:v7"
    (layout.path / "index.json").write_text(json.dumps(index))
    assert layout(("get", "", "v7")) == IMAGE
    assert layout(("tags", "")) == b"v7\n"


def test_what_others_put_into_the_index_stays(layout, files):
    layout(*put_image(files, "", "v1"))
    index = layout.index()
    index["annotations"] = {"theirs": "yes"}
    index["manifests"][0]["platform"] = {"os": "linux", "architecture": "arm64"}
    (layout.path / "index.json").write_text(json.dumps(index))
    layout(("put", "", "v2", MANIFEST, files / "image"))
    assert layout.index()["annotations"] == {"theirs": "yes"}
    assert layout.index()["manifests"][0]["platform"]["architecture"] == "arm64"


def test_deleting_a_tag_leaves_the_others(layout, files):
    layout(*put_image(files, "", "v1", "v2"))
    layout(("delete", "", "v1"))
    assert layout(("tags", "")) == b"v2\n"
    layout(("delete", "", digest_of(IMAGE)))
    assert layout(("tags", "")) == b""
    with pytest.raises(Failed) as failed:
        layout(("get", "", digest_of(IMAGE)))
    assert failed.value.code == -22
    with pytest.raises(Failed) as failed:
        layout(("delete", "", "v2"))
    assert failed.value.code == -22


def test_wrong_bytes_do_not_get_into_a_layout(layout, files):
    with pytest.raises(Failed) as failed:
        layout(("put", "", digest_of(CONFIG), MANIFEST, files / "image"))
    assert failed.value.code == -23


@pytest.mark.parametrize("name,text,code", [
    ("oci-layout", None, -22), ("oci-layout", "{}", -10),
    ("oci-layout", '{"imageLayoutVersion":"2.0.0"}', -10), ("index.json", None, -22),
    ("index.json", "", -10), ("index.json", "{}", -10), ("index.json", '{"manifests":[7]}', -10),
    ("index.json", '{"manifests":[{"digest":"x","size":1}]}', -10)])
def test_a_broken_layout_is_refused(layout, files, name, text, code):
    layout(*put_image(files, "", "v1"))
    (layout.path / name).unlink()
    if text is not None:
        (layout.path / name).write_text(text)
    with pytest.raises(Failed) as failed:
        layout(("get", "", "v1"))
    assert failed.value.code == code and str(layout.path) in failed.value.text


def test_a_broken_index_is_not_written_over(layout, files):
    layout(*put_image(files, "", "v1"))
    (layout.path / "index.json").write_text("{")
    with pytest.raises(Failed):
        layout(("put", "", "v2", MANIFEST, files / "image"))
    assert (layout.path / "index.json").read_text() == "{"


def test_a_digest_cannot_lead_out_of_a_layout(layout, files):
    layout(*put_image(files, "", "v1"))
    index = layout.index()
    index["manifests"][0]["digest"] = "sha256:/../../../etc/passwd"
    (layout.path / "index.json").write_text(json.dumps(index))
    with pytest.raises(Failed) as failed:
        layout(("get", "", "v1"))
    assert failed.value.code == -22
    with pytest.raises(Failed) as failed:
        layout(("stat", "", "sha256:../../index.json"))
    assert failed.value.code == -2


def test_a_pipe_in_the_place_of_a_blob_does_not_hold_us(layout, files):
    layout(*put_image(files, "", "v1"))
    blob = layout.path / "blobs" / "sha256" / digest_of(CONFIG)[7:]
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(Failed) as failed:
        layout(("blob-get", "", digest_of(CONFIG), 0))
    assert failed.value.kind == "registry"


def test_several_writers_lose_no_tag(layout, files):
    layout(*put_image(files, "", "v0"))
    writers = [subprocess.Popen(
        [BUILD / "tests" / "registry_drive", PLUGINS / "layout.so", json.dumps({"path": str(layout.path)}),
         *sum((["put", "", f"w{writer}-{number}", MANIFEST, files / "image", "--"]
               for number in range(10)), []), "stat", "", digest_of(CONFIG)])
        for writer in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(layout(("tags", "")).split()) == 41
    assert not list(layout.path.glob(".draft-*"))
