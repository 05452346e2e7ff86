"""Tokens and credentials of the plugin `oci`, against a registry that asks for them as a test says."""

import urllib.parse

import pytest

from harness.drive import IMAGE, Failed, auth_of
from harness.liar import MANIFEST, FakeRegistry, digest_of, error, good_token, manifest_answer


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
        if request.method == "POST":
            return 201, {}, b""
        if request.method == "PUT":
            return 201, {"Docker-Content-Digest": digest_of(request.body)}, b""
        if request.path.endswith("/tags/list"):
            return 200, {}, b'{"tags":["v1"]}'
        return manifest_answer(IMAGE)


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


def test_oauth2_has_all_scopes_in_one_field(drive):
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.docker_config({"auths": {fake.host: {"identitytoken": "refresh"}}})
        drive.oci(fake.host, ("tags", "app"), ("mount", "app", digest_of(IMAGE), "other/app"))
    form = urllib.parse.parse_qs(fake.asked("POST", "/token")[1].body.decode())
    assert form["scope"] == ["repository:app:pull,push repository:other/app:pull"]


def test_a_token_server_without_oauth2_is_asked_the_old_way(drive):
    grant = lambda request: good_token(request) if request.method == "GET" else (404, {}, b"")
    with FakeRegistry(TokenRegistry(grant)) as fake:
        config = {"auth": auth_of("me", ""), "identitytoken": "refresh"}
        drive.docker_config({"auths": {fake.host: config}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"
    assert fake.asked("GET", "/token")[0].authorization == "Basic " + auth_of("me", "refresh")


def test_a_token_server_with_oauth2_alone_gets_name_and_password(drive):
    def grant(request):
        return good_token(request) if request.method == "POST" else (404, {}, b"")
    with FakeRegistry(TokenRegistry(grant)) as fake:
        drive.docker_config({"auths": {fake.host: {"auth": auth_of("me", "pass&word")}}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"
    post = fake.asked("POST", "/token")[0]
    assert urllib.parse.parse_qs(post.body.decode()) == {
        "grant_type": ["password"], "client_id": ["strake"], "service": ["the reg"],
        "scope": ["repository:app:pull"], "username": ["me"], "password": ["pass&word"]}


def test_without_credentials_nothing_is_posted(drive):
    with FakeRegistry(TokenRegistry(lambda request: (404, {}, b""))) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert "answered 404" in failed.value.text and not fake.asked("POST", "/")


def test_each_scope_is_asked_for_by_itself(drive):
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.oci(fake.host, ("tags", "app"), ("mount", "app", digest_of(IMAGE), "other/app"))
    assert fake.asked("GET", "/token")[1].query["scope"] == ["repository:app:pull,push", "repository:other/app:pull"]


def test_fewer_scopes_than_asked_for_is_no_error(drive):
    fewer = lambda request: (200, {}, b'{"token":"good","scope":"repository:app:pull"}')
    with FakeRegistry(TokenRegistry(fewer)) as fake:
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"


@pytest.mark.parametrize("script,words", [
    ("echo rubbish", "answered something else"),
    ("echo '{\"Username\":7}'", "answered something else"), ("yes | head -c 10000000", "docker-credential-test"),
    ("echo 'the keychain is locked'; exit 1", "failed with exit code 1"), ("kill -9 $$", "ended by signal 9")])
def test_a_helper_that_does_not_help_is_told(drive, tmp_path, script, words):
    """And what else there is is used: docker's own file names the host, too."""
    helper = tmp_path / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o755)
    drive.env["PATH"] = f"{tmp_path}:{drive.env['PATH']}"
    refuse = lambda request: (401, {}, b"")
    with FakeRegistry(TokenRegistry(refuse)) as fake:
        drive.docker_config({"credHelpers": {fake.host: "test"}})
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("tags", "app"))
    assert failed.value.kind == "auth" and words in failed.value.hint
    with FakeRegistry(TokenRegistry(good_token)) as fake:
        drive.docker_config({"credHelpers": {fake.host: "test"},
                             "auths": {fake.host: {"auth": auth_of("me", "from the file")}}})
        assert drive.oci(fake.host, ("tags", "app")) == b"v1\n"
    assert fake.asked("GET", "/token")[0].authorization == "Basic " + auth_of("me", "from the file")


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
