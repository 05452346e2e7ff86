"""What refers to an image: listed by the registry, or under the fallback tag that clients keep."""

import json
import subprocess
import threading

import pytest

from harness.drive import CONFIG, IMAGE, Failed, put_image
from harness.process import tool
from harness.liar import INDEX, MANIFEST, FakeRegistry, digest_of, error, manifest_answer

SUBJECT = digest_of(IMAGE)
TAG = SUBJECT.replace(":", "-")


def artifact(kind, note="", **more):
    """A manifest about IMAGE."""
    return json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST, **({"artifactType": kind} if kind else {}),
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(CONFIG), "size": len(CONFIG)},
        "layers": [{"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(CONFIG), "size": len(CONFIG)}],
        "subject": {"mediaType": MANIFEST, "digest": SUBJECT, "size": len(IMAGE)},
        **({"annotations": {"note": note}} if note else {}), **more}).encode()


def entry(data, kind, note=""):
    return {"mediaType": MANIFEST, "digest": digest_of(data), "size": len(data), "artifactType": kind,
            **({"annotations": {"note": note}} if note else {})}


def index_of(*entries):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}).encode()


SIGNED, SCANNED = artifact("example/signature", "by me"), artifact("example/scan")


@pytest.fixture
def artifacts(files):
    (files / "signed").write_bytes(SIGNED)
    (files / "scanned").write_bytes(SCANNED)
    return files


def put(files, repository, *names):
    """The commands that put the image, and what is about it."""
    return [*put_image(files, repository, "v1"),
            *[("put", repository, digest_of((files / name).read_bytes()), MANIFEST, files / name) for name in names]]


def listed(out):
    index = json.loads(out)
    assert index["schemaVersion"] == 2 and index["mediaType"] == INDEX
    return index["manifests"]


# ---- the fallback tag ------------------------------------------------------------------------------------


def test_what_refers_to_an_image_is_found_on_a_registry_without_lists(drive, real, artifacts):
    drive.oci(real.host, *put(artifacts, "ref/tag", "signed", "scanned"))
    assert real.tags("ref/tag") == [TAG, "v1"]
    found = listed(drive.oci(real.host, ("referrers", "ref/tag", SUBJECT)))
    assert found == [entry(SIGNED, "example/signature", "by me"), entry(SCANNED, "example/scan")]
    only = listed(drive.oci(real.host, ("referrers", "ref/tag", SUBJECT, "example/scan")))
    assert only == [entry(SCANNED, "example/scan")]
    assert listed(drive.oci(real.host, ("referrers", "ref/tag", digest_of(SIGNED)))) == []


def test_other_clients_find_it_under_the_fallback_tag(drive, registry, artifacts):
    drive.oci(registry.host, *put(artifacts, "ref/others", "signed"))
    ref = f"{registry.host}/ref/others:v1"
    seen = subprocess.run([tool("oras", "peers/oras"), "discover", "--plain-http", "--format", "json", ref],
                          capture_output=True, check=True)
    report = json.loads(seen.stdout)
    assert [one["digest"] for one in report.get("referrers", report.get("manifests"))] == [digest_of(SIGNED)]


def test_what_other_clients_attached_is_found(drive, registry, artifacts):
    drive.oci(registry.host, *put_image(artifacts, "ref/oras", "v1"))
    (artifacts / "note.txt").write_text("good\n")
    subprocess.run([tool("oras", "peers/oras"), "attach", "--plain-http", "--artifact-type", "example/note",
                    f"{registry.host}/ref/oras:v1", "note.txt"], cwd=artifacts, check=True, capture_output=True)
    drive.oci(registry.host, *put(artifacts, "ref/oras", "signed"))
    found = listed(drive.oci(registry.host, ("referrers", "ref/oras", SUBJECT)))
    assert [one["artifactType"] for one in found] == ["example/note", "example/signature"]


def test_it_is_listed_once_however_often_it_is_put(drive, registry, artifacts):
    drive.oci(registry.host, *put(artifacts, "ref/twice", "signed"))
    before = registry.digest("ref/twice", TAG)
    drive.oci(registry.host, *put(artifacts, "ref/twice", "signed"))
    assert registry.digest("ref/twice", TAG) == before


def test_what_is_deleted_leaves_the_fallback_tag(drive, real, artifacts):
    drive.oci(real.host, *put(artifacts, "ref/gone", "signed", "scanned"), ("delete", "ref/gone", digest_of(SIGNED)))
    assert listed(drive.oci(real.host, ("referrers", "ref/gone", SUBJECT))) == [entry(SCANNED, "example/scan")]


def test_without_an_artifact_type_its_configuration_says_what_it_is(drive, registry, artifacts):
    (artifacts / "plain").write_bytes(artifact(""))
    drive.oci(registry.host, *put(artifacts, "ref/plain", "plain"))
    found = listed(drive.oci(registry.host, ("referrers", "ref/plain", SUBJECT)))
    assert [one["artifactType"] for one in found] == ["application/vnd.oci.empty.v1+json"]


class Tagged:
    """A registry that keeps one repository's manifests by what they were put under."""

    def __init__(self, **manifests):
        self.manifests = dict(manifests)
        self.headers = {}

    def __call__(self, request):
        name = request.path.rpartition("/")[2]
        if "/referrers/" in request.path:
            return error(404, "NOT_FOUND")
        if request.method == "PUT":
            self.manifests[name] = request.body
            return 201, {"Docker-Content-Digest": digest_of(request.body), **self.headers}, b""
        data = self.manifests.get(name)
        return manifest_answer(data, json.loads(data)["mediaType"]) if data else error(404, "MANIFEST_UNKNOWN")


def test_a_put_answered_with_oci_subject_needs_no_fallback_tag(drive, artifacts):
    registry = Tagged()
    registry.headers = {"OCI-Subject": SUBJECT}
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
    assert [one.method for one in fake.requests] == ["PUT"]


@pytest.mark.parametrize("subject", ["", "yes", digest_of(b"other")])
def test_a_put_answered_with_another_subject_keeps_the_fallback_tag(drive, artifacts, subject):
    registry = Tagged()
    registry.headers = {"OCI-Subject": subject}
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
    assert json.loads(registry.manifests[TAG])["manifests"] == [entry(SIGNED, "example/signature", "by me")]


def test_an_image_that_refers_to_nothing_costs_nothing_more(drive, artifacts):
    with FakeRegistry(Tagged()) as fake:
        drive.oci(fake.host, ("put", "app", "v1", MANIFEST, artifacts / "image"))
    assert [one.method for one in fake.requests] == ["PUT"]


@pytest.mark.parametrize("there", [IMAGE, b'{"mediaType":"%s","manifests":7}' % INDEX.encode(),
                                   index_of({"digest": "sha256:1"}), index_of({"mediaType": MANIFEST, "size": 1}),
                                   index_of({"mediaType": MANIFEST, "digest": SUBJECT, "size": -1})])
def test_a_fallback_tag_that_is_something_else_is_not_overwritten(drive, artifacts, there):
    registry = Tagged(**{TAG: there})
    with FakeRegistry(registry) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
        assert failed.value.code == -10
        assert digest_of(SIGNED) + " is there, but the tag " + TAG in failed.value.text
        assert "is no such list" in failed.value.text and "do the same again" in failed.value.hint
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("referrers", "app", SUBJECT))
        assert "is no such list" in failed.value.text
    assert registry.manifests[TAG] == there


def test_a_fallback_tag_that_others_overwrite_is_given_up(drive, artifacts):
    class Forgetful(Tagged):
        def __call__(self, request):
            answer = super().__call__(request)
            self.manifests.pop(TAG, None)
            return answer
    with FakeRegistry(Forgetful()) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
    assert failed.value.kind == "conflict" and "others write it" in failed.value.text
    assert 3 <= len(fake.asked("PUT", f"/v2/app/manifests/{TAG}")) <= 10


def test_what_another_client_wrote_over_is_written_again(drive, artifacts):
    """There is no compare-and-swap: who wrote looks whether it still stands there."""
    class Contended(Tagged):
        def __call__(self, request):
            answer = super().__call__(request)
            if request.method == "PUT" and request.path.endswith(TAG) and len(fake.asked("PUT", request.path)) == 1:
                self.manifests[TAG] = index_of(entry(SCANNED, "example/scan"))
            return answer
    registry = Contended()
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
    assert json.loads(registry.manifests[TAG])["manifests"] == [
        entry(SCANNED, "example/scan"), entry(SIGNED, "example/signature", "by me")]


def test_entries_that_nobody_can_ask_for_stay_in_the_tag(drive, artifacts):
    other = {**entry(SCANNED, "example/scan"), "digest": "sha512:" + "0" * 128, "urls": ["https://example.org"]}
    registry = Tagged(**{TAG: index_of(other)})
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("put", "app", digest_of(SIGNED), MANIFEST, artifacts / "signed"))
        found = listed(drive.oci(fake.host, ("referrers", "app", SUBJECT)))
    assert json.loads(registry.manifests[TAG])["manifests"][0] == other
    assert [one["digest"] for one in found] == [digest_of(SIGNED)]


# ---- the registry's own list -----------------------------------------------------------------------------


def lists(*pages, kind=INDEX, headers=None):
    """A registry that lists page after page; its fallback tag says something else."""
    def answer(request):
        if "/manifests/" in request.path:
            return manifest_answer(index_of(entry(SCANNED, "from/tag")), INDEX)
        number = int(request.query.get("page", ["0"])[0])
        more = {"Link": f'</v2/app/referrers/{SUBJECT}?page={number + 1}>; rel="next"'} if number + 1 < len(pages) else {}
        return 200, {"Content-Type": kind, **more, **(headers or {})}, pages[number]
    return answer


ONE, TWO = entry(SIGNED, "example/one"), entry(SCANNED, "example/two")


def test_the_registrys_list_is_followed_to_its_end(drive):
    with FakeRegistry(lists(index_of(ONE), index_of(), index_of(TWO, ONE))) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT))) == [ONE, TWO]
    assert not [one for one in fake.requests if "/manifests/" in one.path]


def test_it_is_filtered_here_unless_the_registry_says_it_did(drive):
    with FakeRegistry(lists(index_of(ONE), index_of(TWO))) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT, "example/two"))) == [TWO]
    assert fake.requests[0].query["artifactType"] == ["example/two"]
    with FakeRegistry(lists(index_of(ONE), headers={"OCI-Filters-Applied": "other, artifactType"})) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT, "example/two"))) == [ONE]
    with FakeRegistry(lists(index_of(ONE), headers={"OCI-Filters-Applied": "artifactTypes"})) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT, "example/two"))) == []


def test_an_artifact_type_is_escaped(drive):
    with FakeRegistry(lists(index_of())) as fake:
        drive.oci(fake.host, ("referrers", "app", SUBJECT, "a/b+json&x=y"))
    assert fake.requests[0].query == {"artifactType": ["a/b+json&x=y"]}


@pytest.mark.parametrize("answer", [
    error(404, "NOT_FOUND"), error(400, "UNSUPPORTED"), error(405, "UNSUPPORTED"),
    (200, {"Content-Type": "text/html"}, b"<html>"), (200, {"Content-Type": MANIFEST}, IMAGE),
    (302, {"Location": "http://elsewhere.example/"}, b""), (307, {"Location": "https://{host}/v2/"}, b""),
    (302, {}, b"")])
def test_only_an_index_is_a_list(drive, answer):
    """Anything else, a redirect to another host too, is a registry without lists: there is the fallback tag."""
    def answer_it(request):
        if "/referrers/" not in request.path:
            return manifest_answer(index_of(TWO), INDEX)
        status, headers, body = answer
        return status, {name: value.replace("{host}", request.headers["host"]) for name, value in headers.items()}, body
    with FakeRegistry(answer_it) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT))) == [TWO]
    assert len(fake.asked("GET", "/v2/app/referrers")) == 1


def test_a_redirect_within_the_registry_is_followed(drive):
    def answer(request):
        if request.path == f"/v2/app/referrers/{SUBJECT}":
            return 307, {"Location": f"/v2/app/referrers/{SUBJECT}/"}, b""
        return 200, {"Content-Type": INDEX}, index_of(ONE)
    with FakeRegistry(answer) as fake:
        assert listed(drive.oci(fake.host, ("referrers", "app", SUBJECT))) == [ONE]


@pytest.mark.parametrize("answer,code", [(error(403, "DENIED"), -11), (error(401, "UNAUTHORIZED"), -11),
                                         ((200, {"Content-Type": INDEX}, b"[]"), -10),
                                         ((200, {"Content-Type": INDEX}, b'{"manifests":[1]}'), -10),
                                         ((200, {"Content-Type": INDEX}, b"<html>"), -10)])
def test_a_list_that_failed_is_no_empty_list(drive, answer, code):
    with FakeRegistry(lambda request: answer) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("referrers", "app", SUBJECT))
    assert failed.value.code == code and SUBJECT in failed.value.text
    assert not [one for one in fake.requests if "/manifests/" in one.path]


def test_a_list_without_end_is_left(drive):
    def endless(request):
        number = int(request.query.get("page", ["0"])[0])
        entries = [{**ONE, "digest": digest_of(b"%d %d" % (number, one))} for one in range(500)]
        return 200, {"Content-Type": INDEX, "Link": f'<?page={number + 1}>; rel="next"'}, index_of(*entries)
    with FakeRegistry(endless) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("referrers", "app", SUBJECT))
    assert failed.value.code == -26 and "more than 10000" in failed.value.text
    circle = lambda request: (200, {"Content-Type": INDEX, "Link": f'<{request.target}>; rel="next"'}, index_of(ONE))
    with FakeRegistry(circle) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("referrers", "app", SUBJECT))
    assert failed.value.code == -10 and "does not end" in failed.value.text
    assert len(fake.requests) == 1


# ---- layouts ---------------------------------------------------------------------------------------------


def test_a_layout_keeps_what_refers_to_an_image(drive, artifacts):
    path = artifacts / "layout"
    drive.layout(path, *put(artifacts, "", "signed", "scanned"))
    assert drive.layout(path, ("tags", "")).split() == [b"v1", TAG.encode()]
    assert listed(drive.layout(path, ("referrers", "", SUBJECT))) == [
        entry(SIGNED, "example/signature", "by me"), entry(SCANNED, "example/scan")]
    assert listed(drive.layout(path, ("referrers", "", SUBJECT, "example/scan"))) == [entry(SCANNED, "example/scan")]
    drive.layout(path, ("delete", "", digest_of(SCANNED)))
    assert listed(drive.layout(path, ("referrers", "", SUBJECT, "example/scan"))) == []
    seen = subprocess.run([tool("oras", "peers/oras"), "discover", "--oci-layout", "--format", "json", f"{path}:v1"],
                          capture_output=True, check=True)
    report = json.loads(seen.stdout)
    assert [one["digest"] for one in report.get("referrers", report.get("manifests"))] == [digest_of(SIGNED)]


def test_what_oras_attached_to_a_layout_is_found(drive, artifacts):
    path = artifacts / "layout"
    drive.layout(path, *put_image(artifacts, "", "v1"))
    (artifacts / "note.txt").write_text("good\n")
    subprocess.run([tool("oras", "peers/oras"), "attach", "--oci-layout", "--artifact-type", "example/note",
                    f"{path}:v1", "note.txt"], cwd=artifacts, check=True, capture_output=True)
    found = listed(drive.layout(path, ("referrers", "", SUBJECT)))
    assert [one["artifactType"] for one in found] == ["example/note"]


def test_writers_of_a_layout_lose_nothing(drive, artifacts):
    path = artifacts / "layout"
    drive.layout(path, *put_image(artifacts, "", "v1"))
    datas = [artifact("example/many", str(number)) for number in range(8)]
    for number, data in enumerate(datas):
        (artifacts / f"many{number}").write_bytes(data)
    threads = [threading.Thread(target=lambda number=number: drive.layout(
        path, ("put", "", digest_of(datas[number]), MANIFEST, artifacts / f"many{number}"))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = listed(drive.layout(path, ("referrers", "", SUBJECT)))
    assert {one["digest"] for one in found} == {digest_of(data) for data in datas}
