"""The manual page says what the program does now."""

import re

from harness.program import ROOT

PAGE = (ROOT / "docs/man/strake.1").read_text()


def test_every_command_is_in_the_manual(strake):
    commands = re.findall(r"^  ([a-z]+) ", strake("help").out, re.M)
    assert len(commands) > 10
    for command in commands:
        assert f".Cm {command}\n" in PAGE, command


def test_every_common_option_is_in_the_manual(strake):
    common = strake("help", "init").out.split("For every command:")[1]
    options = re.findall(r"--([a-z-]+)", common)
    assert len(options) > 5
    for option in options:
        assert f"-{option}" in PAGE, option
