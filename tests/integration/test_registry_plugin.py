"""The plugins `oci` and `layout`, method by method: against real registries, and against one that
lies (harness/registry.py)."""

import http.client
import json
import os
import socket
import subprocess

import pytest

from harness.drive import BUILD, CONFIG, IMAGE, PLUGINS, Failed, auth_of, put_image
from harness.process import free_port
from harness.registry import INDEX, MANIFEST, FakeRegistry, digest_of, error, manifest_answer

# ---- real registries ----------------------------------------------------------------------------


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


# ---- tokens --------------------------------------------------------------------------------------


class TokenRegistry:
    """Wants a token; `grant(request)` is its token server."""

    def __init__(self, grant, scheme="Bearer realm=\"http://{host}/token?x=y\",service=\"the reg\","
                                     "scope=\"repository:app:pull\""):
        self.grant = grant
        self.scheme = scheme
        self.valid = {"Bearer good"}

    def __call__(self, request):
        if request.path == "/token":
            return self.grant(request)
        if request.authorization not in self.valid:
            challenges = self.scheme.format(host=request.headers["host"]).split("\n")
            return 401, [("WWW-Authenticate", one) for one in challenges], b""
        if request.method == "PUT":
            return 201, {"Docker-Content-Digest": digest_of(request.body)}, b""
        if request.path.endswith("/tags/list"):
            return 200, {}, b'{"tags":["v1"]}'
        return manifest_answer(IMAGE)


def good_token(request):
    return 200, {}, b'{"token":"good","expires_in":300}'


def test_a_token_is_fetched_once_for_each_scope(drive, files):
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.oci(fake.host, ("get", "app", "v1"), ("get", "app", "v2"), ("tags", "app"),
                  ("put", "app", "v3", MANIFEST, files / "image"), ("get", "app", "v3"))
    asked = fake.asked("GET", "/token")
    assert [one.query["scope"] for one in asked] == [["repository:app:pull"],
                                                     ["repository:app:pull,push"]]
    assert asked[0].query["service"] == ["the reg"] and asked[0].query["x"] == ["y"]
    assert asked[0].authorization is None
    # The first request goes out without a token, none after it does.
    others = [one for one in fake.requests if one.path != "/token"]
    assert [one.authorization for one in others] == [None] + ["Bearer good"] * 5


def test_several_threads_share_an_instance(drive):
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.docker_config({"auths": {fake.host: {"auth": auth_of("me", "pass word")}}})
        out = drive.oci(fake.host, ("threads", 8, "tags", "app"), ("threads", 8, "tags", "app"))
    assert out == b"v1\n" * 16
    assert len(fake.asked("GET", "/token")) <= 8


def test_a_token_that_ran_out_is_fetched_anew(drive):
    short = lambda request: (200, {}, b'{"access_token":"good","expires_in":1}')
    with FakeRegistry(TokenRegistry(short)) as fake:
        drive.oci(fake.host, ("tags", "app"), ("sleep", 900), ("tags", "app"))
    assert len(fake.asked("GET", "/token")) == 2


@pytest.mark.parametrize("time", ["", ',"expires_in":0', ',"expires_in":-9', ',"expires_in":1e300',
                                  ',"expires_in":"soon"', ',"expires_in":null'])
def test_a_token_without_a_good_time_holds_a_minute(drive, time):
    timeless = lambda request: (200, {}, b'{"token":"good"%s}' % time.encode())
    with FakeRegistry(TokenRegistry(timeless)) as fake:
        drive.oci(fake.host, ("tags", "app"), ("sleep", 50), ("tags", "app"))
    assert len(fake.asked("GET", "/token")) == 1


def test_a_token_taken_back_early_is_fetched_anew(drive):
    answers = iter([b'{"token":"first"}', b'{"token":"second"}'])
    registry = TokenRegistry(lambda request: (200, {}, next(answers)))
    registry.valid = {"Bearer first"}

    def answer(request):
        if len(fake.asked("GET", "/v2/app/tags")) == 3:
            registry.valid = {"Bearer second"}
        return registry(request)
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("tags", "app"), ("tags", "app")) == b"v1\nv1\n"


def test_bearer_is_preferred_when_both_are_offered(drive):
    both = "Basic realm=\"r\"\nBearer realm=\"http://{host}/token\""
    with FakeRegistry(TokenRegistry(good_token, both)) as fake:
        drive.docker_config({"auths": {fake.host: {"auth": auth_of("me", "pass word")}}})
        drive.oci(fake.host, ("tags", "app"))
    assert fake.asked("GET", "/token")[0].authorization == "Basic " + auth_of("me", "pass word")


def test_an_identity_token_is_exchanged(drive):
    def grant(request):
        assert request.method == "POST" and b"grant_type=refresh_token" in request.body
        assert b"refresh_token=re%2Ffresh&" in request.body + b"&"
        assert b"scope=repository%3Aapp%3Apull" in request.body
        return good_token(request)
    with FakeRegistry(TokenRegistry(grant)) as fake:
        drive.docker_config({"auths": {fake.host: {"identitytoken": "re/fresh"}}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"


def test_a_token_server_without_oauth2_is_asked_the_old_way(drive):
    grant = lambda request: good_token(request) if request.method == "GET" else (404, {}, b"")
    with FakeRegistry(TokenRegistry(grant)) as fake:
        config = {"auth": auth_of("me", ""), "identitytoken": "refresh"}
        drive.docker_config({"auths": {fake.host: config}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"
    assert fake.asked("GET", "/token")[0].authorization == "Basic " + auth_of("me", "refresh")


def test_a_registry_token_is_sent_as_it_is(drive):
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.docker_config({"auths": {fake.host: {"registrytoken": "good"}}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"
    assert not fake.asked("GET", "/token")


def test_credentials_from_a_helper_program(drive, tmp_path):
    helper = tmp_path / "docker-credential-test"
    helper.write_text("#!/bin/sh\ncat > \"$HOME/asked\"\n"
                      "echo '{\"Username\":\"me\",\"Secret\":\"kept safe\"}'\n")
    helper.chmod(0o755)
    drive.env["PATH"] += f":{tmp_path}"
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.docker_config({"credHelpers": {fake.host: "test"}})
        drive.oci(fake.host, ("tags", "app"), ("put", "app", "v1", MANIFEST, __file__))
        assert (drive.home / "asked").read_text() == fake.host
    assert fake.asked("GET", "/token")[0].authorization == "Basic " + auth_of("me", "kept safe")


@pytest.mark.parametrize("answer,kind,words", [
    ((401, {}, b'{"details":"incorrect username or password"}'), "auth", "answered 401"),
    ((500, {}, b""), "registry", "answered 500"),
    ((200, {}, b"{}"), "registry", "without a token"),
    ((200, {}, b'{"token":"a\\nX-Evil: 1"}'), "registry", "without a token"),
    ((200, {}, b"<html>"), "registry", "without a token"),
    ((302, {"Location": "/elsewhere"}, b""), "registry", "answered 302"),
])
def test_a_token_server_that_gives_none(drive, answer, kind, words):
    with FakeRegistry(TokenRegistry(lambda request: answer)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert failed.value.kind == kind
    assert words in failed.value.text and fake.host in failed.value.text


def test_a_token_that_is_not_enough_ends_it(drive):
    registry = TokenRegistry(lambda request: (200, {}, b'{"token":"small"}'))
    with FakeRegistry(registry) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert failed.value.kind == "auth"
    assert len(fake.requests) == 3


def test_secrets_that_a_registry_echoes_do_not_show(drive):
    def answer(request):
        if request.path == "/token":
            return 200, {}, b'{"token":"very-secret-token"}'
        if not request.authorization:
            return 401, {"WWW-Authenticate":
                         f'Bearer realm="http://{request.headers["host"]}/token"'}, b""
        return error(403, "DENIED", "you sent " + request.authorization)
    with FakeRegistry(answer) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert failed.value.kind == "auth"
    assert "you sent" in failed.value.detail
    assert "very-secret-token" not in failed.value.whole


# ---- manifests -----------------------------------------------------------------------------------


def serve(answer, **more):
    return FakeRegistry(lambda request: answer(request, **more))


def test_head_that_says_too_little_is_followed_by_get(drive):
    def answer(request):
        status, headers, body = manifest_answer(IMAGE)
        if request.method == "HEAD":
            del headers["Docker-Content-Digest"]
        return status, headers, body
    with FakeRegistry(answer) as fake:
        assert drive.oci(fake.host, ("resolve", "app", "v1")).startswith(digest_of(IMAGE).encode())
    assert [one.method for one in fake.requests] == ["HEAD", "GET"]


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


# ---- blobs ---------------------------------------------------------------------------------------

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
            return self.where(204)
        if request.method == "DELETE":
            return 204, {}, b""
        assert request.query["at"] == [str(len(self.data))]
        if request.method == "PUT":
            self.done = request.query["digest"]
            return 201, {}, b""
        first, last = request.headers["content-range"].split("-")
        assert (int(first), int(last)) == (len(self.data), len(self.data) + len(request.body) - 1)
        trouble = next(self.trouble, None)
        if trouble == "416":
            return 416, {}, b""
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


def test_pieces_go_on_where_a_broken_one_stopped(drive, files):
    layer = (files / "layer").read_bytes()
    registry = ChunkRegistry(300_000, ["half", None, "416", "half"])
    with FakeRegistry(registry) as fake:
        drive.oci(fake.host, ("blob-put", "app", digest_of(layer), files / "layer"))
    assert registry.data == layer and registry.done == [digest_of(layer)]


@pytest.mark.parametrize("registry,words", [
    (ChunkRegistry(300_000, ["416"] * 50), "takes no more than 0 of"),
    (ChunkRegistry(1000), "413"), (ChunkRegistry(300_000, least=400_000), "413")])
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


# ---- options and connections ---------------------------------------------------------------------


@pytest.mark.parametrize("options,words", [
    ({"hots": "x"}, "unknown option 'hots'"), ({}, "'host' is missing"),
    ({"host": "a b"}, "host"), ({"host": "h/x"}, "host"), ({"host": "u@h"}, "host"),
    ({"host": "h:99999"}, "host"), ({"host": "h", "username": "u"}, "needs a 'password'"),
    ({"host": "h", "cert": "c"}, "go together"), ({"host": "h", "timeout_ms": -1}, "timeout_ms"),
    ({"host": "h", "password": 7}, "password")])
def test_options_that_are_wrong_are_named(drive, options, words):
    with pytest.raises(Failed) as failed:
        drive("oci", options, ("ping",))
    assert failed.value.kind == "config" and words in failed.value.text


def test_docker_hub_answers_under_another_name(drive):
    with FakeRegistry(lambda request: (403, {}, b"")) as proxy:
        drive.env["https_proxy"] = f"http://{proxy.host}"
        with pytest.raises(Failed) as failed:
            drive.oci("docker.io", ("resolve", "library/busybox", "1"))
    assert failed.value.code == -27
    assert {one.target for one in proxy.requests} == {"registry-1.docker.io:443"}


def test_a_block_without_a_username_leaves_the_password_alone(drive, private_registry):
    auth = auth_of("dev", "s3cret-password")
    drive.docker_config({"auths": {private_registry.host: {"auth": auth}}})
    out = drive.oci(private_registry.host, ("ping",), username=False,
                    password={"secret": "UNSET"})
    assert b".docker/config.json" in out


def test_nobody_there(drive):
    with pytest.raises(Failed) as failed:
        drive.oci(f"127.0.0.1:{free_port()}", ("ping",))
    assert failed.value.code == -27 and "refused" in failed.value.text


def test_https_to_a_server_without_it_says_so(drive):
    with FakeRegistry(lambda request: manifest_answer(IMAGE)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("ping",), plain_http=False)
    assert failed.value.code == -27 and "plain_http" in failed.value.hint


def test_a_silent_registry_is_given_up(drive):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = "127.0.0.1:%d" % silent.getsockname()[1]
        with pytest.raises(Failed) as failed:
            drive.oci(host, ("resolve", "app", "v1"), timeout_ms=300)
    assert failed.value.code == -25


# ---- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """An authority, and a certificate of it for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=127.0.0.1", "-keyout", "key.pem", "-out", "request.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", "names", "-out", "cert.pem")
    return folder


def pair(tls):
    return tls / "cert.pem", tls / "key.pem"


def test_a_named_authority_makes_loopback_https(drive, tls):
    with FakeRegistry(lambda request: manifest_answer(IMAGE), pair(tls)) as fake:
        assert drive.oci(fake.host, ("get", "app", "v1"), ca=str(tls / "ca.pem")) == IMAGE
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"), plain_http=False)
    assert failed.value.code == -27 and "ca" in failed.value.hint


def test_a_client_shows_its_certificate(drive, tls):
    answer = lambda request: manifest_answer(IMAGE)
    with FakeRegistry(answer, pair(tls), tls / "ca.pem") as fake:
        options = {"ca": str(tls / "ca.pem"), "cert": str(tls / "cert.pem"),
                   "key": str(tls / "key.pem")}
        assert drive.oci(fake.host, ("get", "app", "v1"), **options) == IMAGE
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"), ca=str(tls / "ca.pem"))
    assert failed.value.code == -27


def test_credentials_do_not_go_from_https_to_http(drive, tls):
    with FakeRegistry(good_token) as thief:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{thief.host}/token"'}
        with FakeRegistry(lambda request: (401, challenge, b""), pair(tls)) as fake:
            drive.docker_config({"auths": {fake.host: {"auth": auth_of("me", "pass word")}}})
            with pytest.raises(Failed) as failed:
                drive.oci(fake.host, ("get", "app", "v1"), ca=str(tls / "ca.pem"))
    assert failed.value.kind == "auth" and "plain http" in failed.value.text
    assert not thief.requests


def test_an_upload_does_not_go_from_https_to_http(drive, tls, files):
    answer = lambda request: (202, {"Location": f"http://{request.headers['host']}/up"}, b"")
    with FakeRegistry(answer, pair(tls)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-put", "app", digest_of(CONFIG), files / "config"),
                      ca=str(tls / "ca.pem"))
    assert failed.value.kind == "registry" and "X-Forwarded-Proto" in failed.value.hint


# ---- layouts -------------------------------------------------------------------------------------


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
