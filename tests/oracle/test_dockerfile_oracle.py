"""Strake's Dockerfile parser, .dockerignore matcher and word expansion answer as BuildKit's own code
does: both are asked the same thousands of questions (corpus.py) by two small programs, dump.c and
dockerfile/main.go."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import corpus
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("STRAKE_BUILD", ROOT / "build" / os.environ.get("STRAKE_TEST_PRESET", "dev")))
MODULE = HERE / "dockerfile"

# How many random questions of each kind; more for a night's run.
COUNT = int(os.environ.get("STRAKE_ORACLE_COUNT", "4000"))

# Where BuildKit counts lines from 0, or names the line it was at rather than the one that is wrong.
OTHER_LINE = re.compile(r"escape token|parser directive|max allowed size|no instructions|unterminated")


def cache_folder():
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("STRAKE_TEST_CACHE") or Path(home) / "strake-tests")


@pytest.fixture(scope="session")
def oracle():
    """BuildKit's side, built once for each version of its sources."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((MODULE / name).read_bytes())
    program = cache_folder() / f"oracle-dockerfile-{digest.hexdigest()[:16]}"
    if not program.exists():
        if shutil.which("go") is None:
            pytest.skip("no go: ./dev setup installs it")
        program.parent.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["go", "build", "-trimpath", "-o", new, "."], cwd=MODULE, check=True, timeout=600)
        new.rename(program)
    return program


@pytest.fixture(scope="session")
def ours():
    return BUILD / "tests" / "oracle_dump"


def ask(program, questions):
    data = b"".join(b"%s %d\n" % (kind.encode(), len(body)) + body for kind, body in questions)
    done = subprocess.run([program], input=data, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
    assert len(answers) == len(questions)
    return answers


def plain(value):
    """Bytes that are no UTF-8 are shown as one replacement character or as several."""
    if isinstance(value, str):
        return re.sub("\ufffd+", "\ufffd", value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def same(theirs, ours):
    if "error" in theirs and "error" in ours:
        return theirs["line"] == ours["line"] or OTHER_LINE.search(theirs["error"])
    return plain(theirs) == plain(ours)


def compare(oracle, ours, questions):
    wrong = [{"question": body, "buildkit": theirs, "strake": own}
             for (_, body), theirs, own in zip(questions, ask(oracle, questions), ask(ours, questions))
             if not same(theirs, own)]
    assert not wrong, f"{len(wrong)} of {len(questions)} differ, among them {wrong[:3]}"


def test_dockerfiles_are_parsed_as_buildkit_parses_them(oracle, ours):
    compare(oracle, ours, [("D", text) for text in corpus.dockerfiles(COUNT)])


def test_dockerignore_matches_as_in_buildkit(oracle, ours):
    compare(oracle, ours, [("I", "\0".join([text, *paths]).encode()) for text, paths in corpus.ignores(COUNT)])


def test_words_are_expanded_as_buildkit_expands_them(oracle, ours):
    compare(oracle, ours, [("W", "\0".join([escape, text, *corpus.VALUES]).encode())
                           for escape, text in corpus.words(COUNT)])


def make_tree(folder, tree):
    folder.mkdir()
    for path in sorted(tree):
        if tree[path] is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_text(tree[path], encoding="utf-8")


def test_context_digest_covers_what_buildkit_sends(oracle, ours, tmp_path):
    """The digest of a folder with an ignore file is that of a folder in which only what BuildKit's
    client sends is left."""
    sent, digests, left_out = [], [], 0
    cases = corpus.trees(300)
    for number, (text, tree) in enumerate(cases):
        place = tmp_path / str(number)
        place.mkdir()
        make_tree(place / "tree", tree)
        (place / "Dockerfile.dockerignore").write_text(text, encoding="utf-8")
        sent.append(("S", f"{place / 'tree'}\0{text}".encode()))
    for number, (answer, (_, tree)) in enumerate(zip(ask(oracle, sent), cases)):
        place = tmp_path / str(number)
        make_tree(place / "copy", {path: tree[path] for path in answer["sent"]})
        left_out += len(tree) - len(answer["sent"])
        digests.append(("C", f"{place / 'tree'}\0{place / 'Dockerfile'}".encode()))
        digests.append(("C", f"{place / 'copy'}\0".encode()))
    answers = ask(ours, digests)
    wrong = [cases[number] for number in range(len(cases)) if answers[2 * number] != answers[2 * number + 1]]
    assert not wrong, f"{len(wrong)} of {len(cases)} differ, among them {wrong[:3]}"
    assert all("digest" in answer for answer in answers)
    assert left_out > len(cases)


def test_corpus_reaches_both_answers(oracle):
    """A corpus of errors alone, or of none, would show nothing."""
    answers = ask(oracle, [("D", text) for text in corpus.dockerfiles(500)])
    errors = sum("error" in answer for answer in answers)
    heredocs = sum("heredocs" in json.dumps(answer) for answer in answers)
    assert 50 < errors < len(answers) - 200
    assert heredocs > 20
