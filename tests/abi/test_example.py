"""examples/plugin-notifier is built as somebody else would, against an installed Strake."""

import json
import subprocess

import pytest

from harness.program import ROOT


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def logbook(strake, tmp_path):
    """The folder of logbook.so."""
    build = strake.program.parents[1]
    run("cmake", "--install", build, "--prefix", tmp_path / "prefix", "--component", "development")
    run("cmake", "-S", ROOT / "examples/plugin-notifier", "-B", tmp_path / "build", "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={tmp_path}/prefix", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    run("cmake", "--build", tmp_path / "build")
    return tmp_path / "build"


def test_the_example_keeps_every_rule_and_works(strake, project, logbook, tmp_path):
    result = strake("plugin", "check", logbook / "logbook.so")
    assert result.exit == 0, result.out
    book = tmp_path / "builds.log"
    folder = project({"strake.lua": f'notifier "book" {{ type = "logbook", path = "{book}" }}\n'})
    result = strake("notify", "--title", "Release", "v1.2.3 is out", cwd=folder,
                    env={"STRAKE_PLUGIN_PATH": str(logbook)})
    assert result.exit == 0, result.err
    (line,) = book.read_text().splitlines()
    message = json.loads(line)
    assert (message["title"], message["text"]) == ("Release", "v1.2.3 is out")
