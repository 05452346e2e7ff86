"""Every rule that ships finds its own bad example, and not its good one."""

import re

import pytest

from harness.program import ROOT
from harness.rules_page import page

RULES = sorted(path.stem for path in (ROOT / "scripts/rules").glob("*.lua"))


@pytest.fixture
def rules(strake, tmp_path):
    done = strake("check", "--list", "--json", cwd=tmp_path)
    assert done.exit == 0, done.err
    return {rule["name"]: rule for rule in done.json()["rules"]}


def findings(strake, folder, text: str) -> list:
    """A first line of an example may say what stands beside it: `# check { … } …`, `# strake.lua: …`,
    `# .dockerignore: …`."""
    (folder / "Dockerfile").write_text(text + "\n")
    said = re.match(r"# (?:(check \{.*\}) .*|strake\.lua: (.*)|\.dockerignore: (.*))\n", text)
    (folder / "strake.lua").write_text(f"{said[1] or said[2] or ''}\n" if said else "")
    (folder / ".dockerignore").write_text(f"{said[3] or ''}\n" if said else "")
    done = strake("check", "--all", "--fail-on", "none", "--json", cwd=folder)
    assert done.exit == 0, done.err
    return done.json()["findings"]


@pytest.mark.parametrize("name", RULES)
def test_the_examples_of(name, strake, rules, tmp_path):
    rule = rules[name]
    assert rule["summary"] and not rule["summary"].endswith("."), name
    assert rule["reason"] and rule["bad"] and rule["good"], name
    bad, good = findings(strake, tmp_path, rule["bad"]), findings(strake, tmp_path, rule["good"])
    assert [one for one in bad if one["rule"] == name], f"the bad example of {name} is not found: {bad}"
    assert not [one for one in good if one["rule"] in (name, "syntax")], f"the good example of {name} is found: {good}"
    for one in bad:
        if one["rule"] == name:
            assert one["message"] and not one["message"].endswith("."), one


def test_a_file_of_scripts_rules_has_the_rule_of_its_name(rules):
    assert sorted(rules) == RULES
    aliases = [alias for rule in rules.values() for alias in rule.get("aliases", [])]
    # One of BuildKit's checks is three rules here.
    assert {alias for alias in aliases if aliases.count(alias) > 1} == {"MultipleInstructionsDisallowed"}


def test_the_page_of_rules_is_what_they_say(rules):
    assert (ROOT / "docs/rules.md").read_text() == page(list(rules.values())), "./dev rules writes it anew"
