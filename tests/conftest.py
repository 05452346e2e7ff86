"""Fixtures: servers live as long as the whole run, projects and homes as long as one test."""

import signal
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from harness.certificates import make_certificates
from harness.images import push_busybox
from harness.liar import Liar
from harness.process import Server
from harness.program import Strake, make_project
from harness.servers import BuildKit, Ntfy, Registry, Toxiproxy, register_emulation

# A shell starts background jobs with these ignored, and children would inherit that: Ctrl-C is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_runtest_logstart():
    for server in Server.running:
        server.mark()


_CHECKER_DIED = "LeakSanitizer has encountered a fatal error"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A leak checker that died itself says nothing of the program (it stops threads by ptrace, and now and then
    trips over one that is about to end): that test is run once more."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed and _CHECKER_DIED in report.longreprtext for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """A failure shows what the servers said during the test."""
    report = (yield).get_result()
    if report.failed:
        report.sections += [(f"log of {server.name}", server.tail()) for server in Server.running if server.tail()]


def _served(server):
    yield server
    server.stop()


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def registry(servers):
    """Debian's docker-registry 2.8: it cannot delete a tag."""
    yield from _served(Registry(servers / "registry2", 2))


@pytest.fixture(scope="session")
def registry3(servers):
    """distribution v3."""
    yield from _served(Registry(servers / "registry3", 3))


@pytest.fixture(scope="session")
def private_registry(servers):
    """A registry that wants user `dev` with password `s3cret-password`."""
    yield from _served(Registry(servers / "private", 2, users={"dev": "s3cret-password"}))


@pytest.fixture(scope="session")
def liar(registry):
    """A liar before docker-registry 2.8; a test that told it lies says forget() in the end."""
    yield from _served(Liar(registry))


@pytest.fixture(scope="session")
def liar3(registry3):
    """A liar before distribution v3."""
    yield from _served(Liar(registry3))


@pytest.fixture(scope="session")
def buildkit(servers, registry, registry3, private_registry, liar, liar3):
    """BuildKit that offers amd64 and, emulated, arm64."""
    register_emulation()
    yield from _served(BuildKit(servers / "buildkit", [registry, registry3, private_registry, liar, liar3]))


@pytest.fixture(scope="session")
def amd_buildkit(servers, registry, registry3):
    """BuildKit for amd64 alone, also where arm64 is emulated: the first platform is the native one."""
    yield from _served(BuildKit(servers / "amd-buildkit", [registry, registry3], platforms=["linux/amd64"]))


@pytest.fixture(scope="session")
def arm_buildkit(servers, registry, registry3):
    """BuildKit that names arm64 first."""
    register_emulation()
    yield from _served(BuildKit(servers / "arm-buildkit", [registry, registry3], platforms=["linux/arm64"]))


@pytest.fixture(scope="session")
def toxiproxy(servers):
    """Lines that go bad when a test says so."""
    yield from _served(Toxiproxy(servers / "toxiproxy"))


@pytest.fixture(scope="session")
def certificates(servers) -> Path:
    """ca.pem, server.pem, server.key, client.pem, client.key."""
    return make_certificates(servers / "certificates")


@pytest.fixture(scope="session")
def tls_buildkit(servers, certificates):
    """BuildKit that talks to clients with a certificate only."""
    yield from _served(BuildKit(servers / "tls-buildkit", [], tls={
        "cert": certificates / "server.pem", "key": certificates / "server.key", "ca": certificates / "ca.pem"}))


@pytest.fixture(scope="session")
def ntfy(servers):
    yield from _served(Ntfy(servers / "ntfy"))


@pytest.fixture(scope="session")
def closed_ntfy(servers):
    """ntfy that denies everything but to user `dev` with password `topsecret`, or with a token of theirs."""
    yield from _served(Ntfy(servers / "closed-ntfy", users={"dev": "topsecret"}))


@pytest.fixture(scope="session")
def base(registry) -> str:
    """A busybox image for amd64 and arm64 in the registry, as FROM names it."""
    return push_busybox(registry)


@pytest.fixture
def strake(tmp_path) -> Strake:
    return Strake(tmp_path / "home")


@pytest.fixture
def project(tmp_path):
    """project({name: text, …}) makes a committed folder."""
    made = []

    def make(files: dict, **more) -> Path:
        made.append(None)
        return make_project(tmp_path / f"project{len(made)}", files, **more)

    return make


@pytest.fixture
def programs(tmp_path):
    """programs(NAME…, more=(PATH…)): a PATH with this machine's programs but those, and with those given as paths."""
    folder = tmp_path / "programs"

    def make(*without: str, more: tuple = ()) -> str:
        folder.mkdir()
        for place in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            for program in Path(place).iterdir() if Path(place).is_dir() else ():
                if program.name not in without and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
        for program in more:
            (folder / program.name).unlink(missing_ok=True)
            (folder / program.name).symlink_to(program)
        return str(folder)

    return make
