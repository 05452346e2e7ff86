"""Rolling back: the tags of the current release go back as one unit, without pulling a layer."""

import json
import re
import shutil
import signal
import threading
import time

import pytest

from harness.images import INDEX, MANIFEST
from harness.liar import Answer
from harness.program import commit, make_project, run_git
from harness.shop import Shop

ZERO = "sha256:" + "0" * 64


@pytest.fixture(params=["liar", "liar3"])
def shop(request, strake, tmp_path):
    liar = request.getfixturevalue(request.param)
    name = "rollback/" + re.sub("[^a-z0-9]+", "-", request.node.name).strip("-")
    yield Shop(strake, tmp_path / "shop", liar, name)
    liar.forget()


def moved(document: dict) -> dict:
    return {move["ref"].rpartition(":")[2]: (move["from"], move["to"], move["status"]) for move in document["moves"]}


# ---- one step and several --------------------------------------------------------------------------------------


def test_three_tags_go_back_as_one_unit_without_pulling_a_layer(shop):
    first = shop.publish("one", "latest", "main", "edge")
    second = shop.publish("two", "latest", "main", "edge")
    shop.liar.forget()
    done = shop.rollback()
    assert (done["schema"], done["image"], done["status"]) == ("strake.rollback/1", shop.image, "done")
    assert moved(done) == dict.fromkeys(["latest", "main", "edge"], (second, first, "done"))
    assert shop.digests() == dict.fromkeys(["latest", "main", "edge"], first)
    puts = shop.liar.asked("PUT", "")
    assert sorted(one.path.rpartition("/")[2] for one in puts) == ["edge", "latest", "main"]
    assert len({one.body for one in puts}) == 1  # the same bytes under each tag
    layers = {layer["digest"] for layer in json.loads(puts[0].body)["layers"]}
    assert not [one for one in shop.liar.requests if one.method == "GET" and one.path.rpartition("/")[2] in layers]
    for digest in (first, second):  # what is looked at is put as it was read
        assert len(shop.liar.asked("GET", f"/manifests/{digest}$")) == 1
    shown = shop.run("history", "show", "last", "--json").json()["runs"][0]
    assert shown["publishes"] == [{"kind": "rollback", "outcome": "done"}] and len(shown["tag_moves"]) == 3
    assert shown["command"] == "rollback"


def test_an_index_goes_back_with_all_its_platforms(shop):
    first = shop.publish("one", "latest", arches=("amd64", "arm64"))
    shop.publish("two", "latest", arches=("amd64", "arm64"))
    shop.rollback()
    assert shop.digests() == {"latest": first}


def test_a_second_rollback_goes_further_back_and_a_release_after_it_goes_on_from_there(shop):
    digests = [shop.publish(text, "latest") for text in ("one", "two", "three")]
    shop.rollback()
    assert shop.digests() == {"latest": digests[1]}
    shop.rollback()
    assert shop.digests() == {"latest": digests[0]}
    assert "existed before it" in shop.run("rollback", exit=2).err
    shop.publish("four", "latest")
    shop.rollback()
    assert shop.digests() == {"latest": digests[0]}


def test_a_rollback_can_be_taken_back(shop):
    digests = [shop.publish(text, "latest") for text in ("one", "two", "three")]
    shop.rollback("--steps", "2")
    shop.rollback("--to", digests[2])
    assert shop.digests() == {"latest": digests[2]}
    shop.rollback()
    assert shop.digests() == {"latest": digests[1]}


def test_several_steps_give_the_state_before_that_release(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest")
    three = shop.publish("three", "latest", "main")
    assert moved(shop.rollback("--dry-run")) == {"latest": (three, two, "planned"), "main": (three, one, "planned")}
    shop.rollback("--steps", "2")
    assert shop.digests() == {"latest": one, "main": one}
    assert two not in shop.digests().values()
    error = shop.rollback("--tag", "main", "--steps", "7", exit=2)["error"]
    assert error["kind"] == "usage" and "0 steps back, not 7" in error["message"]


def test_only_what_the_current_release_moved_and_what_was_there_before_goes_back(shop):
    one = shop.publish("one", "latest", "v1.0.0", "stable")
    two = shop.publish("two", "latest", "v1.1.0", "dev-two", "sha-1234567")
    done = shop.rollback()
    assert list(moved(done)) == ["latest"]
    assert {entry["ref"].rpartition(":")[2] for entry in done["kept"]} == {"v1.1.0", "dev-two", "sha-1234567"}
    assert shop.digests() == {"latest": one, "v1.0.0": one, "stable": one, "v1.1.0": two, "dev-two": two,
                              "sha-1234567": two}


def test_a_version_tag_stays_even_when_it_was_moved_unless_it_is_named(shop):
    one = shop.publish("one", "latest", "v1.0.0")
    two = shop.publish("two", "latest", "v1.0.0")
    done = shop.rollback()
    assert list(moved(done)) == ["latest"] and "names one release" in done["kept"][0]["why"]
    assert shop.digests() == {"latest": one, "v1.0.0": two}
    shop.rollback("--tag", "v1.0.0")
    assert shop.digests() == {"latest": one, "v1.0.0": one}


def test_tags_of_others_are_left_alone_and_one_tag_can_be_named(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest", "main")
    branch = shop.publish("branch", "feature")
    shop.run("rollback", exit=2)  # the last release, of `feature`, had nothing before it
    shop.rollback("--tag", "latest")
    assert shop.digests() == {"latest": one, "main": two, "feature": branch}


def test_several_repositories_of_a_target_go_back_as_one_unit(shop):
    other = f"{shop.image}-mirror"
    shop.lua()
    text = (shop.folder / "strake.lua").read_text()
    (shop.folder / "strake.lua").write_text(text.replace(f"'{shop.image}'", f"{{ '{shop.image}', '{other}' }}"))
    digests = [shop.make(word) for word in ("one", "two")]
    for digest in digests:
        shop.run("publish", f"{shop.image}@{digest}", "-t", f"{shop.image}:latest", "-t", f"{other}:latest")
    done = shop.rollback("app")
    assert {move["ref"]: move["to"] for move in done["moves"]} == dict.fromkeys([f"{shop.image}:latest", f"{other}:latest"],
                                                                               digests[0])
    assert shop.registry.digest(shop.name, "latest") == shop.registry.digest(shop.name + "-mirror", "latest") == digests[0]
    shown = shop.run("history", "show", "last", "--json").json()["runs"][0]
    assert shown["publishes"] == [{"kind": "rollback", "outcome": "done"}]


def test_the_tags_of_a_layout_go_back(shop, tmp_path):
    layout = f"oci:{tmp_path}/layout"
    digests = [shop.make(word) for word in ("one", "two")]
    for digest in digests:
        shop.run("image", "copy", f"{shop.image}@{digest}", f"{layout}:newest")
        shop.run("image", "tag", f"{layout}@{digest}", "latest")
    assert moved(shop.rollback(layout)) == {"latest": (digests[1], digests[0], "done")}


# ---- where to --------------------------------------------------------------------------------------------------


def test_to_takes_a_reference_a_tag_and_a_digest(shop):
    one = shop.publish("one", "latest", "v1.0.0")
    two = shop.publish("two", "latest", "v2.0.0")
    three = shop.publish("three", "latest", "v3.0.0")
    shop.rollback("--to", f"{shop.image}:v1.0.0")
    assert shop.digests()["latest"] == one
    shop.rollback("--to", "v2.0.0")
    assert shop.digests()["latest"] == two
    shop.rollback("--to", three)
    assert shop.digests()["latest"] == three


def test_commit_finds_the_tag_of_seven_and_of_eight_characters(shop):
    shutil.rmtree(shop.folder)
    make_project(shop.folder, {"Dockerfile": "FROM scratch\n"})
    shop.lua()
    commits = [run_git(shop.folder, "rev-parse", "HEAD").strip()]
    for text in ("two", "three"):
        (shop.folder / "content").write_text(text)
        commit(shop.folder)
        commits.append(run_git(shop.folder, "rev-parse", "HEAD").strip())
    one = shop.publish("one", "latest", "sha-" + commits[0][:7])
    two = shop.publish("two", "latest", "sha-" + commits[1][:8])
    three = shop.publish("three", "latest", "sha-" + commits[2][:7])
    shop.rollback("--commit", "HEAD~1")
    assert shop.digests()["latest"] == two
    done = shop.rollback("--commit", commits[0])
    assert shop.digests()["latest"] == one
    commit_of = {image["digest"]: image["commit"] for image in done["images"]}
    assert commit_of == {one: commits[0][:7], two: commits[1][:8]}
    shop.rollback("--commit", commits[2][:7])
    assert shop.digests()["latest"] == three


def test_commit_without_git_looks_for_what_begins_so(shop):
    one = shop.publish("one", "latest", "sha-aaaaaaa1")
    two = shop.publish("two", "latest", "sha-bbbbbbb1")
    shop.publish("three", "latest", "sha-bbbbbbb2")
    shop.rollback("--commit", "aaaaaaa")
    assert shop.digests()["latest"] == one
    assert "write more" in shop.run("rollback", "--commit", "bbbbbbb", exit=2).err
    shop.rollback("--commit", "bbbbbbb1")
    assert shop.digests()["latest"] == two
    done = shop.run("rollback", "--commit", "ccccccc", exit=8)
    assert "no image of commit ccccccc" in done.err and "sha-ccccccc" in done.err
    assert "knows no commit" in shop.run("rollback", "--commit", "nonsense", exit=2).err


def test_a_machine_without_a_record_says_so_and_goes_where_it_is_told(shop):
    one = shop.publish("one", "latest", "main", "v1.0.0")
    two = shop.publish("two", "latest", "main", "v2.0.0")
    other = shop.other_machine()
    done = shop.run("rollback", exit=2, strake=other)
    assert "no record on this machine" in done.err and "--tag TAG --to" in done.err
    done = shop.run("rollback", "--to", "v1.0.0", exit=2, strake=other)
    assert "no record on this machine" in done.err and "--tag TAG" in done.err
    done = shop.run("rollback", "--tag", "latest", exit=2, strake=other)
    assert "no record on this machine" in done.err
    assert shop.digests()["latest"] == two
    shop.rollback("--tag", "latest", "--tag", "main", "--to", "v1.0.0", shop.image, strake=other)
    assert shop.digests() == {"latest": one, "main": one, "v1.0.0": one, "v2.0.0": two}


# ---- what is said ----------------------------------------------------------------------------------------------


def test_it_shows_from_and_to_with_dates_and_commits(shop):
    revision = "org.opencontainers.image.revision"
    one = shop.publish("one", "latest", labels={revision: "1" * 40}, created="2026-11-01T10:00:00Z")
    two = shop.publish("two", "latest", labels={revision: "2" * 40}, created="2026-11-02T10:00:00Z")
    done = shop.run("rollback", "--dry-run")
    lines = done.out.splitlines()
    assert re.search(rf"^planned +{re.escape(shop.image)}:latest$", lines[0])
    assert re.search(rf"from {two[:19]} .*commit 22222222, built 2026-11-02T10:00, published 20", lines[1])
    assert re.search(rf"to +{one[:19]} .*commit 11111111, built 2026-11-01T10:00, published 20", lines[2])
    images = {image["digest"]: image for image in shop.rollback("--dry-run")["images"]}
    assert images[one]["commit"] == "1" * 40 and images[two]["created"] == "2026-11-02T10:00:00Z"


def test_a_dry_run_checks_all_and_moves_nothing(shop):
    shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    shop.liar.forget()
    done = shop.rollback("--dry-run")
    assert done["status"] == "planned" and done["moves"][0]["status"] == "planned"
    assert shop.digests() == {"latest": two}
    assert not [one for one in shop.liar.requests if one.method not in ("GET", "HEAD")]


def test_it_announces(shop, ntfy):
    topic = "rollback-" + re.sub("[^a-z0-9]", "", shop.name)[-40:]
    one = shop.publish("one", "latest")
    shop.publish("two", "latest")
    shop.lua(f"notifier 'phone' {{ type = 'ntfy', url = '{ntfy.url}/{topic}', on = {{ 'image.published' }} }}")
    events = shop.folder / "events"
    shop.rollback("--events", events)
    assert f"{shop.image}:latest" in ntfy.messages(topic)[0]["message"]
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert [(event["digest"], event["rollback"]) for event in told if event["type"] == "image.published"] == [(one, True)]


# ---- what stops it ---------------------------------------------------------------------------------------------


def test_an_image_whose_manifest_is_gone_is_refused(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest", "main")
    shop.delete(one)
    error = shop.rollback(exit=8)["error"]
    assert error["kind"] == "registry" and one in error["message"] and "gone" in error["message"]
    assert shop.digests() == {"latest": two, "main": two}
    assert shop.run("history", "show", "last", "--json").json()["runs"][0]["publishes"] == []


def test_an_index_with_a_manifest_that_is_gone_is_refused(shop):
    one = shop.publish("one", "latest", arches=("amd64", "arm64"))
    two = shop.publish("two", "latest")
    index = json.loads(shop.registry.get(f"/v2/{shop.name}/manifests/{one}", INDEX)[2])
    part = index["manifests"][-1]["digest"]
    shop.delete(part)
    error = shop.rollback(exit=8)["error"]
    assert part in error["message"] and "not whole any more" in error["message"] and "--steps" in error["hint"]
    assert shop.digests() == {"latest": two}


@pytest.mark.parametrize("what", ["layers", "config"])
def test_an_image_with_a_blob_that_is_gone_is_refused(shop, what):
    one = shop.publish("one", "latest", arches=("amd64", "arm64"))
    two = shop.publish("two", "latest")
    index = json.loads(shop.registry.get(f"/v2/{shop.name}/manifests/{one}", INDEX)[2])
    last = shop.registry.get(f"/v2/{shop.name}/manifests/{index['manifests'][-1]['digest']}", MANIFEST)[2]
    part = json.loads(last)[what]
    blob = (part[0] if what == "layers" else part)["digest"]
    shop.liar.refuse("HEAD", f"/blobs/{blob}$", 404)
    shop.liar.refuse("GET", f"/blobs/{blob}$", 404)
    error = shop.rollback(exit=8)["error"]
    assert blob in error["message"] and "gone" in error["message"] and "--to" in error["hint"]
    assert shop.digests() == {"latest": two} and shop.liar.tag_puts()[-1:] == ["latest"]


def test_a_policy_at_retag_is_asked_and_denies(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest", "main")
    shop.lua(f"""policy "frozen" {{ at = "retag", check = function(image)
      for _, move in ipairs(image.moves) do
        if move.tag == "main" then deny(move.from .. " to " .. move.to .. " of " .. image.target) end
      end
    end }}""")
    for words in ((), ("--dry-run",)):
        done = shop.rollback(*words, exit=4)
        assert done["status"] == "denied" and f"{two} to {one} of app" in done["error"]["message"]
        assert shop.digests() == {"latest": two, "main": two}
    shop.rollback("--tag", "latest")
    assert shop.digests() == {"latest": one, "main": two}


def test_a_refusal_of_one_tag_moves_the_others_back(shop):
    shop.publish("one", "latest", "main", "edge")
    two = shop.publish("two", "latest", "main", "edge")
    shop.liar.refuse("PUT", "/manifests/main$", 403)
    done = shop.rollback(exit=8)
    assert {move["status"] for move in done["moves"]} <= {"failed", "skipped"}
    assert shop.digests() == dict.fromkeys(["latest", "main", "edge"], two)
    shop.liar.forget()
    shop.rollback()  # what was moved back is no step
    assert two not in shop.digests().values()


def test_a_tag_that_somebody_else_moved_is_told(shop):
    one = shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    other = shop.other_machine()
    theirs = shop.publish("theirs", "latest", strake=other)
    error = shop.rollback(exit=8)["error"]
    assert error["kind"] == "conflict" and theirs[:19] in error["message"] and two[:19] in error["message"]
    assert shop.digests() == {"latest": theirs}
    shop.rollback("--tag", "latest", "--to", two)
    assert shop.digests() == {"latest": two}
    shop.rollback()
    assert shop.digests() == {"latest": one}


def test_a_tag_that_does_not_exist_is_not_made(shop):
    one = shop.publish("one", "latest")
    done = shop.run("rollback", "--tag", "nothing", "--to", one, exit=2)
    assert "nothing does not exist" in done.err and "image tag" in done.err
    assert sorted(shop.digests()) == ["latest"]


@pytest.mark.parametrize("words, told", [
    (("--steps", "1", "--to", "x"), "one of them"),
    (("--tag", "not/a/tag"), "is no tag"),
    (("--tag", ""), "--tag is empty"),
    (("--to", ""), "--to is empty"),
    (("--commit", ""), "--commit is empty"),
    (("a/b", "c/d"), "not 2"),
    (("nothing",), "no target"),
    (("a/b:tag",), "a repository is rolled back"),
])
def test_what_makes_no_sense_is_refused(strake, tmp_path, words, told):
    done = strake("rollback", *words, cwd=tmp_path)
    assert done.exit == 2 and told in done.err


# ---- kills, and two at once ------------------------------------------------------------------------------------


def hold(shop, path: str) -> tuple:
    """A PUT waits until the test lets it go; (it has arrived, let it go)."""
    arrived, go = threading.Event(), threading.Event()

    def act(request, forward):
        arrived.set()
        go.wait(60)
        return forward()
    shop.liar.on("PUT", path, act, times=1)
    return arrived, go


def test_a_rollback_killed_in_the_middle_is_settled(shop):
    tags = ["edge", "latest", "main"]
    one = shop.publish("one", *tags)
    two = shop.publish("two", *tags)
    arrived, go = hold(shop, "/manifests/main$")
    child = shop.strake.popen("rollback", cwd=shop.folder)
    assert arrived.wait(60)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    assert sorted(shop.digests().values()) == sorted([one, one, two])
    go.set()
    deadline = time.monotonic() + 30
    while shop.digests()["main"] != one and time.monotonic() < deadline:
        time.sleep(0.05)  # the PUT that was on its way: not to arrive in the middle of what follows
    assert "strake publish --settle" in shop.run("rollback", "--dry-run", exit=8).err
    settled = shop.run("publish", "--settle", "--json").json()["units"]
    assert [unit["outcome"] for unit in settled] == ["done"]
    assert shop.digests() == dict.fromkeys(tags, one)
    assert "existed before it" in shop.run("rollback", exit=2).err  # it counts as done: there is nothing before it


def test_a_killed_rollback_is_settled_by_the_next_command(shop):
    one = shop.publish("one", "latest", "main")
    two = shop.publish("two", "latest", "main")
    arrived, go = hold(shop, "/manifests/main$")
    child = shop.strake.popen("rollback", cwd=shop.folder)
    assert arrived.wait(60)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)
    go.set()
    done = shop.run("image", "tag", f"{shop.image}@{two}", "other")
    assert "was settled: done" in done.err
    assert shop.digests() == {"latest": one, "main": one, "other": two}
    assert shop.run("history", "show", "last", "--json").json()["runs"][0]["publishes"] == [{"kind": "tag", "outcome": "done"}]


def test_of_two_rollbacks_at_once_one_is_told(shop):
    one = shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    shop.publish("three", "latest")
    arrived, go = hold(shop, "/manifests/latest$")
    first = shop.strake.popen("rollback", cwd=shop.folder)
    assert arrived.wait(60)
    done = shop.run("rollback", exit=8)
    assert "another rollback" in done.err
    go.set()
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, out + err
    assert shop.digests() == {"latest": two} and one != two


def test_of_two_machines_that_roll_back_one_is_told(shop):
    shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    shop.publish("three", "latest")
    other = shop.other_machine(copy=True)
    shop.rollback()
    error = shop.rollback(exit=8, strake=other)["error"]
    assert error["kind"] == "conflict"
    assert shop.digests() == {"latest": two}


def test_the_same_move_by_another_machine_in_that_moment_is_told(shop):
    one = shop.publish("one", "latest", "main")
    shop.publish("two", "latest", "main")

    def theirs():
        shop.registry.put(shop.name, "main", one)
    shop.liar.before("PUT", "/manifests/latest$", theirs)
    done = shop.run("rollback", "--json")
    assert moved(done.json())["main"][2] == "unchanged" and moved(done.json())["latest"][2] == "done"
    assert "main was moved to" in done.err and "somebody else" in done.err
    assert shop.digests() == {"latest": one, "main": one}


def test_a_registry_that_confirms_and_does_nothing_is_found_out(shop):
    shop.publish("one", "latest")
    two = shop.publish("two", "latest")
    shop.liar.on("PUT", "/manifests/latest$", lambda *_: Answer(201, [("Docker-Content-Digest", ZERO)]))
    shop.rollback(exit=8)
    assert shop.digests() == {"latest": two}
