"""`strake plugin`: what a plugin's author and an administrator see."""

import os
import shutil

import pytest

RULES = [
    "named NAME.so", "nobody else can write to it or to its folder",
    "a whole shared object for this machine", "loads with every symbol found",
    "exports strake_plugin_main()", "is of this program's ABI",
    "has a name, a version, open() and close()", "offers interfaces with their mandatory methods",
    "open() works without options or says what is missing",
    "open() refuses an unknown option by its name",
]


@pytest.fixture
def plugins(strake):
    """The plugins of tests/abi, as built."""
    return strake.program.parents[1] / "abi"


@pytest.fixture
def shipped(strake):
    return strake.program.resolve().parents[1] / "lib/strake/plugins"


def checks(result):
    document = result.json()
    assert document["schema"] == "strake.plugin-check/1"
    return {check["name"]: check for check in document["checks"]}


def test_check_of_a_good_plugin_answers_for_every_rule(strake, plugins):
    result = strake("plugin", "check", "--json", plugins / "good.so")
    assert result.exit == 0
    found = checks(result)
    assert list(found) == RULES
    assert {check["status"] for check in found.values()} == {"ok"}


def test_every_shipped_plugin_keeps_every_rule(strake, shipped):
    files = sorted(shipped.glob("*.so"))
    assert files
    for file in files:
        result = strake("plugin", "check", file)
        assert result.exit == 0, result.out


@pytest.mark.parametrize(("name", "rule", "words"), [
    ("unresolved", 3, "nobody_offers_this"),
    ("no-export", 4, "strake_plugin_main()"),
    ("major-newer", 5, "has ABI 7, this program has ABI 1"),
    ("wrong-name", 6, "calls itself right-name"),
    ("null-method", 7, "notifier/1: send is NULL"),
    ("silent", 8, "did not say why"),
    ("takes-anything", 9, "no plugin knows"),
])
def test_check_names_the_rule_and_skips_what_lies_behind(strake, plugins, name, rule, words):
    result = strake("plugin", "check", "--json", plugins / f"{name}.so")
    assert result.exit == 3
    found = list(checks(result).values())
    assert [check["status"] for check in found] == ["ok"] * rule + ["fail"] + ["skip"] * (9 - rule)
    assert words in found[rule]["detail"]


def test_check_says_the_failure_to_people_too(strake, plugins):
    result = strake("plugin", "check", plugins / "null-method.so")
    assert result.exit == 3
    assert "notifier/1: send is NULL" in result.out
    assert "error:" in result.err


def test_check_survives_files_that_are_no_plugins(strake, plugins, tmp_path):
    whole = (plugins / "good.so").read_bytes()
    for length in (0, 1, 63, 64, 500, len(whole) // 3, len(whole) - 1):
        half = tmp_path / "half.so"
        half.write_bytes(whole[:length])
        result = strake("plugin", "check", half)
        assert result.exit == 3
        assert "cut off" in result.out or "too short" in result.out
    os.mkfifo(tmp_path / "fifo.so")
    assert strake("plugin", "check", tmp_path / "fifo.so", timeout=20).exit == 3
    (tmp_path / "folder.so").mkdir()
    assert strake("plugin", "check", tmp_path / "folder.so").exit == 3
    assert strake("plugin", "check", tmp_path / "missing.so").exit == 3


def test_list_tells_what_is_installed_broken_and_shadowed(strake, plugins, shipped, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(plugins / "good.so", own)
    result = strake("plugin", "list", "--json", env={"STRAKE_PLUGIN_PATH": f"relative::{own}:{plugins}"})
    assert result.exit == 0
    found = {entry["path"]: entry for entry in result.json()["plugins"]}
    assert found[str(shipped / "ntfy.so")]["interfaces"] == ["notifier/1"]
    assert found[str(own / "good.so")]["version"] == "1.2.3"
    assert found[str(plugins / "good.so")]["shadowed_by"] == str(own / "good.so")
    assert "send is NULL" in found[str(plugins / "null-method.so")]["error"]


def test_info_shows_one(strake):
    result = strake("plugin", "info", "ntfy")
    assert result.exit == 0
    assert "notifier/1" in result.out
    assert strake("plugin", "info", "ntfi").exit == 3


def test_a_project_names_a_plugin_that_is_not_there(strake, project):
    folder = project({"strake.lua": 'notifier "phone" { type = "nfty", url = "https://x.example/t" }\n'})
    result = strake("notify", "hello", cwd=folder)
    assert result.exit == 12
    assert "there is no plugin nfty" in result.err
    assert "did you mean ntfy?" in result.err


def test_a_folder_that_anyone_can_write_to_is_not_trusted(strake, plugins, project, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    shutil.copy(plugins / "good.so", loose)
    loose.chmod(0o777)
    folder = project({"strake.lua": 'notifier "phone" { type = "good" }\n'})
    result = strake("notify", "hello", cwd=folder, env={"STRAKE_PLUGIN_PATH": str(loose)})
    assert result.exit != 0
    assert "may be written to by anyone" in result.err
