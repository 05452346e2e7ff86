"""`image copy` between stores: what is copied, what is left, and what a kill leaves behind."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from harness.images import INDEX, MANIFEST, push_busybox, push_image, put_manifest, tar_of, upload
from harness.liar import RESET
from harness.servers import http

PLATFORMS = ["linux/amd64", "linux/arm64"]


@pytest.fixture
def name(request):
    return "copies/" + "".join(c if c.isalnum() else "-" for c in request.node.originalname)


@pytest.fixture
def image(registry, name):
    """An image of five layers, 3 MiB each."""
    return push_image(registry, name, "1", [tar_of([(f"f{i}", os.urandom(3 << 20))]) for i in range(5)])


@pytest.fixture
def index(registry, name):
    return push_busybox(registry, name, "1")


def copy(strake, *args, exit=0):
    done = strake("image", "copy", "--json", *args)
    assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
    return done.json() if exit == 0 else done


def digest_of(strake, ref):
    return strake("image", "show", "--json", ref).json()["digest"]


# ---- the tag ------------------------------------------------------------------------------------------------


def test_the_tag_is_a_unit_of_its_own(strake, image, registry3):
    target = f"{registry3.host}/moved/app:v1"
    done = copy(strake, image, target)
    assert done["moves"] == [{"ref": target, "from": "", "to": done["digest"], "status": "done"}]
    assert registry3.digest("moved/app", "v1") == done["digest"] == digest_of(strake, image)
    again = copy(strake, image, target)
    assert [move["status"] for move in again["moves"]] == ["unchanged"] and again["blobs"]["copied"] == 0
    (run,) = [run for run in strake("history", "--json").json()["runs"] if run["command"] == "image"][-1:]
    shown = strake("history", "show", run["run"], "--json").json()
    assert run["status"] == "done" and '"unchanged"' not in json.dumps(shown)


def test_policies_are_asked_before_anything_is_copied(strake, project, index, registry3):
    folder = project({"strake.lua": """
        policy "not here" { at = "retag", check = function(image)
          for _, move in ipairs(image.moves) do
            if move.tag == "v1.0.0" and image.platform == "linux/arm64" then deny(move.ref .. " stays", { fix = "ask Ada" }) end
          end
        end }"""})
    target = f"{registry3.host}/denied/app"
    done = strake("image", "copy", index, f"{target}:v1.0.0", cwd=folder)
    assert done.exit == 4 and "stays" in done.err and "ask Ada" in done.err
    status, _, _ = registry3.get("/v2/denied/app/tags/list")
    assert status == 404  # nothing went there
    assert strake("image", "copy", index, f"{target}:v1.0.1", cwd=folder).exit == 0
    one = strake("image", "copy", "--platform", "linux/amd64", index, f"{target}:v1.0.0", cwd=folder)
    assert one.exit == 0, one.err  # only what is copied is asked about


def test_a_destination_by_digest_has_to_be_that_digest(strake, image, registry3):
    target, digest = f"{registry3.host}/pinned/app", digest_of(strake, image)
    assert copy(strake, image, f"{target}@{digest}")["moves"] == []
    done = copy(strake, image, f"{target}@sha256:{'0' * 64}", exit=2)
    assert "cannot be copied to" in done.err and digest in done.err


# ---- what is chosen -----------------------------------------------------------------------------------------


def test_some_platforms_of_an_index_are_an_index_of_their_own(strake, registry, index, registry3, name):
    _, _, body = registry.get(f"/v2/{name}/manifests/1", INDEX)
    whole = json.loads(body)
    extra = dict(whole["manifests"][0], platform={"os": "linux", "architecture": "riscv64"})
    whole["manifests"].append(extra)
    whole["annotations"] = {"a": "b"}
    digest, _ = put_manifest(registry, name, "three", whole["mediaType"], whole)
    source, target = f"{registry.host}/{name}:three", f"{registry3.host}/{name}"
    done = copy(strake, "--platform", "linux/riscv64", "--platform", "linux/amd64", source, f"{target}:two")
    assert done["source_digest"] == digest != done["digest"] == registry3.digest(name, "two")
    _, _, body = registry3.get(f"/v2/{name}/manifests/two", whole["mediaType"])
    assert json.loads(body) == whole | {"manifests": [whole["manifests"][0], extra]}
    said = strake("image", "copy", "--platform", "linux/amd64", "--platform", "linux/riscv64", source, f"{target}:two")
    assert f"of the chosen platforms alone: {source} has the digest {digest}" in said.out
    everything = [word for platform in [*PLATFORMS, "linux/riscv64"] for word in ("--platform", platform)]
    assert copy(strake, *everything, source, f"{target}:all")["digest"] == digest
    none = copy(strake, "--platform", "linux/amd64", "--platform", "linux/s390x", source, f"{target}:x", exit=8)
    assert "has no image for linux/s390x" in none.err


def test_a_bare_manifest_of_another_platform_is_not_taken_for_it(strake, index, tmp_path):
    layout = f"oci:{tmp_path}/layout"
    copy(strake, "--platform", "linux/arm64", index, f"{layout}:arm")
    done = copy(strake, "--platform", "linux/amd64", f"{layout}:arm", f"{layout}:amd", exit=8)
    assert "is an image for linux/arm64, not for linux/amd64" in done.err


def test_referrers_go_along_and_what_refers_to_them(strake, registry, registry3, image, name, tmp_path):
    digest = digest_of(strake, image)

    def refer(subject, size, kind):
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
                    "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": upload(registry, name, b"{}"),
                               "size": 2},
                    "layers": [{"mediaType": "text/plain", "digest": upload(registry, name, kind.encode()),
                                "size": len(kind)}],
                    "subject": {"mediaType": MANIFEST, "digest": subject, "size": size}}
        made, length = put_manifest(registry, name, kind.replace("/", "-"), MANIFEST, document)
        return made, length, {"mediaType": MANIFEST, "digest": made, "size": length, "artifactType": kind}

    _, headers, _ = registry.get(f"/v2/{name}/manifests/1", MANIFEST)
    sbom, length, entry = refer(digest, int(headers["Content-Length"]), "test/sbom")
    signature, _, signed = refer(sbom, length, "test/signature")
    for subject, entries in ((digest, [entry]), (sbom, [signed])):  # registry 2.8 keeps no list: a client keeps the tag
        put_manifest(registry, name, subject.replace(":", "-"), INDEX,
                     {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    for target in (f"{registry3.host}/{name}", f"oci:{tmp_path}/layout"):
        assert copy(strake, image, f"{target}:bare")["referrers"] == 0
        done = copy(strake, "--referrers", image, f"{target}:1")
        assert done["referrers"] == 2 and done["digest"] == digest
        assert digest_of(strake, f"{target}@{signature}") == signature
        back = copy(strake, "--referrers", f"{target}:1", f"oci:{tmp_path}/back{len(target)}:1")
        assert back["referrers"] == 2
    assert copy(strake, "--referrers", image, f"{registry3.host}/{name}:1")["blobs"]["copied"] == 0


# ---- what a kill leaves -------------------------------------------------------------------------------------


def begin(strake, *args):
    return subprocess.Popen([strake.program, "image", "copy", *args], env=strake.env, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=strake.home)


@pytest.mark.parametrize("moment", ["GET /manifests/", "GET /blobs/", "POST /uploads/", "PUT /uploads/", "PUT /manifests/sha256",
                                    "PUT /manifests/1$"])
def test_a_second_copy_finishes_what_a_killed_one_began(strake, liar, liar3, image, moment):
    method, _, path = moment.partition(" ")
    reached, source = threading.Event(), image.replace(liar.registry.host, liar.host)
    repository = "killed/" + "".join(c for c in moment.lower() if c.isalnum())
    target = f"{liar3.host}/{repository}:1"
    told = liar if method == "GET" else liar3

    def hold(request, forward):
        reached.set()
        time.sleep(0.5)
        return RESET

    told.forget()
    told.on(method, path, hold, skip=1 if path in ("/blobs/", "/uploads/") else 0)
    try:
        process = begin(strake, source, target)
        assert reached.wait(10), moment
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    finally:
        told.forget()
    assert not liar3.registry.digest(repository, "1")
    done = copy(strake, source, target)
    assert done["digest"] == digest_of(strake, image) == liar3.registry.digest(repository, "1")
    assert copy(strake, source, target)["blobs"]["copied"] == 0


def test_a_kill_leaves_no_draft_for_ever(strake, liar, image, tmp_path):
    reached, layout = threading.Event(), tmp_path / "layout"

    def stall(request, forward):
        answer = forward()
        reached.set()

        def pieces():
            yield answer.body[:1 << 20]
            time.sleep(1)
            yield answer.body[1 << 20:]
        answer.body = pieces()
        answer.headers = [pair for pair in answer.headers if pair[0].lower() != "content-length"]
        return answer

    liar.forget()
    liar.on("GET", "/blobs/", stall)
    try:
        process = begin(strake, image.replace(liar.registry.host, liar.host), f"oci:{layout}:1")
        assert reached.wait(10)
        time.sleep(0.3)
        drafts = list(layout.glob(".draft-*"))
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    finally:
        liar.forget()
    assert drafts and list(layout.glob(".draft-*"))
    copy(strake, image, f"oci:{layout}:1")
    assert not list(layout.glob(".draft-*"))
    assert digest_of(strake, f"oci:{layout}:1") == digest_of(strake, image)


def test_ctrl_c_ends_a_copy_and_leaves_the_tag(strake, liar, image, tmp_path):
    liar.forget()
    liar.slow("PUT", "/uploads/", 3)
    try:
        process = begin(strake, image, f"{liar.host}/interrupted/app:1")
        deadline = time.monotonic() + 10
        while not liar.asked("PUT", "/uploads/") and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        liar.forget()
    assert not liar.registry.digest("interrupted/app", "1")


# ---- two at once, one place ---------------------------------------------------------------------------------


def test_copies_into_one_layout_at_once(strake, image, index, tmp_path):
    layout = f"oci:{tmp_path}/layout"
    running = [begin(strake, source, f"{layout}:{tag}") for source, tag in ((image, "a"), (index, "b"), (image, "c"))]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert sorted(strake("image", "list", layout).out.split()) == ["a", "b", "c"]
    assert digest_of(strake, f"{layout}:a") == digest_of(strake, image) == digest_of(strake, f"{layout}:c")
    assert not list((tmp_path / "layout").glob(".draft-*"))


def test_a_copy_onto_itself_changes_nothing(strake, image, tmp_path):
    layout = f"oci:{tmp_path}/layout:1"
    copy(strake, image, layout)
    for ref in (image, layout):
        done = copy(strake, ref, ref)
        assert done["blobs"] == {"copied": 0, "mounted": 0, "present": 6}
        assert [move["status"] for move in done["moves"]] == ["unchanged"]


def test_another_repository_of_one_registry_takes_blobs_over(strake, image, registry):
    assert copy(strake, image, f"{registry.host}/mounts/app:1")["blobs"] == {"copied": 0, "mounted": 6, "present": 0}


def test_a_full_disk_is_told_and_leaves_nothing_half(strake, image, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk is root's")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", disk], check=True)
    try:
        done = copy(strake, image, f"oci:{disk}/layout:1", exit=1)
        assert "No space left on device" in done.err
        assert not list((disk / "layout").glob(".draft-*"))
        done = copy(strake, image, f"docker-archive:{disk}/image.tar", exit=1)
        assert "No space left on device" in done.err
        assert not list(disk.glob("image.tar*"))
    finally:
        subprocess.run(["umount", disk], check=True)


# ---- what is told -------------------------------------------------------------------------------------------


def test_progress_is_told(strake, image, tmp_path):
    events = tmp_path / "events"
    done = strake("image", "copy", "--events", str(events), image, f"oci:{tmp_path}/layout:1")
    assert done.exit == 0 and f"copying {image} to oci:{tmp_path}/layout:1" in done.err
    told = [json.loads(line) for line in events.read_text().splitlines()]
    kinds = [event["type"] for event in told]
    assert kinds[0] == "run.started" and kinds[-1] == "run.done" and "tag.moved" in kinds
    (progress, *_) = [event for event in told if event["type"] == "step.progress"]
    assert 0 < progress["current_bytes"] <= progress["total_bytes"] > 15 << 20


def test_an_archive_has_the_name_that_docker_load_gives(strake, index, tmp_path):
    path = tmp_path / "image.tar"
    copy(strake, "--platform", "linux/amd64", index, f"docker-archive:{path}")
    listing = json.loads(subprocess.run(["tar", "-xOf", path, "manifest.json"], check=True, capture_output=True).stdout)
    assert [image["RepoTags"] for image in listing] == [[index]]
    assert copy(strake, f"docker-archive:{path}", f"oci:{tmp_path}/layout")["moves"][0]["ref"].endswith("/layout:latest")
    whole = copy(strake, index, f"docker-archive:{path}", exit=2)
    assert "one platform" in whole.err and "--platform" in whole.err
