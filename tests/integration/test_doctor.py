"""`strake doctor` against real servers: what is told of each, and that nobody waits for those who hang."""

import email.utils
import json
import os
import re
import shutil
import signal
import socket
import time
from contextlib import ExitStack

import pytest
from harness.certificates import make_certificates
from harness.docker import buildx
from harness.liar import Answer
from harness.servers import BuildKit, Registry
from harness.tokens import TokenServer

DOCKERFILE = "FROM scratch\n"


class Checks(dict):
    """{(group, name): check}, and how the program ended."""

    def __init__(self, done):
        document = done.json()
        assert document["schema"] == "strake.doctor/1"
        super().__init__({(check["group"], check["name"]): check for check in document["checks"]})
        assert len(self) == len(document["checks"]), "two checks of one name"
        self.exit = done.exit
        for check in self.values():
            assert list(check) == ["name", "group", "status", "detail", "hint", "duration_ms"]
            assert check["detail"] and check["status"] in ("ok", "warn", "fail", "skip")
            assert check["hint"] or check["status"] != "fail", check

    def of(self, group, name, status):
        """The detail and the hint of a check that has this status."""
        check = self[group, name]
        assert check["status"] == status, check
        return f"{check['detail']} | {check['hint']}"

    def failed(self):
        return sorted(key for key, check in self.items() if check["status"] == "fail")


@pytest.fixture
def doctor(strake, project):
    """doctor(SOURCE, OPTION…) runs it on a project with this strake.lua."""
    def run(source, *options, env=None, mode=0o600):
        folder = project({"Dockerfile": DOCKERFILE, "strake.lua": source})
        os.chmod(folder / "strake.lua", mode)
        return Checks(strake("doctor", "--json", *options, cwd=folder, env=env))
    return run


def builder(address, name="lab", more=""):
    return f'builder "{name}" {{ type = "buildctl", address = "{address}", {more} }}\n'


def tls(certificates, client=None, **more):
    client = client or certificates
    options = {"ca": certificates / "ca.pem", "cert": client / "client.pem", "key": client / "client.key"} | more
    return ", ".join(f'{key} = "{value}"' for key, value in options.items() if value)


# ---- builders -------------------------------------------------------------------------------------------------


def test_a_builder_is_described(doctor, buildkit):
    checks = doctor(builder(buildkit.address))
    assert checks.exit == 0 and not checks.failed()
    assert re.match(r"buildctl v\S+, .*linux/amd64.*, answered after \d+ ms ", checks.of("builder", "lab", "ok"))
    assert "takes connections" in checks.of("builder", "lab address", "ok")
    assert "not used" in checks.of("builder", "lab tls", "skip")
    assert checks.of("builder", "lab workers", "ok").startswith("1: oci, overlayfs, on ")
    native, _, emulated = checks.of("builder", "lab platforms", "ok").partition("; emulated")
    assert "linux/amd64" in native and "linux/arm64" in emulated
    assert re.search(r"[kMG]?B in \d+ records", checks.of("builder", "lab disk", "ok"))
    assert "moby/buildkit" in checks.of("tool", "buildctl", "ok")


def test_a_builder_that_refuses_and_one_that_is_no_builder(doctor, registry):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused for as long as it lives
        port = taken.getsockname()[1]
        checks = doctor(builder(f"tcp://127.0.0.1:{port}") + builder(f"tcp://{registry.host}", "wrong"))
    assert checks.exit == 9
    assert "onnection refused" in checks.of("builder", "lab address", "fail")
    assert "onnection refused" in checks.of("builder", "lab", "fail")
    checks.of("builder", "wrong address", "ok")
    assert "HTTP server" in checks.of("builder", "wrong", "fail")


def test_a_builder_behind_a_program_is_not_dialled(doctor):
    checks = doctor(builder("docker-container://nobody-has-this-name"))
    assert "through a program" in checks.of("builder", "lab address", "skip")
    assert checks.exit == 9 and checks.failed()[0] == ("builder", "lab")


def test_hanging_builders_hold_nobody_up(doctor, buildkit):
    """Ten of twenty take the connection and say nothing: all are told, within their common bound."""
    with ExitStack() as stack:
        source = ""
        for i in range(10):
            silent = stack.enter_context(socket.socket())
            silent.bind(("127.0.0.1", 0))
            silent.listen(8)
            source += builder(f"tcp://127.0.0.1:{silent.getsockname()[1]}", f"hangs{i}")
            source += builder(buildkit.address, f"works{i}")
        begin = time.monotonic()
        checks = doctor(source)
        took = time.monotonic() - begin
    assert checks.exit == 9
    for i in range(10):
        assert "said nothing" in checks.of("builder", f"hangs{i}", "fail")
        checks.of("builder", f"works{i}", "ok")
    assert took < 10, took
    # In the order of the file, whoever came back first.
    mains = [name for group, name in checks if group == "builder" and " " not in name]
    assert mains == [f"{kind}{i}" for i in range(10) for kind in ("hangs", "works")]


def test_the_bound_can_be_changed(doctor):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        checks = doctor(builder(f"tcp://127.0.0.1:{silent.getsockname()[1]}"), "--timeout", "300ms")
    assert checks.exit == 9
    assert re.search(r"within \d{1,3} ms", checks.of("builder", "lab", "fail"))


def test_a_platform_that_no_builder_has(doctor, buildkit):
    source = (builder(buildkit.address) + builder("tcp://127.0.0.1:1", "gone") +
              'target "app" { platforms = { "linux/amd64", "linux/s390x" } }\n'
              'target "other" { platforms = { "linux/s390x" }, builder = "gone" }\n')
    checks = doctor(source)
    assert checks.exit == 9
    assert "linux/s390x is built by no builder that answers: lab" in checks.of("target", "app linux/s390x", "fail")
    assert [name for group, name in checks if group == "target"] == ["app linux/s390x"]


@pytest.mark.parametrize("kind", ["scanner", "workflow", "deployer"])
def test_other_blocks_are_opened(doctor, buildkit, kind):
    checks = doctor(builder(buildkit.address) + f'{kind} "odd" {{ type = "no-such-plugin" }}\n')
    assert checks.exit == 7 and "no-such-plugin" in checks.of(kind, "odd", "fail")


def test_a_plugin_that_is_not_installed(doctor, buildkit):
    checks = doctor(builder(buildkit.address) + 'builder "odd" { type = "no-such-plugin" }\n')
    assert checks.exit == 9 and checks.failed() == [("builder", "odd")]
    assert "no-such-plugin" in checks.of("builder", "odd", "fail")


def test_it_ends_when_it_is_cancelled(strake, project):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        folder = project({"Dockerfile": DOCKERFILE,
                          "strake.lua": builder(f"tcp://127.0.0.1:{silent.getsockname()[1]}", more='timeout = "100s"')})
        child = strake.popen("doctor", "--timeout", "100s", cwd=folder)
        silent.settimeout(60)
        with silent.accept()[0], silent.accept()[0]:  # the address, and the plugin that waits for a word
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
    assert child.returncode == 130, out + err


def test_without_anything_to_build_with(strake, project, tmp_path):
    (tmp_path / "bin").mkdir()
    for tool in ("git", "sh"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    checks = Checks(strake("doctor", "--json", cwd=project({"Dockerfile": DOCKERFILE}), env={"PATH": str(tmp_path / "bin")}))
    if ("builder", "any") in checks:  # no BuildKit listens on this machine's own socket
        assert checks.exit == 9
        assert "nothing to build with" in checks.of("builder", "any", "fail")
    checks.of("tool", "git", "ok")
    checks.of("tool", "buildah", "skip")


def test_a_missing_tool_that_a_builder_runs(doctor, buildkit):
    checks = doctor(builder(buildkit.address, more='program = "/nowhere/buildctl"'))
    assert checks.exit == 9
    assert "the builder lab runs it" in checks.of("tool", "buildctl", "fail")


def test_buildx_is_described_as_well(doctor, tls_buildkit, certificates):
    checks = doctor(f'builder "lab" {{ type = "buildx", address = "{tls_buildkit.address}", program = "{buildx()}", '
                    f'timeout = "20s", {tls(certificates)} }}\n', "--timeout", "20s")
    assert checks.exit == 0
    assert checks.of("builder", "lab", "ok").startswith("buildx ")
    assert "takes connections" in checks.of("builder", "lab address", "ok")
    assert "CN=server" in checks.of("builder", "lab tls", "warn")
    assert "native linux/amd64" in checks.of("builder", "lab platforms", "ok")
    assert str(buildx()) in checks.of("tool", "buildx", "ok")


# ---- TLS ------------------------------------------------------------------------------------------------------


def test_mutual_tls_is_described(doctor, tls_buildkit, certificates):
    checks = doctor(builder(tls_buildkit.address, more=tls(certificates)))
    text = checks.of("builder", "lab tls", "warn")  # certificates of two days are old soon
    assert "TLSv1.3, CN=server signed by CN=tests, expires in " in text and "; ours: CN=client, expires in " in text
    checks.of("builder", "lab", "ok")
    assert "renewed" in text and checks.exit == 0


def test_a_certificate_of_long_life_is_fine(doctor, servers, certificates):
    made = make_certificates(servers / "long-life", days=400)
    daemon = BuildKit(servers / "long-life-buildkit", [], tls={"cert": made / "server.pem", "key": made / "server.key"})
    try:
        checks = doctor(builder(daemon.address, more=f'ca = "{made / "ca.pem"}"'))
        assert re.search(r"expires in (399|400) days", checks.of("builder", "lab tls", "ok"))
    finally:
        daemon.stop()


def test_tls_by_another_authority(doctor, tls_buildkit, certificates, tmp_path):
    other = make_certificates(tmp_path / "other")
    checks = doctor(builder(tls_buildkit.address, more=tls(certificates, ca=other / "ca.pem")))
    text = checks.of("builder", "lab tls", "fail")
    assert "signed by another authority, CN=tests" in text and "the option ca" in text
    assert "expired" not in text and "another name" not in text
    assert checks.exit == 9


def test_tls_for_another_name(doctor, tls_buildkit, certificates):
    checks = doctor(builder(tls_buildkit.address, more=tls(certificates, server_name="other.test")))
    text = checks.of("builder", "lab tls", "fail")
    assert "for another name: IP Address:127.0.0.1, DNS:builder.test, and not other.test" in text
    assert 'server_name = "builder.test"' in text
    assert "expired" not in text and "authority" not in text


def test_tls_that_expired(doctor, strake, project, servers, tmp_path):
    made = make_certificates(tmp_path / "expired", days=-1)
    daemon = BuildKit(servers / "expired-buildkit", [], tls={"cert": made / "server.pem", "key": made / "server.key"})
    try:
        checks = doctor(builder(daemon.address, more=f'ca = "{made / "ca.pem"}"'))
        text = checks.of("builder", "lab tls", "fail")
        assert "its certificate (CN=server) expired 1 day ago" in text and "renewed" in text
        assert "authority" not in text and "another name" not in text
        assert checks.exit == 9
        built = strake("build", cwd=project({"Dockerfile": DOCKERFILE,
                                             "strake.lua": builder(daemon.address, more=f'ca = "{made / "ca.pem"}"')}))
        assert built.exit == 9 and "has expired" in built.err and "renewed" in built.err
    finally:
        daemon.stop()


@pytest.mark.parametrize("case, words, hint", [
    ("authority", "signed by unknown authority", "the option ca"),
    ("name", "not other.test", "server_name"),
    ("client", "", "cert and key, and which authority"),
])
def test_a_build_says_what_is_wrong_with_tls(strake, project, tls_buildkit, certificates, tmp_path, case, words, hint):
    other = make_certificates(tmp_path / "other")
    options = {"authority": tls(certificates, ca=other / "ca.pem"), "name": tls(certificates, server_name="other.test"),
               "client": tls(certificates, client=other)}[case]
    done = strake("build", cwd=project({"Dockerfile": DOCKERFILE, "strake.lua": builder(tls_buildkit.address, more=options)}))
    assert done.exit == 9 and words in done.err and hint in done.err


@pytest.mark.parametrize("client", ["none", "stranger"])
def test_tls_that_refuses_us(doctor, tls_buildkit, certificates, tmp_path, client):
    if client == "none":
        options = f'ca = "{certificates / "ca.pem"}"'
    else:
        options = tls(certificates, client=make_certificates(tmp_path / "stranger"))
    checks = doctor(builder(tls_buildkit.address, more=options))
    text = checks.of("builder", "lab tls", "fail")
    wanted = "refuses a client without a certificate" if client == "none" else "refuses our certificate"
    assert wanted in text and "the options cert and key" in text
    assert checks.exit == 9


def test_tls_where_there_is_none(doctor, buildkit, certificates):
    checks = doctor(builder(buildkit.address, more=tls(certificates)))
    assert "does not shake hands over TLS" in checks.of("builder", "lab tls", "fail")


@pytest.mark.parametrize("option", ["ca", "cert", "key"])
def test_tls_files_that_are_none(doctor, tls_buildkit, certificates, tmp_path, option):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate\n")
    wrong.chmod(0o600)
    checks = doctor(builder(tls_buildkit.address, more=tls(certificates, **{option: wrong})))
    assert str(wrong) in checks.of("builder", "lab tls", "fail")


def test_a_registry_over_tls(doctor, servers, certificates):
    served = Registry(servers / "tls-registry", 3, tls=(certificates / "server.pem", certificates / "server.key"))
    try:
        checks = doctor(f'registry "{served.host}" {{ ca = "{certificates / "ca.pem"}" }}\n'
                        'builder "none" { type = "buildctl", address = "tcp://127.0.0.1:1" }')
        assert checks.of("registry", served.host, "ok").startswith("https, answered 200")
        assert "CN=server signed by CN=tests" in checks.of("registry", f"{served.host} tls", "warn")
        unknown = doctor(f'registry "{served.host}" {{ plain_http = false }}\n'
                         'builder "none" { type = "buildctl", address = "tcp://127.0.0.1:1" }')
        unknown.of("registry", served.host, "fail")
        assert "another authority" in unknown.of("registry", f"{served.host} tls", "fail")
    finally:
        served.stop()


# ---- registries -----------------------------------------------------------------------------------------------


def with_registry(buildkit, host, options="", targets=()):
    return (builder(buildkit.address) + f'registry "{host}" {{ {options} }}\n' +
            "".join(f'target "t{i}" {{ image = "{host}/{name}" }}\n' for i, name in enumerate(targets)))


def test_an_open_registry(doctor, buildkit, registry):
    checks = doctor(with_registry(buildkit, registry.host, targets=["app"]))
    assert checks.exit == 0
    assert re.match(r"http, answered 200 after \d+ ms", checks.of("registry", registry.host, "ok"))
    assert "asks for no credentials" in checks.of("registry", f"{registry.host} login", "ok")
    assert "agrees" in checks.of("registry", f"{registry.host} clock", "ok")


def test_a_registry_with_a_password(doctor, buildkit, private_registry):
    host = private_registry.host
    login = 'username = "dev", password = secret.env "WORD"'
    right = doctor(with_registry(buildkit, host, login, ["app"]), env={"WORD": "s3cret-password"})
    assert right.exit == 0 and "answered 401 Basic" in right.of("registry", host, "ok")
    assert "it accepts the credentials from" in right.of("registry", f"{host} login", "ok")
    assert right.of("secret", f"registry {host} password", "ok").startswith("in the variable WORD")
    wrong = doctor(with_registry(buildkit, host, login, ["app"]), env={"WORD": "another-password"})
    assert wrong.exit == 8 and wrong.failed() == [("registry", f"{host} login")]
    assert "401" in wrong.of("registry", f"{host} login", "fail")
    none = doctor(with_registry(buildkit, host, "", ["app"]))
    assert none.exit == 0 and "strake login" in none.of("registry", f"{host} login", "warn")
    assert "another-password" not in json.dumps(list(wrong.values()))


def test_a_registry_that_is_gone_or_none(doctor, buildkit, liar):
    liar.refuse("GET", "/v2/$", 404)
    try:
        checks = doctor(with_registry(buildkit, liar.host) + 'registry "127.0.0.1:1" {}\n')
    finally:
        liar.forget()
    assert checks.exit == 8
    assert "as no registry does" in checks.of("registry", liar.host, "fail")
    assert "refused" in checks.of("registry", "127.0.0.1:1", "fail")
    checks.of("registry", "127.0.0.1:1 login", "skip")


@pytest.mark.parametrize("ahead", [-3600, 120, 5])
def test_a_clock_that_is_wrong(doctor, buildkit, liar, ahead):
    def act(request, forward):
        return Answer(200, [("Date", email.utils.formatdate(time.time() + ahead, usegmt=True))], b"{}")
    liar.on("GET", "/v2/$", act)
    try:
        checks = doctor(with_registry(buildkit, liar.host))
    finally:
        liar.forget()
    assert checks.exit == 0
    if abs(ahead) < 30:
        assert "agrees" in checks.of("registry", f"{liar.host} clock", "ok")
    else:
        text = checks.of("registry", f"{liar.host} clock", "warn")
        assert (" behind that of " if ahead > 0 else " ahead of that of ") in text and "set-ntp" in text


@pytest.fixture(scope="module")
def tokens(servers):
    server = TokenServer(servers / "tokens", {"dev": "topsecret"}, {
        "dev": {"team/app": ["pull", "push"], "team/read": ["pull"]}, "": {"team/read": ["pull"]}})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def token_registry(servers, tokens):
    served = Registry(servers / "token-registry", 3, auth=tokens.auth)
    yield served
    served.stop()


def test_scopes_of_tokens(doctor, buildkit, token_registry):
    host = token_registry.host
    login = 'username = "dev", password = secret.env "WORD"'
    targets = ["team/app", "team/read", "team/none"]
    checks = doctor(with_registry(buildkit, host, login, targets), env={"WORD": "topsecret"})
    assert "answered 401 Bearer" in checks.of("registry", host, "ok")
    checks.of("registry", f"{host} login", "ok")
    assert "pulled from and pushed to" in checks.of("registry", f"{host} team/app", "ok")
    assert "may be pulled from and not pushed to, with the credentials" in checks.of("registry", f"{host} team/read", "fail")
    assert "neither" in checks.of("registry", f"{host} team/none", "fail")
    assert checks.exit == 8
    anonymous = doctor(with_registry(buildkit, host, "", targets))
    assert anonymous.exit == 0
    assert "not pushed to, without credentials" in anonymous.of("registry", f"{host} team/read", "warn")
    refused = doctor(with_registry(buildkit, host, login, targets), env={"WORD": "guessed-wrong"})
    assert refused.failed() == [("registry", f"{host} login")] and refused.exit == 8


def test_tokens_that_do_not_say_what_they_allow(doctor, buildkit, registry3, liar3):
    """What an opaque token allows shows when it is used; nothing is left behind by that."""
    def challenge(request, forward):
        if request.headers.get("Authorization", "").startswith("Bearer opaque"):
            return forward()
        return Answer(401, [("WWW-Authenticate", f'Bearer realm="http://{liar3.host}/token",service="x"')])
    liar3.refuse("GET", "/token", 200, body=b'{"token":"opaque-token-of-a-test"}')
    liar3.on("POST", "^/v2/opaque/none/", lambda request, forward: Answer(403))
    for method in ("GET", "POST", "DELETE"):
        liar3.on(method, "^/v2/", challenge)
    try:
        checks = doctor(with_registry(buildkit, liar3.host, "", ["opaque/app", "opaque/none"]))
        dropped = liar3.asked("DELETE", "/blobs/uploads/")
    finally:
        liar3.forget()
    assert "pulled from and pushed to" in checks.of("registry", f"{liar3.host} opaque/app", "ok")
    assert "not pushed to" in checks.of("registry", f"{liar3.host} opaque/none", "warn")
    assert [one.status for one in dropped] == [204]
    assert registry3.tags("opaque/app") == []


# ---- notifiers ------------------------------------------------------------------------------------------------


def test_a_notifier_sends_when_it_is_asked_to(doctor, buildkit, ntfy):
    source = builder(buildkit.address) + f'notifier "phone" {{ type = "ntfy", url = "{ntfy.url}/doctor-test" }}\n'
    quiet = doctor(source)
    assert quiet.exit == 0
    quiet.of("notifier", "phone", "ok")
    assert "--send" in quiet.of("notifier", "phone send", "skip")
    assert ntfy.messages("doctor-test", count=0) == []
    loud = doctor(source, "--send")
    assert "was sent" in loud.of("notifier", "phone send", "ok")
    (message,) = ntfy.messages("doctor-test")
    assert message["title"] == "strake doctor"


def test_a_notifier_over_tls(doctor, buildkit, servers, certificates):
    served = Registry(servers / "tls-notifier", 3, tls=(certificates / "server.pem", certificates / "server.key"))
    try:  # what answers is no ntfy, which its ping says
        checks = doctor(builder(buildkit.address) + f'notifier "phone" {{ type = "ntfy", url = "https://{served.host}/x", '
                        f'ca = "{certificates / "ca.pem"}" }}\n')
        assert "CN=server signed by CN=tests" in checks.of("notifier", "phone tls", "warn")
        checks.of("notifier", "phone", "fail")
    finally:
        served.stop()


def test_a_notifier_with_a_wrong_password(doctor, buildkit, closed_ntfy):
    checks = doctor(builder(buildkit.address) +
                    f'notifier "phone" {{ type = "ntfy", url = "{closed_ntfy.url}/x", username = "dev", '
                    'password = secret.env "WORD" }\n', "--send", env={"WORD": "not-the-password"})
    assert checks.exit == 7
    assert ("notifier", "phone") in checks.failed()
    checks.of("notifier", "phone send", "skip")


# ---- files ----------------------------------------------------------------------------------------------------


def test_files_that_others_may_read(doctor, strake, buildkit, tmp_path):
    state = strake.home / "state/strake"
    state.mkdir(parents=True)
    state.chmod(0o755)
    docker = strake.home / "docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"auths": {"example.org": {"auth": "dTpw"}}}))
    (docker / "config.json").chmod(0o644)
    word = tmp_path / "word"
    word.write_text("secret of a file\n")
    word.chmod(0o640)
    source = (builder(buildkit.address) + f'registry "127.0.0.1:1" {{ username = "u", password = secret.file "{word}" }}\n'
              'registry "127.0.0.1:2" { username = "u", password = "in the clear" }\n')
    checks = doctor(source, mode=0o644)
    assert f"chmod 700 {state}" in checks.of("file", "state", "warn")
    assert f"chmod 600 {docker / 'config.json'}" in checks.of("credentials", "docker config", "warn")
    assert f"chmod 600 {word}" in checks.of("secret", "registry 127.0.0.1:1 password", "warn")
    assert "secret.env" in checks.of("secret", "registry 127.0.0.1:2 password", "warn")
    assert "in the clear |" not in json.dumps(list(checks.values()))
    state.chmod(0o700)
    (docker / "config.json").chmod(0o600)
    word.chmod(0o600)
    checks = doctor(source, mode=0o600)
    checks.of("file", "state", "ok")
    checks.of("credentials", "docker config", "ok")
    checks.of("secret", "registry 127.0.0.1:1 password", "ok")
    checks.of("secret", "registry 127.0.0.1:2 password", "ok")


def test_the_history_and_its_mode(strake, doctor, project, buildkit, base):
    folder = project({"Dockerfile": f"FROM {base}\n", "strake.lua": builder(buildkit.address)})
    assert strake("build", cwd=folder).exit == 0
    database = strake.home / "state/strake/history.db"
    assert str(database) in doctor(builder(buildkit.address)).of("file", "history", "ok")
    database.chmod(0o644)
    assert f"chmod 600 {database}" in doctor(builder(buildkit.address)).of("file", "history", "warn")
    database.chmod(0o600)
    database.write_bytes(b"not a database" * 100)
    damaged = doctor(builder(buildkit.address))
    damaged.of("file", "history", "fail")
    assert damaged.exit == 7


def test_secrets_that_are_not_there(doctor, buildkit, tmp_path):
    checks = doctor(builder(buildkit.address) + 'target "app" { secrets = { a = secret.env "NOT_SET_HERE", '
                    f'b = secret.file "{tmp_path / "gone"}" }} }}\n')
    assert "NOT_SET_HERE is not set" in checks.of("secret", "target app a", "warn")
    assert str(tmp_path / "gone") in checks.of("secret", "target app b", "fail")
    assert checks.exit == 7


def test_a_config_of_docker_that_cannot_be_read(doctor, strake, buildkit):
    config = strake.home / "docker/config.json"
    config.mkdir(parents=True)
    assert "cannot be read" in doctor(builder(buildkit.address)).of("credentials", "docker config", "warn")
    config.rmdir()
    config.write_text("{ no json")
    doctor(builder(buildkit.address)).of("credentials", "docker config", "warn")
    config.write_text('{"credHelpers": {"a.example": "of-nobody"}}')
    text = doctor(builder(buildkit.address)).of("credentials", "docker config", "warn")
    assert "docker-credential-of-nobody, which is not installed" in text


def test_a_lua_file_with_an_error_is_one_more_finding(doctor):
    checks = doctor('builder "lab" { type = \n')
    assert checks.exit == 3 and checks.failed() == [("lua", "files")]
    assert "strake.lua:" in checks.of("lua", "files", "fail")
    checks.of("tool", "git", "ok")
    assert not [name for group, name in checks if group == "builder"]


def test_lines_for_people(strake, project, buildkit):
    folder = project({"Dockerfile": DOCKERFILE, "strake.lua": builder(buildkit.address) + builder("tcp://127.0.0.1:1", "gone")})
    done = strake("doctor", cwd=folder)
    assert done.exit == 9
    lines = done.out.splitlines()
    column = lines[0].index("buildctl v")
    failed = next(i for i, line in enumerate(lines) if line.startswith("fail  builder      gone  "))
    assert lines[failed].index("no builder answers") == column
    assert lines[failed + 1].startswith(" " * column) and "is buildkitd running" in lines[failed + 1]
    assert re.fullmatch(r"\d+ failed, \d+ to look at, \d+ fine", lines[-1])
