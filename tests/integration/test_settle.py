"""A publish that is killed at any moment: settling leaves all tags old or all new, and the record says which."""

import json
import os
import random
import time

import pytest

from harness.liar import RESET
from harness.program import ROOT, Strake

TAGS = ["v1", "v1.2", "stable", "latest"]
KILLS = 100
SEED = 20261125


class Shop:
    """A target with four tags and two contents, A and B, whose builds come from the cache."""

    def __init__(self, strake, folder, host, name, registry, buildkit, base):
        self.strake, self.folder, self.registry, self.name = strake, folder, registry, name
        self.image = f"{host}/{name}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY content /\n")
        quoted = ", ".join(f"'{tag}'" for tag in TAGS)
        (folder / "strake.lua").write_text(
            f"builder 'b' {{ type = 'buildctl', address = '{buildkit.address}' }}\n"
            f"target 'app' {{ context = '.', image = '{self.image}', tags = {{ {quoted} }} }}\n")

    def content(self, which: str) -> None:
        (self.folder / "content").write_text(which)

    def push(self, which: str) -> str:
        self.content(which)
        done = self.run("build", "--push", "--json")
        return done.json()["targets"][0]["digest"]

    def run(self, *args, exit: int = 0):
        done = self.strake(*args, cwd=self.folder)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def start(self, which: str):
        self.content(which)
        return self.strake.popen("build", "--push", cwd=self.folder)

    def settle(self, exit: int = 0) -> list:
        return self.run("publish", "--settle", "--json", exit=exit).json()["units"]

    def tags(self) -> list:
        return [self.registry.digest(self.name, tag) for tag in TAGS]

    def runs(self, count: int) -> list:
        return self.run("history", "--json", "-n", str(count)).json()["runs"]

    def show(self, run: str) -> dict:
        return self.run("history", "show", run, "--json").json()["runs"][0]


def fast(home) -> Strake:
    """The release program where there is one: more moments to be killed at in the same time."""
    preset = os.environ.get("STRAKE_TEST_PRESET", "dev")
    if preset in ("dev", "tsan", "coverage") and (ROOT / "build/release/bin/strake").exists():
        preset = "release"
    return Strake(home, preset)


# ---- at any moment -----------------------------------------------------------------------------------------


def kill_once(shop, which: str, delay: float) -> int:
    """@return how the program ended: -9, or 0 when it was done before."""
    child = shop.start(which)
    time.sleep(delay)
    child.kill()
    child.communicate()
    return child.returncode


def check_one(shop, old: str, new: str, code: int, where: str) -> tuple:
    """Settle what the killed run left; @return (digest of all tags, what settling said)."""
    known = shop.runs(1)
    units = shop.settle()
    after = set(shop.tags())
    assert len(after) == 1 and after <= {old, new}, f"{where}: a mix is left: {shop.tags()}"
    digest = after.pop()
    assert len(units) <= 1, where
    if units:
        assert units[0]["run"] == known[0]["run"], where
        assert units[0]["outcome"] == "done" and digest == new, f"{where}: {units}"
        assert {move["to"] for move in units[0]["moves"]} == {new}, where
    runs = {run["run"]: run for run in shop.runs(2)}
    killed = runs.get(known[0]["run"])
    if killed and killed["command"] == "build" and code == -9:
        assert killed["status"] in ("interrupted", "done"), f"{where}: {killed}"
        moves = shop.show(killed["run"])["tag_moves"]
        if digest == new:  # the record says that they are the new ones
            assert [move["to"] for move in moves] == [new] * len(TAGS), f"{where}: {moves}"
            assert {move["outcome"] for move in moves} == {"done"}, where
        else:
            assert moves == [], f"{where}: {moves}"
    return digest, units[0]["outcome"] if units else "nothing"


def timed(shop, which: str) -> float:
    started = time.monotonic()
    shop.push(which)
    return time.monotonic() - started


def test_a_publish_killed_at_any_moment_is_settled_whole(tmp_path, registry, buildkit, base):
    shop = Shop(fast(tmp_path / "home"), tmp_path / "shop", registry.host, "settle/any", registry, buildkit, base)
    digests = {"B": shop.push("B"), "A": shop.push("A")}
    whole = min(timed(shop, which) for which in ("B", "A", "B", "A"))
    chance = random.Random(SEED)
    print(f"seed {SEED}, a whole run takes {whole * 1000:.0f} ms")
    at, told = "A", {}
    for number in range(KILLS):
        other = "B" if at == "A" else "A"
        # Every second one in the second half, where the tags move, also on a machine that has become slower.
        delay = chance.uniform(0, whole * 1.1) if number % 2 else chance.uniform(whole * 0.7, whole * 1.5)
        code = kill_once(shop, other, delay)
        where = f"kill {number} of seed {SEED}, after {delay * 1000:.1f} of {whole * 1000:.0f} ms"
        digest, said = check_one(shop, digests[at], digests[other], code, where)
        at = other if digest == digests[other] else at
        key = ("new" if at == other else "old", said)
        told[key] = told.get(key, 0) + 1
    print(told)
    assert told.get(("new", "done"), 0) > 0, f"no kill met a publish half done: {told}"
    assert sum(count for (state, _), count in told.items() if state == "old") > 0, told
    shop.push(at)
    assert not list((tmp_path / "home/state/strake/runs").glob("*.lock")), "killed runs leave their marks behind"


# ---- at each step ------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path, strake, liar, buildkit, base, request):
    name = "settle/" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower()).strip("-")
    while "--" in name:
        name = name.replace("--", "-")
    yield Shop(strake, tmp_path / "shop", liar.host, name, liar.registry, buildkit, base)
    liar.forget()


def kill_at(shop, liar, which: str, tag: str, done: bool):
    """Kill the program when its PUT of `tag` arrives at the registry: before it is done, or after."""
    child = shop.start(which)

    def act(request, forward):
        if done:
            forward()
        child.kill()
        child.wait()
        return RESET
    liar.on("PUT", f"/manifests/{tag}$", act, times=1)
    child.communicate(timeout=60)
    assert child.returncode == -9
    liar.forget()


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("tag", TAGS)
def test_a_kill_at_each_put_is_settled_forward(shop, liar, tag, done):
    old = shop.push("A")
    kill_at(shop, liar, "B", tag, done)
    mixed = shop.tags()
    units = shop.settle()
    after = set(shop.tags())
    assert len(after) == 1 and old not in after
    assert [(unit["outcome"], len(unit["moves"])) for unit in units] == [("done", len(TAGS))]
    moved = TAGS.index(tag) + (1 if done else 0)
    assert [digest != old for digest in mixed] == [True] * moved + [False] * (len(TAGS) - moved)
    assert shop.settle() == []


def test_new_tags_are_settled_too(shop, liar):
    kill_at(shop, liar, "A", "stable", False)
    assert shop.tags()[2:] == ["", ""]
    assert shop.settle()[0]["outcome"] == "done"
    after = set(shop.tags())
    assert len(after) == 1 and "" not in after


def test_a_tag_moved_by_somebody_else_after_the_kill_sends_the_unit_back(shop, liar):
    old = shop.push("A")
    shop.content("C")
    theirs = shop.run("build", "--stage", "--json").json()["targets"][0]["digest"]
    kill_at(shop, liar, "B", "stable", True)
    shop.registry.put(shop.name, "latest", theirs)
    unit = shop.settle()[0]
    assert unit["outcome"] == "rolled-back"
    assert shop.tags() == [old, old, old, theirs]
    killed = next(run for run in shop.runs(3) if run["command"] == "build" and run["status"] == "interrupted")
    assert unit["run"] == killed["run"]
    shown = shop.show(killed["run"])
    assert shown["publishes"] == [{"kind": "publish", "outcome": "rolled-back"}] and shown["tag_moves"] == []


def test_new_tags_of_a_unit_that_goes_back_are_taken_away(shop, liar):
    shop.content("C")
    theirs = shop.run("build", "--stage", "--json").json()["targets"][0]["digest"]
    kill_at(shop, liar, "A", "stable", True)
    shop.registry.put(shop.name, "latest", theirs)
    assert shop.settle()[0]["outcome"] == "rolled-back"
    assert shop.tags() == ["", "", "", theirs]


def test_the_next_publish_settles_first_and_says_so(shop, liar):
    shop.push("A")
    kill_at(shop, liar, "B", "stable", True)
    shop.content("C")
    done = shop.run("build", "--push", "--json")
    new = done.json()["targets"][0]["digest"]
    assert "was settled: done" in done.err and "was interrupted" in done.err
    assert shop.tags() == [new] * len(TAGS)


def test_commands_that_only_read_report_it_and_move_nothing(shop, liar):
    shop.push("A")
    kill_at(shop, liar, "B", "stable", True)
    mixed = shop.tags()
    for command in (["plan"], ["history"], ["image", "show", f"{shop.image}:latest"], ["build"], ["tags"], ["plan"]):
        assert "publish --settle" in shop.run(*command).err, command
    assert shop.tags() == mixed


def test_a_registry_that_cannot_be_reached_leaves_the_unit_for_later(shop, liar):
    old = shop.push("A")
    kill_at(shop, liar, "B", "v1.2", True)
    liar.reset("HEAD", "/manifests/")
    liar.reset("GET", "/manifests/")
    liar.reset("PUT", "/manifests/")
    failed = shop.strake("publish", "--settle", "--json", cwd=shop.folder)
    assert failed.exit == 8, failed.out + failed.err
    assert "cannot be settled" in failed.json()["error"]["message"]
    liar.forget()
    assert shop.settle()[0]["outcome"] == "done"
    assert len(set(shop.tags())) == 1 and old not in shop.tags()


def test_a_registry_that_fails_in_the_middle_of_settling_leaves_the_unit_for_later(shop, liar):
    old = shop.push("A")
    kill_at(shop, liar, "B", "v1", True)
    liar.refuse("PUT", "/manifests/(stable|v1)$", 503)
    failed = shop.strake("publish", "--settle", "--json", cwd=shop.folder)
    assert failed.exit == 8, failed.out + failed.err
    liar.forget()
    assert shop.settle()[0]["outcome"] == "done"
    assert len(set(shop.tags())) == 1 and old not in shop.tags()


def test_a_registry_that_is_gone_does_not_stop_other_publishes(shop, liar):
    shop.push("A")
    kill_at(shop, liar, "B", "v1", True)
    liar.reset("HEAD", "/manifests/(v1|v1.2)$")
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace(shop.image, shop.image + "-other").replace("'v1', 'v1.2', ", ""))
    done = shop.run("build", "--push")
    assert "cannot be settled" in done.err and "--settle" in done.err
    assert shop.registry.tags(shop.name + "-other") == ["latest", "stable"]
    liar.forget()
    assert shop.settle()[0]["outcome"] == "done"


def test_settling_can_be_given_up(shop, liar):
    shop.push("A")
    kill_at(shop, liar, "B", "v1", True)
    mixed = shop.tags()
    liar.refuse("PUT", "/manifests/(stable|v1)$", 403)
    failed = shop.strake("publish", "--settle", cwd=shop.folder)
    assert failed.exit == 8 and "--force" in failed.err, failed.err
    unit = shop.run("publish", "--settle", "--force", "--json").json()["units"][0]
    assert unit["outcome"] == "partial"
    assert shop.tags() == mixed and shop.settle() == []
    assert shop.show(unit["run"])["publishes"] == [{"kind": "publish", "outcome": "partial"}]


def test_settling_can_be_killed_too(shop, liar):
    old = shop.push("A")
    kill_at(shop, liar, "B", "v1", True)
    child = shop.strake.popen("publish", "--settle", cwd=shop.folder)

    def act(request, forward):
        child.kill()
        child.wait()
        return forward()
    liar.on("PUT", "/manifests/stable$", act, times=1)
    child.communicate(timeout=60)
    assert child.returncode == -9
    liar.forget()
    assert shop.settle()[0]["outcome"] == "done"
    assert len(set(shop.tags())) == 1 and old not in shop.tags()


def test_a_run_that_is_alive_is_not_settled_by_another(shop, liar):
    shop.push("A")
    liar.forget()
    liar.slow("PUT", "/manifests/stable$", 3.0)
    child = shop.start("B")
    while not liar.asked("PUT", "/manifests/stable$"):
        assert child.poll() is None
        time.sleep(0.01)
    assert shop.settle() == []
    assert [run["status"] for run in shop.runs(2)] == ["done", "running"]
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, out + err
    assert len(set(shop.tags())) == 1


def test_two_do_not_settle_at_once(shop, liar):
    shop.push("A")
    kill_at(shop, liar, "B", "v1", True)
    liar.slow("PUT", "/manifests/stable$", 3.0)
    child = shop.strake.popen("publish", "--settle", "--json", cwd=shop.folder)
    while not liar.asked("PUT", "/manifests/stable$"):
        assert child.poll() is None
        time.sleep(0.01)
    second = shop.run("publish", "--settle", exit=8)
    assert "another process is settling what a killed run left" in second.err
    out, err = child.communicate(timeout=60)
    assert "strake publish --settle" not in err
    assert child.returncode == 0 and json.loads(out)["units"][0]["outcome"] == "done", out + err
    assert shop.settle() == [] and len(set(shop.tags())) == 1
