"""Blobs of the plugin `oci`, up and down, against a registry that answers whatever it likes."""

import http.client
import json
import os

import pytest

from harness.drive import CONFIG, IMAGE, Failed
from harness.liar import MANIFEST, FakeRegistry, digest_of, error, good_token

LAYER = bytes(range(256)) * 4096  # 1 MiB


def blob_server(cuts, ranges=True):
    """Breaks off after so many bytes, one number a transfer; then it sends all."""
    cuts = iter(cuts)

    def answer(request):
        first, status, headers = 0, 200, {}
        if ranges and "range" in request.headers:
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            first = int(first)
            end = int(last) + 1 if last else len(LAYER)
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(LAYER)}"
            if last:
                return 206, headers, LAYER[first:end]
            status = 206
        elif request.headers.get("range", "").rpartition("-")[2]:
            return 200, {}, LAYER  # the probe of one byte
        rest = LAYER[first:]
        cut = next(cuts, None)
        return status, headers, (rest, cut) if cut is not None else rest
    return answer


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on_where_it_stopped(drive, ranges):
    with FakeRegistry(blob_server([300_000, 200_000 if ranges else 600_000], ranges)) as fake:
        got = drive.oci(fake.host, ("blob-get", "app", digest_of(LAYER), 0))
    assert got == LAYER
    if ranges:
        asked = [one.headers.get("range") for one in fake.requests]
        assert asked[-1].startswith("bytes=") and int(asked[-1][6:-1]) > 300_000


def test_a_transfer_that_breaks_each_time_ends(drive):
    with FakeRegistry(blob_server([100_000] + [10] * 50)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-get", "app", digest_of(LAYER), 0))
    assert failed.value.code == -27
    assert len(fake.requests) < 30


def test_the_caller_may_stop_a_transfer(drive):
    with FakeRegistry(blob_server([])) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-get", "app", digest_of(LAYER), 0, 1000))
    assert failed.value.code == -21
    assert len(fake.requests) == 1


def test_credentials_stay_behind_when_a_blob_is_elsewhere(drive):
    with FakeRegistry(lambda request: (200, {}, LAYER)) as store:
        def answer(request):
            if request.path == "/token":
                return good_token(request)
            if request.authorization != "Bearer good":
                return 401, {"WWW-Authenticate":
                             f'Bearer realm="http://{request.headers["host"]}/token"'}, b""
            return 307, {"Location": f"http://{store.host}/blob?signed=1"}, b""
        with FakeRegistry(answer) as fake:
            assert drive.oci(fake.host, ("blob-get", "app", digest_of(LAYER), 0)) == LAYER
        assert [one.authorization for one in store.requests] == [None]


@pytest.mark.parametrize("headers,code", [
    ({"Content-Type": "text/html; charset=utf-8"}, -10), ({"Docker-Content-Digest": digest_of(b"other")}, -23)])
def test_a_blob_is_there_only_when_that_blob_is(drive, headers, code):
    """What is there is not sent: a page that says 200 to everything must not count."""
    with FakeRegistry(lambda request: (200, headers, LAYER)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("stat", "app", digest_of(LAYER)))
    assert failed.value.code == code
    with FakeRegistry(lambda request: (200, {"Docker-Content-Digest": digest_of(LAYER)}, LAYER)) as fake:
        assert drive.oci(fake.host, ("stat", "app", digest_of(LAYER))) == b"%d\n" % len(LAYER)


class UploadRegistry:
    """Takes blobs; the session's address is `location`, which may hold {host}."""

    def __init__(self, location="/v2/app/blobs/uploads/1?state=a%2Fb", put=None):
        self.location = location
        self.answers = iter(put or [])
        self.stored = []

    def __call__(self, request):
        if request.method == "POST":
            return 202, {"Location": self.location.format(host=request.headers["host"])}, b""
        if request.method == "DELETE":
            return 204, {}, b""
        answered = next(self.answers, (201, {}, b""))
        if answered and answered[0] == 201:
            self.stored.append(request)
        return answered


@pytest.mark.parametrize("location", ["/v2/app/blobs/uploads/1?state=a%2Fb", "1?state=a%2Fb",
                                      "http://{host}/v2/app/blobs/uploads/1?state=a%2Fb"])
def test_an_upload_keeps_what_its_address_holds(drive, files, location):
    layer = (files / "layer").read_bytes()
    registry = UploadRegistry(location)
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    put, = registry.stored
    assert put.path == "/v2/app/blobs/uploads/1"
    assert put.target.split("?")[1].startswith("state=a%2Fb&digest=sha256")
    assert put.query["digest"] == [digest_of(layer)]
    assert put.body == layer


def moved(registry):
    """The registry behind redirects that keep the method, from /v2/… to /v2/moved/…."""
    def answer(request):
        if request.path.startswith("/v2/moved/"):
            return registry(request)
        return 307, {"Location": request.target.replace("/v2/", "/v2/moved/", 1)}, b""
    return answer


def test_what_is_written_follows_redirects_on_the_same_host(drive, files):
    layer = (files / "layer").read_bytes()
    registry = UploadRegistry()
    with FakeRegistry(moved(registry)) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"),
                  ("put", "app", "v1", MANIFEST, files / "image"))
    assert [one.body for one in registry.stored] == [layer, IMAGE]


def test_what_is_written_does_not_follow_a_redirect_elsewhere(drive, files):
    with FakeRegistry(UploadRegistry()) as other:
        answer = lambda request: (307, {"Location": f"http://{other.host}{request.target}"}, b"")
        with FakeRegistry(answer) as fake:
            for command in (("put", "app", "v1", MANIFEST, files / "image"),
                            ("blob-put", "app", digest_of(CONFIG), files / "config"),
                            ("delete", "app", "v1")):
                with pytest.raises(Failed) as failed:
                    drive.oci(fake.host, command)
                assert failed.value.kind == "registry" and "redirect" in failed.value.text
    assert not other.requests


def test_redirects_that_lead_in_circles_end(drive):
    with FakeRegistry(lambda request: (307, {"Location": request.target}, b"")) as fake:
        with pytest.raises(Failed):
            drive.oci(fake.host, ("get", "app", "v1"))
    assert len(fake.requests) == 11


def test_an_upload_to_another_host_gets_no_credentials(drive, files):
    layer = (files / "layer").read_bytes()
    with FakeRegistry(UploadRegistry()) as store:
        upload = UploadRegistry(f"http://{store.host}/up?signed=1")

        def answer(request):
            if request.path == "/token":
                return good_token(request)
            if request.authorization != "Bearer good":
                return 401, {"WWW-Authenticate":
                             f'Bearer realm="http://{request.headers["host"]}/token"'}, b""
            return upload(request)
        with FakeRegistry(answer) as fake:
            drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    put, = store.requests
    assert put.authorization is None and put.body == layer
    assert put.query["signed"] == ["1"]


@pytest.mark.parametrize("first", [(503, {}, b""), (429, {"Retry-After": "1"}, b""), None,
                                   error(404, "BLOB_UPLOAD_UNKNOWN"), (416, {}, b"")])
def test_an_upload_that_fails_for_the_moment_is_tried_again(drive, files, first):
    layer = (files / "layer").read_bytes()
    registry = UploadRegistry(put=[first])
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert registry.stored[0].body == layer
    assert len(fake.requests) <= 4


def test_an_upload_that_fails_is_ended(drive, files):
    registry = UploadRegistry(put=[error(403, "DENIED", "quota")] * 5)
    with FakeRegistry(registry) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-put", "app", digest_of(CONFIG), files / "config"))
    assert failed.value.kind == "auth" and "quota" in failed.value.detail
    assert fake.requests[-1].method == "DELETE"


def test_a_token_is_renewed_in_mid_upload(drive, files):
    layer = (files / "layer").read_bytes()
    tokens = iter(["one", "two"])
    upload = UploadRegistry()
    valid = {"POST": "Bearer one", "PUT": "Bearer two"}

    def answer(request):
        if request.path == "/token":
            return 200, {}, json.dumps({"token": next(tokens)}).encode()
        if request.authorization != valid[request.method]:
            return 401, {"WWW-Authenticate":
                         f'Bearer realm="http://{request.headers["host"]}/token"'}, b""
        return upload(request)
    with FakeRegistry(answer) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert upload.stored[0].body == layer


class ChunkRegistry:
    """Takes bodies of `limit` bytes at most; `trouble` is what happens to its PATCHes in turn:
    "416", "half" (half of the piece arrives, then the connection breaks) or None."""

    def __init__(self, limit, trouble=(), least=0, prefix=""):
        self.limit = limit
        self.trouble = iter(trouble)
        self.least = least
        self.prefix = prefix
        self.data = b""
        self.pieces = []
        self.done = None

    def where(self, status):
        headers = {"Location": f"/v2/app/blobs/uploads/1?at={len(self.data)}",
                   "Range": f"{self.prefix}0-{max(len(self.data) - 1, 0)}"}
        if self.least:
            headers["OCI-Chunk-Min-Length"] = str(self.least)
        return status, headers, b""

    def __call__(self, request):
        if len(request.body) > self.limit:
            return 413, {}, b"<html>too large</html>"
        if request.method == "POST":
            self.data = b""
            return self.where(202)
        if request.method == "GET":
            return self.where(204) if self.data is not None else error(404, "BLOB_UPLOAD_INVALID")
        if request.method == "DELETE":
            return 204, {}, b""
        if request.method == "PUT":
            assert request.query["at"] == [str(len(self.data))]
            self.done = request.query["digest"]
            return 201, {}, b""
        first, last = map(int, request.headers["content-range"].split("-"))
        assert last - first + 1 == len(request.body)
        if self.data is not None and first != len(self.data):  # the client below may send a piece again when a kept connection broke
            return 416, {}, b""
        trouble = next(self.trouble, None)
        if trouble == "416":
            return 416, {}, b""
        if trouble == "gone":  # as distribution 2.8 ends a session in which a piece broke
            self.data = None
        if self.data is None:
            return error(404, "BLOB_UPLOAD_INVALID")
        if trouble == "half":
            self.data += request.body[:len(request.body) // 2]
            return None
        self.pieces.append(len(request.body))
        self.data += request.body
        return self.where(202)


@pytest.mark.parametrize("limit,prefix", [(300_000, ""), (16 << 20, "bytes=")])
def test_a_blob_goes_up_in_pieces_where_large_bodies_do_not_pass(drive, tmp_path, limit, prefix):
    layer = os.urandom(limit + 300_001)
    (tmp_path / "layer").write_bytes(layer)
    registry = ChunkRegistry(limit, prefix=prefix)
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), tmp_path / "layer"))
    assert registry.data == layer
    assert registry.done == [digest_of(layer)]
    assert len(registry.pieces) > 1 and set(registry.pieces[:-1]) == {
        262_144 if limit == 300_000 else 16 << 20}


def test_pieces_begin_again_when_their_session_is_gone(drive, files):
    layer = (files / "layer").read_bytes()
    registry = ChunkRegistry(300_000, [None, "gone", None, None, "gone"])
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert registry.data == layer and registry.done == [digest_of(layer)]
    assert len(fake.asked("POST", "/")) == 4  # one for the whole, three for pieces


def test_pieces_go_on_where_a_broken_one_stopped(drive, files):
    layer = (files / "layer").read_bytes()
    registry = ChunkRegistry(300_000, ["half", None, "416", "half"])
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert registry.data == layer and registry.done == [digest_of(layer)]


@pytest.mark.parametrize("trouble", [None, (503, {}, b""), (429, {"Retry-After": "1"}, b""), (408, {}, b"")])
def test_a_large_blob_that_broke_is_not_begun_again(drive, tmp_path, trouble):
    """One PUT of all of it; then pieces, of which what has arrived stays."""
    layer = os.urandom(1 << 20) * 17
    (tmp_path / "layer").write_bytes(layer)
    registry = ChunkRegistry(1 << 30, ["half"])

    def answer(request):
        whole = request.method == "PUT" and request.body
        return trouble if whole else registry(request)
    with FakeRegistry(answer) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), tmp_path / "layer"))
    assert registry.data == layer and registry.done == [digest_of(layer)]
    assert len([one for one in fake.asked("PUT", "/") if one.body]) <= 2
    assert len(fake.asked("PATCH", "/")) <= 4


@pytest.mark.parametrize("registry,words", [
    (ChunkRegistry(300_000, ["416"] * 50), "takes no more than 0 of"),
    (ChunkRegistry(300_000, ["gone"] * 50), "404"), (ChunkRegistry(1000), "413"), (ChunkRegistry(300_000, least=400_000), "413")])
def test_pieces_that_do_not_pass_either_end_it(drive, files, registry, words):
    layer = (files / "layer").read_bytes()
    with FakeRegistry(registry) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert words in failed.value.text and not registry.done
    assert fake.requests[-1].method == "DELETE"
    assert len(fake.requests) < 30


def test_pieces_reach_a_real_registry_behind_a_proxy(drive, real, files):
    def proxy(request):
        if len(request.body) > 300_000:
            return 413, {}, b""
        connection = http.client.HTTPConnection(real.host, timeout=10)
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        connection.request(request.method, request.target, request.body, headers)
        answer = connection.getresponse()
        kept = [(name, value.replace(real.host, request.headers["host"]))
                for name, value in answer.getheaders() if name.lower() in ("location", "range")]
        return answer.status, kept, answer.read()
    layer = (files / "layer").read_bytes()
    with FakeRegistry(proxy) as fake:
        drive.oci(fake.host, ("blob-put", "pieces", digest_of(layer), files / "layer"))
    assert drive.oci(real.host, ("blob-get", "pieces", digest_of(layer), 0)) == layer


@pytest.mark.parametrize("status,out", [(201, b"mounted\n"), (202, b"not mounted\n"),
                                        (404, b"not mounted\n"), (405, b"not mounted\n")])
def test_mounting_is_asked_for_and_tidied_up(drive, status, out):
    def answer(request):
        return status, {"Location": "/v2/app/blobs/uploads/1?a=b"}, b""
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("mount", "app", digest_of(LAYER), "o/from")) == out
    post = fake.requests[0]
    assert post.query == {"mount": [digest_of(LAYER)], "from": ["o/from"]}
    assert [one.target for one in fake.asked("DELETE", "/")] == (
        ["/v2/app/blobs/uploads/1?a=b"] if status == 202 else [])


def test_a_deletion_that_is_not_allowed(drive):
    with FakeRegistry(lambda request: error(405, "UNSUPPORTED")) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("delete", "app", digest_of(IMAGE)))
    assert failed.value.code == -24
