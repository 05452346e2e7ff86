"""`strake login` and `logout`: what is checked, what is stored where, and that the password shows nowhere."""

import base64
import json
import os
import pty
import re
import select
import stat
import subprocess
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from harness.certificates import make_certificates
from harness.servers import Registry
from harness.tokens import TokenServer

PASSWORD = "s3cret-password"


def auth_of(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Docker:
    """Docker's configuration in a home of the test's own."""

    def __init__(self, strake):
        self.folder = strake.home / "docker"
        self.file = self.folder / "config.json"

    def write(self, text, mode=0o600):
        self.folder.mkdir(exist_ok=True)
        self.file.write_text(text)
        self.file.chmod(mode)

    def read(self):
        return json.loads(self.file.read_text())

    def auth(self, key):
        return self.read()["auths"][key]["auth"]


@pytest.fixture
def docker(strake):
    return Docker(strake)


@pytest.fixture
def login(strake, tmp_path):
    """login(HOST, OPTION…): by standard input, as `dev` with the right password unless told otherwise."""
    def run(host, *options, user="dev", password=PASSWORD, exit=0, lua="", env=None):
        folder = tmp_path / "login"
        folder.mkdir(exist_ok=True)
        (folder / "strake.lua").write_text(lua)
        given = folder / "given"
        given.write_bytes(password if isinstance(password, bytes) else password.encode())
        with open(given, "rb") as stdin:
            done = strake("login", *(["-u", user] if user is not None else []), "--password-stdin", *options, host,
                          cwd=folder, stdin=stdin, env=env)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        if password and len(password) > 3:
            assert str(password) not in done.out + done.err
        return done
    return run


@pytest.fixture
def helper(strake, tmp_path):
    """helper(NAME, SCRIPT): a docker-credential program on PATH; without a script it keeps things in a folder."""
    folder = tmp_path / "helpers"
    folder.mkdir()
    strake.env["PATH"] = f"{folder}:{strake.env['PATH']}"
    kept = folder / "kept"
    kept.mkdir()
    usual = f'''printf '%s\\n' "$0 $*" >> {folder}/calls
cat > {folder}/input.$$
case "$1" in
store) cp {folder}/input.$$ "{kept}/$(sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/; s|/|_|g' {folder}/input.$$)" ;;
get) file="{kept}/$(sed 's|/|_|g' {folder}/input.$$)"
     if [ -f "$file" ]; then cat "$file"; else echo 'credentials not found in native keychain'; exit 1; fi ;;
erase) rm "{kept}/$(sed 's|/|_|g' {folder}/input.$$)" ;;
esac
'''

    def make(name, script=None):
        program = folder / f"docker-credential-{name}"
        program.write_text("#!/bin/sh\n" + (script if script is not None else usual))
        program.chmod(0o755)
        return folder
    return make


def kept_by(folder, host):
    path = folder / "kept" / host.replace("/", "_")
    return json.loads(path.read_text()) if path.exists() else None


# ---- checked before they are stored ---------------------------------------------------------------------------


def test_what_the_registry_takes_is_stored_for_its_owner_alone(login, docker, private_registry):
    done = login(private_registry.host, "--json").json()
    assert done == {"schema": "strake.login/1", "host": private_registry.host, "username": "dev", "stored": str(docker.file)}
    assert docker.auth(private_registry.host) == auth_of("dev", PASSWORD)
    assert stat.S_IMODE(docker.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(docker.folder.stat().st_mode) == 0o700
    assert os.listdir(docker.folder) == ["config.json"], "nothing is left beside it"


def test_what_it_refuses_is_not(login, docker, private_registry):
    done = login(private_registry.host, "--json", password="wrong-password", exit=8)
    error = done.json()["error"]
    assert error["kind"] == "auth" and "nothing was stored" in error["message"] and "401" in error["message"]
    assert "as dev" in error["message"] and error["hint"]
    assert not docker.file.exists()


def test_a_refusal_leaves_the_older_ones(login, docker, private_registry):
    login(private_registry.host)
    before = docker.file.read_bytes()
    login(private_registry.host, password="wrong-password", exit=8)
    assert docker.file.read_bytes() == before


def test_a_registry_that_is_not_there(login, docker):
    done = login("127.0.0.1:1", exit=8)
    assert "nothing was stored" in done.err and "refused" in done.err
    assert not docker.file.exists()


def test_an_open_registry_cannot_check_anything_and_says_so(login, docker, registry):
    assert "could not be checked" in login(registry.host).err
    assert docker.auth(registry.host) == auth_of("dev", PASSWORD)


def test_the_next_command_finds_them(login, strake, private_registry):
    assert strake("image", "list", f"{private_registry.host}/none").exit == 8
    assert "strake login" in strake("image", "list", f"{private_registry.host}/none").err
    login(private_registry.host)
    assert "not found" in strake("image", "list", f"{private_registry.host}/none").err


def test_a_private_authority(login, docker, tmp_path):
    certificates = make_certificates(tmp_path / "certificates")
    server = Registry(tmp_path / "tls", 3, users={"dev": PASSWORD},
                      tls=(certificates / "server.pem", certificates / "server.key"))
    try:
        assert "certificate" in login(server.host, lua=f'registry "{server.host}" {{ plain_http = false }}', exit=8).err
        login(server.host, "--ca", certificates / "ca.pem")
        assert docker.auth(server.host) == auth_of("dev", PASSWORD)
    finally:
        server.stop()


# ---- token servers --------------------------------------------------------------------------------------------


class Tokens(TokenServer):
    """Gives identity tokens to those who ask for one, when told to; knows the OAuth2 way then."""

    refresh = None
    refresh_works = True

    def __init__(self, *args):
        super().__init__(*args)
        self.forms = []
        tokens = self

        def do_POST(handler):
            form = parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode())
            tokens.forms.append(form)
            good = tokens.refresh_works and form.get("refresh_token") == [tokens.refresh]
            status, body = tokens.answer("/token?" + "&".join(f"scope={s}" for s in form.get("scope", [])), "") \
                if good else (403, b'{"details":"no"}')
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        self.server.RequestHandlerClass.do_POST = do_POST

    def answer(self, path, authorization):
        status, body = super().answer(path, authorization)
        if status == 200 and self.refresh and "offline_token=true" in path:
            body = json.dumps({**json.loads(body), "refresh_token": self.refresh}).encode()
        return status, body


@pytest.fixture
def tokens(tmp_path):
    server = Tokens(tmp_path / "tokens", {"dev": PASSWORD, "reader": "only-reads-here"},
                    {"dev": {"o/app": ["pull", "push", "delete"]}, "reader": {"o/app": ["pull"]}})
    yield server
    server.stop()


@pytest.fixture
def token_registry(tokens, tmp_path):
    server = Registry(tmp_path / "registry", 3, auth=tokens.auth)
    yield server
    server.stop()


def test_a_token_server_is_asked_with_them(login, docker, tokens, token_registry):
    login(token_registry.host)
    assert docker.auth(token_registry.host) == auth_of("dev", PASSWORD)
    assert "account=dev" in tokens.asked[0] and "offline_token=true" in tokens.asked[0]
    done = login(token_registry.host, password="wrong-password", exit=8)
    assert "token server" in done.err and "401" in done.err


def test_an_identity_token_is_kept_instead_of_the_password(login, strake, docker, tokens, token_registry):
    tokens.refresh = "identity-token-of-dev"
    login(token_registry.host)
    entry = docker.read()["auths"][token_registry.host]
    assert entry == {"auth": auth_of("dev", ""), "identitytoken": tokens.refresh}
    assert PASSWORD not in docker.file.read_text()
    tokens.allowed[""] = {"o/app": ["pull"]}  # the test's server does not remember whose token it was
    assert "not found" in strake("image", "list", f"{token_registry.host}/o/app").err
    assert tokens.forms[-1]["grant_type"] == ["refresh_token"]


def test_an_identity_token_that_does_not_work_is_not_kept(login, docker, tokens, token_registry):
    tokens.refresh, tokens.refresh_works = "identity-token-of-dev", False
    login(token_registry.host)
    assert docker.read()["auths"][token_registry.host] == {"auth": auth_of("dev", PASSWORD)}


def test_an_identity_token_goes_to_a_helper_under_its_name(login, docker, helper, tokens, token_registry):
    folder = helper("test")
    docker.write('{"credsStore":"test"}')
    tokens.refresh = "identity-token-of-dev"
    assert login(token_registry.host, "--json").json()["stored"] == "helper test"
    assert kept_by(folder, token_registry.host) == {
        "ServerURL": token_registry.host, "Username": "<token>", "Secret": tokens.refresh}


# ---- --check --------------------------------------------------------------------------------------------------


def uploads(server, repository):
    folder = server.data / "docker/registry/v2/repositories" / repository / "_uploads"
    # docker-registry 2.8 writes the state of a hash again when it has taken a session back: that is its own.
    return [name for name in os.listdir(folder) if (folder / name / "startedat").exists()] if folder.exists() else []


def test_check_begins_an_upload_and_takes_it_back(login, docker, private_registry):
    done = login(private_registry.host, "--check", f"{private_registry.host}/team/app")
    assert "may push to team/app" in done.out
    assert not uploads(private_registry, "team/app")
    assert docker.auth(private_registry.host) == auth_of("dev", PASSWORD)


def test_check_tells_who_may_not_push(login, docker, tokens, token_registry):
    login(token_registry.host, "--check", f"{token_registry.host}/o/app:1")
    docker.file.unlink()
    done = login(token_registry.host, "--check", f"{token_registry.host}/o/app", user="reader",
                 password="only-reads-here", exit=8)
    assert "nothing was stored" in done.err and "push" in done.err and "o/app" in done.err
    assert not docker.file.exists()
    assert not uploads(token_registry, "o/app")


def test_a_session_that_may_not_be_taken_back_is_no_failure(login, tokens, token_registry):
    """distribution lets those delete it who may delete an image; it clears away what is left by itself."""
    tokens.allowed["dev"]["o/app"] = ["pull", "push"]
    login(token_registry.host, "--check", f"{token_registry.host}/o/app")
    assert len(uploads(token_registry, "o/app")) == 1


def test_check_tells_a_registry_that_is_read_only(login, docker, tmp_path, private_registry):
    """A token may allow what the registry does not."""
    server = ReadOnly(private_registry)
    try:
        done = login(server.host, "--check", f"{server.host}/o/app", exit=8)
        assert "405" in done.err and "nothing was stored" in done.err
        assert not docker.file.exists()
    finally:
        server.stop()


def test_check_wants_a_reference_of_that_registry(login):
    assert "is not in ghcr.io" in login("ghcr.io", "--check", "quay.io/o/app", exit=2).err
    assert login("ghcr.io", "--check", "Not A Reference", exit=2).err


class ReadOnly:
    """Takes the login and refuses uploads."""

    def __init__(self, behind):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(handler):
                good = handler.headers.get("Authorization") == f"Basic {auth_of('dev', PASSWORD)}"
                handler.send_response(401 if not good else 200 if handler.command == "GET" else 405)
                handler.send_header("WWW-Authenticate", 'Basic realm="x"')
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            do_GET = do_POST = answer

            def log_message(self, *args):
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# ---- GitHub ---------------------------------------------------------------------------------------------------


class GitHub:
    """GET /user of its API: says what a token has."""

    def __init__(self, tokens):
        self.asked = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                github.asked.append((self.path, token, self.headers.get("X-GitHub-Api-Version")))
                status, scopes = tokens.get(token, (401, None))
                self.send_response(status)
                if scopes is not None:
                    self.send_header("X-OAuth-Scopes", scopes)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args):
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.api = "http://127.0.0.1:%d/api/v3" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("token,answer,words", [
    ("ghp_only_reads_packages", (200, "read:packages, repo"), ["lacks the scope write:packages", "read:packages, repo"]),
    ("ghp_has_nothing_at_all", (200, ""), ["lacks the scope write:packages", "it has: none"]),
    ("ghp_may_write_packages", (200, "write:packages"), ["has its scopes", "role of a writer"]),
    ("ghp_nobody_knows_this", (401, None), ["does not know this token"]),
    ("ghs_token_of_workflow", (403, None), ["permissions: packages: write"]),
    ("github_pat_fine_grained", None, ["fine-grained", "classic"]),
])
def test_missing_scopes_of_github_are_named(login, tokens, token_registry, token, answer, words):
    tokens.users["reader"] = token
    github = GitHub({token: answer} if answer else {})
    try:
        lua = f'registry "{token_registry.host}" {{ api = "{github.api}" }}'
        done = login(token_registry.host, "--check", f"{token_registry.host}/o/app", user="reader", password=token,
                     exit=8, lua=lua)
        for word in words:
            assert word in done.err, done.err
        assert token not in done.err
        assert github.asked == ([("/api/v3/user", token, "2022-11-28")] if answer else [])
    finally:
        github.stop()


def test_github_is_asked_only_when_something_was_refused(login, tokens, token_registry):
    github = GitHub({})
    try:
        lua = f'registry "{token_registry.host}" {{ api = "{github.api}" }}'
        login(token_registry.host, "--check", f"{token_registry.host}/o/app", lua=lua)
        assert github.asked == []
        done = login(token_registry.host, password="ghp_wrong_one", exit=8, lua=lua)
        assert "does not know this token" in done.err
    finally:
        github.stop()


# ---- docker's file --------------------------------------------------------------------------------------------


def test_all_else_in_the_file_stays_as_it_is(login, strake, docker, private_registry):
    before = ('{\n  "detachKeys": "ctrl-e,e",\n  "auths": {\n    "ghcr.io": { "auth": "eDp5" }\n  },\n'
              '  "HttpHeaders": {"X": "1"},\n  "big": 12345678901234567, "e": 1.50\n}')
    docker.write(before, 0o644)
    login(private_registry.host)
    after = docker.file.read_text()
    assert after == before.replace(
        '"auths": {\n', '"auths": {\n    "%s": {\n      "auth": "%s"\n    },\n'
        % (private_registry.host, auth_of("dev", PASSWORD)))
    assert stat.S_IMODE(docker.file.stat().st_mode) == 0o600
    assert strake("logout", private_registry.host).exit == 0
    assert docker.file.read_text() == before


def test_a_link_stays_a_link(login, docker, tmp_path, private_registry):
    real = tmp_path / "dotfiles"
    real.mkdir()
    (real / "config.json").write_text('{"auths":{}}')
    docker.folder.mkdir()
    docker.file.symlink_to("../../dotfiles/config.json")
    assert (docker.folder / "../../dotfiles/config.json").exists()
    login(private_registry.host)
    assert docker.file.is_symlink() and docker.auth(private_registry.host)
    (real / "config.json").unlink()  # a link to what is not there yet
    login(private_registry.host)
    assert docker.file.is_symlink() and docker.auth(private_registry.host)


def test_a_broken_file_is_told_with_its_line_and_left_alone(login, strake, docker, private_registry):
    for text, line, words in [
        ('{\n  "auths": {\n    "x": {"auth": "%s\n' % auth_of("me", "other-secret"), 3, "not valid JSON"),
        ('{\n  "auths": {},\n  "auths": {}\n}', 3, "a key twice"),
        ("[]", 1, "no object"),
        ('{"auths": []}', None, '"auths" is no object'),
    ]:
        docker.write(text)
        for done in (login(private_registry.host, "--json", exit=3), strake("logout", "--json", private_registry.host)):
            assert done.exit == 3, done.err
            error = done.json()["error"]
            assert error["kind"] == "config" and words in error["message"], error
            assert error.get("line") == line, error
            assert auth_of("me", "other-secret")[:12] not in done.err + done.out
        assert docker.file.read_text() == text


def test_an_empty_file_is_no_broken_one(login, docker, private_registry):
    docker.write("")
    login(private_registry.host)
    assert docker.auth(private_registry.host)


def test_a_home_that_cannot_be_written(login, strake, tmp_path, private_registry):
    readonly = tmp_path / "readonly"
    readonly.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", str(readonly)], check=True)
    try:
        done = login(private_registry.host, exit=1, env={"DOCKER_CONFIG": str(readonly / "docker")})
        assert "Read-only file system" in done.err and "DOCKER_CONFIG" in done.err and "nothing was stored" in done.err
        done = login(private_registry.host, exit=1, env={"DOCKER_CONFIG": str(readonly)})
        assert "Read-only file system" in done.err
    finally:
        subprocess.run(["umount", str(readonly)], check=True)


def test_no_room_leaves_the_old_file(login, tmp_path, private_registry):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(small)], check=True)
    try:
        (small / "config.json").write_text('{"auths":{},"x":"%s"}' % ("y" * 3000))
        (small / "rest").write_bytes(b"z" * 4096)
        before = (small / "config.json").read_bytes()
        done = login(private_registry.host, exit=1, env={"DOCKER_CONFIG": str(small)})
        assert "No space left" in done.err
        assert (small / "config.json").read_bytes() == before
        assert sorted(os.listdir(small)) == ["config.json", "rest"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_many_logins_at_once_lose_none(strake, docker, private_registry):
    docker.write('{"kept":true}')
    names = [private_registry.host, private_registry.host.replace("127.0.0.1", "localhost")]
    children = [strake.popen("login", "-u", "dev", "--password-stdin", name, stdin=subprocess.PIPE)
                for name in names * 3]
    for child in children:
        _, err = child.communicate(PASSWORD, timeout=60)
        assert child.returncode == 0, err
    assert docker.read()["kept"] is True
    for name in names:
        assert docker.auth(name) == auth_of("dev", PASSWORD)


def test_docker_hub_has_a_key_of_its_own(strake, docker):
    """Nothing is asked of Docker Hub here: what is there is forgotten."""
    docker.write('{"auths":{"https://index.docker.io/v1/":{"auth":"eDp5"},"docker.io":{"auth":"eDp5"},"ghcr.io":{}}}')
    for name in ("docker.io", "https://index.docker.io/v1/"):
        done = strake("logout", "--json", name)
        assert done.json()["host"] == "docker.io"
        assert docker.read() == {"auths": {"ghcr.io": {}}}
    assert done.json()["status"] == "unchanged" and done.json()["removed"] == []


# ---- helpers --------------------------------------------------------------------------------------------------


def test_a_helper_keeps_them(login, strake, docker, helper, private_registry):
    host = private_registry.host
    folder = helper("test")
    docker.write('{"credsStore":"other","credHelpers":{"%s":"test"},"auths":{"%s":{"auth":"eDp5"}}}' % (host, host))
    assert login(host, "--json").json()["stored"] == "helper test"
    assert kept_by(folder, host) == {"ServerURL": host, "Username": "dev", "Secret": PASSWORD}
    assert docker.read()["auths"] == {host: {}}, "what stood in clear is gone"
    assert "not found" in strake("image", "list", f"{host}/none").err
    calls = (folder / "calls").read_text()
    assert PASSWORD not in calls and auth_of("dev", PASSWORD) not in calls
    done = strake("logout", "--json", host).json()
    assert done["removed"] == ["helper test", str(docker.file)] and kept_by(folder, host) is None
    assert strake("logout", "--json", host).json()["status"] == "unchanged"


def test_an_empty_helper_means_the_file(login, docker, private_registry):
    docker.write('{"credsStore":"not-installed","credHelpers":{"%s":""}}' % private_registry.host)
    login(private_registry.host)
    assert docker.auth(private_registry.host) == auth_of("dev", PASSWORD)


@pytest.mark.parametrize("script,words", [
    (None, "docker-credential-bad is not installed"),
    ("cat > /dev/null; echo 'the keychain is locked'; exit 1", "the keychain is locked"),
    ("cat > /dev/null; echo rubbish", "is not them"),
    ("exec sleep 60", "docker-credential-bad"),
    ("kill -9 $$", "signal 9"),
    ("exit 1", "exit code 1"),
])
def test_a_helper_that_does_not_work_is_told(login, docker, helper, private_registry, script, words):
    if script:
        helper("bad", script + "\n")
    docker.write('{"credsStore":"bad"}')
    begin = time.monotonic()
    done = login(private_registry.host, "--timeout", "1s", exit=8)
    assert words in done.err and "nothing was stored" in done.err
    assert time.monotonic() - begin < 20
    assert docker.read() == {"credsStore": "bad"}, "and nothing is put in clear instead"


# ---- what is asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host,words", [
    ("nothing", "does not name a registry"),
    ("", "does not name a registry"),
    ("http://127.0.0.1:5000", "without http://"),
    ("ghcr.io/owner", "`strake login ghcr.io`"),
    ("https://ghcr.io/owner/app", "`strake login ghcr.io`"),
    ("ghcr.io:port", "does not name a registry"),
    ("user@ghcr.io", "does not name a registry"),
    ("oci:folder", "does not name a registry"),
    ("ghcr.io?x", "does not name a registry"),
])
def test_wrong_hosts(login, host, words):
    assert words in login(host, exit=2).err


def test_a_host_as_docker_users_write_it(login, docker, private_registry):
    lua = f'registry "{private_registry.host}" {{ plain_http = true }}'
    for host in (f"https://{private_registry.host}", f"https://{private_registry.host}/v2/"):
        assert login(host, "--json", lua=lua).json()["host"] == private_registry.host
    assert list(docker.read()["auths"]) == [private_registry.host]


def test_wrong_names_and_passwords(login, docker, private_registry):
    host = private_registry.host
    assert "':'" in login(host, user="dev:x", exit=2).err
    assert "username is empty" in login(host, user="", exit=2).err
    assert "control character" in login(host, user="d\nev", exit=2).err
    assert "not a username" in login(host, user="<token>", exit=2).err
    assert "who logs in" in login(host, user=None, exit=2).err
    assert "password is empty" in login(host, password="", exit=2).err
    assert "password is empty" in login(host, password="\n", exit=2).err
    assert "NUL" in login(host, password=b"a\0bcdef", exit=2).err
    assert "longer than" in login(host, password="x" * 70000, exit=2).err
    assert not docker.file.exists()


def test_a_line_end_is_not_part_of_the_password(login, private_registry):
    for end in ("\n", "\r\n"):
        login(private_registry.host, password=PASSWORD + end)


def test_a_password_on_the_command_line_is_refused(strake, docker, private_registry):
    for words in (["-p", PASSWORD], [f"-p{PASSWORD}"], ["--password", PASSWORD], [f"--password={PASSWORD}"]):
        done = strake("login", "-u", "dev", *words, private_registry.host)
        assert done.exit == 2 and "--password-stdin" in done.err
        assert PASSWORD not in done.err + done.out
    assert not docker.file.exists()


def test_without_a_terminal_nothing_is_asked(strake, private_registry):
    done = strake("login", "-u", "dev", private_registry.host)
    assert done.exit == 2 and "no terminal" in done.err and "--password-stdin" in done.err
    assert strake("login").exit == 2 and strake("login", "a.io", "b.io").exit == 2


def test_other_places_that_win_or_stay_are_named(login, strake, docker, private_registry):
    host = private_registry.host
    other = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {host: {"auth": auth_of("else", "somebody-else")}}})}
    assert "DOCKER_AUTH_CONFIG" in login(host, env=other).err
    assert "DOCKER_AUTH_CONFIG still has credentials" in strake("logout", host, env=other).err
    lua = f'registry "{host}" {{ username = "dev", password = "{PASSWORD}" }}'
    assert "win over" in login(host, lua=lua).err


def test_logging_out_where_nobody_is_logged_in_makes_no_file(strake, docker, private_registry):
    done = strake("logout", private_registry.host)
    assert done.exit == 0 and "no credentials" in done.out
    assert not docker.folder.exists()


# ---- on a terminal --------------------------------------------------------------------------------------------


class Terminal:
    """The program on a pseudo-terminal, as a person sees it."""

    def __init__(self, strake, *words, cwd, program=None, args=()):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            program = program or str(strake.program)
            os.execve(program, [program, *words, *args], strake.env)

    def wait_for(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:  # nobody has it open any more
                    assert text in self.seen, f"no {text!r} in {self.seen!r}"

    def type(self, text):
        os.write(self.fd, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def silent(self, seconds=10):
        deadline = time.monotonic() + seconds
        while self.echoes():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self):
        """The exit code, after everything was read."""
        while True:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                data = b""
            if not data:
                break
            self.seen += data.decode(errors="replace")
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def test_name_and_password_are_asked_for_on_a_terminal(strake, docker, private_registry, tmp_path):
    terminal = Terminal(strake, "login", private_registry.host, cwd=tmp_path)
    terminal.wait_for("Username: ")
    terminal.type("dev\n")
    terminal.wait_for("Password: ")
    terminal.silent()
    terminal.type(PASSWORD + "\n")
    assert terminal.end() == 0, terminal.seen
    assert "dev is logged in" in terminal.seen and PASSWORD not in terminal.seen
    assert docker.auth(private_registry.host) == auth_of("dev", PASSWORD)


@pytest.mark.parametrize("key,code", [("\x03", 130), ("\x04", 130), ("\n", 2)])
def test_leaving_the_prompt_gives_the_terminal_back(strake, docker, private_registry, tmp_path, key, code):
    # The test holds the terminal's other end too: its settings can be looked at when the program is gone.
    terminal = Terminal(strake, "login", "-u", "dev", private_registry.host, cwd=tmp_path)
    name = os.readlink(f"/proc/{terminal.pid}/fd/0")
    other = os.open(name, os.O_RDWR | os.O_NOCTTY)
    terminal.wait_for("Password: ")
    terminal.silent()
    terminal.type("half" + key if key == "\x03" else key)
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == code
    assert terminal.echoes()
    os.close(other)
    os.close(terminal.fd)
    assert not docker.file.exists()


def test_a_stopped_prompt_asks_again(strake, private_registry, tmp_path):
    """Ctrl-Z and fg, in a shell that has job control."""
    terminal = Terminal(strake, program="/bin/bash", args=["--norc", "--noprofile", "-i"], cwd=tmp_path)
    terminal.type(f"{strake.program} login -u dev {private_registry.host}\n")
    terminal.wait_for("Password: ")
    terminal.silent()
    terminal.type("half\x1a")
    terminal.wait_for("Stopped")
    terminal.seen = ""
    terminal.type("fg\n")
    terminal.wait_for("Password: ")
    terminal.silent()
    terminal.type(PASSWORD + "\n")
    terminal.wait_for("dev is logged in")
    terminal.type("exit\n")
    assert terminal.end() == 0 and PASSWORD not in terminal.seen, terminal.seen


def test_standard_input_that_is_a_terminal_is_refused(strake, private_registry, tmp_path):
    terminal = Terminal(strake, "login", "-u", "dev", "--password-stdin", private_registry.host, cwd=tmp_path)
    assert terminal.end() == 2 and "is a terminal" in terminal.seen


# ---- nowhere else ---------------------------------------------------------------------------------------------


def test_the_password_shows_nowhere(strake, docker, helper, private_registry, tmp_path):
    """In no process's arguments or environment, no log, no event, no record, no file but its own."""
    folder = helper("slow", 'cat > "$HOME/in.$$"; sleep 0.3; case "$1" in get) cat "$HOME"/in.* | head -c 4096 | '
                    "grep -o '{.*}' | head -1;; esac\n")
    docker.write('{"credsStore":"slow"}')
    found, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            for entry in filter(str.isdigit, os.listdir("/proc")):
                try:
                    for name in ("cmdline", "environ"):
                        if PASSWORD.encode() in open(f"/proc/{entry}/{name}", "rb").read():
                            found.append((entry, name))
                except OSError:
                    pass  # it has ended

    watcher = threading.Thread(target=watch)
    watcher.start()
    events = tmp_path / "events"
    child = strake.popen("login", "-u", "dev", "--debug", "--events", events, "--password-stdin", private_registry.host,
                         stdin=subprocess.PIPE)
    out, err = child.communicate(PASSWORD, timeout=60)
    stop.set()
    watcher.join()
    assert child.returncode == 0, err
    assert not found
    coded = auth_of("dev", PASSWORD)
    assert PASSWORD not in out + err and coded not in out + err
    for path in tmp_path.rglob("*"):
        if path.is_file() and not re.match(r"in\.\d+", path.name):
            data = path.read_bytes()
            assert PASSWORD.encode() not in data and coded.encode() not in data, path
    assert folder.exists()
