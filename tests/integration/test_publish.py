"""Publishing: tags of all targets move as one unit, whatever the registry does meanwhile."""

import json
import re
import signal
import time

import pytest

from harness.liar import Answer
from harness.program import Strake

TAG = r"/manifests/(?!sha256:)"


class Shop:
    """A project whose images go through a liar into a real registry, in repositories of the test's own."""

    def __init__(self, strake, folder, liar, buildkit, base, name):
        self.strake, self.folder, self.liar, self.buildkit = strake, folder, liar, buildkit
        self.registry = liar.registry
        self.name = name
        self.image = f"{self.liar.host}/{name}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY content /\n")
        self.content("one")
        self.targets({"app": ["latest"]})

    def targets(self, tags: dict, more: str = "") -> None:
        """Declare targets with these tags; all of them have the same context."""
        lines = [f"builder 'b' {{ type = 'buildctl', address = '{self.buildkit.address}' }}"]
        for name, words in tags.items():
            quoted = ", ".join(f"'{word}'" for word in words)
            lines.append(f"target '{name}' {{ context = '.', image = '{self.image}', tags = {{ {quoted} }}, {more} }}")
        (self.folder / "strake.lua").write_text("\n".join(lines) + "\n")

    def content(self, text: str) -> None:
        (self.folder / "content").write_text(text + "\n")

    def run(self, *args, exit: int = 0, **more):
        done = self.strake(*args, cwd=self.folder, **more)
        assert done.exit == exit, f"exit {done.exit}\n{done.out}\n{done.err}"
        return done

    def push(self, *args, exit: int = 0):
        return self.run("build", "--push", "--json", *args, exit=exit)

    def stage(self, *args) -> str:
        return self.run("build", "--stage", "--json", *args).json()["targets"][0]["digest"]

    def digests(self) -> dict:
        """Every tag of the repository, asked of the registry itself."""
        return {tag: self.registry.digest(self.name, tag) for tag in self.registry.tags(self.name)}

    def has(self, digest: str) -> bool:
        return self.registry.digest(self.name, digest) == digest

    def history(self) -> dict:
        return self.run("history", "show", "last", "--json").json()["runs"][0]


@pytest.fixture(params=["liar", "liar3"])
def shop(request, strake, tmp_path, buildkit, base):
    liar = request.getfixturevalue(request.param)
    name = "publish/" + re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")
    yield Shop(strake, tmp_path / "shop", liar, buildkit, base, name)
    liar.forget()


def settled(shop) -> None:
    """Nothing waits in the journal: the unit was ended, well or badly."""
    assert "Nothing to settle" in shop.run("publish", "--settle").out


# ---- what goes well ----------------------------------------------------------------------------------------


def test_new_tags_go_first_and_moving_ones_last(shop):
    shop.targets({"app": ["latest", "stable"]})
    first = shop.push().json()["targets"][0]["digest"]
    shop.targets({"app": ["latest", "v2", "stable", "v2.0"]})
    shop.content("two")
    shop.liar.forget()
    done = shop.push("--events", shop.folder / "events").json()
    second = done["targets"][0]["digest"]
    assert shop.liar.tag_puts() == ["v2", "v2.0", "latest", "stable"]
    assert first != second and shop.digests() == dict.fromkeys(["latest", "stable", "v2", "v2.0"], second)
    assert done["targets"][0]["refs"] == [f"{shop.image}:{tag}" for tag in ("latest", "v2", "stable", "v2.0")]
    events = [json.loads(line) for line in (shop.folder / "events").read_text().splitlines()]
    moved = [(event["ref"].rpartition(":")[2], event["from"], event["to"]) for event in events
             if event["type"] == "tag.moved"]
    assert moved == [("v2", "", second), ("v2.0", "", second), ("latest", first, second), ("stable", first, second)]


def test_no_tag_shows_an_image_before_all_blobs_and_the_manifest_are_there(shop):
    shop.push()
    first_tag = next(i for i, one in enumerate(shop.liar.requests) if one.method == "PUT" and one.path.endswith("/latest"))
    later = shop.liar.requests[first_tag + 1:]
    assert not [one for one in later if one.method in ("POST", "PATCH") or (one.method == "PUT" and "/blobs/" in one.path)]


def test_a_tag_that_is_there_already_is_not_put_again(shop):
    shop.targets({"app": ["latest", "v1"]})
    digest = shop.push().json()["targets"][0]["digest"]
    shop.targets({"app": ["latest", "v1", "v1.0"]})
    shop.liar.forget()
    shop.push()
    assert shop.liar.tag_puts() == ["v1.0"]
    shop.liar.forget()
    moves = shop.run("publish", "--json").json()["moves"]
    assert shop.liar.tag_puts() == []
    assert {(move["from"], move["to"], move["status"]) for move in moves} == {(digest, digest, "unchanged")}


def test_each_move_is_read_back(shop):
    shop.targets({"app": ["a", "b"]})
    shop.push()
    for tag in ("a", "b"):
        asked = [one.method for one in shop.liar.requests if one.path.endswith("/" + tag)]
        assert asked[asked.index("PUT") + 1] in ("HEAD", "GET")


def test_what_was_staged_is_published_later(shop):
    digest = shop.stage()
    assert shop.digests() == {}
    done = shop.run("publish", "--json").json()
    assert (done["schema"], done["status"]) == ("strake.publish/1", "done")
    assert done["moves"] == [{"ref": f"{shop.image}:latest", "from": "", "to": digest, "status": "done"}]
    assert shop.digests() == {"latest": digest}


def test_the_image_that_is_named_is_published_not_the_last_one(shop):
    first = shop.stage()
    shop.content("two")
    second = shop.stage()
    shop.run("publish", "--digest", first)
    assert shop.digests() == {"latest": first}
    shop.run("publish")
    assert shop.digests() == {"latest": second}


def test_an_image_that_is_not_there_is_not_published(shop):
    shop.push()
    before = shop.digests()
    done = shop.run("publish", "--json", "--digest", "sha256:" + "0" * 64, exit=8)
    assert shop.digests() == before
    assert "0000" in done.err


def test_several_repositories_of_one_target_get_all_tags(shop):
    other = f"{shop.liar.host}/{shop.name}-mirror"
    shop.targets({"app": ["latest", "v1"]})
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace(f"image = '{shop.image}'", f"image = {{ '{shop.image}', '{other}' }}"))
    target = shop.push().json()["targets"][0]
    assert target["refs"] == [f"{shop.image}:latest", f"{shop.image}:v1", f"{other}:latest", f"{other}:v1"]
    assert shop.digests() == dict.fromkeys(["latest", "v1"], target["digest"])
    assert {tag: shop.registry.digest(shop.name + "-mirror", tag) for tag in ("latest", "v1")} == shop.digests()


def test_a_refusal_of_the_second_repository_moves_the_first_ones_tags_back(shop):
    other = f"{shop.liar.host}/{shop.name}-mirror"
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace(f"image = '{shop.image}'", f"image = {{ '{shop.image}', '{other}' }}"))
    shop.liar.refuse("PUT", "-mirror" + TAG, 403)
    shop.push(exit=8)
    assert shop.digests() == {} and shop.registry.tags(shop.name + "-mirror") == []


def test_tags_are_read_after_the_image_was_copied_to_its_other_repositories(shop):
    other = f"{shop.liar.host}/{shop.name}-mirror"
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace(f"image = '{shop.image}'", f"image = {{ '{shop.image}', '{other}' }}"))
    shop.push()
    shop.content("theirs")
    theirs = shop.stage()
    shop.content("ours")
    ours = shop.stage()
    shop.liar.before("PUT", "-mirror/manifests/sha256", lambda: shop.registry.put(shop.name, "latest", theirs))
    moves = shop.run("publish", "--json").json()["moves"]
    assert {move["ref"]: (move["from"], move["to"]) for move in moves}[f"{shop.image}:latest"] == (theirs, ours)


def test_the_tags_of_two_targets_are_one_unit(shop):
    shop.targets({"one": ["one"], "two": ["two"]}, "default = true")
    shop.liar.refuse("PUT", "/manifests/two$", 403)
    shop.push(exit=8)
    assert shop.digests() == {}
    shop.liar.forget()
    shop.push()
    assert sorted(shop.digests()) == ["one", "two"]


def test_two_images_cannot_have_one_tag(shop):
    shop.targets({"one": ["same"], "two": ["same"]}, "default = true")
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace("target 'two' { context = '.',",
                                                         "target 'two' { context = '.', labels = { x = 'y' },"))
    error = shop.push(exit=3).json()["error"]
    assert error["kind"] == "config" and f"{shop.image}:same" in error["message"]
    assert shop.digests() == {}


# ---- what goes badly ---------------------------------------------------------------------------------------


def test_a_tag_moved_by_somebody_else_meanwhile_stops_the_unit(shop):
    shop.targets({"app": ["latest", "stable"]})
    shop.push()
    shop.content("theirs")
    theirs = shop.stage()
    before = shop.digests()
    shop.targets({"app": ["v2", "stable", "latest"]})
    shop.content("ours")
    shop.liar.before("PUT", "/manifests/v2$", lambda: shop.registry.put(shop.name, "latest", theirs))
    error = shop.push(exit=8).json()["error"]
    assert error["kind"] == "conflict" and f"{shop.image}:latest" in error["message"] and theirs in error["message"]
    assert shop.digests() == {"stable": before["stable"], "latest": theirs}
    shown = shop.history()
    assert shown["publishes"] == [{"kind": "publish", "outcome": "rolled-back"}] and shown["tag_moves"] == []
    settled(shop)

    ours = shop.push().json()["targets"][0]["digest"]  # from what is there now it moves
    assert shop.digests() == dict.fromkeys(["latest", "stable", "v2"], ours)


def test_force_moves_a_tag_that_somebody_else_moved_meanwhile(shop):
    shop.push()
    shop.content("theirs")
    theirs = shop.stage()
    shop.targets({"app": ["v2", "latest"]})
    shop.content("ours")
    shop.liar.before("PUT", "/manifests/v2$", lambda: shop.registry.put(shop.name, "latest", theirs))
    ours = shop.push("--force").json()["targets"][0]["digest"]
    assert shop.digests() == {"latest": ours, "v2": ours}


def fail_second(shop, kind: str) -> None:
    """Three tags are moved, `stable` is the second; what goes wrong with it."""
    if kind == "forbidden":
        shop.liar.refuse("PUT", "/manifests/stable$", 403)
    elif kind == "server error":
        shop.liar.refuse("PUT", "/manifests/stable$", 500)
    elif kind == "reset before":
        shop.liar.reset("PUT", "/manifests/stable$")
    elif kind == "confirmed but not kept":
        shop.liar.ignore_put("/manifests/stable$")


@pytest.mark.parametrize("kind", ["forbidden", "server error", "reset before", "confirmed but not kept"])
def test_one_move_that_fails_takes_all_back(shop, kind):
    shop.targets({"app": ["stable", "latest"]})
    before = dict.fromkeys(["stable", "latest"], shop.push().json()["targets"][0]["digest"])
    shop.targets({"app": ["v2", "stable", "latest"]})
    shop.content("two")
    fail_second(shop, kind)
    done = shop.push("--events", shop.folder / "events", exit=8).json()
    assert done["status"] == "failed" and "stable" in done["error"]["message"]
    assert done["targets"][0]["status"] == "done" and done["targets"][0]["refs"] == []
    assert shop.digests() == before
    events = [json.loads(line) for line in (shop.folder / "events").read_text().splitlines()]
    back = [event["ref"].rpartition(":")[2] for event in events if event["type"] == "tag.rolled-back"]
    assert "v2" in back
    assert not [event for event in events if event["type"] == "image.published"]
    settled(shop)
    shop.liar.forget()
    shop.push()
    assert sorted(shop.digests()) == ["latest", "stable", "v2"]


@pytest.mark.parametrize("kind", ["refused", "lost"])
def test_many_repositories_move_side_by_side_and_back(shop, kind):
    count = 14
    (shop.folder / "strake.lua").write_text(
        f"builder 'b' {{ type = 'buildctl', address = '{shop.buildkit.address}' }}\n"
        f"for n = 1, {count} do target('t' .. n) {{ context = '.', image = '{shop.image}-' .. n, tags = {{ 'a', 'b' }} }} end\n")

    def digests() -> list:
        return [shop.registry.digest(f"{shop.name}-{n}", tag) for n in range(1, count + 1) for tag in ("a", "b")]

    first = shop.push("--all").json()
    assert digests() == [target["digest"] for target in first["targets"] for _ in range(2)]
    old = digests()
    shop.content("two")
    path = f"{shop.name}-9/manifests/b$"
    if kind == "refused":
        shop.liar.refuse("PUT", path, 500)
    else:
        shop.liar.ignore_put(path)
    done = shop.push("--all", exit=8).json()
    assert digests() == old
    assert not [move for move in done["moves"] if move["status"] == "done"]
    shop.liar.forget()
    second = shop.push("--all").json()
    assert digests() == [target["digest"] for target in second["targets"] for _ in range(2)] != old


def test_a_move_that_was_done_but_not_answered_is_found_done(shop):
    shop.targets({"app": ["stable", "latest"]})
    shop.push()
    shop.content("two")
    shop.liar.reset("PUT", "/manifests/stable$", after=True)
    second = shop.push().json()["targets"][0]["digest"]
    assert shop.digests() == {"stable": second, "latest": second}


def test_a_move_that_was_done_but_never_seen_is_moved_back(shop):
    """Its answer is lost, and so is every answer to the question whether it arrived, until the unit goes back."""
    shop.targets({"app": ["stable", "latest"]})
    before = dict.fromkeys(["stable", "latest"], shop.push().json()["targets"][0]["digest"])
    shop.content("two")
    shop.liar.reset("PUT", "/manifests/stable$", after=True, times=1)
    shop.liar.refuse("PUT", "/manifests/stable$", 500, times=4)
    shop.liar.refuse("HEAD", "/manifests/stable$", 500, skip=2, times=5)
    done = shop.strake("build", "--push", "--json", cwd=shop.folder)
    after = shop.digests()
    assert (done.exit, after) == (8, before) or (done.exit == 0 and set(after.values()).isdisjoint(before.values()))


def test_a_new_tag_that_is_taken_away_leaves_the_other_tags_of_its_digest(shop):
    digest = shop.push().json()["targets"][0]["digest"]
    shop.targets({"app": ["latest", "v1", "v2"]})
    shop.liar.refuse("PUT", "/manifests/v2$", 403)
    shop.push(exit=8)
    assert shop.digests() == {"latest": digest}
    assert shop.has(digest)


def test_a_registry_that_deletes_nothing_is_told_and_keeps_the_tag_whole(shop):
    shop.targets({"app": ["v1", "v2"]})
    shop.liar.refuse("PUT", "/manifests/v2$", 403)
    shop.liar.refuse("DELETE", "/manifests/", 405)
    done = shop.push(exit=8).json()
    digest = done["targets"][0]["digest"]
    assert shop.digests() == {"v1": digest}  # not a dummy
    assert "not moved back" in done["error"]["detail"] and "v1" in done["error"]["detail"]
    moves = shop.history()["tag_moves"]
    assert [(move["ref"], move["outcome"]) for move in moves] == [(f"{shop.image}:v1", "partial")]
    settled(shop)


def test_a_tag_that_moved_on_is_not_moved_back(shop):
    """What somebody else put over our move is theirs to keep."""
    shop.content("theirs")
    theirs = shop.stage()
    shop.content("ours")
    shop.targets({"app": ["v1", "v2"]})

    def refuse_meanwhile(request, forward):
        shop.registry.put(shop.name, "v1", theirs)
        return Answer(403)
    shop.liar.on("PUT", "/manifests/v2$", refuse_meanwhile)
    shop.push(exit=8)
    assert shop.digests() == {"v1": theirs}


def test_a_manifest_with_other_bytes_is_never_put(shop):
    digest = shop.stage()
    shop.liar.corrupt(f"/manifests/{digest}$")
    shop.run("publish", exit=8)
    assert shop.digests() == {} and shop.liar.tag_puts() == []


def test_a_cancelled_publish_moves_back(shop):
    shop.targets({"app": ["v1", "v2", "v3"]})
    shop.stage()
    shop.liar.slow("PUT", "/manifests/v2$", 1.0)
    child = shop.strake.popen("publish", cwd=shop.folder)
    while not shop.liar.asked("PUT", "/manifests/v2$"):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130, out + err
    time.sleep(1.1)  # the slow PUT has arrived by now, if it ever does
    left = shop.digests()
    assert left == {} or "v2" in err, (left, err)
    assert shop.history()["status"] == "cancelled"


# ---- what another job staged -------------------------------------------------------------------------------


def test_a_run_is_published_by_its_id_and_its_beginning(shop):
    shop.targets({"one": ["one"], "two": ["two"]}, "default = true, labels = { x = 'y' }")
    (shop.folder / "strake.lua").write_text((shop.folder / "strake.lua").read_text().replace("x = 'y'", "x = 'z'", 1))
    staged = shop.run("build", "--stage", "--json").json()
    shop.content("later")
    shop.stage()
    digests = {target["name"]: target["digest"] for target in staged["targets"]}
    assert digests["one"] != digests["two"] and shop.digests() == {}
    done = shop.run("publish", "--json", staged["run"]).json()
    assert shop.digests() == digests and len(done["moves"]) == 2
    assert shop.history()["publishes"] == [{"kind": "publish", "outcome": "done"}]
    again = shop.run("publish", "--json", staged["run"][:-2]).json()["moves"]
    assert {move["status"] for move in again} == {"unchanged"}


def test_the_last_run_that_staged_something_is_published(shop):
    digest = shop.stage()
    shop.run("publish", "last")
    assert shop.digests() == {"latest": digest}
    done = shop.run("publish", shop.history()["run"], exit=2)
    assert "staged no image" in done.err
    assert "there is no run" in shop.run("publish", "20200101T000000-000000", exit=2).err


def test_a_digest_is_published_by_a_machine_that_knows_nothing(shop, tmp_path):
    digest = shop.stage()
    other = Strake(tmp_path / "other")
    done = other("publish", "--json", f"{shop.image}@{digest}", cwd=shop.folder)
    assert done.exit == 0, done.err
    assert shop.digests() == {"latest": digest}
    assert done.json()["targets"][0]["name"] == "app" and done.json()["targets"][0]["refs"] == [f"{shop.image}:latest"]
    assert other("publish", f"{shop.image}:v1@{digest}", cwd=shop.folder).exit == 0
    assert other("publish", f"{shop.image}@{digest}", "-t", f"{shop.image}:v2", "-t", f"{shop.image}-more:v2",
                 cwd=shop.folder).exit == 0
    assert shop.digests() == dict.fromkeys(["latest", "v1", "v2"], digest)
    assert shop.registry.digest(shop.name + "-more", "v2") == digest


def test_the_job_that_publishes_needs_no_dockerfile(shop, tmp_path):
    digest = shop.stage()
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "strake.lua").write_text(
        f"target 'app' {{ image = '{shop.image}', tags = {{ 'latest', 'main' }}, context = 'not/here' }}\n")
    other = Strake(tmp_path / "other")
    done = other("publish", "--json", f"{shop.image}@{digest}", f"{shop.image}@{digest}", cwd=folder)
    assert done.exit == 0, done.err
    assert [move["status"] for move in done.json()["moves"]] == ["done", "done"]  # named twice, moved once
    assert shop.digests() == dict.fromkeys(["latest", "main"], digest)
    (folder / "strake.lua").write_text(f"target 'app' {{ image = '{shop.image}' }}\n")
    assert "app has no tags" in other("publish", f"{shop.image}@{digest}", cwd=folder).err


def test_what_another_job_staged_is_gated(shop):
    digest = shop.stage()
    for point in ("image", "publish"):
        (shop.folder / "strake.lua").write_text(
            f"target 'app' {{ image = '{shop.image}', tags = {{ 'latest' }} }}\n"
            f"policy 'no' {{ at = '{point}', check = function(image) deny(image.target .. image.digest) end }}\n")
        error = shop.run("publish", "--json", f"{shop.image}@{digest}", exit=4).json()["error"]
        assert "app" + digest in error["message"] and f"at {point}" in error["message"]
    assert shop.digests() == {}


def test_what_cannot_be_published_is_told(shop):
    digest = shop.stage()
    elsewhere = f"{shop.liar.host}/elsewhere@{digest}"
    assert "no target has the image" in shop.run("publish", elsewhere, exit=2).err
    assert "not by both" in shop.run("publish", f"{shop.image}@{digest}", "app", exit=2).err
    assert "not by both" in shop.run("publish", f"{shop.image}@{digest}", "--digest", digest, exit=2).err
    two = f"{shop.image}@{digest}", f"{shop.image}@sha256:{'1' * 64}"
    assert "there are 2" in shop.run("publish", *two, "-t", f"{shop.image}:x", exit=2).err
    told = shop.run("publish", *two, exit=2).err
    assert f"two images want the tag {shop.image}:latest" in told and two[0] in told and two[1] in told
    told = shop.run("publish", f"{shop.image}:latest", exit=2).err
    assert "names no digest" in told and "@sha256:" in told
    shop.run("publish", two[1], exit=8)
    shop.run("publish", f"{shop.image}@sha256:12", exit=2)
    assert shop.digests() == {}


# ---- immutable tags ----------------------------------------------------------------------------------------


def test_immutable_tags_are_made_and_never_moved(shop):
    def write(tags, options=""):
        shop.targets({"app": tags})
        with open(shop.folder / "strake.lua", "a") as lua:
            lua.write(f"policies.immutable_tags({options})\n")
    write(["latest", "v1.0.0", "v1"])
    first = shop.push().json()["targets"][0]["digest"]
    shop.push()  # the same image: nothing moves
    shop.content("two")
    error = shop.push("--force", exit=4).json()["error"]
    assert error["kind"] == "policy" and f"{shop.image}:v1.0.0" in error["message"] and first[:19] in error["message"]
    assert shop.digests() == dict.fromkeys(["latest", "v1.0.0", "v1"], first)
    write(["latest", "v1.0.1-rc.1", "v1"])
    second = shop.push().json()["targets"][0]["digest"]
    assert shop.digests() == {"latest": second, "v1.0.1-rc.1": second, "v1": second, "v1.0.0": first}
    for tag in ("v1.0.0", "v1.0.1-rc.1"):
        source = first if tag == "v1.0.1-rc.1" else second
        done = shop.run("image", "tag", f"{shop.image}@{source}", tag, exit=4)
        assert "immutable tags, retag" in done.err and tag in done.err
    shop.run("image", "tag", f"{shop.image}@{first}", "v1", "v1.0.2")
    done = shop.run("rollback", "--tag", "v1.0.0", "--to", second, exit=4)
    assert "never moves" in done.err
    listed = shop.run("policy", "list", "--json").json()["policies"]
    assert {(one["name"], one["at"]) for one in listed} == {("immutable tags", "publish"), ("immutable tags, retag", "retag")}
    assert {one["line"] for one in listed} == {3} and listed[0]["file"].endswith("strake.lua")


def test_immutable_tags_can_be_others(shop):
    def write(options):
        shop.targets({"app": ["stable-1", "v1.0.0"]})
        with open(shop.folder / "strake.lua", "a") as lua:
            lua.write(f"policies.immutable_tags({options})\n")
    write("{ match = 'stable%-%d+' }")
    shop.push()
    shop.content("two")
    error = shop.push(exit=4).json()["error"]
    assert "stable-1" in error["message"] and "v1.0.0" not in json.dumps(error)
    for options, told in (("{ match = 3 }", "a list of patterns"), ("{ match = { '[' } }", "entry 1"),
                          ("{ matches = 'x' }", "no option 'matches'"), ("'v1'", "a table of options")):
        write(options)
        done = shop.run("policy", "list", exit=3)
        assert told in done.err and "strake.lua:3" in done.err


def test_what_policies_saw_of_the_tags_is_what_is_published(shop):
    shop.targets({"app": ["latest", "v1.0.0"]})
    with open(shop.folder / "strake.lua", "a") as lua:
        lua.write("policies.immutable_tags()\n")
    theirs = shop.stage()
    shop.content("ours")
    shop.stage()
    shop.liar.before("PUT", "/manifests/latest$", lambda: shop.registry.put(shop.name, "v1.0.0", theirs))
    error = shop.run("publish", "--json", exit=8).json()["error"]
    assert error["kind"] == "conflict" and shop.digests() == {"v1.0.0": theirs}


# ---- image tag ---------------------------------------------------------------------------------------------


def test_image_tag_moves_several_tags_as_one_unit(shop):
    digest = shop.push().json()["targets"][0]["digest"]
    done = shop.run("image", "tag", "--json", f"{shop.image}:latest", f"{shop.image}:a", f"{shop.image}:b").json()
    assert (done["schema"], done["digest"]) == ("strake.tag/1", digest)
    assert [(move["ref"], move["from"], move["to"], move["status"]) for move in done["moves"]] == \
           [(f"{shop.image}:{tag}", "", digest, "done") for tag in ("a", "b")]
    assert shop.digests() == dict.fromkeys(["latest", "a", "b"], digest)


def test_image_tag_moves_all_back_when_one_is_refused(shop):
    digest = shop.push().json()["targets"][0]["digest"]
    shop.liar.refuse("PUT", "/manifests/b$", 403)
    done = shop.run("image", "tag", "--json", f"{shop.image}:latest", f"{shop.image}:a", f"{shop.image}:b", exit=8)
    assert shop.digests() == {"latest": digest}
    assert {move["ref"].rpartition(":")[2]: move["status"] for move in done.json()["moves"]} == \
           {"a": "failed", "b": "failed"}


def test_image_tag_goes_into_another_repository(shop):
    digest = shop.push().json()["targets"][0]["digest"]
    shop.run("image", "tag", f"{shop.image}:latest", f"{shop.image}-other:x")
    assert shop.registry.digest(shop.name + "-other", "x") == digest


# ---- keep going --------------------------------------------------------------------------------------------


def test_keep_going_stages_the_rest_and_publishes_nothing(shop):
    shop.targets({"good": ["good"]}, "default = true")
    (shop.folder / "Broken").write_text("FROM scratch\nCOPY nothing-there /\n")
    with open(shop.folder / "strake.lua", "a") as lua:
        lua.write(f"target 'bad' {{ dockerfile = 'Broken', image = '{shop.image}', tags = {{ 'bad' }}, default = true }}\n"
                  f"target 'on-bad' {{ image = '{shop.image}', tags = {{ 'on-bad' }}, after = {{ 'bad' }}, default = true }}\n")
    done = shop.push("--keep-going", exit=10).json()
    assert done["error"]["kind"] == "partial" and done["error"]["exit"] == 10
    assert {target["name"]: target["status"] for target in done["targets"]} == \
           {"good": "done", "bad": "failed", "on-bad": "skipped"}
    good = next(target for target in done["targets"] if target["name"] == "good")
    assert shop.has(good["digest"])
    assert shop.digests() == {} and shop.liar.tag_puts() == []
