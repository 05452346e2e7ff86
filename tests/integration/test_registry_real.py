"""The plugin `oci` against real registries, method by method."""

import json
import os
import subprocess

import pytest

from harness.drive import CONFIG, IMAGE, Failed, auth_of, put_image
from harness.liar import MANIFEST, digest_of
from harness.servers import Registry
from harness.tokens import TokenServer


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


# ---- a line that breaks ------------------------------------------------------------------------------------


LARGE = os.urandom(1 << 20) * 40


@pytest.fixture
def line(toxiproxy, real):
    made = toxiproxy.line(real.port)
    yield made
    made.cut()


def test_a_large_blob_goes_up_over_a_line_that_breaks(drive, registry3, toxiproxy, tmp_path):
    """Each connection carries 10 MB. Here a session keeps what has arrived; that of 2.8 is gone then."""
    line = toxiproxy.line(registry3.port)
    (tmp_path / "large").write_bytes(LARGE)
    line.add("limit_data", "upstream", bytes=10_000_000)
    drive.oci(f"127.0.0.1:{line.port}", ("blob-put", "broken/up", digest_of(LARGE), tmp_path / "large"))
    assert drive.oci(registry3.host, ("stat", "broken/up", digest_of(LARGE))) == b"%d\n" % len(LARGE)
    line.cut()


def test_a_large_blob_comes_down_over_a_line_that_breaks(drive, real, line, tmp_path):
    (tmp_path / "large").write_bytes(LARGE)
    drive.oci(real.host, ("blob-put", "broken/down", digest_of(LARGE), tmp_path / "large"))
    line.add("limit_data", "downstream", bytes=10_000_000)
    got = drive.oci(f"127.0.0.1:{line.port}", ("blob-get", "broken/down", digest_of(LARGE), 0))
    assert digest_of(got) == digest_of(LARGE)


# ---- with and without TLS, with and without authorisation --------------------------------------------------


class Guarded:
    """A real registry that lets `dev` do everything and `reader` read."""

    users = {"dev": "dev password", "reader": "reader password"}

    def __init__(self, folder, version, guard, certificates):
        self.tls = (certificates / "server.pem", certificates / "server.key") if "tls" in guard else None
        self.options = {"ca": str(certificates / "ca.pem")} if self.tls else {}
        self.tokens = None
        if "token" in guard:
            everything = {name: ["pull", "push", "delete"] for name in ("app", "other")}
            self.tokens = TokenServer(folder / "tokens", self.users, {
                "dev": everything, "reader": {name: ["pull"] for name in everything}},
                {"identity token of dev": "dev"}, self.tls)
        self.registry = Registry(folder / "registry", version, users=self.users if "htpasswd" in guard else None,
                                 tls=self.tls, auth=self.tokens.auth if self.tokens else None)
        self.host = self.registry.host

    def stop(self):
        self.registry.stop()
        if self.tokens:
            self.tokens.stop()


GUARDS = ["htpasswd", "token", "tls", "tls htpasswd", "tls token"]


@pytest.fixture(scope="module")
def guarded(request, tmp_path_factory, certificates):
    version, guard = request.param
    made = Guarded(tmp_path_factory.mktemp("guarded"), version, guard, certificates)
    yield made
    made.stop()


def behind(*guards):
    """Both versions, behind each guard that has one of these words."""
    chosen = [guard for guard in GUARDS if set(guards) & set(guard.split())]
    return pytest.mark.parametrize("guarded", [(version, guard) for version in (2, 3) for guard in chosen], indirect=True,
                                   ids=[f"v{version} {guard}" for version in (2, 3) for guard in chosen])


def log_in(drive, host, user, password):
    drive.docker_config({"auths": {host: {"auth": auth_of(user, password)}}})


@behind("htpasswd", "token", "tls")
def test_everything_works_behind_each_guard(drive, guarded, files):
    layer = (files / "layer").read_bytes()
    log_in(drive, guarded.host, "dev", "dev password")
    out = drive.oci(guarded.host, *put_image(files, "app", "v1", "v2"),
                    ("blob-put", "app", digest_of(layer), files / "layer"),
                    ("mount", "other", digest_of(layer), "app"),
                    ("stat", "other", digest_of(layer)), **guarded.options)
    assert out.split()[-2:] == [b"mounted", b"700000"]
    assert drive.oci(guarded.host, ("get", "app", "v1"), **guarded.options) == IMAGE
    assert drive.oci(guarded.host, ("blob-get", "app", digest_of(layer), 5), **guarded.options) == layer[5:]
    assert drive.oci(guarded.host, ("tags", "app"), **guarded.options).split() == [b"v1", b"v2"]
    drive.oci(guarded.host, ("delete", "app", digest_of(IMAGE)), **guarded.options)
    assert drive.oci(guarded.host, ("tags", "app"), **guarded.options).split() == []


@behind("htpasswd", "token")
@pytest.mark.parametrize("commands", [("tags", "app"), ("get", "app", "v1"), ("stat", "app", digest_of(CONFIG)),
                                      ("ping",)])
def test_nobody_gets_in_without_the_right_password(drive, guarded, commands):
    if commands != ("ping",):
        with pytest.raises(Failed) as failed:
            drive.oci(guarded.host, commands, **guarded.options)
        assert failed.value.kind == "auth" and "strake login" in failed.value.hint
    log_in(drive, guarded.host, "dev", "wrong password")
    with pytest.raises(Failed) as failed:
        drive.oci(guarded.host, commands, **guarded.options)
    assert failed.value.kind == "auth" and ".docker/config.json" in failed.value.hint
    assert "wrong password" not in failed.value.whole and auth_of("dev", "wrong password") not in failed.value.whole


@behind("token")
def test_whoever_may_only_read_cannot_write(drive, guarded, files):
    log_in(drive, guarded.host, "dev", "dev password")
    drive.oci(guarded.host, *put_image(files, "app", "v1"), **guarded.options)
    log_in(drive, guarded.host, "reader", "reader password")
    assert drive.oci(guarded.host, ("get", "app", "v1"), **guarded.options) == IMAGE
    for command in (("put", "app", "v9", MANIFEST, files / "image"), ("blob-put", "app", digest_of(b"x"), files / "layer"),
                    ("delete", "app", digest_of(IMAGE))):
        with pytest.raises(Failed) as failed:
            drive.oci(guarded.host, command, **guarded.options)
        assert failed.value.kind == "auth", failed.value.text


@behind("token")
def test_an_identity_token_opens_a_real_registry(drive, guarded, files):
    drive.docker_config({"auths": {guarded.host: {"auth": auth_of("dev", ""), "identitytoken": "identity token of dev"}}})
    drive.oci(guarded.host, *put_image(files, "app", "v1"), **guarded.options)
    assert any("grant_type=refresh_token" in one for one in guarded.tokens.asked)


@behind("tls")
def test_a_private_authority_must_be_named(drive, guarded):
    with pytest.raises(Failed) as failed:
        drive.oci(guarded.host, ("tags", "app"), plain_http=False)
    assert failed.value.code == -27 and "--ca" in failed.value.hint
