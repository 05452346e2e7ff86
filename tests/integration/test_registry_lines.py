"""Options, connections and TLS of the plugin `oci`."""

import json
import email.utils
import socket
import time

import pytest

from harness.drive import CONFIG, IMAGE, Failed, auth_of
from harness.liar import INDEX, MANIFEST, FakeRegistry, digest_of, error, good_token, manifest_answer
from harness.process import free_port


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


def pair(certificates):
    return certificates / "server.pem", certificates / "server.key"


def test_a_named_authority_makes_loopback_https(drive, certificates):
    with FakeRegistry(lambda request: manifest_answer(IMAGE), pair(certificates)) as fake:
        assert drive.oci(fake.host, ("get", "app", "v1"), ca=str(certificates / "ca.pem")) == IMAGE
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"), plain_http=False)
    assert failed.value.code == -27 and "ca" in failed.value.hint


def test_a_client_shows_its_certificate(drive, certificates):
    answer = lambda request: manifest_answer(IMAGE)
    with FakeRegistry(answer, pair(certificates), certificates / "ca.pem") as fake:
        options = {"ca": str(certificates / "ca.pem"), "cert": str(certificates / "client.pem"),
                   "key": str(certificates / "client.key")}
        assert drive.oci(fake.host, ("get", "app", "v1"), **options) == IMAGE
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"), ca=str(certificates / "ca.pem"))
    assert failed.value.code == -27


def test_credentials_do_not_go_from_https_to_http(drive, certificates):
    with FakeRegistry(good_token) as thief:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{thief.host}/token"'}
        with FakeRegistry(lambda request: (401, challenge, b""), pair(certificates)) as fake:
            drive.docker_config({"auths": {fake.host: {"auth": auth_of("me", "pass word")}}})
            with pytest.raises(Failed) as failed:
                drive.oci(fake.host, ("get", "app", "v1"), ca=str(certificates / "ca.pem"))
    assert failed.value.kind == "auth" and "plain http" in failed.value.text
    assert not thief.requests


def test_an_upload_does_not_go_from_https_to_http(drive, certificates, files):
    answer = lambda request: (202, {"Location": f"http://{request.headers['host']}/up"}, b"")
    with FakeRegistry(answer, pair(certificates)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("blob-put", "app", digest_of(CONFIG), files / "config"),
                      ca=str(certificates / "ca.pem"))
    assert failed.value.kind == "registry" and "X-Forwarded-Proto" in failed.value.hint


# ---- how often one may ask ---------------------------------------------------------------------------------


def hub(status, **headers):
    limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}
    return status, {**limits, **{name.replace("_", "-"): value for name, value in headers.items()}}, b""


@pytest.mark.parametrize("headers,words", [
    ({}, "wait a while"), ({"Retry_After": "0"}, "wait a while"),
    ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, "wait until Wed, 21 Oct 2015 07:28:00 GMT")])
def test_a_limit_is_told_with_what_the_registry_says_of_it(drive, headers, words):
    with FakeRegistry(lambda request: hub(429, **headers)) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert len(fake.requests) == 5
    assert "(100 in 6 h, 0 left)" in failed.value.hint and words in failed.value.hint


def test_a_wait_is_as_long_as_the_registry_asks(drive):
    in_two_seconds = lambda: email.utils.formatdate(time.time() + 2, usegmt=True)
    for wait in (lambda: "1", in_two_seconds):
        answers = iter([(429, {"Retry-After": wait()}, b""), manifest_answer(IMAGE)])
        times = []

        def answer(request):
            times.append(time.monotonic())
            return next(answers)
        with FakeRegistry(answer) as fake:
            assert drive.oci(fake.host, ("get", "app", "v1")) == IMAGE
        assert times[1] - times[0] > 0.9


def test_a_wait_longer_than_there_is_time_for_is_named(drive):
    for refusal in ((429, {"Retry-After": "120"}, b""), (503, {"Retry-After": "120"}, b""),
                    error(429, "TOOMANYREQUESTS", "retry-after: 2m0s, allowed: 44000/minute")):
        with FakeRegistry(lambda request: refusal) as fake:
            with pytest.raises(Failed) as failed:
                drive.oci(fake.host, ("get", "app", "v1"), timeout_ms=3000)
        assert failed.value.kind == "registry" and len(fake.requests) == 1
        assert "asks to wait 2 min" in failed.value.text and "--timeout" in failed.value.hint


def test_a_wait_in_the_words_of_a_refusal_is_a_go_duration(drive):
    for words, least in (("retry-after: 35.8\u00b5s, allowed: 44000/minute", 0.07), ("retry-after: 1.2s", 1.1)):
        answers = iter([error(429, "TOOMANYREQUESTS", words), manifest_answer(IMAGE)])
        times = []

        def answer(request):
            times.append(time.monotonic())
            return next(answers)
        with FakeRegistry(answer) as fake:
            assert drive.oci(fake.host, ("get", "app", "v1")) == IMAGE
        assert least < times[1] - times[0] < least + 2


# ---- peers that never come to an end -----------------------------------------------------------------------


def without_end(piece, seconds=0.0):
    while True:
        yield piece
        time.sleep(seconds)


@pytest.mark.parametrize("command", [("get", "app", "v1"), ("tags", "app"), ("referrers", "app", digest_of(IMAGE)), ("ping",)])
def test_an_answer_without_end_is_cut(drive, command):
    kind = {"get": MANIFEST, "referrers": INDEX}.get(command[0], "application/json")
    answer = lambda request: (200, {"Content-Type": kind}, without_end(b'{"tags":["' + b"x" * 65536))
    with FakeRegistry(answer) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, command)
    assert failed.value.code == -26 and len(fake.requests) == 1


def test_a_manifest_of_a_gibibyte_is_not_read(drive):
    sent = []

    def body():
        for _ in range(1024):
            sent.append(1)
            yield b" " * 1024 * 1024
    with FakeRegistry(lambda request: (200, {"Content-Type": MANIFEST}, body())) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert failed.value.code == -26 and "8 MiB" in failed.value.text
    assert len(sent) < 40
    announced = (200, {"Content-Type": MANIFEST, "Content-Length": str(1 << 30)}, (b" " * 4096, 4096))
    with FakeRegistry(lambda request: announced) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("get", "app", "v1"))
    assert failed.value.code == -26


@pytest.mark.parametrize("command", [("get", "app", "v1"), ("tags", "app"), ("blob-get", "app", digest_of(IMAGE), 0)])
def test_a_dripping_registry_is_given_up(drive, command):
    """Something comes all the time, and never enough."""
    answer = lambda request: (200, {"Content-Type": MANIFEST}, without_end(b" ", 0.05))
    with FakeRegistry(answer) as fake:
        begun = time.monotonic()
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, command, timeout_ms=500)
    assert failed.value.code == -25 and time.monotonic() - begun < 8


def test_redirects_of_a_manifest_that_lead_in_circles_end(drive):
    circle = lambda request: (307, {"Location": request.target}, b"")
    with FakeRegistry(circle) as fake:
        with pytest.raises(Failed) as failed:
            drive.oci(fake.host, ("resolve", "app", "v1"))
    assert failed.value.kind == "registry" and "redirects" in failed.value.text and len(fake.requests) == 11


def test_a_web_page_is_no_registry(drive):
    page = lambda request: (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in, please</html>")
    for command in (("get", "app", "v1"), ("resolve", "app", "v1")):
        with FakeRegistry(page) as fake:
            with pytest.raises(Failed) as failed:
                drive.oci(fake.host, command)
        assert failed.value.kind == "registry" and "a web page answered" in failed.value.hint
