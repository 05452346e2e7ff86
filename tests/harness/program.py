"""The program under test, run as a user would, in a home of its own."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.process import cache

ROOT = Path(__file__).resolve().parents[2]
_SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|WARNING: ThreadSanitizer")


@dataclass
class Result:
    """How a run of the program ended."""

    exit: int
    out: str
    err: str

    def json(self) -> dict:
        return json.loads(self.out)


class Strake:
    """Runs build/PRESET/bin/strake; STRAKE_TEST_PRESET chooses the preset."""

    def __init__(self, home: Path, preset: str | None = None):
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        preset = preset or os.environ.get("STRAKE_TEST_PRESET", "dev")
        self.program = ROOT / "build" / preset / "bin/strake"
        temp = home / "tmp"
        temp.mkdir(exist_ok=True)
        drop = ("GITHUB_", "ACTIONS_", "AWS_", "STRAKE_", "BUILDKIT_HOST", "DOCKER_", "XDG_", "CI", "NO_COLOR")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
        self.env.update({
            "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"),
            "DOCKER_CONFIG": str(home / "docker"), "TMPDIR": str(temp), "PATH": f"{cache() / 'buildkit'}:{os.environ['PATH']}",
            "STRAKE_SYSTEM_CONFIG": str(home / "etc"), "TERM": "dumb", "no_proxy": "127.0.0.1,localhost",
            "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
            # Of libraries that were loaded late it takes the thread-local storage to be where nothing is
            # mapped, now and then, and dies of it (gcc 12: a fault in ScanRangeForPointers).
            "LSAN_OPTIONS": "use_tls=0:print_suppressions=0:suppressions=" + str(ROOT / "tests/lsan.supp"),
            "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:suppressions=" + str(ROOT / "tests/tsan.supp"),
        })

    def popen(self, *args, cwd: Path | None = None, env: dict | None = None, stdin=subprocess.DEVNULL,
              **more) -> subprocess.Popen:
        return subprocess.Popen([str(self.program), *map(str, args)], cwd=cwd, env={**self.env, **(env or {})},
                                stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                errors="replace", **more)

    def __call__(self, *args, cwd: Path | None = None, env: dict | None = None, timeout: float = 120,
                 stdin=subprocess.DEVNULL) -> Result:
        child = self.popen(*args, cwd=cwd, env=env, stdin=stdin)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError(f"strake {' '.join(map(str, args))} did not end in {timeout} s\n{out}\n{err}") from None
        assert not _SANITIZER.search(err), err
        return Result(child.returncode, out, err)


def make_project(folder: Path, files: dict, git: bool = True) -> Path:
    """A folder with these files, committed on the branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if git:
        run_git(folder, "init", "-q", "-b", "main")
        commit(folder)
    return folder


def run_git(folder: Path, *words: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t",
                "GIT_COMMITTER_EMAIL": "t@example.org", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True,
                          env={**os.environ, **identity}).stdout.strip()


def commit(folder: Path, message: str = "change") -> str:
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return run_git(folder, "rev-parse", "HEAD")
