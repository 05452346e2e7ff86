"""Servers as child processes: started on a free port, awaited, ended by their own pid."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stable_port() -> int:
    """A free port below those that the kernel gives to connections: who ends and starts again finds it free."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A program that runs until stop(); its output goes to a file that failures show."""

    running: list["Server"] = []

    def __init__(self, name: str, argv: list, log: Path, env: dict | None = None, cwd: Path | None = None):
        self.name = name
        self.log = log
        self.seen = 0
        self.output = open(log, "wb")
        self.child = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        Server.running.append(self)

    def mark(self) -> None:
        """What is in its log by now is of no interest any more."""
        self.seen = self.log.stat().st_size

    def tail(self) -> str:
        """The last lines of its log since mark()."""
        with open(self.log, errors="replace") as log:
            log.seek(self.seen)
            return "\n".join(log.read().splitlines()[-20:])

    def wait_until(self, ready, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} is not ready:\n{self.tail()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash would: at once, with all its children."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """Ask it to end; its whole group is killed when it does not. A second stop() does nothing."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
        self.output.close()
        if self in Server.running:
            Server.running.remove(self)


def cache() -> Path:
    """Where ./dev setup keeps what it made."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("STRAKE_TEST_CACHE") or Path(home) / "strake-tests") / "current"


def tool(name: str, *places: str) -> Path:
    """A program that ./dev setup made or installed. Without it the test fails, or is skipped where that is allowed."""
    for place in places:
        if (cache() / place).exists():
            return cache() / place
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found:
        return Path(found)
    missing = f"{name} is not there: run ./dev setup"
    if os.environ.get("STRAKE_TEST_ALLOW_SKIP") == "1":
        import pytest
        pytest.skip(missing)
    raise RuntimeError(missing)
