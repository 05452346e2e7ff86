"""docs/rules.md, as the rules themselves tell it: `python tests/harness/rules_page.py STRAKE` prints it."""

import json
import subprocess
import sys

HEAD = """# Rules

The rules that ship with `strake check`, from the files in scripts/rules. `./dev rules` writes this page anew. How to
silence one, to change its severity and to write one: [check.md](check.md).

"""


def _row(rule: dict) -> str:
    codes = ", ".join(rule.get("aliases", []))
    off = " (off)" if rule["off"] else ""
    return f"| [{rule['name']}](#{rule['name']}) | {rule['severity']}{off} | {codes} | {rule['summary']} |\n"


def _section(rule: dict) -> str:
    codes = f" Also known as {', '.join(rule['aliases'])}." if rule.get("aliases") else ""
    off = " Off by default." if rule["off"] else ""
    return (f"## {rule['name']}\n\n{rule['summary']}. {rule['severity'].capitalize()}.{off}{codes}\n\n{rule['reason']}\n\n"
            f"Instead of\n```dockerfile\n{rule['bad']}\n```\nwrite\n```dockerfile\n{rule['good']}\n```\n\n")


def page(rules: list) -> str:
    """The whole page, of what `strake check --list --json` gives."""
    table = "| rule | severity | codes | what |\n|---|---|---|---|\n" + "".join(map(_row, rules))
    return HEAD + table + "\n" + "".join(map(_section, rules)).rstrip() + "\n"


if __name__ == "__main__":
    listed = subprocess.run([sys.argv[1], "check", "--list", "--json"], cwd="/", check=True, capture_output=True, text=True)
    sys.stdout.write(page(json.loads(listed.stdout)["rules"]))
