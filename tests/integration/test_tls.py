"""Certificates of builders, through buildctl: each way to be wrong is told apart, and ends with exit 9."""

import subprocess

import pytest

from harness.certificates import make_certificates
from harness.servers import BuildKit

FILES = {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Certificates of another authority."""
    return make_certificates(tmp_path_factory.mktemp("stranger"))


def daemon_of(folder, certificates, **tls):
    return BuildKit(folder, [], tls={"cert": certificates / "server.pem", "key": certificates / "server.key", **tls})


@pytest.fixture(scope="module")
def expired(tmp_path_factory):
    """A daemon whose certificate has expired, and the folder of its certificates."""
    folder = tmp_path_factory.mktemp("expired")
    made = make_certificates(folder / "certificates", days=-1)
    daemon = daemon_of(folder, made)
    yield daemon, made
    daemon.stop()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A daemon whose certificate is for another name than its address."""
    folder = tmp_path_factory.mktemp("elsewhere")
    made = make_certificates(folder / "certificates", names="DNS:elsewhere.test")
    daemon = daemon_of(folder, made)
    yield daemon, made
    daemon.stop()


@pytest.fixture
def build(strake, project):
    """build(daemon, OPTION=file or text…): what `strake build` says."""
    def run(daemon, **options):
        words = "".join(f', {name} = "{value}"' for name, value in options.items())
        folder = project({**FILES, "strake.lua": f'builder "lab" {{ type = "buildctl", address = "{daemon.address}"{words} }}\n'
                                                 'target "app" { }\n'})
        return strake("build", "--json", "app", cwd=folder)
    return run


def ours(made, **more) -> dict:
    return {"ca": made / "ca.pem", "cert": made / "client.pem", "key": made / "client.key", **more}


def refused(done) -> tuple:
    error = done.json()["error"]
    assert (done.exit, error["kind"]) == (9, "builder"), error
    return error["message"], error["hint"]


def test_an_expired_certificate(build, expired):
    message, hint = refused(build(expired[0], ca=expired[1] / "ca.pem"))
    assert "has expired or is not yet valid" in message
    assert "renewed" in hint and "clock" in hint


def test_a_certificate_for_another_name_and_the_name_that_mends_it(build, elsewhere):
    daemon, made = elsewhere
    message, hint = refused(build(daemon, ca=made / "ca.pem"))
    assert "127.0.0.1" in message and "server_name" in hint
    message, hint = refused(build(daemon, ca=made / "ca.pem", server_name="third.test"))
    assert "not third.test" in message and "server_name" in hint
    done = build(daemon, ca=made / "ca.pem", server_name="elsewhere.test")
    assert done.exit == 0, done.err


def test_a_certificate_by_another_authority(build, tls_buildkit, certificates, stranger):
    message, hint = refused(build(tls_buildkit, **ours(certificates, ca=stranger / "ca.pem")))
    assert "signed by unknown authority" in message and "the option ca" in hint


def test_no_certificate_of_ours(build, tls_buildkit, certificates):
    """The daemon's alert gets lost now and then; the hint is the same."""
    message, hint = refused(build(tls_buildkit, ca=certificates / "ca.pem"))
    assert "certificate required" in message or "hung up on a client without a certificate" in message
    assert "options cert and key" in hint and "certificate of its clients" in hint


def test_a_certificate_of_ours_by_another_authority(build, tls_buildkit, certificates, stranger):
    message, hint = refused(build(tls_buildkit, **ours(stranger, ca=certificates / "ca.pem")))
    assert "remote error: tls: " in message or "does not take our certificate" in message
    assert "cert and key, and which authority" in hint


def test_a_certificate_of_ours_that_has_expired(build, tls_buildkit, certificates, tmp_path):
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=tmp_path, check=True, capture_output=True)

    openssl("x509", "-req", "-in", certificates / "client.csr", "-CA", certificates / "ca.pem", "-CAkey",
            certificates / "ca.key", "-CAcreateserial", "-CAserial", "serial", "-days", "-1", "-out", "old.pem",
            "-extfile", certificates / "client.ext")
    message, hint = refused(build(tls_buildkit, **ours(certificates, cert=tmp_path / "old.pem")))
    assert "remote error: tls: " in message or "does not take our certificate" in message
    assert "cert and key, and which authority" in hint


def test_certificates_that_fit(build, tls_buildkit, certificates):
    done = build(tls_buildkit, **ours(certificates))
    assert done.exit == 0, done.err
