"""Manifests and tags of the plugin `oci`, against a registry that answers whatever it likes."""

import json

import pytest

from harness.drive import IMAGE, Failed
from harness.liar import INDEX, MANIFEST, FakeRegistry, digest_of, error, manifest_answer


def test_head_that_says_too_little_is_followed_by_get(drive):
    def answer(request):
        status, headers, body = manifest_answer(IMAGE)
        if request.method == "HEAD":
            del headers["Docker-Content-Digest"]
        return status, headers, body
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("resolve", "app", "v1")).startswith(digest_of(IMAGE).encode())
    assert [one.method for one in fake.requests] == ["HEAD", "GET"]


def test_all_four_types_are_accepted(drive):
    with FakeRegistry(lambda request: manifest_answer(IMAGE)) as fake:
        drive.oci(fake.host, ("resolve", "app", "v1"), ("get", "app", "v1"))
    for request in fake.requests:
        assert {one.strip() for one in request.headers["accept"].split(",")} == {
            INDEX, MANIFEST, "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.distribution.manifest.v2+json"}
        assert request.headers["accept-encoding"] == "identity"


def test_head_that_is_not_known_is_followed_by_get(drive):
    answer = lambda request: (405, {}, b"") if request.method == "HEAD" else manifest_answer(IMAGE)
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("resolve", "app", "v1")).startswith(digest_of(IMAGE).encode())


@pytest.mark.parametrize("kind", ["application/vnd.docker.distribution.manifest.v1+prettyjws",
                                  "application/vnd.example.thing+json", "text/html"])
@pytest.mark.parametrize("command", ["get", "resolve"])
def test_a_manifest_of_an_unknown_type_is_named(drive, kind, command):
    with FakeRegistry(lambda request: manifest_answer(b'{"a":1}', kind)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, (command, "app", "v1"))
    assert failed.value.kind == "registry" and kind in failed.value.text


def test_a_vague_type_is_read_from_the_document(drive):
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    for data, kind in ((IMAGE, MANIFEST), (index, INDEX)):
        with FakeRegistry(lambda request: manifest_answer(data, "application/json")) as fake:
            assert kind.encode() in drive.oci(fake.host, ("resolve", "app", "v1"))


@pytest.mark.parametrize("answer,code,words", [
    (manifest_answer(IMAGE, INDEX), -10, "the document calls itself"),
    (manifest_answer(IMAGE, MANIFEST, digest_of(b"other")), -23, "sent bytes with digest"),
    (manifest_answer(b"not JSON", MANIFEST), -10, "no manifest"),
    (manifest_answer(b" " * (8 * 1024 * 1024 + 1), MANIFEST), -26, "8 MiB"),
    ((302, {"Location": "/v2/app/manifests/v1"}, b""), -10, "redirect"),
    ((200, {"Content-Type": MANIFEST, "Content-Encoding": "gzip"}, IMAGE), -23, "gzip"),
])
def test_a_manifest_that_is_wrong_is_refused(drive, answer, code, words):
    with FakeRegistry(lambda request: answer) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert (failed.value.code, words in failed.value.text) == (code, True), failed.value.text


def test_a_put_tells_the_digest_that_was_answered(drive, files):
    other = digest_of(b"other")
    with FakeRegistry(lambda request: (201, {"Docker-Content-Digest": other}, b"")) as fake:
        out = drive.oci(fake.host, ("put", "app", "v1", MANIFEST, files / "image"))
    assert out.decode().split()[0] == other
    assert fake.requests[0].headers["content-type"] == MANIFEST
    with FakeRegistry(lambda request: (201, {}, b"")) as fake:
        out = drive.oci(fake.host, ("put", "app", "v1", MANIFEST, files / "image"))
    assert out.decode().split()[0] == digest_of(IMAGE)


def test_a_failure_of_the_moment_is_tried_again(drive):
    answers = iter([(503, {}, b""), (429, {"Retry-After": "1"}, b""), None])

    def answer(request):
        return next(answers, manifest_answer(IMAGE))
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("get", "app", "v1")) == IMAGE
    assert len(fake.requests) == 4


def test_a_failure_that_stays_is_told_after_five_tries(drive, files):
    with FakeRegistry(lambda request: error(500, "UNKNOWN", "disk on fire")) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("put", "app", "v1", MANIFEST, files / "image"))
    assert len(fake.requests) == 5
    assert "answered 500 UNKNOWN" in failed.value.text
    assert "disk on fire" in failed.value.detail


def test_a_page_of_html_is_not_repeated(drive):
    page = lambda request: (403, {"Content-Type": "text/html"}, b"<html><h1>Forbidden</h1>")
    with FakeRegistry(page) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert failed.value.kind == "auth" and not failed.value.detail


@pytest.mark.parametrize("repository", ["../x", "a//b", "a/../b", "/a", "a/", "a b", "a?x", ""])
def test_a_name_that_leads_elsewhere_is_never_asked_for(drive, repository):
    with FakeRegistry(lambda request: manifest_answer(IMAGE)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("resolve", repository, "v1"))
    assert failed.value.kind == "usage" and not fake.requests


# ---- tags ----------------------------------------------------------------------------------------


def test_tags_are_followed_over_pages(drive):
    def answer(request):
        last = request.query.get("last", [""])[0]
        pages = {"": (["a"], 'list?last=a>; rel="next"'), "a": ([], '/v2/app/tags/list?last=b>;rel=next'),
                 "b": (["c"], None)}
        tags, link = pages[last]
        headers = {"Link": "<" + link} if link else {}
        return 200, headers, json.dumps({"name": "app", "tags": tags}).encode()
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("tags", "app")).split() == [b"a", b"c"]
    assert fake.requests[0].query["n"] == ["1000"]


def test_a_repository_without_tags(drive):
    for body in (b'{"name":"app","tags":null}', b'{"name":"app"}', b'{"tags":[]}'):
        with FakeRegistry(lambda request: (200, {}, body)) as fake:
            assert drive.oci(fake.host, ("tags", "app")) == b""


@pytest.mark.parametrize("link,words,most", [
    ("</v2/app/tags/list?n=1000>; rel=next", "does not end", 1),
    ("</v2/app/tags/list?last={count}>; rel=next", "does not end", 1000),
    ("<http://127.0.0.1:1/v2/app/tags/list>; rel=next", "somewhere else", 1),
    ("<https://{host}/v2/app/tags/list>; rel=next", "somewhere else", 1),
])
def test_a_list_that_leads_nowhere_ends(drive, link, words, most):
    def answer(request):
        count = len(fake.requests)
        text = link.format(count=count, host=request.headers["host"])
        return 200, {"Link": text}, b'{"tags":["t%d"]}' % count
    with FakeRegistry(answer) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert words in failed.value.text and len(fake.requests) == most


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"tags":{}}', b'{"tags":[1]}'])
def test_a_list_that_is_none_is_refused(drive, body):
    with FakeRegistry(lambda request: (200, {}, body)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert failed.value.kind == "registry"
