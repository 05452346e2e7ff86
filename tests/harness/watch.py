"""Looking at a run while it runs: its events, its children."""

import json
import time
from pathlib import Path


def events_of(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_step(path: Path, text: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not (path.exists() and any(text in line and "step.started" in line
                                     for line in path.read_text(errors="replace").splitlines())):
        assert time.monotonic() < deadline, f"no step with {text}"
        time.sleep(0.05)


def clients_of(port: int) -> list:
    """The pids of programs that were told of this port."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"tcp://127.0.0.1:{port}".encode() in words:
            found.append(int(entry.name))
    return found
